"""What was measured, as a table, as JSON and as a bar chart."""

import datetime
import importlib.metadata
import json
import math
import os
import platform
import statistics
from pathlib import Path

from minires import plots
from minires.benchmarks.timing import Result
from minires.training.weights import write_atomically


def report(results: list[Result], sgemm: float, command: str, out: Path) -> None:
    """Write `out`.json and, if anything ran, `out`.png; print the table.

    Parameters
    ----------
    results : list of Result
    sgemm : float
        FLOP/s of the machine's matrix product, for comparison.
    command : str
        What was run.
    out : Path
        Where to write, without an extension.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    content = as_json(results, sgemm, command)
    write_atomically(out.with_name(f"{out.name}.json"), content.encode())
    chart = [result for result in results if not result.problem]
    if chart:
        write_atomically(out.with_name(f"{out.name}.png"), _chart(chart))
    print(f"{machine()}, {', '.join(f'{k} {v}' for k, v in versions().items())}")
    print(f"float32 matrix product of NumPy's BLAS: {sgemm / 1e9:.0f} GFLOP/s\n")
    print(table(results, sgemm))
    print("speed: relative to the fastest in float32 of the same network, batch and threads")
    for group in _groups(results).values():
        print("\n".join(filter(None, (verdict(group), doubt(group)))))
    for key, group in _groups(results).items():
        for result in group:
            if result.per_operation:
                print(f"\n{_name(key)}, {result.contestant.engine}: time per step by operation")
                print(_operations(result))
    print(f"\nwritten: {out}.json" + (f", {out}.png" if chart else ""))


def table(results: list[Result], sgemm: float) -> str:
    """One row per contestant; the ratio is to the fastest float32 one of the same network."""
    head = (
        f"{'network':<10}{'batch':>6}{'threads':>8}  {'engine':<28}{'ms/step':>8}"
        f"{'middle half':>17}{'images/s':>10}{'speed':>7}{'GFLOP/s':>9}{'of sgemm':>10}"
        f"{'memory':>10}{'first step':>11}"
    )
    rows = [head, "-" * len(head)]
    for group in _groups(results).values():
        fastest = max((r.images_per_second for r in group if _in_float32(r)), default=None)
        for result in group:
            c = result.contestant
            start = f"{c.model:<10}{c.batch_size:>6}{c.threads:>8}  {c.engine:<28}"
            if result.problem:
                rows.append(f"{start}  {result.problem.splitlines()[0]}")
                continue
            low, median, high = (1e3 * seconds for seconds in result.quartiles)
            speed = f"{result.images_per_second / fastest:.2f}" if fastest else ""
            rows.append(
                f"{start}{median:>8.1f}{f'{low:.1f} to {high:.1f}':>17}"
                f"{result.images_per_second:>10.0f}{speed:>7}{result.flops_per_second / 1e9:>9.0f}"
                f"{100 * result.flops_per_second / sgemm:>8.0f} %"
                f"{f'{result.peak_bytes / 2**20:.0f} MiB' if result.peak_bytes else '?':>10}"
                f"{result.first_step_seconds:>9.1f} s"
            )
    return "\n".join(rows) + "\n"


def verdict(group: list[Result]) -> str:
    """The fastest of minires against the fastest of PyTorch, both in float32."""
    ours = [r for r in group if _in_float32(r) and not r.contestant.torch_variant]
    theirs = [r for r in group if _in_float32(r) and r.contestant.torch_variant]
    if not ours or not theirs:
        return ""
    best, other = (max(side, key=lambda r: r.images_per_second) for side in (ours, theirs))
    ratio = best.images_per_second / other.images_per_second
    c = best.contestant
    return (
        f"{_name((c.model, c.batch_size, c.threads))}: {c.engine} trains {ratio:.2f} times as many "
        f"images per second as PyTorch's fastest in float32 ({other.contestant.torch_variant})"
    )


def doubt(group: list[Result]) -> str:
    """A warning if the first losses differ: then the contestants did not do the same work."""
    losses = [r.first_loss for r in group if _in_float32(r)]
    if all(math.isclose(loss, losses[0], rel_tol=1e-3) for loss in losses):  # never, with a NaN
        return ""
    return f"WARNING: the losses of the first step differ: {', '.join(map(str, losses))}"


def as_json(results: list[Result], sgemm: float, command: str) -> str:
    """Everything measured, with what it was measured on."""
    rows = []
    for result in results:
        c = result.contestant
        row = {"model": c.model, "batch_size": c.batch_size, "engine": c.engine}
        row |= {"threads": c.threads}
        if result.problem:
            rows.append(row | {"problem": result.problem})
            continue
        low, median, high = result.quartiles
        row |= {
            "median_ms": round(1e3 * median, 2),
            "middle_half_ms": [round(1e3 * low, 2), round(1e3 * high, 2)],
            "images_per_second": round(result.images_per_second, 1),
            "gflop_per_second": round(result.flops_per_second / 1e9, 1),
            "peak_memory_mib": round(result.peak_bytes / 2**20) or None,
            "first_step_s": round(result.first_step_seconds, 2),
            "first_loss": round(result.first_loss, 6),
            "all_ms": " ".join(f"{1e3 * seconds:.2f}" for seconds in result.seconds),
        }
        if result.per_operation:
            row["per_operation_ms"] = {
                name: round(1e3 * seconds, 3) for name, seconds in _by_time(result)
            }
        rows.append(row)
    content = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "sgemm_gflop_per_second": round(sgemm / 1e9, 1),
        "results": rows,
    }
    return json.dumps(content, indent=2) + "\n"


def machine() -> str:
    """Processor and number of cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} logical cores"


def versions() -> dict[str, str]:
    """Python and the libraries that compute, as far as they are installed."""
    found = {"Python": platform.python_version()}
    for package in ("numpy", "numba", "torch", "cupy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def _groups(results: list[Result]) -> dict[tuple, list[Result]]:
    """The results of the same network, batch size and number of threads together."""
    groups = {}
    for result in results:
        c = result.contestant
        groups.setdefault((c.model, c.batch_size, c.threads), []).append(result)
    return groups


def _in_float32(result: Result) -> bool:
    return result.contestant.float32 and not result.problem


def _name(key: tuple) -> str:
    model, batch_size, threads = key
    return f"{model}, batch {batch_size}, {threads} thread{'s' if threads > 1 else ''}"


def _by_time(result: Result) -> list[tuple[str, float]]:
    return sorted(result.per_operation.items(), key=lambda item: -item[1])


def _operations(result: Result, most: int = 24) -> str:
    """The operations that take longest."""
    total = sum(result.per_operation.values())
    rows = _by_time(result)
    lines = [f"{1e3 * s:>9.2f} ms {100 * s / total:>5.1f} %  {name}" for name, s in rows[:most]]
    if rest := rows[most:]:
        seconds = sum(s for _, s in rest)
        lines.append(
            f"{1e3 * seconds:>9.2f} ms {100 * seconds / total:>5.1f} %  {len(rest)} others"
        )
    return "\n".join(lines)


def _chart(results: list[Result]) -> bytes:
    groups = {
        _name(key): [
            (
                result.contestant.engine,
                result.images_per_second,
                key[1] / result.quartiles[2],
                key[1] / result.quartiles[0],
                not result.contestant.torch_variant,
            )
            for result in group
        ]
        for key, group in _groups(results).items()
    }
    timed = statistics.median(len(result.seconds) for result in results)
    title = f"Training steps on {machine()}: medians of {timed:.0f} steps, middle half"
    return plots.bars(groups, "images per second", title)
