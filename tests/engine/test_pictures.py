"""Pictures say what they show, fit light and dark pages, and tell the truth about a graph."""

import base64
import re

import numpy as np
import pytest

import minires as mr
from minires import functional as F
from minires import nn, plots
from minires.kernels import ladders


def drawn(picture) -> str:
    """The SVG that a notebook shows."""
    data = re.search(r"base64,([^\"]+)", picture._repr_html_())[1]
    return base64.b64decode(data).decode()


class Cut(nn.Module):
    """A network whose graph is cut in the middle."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x):
        self.hidden = F.relu(self.first(x))
        return self.last(mr.tensor(self.hidden.data))


def test_a_picture_needs_an_alternative_text():
    figure, _ = plots.canvas()
    with pytest.raises(ValueError, match="alt, a sentence that says what it shows"):
        plots.Picture(figure, "  ")


def test_a_picture_has_its_text_and_both_inks():
    picture = plots.curves({"a": [3, 2, 1]}, "step", "loss", 'It "falls" from 3 to 1.')
    assert "It &quot;falls&quot; from 3 to 1." in picture._repr_html_()
    svg = drawn(picture)
    assert "prefers-color-scheme:dark" in svg and "var(--ink)" in svg and "var(--paper)" in svg
    assert ">step</text>" in svg and ">loss</text>" in svg
    assert (
        plots.curves({"a": [3, 2, 1]}, "step", "loss", "It falls.").svg == svg
    )  # the same each time


@pytest.mark.parametrize(
    "kind, start", ((".svg", b"<svg"), (".png", b"\x89PNG"), (".pdf", b"%PDF"))
)
def test_a_picture_is_saved_as(kind, start, tmp_path):
    picture = plots.curves({"a": [3, 2, 1]}, "step", "loss", "It falls.")
    assert picture.save(tmp_path / f"p{kind}").read_bytes().startswith(start)
    with pytest.raises(ValueError, match=r"p.gif: Picture is saved as .svg, .png or .pdf"):
        picture.save(tmp_path / "p.gif")


def test_curves_of_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="'a' has 2 x values but 3 y values"):
        plots.curves({"a": ([1, 2], [1, 2, 3])}, "x", "y", "Nothing.")


def test_show_draws_functions_leaves_and_gradients():
    w = mr.tensor(np.array([3.0, 4.0]), requires_grad=True)
    y = (w * w).sum()
    svg = drawn(plots.show(y))
    assert ">mul</text>" in svg and ">sum</text>" in svg
    assert svg.count("leaf 2  |g| 5</text>") == 2  # w is used twice, each with gradient (3, 4)
    assert w.grad is None
    y.backward()  # the graph is still there
    assert np.allclose(w.grad, [6, 8])


def test_show_marks_a_cut_and_what_no_gradient_reaches():
    net = Cut()
    loss = F.cross_entropy(net(mr.tensor(np.ones((2, 3), "f4"))), np.array([0, 1]))
    picture = plots.show(loss, net)
    assert "none reaches first.weight, first.bias" in picture.alt
    assert "CUT: 2x5, copied from the result of relu" in drawn(picture)
    whole = nn.Sequential(net.first, nn.ReLU(), net.last)
    loss = F.cross_entropy(whole(mr.tensor(np.ones((2, 3), "f4"))), np.array([0, 1]))
    assert "reaches" not in plots.show(loss, whole).alt


def test_show_marks_a_gradient_of_zero():
    w = mr.tensor(np.array([-1.0]), requires_grad=True)
    svg = drawn(plots.show(F.relu(w).sum()))
    red = plots.COLORS[1]
    assert re.search(rf'fill:{red}"[^>]*>leaf 1  \|g\| 0<', svg)


def test_show_says_why_there_is_nothing_to_draw():
    with pytest.raises(ValueError, match="nothing is recorded here"):
        plots.show(mr.tensor([1.0]))
    y = mr.tensor([1.0], requires_grad=True).sum()
    y.backward()
    with pytest.raises(ValueError, match="used up this graph; call show before it"):
        plots.show(y)


def test_show_draws_the_nearest_functions_of_a_deep_graph():
    x = mr.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(50):
        y = y * 2
    svg = drawn(plots.show(y.sum(), most=10))
    assert svg.count("font-weight") == 10 and "41 Functions further from the result" in svg


def test_a_confusion_matrix_counts():
    picture = plots.confusion_matrix([0, 0, 1], [0, 1, 1], "One of three is wrong.", ["cat", "dog"])
    svg = drawn(picture)
    assert ">cat</text>" in svg and ">predicted</text>" in svg and ">true class</text>" in svg
    fields = re.findall(r"text-anchor: middle[^>]*>(\d)</text>", svg)
    assert fields == ["1", "1", "0", "1"]


def test_images_of_any_kind():
    rng = np.random.default_rng(0)
    photographs = rng.integers(0, 255, (3, 8, 8, 3)).astype(np.uint8)
    assert drawn(plots.images(photographs, "Three.", ["a", "b", "c"])).count("<image") == 3
    assert drawn(plots.filters(rng.random((3, 3, 3, 5)), "Five.")).count("<image") == 5
    assert (
        drawn(plots.feature_maps(mr.tensor(rng.random((1, 8, 8, 4))), "Four.")).count("<image") == 4
    )


def test_gradient_norms_by_depth():
    net = mr.models.build("plain8", 10)
    with pytest.raises(ValueError, match="plain has no gradients yet"):
        plots.gradient_norms({"plain": net}, "Nothing.")
    x = mr.tensor(np.ones((2, 32, 32, 3), "f4"))
    F.cross_entropy(net(x), np.array([0, 1])).backward()
    assert "norm of its weights' gradient" in drawn(
        plots.gradient_norms({"plain": net}, "It falls.")
    )


def test_a_loss_surface_leaves_the_weights_alone():
    net = nn.Linear(3, 2)
    before = net.weight.data.copy()
    x, labels = mr.tensor(np.ones((4, 3), "f4")), np.array([0, 1, 0, 1])
    surface = plots.loss_surface(
        {"linear": net}, lambda n: F.cross_entropy(n(x), labels).item(), "A valley.", points=3
    )
    assert np.array_equal(net.weight.data, before)
    assert "first direction" in drawn(surface)


def test_a_roofline_names_its_limits():
    svg = drawn(plots.roofline({"add": (0.1, 2.0)}, 100, 20, "add is bound by memory."))
    assert "100 GFLOP/s" in svg and "20 GB/s" in svg and ">add</text>" in svg


def test_source_shows_code_by_name():
    shown = plots.source(mr.Tensor.backward, start="if gradient is None", lines=2)
    assert shown.place.startswith("minires/tensor.py:")
    assert shown.text.startswith("if gradient is None:\n    if self.size")
    assert shown._repr_markdown_().startswith("`minires/tensor.py:")
    with pytest.raises(ValueError, match="no line of .* contains 'nowhere'"):
        plots.source(mr.Tensor.backward, start="nowhere")


def test_source_shows_a_file_of_another_language():
    path = ladders.rungs("conv2d")[0].path.with_suffix(".cu")
    shown = plots.source(path, start="float sum = 0", lines=2)
    assert shown.place.startswith("kernels/conv2d/ladder/v1_naive.cu:")
    assert repr(shown).startswith("// kernels/") and "```cuda\nfloat sum" in shown._repr_markdown_()
