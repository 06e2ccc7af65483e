"""Pictures of a network's state: gradients and responses by depth, the loss around a point."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from minires.nn import Module
from minires.plots.picture import COLORS, INK, Picture, canvas, curves
from minires.tensor import no_grad


def gradient_norms(networks: Mapping[str, Module], alt: str) -> Picture:
    """The norm of the gradient of each convolution's weights, by depth, after backward().

    Parameters
    ----------
    networks : dict of str to Module
        Each with gradients in its parameters.
    alt : str

    Raises
    ------
    ValueError
        A network whose parameters have no gradient.
    """
    lines = {}
    for name, network in networks.items():
        norms = [
            float(np.linalg.norm(p.grad))
            for p in network.parameters()
            if _is_filter(p) and p.grad is not None
        ]
        if not norms:
            raise ValueError(f"gradient_norms: {name} has no gradients yet; call backward() first")
        lines[name] = range(1, len(norms) + 1), norms
    return curves(
        lines, "convolution, from the input on", "norm of its weights' gradient", alt, log="y"
    )


def _is_filter(parameter) -> bool:
    return parameter.ndim == 4


def layer_responses(responses: Mapping[str, Sequence[float]], alt: str) -> Picture:
    """The standard deviation of each layer's response, by depth (He et al. 2015, figure 7).

    Parameters
    ----------
    responses : dict
        Name -> one standard deviation for each layer.
    alt : str
    """
    lines = {name: (range(1, len(s) + 1), s) for name, s in responses.items()}
    return curves(lines, "layer, from the input on", "standard deviation of its response", alt)


def roofline(
    points: Mapping[str, tuple[float, float]], peak: float, bandwidth: float, alt: str
) -> Picture:
    """What a machine allows, and how near some computations come (Williams et al. 2009).

    Parameters
    ----------
    points : dict
        Name -> (intensity in FLOP per byte, speed in GFLOP/s).
    peak : float
        GFLOP/s that the machine can compute.
    bandwidth : float
        GB/s that its memory delivers.
    alt : str
    """
    figure, axes = canvas()
    low = min([0.1, *(i / 2 for i, _ in points.values())])
    high = max([4 * peak / bandwidth, *(2 * i for i, _ in points.values())])
    x = np.geomspace(low, high, 200)
    axes.loglog(x, np.minimum(peak, bandwidth * x), color=INK, linewidth=1.2)
    for i, (name, (intensity, speed)) in enumerate(points.items()):
        axes.loglog(intensity, speed, "os^Dvp*"[i % 7], color=COLORS[i % 6], label=name)
    axes.set(xlabel="intensity (FLOP per byte of memory traffic)", ylabel="speed (GFLOP/s)")
    axes.text(high, peak, f"{peak:.0f} GFLOP/s ", ha="right", va="bottom", fontsize=8)
    middle = np.sqrt(low * peak / bandwidth)
    axes.text(middle, bandwidth * middle * 1.3, f"{bandwidth:.0f} GB/s", ha="right", fontsize=8)
    axes.legend(loc="lower right")
    axes.grid(alpha=0.25)
    return Picture(figure, alt)


def loss_surface(
    networks: Mapping[str, Module],
    loss: Callable[[Module], float],
    alt: str,
    span: float = 1.0,
    points: int = 9,
    seed: int = 0,
) -> Picture:
    """The loss around the point that a network stands at, along two random directions.

    Each direction is as long as the weights, filter by filter (Li et al. 2018, "Visualizing the
    Loss Landscape of Neural Nets", section 4). The weights are as before afterwards.

    Parameters
    ----------
    networks : dict of str to Module
    loss : function
        A network -> its loss, a number.
    alt : str
    span : float
        How far to each side, in lengths of the weights.
    points : int
        How many along each side.
    seed : int
    """
    figure, axes = canvas(1, len(networks), 3.4 * len(networks), 3.2, squeeze=False)
    steps = np.linspace(-span, span, points)
    for place, (name, network) in zip(axes[0], networks.items(), strict=True):
        values = _values(network, loss, steps, np.random.default_rng(seed))
        levels = np.geomspace(max(values.min(), 1e-3), max(values.min() * 1.5, values.max()), 14)
        drawn = place.contour(steps, steps, values, levels=levels, cmap="cividis")
        place.clabel(drawn, fontsize=7, fmt="%.1f")
        place.plot(0, 0, "+", color=INK)
        place.set(title=name, xlabel="first direction", ylabel="second direction", aspect="equal")
    return Picture(figure, alt)


def _values(network, loss, steps, rng) -> np.ndarray:
    parameters = list(network.parameters())
    start = [p.data.copy() for p in parameters]
    directions = [[_direction(array, rng) for array in start] for _ in range(2)]
    values = np.empty((len(steps), len(steps)))
    try:
        with no_grad():
            for i, b in enumerate(steps):
                for j, a in enumerate(steps):
                    for p, at, u, v in zip(parameters, start, *directions, strict=True):
                        p.data[...] = at + a * u + b * v
                    values[i, j] = loss(network)
    finally:
        for p, at in zip(parameters, start, strict=True):
            p.data[...] = at
    return values


def _direction(array, rng) -> np.ndarray:
    """A random direction, each filter as long as the weights' own; none for biases and norms."""
    if array.ndim < 2:
        return np.zeros_like(array)
    u = rng.standard_normal(array.shape).astype(array.dtype)
    axes = tuple(range(array.ndim - 1))
    length = np.sqrt((array**2).sum(axes) / (u**2).sum(axes))
    return u * length
