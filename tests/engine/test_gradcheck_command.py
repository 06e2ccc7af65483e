"""minires gradcheck FILE.py::NAME: a table of errors, a report with status 1, or one sentence."""

import re
import sys

import pytest

from minires.cli import main

FILE = '''
"""Operations of a student."""

from minires import Tensor, nn
from minires.function import Function

numbers = [1, 2]


class Cube(Function):
    def forward(self, x):
        self.saved = (x,)
        return x**3

    def backward(self, dy):
        (x,) = self.saved
        return (3 * x**2 * dy,)


class Wrong(Cube):
    def backward(self, dy):
        return (-super().backward(dy)[0],)


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = nn.Linear(4, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.part(x))


class Needs(nn.Module):
    def __init__(self, size):
        super().__init__()


def product(a, b):
    return a @ b


def cube(x):
    return Cube()(x)


def many(*tensors):
    return tensors[0]


def broken(x):
    return numbers[7]


scale = Scale()
'''


@pytest.fixture
def check(tmp_path, capsys):
    """Run the command on a name of the file; returns status, output and errors."""
    path = tmp_path / "ops_of_a_student.py"
    path.write_text(FILE)
    before = list(sys.path)

    def run(name: str, *options: str, file=path):
        status = main(["gradcheck", f"{file}::{name}" if name else str(file), *options])
        return status, *capsys.readouterr()

    yield run
    sys.path[:] = before
    for name in [name for name in sys.modules if "ops_of_a_student" in name]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["Cube", "cube"])
def test_what_is_right_gives_a_line_for_each_case_and_a_column_for_each_input(check, name):
    status, out, err = check(name, "--shapes", "2x3", "--shapes", "4,2,3")
    assert (status, err) == (0, "")
    first, _, head, *rows = out.splitlines()
    assert first == f"{name}: backward agrees with numerical gradients; the largest errors:"
    assert head.split() == ["case", "input", "0"]
    cases = ["(2, 3)", "(1, 3), a batch", "(4, 2, 3)", "(1, 2, 3), a batch", "(4, 3, 3), odd sizes"]
    assert len(rows) == 5
    assert all(row.startswith(case) for row, case in zip(rows, cases, strict=True))
    assert all(0 <= float(row.split()[-1]) < 1e-7 for row in rows)


@pytest.mark.parametrize("name", ["Scale", "scale"])
def test_a_module_shows_its_parameters_and_modes_and_what_was_left_out(check, name):
    status, out, _ = check(name, "--backend", "numba")
    assert status == 0
    assert "input  part.weight  part.bias  norm.weight  norm.bias" in out
    assert "(3, 4), training " in out and "(3, 4), evaluation " in out
    assert re.search(r"a batch of one, training +left out: batch_norm: training needs", out)


def test_several_inputs_are_checked_at_their_shapes(check):
    assert check("product", "--shapes", "2x3", "3x4")[0] == 0


def test_what_is_wrong_gives_the_report_and_the_status_1(check):
    status, out, err = check("Wrong")
    assert (status, err) == (1, "")
    assert "disagree, worst at input 0" in out and "hint: the sign is wrong" in out


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "absent",
            [],
            "has no absent; it has Cube, Wrong, Scale, Needs, product, cube, many, broken",
        ),
        ("numbers", [], "numbers of .*ops_of_a_student.py is a list; expected is a function of"),
        ("Needs", [], r"Needs of .* cannot be made without arguments .*my_layer = Needs\(\.\.\.\)"),
        ("many", [], "many does not say how many inputs it takes: give their --shapes"),
        ("product", [], r"product cannot be checked at the shapes \(3, 4\) \(give others with"),
        ("product", ["--shapes", "2x3", "4x4"], r"at the shapes \(2, 3\) \(4, 4\): matmul: "),
        ("broken", [], "broken fails: .*ops_of_a_student.py, line 53: IndexError: list index"),
        ("", [], r"must be FILE.py::NAME, such as my_ops.py::softplus"),
        ("cube", ["--backend", "stone"], "no backend is named 'stone'"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(check, name, options, message):
    status, out, err = check(name, *options)
    assert (status, out) == (1, "") and err.startswith("minires: ") and err.count("\n") == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(err)


def test_a_file_that_is_not_there_or_fails_is_one_sentence(check, tmp_path):
    status, _, err = check("f", file=tmp_path / "absent.py")
    assert status == 1 and f"minires: there is no file {tmp_path / 'absent.py'}" in err
    wrong = tmp_path / "wrong.py"
    wrong.write_text("\nx = y\n")
    status, _, err = check("f", file=wrong)
    assert status == 1 and "wrong.py, line 2: NameError" in err and "--import" not in err


def test_shapes_that_are_none_are_refused_by_the_parser(check, capsys):
    with pytest.raises(SystemExit):
        check("cube", "--shapes", "2xa")
    assert "argument --shapes: invalid shape value: '2xa'" in capsys.readouterr().err
