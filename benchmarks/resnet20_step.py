"""One ResNet-20 training step, minires against PyTorch eager, interleaved on the same cores.

    python benchmarks/resnet20_step.py [--batch-size 128] [--rounds 15] [--out FILE.json]

Needs the extra `parity`. Prints medians, their spread (the middle half) and the ratio.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

import minires as mr
from minires import functional as F
from minires import models, optim

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from torch_resnet import TorchResNet  # noqa: E402


def minires_step(x, labels):
    """A function that runs one training step on the current backend."""
    model = models.resnet20()
    sgd = optim.SGD(model, lr=0.1)

    def step():
        loss = F.cross_entropy(model(x), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def torch_step(x, labels):
    """The same network and step in PyTorch, eager, its default layout (NCHW)."""
    model = TorchResNet(3)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    x = torch.tensor(x).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(labels)

    def step():
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    mr.use(options.backend)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((options.batch_size, 32, 32, 3), dtype=np.float32)
    labels = rng.integers(0, 10, options.batch_size)
    steps = {
        f"minires {options.backend}": minires_step(x, labels),
        "PyTorch eager": torch_step(x, labels),
    }
    times = {name: [] for name in steps}
    for round_number in range(options.rounds + 2):  # the first two warm up
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if round_number >= 2:
                times[name].append(time.perf_counter() - started)

    result = {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.date.today().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
    }
    for name, seconds in times.items():
        low, median, high = statistics.quantiles(seconds, n=4)
        result[name] = {
            "median_ms": round(1e3 * median, 1),
            "middle_half_ms": [round(1e3 * low, 1), round(1e3 * high, 1)],
            "images_per_second": round(options.batch_size / median, 1),
        }
        print(f"{name:<16} median {1e3 * median:7.1f} ms  middle half {1e3 * low:.1f} to "
              f"{1e3 * high:.1f} ms  {options.batch_size / median:6.1f} images/s")  # fmt: skip
    ours, theirs = (result[name]["median_ms"] for name in times)
    result["time_ratio"] = round(ours / theirs, 2)
    print(f"a step of minires takes {result['time_ratio']} times as long as PyTorch's")
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
