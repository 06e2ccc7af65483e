"""What was measured, as a table, as JSON and as a bar chart."""

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
from pathlib import Path

from minires import plots
from minires.bench.measure import Result
from minires.training.weights import write_atomically


def report(results: list[Result], sgemm: float, command: str, out: Path) -> None:
    """Print the table, write `out`.json and, if anything ran, `out`.png.

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
    print(f"{machine()}, {', '.join(f'{k} {v}' for k, v in versions().items())}")
    print(f"float32 matrix product of NumPy's BLAS: {sgemm / 1e9:.0f} GFLOP/s\n")
    print(table(results, sgemm))
    verdicts = [verdict(group) for group in _groups(results).values()]
    print("\n".join(filter(None, verdicts)))
    for result in results:
        if result.per_operation:
            print(f"\n{_name(result)}: seconds per step by operation")
            print(_operations(result))
    out.parent.mkdir(parents=True, exist_ok=True)
    content = as_json(results, sgemm, command)
    write_atomically(out.with_name(f"{out.name}.json"), content.encode())
    chart = [result for result in results if not result.problem]
    if chart:
        write_atomically(out.with_name(f"{out.name}.png"), _chart(chart))
    print(f"\nwritten: {out}.json" + (f", {out}.png" if chart else ""))


def table(results: list[Result], sgemm: float) -> str:
    """One row per contestant; the ratio is to the fastest float32 one of the same network."""
    head = (
        f"{'network':<11}{'batch':>6}  {'engine':<21}{'ms/step':>9}{'middle half':>17}"
        f"{'images/s':>10}{'speed':>7}{'GFLOP/s':>9}{'of sgemm':>10}{'memory':>9}{'first':>8}"
    )
    rows = [head, "-" * len(head)]
    for group in _groups(results).values():
        fastest = max((r.images_per_second for r in group if _in_float32(r)), default=None)
        for result in group:
            c = result.contestant
            start = f"{c.model:<11}{c.batch_size:>6}  {_engine(result):<21}"
            if result.problem:
                rows.append(f"{start}  {result.problem.splitlines()[0]}")
                continue
            low, median, high = (1e3 * seconds for seconds in result.quartiles)
            speed = f"{result.images_per_second / fastest:.2f}" if fastest else ""
            rows.append(
                f"{start}{median:>9.1f}{f'{low:.1f} to {high:.1f}':>17}"
                f"{result.images_per_second:>10.0f}{speed:>7}{result.flops_per_second / 1e9:>9.0f}"
                f"{100 * result.flops_per_second / sgemm:>8.0f} %"
                f"{result.peak_bytes / 2**20:>6.0f} MB{result.first_step_seconds:>6.1f} s"
            )
    return "\n".join(rows) + "\n"


def verdict(group: list[Result]) -> str:
    """The fastest of minires against the fastest of PyTorch, both in float32."""
    ours = [r for r in group if _in_float32(r) and not r.contestant.engine.startswith("torch ")]
    theirs = [r for r in group if _in_float32(r) and r.contestant.engine.startswith("torch ")]
    if not ours or not theirs:
        return ""
    best, other = (max(side, key=lambda r: r.images_per_second) for side in (ours, theirs))
    ratio = best.images_per_second / other.images_per_second
    c = best.contestant
    return (
        f"{c.model}, batch {c.batch_size}: {_engine(best)} trains {ratio:.2f} times as many images "
        f"per second as PyTorch's fastest in float32 ({other.contestant.engine.split()[1]})"
    )


def as_json(results: list[Result], sgemm: float, command: str) -> str:
    """Everything measured, with what it was measured on."""
    rows = []
    for result in results:
        c = result.contestant
        row = {"model": c.model, "batch_size": c.batch_size, "engine": c.engine}
        row |= {"threads": c.threads} if c.threads is not None else {}
        if result.problem:
            rows.append(row | {"problem": result.problem})
            continue
        low, median, high = result.quartiles
        row |= {
            "median_ms": round(1e3 * median, 2),
            "middle_half_ms": [round(1e3 * low, 2), round(1e3 * high, 2)],
            "timed_steps": len(result.seconds),
            "images_per_second": round(result.images_per_second, 1),
            "gflop_per_second": round(result.flops_per_second / 1e9, 1),
            "peak_memory_mb": round(result.peak_bytes / 2**20),
            "memory_of_libraries_mb": round(result.library_bytes / 2**20),
            "first_step_s": round(result.first_step_seconds, 2),
            "first_loss": round(result.first_loss, 6),
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
    return f"{name}, {os.cpu_count()} cores"


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
    """The results of the same network and batch size together."""
    groups = {}
    for result in results:
        c = result.contestant
        groups.setdefault((c.model, c.batch_size), []).append(result)
    return groups


def _in_float32(result: Result) -> bool:
    return result.contestant.float32 and not result.problem


def _engine(result: Result) -> str:
    c = result.contestant
    threads = f", {c.threads} thread{'s' * (c.threads > 1)}" if c.threads is not None else ""
    return c.engine + threads


def _name(result: Result) -> str:
    return f"{result.contestant.model}, batch {result.contestant.batch_size}, {_engine(result)}"


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
    groups = {}
    for (model, batch_size), group in _groups(results).items():
        groups[f"{model}, batch {batch_size}"] = [
            (
                _engine(r),
                r.images_per_second,
                batch_size / r.quartiles[2],
                batch_size / r.quartiles[0],
                not r.contestant.engine.startswith("torch "),
            )
            for r in group
        ]
    timed = statistics.median(len(result.seconds) for result in results)
    title = f"Training steps on {machine()} (medians of {timed:.0f} steps, middle half)"
    return plots.bars(groups, "images per second", title)
