"""Draws the picture of the README, `house.svg`: the floors of minires and what stands around them.

    python docs/house.py

The picture brings its own background, so it can be read on a light and on a dark page; a browser
that prefers dark gets dark colours. It is 600 units wide with letters of 18, which a phone shows
about 10 pixels high.
"""

from pathlib import Path

WIDTH, MARGIN, ROW = 600, 24, 54
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SANS = "-apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"

STYLE = """
    .page { fill: #ffffff; stroke: #d0d7de }
    .roof, .floor { fill: #f3f5f8; stroke: #57606a }
    .core { fill: #ddf0ff; stroke: #0969da }
    .kernels { fill: #fff1d6; stroke: #9a6700 }
    .door { fill: #ffffff; stroke: #9a6700 }
    .shed { fill: #e9f6ec; stroke: #1a7f37 }
    text { fill: #1f2328 }
    .quiet { fill: #57606a }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d }
      .roof, .floor { fill: #1c2330; stroke: #9198a1 }
      .core { fill: #10304f; stroke: #4493f8 }
      .kernels { fill: #3a2a06; stroke: #d29922 }
      .door { fill: #0d1117; stroke: #d29922 }
      .shed { fill: #12301c; stroke: #3fb950 }
      text { fill: #f0f6fc }
      .quiet { fill: #b6bec8 }
    }
"""

SHEDS = (
    ("examples/", "short", "programs"),
    ("paper/", "tables and", "figures"),
    ("benchmarks/", "the race,", "its records"),
    ("tests/", "every", "promise"),
)
FLOORS = (  # lowest last
    ("floor", "training/", "the loop, runs, checkpoints"),
    ("floor", "models/  data/", "ResNets; CIFAR, shapes"),
    ("floor", "nn/  optim/", "layers; SGD, Adam"),
    ("floor", "functional.py", "operations by name"),
    ("core", "tensor.py function.py", "autodiff: start here"),
    ("floor", "backend.py", "which arrays and kernels"),
)
DOORS = (
    ("the", "contract"),
    ("NumPy", "reference"),
    ("Numba", "on a CPU"),
    ("CUDA", "C++"),
    ("Numba-", "CUDA"),
)


def text(x, y, words, size=18, anchor="start", mono=False, bold=False, kind=""):
    """One line of text."""
    weight = ' font-weight="600"' if bold else ""
    name = f' class="{kind}"' if kind else ""
    family = MONO if mono else SANS
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" font-family="{family}"'
        f'{weight}{name} xml:space="preserve">{words}</text>'
    )


def box(kind, x, y, width, height):
    """A rectangle."""
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="4" '
        'stroke-width="1.5"/>'
    )


def roof(y):
    """The command line, under the ridge."""
    left, right, middle = MARGIN - 12, WIDTH - MARGIN + 12, WIDTH // 2
    shape = f"{left},{y + 104} {middle - 60},{y} {middle + 60},{y} {right},{y + 104}"
    return [
        f'<polygon class="roof" points="{shape}" stroke-width="1.5" stroke-linejoin="round"/>',
        text(middle, y + 38, "minires", 21, "middle", mono=True, bold=True),
        text(middle, y + 66, "train  eval  info", 18, "middle", mono=True),
        text(middle, y + 91, "bench  reproduce", 18, "middle", mono=True),
    ]


def floors(y):
    """The rooms of `minires/`, one above the other."""
    shapes = []
    for kind, names, meaning in FLOORS:
        shapes += [
            box(kind, MARGIN, y, WIDTH - 2 * MARGIN, ROW),
            text(MARGIN + 14, y + 33, names, 18, mono=True, bold=True),
            text(WIDTH - MARGIN - 14, y + 33, meaning, 18, "end"),
        ]
        y += ROW
    return shapes


def kernels(y):
    """The floor of the arithmetic, with the files of one operation as its doors."""
    shapes = [
        box("kernels", MARGIN, y, WIDTH - 2 * MARGIN, 132),
        text(MARGIN + 14, y + 30, "kernels/", 18, mono=True, bold=True),
        text(WIDTH - MARGIN - 14, y + 30, "one folder per operation", 18, "end"),
    ]
    width = (WIDTH - 2 * MARGIN - 28) / len(DOORS)
    for number, lines in enumerate(DOORS):
        left = MARGIN + 14 + number * width
        shapes.append(box("door", left + 3, y + 46, width - 6, 72))
        for row, line in enumerate(lines):
            shapes.append(text(left + width / 2, y + 77 + 24 * row, line, 18, "middle"))
    return shapes


def sheds(y):
    """What stands beside the engine and uses it."""
    width = (WIDTH - 2 * MARGIN) / len(SHEDS)
    shapes = []
    for number, (name, *lines) in enumerate(SHEDS):
        left = MARGIN + number * width
        middle = left + width / 2
        shapes.append(box("shed", left + 3, y, width - 6, 88))
        shapes.append(text(middle, y + 28, name, 18, "middle", mono=True, bold=True))
        for row, line in enumerate(lines):
            shapes.append(text(middle, y + 53 + 22 * row, line, 18, "middle"))
    return shapes


def picture() -> str:
    """The whole picture, as SVG."""
    y = 20
    shapes = roof(y)
    y += 104
    shapes += floors(y)
    y += ROW * len(FLOORS)
    shapes += kernels(y)
    y += 132
    shapes += [
        box("floor", MARGIN, y, WIDTH - 2 * MARGIN, ROW),
        text(MARGIN + 14, y + 33, "cuda/", 18, mono=True, bold=True),
        text(WIDTH - MARGIN - 14, y + 33, "a GPU, or its emulator on the CPU", 18, "end"),
    ]
    y += ROW + 34
    middle = WIDTH // 2
    shapes.append(
        text(middle, y, "A file imports only from lower floors: a test checks.", 18, "middle",
             kind="quiet")
    )  # fmt: skip
    y += 20
    shapes += sheds(y)
    height = y + 88 + 24
    body = "\n  ".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img">\n'
        "  <title>The house of minires: floors, kernels, and what stands around them</title>\n"
        f"  <style>{STYLE}  </style>\n"
        f'  <rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
        f"  {body}\n</svg>\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("house.svg").write_text(picture(), encoding="utf-8")
