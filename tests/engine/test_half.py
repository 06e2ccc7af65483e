"""Half storage: training with images in float16 or bfloat16, and loss scaling, which float16 needs.

That single operations round where they should stands in `test_fused.py`.
"""

import os
import signal
from functools import cache

import numpy as np
import pytest
from traces import assert_same_bits, run_tiny

import minires as mr
from minires import Tensor, amp, backend, cuda, models, optim
from minires import functional as F
from minires.cuda.signature import DTYPES
from minires.data import Loader, Normalization, load_shapes
from minires.kernels.grad_scaler import FOUND, GOOD, INVERSE, SCALE
from minires.training import Config, Trainer, checkpoint
from minires.training.weights import read_arrays

ENDS = [
    "numpy",
    pytest.param(
        "emulator",
        marks=[
            pytest.mark.emulator,
            pytest.mark.skipif(backend.problem("emulator") is not None, reason="no emulator here"),
        ],
    ),
]


def gradients(*shapes, spoiled=None) -> list:
    """Random arrays; one element of the last one is not a finite number if asked for."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    if spoiled is not None:
        arrays[-1].reshape(-1)[-1] = spoiled
    return arrays


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("spoiled", [np.inf, -np.inf, np.nan])
def test_the_scale_falls_at_an_infinite_gradient_and_rises_after_an_interval(name, spoiled):
    good = gradients((3, 3, 16, 16), (16,), (5,))
    bad = gradients((3, 3, 16, 16), (16,), (1025,), spoiled=spoiled)  # the last of a second chunk
    with mr.use(name):
        state = backend.asarray([1024.0, 0, 0, 0], "f4")
        update = backend.kernel("grad_scaler").update
        seen = []
        for grads in (good, bad, good, good, good, good):
            update(grads, state, 2.0, 0.25, 3)
            seen.append(tuple(map(float, backend.to_numpy(state))))
    scale, inverse, found, count = zip(*seen, strict=True)
    assert scale == (1024, 256, 256, 256, 512, 512)
    assert inverse == (2**-10, 2**-10, 2**-8, 2**-8, 2**-8, 2**-9)
    assert found == (0, 1, 0, 0, 0, 0) and count == (1, 0, 1, 2, 0, 1)
    assert (SCALE, INVERSE, FOUND, GOOD) == (0, 1, 2, 3)


@pytest.mark.parametrize("name", [*ENDS, "numba"])
def test_sgd_divides_by_the_scale_or_leaves_the_step_out(name):
    def step(scaling, factor=1.0) -> list:
        parameters = gradients((4, 7), (5,))
        grads = [gradient * np.float32(factor) for gradient in gradients((5,), (4, 7))[::-1]]
        velocities = gradients((4, 7), (5,))
        sgd = backend.kernel("sgd")
        how = (0.1, 0.9, [0.01, 0.0], True)
        sgd.update(parameters, grads, velocities, *how, *([] if scaling is None else [scaling]))
        return parameters + velocities

    if backend.problem(name):
        pytest.skip(backend.problem(name))
    with mr.use(name):
        plain = step(None)
        scaled = step(np.float32([1, 2**-12, 0, 0]), factor=2**12)
        left_out = step(np.float32([1, 1, 1, 0]))
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    for a, b in zip(left_out, gradients((4, 7), (5,)) * 2, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [*ENDS, "numba"])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_divides_by_the_scale_or_leaves_the_step_out(name, decoupled):
    def step(scaling, factor=1.0) -> list:
        parameters, first = gradients((4, 7), (5,)), gradients((4, 7), (5,))
        grads = [gradient * np.float32(factor) for gradient in gradients((5,), (4, 7))[::-1]]
        second, steps = [g * g for g in gradients((4, 7), (5,))], [np.array(3), np.array(3)]
        how = (0.1, (0.9, 0.99), 1e-8, [0.01, 0.0], decoupled, scaling)
        backend.kernel("adam").update(parameters, grads, first, second, steps, *how)
        return parameters + first + second + steps

    if backend.problem(name):
        pytest.skip(backend.problem(name))
    with mr.use(name):
        plain = step(None)
        scaled = step(np.float32([1, 2**-12, 0, 0]), factor=2**12)
        left_out = step(np.float32([1, 1, 1, 0]))
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    before = gradients((4, 7), (5,)) * 2 + [g * g for g in gradients((4, 7), (5,))]
    for a, b in zip(left_out, [*before, np.array(3), np.array(3)], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("method", ["SGD", "AdamW"])
def test_a_power_of_two_as_scale_changes_no_bit_of_a_float32_step(name, method):
    x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)
    states = []
    for scaled in (False, True):
        with mr.use(name):
            mr.seed(0)
            net = models.resnet8()
            optimizer, scaler = getattr(optim, method)(net, 0.1), amp.GradScaler(2.0**10)
            for _ in range(2):
                loss = F.cross_entropy(net(Tensor(x)), np.arange(4))
                optimizer.zero_grad()
                scaler.backward(loss) if scaled else loss.backward()
                scaler.step(optimizer) if scaled else optimizer.step()
            states.append(net.state_dict() | optimizer.state())
    assert_same_bits(*states)


@pytest.mark.parametrize("name", ENDS)
def test_without_a_scale_small_gradients_are_lost_in_float16(name):
    """float16's smallest number is 6e-8; this gradient is that of a loss of weight 1e-6."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 6, 3)).astype(np.float16)
    w = (rng.standard_normal((3, 3, 3, 16)) * 0.2).astype(np.float32)
    c, grads = np.ones(16, np.float32), []
    for scale in (1.0, 2.0**16):
        with mr.use(name):
            weight = Tensor(w, requires_grad=True)
            running = [np.zeros(16, np.float32), np.ones(16, np.float32)]
            y = F.conv_norm_relu(x, weight, c, c, running, True, padding=1)
            loss = (F.global_avg_pool2d(y) * Tensor(np.float32(1e-6))).sum()
            loss.backward(np.float32(scale))
            grads.append(weight.grad / np.float32(scale))
    exact = grads[1]
    assert np.abs(grads[0] - exact).max() > 0.3 * np.abs(exact).max()


