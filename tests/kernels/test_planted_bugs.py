"""The tests can fail: each of these bugs, planted into a reference or the engine, is caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cases import CASES
from operation_checks import check_adam, check_augment, check_sgd
from planting import fails, plant

from minires.rooms import ROOMS

BUGS = [  # operation, what is right, what is planted, what that means
    ("batch_norm", "dx -= dbeta / m\n", "pass\n", "batch norm's mean term dropped"),
    ("batch_norm", "du - x_hat * (dgamma / m)", "du.copy()", "batch norm's variance term dropped"),
    (
        "batch_norm",
        "du = dy if y is None else xp.where(y <= 0, 0, dy)",
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
    ("binary", "-dc * (a // b)", "-dc", "quotient left out of the divisor's gradient"),
    ("binary", "_share(b, a, kind)", "_share(a, b, kind)", "the loser gets the gradient"),
    ("conv2d_grouped", "i * d, i * d + (n", "i, i + (n", "dilation forgotten"),
    ("conv2d_grouped", "+ (n - 1) * s + 1", "+ (n - 1) * s", "last row not seen"),
    ("conv2d_grouped", "dw[place] = product", "dw[place] = 2 * product", "filter gradient doubled"),
    ("conv2d_grouped", "reached += _product", "reached[...] = _product", "windows overwrite"),
    (
        "conv2d_grouped",
        ".transpose(1, 0, 2)\n\n\ndef _grouped",
        ".transpose(1, 0, 2)[::-1]\n\n\ndef _grouped",
        "groups exchanged",
    ),
    (
        "conv_transpose2d",
        "convolve(dyp, w, x.shape[1:3], stride",
        "convolve(dyp, w[::-1], x.shape[1:3], stride",
        "filter flipped in the input gradient",
    ),
    ("conv_transpose2d", "w.shape, stride", "w.shape, stride[::-1]", "strides exchanged"),
    ("window_pool", "xp.add.at(dx, (images", "xp.add.at(dx, (0 * images", "first image only"),
    ("window_pool", "xp.add.at(dx, _at", "dx.__setitem__(_at", "overlapping windows overwrite"),
    ("window_pool", "(a >= 0)[:, None] & (b >= 0)", "(a >= 0)[:, None] | (b >= 0)", "outside seen"),
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
    ("relu", "y <= 0, 0, dy", "y < 0, 0, dy", "gradient where the ReLU is closed"),
    ("concatenate", "start, start + length", "start, start + length - 1", "a part too short"),
    ("concatenate", "initial=0", "initial=1", "parts moved by one"),
    (
        "where",
        "where(condition, zero, dy)",
        "where(condition, zero, dy * 2)",
        "b's gradient doubled",
    ),
    ("where", "unbroadcast(where(condition, dy, zero), a_shape)", "dy", "a's gradient everywhere"),
    ("softmax", "(dy * y).sum(axis=axis, keepdims=True)", "0", "the sum left out"),
    ("softmax", "xp.exp(y) * dy.sum(", "y * dy.sum(", "y in place of the probabilities"),
    ("softmax", "dy * xp.exp(x - y)", "dy * xp.exp(x)", "not divided by the sum"),
    ("pad", "slice(b, b + n)", "slice(0, n)", "the border at one side only"),
    ("cumsum", "flip(dy, axis).cumsum", "dy.cumsum", "summed from the beginning"),
    ("prod", "before * behind", "before", "what lies behind left out"),
    ("prod", "transpose(inverse)", "transpose(order)", "axes put back in the wrong order"),
    ("normalize", "dy - mean - y", "dy - y", "mean term left out"),
    ("normalize", "- y * along_y", "", "variance term left out"),
    ("einsum", "else 1 for letter in once", "else 1 for letter in once[::-1]", "axes exchanged"),
    ("einsum", "xp.zeros(x.shape", "xp.ones(x.shape", "not zero beside the diagonal"),
    ("unary", "-1 / xp.sqrt((1 - x)", "1 / xp.sqrt((1 - x)", "arc cosine's sign"),
    ("unary", "y: 1 + y * y", "y: 1 - y * y", "tangent's derivative is not that of tanh"),
    ("unary", "y * y.dtype.type(np.log(2))", "y", "log 2 left out"),
    ("unary", "(4 if kind", "(2 if kind", "tanh's derivative halved"),
    ("unary", "dy * xp.cos(value)", "dy * value", "sine's derivative wrong"),
    ("unary", "xp.exp(-value * value)", "xp.exp(value)", "erf's derivative wrong"),
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
    ("reduce", "dy / max(1, prod(shape[i] for i in axis))", "dy", "mean differentiated as a sum"),
    ("reduce", "return (winners * (dy /", "return (1 * (dy /", "maximum's gradient to everyone"),
    ("index", "xp.add.at(dx, key, dy)", "dx[key] = dy", "an element picked twice counted once"),
    (
        "linear",
        "x.reshape(rows, w.shape[0]).T @ dy.reshape(rows, w.shape[1])",
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
    assert any(fails(case) for case in CASES if case.op == op), f"nobody noticed: {meaning}"


@pytest.mark.parametrize("op", sorted({case.op for case in CASES}))
def test_a_kernel_planted_unchanged_passes(op, monkeypatch):
    """Otherwise the test above would prove nothing: anything fails that cannot run."""
    plant(op, "", "", monkeypatch)
    assert not any(map(fails, [case for case in CASES if case.op == op][:8]))


ENGINE_BUGS = [  # what is right in function.py, what is planted, what that means
    (
        "xp.asarray(total)",
        "gradient",
        "an input used twice counted once",
    ),
    ("return finished[::-1]", "return finished", "outputs after what they depend on"),
    ("on and tensor.requires_grad", "tensor.requires_grad", "recorded inside no_grad"),
    ("gradient = backend.copied(gradient)", "pass", "two leaves share one array"),
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
    """Run them in a copy of the project with `right` replaced by `wrong` in function.py."""
    root = Path(__file__).parents[2]
    for part, place in (("minires", ""), ("tests", ""), *((room, "minires") for room in ROOMS)):
        ignored = shutil.ignore_patterns("results")
        copy = {"copy_function": shutil.copyfile, "ignore": ignored}
        shutil.copytree(root / part, folder / place / part, **copy)
    engine = folder / "minires" / "function.py"
    source = engine.read_text()
    assert right in source, f"minires/function.py no longer contains {right!r}"
    engine.write_text(source.replace(right, wrong))
    tests = [f"tests/engine/test_{name}.py" for name in ("backward", "in_place", "gradcheck")]
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
ADAM_BUGS = [
    ("m / (1 - beta1 ** int(t))", "m", "no bias correction of the first moment"),
    ("v / (1 - beta2 ** int(t))", "v", "no bias correction of the second moment"),
    ("t += 1", "t.fill(1)", "every step the first"),
    ("if decay and decoupled:", "if False:", "decay coupled where it should be decoupled"),
    ("if decay and decoupled:", "if decay:", "decay decoupled where it should be coupled"),
    ("array_module(p).sqrt(square) + eps", "array_module(p).sqrt(square + eps)", "eps in the root"),
    ("p -= lr * decay * p", "p -= decay * p", "decay without the learning rate"),
    ("g = g + decay * p", "g += decay * p", "gradients changed in place"),
]
AUGMENT_BUGS = [
    ("crops[:, :, ::-1]", "crops[:, ::-1]", "flipped upside down"),
    ("offsets[:, 0], offsets[:, 1]", "offsets[:, 1], offsets[:, 0]", "offsets exchanged"),
    ("z -= mean", "z *= 1", "mean not subtracted"),
    (
        "pad_image(z, (pad, pad))",
        "pad_image(z, (pad, pad), -0.5)",
        "a border that is not the mean, as of padding before normalising",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "meaning"), SGD_BUGS, ids=[b[2] for b in SGD_BUGS])
def test_a_bug_planted_into_sgd_is_caught(right, wrong, meaning, monkeypatch):
    plant("sgd", right, wrong, monkeypatch)
    with pytest.raises(AssertionError):
        check_sgd(nesterov=False)
        check_sgd(nesterov=True)


@pytest.mark.parametrize(("right", "wrong", "meaning"), ADAM_BUGS, ids=[b[2] for b in ADAM_BUGS])
def test_a_bug_planted_into_adam_is_caught(right, wrong, meaning, monkeypatch):
    plant("adam", right, wrong, monkeypatch)
    with pytest.raises(AssertionError):
        check_adam(decoupled=False)
        check_adam(decoupled=True)


@pytest.mark.parametrize(
    ("right", "wrong", "meaning"), AUGMENT_BUGS, ids=[b[2] for b in AUGMENT_BUGS]
)
def test_a_bug_planted_into_augment_is_caught(right, wrong, meaning, monkeypatch):
    plant("augment", right, wrong, monkeypatch)
    with pytest.raises(AssertionError):
        check_augment()
