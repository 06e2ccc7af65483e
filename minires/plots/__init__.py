"""Pictures: learning curves, filters, gradients, the recorded graph, a roofline.

>>> plots.curves({"train": losses}, x="iteration", y="loss", alt="The loss falls from 2.3 to 0.4.")
>>> plots.show(loss)  # the graph that backward walks

Most functions return a `Picture`, which a notebook shows, in light and in dark, and which
`Picture.save` writes to a file. `panels`, `bars` and `learning_curves` return PNG bytes for files
of results. matplotlib is imported when a picture is asked for.
"""

from minires.plots.diagnosis import gradient_norms, layer_responses, loss_surface, roofline
from minires.plots.graph import show
from minires.plots.images import confusion_matrix, feature_maps, filters, heat, images
from minires.plots.panels import Line, Panel, bars, learning_curves, panels, png
from minires.plots.picture import COLORS, Drawing, Picture, canvas, curves
from minires.plots.sources import source

__all__ = [
    "COLORS",
    "Drawing",
    "Line",
    "Panel",
    "Picture",
    "bars",
    "canvas",
    "confusion_matrix",
    "curves",
    "feature_maps",
    "filters",
    "gradient_norms",
    "heat",
    "images",
    "layer_responses",
    "learning_curves",
    "loss_surface",
    "panels",
    "png",
    "roofline",
    "show",
    "source",
]
