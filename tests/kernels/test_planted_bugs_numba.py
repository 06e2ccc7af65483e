"""The tests can fail: each of these bugs, planted into a kernel of Numba on the CPU, is caught."""

import importlib
import re
import sys

import pytest
from cases import CASES
from operation_checks import check_adam, check_augment, check_sgd
from planting import fails, mutate, plant

from minires import kernels

NUMBA_BUGS = [
    ("conv2d", "kernel, stride))[::-1]", "kernel, stride))", "filter not flipped in dx"),
    ("conv2d", "- 1 - position // stride", "- position // stride", "pad shifted in dx"),
    ("conv2d", "in range(min(stride[0], x_shape[1]))", "in range(1)", "rows left out at stride 2"),
    ("conv2d", "(before_h, before_v), (h, v)", "(before_v, before_h), (h, v)", "pads exchanged"),
    ("conv2d", "top, height = p0 * stride[0]", "top, height = p0", "stride of a block forgotten"),
    ("conv2d", "(part + 1) * tasks // parts)", "(part + 1) * tasks // parts - 1)", "a task lost"),
    ("conv2d", "clear(total, 0, total.size)", "pass", "sums not begun at zero"),
    ("conv2d", "lanes, width * lanes, 1)", "lanes, lanes, 1)", "vectors of channels overlap"),
    ("conv2d", "(kh, 1, 1, kw * c), c", "(kh, 1, 1, c), c", "columns of the filter left out"),
    ("batch_norm", "difference * difference * (", "0 * (", "variance between blocks left out"),
    (
        "batch_norm",
        "where_positive(load(y_flat, at), gradient)",
        "gradient",
        "ReLU not in backward",
    ),
    (
        "batch_norm",
        "gradient = where_positive(fma(centred, s, b), gradient)",
        "pass",
        "ReLU not in the sums",
    ),
    ("batch_norm", "du, parts).sum(axis=0)", "du, parts)[0]", "sums of the first part only"),
    (
        "batch_norm",
        "if training:\n                    rest",
        "if True:\n                    rest",
        "mean term in evaluation",
    ),
    ("batch_norm", "-scale * (dbeta / m)", "0 * scale", "batch norm's mean term dropped"),
    ("shortcut", "target, 0, len(target)", "target, 0, 0", "pixels between not cleared"),
    ("shortcut", "channels + low\n", "channels\n", "channels shifted in backward"),
    ("max_pool2d", "value > best", "value < best", "smallest value"),
    ("max_pool2d", "i * kernel[1] + j", "i * kernel[0] + j", "winner in a non-square window"),
    ("avg_pool2d", "dy[n, p, q, c] / (kernel[0] * kernel[1])", "dy[n, p, q, c]", "no mean"),
    ("avg_pool2d", "max(start, 0)", "max(start, 1)", "first row and column left out"),
    ("global_avg_pool2d", "dy / (h * w)", "dy / h", "share of a pixel too large"),
    ("cross_entropy", "- smoothing / classes) * share", ") * share", "smoothing not in backward"),
    ("cross_entropy", "* picked", "* picked / 2", "half of the loss"),
]

SHOWS = {  # the beginning of the case that shows a bug, where it is not the operation's first
    "rows left out at stride 2": "conv2d-(1, 7, 5, 2)",
    "pads exchanged": "conv2d-(1, 7, 6, 3)",
    "stride of a block forgotten": "conv2d-(1, 21, 24, 32)",
    "variance between blocks left out": "batch_norm-(3, 20, 10, 16)",
    "ReLU not in backward": "batch_norm-(2, 3, 5, 3)-train-relu",
    "ReLU not in the sums": "batch_norm-(2, 3, 3, 16)-train-relu",
    "sums of the first part only": "batch_norm-(3, 20, 10, 16)",
    "mean term in evaluation": "batch_norm-(2, 3, 3, 16)-eval",
    "winner in a non-square window": "max_pool2d-(1, 5, 6, 2)",
    "first row and column left out": "avg_pool2d-(1, 7, 5, 2)",
    "smoothing not in backward": "cross_entropy-3-4-smoothing0.1",
}


