"""What the bench part of `gpu_session.py` has measured, as a page to be read."""

import re

GOALS = (
    "3 x PyTorch eager at batch 128",
    "1.3 x the best of PyTorch in the same precision class, at batch 128 and 1024",
    "200,000 images/s for ResNet-20 at batch 1024",
)
CLASSES = {"32 bits": ("tf32", "float32"), "16 bits": ("bf16", "fp16")}
"""Precision class -> our precisions in it. PyTorch's are those with, and without, autocast."""


def table(items: dict) -> str:
    """The items of bench.json in Markdown: a table for each race, the goals, the largest gaps."""
    bandwidth = items.get("copy bandwidth, bytes/s")
    lines = ["# Training steps on a GPU", ""]
    if isinstance(bandwidth, float):
        lines += [f"Copying reads and writes {bandwidth / 1e12:.2f} TB/s together.", ""]
    for name, rows in items.items():
        if re.fullmatch(r"\w+, batch \d+(, torch .+)?", name) and "error" not in rows:
            lines += [f"## {name}", "", *_race(rows, bandwidth), "", *_ratios(rows), ""]
    for name, rows in items.items():
        if ", by kernel: " in name and "error" not in rows:
            lines += [f"## {name}", "", *_kernels(rows, bandwidth), ""]
    for name, found in items.items():
        if ", bytes of memory, " in name and "error" not in found:
            batch = int(re.search(r"batch (\d+)", name)[1])
            lines.append(
                f"- {name}: {found['launches']} launches, {found['bytes'] / batch / 1e6:.2f} MB an "
                f"image" + (f", {found['ms']:.3f} ms in kernels" if "ms" in found else "")
            )
    failed = {name: rows["error"] for name, rows in items.items() if _failed(rows)}
    lines += [f"- {name}: {why}" for name, why in failed.items()]
    return "\n".join(lines).rstrip() + "\n\nGoals: " + "; ".join(GOALS) + ".\n"


def _failed(rows) -> bool:
    return isinstance(rows, dict) and "error" in rows


def _race(rows: dict, bandwidth) -> list[str]:
    lines = ["| | images/s | ms | to eager | launches | MB/image | of the copy bandwidth | MiB |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    eager = rows.get("torch eager", {}).get("images/s")
    for name, row in sorted(rows.items(), key=lambda item: -item[1].get("images/s", 0)):
        if "error" in row:
            lines.append(f"| {name} | {row['error'].replace('|', ' ')} | | | | | | |")
            continue
        moved = row.get("bytes/image")
        cells = (
            f"{row['images/s']:,.0f}",
            f"{row['ms']:.3f}",
            f"{row['images/s'] / eager:.2f}" if eager else "",
            f"{row['launches']}" if moved else "",
            f"{moved / 1e6:.2f}" if moved else "",
            f"{moved * row['images/s'] / bandwidth:.0%}" if moved and bandwidth else "",
            f"{row['memory'] / 2**20:,.0f}" if row["memory"] is not None else "",
        )
        warning = f" ({row['warning']})" if "warning" in row else ""
        lines.append(f"| {name}{warning} | " + " | ".join(cells) + " |")
    return lines


def _ratios(rows: dict) -> list[str]:
    """Our best against PyTorch's best, in either precision class."""
    speed = {name: row["images/s"] for name, row in rows.items() if "images/s" in row}
    lines = []
    for title, precisions in CLASSES.items():
        half = title == "16 bits"
        ours = [
            name
            for name in speed
            if name.startswith("minires ") and name.split(",")[0][8:] in precisions
        ]
        theirs = [n for n in speed if n.startswith("torch ") and n.startswith("torch amp") == half]
        if ours and theirs:
            first, second = (max(names, key=speed.get) for names in (ours, theirs))
            lines.append(f"- {title}: {first} / {second} = {speed[first] / speed[second]:.2f}")
    return lines


def _kernels(rows: dict, bandwidth) -> list[str]:
    """With the time beyond what the copy bandwidth allows: the largest gap is where to work."""
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
