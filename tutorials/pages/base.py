"""What the pages share: a frame, `base.css`, `base.js`; and how a module becomes a page."""

import importlib
import json
from pathlib import Path

from minires.tutorials.pages import NAMES

HOME = Path(__file__).parent

FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} - minires</title>
<style>
{style}</style>
</head>
<body>
<nav aria-label="Pages"><a href="../README.md">All lessons</a>{links}</nav>
<main>
<h1>{title}</h1>
<p class="lead">{lead}</p>
{body}
</main>
<script type="application/json" id="data">{data}</script>
<script>
"use strict";
{script}</script>
</body>
</html>
"""


def build(name: str) -> str:
    """The page of this name, whole."""
    module = importlib.import_module(f"minires.tutorials.pages.{name}")
    return FRAME.format(
        title=module.TITLE,
        lead=_one_line(module.LEAD),
        links="".join(_link(other, other == name) for other in NAMES),
        style=_read("base.css"),
        body=module.BODY.strip(),
        data=json.dumps(module.data(), separators=(",", ":")).replace("<", "\\u003c"),
        script=_read("base.js") + _read(f"{name}.js"),
    )


def slider(name: str, label: str, low: int, high: int, value: int) -> str:
    """A labelled slider whose value is written beside it."""
    return (
        f'<label class="slider"><span>{label}</span><input type="range" id="{name}" min="{low}" '
        f'max="{high}" value="{value}"><output id="{name}-value" for="{name}">{value}</output>'
        "</label>"
    )


def choices(name: str, legend: str, labels: dict[str, str]) -> str:
    """Radio buttons, the first one chosen."""
    buttons = "".join(
        f'<label><input type="radio" name="{name}" value="{value}"{" checked" * (not i)}>'
        f"<span>{label}</span></label>"
        for i, (value, label) in enumerate(labels.items())
    )
    return f'<fieldset class="choices"><legend>{legend}</legend>{buttons}</fieldset>'


def _link(name: str, is_here: bool) -> str:
    here = ' aria-current="page"' * is_here
    return f' <a href="{name}.html"{here}>{name.replace("_", " ")}</a>'


def _read(name: str) -> str:
    return (HOME / name).read_text(encoding="utf-8")


def _one_line(text: str) -> str:
    return " ".join(text.split())
