"""The tests can fail: each of these bugs, planted into a kernel or the engine, is caught."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from cases import CASES
from test_loader import check_augment
from test_operations import check_backward, check_forward, check_sgd

from minires import kernels

BUGS = [  # operation, what is right, what is planted, what that means
    ("batch_norm", "dx -= dbeta / m\n", "pass\n", "batch norm's mean term dropped"),
    ("batch_norm", "du - x_hat * (dgamma / m)", "du.copy()", "batch norm's variance term dropped"),
    (
        "batch_norm",
        "du = dy if y is None else xp.where(y > 0, dy, 0)",
        "du = dy",
        "fused ReLU not in backward",
    ),
    ("batch_norm", "dgamma, dbeta, du", "dgamma, dbeta, dy", "residual gradient past the ReLU"),
    (
        "batch_norm",
        "dx = du * (gamma * inv_std)",
        "dx = du * inv_std",
        "gamma left out in evaluation",
    ),
    ("batch_norm", "xp.sqrt(var + eps)", "xp.sqrt(var) + eps", "epsilon outside the root"),
    ("batch_norm", "y += residual", "y = y + 2 * residual", "residual added twice"),
    (
        "conv2d",
        "(pad_image(x, padding), w",
        "(pad_image(x, padding)[:, ::-1], w",
        "image upside down",
    ),
    (
        "conv2d",
        "convolve(pad_image(x, padding)",
        "convolve(pad_image(x, padding[::-1])",
        "H and W pad swapped",
    ),
    (
        "conv2d",
        "ph : ph + h + kh - 1",
        "max(ph - 1, 0) : max(ph - 1, 0) + h + kh - 1",
        "pad shifted in dx",
    ),
    (
        "conv2d",
        "(n, h + 2 * ph + kh - 1,",
        "(n, (ho - 1) * sh + 2 * kh - 1,",
        "stride remainder forgotten",
    ),
    ("conv2d", "w[::-1, ::-1]", "w", "filter not flipped in the input gradient"),
    ("conv2d", "w[::-1, ::-1]", "w[::-1]", "filter flipped in one axis only"),
    ("conv2d", "transpose(0, 1, 3, 2)", "transpose(1, 0, 3, 2)", "filter axes exchanged"),
    ("conv2d", "dw += ", "dw = ", "weight gradient of the last block only"),
    (
        "conv2d",
        "kh - 1 : kh - 1 + ho * sh : sh, kw",
        "kh - 1 : kh - 1 + ho, kw",
        "stride left out in dx",
    ),
    ("max_pool2d", "reached += xp", "reached[...] = xp", "overlapping windows overwrite"),
    ("max_pool2d", "-np.inf", "0.0", "padding counts as zero"),
    ("max_pool2d", "i * kw + j", "i * kh + j", "winner's position wrong in a non-square window"),
    ("avg_pool2d", "] += share", "] = share", "overlapping windows overwrite"),
    ("avg_pool2d", "dy / (kh * kw)", "dy / kh", "share of a pixel too large"),
    ("global_avg_pool2d", "dy / (h * w)", "dy / h", "share of a pixel too large"),
    (
        "batch_norm",
        "(dx, dgamma, dbeta, du) if",
        "(dx, dgamma, dbeta, 0 * du) if",
        "one of two residual gradients dropped",
    ),
    ("relu", "y > 0", "y >= 0", "gradient where the ReLU is closed"),
    (
        "add",
        "unbroadcast(dc, shape) for shape in saved",
        "dc for shape in saved",
        "no broadcast sum",
    ),
    (
        "add",
        "return tuple(unbroadcast(dc, shape) for shape in saved)",
        "return unbroadcast(dc, saved[0]), 0 * unbroadcast(dc, saved[1])",
        "one operand's gradient dropped",
    ),
    (
        "binary",
        "unbroadcast(_right(dc, a, b, c, kind), b_shape)",
        "_right(dc, a, b, c, kind)",
        "no broadcast sum",
    ),
    ("binary", "return -dc\n", "return dc\n", "sign of a difference"),
    ("binary", "-dc * c / b", "-dc / b", "quotient rule"),
    (
        "binary",
        "where(b == 0, 1, b - 1)",
        "where(b == 0, 1, b)",
        "exponent of a power's derivative",
    ),
    ("unary", "1 - value * value", "1 - value", "derivative of tanh"),
    ("unary", "dy / (2 * value)", "dy / value", "derivative of the root"),
    (
        "matmul",
        "b.swapaxes(-1, -2), a.shape",
        "b.swapaxes(-1, -2) * 2, a.shape",
        "factor in a product",
    ),
    (
        "matmul",
        "unbroadcast(a.swapaxes(-1, -2) @ dc, b.shape)",
        "a.swapaxes(-1, -2) @ dc",
        "no broadcast sum",
    ),
    ("reduce", "dy / prod(shape[i] for i in axis)", "dy", "mean differentiated as a sum"),
    ("reduce", "return (winners * (dy /", "return (1 * (dy /", "maximum's gradient to everyone"),
    ("index", "xp.add.at(dx, key, dy)", "dx[key] = dy", "an element picked twice counted once"),
    (
        "linear",
        "x.reshape(-1, w.shape[0]).T @ dy.reshape(-1, w.shape[1])",
        "x.reshape(-1, w.shape[0])[:1].T @ dy.reshape(-1, w.shape[1])[:1]",
        "first row only",
    ),
    ("linear", "column_sum(dy))", "column_sum(dy) / len(dy))", "bias gradient averaged"),
    ("cross_entropy", "dz *= dloss / n", "dz *= dloss", "mean differentiated as a sum"),
    ("cross_entropy", "p - label_smoothing / k", "p", "smoothing not in backward"),
    ("cross_entropy", "-= 1 - label_smoothing", "-= 1", "target of the label not smoothed"),
    ("dropout", "return (_scale(dy, keep, p),)", "return (dy * keep,)", "scale not in backward"),
    (
        "shortcut",
        "dy[..., low : low + shape[3]]",
        "dy[..., : shape[3]]",
        "channels shifted in backward",
    ),
    ("shortcut", "(channels - x.shape[3]) // 2", "0", "all zero channels behind"),
]


@pytest.mark.parametrize(("op", "right", "wrong", "meaning"), BUGS, ids=[bug[3] for bug in BUGS])
def test_a_planted_bug_is_caught(op, right, wrong, meaning, monkeypatch):
    plant(op, right, wrong, monkeypatch)
    assert any(_fails(case) for case in CASES if case.op == op), f"nobody noticed: {meaning}"


@pytest.mark.parametrize("op", sorted({case.op for case in CASES}))
def test_a_kernel_planted_unchanged_passes(op, monkeypatch):
    """Otherwise the test above would prove nothing: anything fails that cannot run."""
    plant(op, "", "", monkeypatch)
    assert not any(_fails(case) for case in CASES if case.op == op)


ENGINE_BUGS = [  # what is right in function.py, what is planted, what that means
    (
        "xp.asarray(total)",
        "gradient",
        "an input used twice counted once",
    ),
    ("return finished[::-1]", "return finished", "outputs after what they depend on"),
    ("_recording and tensor.requires_grad", "tensor.requires_grad", "recorded inside no_grad"),
    ("gradient = graph.copied(gradient)", "pass", "two leaves share one array"),
    ("if fingerprint(saved) != before", "if False", "in-place changes unnoticed"),
]


@pytest.mark.parametrize(
    ("right", "wrong", "meaning"), ENGINE_BUGS, ids=[bug[2] for bug in ENGINE_BUGS]
)
def test_a_bug_planted_into_the_engine_is_caught(right, wrong, meaning, tmp_path):
    status, output = run_the_engines_tests(tmp_path, right, wrong)
    assert status == 1 and "failed" in output, f"nobody noticed: {meaning}"


def test_the_engine_planted_unchanged_passes(tmp_path):
    status, output = run_the_engines_tests(tmp_path, "", "")
    assert status == 0, output


def run_the_engines_tests(folder: Path, right: str, wrong: str) -> tuple[int, str]:
    """In a copy of the project with `right` replaced by `wrong` in function.py."""
    root = Path(__file__).parents[1]
    for part, place in (("minires", ""), ("tests", ""), ("kernels", "minires")):
        shutil.copytree(root / part, folder / place / part, copy_function=shutil.copyfile)
    engine = folder / "minires" / "function.py"
    source = engine.read_text()
    assert right in source, f"minires/function.py no longer contains {right!r}"
    engine.write_text(source.replace(right, wrong))
    tests = [f"tests/test_{name}.py" for name in ("backward", "in_place", "gradcheck")]
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return run.returncode, run.stdout


SGD_BUGS = [
    ("v *= momentum", "pass", "no momentum"),
    ("g = g + decay * p", "g = g + p", "weight decay not scaled"),
    ("lr * (g + momentum * v if nesterov else v)", "lr * v", "Nesterov left out"),
    ("g = g + decay * p", "g += decay * p", "gradients changed in place"),
]
AUGMENT_BUGS = [
    ("crops[:, :, ::-1]", "crops[:, ::-1]", "flipped upside down"),
    ("offsets[:, 0], offsets[:, 1]", "offsets[:, 1], offsets[:, 0]", "offsets exchanged"),
    ("z -= mean", "z *= 1", "mean not subtracted"),
    (
        "pad_image(normalize(images, chosen, mean, inv_std, dtype), (pad, pad))",
        "normalize(pad_image(images, (pad, pad)), chosen, mean[:1, :1], inv_std[:1, :1])",
        "padded before normalising",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "meaning"), SGD_BUGS, ids=[b[2] for b in SGD_BUGS])
def test_a_bug_planted_into_sgd_is_caught(right, wrong, meaning, monkeypatch):
    plant("sgd", right, wrong, monkeypatch)
    with pytest.raises(AssertionError):
        check_sgd(nesterov=False)
        check_sgd(nesterov=True)


@pytest.mark.parametrize(
    ("right", "wrong", "meaning"), AUGMENT_BUGS, ids=[b[2] for b in AUGMENT_BUGS]
)
def test_a_bug_planted_into_augment_is_caught(right, wrong, meaning, monkeypatch):
    plant("augment", right, wrong, monkeypatch)
    with pytest.raises(AssertionError):
        check_augment()


NUMBA_BUGS = [
    ("conv2d", "kernel, stride))[::-1]", "kernel, stride))", "filter not flipped in dx"),
    ("conv2d", "- 1 - position // stride", "- position // stride", "pad shifted in dx"),
    ("conv2d", "in range(min(stride[0], x_shape[1]))", "in range(1)", "rows left out at stride 2"),
    ("conv2d", "(before_h, before_v), (h, v)", "(before_v, before_h), (h, v)", "pads exchanged"),
    ("conv2d", "top, height = p0 * stride[0]", "top, height = p0", "stride of a block forgotten"),
    ("conv2d", "(part + 1) * tasks // parts)", "(part + 1) * tasks // parts - 1)", "a task lost"),
    ("conv2d", "clear(total, 0, len(total))", "pass", "sums not begun at zero"),
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


@pytest.mark.parametrize(
    ("op", "right", "wrong", "meaning"), NUMBA_BUGS, ids=[f"{b[0]}-{b[3]}" for b in NUMBA_BUGS]
)
def test_a_bug_planted_into_a_numba_kernel_is_caught(
    op, right, wrong, meaning, monkeypatch, tmp_path
):
    plant_numba(op, right, wrong, monkeypatch, tmp_path)
    assert any(_fails(case) for case in CASES if case.op == op), f"nobody noticed: {meaning}"


@pytest.mark.parametrize("op", sorted({bug[0] for bug in NUMBA_BUGS}))
def test_a_numba_kernel_planted_unchanged_passes(op, monkeypatch, tmp_path):
    plant_numba(op, "", "", monkeypatch, tmp_path)
    assert not any(_fails(case) for case in CASES if case.op == op)


WINOGRAD_BUGS = [  # file of kernels/conv2d, right, wrong, meaning
    ("rows", "clear(image, at, before * c)", "pass", "border not cleared"),
    ("rows", "clear(image, at, width * c)", "pass", "rows outside not cleared"),
    ("rows", "in range(1, len(partial))", "in range(2, len(partial))", "a sum left out"),
    ("transforms", "a0 + a1 + a2)", "a0 + a1)", "a row left out of A^T m"),
    ("transforms", "b1 - b2 - b3)", "b1 - b2 + b3)", "sign in A^T m A"),
    ("transforms", "d20 - d10, d21", "d10 - d20, d21", "sign in B^T d"),
    ("transforms", "half * (top + bottom)", "half * top", "a row left out of G w"),
    ("transforms", "a - c, b - d)", "a + c, b + d)", "sign in A dy"),
    ("transforms", "both + load(du, (e + 3) * size + i)", "both", "an element left out of G^T du"),
    ("winograd", "(part + 1) * blocks // parts)", "(part + 1) * blocks // parts - 1)", "lost"),
    ("winograd", "clear(total, 0, len(total))", "pass", "sums not begun at zero"),
    ("winograd", "p - before[0]", "p - before[1]", "pads exchanged"),
    ("winograd", "min(stop - strip, per_image - strip % per_image)", "stop - strip", "image's end"),
]
WINOGRAD_CASES = [
    case for case in CASES if re.match(r"conv2d-.*(16|32)\)-\(3, 3\)-(16|32)-stride1", str(case))
]
FUSED_CASES = [
    case
    for case in CASES
    if re.match(r"basic_block-.*(16|32)\)-(16|32)-1-\(3, 3\)-train", str(case))
]
FUSED_BUGS = [  # operation, file, right, wrong, meaning
    ("conv2d", "numba_rows", "clip_negative(u)", "u", "ReLU left out"),
    ("conv2d", "numba_rows", "load(flat, origin + i) - m", "load(flat, origin + i)", "no mean"),
    ("conv2d", "numba_rows", "rest = fma(f,", "rest = fma(k,", "coefficients exchanged"),
    ("conv2d", "numba_winograd", "height, last % strips * 2 + 2", "height, 2", "rows not summed"),
    ("conv2d", "numba_winograd", "last - first,\n", "1,\n", "blocks wrongly weighted"),
    (
        "conv2d",
        "numba_winograd",
        "                if added:",
        "                if False:",
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
    ("basic_block", "numba_cpu", "normalization=(mean1,", "normalization=(mean2,", "other mean"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "meaning"), WINOGRAD_BUGS)
def test_a_bug_planted_into_winograd_is_caught(file, right, wrong, meaning, monkeypatch, tmp_path):
    plant_below("conv2d", f"numba_{file}", right, wrong, monkeypatch, tmp_path)
    assert any(map(_fails, WINOGRAD_CASES)), f"nobody noticed: {meaning}"


@pytest.mark.parametrize(("op", "file", "right", "wrong", "meaning"), FUSED_BUGS)
def test_a_bug_planted_into_the_fused_block_is_caught(
    op, file, right, wrong, meaning, monkeypatch, tmp_path
):
    plant_below(op, file, right, wrong, monkeypatch, tmp_path)
    assert any(map(_fails, FUSED_CASES)), f"nobody noticed: {meaning}"


def test_winograd_planted_unchanged_passes(monkeypatch, tmp_path):
    plant_below("conv2d", "numba_rows", "", "", monkeypatch, tmp_path)
    assert not any(map(_fails, WINOGRAD_CASES + FUSED_CASES))


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
    monkeypatch.setattr("minires.backend._current", "numba")
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

    def load_copy(o: str, b: str):
        return copies.get((o, kernels.FILES[b])) or load(o, b)

    monkeypatch.setattr(kernels, "load", load_copy)


NUMBA_SGD_BUGS = [
    ("momentum * v[i] + gradient", "v[i] + gradient", "momentum left out"),
    ("g[i] + decay * p[i]", "g[i]", "no weight decay"),
    ("lr * (gradient + momentum * v[i] if nesterov else v[i])", "lr * v[i]", "no Nesterov"),
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
    monkeypatch.setattr("minires.backend._current", "numba")
    plant(op, right, wrong, monkeypatch, tmp_path / f"{op}.py", "numba_cpu")


def plant(
    op: str, right: str, wrong: str, monkeypatch, path: Path | None = None, file: str = "reference"
) -> None:
    """Have `kernels.load` find a copy of a kernel in which `right` is replaced by `wrong`."""
    mutant = mutate(op, right, wrong, monkeypatch, path, file)
    original = kernels.load

    def load(o: str, b: str):
        return mutant if (o, kernels.FILES[b]) == (op, file) else original(o, b)

    monkeypatch.setattr(kernels, "load", load)


def mutate(op: str, right: str, wrong: str, monkeypatch, path: Path | None, file: str):
    """A copy of kernels/OP/FILE.py in which `right` is replaced by `wrong`, as a module."""
    source = (Path(kernels.__file__).parent / op / f"{file}.py").read_text()
    assert right in source, f"kernels/{op}/{file}.py no longer contains {right!r}"
    mutant = types.ModuleType(f"{op}_mutant")
    monkeypatch.setitem(sys.modules, mutant.__name__, mutant)
    source = source.replace(right, wrong)
    if path is not None:  # Numba keeps its machine code by the file
        path.write_text(source)
    exec(compile(source, path or f"{op} with a bug", "exec"), mutant.__dict__)
    return mutant


def _fails(case) -> bool:
    try:
        if case.definition is not None:
            check_forward(case)
        check_backward(case)
    except (AssertionError, ValueError, IndexError):
        return True
    return False
