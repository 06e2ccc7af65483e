"""check_operation passes what is right, and finds what is planted, without pytest."""

import ast
from pathlib import Path

import numpy as np
import pytest

import minires as mr
from minires import backend, kernels, testing
from minires import functional as F
from minires.function import Function
from minires.testing import check_operation

SHAPES = [[(3, 4), (3, 4)], [(2, 3, 5), (2, 3, 5)]]


class Product(Function):
    """a b, right."""

    def forward(self, a, b):
        self.saved = (a, b)
        return a * b

    def backward(self, dy):
        a, b = self.saved
        return dy * b, dy * a


class WrongGradient(Product):
    def backward(self, dy):
        return super().backward(dy)[::-1]


class WrongForward(Product):
    def forward(self, a, b):
        return super().forward(a, b) + 1e-6


class HalfPrecision(Product):
    """Right, but for single precision: it computes in half precision."""

    def forward(self, a, b):
        y = super().forward(a, b)
        return y.astype(np.float16).astype(y.dtype) if y.dtype == np.float32 else y


class Wide(Product):
    def backward(self, dy):
        return tuple(g * np.float64([1.0]) for g in super().backward(dy))


class WideForward(Product):
    def forward(self, a, b):
        return super().forward(a, b) * np.ones(1)


class SpoilsSaved(Product):
    def backward(self, dy):
        a, b = self.saved
        da, db = dy * b, dy * a
        b *= 2
        return da, db

    def forward(self, a, b):
        return super().forward(a, b.copy())


class SpoilsInput(Product):
    def forward(self, a, b):
        y = super().forward(a, b.copy())
        b += 1e-300
        b *= 1 + 1e-15
        return y


class SpoilsDy(Product):
    def backward(self, dy):
        a, b = self.saved
        da = dy * b
        dy *= a
        return da, dy


class NeedsAll(Product):
    def backward(self, dy):
        da, db = super().backward(dy)
        return (da, db) if all(self.needs) else (da * 0, db)


class SharedResult(Product):
    memory = {}

    def forward(self, a, b):
        y = self.memory.setdefault((a.shape, a.dtype), np.empty_like(a))
        y[...] = super().forward(a, b)
        return y


class OddOnly(Product):
    def backward(self, dy):
        da, db = super().backward(dy)
        return (da, db) if len(dy) > 1 else (da, 2 * db)


class Rounds(Product):
    """Not the same in every call."""

    calls = 0

    def forward(self, a, b):
        type(self).calls += 1
        return super().forward(a, b) * (1 + 1e-8 * type(self).calls)


PLANTED = {
    WrongGradient: "backward and numerical gradient disagree",
    WrongForward: "Not equal to tolerance",
    HalfPrecision: "Not equal to tolerance",
    Wide: "wide: backward returns float64 where all inputs are float32",
    WideForward: "wideforward: forward returns float64",
    SpoilsSaved: "modified in place|a second backward gives another gradient",
    SpoilsInput: "writes into input 1|different values",
    SpoilsDy: "backward writes into dy",
    NeedsAll: "gradients differ if only those of needs",
    SharedResult: "result changes when the operation is called again|called again before backward",
    OddOnly: "a batch of one",
    Rounds: "returned different values for the same inputs",
}


def test_a_right_operation_passes_and_nothing_is_printed(capsys):
    assert check_operation(Product, SHAPES, definition=lambda a, b: a * b) is None
    assert check_operation(lambda a, b: Product()(a, b), SHAPES) is None
    assert check_operation(F.relu, (3, 4), definition=lambda x: x.clip(0)) is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", PLANTED, ids=lambda kind: kind.__name__)
def test_a_planted_mistake_is_found_and_named(kind):
    with pytest.raises(AssertionError, match=PLANTED[kind]) as found:
        check_operation(kind, SHAPES, definition=lambda a, b: a * b)
    assert str(found.value).startswith(f"{kind.__name__} on backend numpy")


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (testing.check_forward, WrongForward),
        (testing.check_backward, WrongGradient),
        (testing.check_needs, NeedsAll),
        (testing.check_arrays_are_kept, SpoilsSaved),
        (testing.check_arrays_are_kept, SpoilsInput),
        (testing.check_arrays_are_kept, SharedResult),
        (testing.check_dtypes, Wide),
        (testing.check_dtypes, WideForward),
    ],
)
def test_each_check_can_fail_by_itself(check, kind):
    def case(kind):
        draw = lambda rng: [rng.standard_normal((3, 4)), rng.standard_normal((3, 4))]  # noqa: E731
        return testing.Case("case", "", lambda a, b: kind()(a, b), draw, lambda a, b: a * b)

    check(case(Product))
    with pytest.raises((AssertionError, RuntimeError)):
        check(case(kind))


