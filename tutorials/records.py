"""Recorded answers of kernels: what lesson 11 shows without Linux or without a compiler.

>>> report = kernel_report("gather 1", source, grid=2, block=32, args=dict(x=x, y=y))

`python -m minires.tutorials.records` runs the lesson and records.
"""

import json
import runpy
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minires import cuda
from minires.cuda import host
from minires.cuda.checking import Fault, Report, Requests

FILE = Path(__file__).parent / "questions" / "recorded11.json"
LESSON = Path(__file__).parent / "11_cuda_ladder.py"
_answers: dict[str, Any] = {}
"""What this process has calculated, by name."""


def kernel_report(name: str, source: str, **launch) -> Report:
    """What `cuda.check` says of a kernel; where it cannot run, what is recorded, without arrays."""
    if host.problem() is None:
        report = cuda.check(source, **launch)
        _answers[name] = asdict(report) | {"arrays": {}}
        return report
    told = json.loads(FILE.read_text(encoding="utf-8"))[name]
    told["faults"] = [Fault(**fault) for fault in told["faults"]]
    told["requests"] = [Requests(**row) for row in told["requests"]]
    return Report(**told)


def numbers(name: str, calculate: Callable[[], Any]) -> Any:
    """What a function of kernels returns; recorded under a name, where they cannot run."""
    if host.problem() is None:
        _answers[name] = calculate()
        return _answers[name]
    return json.loads(FILE.read_text(encoding="utf-8"))[name]


def main() -> None:
    """Run the lesson and write what it has calculated."""
    from minires.tutorials import records  # the lesson's module, not this process's __main__

    runpy.run_path(str(LESSON))
    text = json.dumps(records._answers, indent=0, default=int)
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
