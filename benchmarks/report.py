"""What was measured, as rows, and the rows as a table, in words, as JSON and as a bar chart."""

import datetime
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path

from minires import plots
from minires.benchmarks.race import Result
from minires.training.directory import write_atomically

BITS = {32: "float32 or tf32", 16: "bfloat16 or float16"}
"""Bits of a number in memory -> what is computed in. Engines are compared within a class."""


def row(result: Result) -> dict:
    """A result for JSON: all numbers rounded to what they mean; or its "problem"."""
    e = result.entry
    found = {"model": e.model, "batch_size": e.batch_size, "engine": e.name}
    found |= {"threads": e.threads, "bits": e.bits}
    if result.problem:
        return found | {"problem": result.problem}
    low, median, high = (1e3 * seconds for seconds in result.quartiles)
    found |= {
        "median_ms": _digits(median),
        "middle_half_ms": [_digits(low), _digits(high)],
        "images_per_second": round(result.images_per_second, 1),
        "gflop_per_second": round(result.flops_per_second / 1e9, 1),
        "memory_mib": round(result.memory_bytes / 2**20) or None,
        "first_step_s": round(result.first_step_seconds, 2),
        "first_loss": round(result.first_loss, 6),
        "exact": e.exact,
    }
    if result.launches:
        found |= {"launches": result.launches, "bytes_per_image": result.bytes / e.batch_size}
    found["all_ms"] = " ".join(f"{_digits(1e3 * seconds)}" for seconds in result.seconds)
    if result.per_operation:
        longest_first = sorted(result.per_operation.items(), key=lambda item: -item[1])
        found["per_operation_ms"] = {name: round(1e3 * s, 3) for name, s in longest_first}
    return found


def _digits(ms: float) -> float:
    """Milliseconds as far as they mean something: three decimals below ten, else two."""
    return round(ms, 3 if ms < 10 else 2)