SWISH = Path(__file__).parents[2] / "examples" / "own_operations" / "swish" / "reference.py"


def test_a_folder_of_kernels_is_checked_on_every_backend_that_has_a_file(tmp_path):
    (tmp_path / "swish").mkdir()
    text = SWISH.read_text()
    (tmp_path / "swish" / "reference.py").write_text(text)
    (tmp_path / "swish" / "numba_cpu.py").write_text(text)
    options = {"beta": 2.0}
    with kernels.add_folder(tmp_path):
        check_operation("swish", (3, 4), options=options)
    assert "beta * x * s" in text
    for wrong, message in (
        (text.replace("beta * x * s", "x * s"), "swish on backend numba.*disagree"),
        (text.replace("x * s,", "x * s + 1e-3,"), "swish on backend numba at.*Not equal to tol"),
    ):
        (tmp_path / "swish" / "numba_cpu.py").write_text(wrong)
        with kernels.add_folder(tmp_path):
            with pytest.raises(AssertionError, match=f"(?s){message}"):
                check_operation("swish", (3, 4), options=options)
            check_operation("swish", (3, 4), options=options, backends=["numpy"])


def test_a_replaced_operation_is_the_one_that_is_checked():
    class Student:
        def forward(self, x):
            return x.clip(0), (x,)

        def backward(self, dy, saved, needs):
            return (dy,)

    check_operation("relu", (3, 4), backends=["numpy", "numba"])
    with kernels.replaced("relu", Student()):
        with pytest.raises(AssertionError, match="relu on backend numpy: gradcheck"):
            check_operation("relu", (3, 4))


OURS = [
    ("add", [(3, 4), (4,)], {}),
    ("conv2d", [(2, 4, 3, 2), (3, 3, 2, 3)], {"stride": (2, 1), "padding": (1, 0)}),
    ("linear", [(3, 4), (4, 2), (2,)], {}),
    ("max_pool2d", (2, 4, 6, 2), {"kernel": (2, 2), "stride": (2, 2)}),
    ("shortcut", (2, 4, 4, 2), {"stride": 2, "channels": 4}),
    ("softmax", [[(3, 4)], [(2, 3, 4)]], {"axis": -1, "kind": "softmax"}),
    ("unary", (3, 4), {"kind": "tanh"}),
]


@pytest.mark.parametrize(
    ("op", "shapes", "options"), OURS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_operations_of_minires_pass(op, shapes, options):
    own = backend.get("numba").has_kernel(op)
    check_operation(op, shapes, options=options, backends=["numpy"] + ["numba"] * own)


def test_what_is_no_operation_is_refused():
    with pytest.raises(LookupError, match="no operation 'swosh'"):
        check_operation("swosh", (3, 4))
    with pytest.raises(TypeError, match="but 3 is none"):
        check_operation(3, (3, 4))
    with pytest.raises(TypeError, match="is a Module; gradcheck checks one"):
        check_operation(mr.nn.ReLU(), (3, 4))
    with pytest.raises(ValueError, match="shapes must be"):
        check_operation("relu", "3,4")
    with pytest.raises(AssertionError, match="max_pool2d on backend numpy: TypeError"):
        check_operation("max_pool2d", (2, 4, 4, 1), backends=["numpy"])


def test_the_backend_and_the_random_numbers_stay():
    before = backend.generator().bit_generator.state
    check_operation("relu", (2, 3), backends=["numba"])
    assert backend.current() == "numpy"
    assert backend.generator().bit_generator.state == before


def test_it_needs_no_pytest():
    for module in (testing, mr.variations, mr.differences, mr.suspects):
        tree = ast.parse(Path(module.__file__).read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert "pytest" not in names and "unittest" not in names
