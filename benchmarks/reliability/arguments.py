"""Spoiled arguments: each call ends in a result, or in a sentence that minires says itself.

    python -m minires.benchmarks.reliability.arguments --vectors 10000 [--seed S]

The calls are the lines of `habits` that work. One or two arguments of a line become something that
nobody means: None, NaN, 2^63, an empty list, complex numbers, an object whose `__array__` fails, a
view of 16 million numbers that are one. Faults: an exception from inside, more than 10 seconds,
more than two gigabytes, an input that has changed, a process that crashes. Half of the vectors are
command lines, which must end without a traceback, with a sentence where the status is not 0.
"""

import argparse
import ast
import contextlib
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import minires as mr
from minires import cli, nn
from minires.benchmarks.reliability import habits
from minires.benchmarks.reliability.readers import TooLong
from minires.benchmarks.reliability.verdicts import OWN, refused

SECONDS, MEMORY, CHUNK = 10, 2 << 30, 500


class Evil:
    """An object whose conversions fail."""

    def __array__(self, dtype=None, copy=None):
        raise EvilError("not an array today")

    def __index__(self):
        raise EvilError("not an index today")

    def __float__(self):
        raise EvilError("not a number today")


class EvilError(Exception):
    """What an Evil object raises: a caller's own exception may come through."""


