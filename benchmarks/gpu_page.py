"""What the bench part of `gpu_session.py` has measured, as a page to be read."""

import re

from minires.benchmarks.report import text

GOALS = (
    "3 x PyTorch eager at batch 128",
    "1.3 x the best of PyTorch in the same precision class, at batch 128 and 1024",
    "200,000 images/s for ResNet-20 at batch 1024",
)


def page(items: dict) -> str:
    """The items of bench.json in Markdown: the report of each race, the goals, the largest gaps."""
    copied = items.get("copied, bytes/s")
    facts = {"copied_gb_per_second": copied / 1e9} if isinstance(copied, float) else {}
    lines = ["# Training steps on a GPU", ""]
    if facts:
        lines += [f"Copying reads and writes {copied / 1e12:.2f} TB/s together.", ""]
    for name, rows in items.items():
        if isinstance(rows, list):
            lines += [f"## {name}", "", "```", text(rows, facts), "```", ""]
    for name, rows in items.items():
        if ", by kernel: " in name and "error" not in rows:
            lines += [f"## {name}", "", *_kernels(rows, copied if facts else None), ""]
    for name, found in items.items():
        if ", bytes of memory, " in name and "error" not in found:
            batch = int(re.search(r"batch (\d+)", name)[1])
            lines.append(
                f"- {name}: {found['launches']} launches, {found['bytes'] / batch / 1e6:.2f} MB an "
                f"image" + (f", {found['ms']:.3f} ms in kernels" if "ms" in found else "")
            )
    failed = {name: item["error"] for name, item in items.items() if _failed(item)}
    lines += [f"- {name}: {why}" for name, why in failed.items()]
    return "\n".join(lines).rstrip() + "\n\nGoals: " + "; ".join(GOALS) + ".\n"


def _failed(item) -> bool:
    return isinstance(item, dict) and "error" in item


def _kernels(rows: dict, bandwidth) -> list[str]:
    """The kernels, with the time beyond what the copy bandwidth allows: work on the largest gap."""
    lines = [
        "| kernel | launches | ms | ms at the copy bandwidth | gap, ms |",
        "|---|---|---|---|---|",
    ]
    whole = {key: sum(row.get(key, 0) for row in rows.values()) for key in ("launches", "ms")}
    if all("bytes" in row for row in rows.values()):
        whole["bytes"] = sum(row["bytes"] for row in rows.values())
    for name, row in [*rows.items(), ("together", whole)]:
        least = 1e3 * row["bytes"] / bandwidth if "bytes" in row and bandwidth else None
        cells = f"{row['launches']:g} | {row['ms']:.4f} | "
        cells += "| |" if least is None else f"{least:.4f} | {row['ms'] - least:.4f} |"
        lines.append(f"| {name.replace('|', ' ')[:90]} | {cells}")
    return lines
