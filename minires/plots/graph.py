"""`show`: the recorded graph as a picture, with the gradient on each edge.

A box is a Function, with the shape of its result; below it stand the leaves that it takes:
parameters and inputs. An arrow is a gradient on its way back, with its norm. What no gradient
reaches is red: a gradient that is None, zero or not finite, and a place where the graph was cut.
"""

import gc
import html
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minires import backend
from minires.function import Function, leaf_gradients
from minires.nn import Module
from minires.plots.picture import COLORS, INK, PAPER, Drawing
from minires.tensor import Tensor
from minires.watchers import watch

RED = COLORS[1]
LINE, LETTER, GAP, MARGIN = 17, 7.0, 46, 16
"""Height of a line of text and width of a letter; space between boxes and around all; pixels."""


@dataclass
class _Box:
    """A Function in the picture: its lines of text, which of them are red, and its place."""

    function: Function
    layer: int = 0
    rows: list[tuple[str, bool]] = field(default_factory=list)
    x: float = 0
    y: float = 0

    @property
    def width(self) -> float:
        return max(len(text) for text, _ in self.rows) * LETTER + 20

    @property
    def height(self) -> float:
        return len(self.rows) * LINE + 10


def show(result: Tensor, model: Module | None = None, most: int = 60) -> Drawing:
    """Draw the graph that `result.backward()` would walk.

    Parameters
    ----------
    result : Tensor
        A loss, or any Tensor; backward begins there with ones. Nothing is changed: no `.grad` is
        written, and backward can be called afterwards.
    model : Module, optional
        Its parameters get their names, and those that the graph does not reach are told.
    most : int
        How many Functions are drawn, nearest to `result` first.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        Nothing is recorded, or the graph has been used up by backward.
    """
    output = result.grad_fn
    if output is None:
        raise ValueError(
            "show: nothing is recorded here: the Tensor was not made by an operation on Tensors "
            "that require a gradient (or inside no_grad)"
        )
    if output.freed:
        raise ValueError(
            "show: backward() has used up this graph; call show before it, or backward("
            "retain_graph=True)"
        )
    names = {id(p): name for name, p in model.named_parameters()} if model is not None else {}
    arriving, leaving, leaves = _gradients(output, result)
    boxes = _layers(output, most)
    cuts = 0
    for box in boxes.values():
        cuts += _describe(box, leaving.get(box.function, ()), names)
    lost = [name for name, p in _parameters(model) if id(p) not in leaves and p.requires_grad]
    width, height = _place(list(boxes.values()))
    below = [f"no gradient reaches {name}: the graph is cut before the loss" for name in lost]
    hidden = _count(output) - len(boxes)
    if hidden > 0:
        below.append(f"{hidden} Functions further from the result are not drawn")
    width = max(width, max((len(t) * LETTER for t in below), default=0) + 2 * MARGIN)
    parts = [_edges(box, boxes, arriving) for box in boxes.values()]
    parts += [_box(box) for box in boxes.values()]
    for i, text in enumerate(below):
        parts.append(_text(MARGIN, height + LINE * (i + 0.6), text, RED if i < len(lost) else INK))
    height += LINE * len(below) + (MARGIN if below else 0)
    alt = f"The graph of {output.name}: {_count(output)} Functions"
    alt += f", {len(leaves)} leaves with a gradient"
    alt += f", cut at {cuts} places" * bool(cuts) + f"; none reaches {', '.join(lost)}" * bool(lost)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="DejaVu Sans Mono,monospace" '
        f'font-size="11.5" role="img"><title>{html.escape(alt)}</title>'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(parts)}</svg>'
    )
    return Drawing(svg, alt + ".")


def _parameters(model) -> list[tuple[str, Any]]:
    return list(model.named_parameters()) if model is not None else []


def _gradients(output: Function, result: Tensor) -> tuple[dict, dict, set]:
    """A backward pass that changes nothing.

    Returns
    -------
    arriving : dict of Function to float
        The norm of the gradient that each Function gets.
    leaving : dict of Function to list
        What it returns, one gradient (or None) for each input.
    leaves : set of int
        The ids of the leaf Tensors that a gradient reaches.
    """
    arriving, leaving = {}, {}

    def look(function, direction, compute, *arrays):
        results = compute(*arrays)
        if direction == "backward":
            arriving[function] = _norm(arrays[0])
            leaving[function] = [None if r is None else _norm(r) for r in results]
        return results

    start = backend.xp().ones_like(result.data)
    with watch(look):
        found = leaf_gradients(output, start, retain_graph=True)
    return arriving, leaving, {id(leaf) for leaf in found if leaf.is_leaf}


def _norm(array) -> float:
    return float(np.sqrt((np.asarray(backend.to_numpy(array), np.float64) ** 2).sum()))


