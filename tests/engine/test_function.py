"""Functions of one's own, the choice of kernels and backends, and the floors of the house."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import minires as mr
from minires import Tensor, backend, kernels
from minires.function import Function
from minires.gradcheck import GradcheckError, gradcheck


class Square(Function):
    def forward(self, x):
        self.saved = (x,)
        return x * x

    def backward(self, dy):
        (x,) = self.saved
        return (2 * x * dy,)


class Weighted(Function):
    """factor * a + b, with an option and two inputs."""

    def forward(self, a, b):
        return self.options["factor"] * a + b

    def backward(self, dy):
        return self.options["factor"] * dy, dy


def returning(gradients) -> type[Function]:
    """A Function of two inputs whose backward returns `gradients(dy)`."""

    class Broken(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, dy):
            return gradients(dy)

    return Broken


def leaf(*shape, seed=0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


class TestOwnFunctions:
    def test_a_function_in_array_code_is_differentiable(self):
        assert gradcheck(lambda x: Square()(x), leaf(3, 2))
        assert gradcheck(lambda a, b: Weighted(factor=3.0)(a, b), [leaf(3), leaf(3, seed=1)])
        assert gradcheck(lambda x: Square()(x).exp() + Square()(x * x), leaf(4))

    def test_it_is_named_after_its_class(self):
        assert "made by square" in repr(Square()(leaf(2)))

    def test_needs_says_which_gradients_are_wanted(self):
        function = Weighted(factor=1.0)
        function(leaf(2), Tensor(np.ones(2))).backward(np.ones(2))
        assert function.needs == (True, False)

    def test_it_serves_one_call_only(self):
        """A second call would overwrite what the first one saved."""
        square, x = Square(), leaf(3)
        y = square(x)
        with pytest.raises(RuntimeError, match="square"):
            (y + square(x * 2)).backward(np.ones(3))

    def test_a_wrong_backward_does_not_pass_gradcheck(self):
        wrong = returning(lambda dy: (dy, 2 * dy))
        with pytest.raises(GradcheckError, match="input 1, .*(\n.*)*2 times too large"):
            gradcheck(lambda a, b: wrong()(a, b), [leaf(3), leaf(3, seed=1)])

    @pytest.mark.parametrize(
        "gradients",
        [lambda dy: (dy,), lambda dy: (), lambda dy: (dy, dy, dy), lambda dy: dy, lambda dy: None],
        ids=["one", "none", "three", "no tuple", "nothing"],
    )
    def test_a_wrong_number_of_gradients_is_a_type_error(self, gradients):
        y = returning(gradients)()(leaf(2), leaf(2))
        with pytest.raises(TypeError, match="broken: backward must return a tuple of 2 gradients"):
            y.backward(np.ones(2))

    @pytest.mark.parametrize(
        ("gradients", "described"),
        [
            (lambda dy: (dy, dy.sum()), r"an array of shape \(\)"),
            (lambda dy: (dy[:1], dy), r"an array of shape \(1,\)"),
            (lambda dy: (None, dy), "None"),
            (lambda dy: (dy, 1.0), r"1\.0"),
        ],
    )
    def test_a_gradient_of_another_shape_is_a_value_error(self, gradients, described):
        a, b = leaf(2), leaf(2, seed=1)
        y = returning(gradients)()(a, b)
        with pytest.raises(ValueError, match=f"broken: backward returned {described} as the grad"):
            y.backward(np.ones(2))
        assert a.grad is None and b.grad is None

    @pytest.mark.parametrize("value", [np.ones(2), 2.0, [1.0]], ids=["array", "number", "list"])
    def test_an_input_that_is_no_tensor_is_called_so(self, value):
        with pytest.raises(TypeError, match="square: .*Tensor"):
            Square()(value)


class TestBackends:
    def test_an_array_of_another_backend_is_refused(self, monkeypatch):
        x = leaf(2, 3)
        monkeypatch.setattr(backend, "is_array", lambda value: False)
        with pytest.raises(TypeError, match=r"exp: the current backend 'numpy' .*shape \(2, 3\)"):
            x.exp()

    def test_use_switches_from_here_on(self, monkeypatch):
        monkeypatch.setattr(backend, "problem", lambda name: None)
        mr.use("numba")
        assert backend.current() == "numba"
        mr.use("numpy")
        assert backend.current() == "numpy"

    def test_a_block_ends_with_the_backend_it_began_with_also_on_an_exception(self, monkeypatch):
        monkeypatch.setattr(backend, "problem", lambda name: None)
        with mr.use("numba"):
            assert backend.current() == "numba"
            with pytest.raises(ZeroDivisionError), mr.use("emulator"):
                assert backend.current() == "emulator"
                raise ZeroDivisionError
            assert backend.current() == "numba"
        assert backend.current() == "numpy"

    def test_an_unavailable_backend_changes_nothing_and_says_why(self):
        with pytest.raises(mr.BackendUnavailable, match="'abacus' does not work here: no backend"):
            mr.use("abacus")
        assert backend.current() == "numpy"

    def test_auto_is_the_fastest_that_works(self, monkeypatch):
        works = {"numpy", "emulator"}
        monkeypatch.setattr(backend, "problem", lambda name: None if name in works else "broken")
        with mr.use("auto"):
            assert backend.current() == "numpy"
        works.add("numba")
        assert backend.default() == "numba"

    def test_the_reference_has_no_problem_and_every_problem_is_a_sentence(self):
        assert backend.problem("numpy") is None
        assert "there are cupy, numba, numba_cuda, numpy" in backend.problem("torch")
        for name in backend.BACKENDS:
            why = backend.problem(name)
            assert why is None or len(why.split()) > 4

    @pytest.mark.parametrize(
        ("name", "advice"),
        [
            ("cupy", r"pip install -e '.[cuda12]'"),
            ("numba_cuda", "install numba"),
            ("numba", "install numba"),
        ],
    )
    def test_a_missing_package_is_named_with_its_installation(self, name, advice, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert "not installed" in backend.problem(name) and advice in backend.problem(name)

    @pytest.mark.parametrize("name", backend.BACKENDS)
    def test_every_operation_has_kernels_on_every_backend_or_the_reference(self, name):
        entry = backend.get(name)
        assert len(entry.own_kernels()) > 5
        for op in set(kernels.operations()) - set(entry.own_kernels()):
            assert entry.kernel(op).__name__ == f"minires.kernels.{op}.reference"

    def test_an_unknown_operation_file_or_package_is_a_lookup_error(self):
        with pytest.raises(LookupError, match="no operation 'convolve'; there are adam, add, "):
            kernels.load("convolve", "reference")
        with pytest.raises(LookupError, match="no operation has a file emulator.py"):
            kernels.load("add", "emulator")
        with pytest.raises(LookupError, match="there is no package nowhere.at_all"):
            kernels.load("add", "jax", "nowhere.at_all")


def run(script: str) -> str:
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


class TestImports:
    def test_importing_minires_loads_nothing_but_numpy(self):
        heavy = {"numba", "matplotlib", "tqdm", "safetensors", "cupy", "torch", "scipy"}
        loaded = run("import minires, sys; print(*{name.split('.')[0] for name in sys.modules})")
        assert not heavy & set(loaded.split())

    def test_with_numpy_alone_a_network_learns(self):
        run(
            "import sys\n"
            "class OnlyNumPy:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        allowed = {'numpy', 'minires', *sys.stdlib_module_names}\n"
            "        if name.partition('.')[0] not in allowed:\n"
            "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
            "sys.meta_path.insert(0, OnlyNumPy())\n"
            "import minires as mr, numpy as np\n"
            "net = mr.models.resnet8()\n"
            "x = mr.Tensor(np.ones((2, 8, 8, 3), np.float32))\n"
            "mr.functional.cross_entropy(net(x), np.array([1, 2])).backward()\n"
            "mr.optim.SGD(net, lr=0.1).step()\n"
        )