def cases_for(op: str, meaning: str) -> list:
    """The operation's cases, first the one that shows this bug: each may compile kernels anew."""
    cases = [case for case in CASES if case.op == op]
    return sorted(cases, key=lambda case: not str(case).startswith(SHOWS.get(meaning, "")))


def one_of_each(bugs: list[tuple], key) -> list:
    """The first bug of a file by default, the others by `-m slow`: each compiles kernels anew."""
    files = set()
    chosen = []
    for bug in bugs:
        marks = [pytest.mark.slow] if key(bug) in files else []
        chosen.append(pytest.param(*bug, marks=marks))
        files.add(key(bug))
    return chosen


@pytest.mark.parametrize(
    ("op", "right", "wrong", "meaning"), one_of_each(NUMBA_BUGS, lambda bug: bug[0])
)
def test_a_bug_planted_into_a_numba_kernel_is_caught(
    op, right, wrong, meaning, monkeypatch, tmp_path
):
    plant_numba(op, right, wrong, monkeypatch, tmp_path)
    assert any(map(fails, cases_for(op, meaning))), f"nobody noticed: {meaning}"


@pytest.mark.parametrize("op", sorted({bug[0] for bug in NUMBA_BUGS}))
def test_a_numba_kernel_planted_unchanged_passes(op, monkeypatch, tmp_path):
    """In the cases that show the bugs above: a copy that cannot run would fail there, too."""
    plant_numba(op, "", "", monkeypatch, tmp_path)
    shown = {cases_for(op, meaning)[0] for name, *_, meaning in NUMBA_BUGS if name == op}
    assert not any(map(fails, shown))


WINOGRAD_BUGS = [  # file of kernels/conv2d, right, wrong, meaning
    ("rows", "clear(image, at, before * c)", "pass", "border not cleared"),
    ("rows", "clear(image, at, window.width * c)", "pass", "rows outside not cleared"),
    ("rows", "in range(1, len(partial))", "in range(2, len(partial))", "a sum left out"),
    ("transforms", "a0 + a1 + a2)", "a0 + a1)", "a row left out of A^T m"),
    ("transforms", "b1 - b2 - b3)", "b1 - b2 + b3)", "sign in A^T m A"),
    ("transforms", "d20 - d10, d21", "d10 - d20, d21", "sign in B^T d"),
    ("transforms", "half * (top + bottom)", "half * top", "a row left out of G w"),
    ("transforms", "a - c, b - d)", "a + c, b + d)", "sign in A dy"),
    ("transforms", "both + load(du, (e + 3) * size + i)", "both", "an element left out of G^T du"),
    ("winograd", "(part + 1) * count // parts)", "(part + 1) * count // parts - 1)", "lost"),
    ("winograd", "clear(du, 0, du.size)", "pass", "sums not begun at zero"),
    ("winograd", "(c // LANES, LANES, k)", "(1, LANES, k)", "channels of dw left out"),
    ("winograd", "= places(v, c) * LANES, 1", "= LANES, 1", "vectors of channels overlap"),
    ("winograd", "p - before[0]", "p - before[1]", "pads exchanged"),
    ("winograd", "min(stop - strip, per_image - strip % per_image)", "stop - strip", "image's end"),
]
WINOGRAD_CASES = [
    case for case in CASES if re.match(r"conv2d-.*(16|32)\)-\(3, 3\)-(16|32)-stride1", str(case))
]
DIRECT_BUGS = [  # in numba_rows.py
    ("store(image, at + i * LANES", "store(image, at + 0 * LANES", "one pixel only"),
    ("clear(image, at, before * LANES)", "pass", "border not cleared"),
    ("clear(image, at + inside * LANES, after * LANES)", "pass", "border behind not cleared"),
    ("clear(image, at, window.width * LANES)", "pass", "rows outside not cleared"),
]
DIRECT_CASES = [
    case for case in CASES if re.match(r"conv2d-.*(16|32)\)-\(3, 3\)-(16|32)-stride2", str(case))
]
FUSED_CASES = [
    case
    for case in CASES
    if re.match(r"basic_block-.*(16|32)\)-(16|32)-1-\(3, 3\)-train", str(case))
]
FUSED_BUGS = [  # operation, file, right, wrong, meaning
    ("conv2d", "numba_rows", "clip_negative(u)", "u", "ReLU left out"),
    ("conv2d", "numba_rows", "load(x, origin + i) - m", "load(x, origin + i)", "no mean"),
    ("conv2d", "numba_rows", "rest = fma(f,", "rest = fma(k,", "coefficients exchanged"),
    ("conv2d", "numba_winograd", "height, last % strips * 2 + 2", "height, 2", "rows not summed"),
    ("conv2d", "numba_winograd", "last - first, mean", "1, mean", "blocks wrongly weighted"),
    (
        "conv2d",
        "numba_winograd",
        "    if len(addend):",
        "    if False:",
        "no dx + x",
    ),
    (
        "basic_block",
        "numba_cpu",
        "mean2, gamma2 *",
        "mean1, gamma2 *",
        "statistics of the other norm",
    ),
    (
        "basic_block",
        "numba_cpu",
        "sums_of(dy_rows, b_rows, mean2",
        "sums_of(dy_rows, b_rows, mean1",
        "mean",
    ),
    ("basic_block", "numba_cpu", "addend=du", "addend=dy", "shortcut's gradient past the ReLU"),
    ("basic_block", "numba_cpu", "=Normalization(mean1,", "=Normalization(mean2,", "other mean"),
]