def _layers(output: Function, most: int) -> dict[Function, _Box]:
    """The Functions that are drawn, each below all that use its result."""
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        function, is_done = stack.pop()
        if is_done:
            order.append(function)
        elif function not in seen:
            seen.add(function)
            stack.append((function, True))
            stack.extend((p, False) for p in function.parents if isinstance(p, Function))
    boxes = {function: _Box(function) for function in order[::-1][:most]}
    for function, box in boxes.items():
        for parent in function.parents:
            if parent in boxes:
                boxes[parent].layer = max(boxes[parent].layer, box.layer + 1)
    return boxes


def _count(output: Function) -> int:
    return len(_layers(output, 1 << 30))


def _describe(box: _Box, gradients, names: dict[int, str]) -> int:
    """Write a box's lines -> at how many of its inputs the graph was cut."""
    function, cuts = box.function, 0
    box.rows.append((function.name, False))
    for i, parent in enumerate(function.parents):
        shape = "x".join(map(str, function.inputs[i][0])) or "number"
        if isinstance(parent, Function):
            continue
        if parent is not None:
            name = names.get(id(parent), "leaf")
            norm = gradients[i] if i < len(gradients) else None
            box.rows.append((f"{name} {shape}  {_size(norm)}", not _is_good(norm)))
        elif (maker := _cut(function, i)) is not None:
            box.rows.append((f"CUT: {shape}, copied from the result of {maker}", True))
            cuts += 1
        else:
            box.rows.append((f"constant {shape}", False))
    return cuts


def _is_good(norm: float | None) -> bool:
    return norm is not None and np.isfinite(norm) and norm > 0


def _size(norm: float | None) -> str:
    return "no gradient" if norm is None else f"|g| {norm:.2g}"


def _cut(function: Function, i: int) -> str | None:
    """Which operation has made the same numbers as a constant input, if its result is alive."""
    shape = function.inputs[i][0]
    arrays = [a for a in function.saved if isinstance(a, np.ndarray) and a.shape == shape]
    if not arrays:
        return None
    for tensor in gc.get_objects():
        if type(tensor) is Tensor and tensor.grad_fn is not None and tensor.shape == shape:
            if any(np.array_equal(tensor.data, array) for array in arrays):
                return tensor.grad_fn.name
    return None


def _place(boxes: list[_Box]) -> tuple[float, float]:
    """Give each box its place -> the picture's width and height. The result is on top."""
    layers: dict[int, list[_Box]] = {}
    for box in boxes:
        layers.setdefault(box.layer, []).append(box)
    widths = {
        layer: sum(b.width for b in row) + GAP * (len(row) - 1) for layer, row in layers.items()
    }
    width = max(widths.values()) + 2 * MARGIN + GAP
    y = float(MARGIN)
    for layer in sorted(layers):
        x = (width - widths[layer]) / 2
        for box in layers[layer]:
            box.x, box.y = x, y
            x += box.width + GAP
        y += max(box.height for box in layers[layer]) + GAP
    return width, y - GAP + MARGIN


def _edges(box: _Box, boxes: dict[Function, _Box], arriving: dict) -> str:
    """The arrows from a box to those whose results it takes."""
    parts = []
    for parent in dict.fromkeys(p for p in box.function.parents if p in boxes):
        other = boxes[parent]
        norm = arriving.get(parent)
        color = INK if _is_good(norm) else RED
        x1, y1 = box.x + box.width / 2, box.y + box.height
        x2, y2 = other.x + other.width / 2, other.y
        aside = other.layer - box.layer > 1
        bend = max(box.width, other.width) / 2 + 26 if aside else 0
        parts.append(
            f'<path d="M{x1:.0f} {y1:.0f} C{x1 + 2 * bend:.0f} {y1 + 24:.0f} '
            f'{x2 + 2 * bend:.0f} {y2 - 24:.0f} {x2:.0f} {y2 - 5:.0f}" fill="none" '
            f'stroke="{color}" stroke-width="1.3"/>'
            f'<path d="M{x2 - 4:.0f} {y2 - 7:.0f} l4 6 l4 -6 z" fill="{color}"/>'
        )
        if not aside:
            parts.append(_text(x2 + 8, y2 - 10, _size(norm), color))
    return "".join(parts)


def _box(box: _Box) -> str:
    parts = [
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" '
        f'rx="5" fill="{PAPER}" stroke="{COLORS[0]}" stroke-width="1.3"/>'
    ]
    for i, (text, is_red) in enumerate(box.rows):
        weight = ' font-weight="bold"' if i == 0 else ""
        color = RED if is_red else INK
        parts.append(_text(box.x + 10, box.y + LINE * (i + 1) - 1, text, color, weight))
    return "".join(parts)


def _text(x: float, y: float, text: str, color: str, more: str = "") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" style="fill:{color}"{more} xml:space="preserve">'
        f"{html.escape(text)}</text>"
    )
