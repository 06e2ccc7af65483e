"""The page of convolution's dx: which dy and which w make the gradient of one pixel."""

import numpy as np

import minires as mr
from minires import functional as F
from minires.tutorials.pages.base import slider

SIDE = 6
STRIDES, PADDINGS, KERNELS = (1, 2, 3), (0, 1, 2), (1, 2, 3, 4)

TITLE = "The gradient of a convolution is a convolution"
LEAD = """Choose a pixel of dx: click it, or press Tab and the arrow keys. The frame shows which dy
meet which w to make it; w is flipped. Notice the zeros that a stride puts between the dy, and that
the frame then meets fewer of them."""

BODY = f"""
<div class="controls">
{slider("stride", "stride", STRIDES[0], STRIDES[-1], 1)}
{slider("padding", "padding", PADDINGS[0], PADDINGS[-1], 1)}
{slider("kernel", "kernel size", KERNELS[0], KERNELS[-1], 3)}
</div>
<div class="panels">
<section class="panel"><h2 id="dx-name">dx, from minires</h2>
<div id="dx" class="grid" role="group" aria-labelledby="dx-name"></div></section>
<section class="panel"><h2>dy, spread out, with zeros around it</h2>
<div id="spread" class="grid" aria-hidden="true"></div></section>
<section class="panel"><h2>w, flipped</h2>
<div id="flipped" class="grid" aria-hidden="true"></div></section>
</div>
<p class="status" role="status"><b id="name"></b> = <span id="sum"></span></p>
<ul id="terms" class="terms mono"></ul>
<p class="quiet">One channel, one filter. A dot is a zero that belongs to no dy. An orange dy
with a thick edge
takes part. The derivation stands in <code>kernels/conv2d/__init__.py</code>.</p>
<style>
.cell.dx {{ border-color: var(--line); cursor: pointer; color: var(--ink); font-family: inherit }}
.cell.chosen, .cell.used {{ background: var(--mark); border-color: var(--orange); font-weight:
700 }}
.cell.window {{ border: 2px dashed var(--sky) }}
.cell.used.window {{ border: 3px solid var(--orange) }}
.cell.gap {{ color: var(--quiet); background: none }}
.terms {{ list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 0.3rem
0.6rem }}
.terms li {{ background: var(--soft); padding: 0 0.6rem; border-radius: 3px }}
</style>
"""


def data() -> dict:
    """x's size, dy and w, of which smaller sizes take the first rows and columns, and every dx."""
    rng = np.random.default_rng(5)
    small = np.array([-3, -2, -1, 1, 2, 3])
    dy = rng.choice(small, (SIDE + 2 * PADDINGS[-1], SIDE + 2 * PADDINGS[-1]))
    w = rng.choice(small, (KERNELS[-1], KERNELS[-1]))
    found = {
        f"{s},{p},{k}": input_gradient(dy, w[:k, :k], s, p).astype(int).tolist()
        for s in STRIDES
        for p in PADDINGS
        for k in KERNELS
    }
    return {"side": SIDE, "dy": dy.tolist(), "w": w.tolist(), "dx": found}


def input_gradient(dy: np.ndarray, w: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """dx (SIDE, SIDE) by minires' backward; of dy are taken as many as y has."""
    x = mr.Tensor(np.zeros((1, SIDE, SIDE, 1)), requires_grad=True)
    filters = mr.Tensor(w[:, :, None, None].astype(float))
    y = F.conv2d(x, filters, stride=stride, padding=padding)
    y.backward(dy[None, : y.shape[1], : y.shape[2], None].astype(float))
    return x.grad[0, :, :, 0]
