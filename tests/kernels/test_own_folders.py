"""Folders of operations from outside: found by name, refused in sentences, gone without a trace."""

import sys

import numpy as np
import pytest

import minires as mr
from minires import Tensor, backend, backends, kernels, models
from minires import functional as F
from minires.cli import main
from minires.function import Function
from minires.gradcheck import gradcheck
from minires.kernels import KernelFileError, own

SWISH = '''
"""Swish in array code."""

from minires.kernels.arrays import array_module


def forward(x, beta=1.0):
    s = 1 / (1 + array_module(x).exp(-beta * x))
    return x * s, (x, s, beta)


def backward(dy, saved, needs):
    x, s, beta = saved
    return (dy * (s + beta * x * s * (1 - s)),)
'''
TWICE = """
def forward(x):
    return 2 * x.clip(0), (x > 0,)


def backward(dy, saved, needs):
    return (2 * dy * saved[0],)
"""


@pytest.fixture(autouse=True)
def nothing_stays():
    """What a test adds is gone after it, and a test that leaves something else behind fails."""
    table, modules = dict(backends.BACKENDS), {n for n in sys.modules if "minires" in n}
    yield
    for path in list(own.FOLDERS):
        kernels.remove_folder(path)
    backends.BACKENDS.clear()
    backends.BACKENDS.update(table)
    left = {n for n in sys.modules if "minires" in n} - modules
    assert not [name for name in left if "swish" in name or "student" in name]


@pytest.fixture
def folder(tmp_path):
    """A folder with swish, and what writes files into it."""
    write(tmp_path, "swish/reference.py", SWISH)
    return tmp_path


def write(folder, name: str, text: str):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def relu_of(x) -> list:
    return F.relu(np.float32(x)).numpy().tolist()


class TestFolders:
    def test_an_added_operation_is_found_by_its_name_and_has_its_gradient(self, folder):
        before = kernels.operations()
        with kernels.add_folder(folder) as added:
            assert gradcheck(lambda x: Function("swish", beta=2.0)(x), [np.linspace(-2, 2, 7)])
            assert set(kernels.operations()) == {*before, "swish"}
            assert "swish" in repr(added)
            assert "swish" in backend.get("numpy").own_kernels()
        assert kernels.operations() == before
        with pytest.raises(LookupError, match="no operation 'swish'"):
            Function("swish")

    def test_a_file_for_another_backend_is_used_there_and_only_there(self, folder):
        write(folder, "swish/numba_cpu.py", SWISH.replace("return x * s,", "return x * s + 1,"))
        x = Tensor(np.float32([1, 2]))
        with kernels.add_folder(folder):
            assert kernels.has_own("swish", "numba_cpu")
            y = Function("swish")(x).numpy()
            with mr.use("numba"):
                z = Function("swish")(x).numpy()
        np.testing.assert_allclose(z, y + 1)
        assert not kernels.has_own("swish", "numba_cpu")

    def test_a_file_may_be_added_to_an_operation_that_there_is(self, folder):
        write(folder, "relu/student.py", TWICE)
        with kernels.add_folder(folder):
            assert kernels.load("relu", "student").__name__ == "minires.kernels.relu.student"
            assert kernels.load("add", "student").__name__ == "minires.kernels.add.reference"
        assert not kernels.has_own("relu", "student")
        assert not hasattr(kernels.relu, "student")
        assert relu_of([-1, 3]) == [0, 3]

    def test_files_may_import_each_other_and_what_stands_beside_the_folders(self, folder):
        write(folder, "swish/constants.py", "BETA = 2.0")
        text = SWISH.replace("beta=1.0", "beta=BETA")
        write(
            folder, "swish/reference.py", "from minires.kernels.swish.constants import BETA" + text
        )
        with kernels.add_folder(folder):
            assert Function("swish")(Tensor(np.float64([1.0]))).item() == pytest.approx(
                1 / (1 + np.exp(-2))
            )

    def test_a_folder_that_is_added_again_is_read_anew(self, folder):
        x = Tensor(np.float64([1.0]))
        kernels.add_folder(folder)
        first = Function("swish")(x).item()
        write(folder, "swish/reference.py", SWISH.replace("return x * s,", "return x + s,"))
        kernels.add_folder(folder)
        assert own.FOLDERS == [folder]
        assert Function("swish")(x).item() == pytest.approx(first + 1)
        kernels.remove_folder(folder)
        with pytest.raises(KernelFileError, match="was not added"):
            kernels.remove_folder(folder)

    def test_machine_code_is_made_anew_when_a_file_changes_that_it_is_made_of(self, folder):
        kernel = """
import numpy as np
from minires.kernels.jit import jit
from minires.kernels.scaled.helper import scale

@jit
def go(x, y):
    for i in range(x.size):
        y[i] = scale(x[i])

def forward(x):
    y = np.empty_like(x)
    go(x.ravel(), y.ravel())
    return y, ()

def backward(dy, saved, needs):
    return (dy,)
"""
        write(folder, "scaled/reference.py", kernel)
        for factor in (2, 3):
            helper = f"from minires.kernels.jit import jit\n@jit\ndef scale(x): return {factor} * x"
            write(folder, "scaled/helper.py", helper)
            with kernels.add_folder(folder):
                assert Function("scaled")(Tensor(np.ones(2))).numpy().tolist() == [factor] * 2

    def test_a_step_of_an_optimizer_needs_no_backward(self, folder):
        write(folder, "signed/reference.py", "def update(params, grads, lr):\n    pass\n")
        with kernels.add_folder(folder):
            assert callable(backend.kernel("signed").update)

    def test_the_command_line_sees_it(self, folder, tmp_path, capsys):
        module = write(tmp_path, "my_kernels_module.py", "")
        module.write_text(
            f"from minires import backend, kernels\nkernels.add_folder({str(folder)!r})\n"
        )
        own_before = len(kernels.operations())
        assert main(["info", "--import", str(module)]) == 0
        assert f"of {own_before + 1} operations" in capsys.readouterr().out