@pytest.mark.parametrize(
    ("file", "right", "wrong", "meaning"), one_of_each(WINOGRAD_BUGS, lambda bug: bug[0])
)
def test_a_bug_planted_into_winograd_is_caught(file, right, wrong, meaning, monkeypatch, tmp_path):
    plant_below("conv2d", f"numba_{file}", right, wrong, monkeypatch, tmp_path)
    assert any(map(fails, WINOGRAD_CASES)), f"nobody noticed: {meaning}"


@pytest.mark.parametrize(
    ("right", "wrong", "meaning"), one_of_each(DIRECT_BUGS, lambda bug: "numba_rows")
)
def test_a_bug_planted_into_the_copy_of_vectors_is_caught(
    right, wrong, meaning, monkeypatch, tmp_path
):
    plant_below("conv2d", "numba_rows", right, wrong, monkeypatch, tmp_path)
    assert any(map(fails, DIRECT_CASES)), f"nobody noticed: {meaning}"


@pytest.mark.filterwarnings("ignore:invalid value")  # a planted variance below zero
@pytest.mark.parametrize(
    ("op", "file", "right", "wrong", "meaning"), one_of_each(FUSED_BUGS, lambda bug: bug[:2])
)
def test_a_bug_planted_into_the_fused_block_is_caught(
    op, file, right, wrong, meaning, monkeypatch, tmp_path
):
    plant_below(op, file, right, wrong, monkeypatch, tmp_path)
    assert any(map(fails, FUSED_CASES)), f"nobody noticed: {meaning}"


@pytest.mark.slow  # all layers compile anew, in both dtypes
def test_winograd_planted_unchanged_passes(monkeypatch, tmp_path):
    plant_below("conv2d", "numba_rows", "", "", monkeypatch, tmp_path)
    assert not any(map(fails, WINOGRAD_CASES + FUSED_CASES))


LAYERS = (
    ("conv2d", "numba_rows"),
    ("conv2d", "numba_transforms"),
    ("conv2d", "numba_winograd"),
    ("conv2d", "numba_cpu"),
    ("basic_block", "numba_cpu"),
)
"""Numba files of which each imports from those before it."""


