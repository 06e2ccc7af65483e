"""The page of a warp's loads: which numbers its lanes ask for, and which sectors move for it.

A warp's request moves whole sectors of 32 bytes. The addresses are computed from the indexing of
the kernels of `kernels/conv2d/ladder`; a test holds their sums to what the emulator counts.
"""

from pathlib import Path

import numpy as np

from minires.kernels.conv2d import ladder
from minires.tutorials.pages.base import choices, slider

SHAPE = ((1, 10, 10, 16), (3, 3), 64, (1, 1), (0, 0))
SIDE, CHANNELS, FILTERS, OUT, TERMS = 10, 16, 64, 8, 144
LINES = {  # rung -> a piece of the line that loads x, and of the one that loads w
    "v1_naive": ("image[(h * width + v)", "w[((i * kernel_w + j)"),
    "v2_coalesced": ("image[(h * width + v)", "w[((i * kernel_w + j)"),
    "v3_shared": ("in_x ? x[", "in_w ? w["),
    "v4_registers": ("load4(place)", "load4(w + term"),
    "v5_tensor_cores": ("inside ? x[", "row < terms && k < filters ? w["),
}

TITLE = "A warp's 32 loads on memory sectors"
LEAD = """Choose a kernel of the ladder, then move through its loads with the sliders. Each box is a
sector of 32 bytes, eight numbers; memory moves whole sectors. Notice how many of the numbers
that move are wanted (orange), and how many loads each kernel needs."""

BODY = f"""
<div class="controls">
{choices("rung", "Kernel", {name: name.replace("_", " ") for name in LINES})}
{choices("array", "Loads of", {"x": "x, the image", "w": "w, the filter"})}
</div>
<div class="controls">
{slider("warp", "warp", 0, 7, 0)}
{slider("load", "load", 0, 143, 0)}
{slider("lane", "lane", 0, 31, 0)}
</div>
<pre class="mono" id="line"></pre>
<p class="status" role="status" id="sentence"></p>
<div class="panels">
<section class="panel" style="flex: 1 1 18rem; max-width: 24rem">
<h2>The 32 lanes</h2><div id="lanes"></div></section>
<section class="panel" style="flex: 2 1 21rem; max-width: 34rem">
<h2>The sectors that move</h2><div id="memory"></div></section>
</div>
<h2>The whole launch</h2>
<div class="scroll" tabindex="0" role="region" aria-label="The whole launch, kernel by
kernel"><table>
<thead><tr><th>kernel</th><th>loads</th><th>asked for, kB</th><th>moved, kB</th><th>once each,
kB</th></tr></thead>
<tbody id="table"></tbody></table></div>
<p class="quiet">The first block of a convolution of 10 x 10 pixels with 16 channels, 3 x 3
filters, 64 of them. In a
sector, a number is the lane that asks for it, and "x16" means 16 lanes. Loads are those of whole
warps; "once each" is what would move if caches
kept everything. The emulator counts the same sums.</p>
"""


def window(pixel, term):
    """Which element of x is the term (i, j, c) of a pixel of y."""
    p, q = pixel // OUT, pixel % OUT
    i, j, c = term // CHANNELS // 3, term // CHANNELS % 3, term % CHANNELS
    return ((p + i) * SIDE + q + j) * CHANNELS + c


def loads(rung: str) -> dict[str, tuple[np.ndarray, int]]:
    """For x and w: the elements that lanes ask for, and how many at once (1, or 4 by load4).

    The elements have the axes (blocks along x, blocks along y, warps, loads, lanes).
    """
    block_x, block_y, t = np.ogrid[:4, :4, :256]
    term = np.arange(TERMS)
    start = np.arange(0, TERMS, 16)
    if rung in ("v1_naive", "v2_coalesced"):
        along_x, along_y = (t % 16, t // 16) if rung == "v1_naive" else (t // 16, t % 16)
        pixel, k = block_x * 16 + along_x, block_y * 16 + along_y
        x, w = window(pixel[..., None], term), term * FILTERS + k[..., None]
        return {"x": (_warps(x, 4), 1), "w": (_warps(w, 4), 1)}
    if rung == "v3_shared":
        pixel, k = block_x * 16 + t // 16, block_y * 16 + t % 16
        x = window(pixel[..., None], start + (t % 16)[..., None])
        w = (start + (t // 16)[..., None]) * FILTERS + k[..., None]
        return {"x": (_warps(x, 4), 1), "w": (_warps(w, 4), 1)}
    if rung == "v4_registers":
        t = np.arange(256)[None, None, :, None]
        x = window(t // 4, start + t % 4 * 4)
        w = (start + t // 16) * FILTERS + t % 16 * 4
        return {"x": (_warps(x, 1), 4), "w": (_warps(w, 1), 4)}
    t, block_y = np.arange(128)[None, None, :, None, None], np.arange(2)[None, :, None, None, None]
    start = start[:, None]
    x = window(t // 16 + 8 * np.arange(8), start + t % 16)
    e = t + 128 * np.arange(4)
    w = (start + e // 32) * FILTERS + block_y * 32 + e % 32
    return {
        name: (_warps(array.reshape(*array.shape[:3], -1), 1, 2), 1)
        for name, array in (("x", x), ("w", w))
    }


def _warps(elements, blocks_x: int, blocks_y: int = 0) -> np.ndarray:
    """From (blocks x, blocks y, threads, loads), broadcast, to the axes of `loads`."""
    threads, count = elements.shape[2:]
    every = np.broadcast_to(elements, (blocks_x, blocks_y or blocks_x, threads, count))
    return every.reshape(*every.shape[:2], threads // 32, 32, count).swapaxes(-1, -2)


def sums(rung: str) -> dict[str, int]:
    """What the launch asks for, in the words of `minires.cuda.Counts`."""
    found = dict.fromkeys(("loads", "bytes_loaded", "sectors_loaded", "distinct_loaded"), 0)
    for elements, size in loads(rung).values():
        sectors = np.sort(elements.reshape(-1, 32) // 8, axis=1)  # load4 stays within one
        found["loads"] += len(sectors)
        found["bytes_loaded"] += 4 * size * elements.size
        found["sectors_loaded"] += len(sectors) + int((np.diff(sectors) != 0).sum())
        found["distinct_loaded"] += len(np.unique(sectors))
    return found


def data() -> dict:
    """For each rung its lines, its sums, and the first block's loads: lane 0, and a pattern."""
    return {name: {"sums": sums(name), **_first_block(name)} for name in LINES}


def _first_block(rung: str) -> dict:
    found = {}
    for (name, (elements, size)), piece in zip(loads(rung).items(), LINES[rung], strict=True):
        first = elements[0, 0]
        patterns, which = np.unique(
            (first - first[..., :1]).reshape(-1, 32), axis=0, return_inverse=True
        )
        found[name] = {
            "line": source_line(rung, piece),
            "size": size,
            "first": first[..., 0].tolist(),
            "patterns": patterns.tolist(),
            "which": which.reshape(first.shape[:2]).tolist() if len(patterns) > 1 else None,
        }
    return found


def source_line(rung: str, piece: str) -> str:
    """The line of the kernel that holds this piece.

    Raises
    ------
    ValueError
        The kernel has no such line, or several.
    """
    text = (Path(ladder.__file__).parent / f"{rung}.cu").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if piece in line]
    if len(lines) != 1:
        raise ValueError(f"{rung}.cu has {len(lines)} lines with {piece!r}, not one")
    return lines[0]
