"""What a network consists of: layers, parameters, multiply-adds and activation memory."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from minires import backend, nn
from minires.tensor import Tensor, no_grad
from minires.watchers import watch

FLOAT32_BYTES = 4


@dataclass(frozen=True)
class Row:
    """One layer, or one operation that is no layer of its own, in the order of execution.

    Attributes
    ----------
    name : str
        As in the state dict, such as ``layer1.0.conv1``; of an operation, its name.
    kind : str
    shape : tuple of int
        The result's shape, without the axis of images.
    parameters : int
        Numbers that it learns; 0 where a layer is used again.
    multiply_adds : int
        Multiply-adds for one image, in convolutions and linear layers; everything else is not
        counted, as in the paper's table 1.
    activation_bytes : int
        Bytes of its result for one image in float32; 0 for a view.
    block, block_kind : str
        The part of the network that it belongs to.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int
    block: str
    block_kind: str


@dataclass(frozen=True)
class Summary:
    """The rows of a network."""

    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the forward pass of one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass of one image: two per multiply-add."""
        return 2 * self.multiply_adds

    @property
    def training_flops(self) -> int:
        """The same with the backward pass: once more for each gradient that is needed.

        The first layer needs none for the image.
        """
        first = next((row.multiply_adds for row in self.rows if row.multiply_adds), 0)
        return 3 * self.flops - 2 * first

    @property
    def activation_bytes(self) -> int:
        """All results of one image in float32, each once: about what training keeps of it."""
        return sum(row.activation_bytes for row in self.rows)

    def blocks(self) -> list[Row]:
        """A row for each block instead of each layer, with the shape of its last."""
        found = []
        for _, group in groupby(self.rows, key=lambda row: row.block):
            rows = list(group)
            counts = ("parameters", "multiply_adds", "activation_bytes")
            totals = {count: sum(getattr(row, count) for row in rows) for count in counts}
            last = rows[-1]
            found.append(replace(last, name=last.block, kind=last.block_kind, **totals))
        return found

    def table(self, layers: bool = False) -> str:
        """The summary as text: a line for each block, or each layer; then the totals."""
        head = ("", "", "output", "parameters", "multiply-adds", "activation kB")
        lines = [head] + [
            (
                row.name,
                row.kind,
                " x ".join(map(str, row.shape)),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
                f"{row.activation_bytes / 1e3:,.1f}",
            )
            for row in (self.rows if layers else self.blocks())
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join(
            [
                *text,
                "",
                f"parameters         {self.parameters:,}",
                f"multiply-adds      {self.multiply_adds / 1e9:.3g} x 10^9, forward, one image "
                f"({self.multiply_adds:,})",
                f"FLOPs              {self.flops / 1e9:.3g} x 10^9, two per multiply-add; "
                f"{self.training_flops / 1e9:.3g} x 10^9 with backward",
                f"activation memory  {self.activation_bytes / 1e6:.1f} MB, one image, float32",
            ]
        )


def summarize(model: nn.Module, image_size: int, channels: int = 3) -> Summary:
    """Run one image of zeros through a network in evaluation mode, and note what happens.

    Runs on the backend `numpy`, every operation on its own. Modes are restored.

    Parameters
    ----------
    model : Module
        Made under a backend whose arrays are NumPy's.
    image_size : int
        Pixels a side.
    channels : int
        Channels of the image.

    Raises
    ------
    ValueError
        If the network cannot take such an image.
    """
    if image_size < 1:
        raise ValueError(f"an image has at least 1 pixel a side, but image_size is {image_size}")
    before = [(module, dict(vars(module))) for _, module in model.named_modules()]
    parameters = model.parameters()
    image = np.zeros((1, image_size, image_size, channels), parameters[0].dtype)
    try:
        for module, attributes in before:
            module.training = False
            if "fused" in attributes:
                setattr(module, "fused", False)  # noqa: B010 (some modules have it, others not)
        with backend.use("numpy"), no_grad(), _noted(model) as rows:
            model(Tensor(image))
    finally:
        for module, attributes in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
    return Summary(tuple(rows))


@contextmanager
def _noted(model: nn.Module) -> Iterator[list[Row]]:
    """Inside, a row is added for each layer and operation of `model` that computes something."""
    names = {id(module): name for name, module in model.named_modules()}
    rows: list[Row] = []
    running: list[tuple[nn.Module, int]] = []  # with how many rows there were before its call
    counted: set[int] = set()

    def enter(module, inputs) -> None:
        running.append((module, len(rows)))

    def leave(module, inputs, y) -> None:
        _, first = running.pop()
        if len(rows) > first and not any(module.named_children()):
            rows[first:] = [merged(module, rows[first:])]

    def note(function, direction, compute, *arrays):
        y = compute(*arrays)
        if not np.may_share_memory(y, arrays[0]):
            weighs = function.op in ("conv2d", "linear")
            products = y.size * arrays[1].size // arrays[1].shape[-1] if weighs else 0
            owner = running[-1][0] if running else model
            inside = ".".join(filter(None, (names.get(id(owner)), function.name)))
            block, kind = block_of(inside)
            parts = [" + add"] * (function.op == "batch_norm" and len(arrays) == 4)
            parts += [" + ReLU"] * bool(function.options.get("relu"))
            rows.append(
                Row(
                    name=inside,
                    kind="operation" + "".join(parts),
                    shape=y.shape[1:],
                    parameters=0,
                    multiply_adds=products,
                    activation_bytes=y.size * FLOAT32_BYTES,
                    block=block,
                    block_kind=kind,
                )
            )
        return y

    def merged(module, parts: list[Row]) -> Row:
        """The operations of one layer as one row: products of all, the last one's result."""
        last = parts[-1]
        new = [p for p in vars(module).values() if isinstance(p, nn.Parameter)]
        size = sum(p.size for p in new if id(p) not in counted)
        counted.update(map(id, new))
        fused = "".join(last.kind.partition(" + ")[1:])
        return replace(
            last,
            name=names.get(id(module), last.name) or last.name,
            kind=type(module).__name__ + fused,
            parameters=size,
            multiply_adds=sum(part.multiply_adds for part in parts),
        )

    def block_of(name: str) -> tuple[str, str]:
        """The outermost part of the network that is more than a sequence of parts."""
        for module, _ in running:
            if module is not model and not isinstance(module, nn.Sequential):
                return names.get(id(module), name), type(module).__name__
        return name, "operation"

    with ExitStack() as hooks:
        for _, module in model.named_modules():
            hooks.enter_context(module.register_forward_pre_hook(enter))
            hooks.enter_context(module.register_forward_hook(leave))
        hooks.enter_context(watch(note))
        yield rows
