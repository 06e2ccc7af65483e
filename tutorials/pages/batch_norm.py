"""The page of batch norm's dx: three terms that add up, and a sum that is zero."""

import numpy as np

import minires as mr
from minires import functional as F
from minires.tutorials.pages.base import choices

GAMMA, EPS = 1.5, 1e-5
X = (-2.0, -0.5, 0.4, 1.0, 1.5, 3.0)
DY = (-1.0, 1.0, -0.5, 0.5, 1.5, 2.0)

TITLE = "The three terms of batch norm's dx"
LEAD = """Drag a value of x, or focus its slider and press the arrow keys. Each bar shows what one
value of dx is made of: the direct term, the mean's and the variance's; the black or white line is
their sum. Notice that one x changes every dx, and that dx adds up to 0 over the batch."""

BODY = f"""
<div class="controls">
{choices("what", "The sliders move", {"x": "x", "dy": "dy"})}
<button id="again" type="button">Start again</button>
</div>
<ul class="keys">
<li><span class="key" style="background:var(--sky)"></span>direct: gamma inv_std dy</li>
<li><span class="key" style="background:var(--orange)"></span>mean: -gamma inv_std sum(dy) / M</li>
<li><span class="key" style="background:var(--green)"></span>variance:
-gamma inv_std x_hat sum(dy x_hat) / M</li>
</ul>
<div id="rows"></div>
<p class="status" role="status">Over the batch: direct <b id="sum-direct"></b>, mean <b
id="sum-mean"></b>,
variance <b id="sum-variance"></b>; together sum(dx) = <b id="sum-dx"></b>, and sum(dx x_hat) =
<b id="sum-hat"></b></p>
<p class="quiet">mean <span id="mean"></span>, variance <span id="var"></span>, gamma {GAMMA}.
The mean's term
takes away what would move all values together, the variance's term what would only stretch them:
neither would
change y. The derivation stands in <code>kernels/batch_norm/__init__.py</code>. <span
id="checked"></span></p>
<style>
.keys {{ list-style: none; padding: 0; margin: 0 0 1rem; display: flex; flex-wrap: wrap;
  gap: 0 1.2rem }}
.row {{ display: flex; flex-wrap: wrap; align-items: center; gap: 0 1rem; margin-bottom: 0.4rem }}
.row label {{ display: flex; align-items: center; gap: 0.5rem; flex: 1 1 17rem }}
.row input {{ flex: 1 }}
.row output {{ min-width: 3rem; text-align: right; font-variant-numeric: tabular-nums }}
.row svg {{ flex: 2 1 20rem; min-width: 0 }}
.row .dx {{ min-width: 7.5rem; text-align: right; font-variant-numeric: tabular-nums }}
</style>
"""


def data() -> dict:
    """The batch; and dx of it and of batches with one value moved, to check the script against."""
    batches = [X] + [(*X[:i], value, *X[i + 1 :]) for i in range(len(X)) for value in (-4.0, 4.0)]
    checks = [{"x": x, "dx": [round(v, 9) + 0.0 for v in input_gradient(x, DY)]} for x in batches]
    return {"x": X, "dy": DY, "gamma": GAMMA, "eps": EPS, "checks": checks}


def input_gradient(x, dy) -> list[float]:
    """dx by minires' backward, for one channel."""
    values = mr.Tensor(np.array(x, dtype=float)[:, None], requires_grad=True)
    channel = (mr.Tensor(np.full(1, GAMMA)), mr.Tensor(np.zeros(1)))
    y = F.batch_norm(values, *channel, np.zeros(1), np.ones(1), training=True, eps=EPS)
    y.backward(np.array(dy, dtype=float)[:, None])
    return np.asarray(values.grad)[:, 0].tolist()