def spoilers() -> dict:
    """What arguments become, by name."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, 8, 8, 3)).astype("f4")
    return {
        "none": None,
        "true": True,
        "nan": float("nan"),
        "infinite": float("inf"),
        "minus_one": -1,
        "zero": 0,
        "large": 2**40,
        "larger": 2**63,
        "huge": 10**30,
        "half": 1.5,
        "complex_number": 1j,
        "text": "x",
        "empty_text": "",
        "data": b"x",
        "empty_list": [],
        "uneven": [[1.0], [1.0, 2.0]],
        "mapping": {},
        "anything": object(),
        "function": len,
        "kind": int,
        "evil": Evil(),
        "generator": (i for i in range(3)),
        "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
        "matrix": np.asmatrix(np.ones((2, 2))),
        "objects": np.array([None, "x"], object),
        "texts": np.array(["a", "b"]),
        "dates": np.array(["2020-01-01"], "datetime64[D]"),
        "zero_d": np.array(3.0, "f4"),
        "no_elements": np.zeros((0, 4), "f4"),
        "integers": np.arange(12).reshape(3, 4),
        "complexes": np.ones((3, 4), "c16"),
        "halves": np.ones((3, 4), "f2"),
        "doubles": np.ones((3, 4)),
        "flags": np.ones((3, 4), bool),
        "strided": np.ones((6, 8), "f4")[::2, ::2],
        "read_only": _locked(np.ones((3, 4), "f4")),
        "large_view": np.broadcast_to(np.float32(1), (2**12, 2**12)),
        "many_axes": np.ones((1,) * 40, "f4"),
        "tensor": mr.Tensor(np.ones((3, 4), "f4")),
        "learned": mr.Tensor(np.ones((3, 4), "f4"), requires_grad=True),
        "computed": mr.Tensor(np.ones((3, 4), "f4"), requires_grad=True) * 2,
        "whole_tensor": mr.Tensor(np.arange(4)),
        "parameter": nn.Parameter(np.ones((3, 4), "f4")),
        "module": nn.ReLU(),
        "spoiled_image": mr.Tensor(image * np.nan),
        "image": mr.Tensor(image),
    }


def _locked(array):
    array.flags.writeable = False
    return array


def spoiled(rng: random.Random, line: str, names: list[str]) -> str:
    """The line with one or two arguments replaced by names of spoilers."""
    tree = ast.parse(line, mode="eval")
    for _ in range(rng.choice((1, 1, 2))):
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call | ast.Compare | ast.Subscript)
            or (isinstance(node, ast.BinOp) and not isinstance(node.left, ast.Constant))
        ]
        if not calls:
            break
        node, name = rng.choice(calls), ast.Name(rng.choice(names), ast.Load())
        if isinstance(node, ast.BinOp):
            node.right = name
        elif isinstance(node, ast.Compare):
            node.comparators = [name]
        elif isinstance(node, ast.Subscript):
            node.slice = name
        elif node.keywords and rng.random() < 0.5:
            rng.choice(node.keywords).value = name
        elif node.args and rng.random() < 0.8:
            node.args[rng.randrange(len(node.args))] = name
        else:
            node.args.append(name)
    return ast.unparse(ast.fix_missing_locations(tree))


CALLS = [line for line in habits.LINES if not line.startswith(("np.", "print", "sum", "[", "("))]
IN_PLACE = ("init.", "opt.", "_(", "load_state", "utils.")
"""What may change its arguments."""


def call(line: str, space: dict) -> tuple[str, str]:
    """What becomes of a line."""
    before = {name: space[name].data.copy() for name in ("x", "y", "v", "images")}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            eval(line, space)
    except (EvilError, MemoryError):  # the second says how much is asked for
        return "refused", ""
    except Exception as error:  # noqa: BLE001 (whatever it is, it is looked at)
        if refused(error) == "inside" and not _callers_own(error):
            return "fault", f"{line}: {type(error).__name__}: {error}"
        return "refused", ""
    changed = [n for n, data in before.items() if not np.array_equal(space[n].data, data)]
    if changed and not any(part in line for part in IN_PLACE):
        return "fault", f"{line}: {changed} has changed"
    return "accepted", ""


def _callers_own(error: Exception) -> bool:
    """Whether the error came up outside of minires: `x(2)` of something not callable."""
    frame, frames = error.__traceback__, []
    while frame is not None:
        frames.append(frame.tb_frame.f_code.co_filename)
        frame = frame.tb_next
    return frames[-1] == "<string>" or not any(name.startswith(OWN) for name in frames)


WORDS = {
    "train": ["--model=resnet8", "--dataset=shapes", "--steps=1", "--batch-size=4", "--lr=0.1"]
    + ["--train-size=8", "--test-size=8", "--image-size=8", "--backend=numpy", "--seed=1"]
    + ["--momentum=0.9", "--weight-decay=0.1", "--optimizer=sgd", "--schedule=step", "--out=run"]
    + ["--warm-up=0", "--label-smoothing=0.1", "--checkpoint-every=5", "--precision=float32"]
    + ["--normalization=per-pixel", "--shortcut=A", "--on-nan=stop", "--clip-grad-norm=1"],
    "eval": ["--weights=run/best.safetensors", "--dataset=shapes", "--backend=numpy"],
    "info": ["--model=resnet8"],
    "reproduce": ["gradnorm", "--budget=none", "--model", "resnet8", "--out=results"],
    "cuda": ["k.cu", "--kernel=k", "--grid=1", "--block=32", "--arg=x=zeros:32", "--arg=n=32"],
    "bench": ["--model=none", "--batch-size=0", "--backend=none", "--per-op"],
}
LONG = ("steps", "train-size", "test-size", "image-size", "batch-size")
"""Options whose large values are a long run, not a wrong one."""
ODD = ["", "x", "-1", "0", "nan", "inf", "-inf", "1e999", "1.5", "None", "True", "٣", "é" * 40]
ODD += ["../x", "/dev/null", "~nobody/x", "\x07", "a" * 5000, "--", "-h", "[]", "{}", "1,2", "0x10"]
ODD += ["99999999999999999999", "-99999999999999999999", "1_0", " 1", "1 "]


def words(rng: random.Random) -> list[str]:
    """A command line with something wrong in it."""
    command = rng.choice(sorted(WORDS))
    line = [w for w in WORDS[command] if command != "train" or rng.random() < 0.9]
    line += [w for w in ("--steps=1", "--train-size=8", "--test-size=8") if command == "train"]
    for _ in range(rng.choice((1, 1, 2))):
        i, odd = rng.randrange(len(line)), rng.choice(ODD)
        name, equals, _ = line[i].partition("=")
        kind = rng.randrange(5)
        if kind == 0:
            line.insert(i, odd)
        elif kind == 1:
            line.insert(i, rng.choice(("--resume", "--nesterov", "--wrong", "--model", "-x", odd)))
        elif kind == 2 and command not in ("train", "reproduce"):  # else it runs for long
            del line[i]
            line = line or [odd]
        elif not (name.strip("-") in LONG and odd.isdigit() and int(odd) > 8):
            line[i] = name + equals + odd if equals else odd
    return [command if rng.random() < 0.98 else rng.choice(ODD), *line]


def run(line: list[str]) -> tuple[str, str]:
    """What becomes of a command line, in a directory of its own."""
    out, err, home = io.StringIO(), io.StringIO(), os.getcwd()
    with tempfile.TemporaryDirectory(prefix="arguments-") as place:
        os.chdir(place)
        Path("k.cu").write_text("__global__ void k(float* x, int n) { x[0] = n; }\n")
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = cli.main(line)
        except SystemExit as end:
            status = end.code or 0
        except Exception as error:  # noqa: BLE001 (every one is a fault)
            return "fault", f"{line}: {type(error).__name__}: {error}"
        finally:
            os.chdir(home)
    said = err.getvalue()
    if "Traceback" in said:
        return "fault", f"{line}: a traceback: {said[-200:]}"
    printed = said.strip() or out.getvalue().strip()  # the second is a report
    last = printed.split("\n")[-1]
    if status and len(last.split()) < 4:
        return "fault", f"{line}: status {status} and {said!r}"
    return ("refused" if status else "accepted"), ""


def work(kind: str, seed: int, first: int, count: int, progress: Path | None = None) -> dict:
    """Try vectors `first` to `first + count` of a kind, "calls" or "command lines", here."""
    counts, faults = Counter(), []
    before = signal.signal(signal.SIGALRM, _too_long)
    for i in range(first, first + count):
        if progress is not None:
            progress.write_text(str(i))
        rng = random.Random(f"{kind} {seed} {i}")
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        what = ""
        try:
            if kind == "calls":
                extra = spoilers()
                what = spoiled(rng, rng.choice(CALLS), sorted(extra))
                outcome, why = call(what, habits.names() | extra)
            else:
                line = words(rng)
                what = " ".join(line)[:200]
                outcome, why = run(line)
        except TooLong:
            outcome, why = "fault", f"{what}: it takes more than {SECONDS} s"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        counts[outcome] += 1
        if outcome == "fault":
            faults.append(f"{kind}, seed {seed}, vector {i}: {why}"[:500])
    signal.signal(signal.SIGALRM, before)
    return {"counts": counts, "faults": faults}


def _too_long(number, frame) -> None:
    raise TooLong


def attack(kind: str, vectors: int, seed: int, backend: str) -> tuple[Counter, list[str]]:
    """Try `vectors` vectors in processes of their own, which may crash."""
    counts: Counter = Counter()
    faults: list[str] = []
    first = 0
    while first < vectors:
        count = min(CHUNK, vectors - first)
        with tempfile.NamedTemporaryFile(prefix="progress-") as progress:
            given = ["--worker", kind, *map(str, (seed, first, count)), backend, progress.name]
            module = "minires.benchmarks.reliability.arguments"
            result = subprocess.run(
                [sys.executable, "-m", module, *given], capture_output=True, text=True
            )
            if result.returncode:
                reached = int(Path(progress.name).read_text() or first)
                last = (result.stderr.strip().splitlines() or [""])[-1]
                faults.append(f"{kind}, vector {reached}: status {result.returncode}: {last}")
                counts["fault"] += 1
                first = reached + 1
                continue
            part = json.loads(Path(progress.name).read_text())
        counts += Counter(part["counts"])
        faults += part["faults"]
        first += count
    return counts, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vectors", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, seed, first, count, backend, progress = options.worker
        mr.use(backend)
        habits.names()  # compiles what it needs
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        found = work(kind, int(seed), int(first), int(count), Path(progress))
        Path(progress).write_text(json.dumps(found))
        return 0
    print("| vectors | backend | tried | accepted | refused | faults |\n|---|---|---|---|---|---|")
    total, tries = 0, [("calls", "numpy", 4), ("calls", "numba", 4), ("command lines", "numpy", 2)]
    for kind, backend, share in tries:
        vectors = options.vectors // share
        counts, faults = attack(kind, vectors, options.seed, backend)
        print(
            f"| {kind} | `{backend}` | {vectors:,} | {counts['accepted']:,} | "
            f"{counts['refused']:,} | {counts['fault']:,} |",
            flush=True,
        )
        for fault in faults[:200]:
            print(fault, file=sys.stderr, flush=True)
        total += counts["fault"]
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