@cache
def losses(precision: str, steps: int = 12) -> np.ndarray:
    """Losses of a ResNet-8 that learns shapes on the emulator, always from the same start."""
    mr.seed(0)
    backend.set_precision(precision)
    train, _ = load_shapes(96, 1, image_size=8)
    loader = Loader(train, Normalization.make("cifar10"), 32, shuffle=True)
    net = models.resnet8()
    sgd, scaler = (
        optim.SGD(net, 0.05, momentum=0.9, weight_decay=1e-4),
        amp.GradScaler(growth_interval=4),
    )
    found = []
    for epoch in range(steps // 3):
        for x, labels in loader.batches(epoch):
            assert x.dtype == cuda.storage()
            loss = F.cross_entropy(net(x), labels)
            sgd.zero_grad()
            scaler.backward(loss)
            scaler.step(sgd)
            found.append(loss.item())
    return np.array(found)


@pytest.mark.emulator
@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.06), ("fp16", 0.01)])
def test_a_network_learns_in_half_storage_as_it_does_in_float32(precision, tolerance):
    if precision == "bf16" and "bfloat16" not in DTYPES:
        pytest.skip("needs ml_dtypes")
    with mr.use("emulator"):
        plain, half = losses("float32"), losses(precision)
    assert plain[-3:].mean() < plain[:3].mean() - 0.1  # it does learn something
    assert (plain != half).any()
    np.testing.assert_allclose(half, plain, rtol=tolerance)


def train(out, resume=False, **settings) -> Trainer:
    """A run of two epochs in float16 storage."""
    return run_tiny(out, resume, **{"precision": "fp16"} | settings)


@pytest.mark.emulator
def test_a_run_in_half_storage_resumes_and_replays_to_the_same_bits(tmp_path, monkeypatch):
    plain = train(tmp_path / "plain")
    assert plain.scaler.scale == 2.0**16 and float(plain.scaler.state[GOOD]) == 6
    original = checkpoint.write

    def write_and_stop(trainer):
        original(trainer)
        if trainer.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", write_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped")
    train(tmp_path / "stopped", resume=True)
    train(tmp_path / "graph", graph=True)
    for name in ("last.safetensors", "checkpoint"):
        first, *others = (
            read_arrays(tmp_path / run / name)[0] for run in ("plain", "stopped", "graph")
        )
        for other in others:
            assert_same_bits(first, other)


@pytest.mark.emulator
def test_gradients_of_a_scaled_loss_are_clipped_to_the_norm_asked_for(tmp_path):
    exact = train(tmp_path / "float32", precision="float32", clip_grad_norm=0.05, epochs=1)
    half = train(tmp_path / "fp16", clip_grad_norm=0.05, epochs=1)
    exact, half = exact.optimizer.state(), half.optimizer.state()
    for name, velocity in half.items():
        np.testing.assert_allclose(exact[name], velocity, atol=2e-3)
    norm = np.sqrt(sum(float((v * v).sum()) for v in half.values()))
    assert 0.02 < norm < 0.2


def test_half_storage_that_cannot_be_is_refused_in_words(tmp_path, monkeypatch):
    with mr.use("numba"), pytest.raises(ValueError, match="half storage.*but the backend is numba"):
        backend.set_precision("bf16")
    with pytest.raises(ValueError, match="precision fp16 needs blocks .* shortcut B has proj"):
        Config(precision="fp16", shortcut="B")
    monkeypatch.delitem(DTYPES, "bfloat16", raising=False)
    with pytest.raises(ValueError, match="bf16 needs the package ml_dtypes"):
        backend.set_precision("bf16")
    backend.set_precision("fp16")
    with mr.use("numba"):
        assert backend.storage() == np.float32
    with pytest.raises(ValueError, match="GradScaler: init_scale must be above 0"):
        amp.GradScaler(0)
    with pytest.raises(ValueError, match="growth_interval is at least 1, but is 0"):
        amp.GradScaler(growth_interval=0)
