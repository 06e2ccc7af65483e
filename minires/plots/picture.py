"""Picture: a drawing with a text that says what it shows, readable on light and on dark pages.

>>> figure, axes = canvas()
>>> axes.plot(x, y)
>>> Picture(figure, alt="The error grows with the square of the step.")

A picture is SVG with two inks: where the reader's system is set to dark, paper and ink change
places. It brings its own paper, so it can be read on any page.
"""

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

INK, PAPER = "#0a0b0c", "#fafbfc"
"""Colours that stand for the page's own; `themed` exchanges them."""

FRAME = "#808890"
"""A grey that can be seen on both."""

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours that the colour-blind can tell apart (Okabe and Ito, 2008), in the order of use."""

_STYLE: Any = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": "cividis",
    "svg.fonttype": "none",
    "svg.hashsalt": "minires",
}
_SHEET = (
    "svg{--ink:#1c1e21;--paper:#ffffff}"
    "@media (prefers-color-scheme:dark){svg{--ink:#e4e6e9;--paper:#15181c}}"
    "text{fill:var(--ink)}"
)


class Drawing:
    """SVG text and what it shows in words; a notebook shows it as a picture.

    Parameters
    ----------
    svg : str
        A whole <svg> element, with `INK` and `PAPER` where the page's own colours belong.
    alt : str
        What the picture shows, for who cannot see it: the finding, in a sentence.

    Raises
    ------
    ValueError
        Without an alternative text.
    """

    def __init__(self, svg: str, alt: str):
        if not alt.strip():
            raise ValueError("a picture needs alt, a sentence that says what it shows")
        self.alt = " ".join(alt.split())
        self.svg = themed(svg)

    def __repr__(self) -> str:
        return f"picture: {self.alt}"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.svg.encode()).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" style="max-width:100%" '
            f'src="data:image/svg+xml;base64,{data}">'
        )

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file.

        Parameters
        ----------
        path : str or Path
            Its name ends in .svg.

        Raises
        ------
        ValueError
            Another kind of file.
        """
        path = Path(path)
        if path.suffix != ".svg":
            raise ValueError(f"{path.name}: {type(self).__name__} is saved as {self._kinds()}")
        path.write_text(self.svg, encoding="utf-8")
        return path

    def _kinds(self) -> str:
        return ".svg"


class Picture(Drawing):
    """A matplotlib figure with a text that says what it shows.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn on a `canvas`.
    alt : str
    """

    def __init__(self, figure, alt: str):
        import matplotlib

        self.figure = figure
        text = io.StringIO()
        with matplotlib.rc_context(_STYLE):
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        super().__init__(text.getvalue(), alt)

    def save(self, path: str | Path) -> Path:
        """Write the picture to a .svg, .png or .pdf file."""
        path = Path(path)
        if path.suffix not in (".png", ".pdf"):
            return super().save(path)
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            self.figure.savefig(path, dpi=150, metadata={"Title": self.alt})
        return path

    def _kinds(self) -> str:
        return ".svg, .png or .pdf"


def themed(svg: str) -> str:
    """The <svg> element alone, its ink and paper those of the reader's page."""
    svg = svg[svg.index("<svg") :]
    svg = svg.replace(INK, "var(--ink)").replace(PAPER, "var(--paper)")
    sans = "'DejaVu Sans',Verdana,sans-serif"
    svg = re.sub(r"(font:[^;\"]*?px )'DejaVu Sans'[^;\"]*", rf"\1{sans}", svg)
    return svg.replace(">", f"><style>{_SHEET}</style>", 1)


def canvas(rows: int = 1, columns: int = 1, width: float = 6.4, height: float = 3.4, **options):
    """An empty figure and its axes, in the project's style.

    Parameters
    ----------
    rows, columns : int
        How many coordinate systems.
    width, height : float
        Inches.
    **options
        Of `Figure.subplots`: ``sharex=True``.

    Returns
    -------
    figure : Figure
    axes : Axes, or array of Axes
    """
    import matplotlib
    from cycler import cycler
    from matplotlib.figure import Figure

    style: Any = {**_STYLE, "axes.prop_cycle": cycler(color=COLORS)}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, **options)
    return figure, axes


def curves(
    lines: Mapping[str, Sequence],
    x: str,
    y: str,
    alt: str,
    title: str = "",
    log: str = "",
    marks: str = "",
) -> Picture:
    """Lines in one coordinate system.

    Parameters
    ----------
    lines : dict
        Name -> the values over 0, 1, 2, ...; or (xs, ys).
    x, y : str
        What the axes show, with the unit.
    alt : str
        The finding, in a sentence.
    title : str
    log : str
        Logarithmic axes: "x", "y" or "xy".
    marks : str
        matplotlib's sign for each point, such as "o".

    Raises
    ------
    ValueError
        A line whose xs and ys differ in length.
    """
    figure, axes = canvas()
    styles = ("-", "--", "-.", ":")
    for i, (name, values) in enumerate(lines.items()):
        xs, ys = values if isinstance(values, tuple) else (range(len(values)), values)
        if len(xs) != len(ys):
            raise ValueError(f"curves: {name!r} has {len(xs)} x values but {len(ys)} y values")
        style = (
            styles[i // len(COLORS) % len(styles)] if len(lines) > len(COLORS) else styles[i % 4]
        )
        axes.plot(xs, ys, label=name, linestyle=style, marker=marks or None, markersize=4)
    axes.set(xlabel=x, ylabel=y, title=title)
    for axis in log:
        getattr(axes, f"set_{axis}scale")("log")
    if len(lines) > 1 or any(lines):
        axes.legend()
    axes.grid(alpha=0.25)
    return Picture(figure, alt)
