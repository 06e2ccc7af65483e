"""How a notebook shows a Module: a table of its parts, in the page's own colours."""

from html import escape
from typing import Any

MOST = 60
"""Lines of a table; the rest is counted."""

STYLE = "text-align:left;padding:0 1em 0 0;border:0;background:none"


def table(module: Any) -> str:
    """A Module as HTML: name, kind and settings of each part, shapes and numbers of parameters."""
    rows = []
    for name, part in module.named_modules():
        if not (children := list(part.named_children())) or not name:
            own = list(part.named_parameters(recurse=False))
            shapes = ", ".join(f"{n} {' x '.join(map(str, p.shape)) or '1'}" for n, p in own)
            settings = "" if children else part.extra_repr()
            count = sum(int(p.size) for _, p in own) if name else module.num_parameters()
            what = f"{type(part).__name__}({settings})" if settings else type(part).__name__
            rows.append((name or "(all)", what, shapes, f"{count:,}" if count else ""))
    more = len(rows) - MOST
    lines = [_row("th", "part", "module", "parameters", "numbers")]
    lines += [_row("td", *row) for row in rows[:MOST]]
    lines += [_row("td", "...", f"{more} parts more", "", "")] if more > 0 else []
    return f'<table style="border-collapse:collapse">{"".join(lines)}</table>'


def _row(tag: str, *cells: str) -> str:
    inner = "".join(f'<{tag} style="{STYLE}">{escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"
