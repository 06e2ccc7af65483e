"""The fused kernels of a GPU with less shared memory, and where their arrays are unusual."""

import numpy as np
import pytest
from cases import CASES
from operation_checks import check_agreement

import minires as mr
from minires import Tensor, amp, backend, models, optim
from minires import functional as F
from minires.cuda.graph import GraphError
from minires.cuda_graph import capture
from minires.kernels.conv_norm_relu import bands

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

FUSED = [case for case in CASES if case.op in ("basic_block", "conv_norm_relu")]


@pytest.mark.parametrize(
    ("most", "dtype"),
    [
        (48 << 10, "float32"),
        pytest.param(48 << 10, "float64", marks=pytest.mark.slow),  # 64 KiB has the same kernels
        (64 << 10, "float64"),
    ],
)
def test_bands_fit_the_shared_memory_that_there_is(most, dtype, monkeypatch):
    """In the checked build: an index beyond what was asked for is an error."""
    monkeypatch.setattr(bands, "most_shared", lambda array: most)
    monkeypatch.setenv("MINIRES_EMULATOR", "checked")
    bands._plan.cache_clear()
    for case in FUSED:
        check_agreement(case, "emulator", dtype)


@pytest.mark.parametrize("most", [48 << 10, 64 << 10, 227 << 10])
@pytest.mark.parametrize("size", [4, 8])
def test_a_plan_leaves_room_for_what_the_kernels_declare_themselves(most, size):
    for width in range(1, 70):
        for channels, outputs in ((3, 16), (16, 16), (16, 32), (32, 64), (64, 64), (64, 16)):
            plan = bands._plan(9, width, channels, outputs, 1, size, most)
            for found in (plan.forward, plan.backward):
                assert found is None or (found[2] + 4 <= most and 1 <= found[0] <= 9)


def block(x, training=True, shortcut=True):
    rng, k = np.random.default_rng(0), x.shape[3]
    w = [(rng.standard_normal((3, 3, k, k)) * 0.2).astype(np.float32) for _ in range(2)]
    c = np.ones(k, np.float32)
    running = [(np.zeros(k, np.float32), np.ones(k, np.float32)) for _ in range(2)]
    weight = Tensor(w[0], requires_grad=True)
    return F.basic_block(
        x, weight, c, c, running[0], w[1], c, c, running[1], training, shortcut=shortcut
    )


def test_images_may_be_read_only_or_begin_anywhere_in_memory():
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 16)).astype(np.float32)
    read_only = np.frombuffer(x.tobytes(), np.float32).reshape(x.shape)
    elsewhere = np.empty(x.size + 1, np.float32)[1:].reshape(x.shape)
    elsewhere[...] = x
    with mr.use("emulator"):
        expected = block(x.copy())
        for image in (read_only, elsewhere):
            y = block(image)
            y.backward(np.ones(y.shape, np.float32))
            np.testing.assert_array_equal(y.numpy(), expected.numpy())


@pytest.mark.parametrize("name", ["numba", "emulator"])
def test_a_block_whose_batch_norms_differ_is_not_fused(name):
    """Half of it frozen: the frozen half's statistics stay as they are."""
    images = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)
    logits = []
    with mr.use(name):
        for fused in (True, False):
            mr.seed(0)
            net = models.build("resnet8", fused=fused)
            for bn in (net.bn1, net.layer1[0].bn2, net.layer2[0].bn1):
                bn.eval()
            logits.append(net(Tensor(images)).numpy())
            assert (backend.to_numpy(net.bn1.running_mean) == 0).all()
            assert (backend.to_numpy(net.layer1[0].bn2.running_mean) == 0).all()
            assert (backend.to_numpy(net.layer1[0].bn1.running_mean) != 0).any()
    np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-5)


def test_half_storage_beside_the_kernels_is_no_part_of_a_graph():
    x = np.ones((1, 4, 4, 8), np.float16)
    with mr.use("emulator"):
        with pytest.raises(TypeError, match="half storage .float16. needs"):
            capture(lambda: block(x))
        double = Tensor(np.ones((2, 2)), requires_grad=True)
        sgd, scaler = optim.SGD([double], 0.1), amp.GradScaler()
        double.grad = np.ones((2, 2))
        with pytest.raises(GraphError, match="loss scaling of gradients that are not contiguous"):
            capture(lambda: scaler.step(sgd))


def test_strides_of_two_kinds_and_losses_of_many_numbers_are_refused():
    x, c, w = np.ones((1, 4, 4, 2)), np.ones(2), np.ones((3, 3, 2, 2))
    running = (c.copy(), c.copy())
    with pytest.raises(ValueError, match=r"stride must be one for H and W, but is \(2, 1\)"):
        F.basic_block(x, w, c, c, running, w, c, c, running, True, stride=(2, 1))
    with pytest.raises(ValueError, match=r"the loss must be one number, but is \(3,\)"):
        amp.GradScaler().backward(Tensor(np.ones(3), requires_grad=True))


@pytest.mark.parametrize("name", ["numpy", "emulator"])
def test_the_scale_stays_finite(name):
    with mr.use(name):
        state = backend.asarray([2.0**127, 0, 0, 0], "f4")
        for _ in range(2):
            backend.kernel("grad_scaler").update([np.zeros(4, np.float32)], state, 2.0, 0.5, 1)
        assert float(state[0]) == 2.0**127


def test_numba_takes_half_storage_apart():
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 16)).astype(np.float16)
    with mr.use("numba"):
        y = block(x)
        y.backward(np.ones(y.shape, np.float16))
    np.testing.assert_allclose(np.float32(y.numpy()), np.float32(block(x).numpy()), atol=2e-3)


def test_a_graph_that_failed_half_way_is_not_replayed():
    with mr.use("emulator"):
        captured = capture(lambda: F.relu(np.ones(4, np.float32)))
        captured._record[0] = None
        with pytest.raises(AttributeError):
            captured()
        with pytest.raises(GraphError, match="an earlier replay has failed"):
            captured()
