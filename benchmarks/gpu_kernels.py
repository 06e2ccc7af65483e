"""Where a training step's time goes on a GPU: kernel by kernel, in time and in bytes.

    python benchmarks/gpu_kernels.py --model resnet20 --batch-size 128 --precision tf32

takes one step between the profiler's start and stop: what `measured` has ncu look at.
"""

import argparse
import csv
import glob
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from minires import backend, cuda
from minires.benchmarks.clocks import Clock
from minires.benchmarks.entries import Entry
from minires.benchmarks.memory import release_gpu
from minires.benchmarks.race import prepare

READ, WRITTEN = "dram__bytes_read.sum", "dram__bytes_write.sum"
TIME = "gpu__time_duration.sum"  # nanoseconds
STEPS = 9
AHEAD = 256  # launches that are queued at a time, each with two events; a GPU holds about 1,024
SPIN = r"""
extern "C" __global__ void spin(long long nanoseconds) {
  long long begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}
"""


def by_kernel(entry: Entry) -> dict:
    """Each kernel's milliseconds, launches and bytes in a step of minires, not as a graph.

    Times are between two events around a launch, less what lies between two events around nothing,
    medians over STEPS steps. Launches wait in the queue behind a kernel that only waits: otherwise
    the GPU would wait for the host between the events. Bytes are those that the launches state.
    Kernels are named by their file and their name there, as in `minires bench --account`.
    """
    release_gpu()
    step = prepare(entry)
    step.start()
    clock, rounds = step.clock, []
    for _ in range(STEPS if entry.on_gpu else 2):
        spans: list[tuple] = []

        def timed(launch, spans=spans):
            if len(spans) % AHEAD == 0:
                _keep_busy()
            begin = clock.now()
            launch.run()
            spans.append((launch, begin, clock.now()))
            return True

        with cuda.watch(timed):
            step.seconds(1)
        nothing = _around_nothing(clock)
        found: dict[str, dict] = defaultdict(lambda: {"ms": 0.0, "launches": 0, "bytes": 0})
        for launch, begin, end in spans:
            row = found[f"{launch.module.name} {launch.instance.partition('<')[0]}"]
            row["ms"] += 1e3 * max(0.0, clock.seconds(begin, end) - nothing)
            row["launches"] += 1
            row["bytes"] += sum(launch.bytes_moved())
        rounds.append(found)
    rows = rounds[-1]
    for name, row in rows.items():
        row["ms"] = statistics.median(found[name]["ms"] for found in rounds)
    return dict(sorted(rows.items(), key=lambda item: -item[1]["ms"]))


def _around_nothing(clock: Clock, times: int = 64) -> float:
    """Seconds between two moments with nothing between them."""
    _keep_busy()
    pairs = [(clock.now(), clock.now()) for _ in range(times)]
    return statistics.median(clock.seconds(*pair) for pair in pairs)


def _keep_busy(nanoseconds: int = 40_000_000) -> None:
    """Have a GPU do nothing, so that what is launched meanwhile follows without gaps."""
    if backend.xp() is not np:
        import cupy

        cupy.RawKernel(SPIN, "spin")((1,), (1,), (np.int64(nanoseconds),))


def torchs_by_kernel(entry: Entry, most: int = 20) -> dict:
    """Milliseconds and launches of the costliest kernels in a step of PyTorch, by its profiler."""
    from torch.profiler import ProfilerActivity, profile

    release_gpu()
    step = prepare(entry)
    step.start()
    activity = ProfilerActivity.CUDA if entry.on_gpu else ProfilerActivity.CPU
    with profile(activities=[activity]) as seen:
        step.seconds(STEPS)
    key = "self_device_time_total" if entry.on_gpu else "self_cpu_time_total"
    events = [event for event in seen.key_averages() if getattr(event, key) > 0]
    events.sort(key=lambda event: -getattr(event, key))
    rows = {
        event.key: {
            "ms": getattr(event, key) / 1e3 / STEPS,
            "launches": event.count / STEPS,
        }
        for event in events
    }
    kept = dict(list(rows.items())[:most])
    rest = [row for name, row in rows.items() if name not in kept]
    kept["the rest"] = {key: sum(row[key] for row in rest) for key in ("ms", "launches")}
    return kept