def plant_below(op: str, file: str, right: str, wrong: str, monkeypatch, tmp_path) -> None:
    """Replace `right` by `wrong` in a copy of a file, and have copies of its users find it."""
    pytest.importorskip("numba", reason="Numba is not installed")
    from minires.kernels import jit

    monkeypatch.setattr(jit, "cache_directory", lambda: str(tmp_path))
    monkeypatch.setattr("minires.backend._current.process", "numba")
    originals = {
        layer: importlib.import_module(".".join(("minires.kernels", *layer))) for layer in LAYERS
    }
    copies = {}
    for layer in LAYERS[LAYERS.index((op, file)) :]:
        bug = (right, wrong) if layer == (op, file) else ("", "")
        module = originals[layer]
        copy = mutate(layer[0], *bug, monkeypatch, tmp_path / f"{'_'.join(layer)}.py", layer[1])
        monkeypatch.setitem(sys.modules, module.__name__, copy)
        package = sys.modules[module.__name__.rpartition(".")[0]]
        monkeypatch.setattr(package, layer[1], copy)
        copies[layer] = copy
    load = kernels.load

    def load_copy(o: str, f: str, *package: str):
        return copies.get((o, f)) or load(o, f, *package)

    monkeypatch.setattr(kernels, "load", load_copy)


NUMBA_SGD_BUGS = [
    ("momentum * v[i] + gradient", "v[i] + gradient", "momentum left out"),
    ("g[i] + decay * p[i]", "g[i]", "no weight decay"),
    ("lr * (gradient + momentum * v[i] if nesterov else v[i])", "lr * v[i]", "no Nesterov"),
]
NUMBA_ADAM_BUGS = [
    ("lr / (1 - beta1 ** int(t))", "lr", "no bias correction of the first moment"),
    ("        1 - beta2 ** int(t),", "        1,", "no bias correction of the second moment"),
    ("1 - lr * decay if decoupled else 1,", "1,", "no decoupled decay"),
    ("0 if decoupled else decay", "decay", "both decays at once"),
    ("sqrt(v[i] / correction2) + eps", "sqrt(v[i] / correction2 + eps)", "eps in the root"),
]
NUMBA_AUGMENT_BUGS = [
    ("width - 1 - q", "width - q", "flip shifted by a pixel"),
    ("0 <= h < height", "True", "rows outside of the image"),
    ("mean[h, w, c]", "mean[p, q, c]", "mean of another pixel"),
    ("images[chosen[n],", "images[n,", "another image"),
]


@pytest.mark.parametrize(("right", "wrong", "meaning"), NUMBA_SGD_BUGS)
def test_a_bug_planted_into_numbas_sgd_is_caught(right, wrong, meaning, monkeypatch, tmp_path):
    plant_numba("sgd", right, wrong, monkeypatch, tmp_path)
    with pytest.raises(AssertionError):
        check_sgd(nesterov=False)
        check_sgd(nesterov=True)


@pytest.mark.parametrize(("right", "wrong", "meaning"), NUMBA_ADAM_BUGS)
def test_a_bug_planted_into_numbas_adam_is_caught(right, wrong, meaning, monkeypatch, tmp_path):
    plant_numba("adam", right, wrong, monkeypatch, tmp_path)
    with pytest.raises(AssertionError):
        check_adam(decoupled=False)
        check_adam(decoupled=True)


@pytest.mark.parametrize(("right", "wrong", "meaning"), NUMBA_AUGMENT_BUGS)
def test_a_bug_planted_into_numbas_augment_is_caught(right, wrong, meaning, monkeypatch, tmp_path):
    plant_numba("augment", right, wrong, monkeypatch, tmp_path)
    with pytest.raises(AssertionError):
        check_augment()


def plant_numba(op: str, right: str, wrong: str, monkeypatch, tmp_path) -> None:
    """`plant` into the Numba kernel, and compute with it; the user's cache is left alone."""
    pytest.importorskip("numba", reason="Numba is not installed")
    from minires.kernels import jit

    monkeypatch.setattr(jit, "cache_directory", lambda: str(tmp_path))
    monkeypatch.setattr("minires.backend._current.process", "numba")
    plant(op, right, wrong, monkeypatch, tmp_path / f"{op}.py", "numba_cpu")
