"""replaced(): a student's kernels compute, everywhere and only there; wrong results are named."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

import minires as mr
from minires import Tensor, kernels, models, nn
from minires import functional as F
from minires.cuda.graph import GraphError
from minires.function import Function
from minires.gradcheck import gradcheck
from minires.kernels import KernelFileError, replaced
from minires.kernels.replacing import PARTS
from minires.recompute import recomputed


class Counting:
    """The reference of an operation, which counts its calls."""

    def __init__(self, op: str):
        self.kernel, self.calls = kernels.load(op, "reference"), []

    def forward(self, *arrays, **options):
        self.calls.append("forward")
        return self.kernel.forward(*arrays, **options)

    def backward(self, dy, saved, needs):
        self.calls.append("backward")
        return self.kernel.backward(dy, saved, needs)


class PlainBatchNorm:
    """A batch norm as in a lecture: it knows no residual and no relu."""

    calls = 0

    def forward(self, x, gamma, beta, running_mean, running_var, training, momentum, eps):
        type(self).calls += 1
        options = dict(running_mean=running_mean, running_var=running_var, training=training)
        reference = kernels.load("batch_norm", "reference")
        return reference.forward(x, gamma, beta, momentum=momentum, eps=eps, **options)

    def backward(self, dy, saved, needs):
        return kernels.load("batch_norm", "reference").backward(dy, saved)[:3]


def relu(y=lambda x: x.clip(0), saved=lambda x: (x > 0,), dx=lambda dy, mask: (dy * mask,)):
    """A relu of functions that a test can spoil."""
    return SimpleNamespace(
        forward=lambda x: (y(x), saved(x)), backward=lambda dy, saved, needs: dx(dy, *saved)
    )


X = np.float32([[-1, 2], [3, -4]])


def step(model, x):
    """A loss and its gradients."""
    for parameter in model.parameters():
        parameter.grad = None
    loss = F.cross_entropy(model(Tensor(x)), np.arange(len(x)))
    loss.backward()
    return [loss.numpy(), *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_resnet_is_made_of_the_replaced_operations_on_every_backend(name):
    mr.use(name)
    x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)
    model = models.resnet20()
    before = step(model, x)
    conv, add, rectify = Counting("conv2d"), Counting("add"), Counting("relu")
    PlainBatchNorm.calls = 0
    with replaced("conv2d", conv), replaced("batch_norm", PlainBatchNorm()):
        with replaced("add", add), replaced("relu", rectify):
            after = step(model, x)
    assert conv.calls.count("forward") == conv.calls.count("backward") == 19
    assert rectify.calls.count("forward") == 19 and PlainBatchNorm.calls == 19
    assert add.calls.count("backward") == 9
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("op", PARTS["basic_block"])
@pytest.mark.parametrize("fused", [None, True])
def test_each_part_of_a_fused_block_is_really_used(op, fused):
    mr.use("numba")
    block = models.blocks.BasicBlock(4, 8, 2, "A", fused=fused)
    kernel = Counting(op)
    with replaced(op, kernel):
        block(Tensor(np.ones((2, 4, 4, 4), np.float32)))
    assert "forward" in kernel.calls


def test_a_fused_operation_called_by_name_is_refused():
    fused = "conv_norm_relu"
    with replaced("conv2d", Counting("conv2d")):
        with pytest.raises(ValueError, match=f"{fused} computes conv2d by itself, so your conv2d"):
            Function(fused)
        with replaced(fused, kernels.load(fused, "reference")):
            Function(fused)


def test_every_operation_that_computes_others_is_known():
    """What a reference imports of other operations, it computes by itself."""
    found = {}
    for op in kernels.operations():
        text = (kernels.ROOT / op / "reference.py").read_text()
        for other in kernels.operations():
            if other != op and f"minires.kernels.{other} import reference" in text:
                found.setdefault(op, set()).add(other)
    assert found and all(others <= {*PARTS[op]} for op, others in found.items())


def test_a_module_of_a_file_replaces_and_its_backward_stays_after_the_block(tmp_path):
    path = tmp_path / "my_relu.py"
    path.write_text(
        "from minires.kernels.arrays import array_module\n"
        "def forward(x):\n    return 2 * x, ()\n"
        "def backward(dy, saved, needs):\n    return (3 * dy,)\n"
    )
    x = Tensor(X, requires_grad=True)
    for by in (path, str(path)):
        x.grad = None
        with replaced("relu", by):
            y = F.relu(x)
        y.backward(np.ones_like(X))
        assert (y.numpy() == 2 * X).all() and (x.grad == 3).all()
    assert F.relu(X).numpy().min() == 0


def test_blocks_can_be_nested_and_end_with_an_exception():
    outer, inner = relu(lambda x: x + 1), relu(lambda x: x + 2)
    with replaced("relu", outer):
        with pytest.raises(ZeroDivisionError), replaced("relu", inner):
            assert (F.relu(X).numpy() == X + 2).all()
            raise ZeroDivisionError
        assert (F.relu(X).numpy() == X + 1).all()
    assert (F.relu(X).numpy() == X.clip(0)).all()
    assert not kernels.is_replaced("relu")


def test_a_block_can_be_entered_again_and_decorate_a_function():
    plus = replaced("relu", relu(lambda x: x + 1))
    for _ in range(2):
        with plus, plus:
            assert (F.relu(X).numpy() == X + 1).all()
        assert (F.relu(X).numpy() == X.clip(0)).all()
    assert (plus(F.relu)(X).numpy() == X + 1).all()
    assert not kernels.is_replaced("relu")


def test_another_thread_is_not_touched():
    seen = []
    with replaced("relu", relu(lambda x: x + 1)):
        thread = threading.Thread(target=lambda: seen.append(F.relu(X).numpy()))
        thread.start()
        thread.join()
    assert (seen[0] == X.clip(0)).all()


def test_an_optimizer_step_can_be_replaced():
    calls = []
    student = SimpleNamespace(update=lambda params, *rest, **settings: calls.append(len(params)))
    layer = nn.Linear(2, 2)
    layer(Tensor(X)).sum().backward()
    with replaced("sgd", student):
        mr.optim.SGD(layer, lr=0.1).step()
    assert calls == [2]


def test_recomputed_segments_use_it_in_backward_too():
    conv = Counting("conv2d")
    layer = nn.Conv2d(3, 4, 3, bias=False)
    with replaced("conv2d", conv):
        y = recomputed(layer, Tensor(np.ones((1, 5, 5, 3), np.float32), requires_grad=True))
        y.sum().backward()
    assert conv.calls == ["forward", "forward", "backward"]


def test_gradcheck_judges_the_replacement():
    x = np.linspace(-1, 1.1, 6)
    with replaced("relu", relu()):
        assert gradcheck(F.relu, [x])
    with replaced("relu", relu(dx=lambda dy, mask: (dy,))):
        with pytest.raises(AssertionError, match="disagree"):
            gradcheck(F.relu, [x])


FORWARD = {
    "returned None, but y must be an array of shape": relu(lambda x: None),
    r"returned an array of shape \(2,\), but y must be": relu(lambda x: x[0]),
    "returned float64, but y must be float32": relu(lambda x: x.astype(np.float64)),
    r"what forward saves must be a tuple, such as \(x,\), but is an": relu(saved=lambda x: x > 0),
    r"forward must return \(y, saved\), but returned an array": SimpleNamespace(
        forward=lambda x: x, backward=lambda dy, saved, needs: (dy,)
    ),
}
FORWARD["forward must take 1 arrays and nothing else, but is forward.x, w.: missing"] = (
    SimpleNamespace(forward=lambda x, w: x, backward=lambda dy, saved, needs: (dy,))
)
BACKWARD = {
    "backward returned None, but gradient 0 must be": relu(dx=lambda dy, mask: (None,)),
    r"returned an array of shape \(2, 1\), but gr": relu(dx=lambda dy, mask: (dy[:, :1],)),
    "backward returned float64, but gradient 0 must be float32": relu(
        dx=lambda dy, mask: (dy * np.float64([1.0]),)
    ),
    "must return a tuple of 1 gradients, one per input, but returned an array": relu(
        dx=lambda dy, mask: dy
    ),
    "must return a tuple of 1 gradients.*but returned a tuple of 2": relu(
        dx=lambda dy, mask: (dy, dy)
    ),
}


@pytest.mark.parametrize("message", FORWARD)
def test_a_wrong_result_of_forward_is_named(message):
    with replaced("relu", FORWARD[message]):
        with pytest.raises((TypeError, ValueError), match=f"relu of SimpleNamespace.*{message}"):
            F.relu(X)


@pytest.mark.parametrize("message", BACKWARD)
def test_a_wrong_result_of_backward_is_named(message):
    with replaced("relu", BACKWARD[message]):
        y = F.relu(Tensor(X, requires_grad=True))
    with pytest.raises((TypeError, ValueError), match=f"relu of SimpleNamespace.*{message}"):
        y.backward(np.ones_like(X))


def test_running_statistics_are_updated_once(tmp_path):
    layer, other = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    layer(Tensor(X))
    with replaced("batch_norm", PlainBatchNorm()):
        other(Tensor(X))
    np.testing.assert_array_equal(layer.running_mean, other.running_mean)


def test_what_cannot_replace_is_refused_in_a_sentence(tmp_path):
    cases = {
        "no operation 'conv'": ("conv", relu()),
        r"replaced\('relu'\): object in builtins|replaced\('relu'\): .*defines no forward and no": (
            "relu",
            object(),
        ),
        "there is no file of Python code .*absent.py": ("relu", tmp_path / "absent.py"),
        "defines no update": ("sgd", relu()),
        "'needs'; this is a class: give an object of it": ("batch_norm", PlainBatchNorm),
    }
    for message, (op, by) in cases.items():
        with pytest.raises((LookupError, KernelFileError), match=message):
            with replaced(op, by):
                pass
    (tmp_path / "broken.py").write_text("\ndef forward(x):\n  return (\n")
    with pytest.raises(KernelFileError, match="broken.py, line 3: SyntaxError"):
        with replaced("relu", tmp_path / "broken.py"):
            pass


@pytest.mark.emulator
def test_a_captured_step_says_that_it_cannot_hold_a_replacement():
    from minires.cuda_graph import capture

    if why := mr.backend.problem("emulator"):
        pytest.skip(f"the emulator does not work here: {why}")
    with mr.use("emulator"), replaced("relu", relu()):
        with pytest.raises(GraphError, match="'relu' is replaced.*not be part of the graph"):
            capture(F.relu, X)(X)