def report(rows: list[dict], command: str, out: Path, facts: dict) -> None:
    """Write `out`.json and, if anything ran, `out`.png; print the table.

    Parameters
    ----------
    rows : list of dict
        As `row` makes them.
    command : str
        What was run.
    out : Path
        Where to write, without an extension.
    facts : dict
        About the machine, see `machine.facts`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out.with_name(f"{out.name}.json"), as_json(rows, command, facts).encode())
    timed = [row for row in rows if "problem" not in row]
    if timed:
        write_atomically(out.with_name(f"{out.name}.png"), chart(timed, facts["machine"]))
    print(f"{facts['machine']}, {', '.join(f'{k} {v}' for k, v in facts['versions'].items())}")
    if "sgemm_gflop_per_second" in facts:
        sgemm = facts["sgemm_gflop_per_second"]
        print(f"float32 matrix product of NumPy's BLAS: {sgemm:.0f} GFLOP/s")
    if "copied_gb_per_second" in facts:
        print(f"copying reads and writes {facts['copied_gb_per_second']:,.0f} GB/s together")
    print(f"\n{text(rows, facts)}")
    for row in timed:
        if "per_operation_ms" in row:
            print(f"\n{_title(row)}, {row['engine']}: time per step by operation")
            print(_operations(row["per_operation_ms"]))
    print(f"\nwritten: {out}.json" + (f", {out}.png" if timed else ""))


def text(rows: list[dict], facts: dict) -> str:
    """The table, and what follows from it."""
    lines = [table(rows, facts), "speed: relative to the fastest of 32 bits beside it"]
    for group in groups(rows):
        lines += [*verdicts(group), *filter(None, [doubt(group)])]
    return "\n".join(lines)


def table(rows: list[dict], facts: dict) -> str:
    """A line for each row; columns that nobody fills are left out."""
    sgemm, copied = (
        facts.get(name, math.nan) for name in ("sgemm_gflop_per_second", "copied_gb_per_second")
    )
    fastest = {
        _key(group[0]): max((r["images_per_second"] for r in of_bits(group, 32)), default=math.nan)
        for group in groups(rows)
    }
    columns: dict[str, Callable[[dict], str]] = {
        "ms/step": lambda r: f"{r['median_ms']:.{1 if r['median_ms'] >= 10 else 3}f}",
        "middle half": lambda r: " to ".join(
            f"{ms:.{1 if r['median_ms'] >= 10 else 3}f}" for ms in r["middle_half_ms"]
        ),
        "images/s": lambda r: f"{r['images_per_second']:.0f}",
        "speed": lambda r: _number(r["images_per_second"] / fastest[_key(r)], ".2f"),
        "GFLOP/s": lambda r: f"{r['gflop_per_second']:.0f}",
        "of sgemm": lambda r: _number(r["gflop_per_second"] / sgemm, ".0%").replace("%", " %"),
        "launches": lambda r: str(r.get("launches", "")),
        "MB/image": lambda r: _number(_moved(r) / 1e6, ".2f"),
        "of copying": lambda r: _number(
            _moved(r) * r["images_per_second"] / 1e9 / copied, ".0%"
        ).replace("%", " %"),
        "memory": lambda r: f"{r['memory_mib']} MiB" if r["memory_mib"] else "?",
        "first step": lambda r: f"{r['first_step_s']:.1f} s",
    }
    timed = [r for r in rows if "problem" not in r]
    cells = {name: {id(r): cell(r) for r in timed} for name, cell in columns.items()}
    cells = {name: column for name, column in cells.items() if any(column.values())}
    widths = {name: max(map(len, [name, *column.values()])) for name, column in cells.items()}
    lines = [_start("network", "batch", "threads", "engine")]
    lines[0] += "".join(f"  {name:>{width}}" for name, width in widths.items())
    lines.append("-" * len(lines[0]))
    for r in rows:
        line = _start(r["model"], r["batch_size"], r["threads"], r["engine"])
        if "problem" in r:
            lines.append(f"{line}  {r['problem'].splitlines()[0]}")
            continue
        lines.append(line + "".join(f"  {cells[n][id(r)]:>{width}}" for n, width in widths.items()))
    return "\n".join(lines) + "\n"


def _start(model, batch_size, threads, engine) -> str:
    return f"{model:<10}{batch_size:>6}{threads:>8}  {engine:<28}"


def _moved(row: dict) -> float:
    return row.get("bytes_per_image", math.nan)


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def verdicts(group: list[dict]) -> list[str]:
    """In each class of precision: the fastest of minires against the fastest of PyTorch."""
    lines = []
    for bits, meaning in BITS.items():
        comparable = of_bits(group, bits)
        ours, theirs = (
            [r for r in comparable if r["engine"].startswith("torch ") == is_torch]
            for is_torch in (False, True)
        )
        if ours and theirs:
            best, other = (
                max(side, key=lambda r: r["images_per_second"]) for side in (ours, theirs)
            )
            ratio = best["images_per_second"] / other["images_per_second"]
            way = other["engine"].removeprefix("torch ")
            lines.append(
                f"{_title(best)}: {best['engine']} trains {ratio:.2f} times as many images per "
                f"second as PyTorch's fastest in {meaning} ({way})"
            )
    return lines


def doubt(group: list[dict]) -> str:
    """A warning if first losses differ: then the engines did not do the same work.

    Losses in float32 may differ by a thousandth of the median, all others by a fiftieth.
    """
    timed = [r for r in group if "problem" not in r]
    if not timed:
        return ""
    reference = [r for r in timed if r["exact"]] or timed
    median = statistics.median(r["first_loss"] for r in reference)
    odd = [
        f"{r['engine']} {r['first_loss']}"
        for r in timed
        if not abs(r["first_loss"] - median) <= (1e-3 if r["exact"] else 0.02) * median  # or a NaN
    ]
    if not odd:
        return ""
    return f"WARNING: first losses differ from the median {median:.4f}: {', '.join(odd)}"


def groups(rows: list[dict]) -> list[list[dict]]:
    """The rows of the same network, batch size and number of threads together."""
    found: dict[tuple, list[dict]] = {}
    for r in rows:
        found.setdefault(_key(r), []).append(r)
    return list(found.values())


def of_bits(rows: list[dict], bits: int) -> list[dict]:
    """The rows with times whose images take so much memory."""
    return [r for r in rows if r["bits"] == bits and "problem" not in r]


def _key(row: dict) -> tuple:
    return row["model"], row["batch_size"], row["threads"]


def _title(row: dict) -> str:
    model, batch_size, threads = _key(row)
    return f"{model}, batch {batch_size}, {threads} thread{'s' if threads > 1 else ''}"


def _operations(per_operation_ms: dict[str, float], most: int = 24) -> str:
    """The operations that take longest."""
    total = sum(per_operation_ms.values())
    parts = list(per_operation_ms.items())
    shown = parts[:most]
    if rest := parts[most:]:
        shown.append((f"{len(rest)} others", sum(ms for _, ms in rest)))
    return "\n".join(f"{ms:>9.2f} ms {100 * ms / total:>5.1f} %  {name}" for name, ms in shown)


def as_json(rows: list[dict], command: str, facts: dict) -> str:
    """Everything measured, with what it was measured on."""
    content = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        **facts,
        "results": rows,
    }
    return json.dumps(content, indent=2) + "\n"


def chart(rows: list[dict], machine: str) -> bytes:
    """Bars of images per second; ours in colour."""
    bars = {}
    for group in groups(rows):
        bars[_title(group[0])] = [
            (
                r["engine"],
                r["images_per_second"],
                *(1e3 * r["batch_size"] / ms for ms in reversed(r["middle_half_ms"])),
                not r["engine"].startswith("torch "),
            )
            for r in group
        ]
    timed = statistics.median(len(r["all_ms"].split()) for r in rows)
    title = f"Training steps on {machine}: medians of {timed:.0f} steps, middle half"
    return plots.bars(bars, "images per second", title)