WRONG = {
    "absent": ({}, "there is no folder .*absent; expected is a folder with one folder for each"),
    "empty": ({"notes.txt": "x"}, "holds no operation; expected is"),
    "inner": ({"reference.py": SWISH}, "is the folder of one operation; give the folder above it"),
    "name": ({"my-op/reference.py": SWISH}, "'my-op' cannot be an operation's name"),
    "arrays": ({"arrays/reference.py": SWISH}, "'arrays' cannot be an operation's name"),
    "taken": ({"relu/reference.py": SWISH}, "would stand for .*relu.reference.py.*replaced"),
    "numba": ({"conv2d/numba_cpu.py": SWISH}, "would stand for .*conv2d.numba_cpu.py"),
    "syntax": ({"a/reference.py": "x = 1\ndef f(:"}, "a.reference.py, line 2: SyntaxError"),
    "other": ({"a/reference.py": SWISH, "a/cuda.py": "(("}, "a.cuda.py, line 1: SyntaxError"),
    "reference": ({"a/numba_cpu.py": SWISH}, "a has no reference.py, the file in array code"),
    "fails": ({"a/reference.py": "\n\nx = y"}, "a.reference.py, line 3: NameError: name 'y'"),
    "contract": (
        {"a/__init__.py": "\nx = y", "a/reference.py": SWISH},
        "a.__init__.py, line 2: NameError",
    ),
    "import": ({"a/reference.py": "import nowhere"}, "line 1: ModuleNotFoundError: .*nowhere"),
    "backward": (
        {"a/reference.py": "def forward(x):\n    return x, ()"},
        r"a.reference.py defines no backward; expected is forward\(x, .*\(y, saved\) and backward",
    ),
    "both": ({"a/reference.py": "x = 1"}, "defines no forward and no backward; expected is"),
    "arguments": (
        {"a/reference.py": SWISH.replace("dy, saved, needs", "dy, saved")},
        r"backward cannot be called as backward\(dy, saved, needs\)",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_added_is_refused_in_a_sentence_and_leaves_nothing(kind, tmp_path):
    files, message = WRONG[kind]
    for name, text in files.items():
        write(tmp_path / kind, name, text)
    before, modules = kernels.operations(), set(sys.modules)
    with pytest.raises(KernelFileError, match=message):
        kernels.add_folder(tmp_path / kind)
    assert kernels.operations() == before and own.FOLDERS == []
    assert not [n for n in set(sys.modules) - modules if n.endswith((".a", ".a.reference"))]


def test_two_folders_may_not_have_one_file_twice(folder, tmp_path):
    write(tmp_path / "second", "swish/reference.py", SWISH)
    with kernels.add_folder(folder):
        with pytest.raises(KernelFileError, match="would stand for .*swish.reference.py"):
            kernels.add_folder(tmp_path / "second")
        assert "swish" in kernels.operations()


@pytest.mark.parametrize("contract", [False, True])
def test_a_folder_may_add_a_file_to_an_operation_of_another_one(folder, tmp_path, contract):
    if contract:
        write(folder, "swish/__init__.py", '"""Swish."""')
    more = tmp_path / "more"
    write(more, "swish/numba_cpu.py", SWISH.replace("return x * s,", "return x + s,"))
    x = Tensor(np.zeros(1))
    with kernels.add_folder(folder):
        for _ in range(2):
            with kernels.add_folder(more), mr.use("numba"):
                assert Function("swish")(x).item() == 0.5
            with mr.use("numba"):
                assert Function("swish")(x).item() == 0
    with pytest.raises(KernelFileError, match="swish has no reference.py"):
        kernels.add_folder(more)


def test_a_kernel_that_is_wrong_is_named_when_it_is_used(folder):
    write(folder, "swish/numba_cpu.py", "def forward(x):\n    return x, ()\n")
    with kernels.add_folder(folder), mr.use("numba"):
        with pytest.raises(KernelFileError, match=r"swish.numba_cpu.py defines no backward"):
            Function("swish")


class TestBackends:
    def test_a_backend_from_outside_computes_with_its_files_and_else_with_the_reference(
        self, folder, capsys
    ):
        write(folder, "relu/student.py", TWICE)
        backend.register("student", folder=folder)
        x = Tensor(np.float32([-1, 2]), requires_grad=True)
        with mr.use("student"):
            y = F.relu(x) + 1
            y.backward(np.ones(2, np.float32))
        assert y.numpy().tolist() == [1, 5] and x.grad.tolist() == [0, 2]
        assert main(["info"]) == 0
        assert "student     works, on top of numpy; kernels of its own for 1 of" in (
            capsys.readouterr().out
        )
        backend.unregister("student")
        assert own.FOLDERS == [] and not kernels.has_own("relu", "student")
        with pytest.raises(mr.BackendUnavailable, match="no backend is named 'student'"):
            mr.use("student")

    def test_it_may_stand_on_top_of_another_backend(self, folder):
        write(folder, "relu/student.py", TWICE)
        entry = backend.register("student", folder=folder, like="numba")
        assert entry.kernel("conv2d").__name__ == "minires.kernels.conv2d.numba_cpu"
        assert entry.kernel("relu").entry.place == str(folder / "relu" / "student.py")
        assert entry.own_kernels() == ["relu"]
        with pytest.raises(ValueError, match="'second' stands on top of 'student'"):
            backend.register("second", kernel_file="student", like="student")
            backend.unregister("student")

    @pytest.mark.parametrize("like", ["numpy", "numba"])
    def test_a_network_goes_around_none_of_its_files(self, folder, like):
        write(folder, "relu/student.py", TWICE)
        backend.register("student", folder=folder, like=like)
        block = models.blocks.BasicBlock(4, 4, 1, "A", fused=True)
        x = Tensor(np.random.default_rng(0).standard_normal((2, 4, 4, 4)).astype(np.float32))
        seen = []
        with (
            mr.use("student"),
            mr.watch(lambda f, _, compute, *a: seen.append(f.op) or compute(*a)),
        ):
            block(x)
            with pytest.raises(ValueError, match="conv_norm_relu computes relu by itself"):
                Function("conv_norm_relu")
        assert seen == ["conv2d", "batch_norm", "relu", "conv2d", "batch_norm", "add", "relu"]

    def test_a_wrong_result_of_its_files_is_named(self, folder):
        wrong = TWICE.replace("2 * x.clip(0)", "x[0]")
        path = write(folder, "relu/student.py", wrong)
        backend.register("student", folder=folder)
        with (
            mr.use("student"),
            pytest.raises(ValueError, match=f"relu of {path}: forward returned"),
        ):
            F.relu(np.float32([1, 2]))

    def test_where_its_base_does_not_work_it_does_not_either(self, folder):
        write(folder, "relu/student.py", TWICE)
        backend.register(backend.Backend("stone", problem=lambda: "its stone is missing"))
        backend.register("student", folder=folder, like="stone")
        with pytest.raises(mr.BackendUnavailable, match="'student'.*its stone is missing"):
            mr.use("student")

    def test_what_cannot_be_registered_is_refused_in_a_sentence(self, folder):
        with pytest.raises(ValueError, match=r"no operation has a file student.py.*relu/student"):
            backend.register("student", folder=folder)
        assert own.FOLDERS == []
        with pytest.raises(ValueError, match="no package nowhere.*at least one, such as relu"):
            backend.register("student", package="nowhere")
        with pytest.raises(ValueError, match="no backend is named 'stone'"):
            backend.register("student", folder=folder, like="stone")
        with pytest.raises(KernelFileError, match="there is no folder"):
            backend.register("student", folder=folder / "absent")
        with pytest.raises(ValueError, match="is no backend that register has added"):
            backend.unregister("numpy")
        write(folder, "relu/student.py", TWICE)
        backend.register("student", folder=folder)
        with pytest.raises(ValueError, match=r"already.*'student'; unregister\('student'\)"):
            backend.register("student", folder=folder)
