"""Sphinx's settings for the site; `python docs/site` lays the sources around this file."""

from docutils import nodes
from latex2mathml.converter import convert

project = "minires"
html_title = "minires"
extensions = ["myst_nb", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3
nb_execution_mode = "off"
html_theme = "pydata_sphinx_theme"
html_static_path = []
html_css_files = []
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "show_nav_level": 1,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
}
html_sidebars = {"**": ["sidebar-nav-bs"]}
copybutton_exclude = ".linenos, .gp, .go"
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type", "toc.not_included"]


def _mathml(self, node) -> None:
    """A formula as MathML, which browsers draw without a script and without fonts of their own."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    self.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def setup(app) -> None:
    """Formulas as MathML; a style sheet of our own."""
    app.config.html_math_renderer = "mathml"
    app.add_html_math_renderer("mathml", (_mathml, None), (_mathml, None))
    app.config.html_static_path = ["site.css"]
    app.config.html_css_files = ["site.css"]
