"""PyTorch's habits: every line works, or its error names what to write instead."""

import re
import warnings

import pytest
from habits import INSTEAD, WORK, names

LINES = [line.strip() for line in WORK.replace("\n", ";").split(";") if line.strip()]


def run(line: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if re.search(r"[^=!<>(]=[^=]", line.split("(")[0]):
            exec(line, names())
            return None
        return eval(line, names())


@pytest.mark.parametrize("line", LINES)
def test_a_line_works(line):
    run(line)


@pytest.mark.parametrize("line", INSTEAD)
def test_a_line_that_does_not_says_what_to_write(line):
    with pytest.raises(Exception) as caught:
        run(line)
    text = str(caught.value)
    assert INSTEAD[line] in text, text
    assert not re.search(r"has no attribute '\w+'$", text)


def test_there_are_four_hundred_habits():
    assert len(set(LINES)) + len(INSTEAD) >= 400


def test_a_star_import_shadows_no_builtin():
    space: dict = {}
    exec("from minires import *", space)
    assert space["Tensor"] and not {"sum", "float", "abs", "max"} & space.keys()
