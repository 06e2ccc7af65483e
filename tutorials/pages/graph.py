"""The page of backward through a residual block, one record at a time, as minires walks it."""

import numpy as np

import minires as mr
from minires import functional as F
from minires.tutorials.pages.base import slider
from minires.watchers import watch

SHAPE = (2, 6, 6, 4)
CHAIN = ("conv1", "bn1", "relu1", "conv2", "bn2", "add", "relu2")
INPUTS = {
    "conv1": ("x", "w1"),
    "bn1": ("conv1", "gamma1", "beta1"),
    "relu1": ("bn1",),
    "conv2": ("relu1", "w2"),
    "bn2": ("conv2", "gamma2", "beta2"),
    "add": ("bn2", "x"),
    "relu2": ("add",),
}

TITLE = "Backward through a residual block"
LEAD = """Press Next, or move the slider with the arrow keys: each step runs one record's backward.
Numbers on edges are norms of gradients. Notice that x is used twice: its first gradient waits until
the second one comes, and the two are added."""

BODY = f"""
<div class="controls">
{slider("step", "step", 0, 0, 0)}
<button id="previous" type="button">Previous</button> <button id="next"
type="button">Next</button>
</div>
<p class="status" role="status" id="sentence"></p>
<div class="panels">
<section class="panel" style="flex: 1 1 22rem; max-width: 30rem"><div
id="picture"></div></section>
<section class="panel" style="flex: 1 1 16rem"><h2>Gradients on their way</h2>
<table><thead><tr><th>of</th><th>norm</th><th>element 0</th></tr></thead><tbody
id="pending"></tbody></table>
<p class="quiet">This table is <code>pending</code> of <code>leaf_gradients</code> in
<code>minires/function.py</code>. A record takes its row out and puts rows for its inputs in;
what belongs to
leaves stays. Element 0 shows that gradients are added, element by element; their norms are
not.</p></section>
</div>
"""


def data() -> dict:
    """The graph, and each computation of backward in its order."""
    order, gradients = trace()
    return {"chain": CHAIN, "inputs": INPUTS, "steps": order, "grads": gradients}


def trace() -> tuple[list[dict], dict]:
    """Backward's computations, as `watch` sees them, and what is in `.grad` after it."""
    rng = np.random.default_rng(2)
    leaves = leaf_tensors(rng)
    names: dict = {}  # Function -> its name
    steps: list[dict] = []

    def look(function, direction, compute, *arrays):
        result = compute(*arrays)
        if direction == "forward":
            names[function] = CHAIN[len(names)]
        elif direction == "backward":
            given = dict(zip(INPUTS[names[function]], map(summary, result), strict=True))
            steps.append({"node": names[function], "dy": summary(arrays[0]), "gives": given})
        else:
            parts = [summary(array) for array in arrays]
            steps.append({"node": "x", "parts": parts, "total": summary(result)})
        return result

    with watch(look):
        y = block(leaves)
        y.backward(rng.standard_normal(SHAPE))
    return steps, {name: summary(leaf.grad) for name, leaf in leaves.items()}


def leaf_tensors(rng) -> dict:
    """The block's input and parameters, by name."""
    channels = SHAPE[-1]
    arrays = {"x": rng.standard_normal(SHAPE)}
    for i in "12":
        arrays[f"w{i}"] = rng.standard_normal((3, 3, channels, channels)) / 6
        arrays[f"gamma{i}"] = 1 + 0.2 * rng.standard_normal(channels)
        arrays[f"beta{i}"] = 0.2 * rng.standard_normal(channels)
    return {name: mr.Tensor(array, requires_grad=True) for name, array in arrays.items()}


def block(leaves: dict):
    """The residual block, an operation at a time."""
    y = leaves["x"]
    for i in "12":
        y = F.conv2d(y, leaves[f"w{i}"], padding=1)
        gamma, beta = leaves[f"gamma{i}"], leaves[f"beta{i}"]
        running = np.zeros(SHAPE[-1]), np.ones(SHAPE[-1])
        y = F.batch_norm(y, gamma, beta, *running, training=True)
        y = F.relu(y) if i == "1" else y
    return F.relu(y + leaves["x"])


def summary(gradient) -> list[float]:
    """Norm and first element."""
    array = np.asarray(gradient)
    return [round(float(np.linalg.norm(array)), 5), round(float(array.flat[0]), 5) + 0.0]