def measured(entry: Entry, log: Path, flush: bool, seconds: float) -> dict:
    """Bytes that a step moves between memory and the GPU, and each kernel's time, by ncu.

    Parameters
    ----------
    entry : Entry
        On a GPU.
    log : Path
        Where ncu's own table goes.
    flush : bool
        Whether the caches are emptied before each kernel: then all that it reads comes from memory.
    seconds : float
        After which it is given up.
    """
    release_gpu()
    folders = ["/usr/local/cuda/bin", *sorted(glob.glob("/opt/nvidia/nsight-compute/*"))]
    ncu = shutil.which("ncu", path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))
    if ncu is None:
        raise FileNotFoundError("ncu (Nsight Compute) is not installed")
    command = [ncu, "--clock-control", "none", "--profile-from-start", "off"]
    command += ["--cache-control", "all" if flush else "none", "--target-processes", "all"]
    command += ["--metrics", f"{READ},{WRITTEN},{TIME}", "--csv", "--page", "raw"]
    command += ["--print-units", "base", "--force-overwrite", "--log-file", str(log)]
    command += [sys.executable, "-m", "minires.benchmarks.gpu_kernels"]
    command += ["--model", entry.model, "--batch-size", str(entry.batch_size)]
    command += ["--engine", entry.engine, "--precision", entry.precision]
    # In a process group of its own, since what ncu starts must end with it.
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, process_group=0
    )
    try:
        _, errors = process.communicate(timeout=max(10, seconds))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        said = log.read_text() if log.exists() else ""
        raise RuntimeError(f"ncu ended with {process.returncode}: {said[-300:]} {errors[-300:]}")
    return total(read_table(log))


def read_table(path: Path) -> list[dict]:
    """The rows of ncu's table (``--csv --page raw``): kernel, bytes read and written, nanoseconds.

    Raises
    ------
    ValueError
        If it has no such columns, or in other units.
    """
    text = path.read_text()
    table = list(csv.reader(line for line in text.splitlines() if line.startswith('"')))
    if not table or not {"Kernel Name", READ, WRITTEN, TIME} <= set(table[0]):
        raise ValueError(
            f"{path}: no table of ncu with {READ}, {WRITTEN}, {TIME}; it ends with {text[-300:]!r}"
        )
    header, units, *rows = table
    unit = dict(zip(header, units, strict=True))
    scale = {"ns": 1, "nsecond": 1, "us": 1e3, "usecond": 1e3, "s": 1e9, "second": 1e9}
    if {unit[READ], unit[WRITTEN]} != {"byte"} or unit[TIME] not in scale:
        raise ValueError(f"{path}: units are {unit[READ]}, {unit[WRITTEN]}, {unit[TIME]}")
    found = []
    for row in rows:
        cell = dict(zip(header, row, strict=True))
        read, written, ns = (float(cell[name].replace(",", "")) for name in (READ, WRITTEN, TIME))
        found.append(
            {
                "kernel": _without_arguments(cell["Kernel Name"]),
                "read": read,
                "written": written,
                "ns": ns * scale[unit[TIME]],
            }
        )
    return found


def _without_arguments(name: str) -> str:
    """``void f<float, (int)16>(float *)`` is f<float, 16>."""
    plain = re.sub(r"\((bool|(unsigned )?(char|short|int|long))\)", "", name)
    return plain.removeprefix("void ").partition("(")[0][:120]


def total(rows: list[dict]) -> dict:
    """Launches, bytes, milliseconds; by kernel, too, the costliest first."""
    kernels: dict[str, dict] = defaultdict(lambda: {"launches": 0, "bytes": 0.0, "ms": 0.0})
    for row in rows:
        for kernel in (kernels[row["kernel"]], kernels[""]):
            kernel["launches"] += 1
            kernel["bytes"] += row["read"] + row["written"]
            kernel["ms"] += row["ns"] / 1e6
    whole = kernels.pop("", {"launches": 0, "bytes": 0.0, "ms": 0.0})
    return whole | {"kernels": dict(sorted(kernels.items(), key=lambda item: -item[1]["ms"]))}


def counted(entry: Entry) -> dict:
    """What `measured` says, as the emulator counts it: every sector once a launch, no times."""
    step = prepare(entry)
    step.start()
    whole = {"launches": 0, "bytes": 0}

    def count(launch: cuda.Launch) -> bool:
        # SGD reaches its arrays by their addresses in a table.
        by_address = [array for p in step.sgd.params for array in (p.data, p.grad)]
        by_address += [state["velocity"] for state in step.sgd.states]
        is_sgd = launch.module.name.startswith("sgd")
        with cuda.count(*by_address * is_sgd) as counts:
            launch.run()
        whole["launches"] += 1
        whole["bytes"] += 32 * (counts.distinct_loaded + counts.distinct_stored)
        return True

    with cuda.watch(count):
        step.seconds(1)
    return whole


def main() -> None:
    """One step, seen by a profiler."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--engine", default="cupy", help="or 'torch WAY'")
    parser.add_argument("--precision", default="auto", help="of minires")
    options = parser.parse_args()
    from cupyx.profiler import profile

    entry = Entry(
        options.model,
        options.batch_size,
        options.engine,
        precision=options.precision,
        device="cuda",
    )
    step = prepare(entry)
    step.start()  # ends when the GPU has done it
    with profile():
        step.seconds(1)


if __name__ == "__main__":
    main()
