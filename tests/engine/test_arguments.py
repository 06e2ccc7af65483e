"""Numbers given by callers: the right kind comes back as Python's own, a wrong one is named."""

import re

import numpy as np
import pytest

from minires.arguments import flag, integer, real


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_an_integer_of_any_kind_comes_back_as_an_int(value):
    number = integer("Loader", "batch_size", value, least=1)
    assert type(number) is int and number == 3


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.array([3]), 3 + 0j, np.float32(3)])
def test_what_is_no_integer_is_named(value):
    sentence = f"Loader: batch_size must be an integer, at least 1, but is {value!r}"
    with pytest.raises(TypeError, match=re.escape(sentence)):
        integer("Loader", "batch_size", value, least=1)


@pytest.mark.parametrize("value", [0, -1, 11, 2**70])
def test_an_integer_beyond_its_bounds_is_named(value):
    sentence = f"pool: window must be an integer, at least 1 and at most 10, but is {value}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        integer("pool", "window", value, least=1, most=10)


@pytest.mark.parametrize("value", [1, 0.5, np.float16(0.5), np.array(0.5), np.int64(1)])
def test_a_real_number_of_any_kind_comes_back_as_a_float(value):
    number = real("SGD", "lr", value, above=0)
    assert type(number) is float and number == float(value)


@pytest.mark.parametrize("value", ["0.1", None, False, 1j, [0.1], np.zeros(1)])
def test_what_is_no_real_number_is_named(value):
    with pytest.raises(TypeError, match="SGD: lr must be a finite number, more than 0, but is"):
        real("SGD", "lr", value, above=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1, 1.5])
def test_a_real_number_beyond_its_bounds_is_named(value):
    with pytest.raises(ValueError, match="SGD: momentum must be a finite number, more than 0 and"):
        real("SGD", "momentum", value, above=0, most=1)


@pytest.mark.parametrize("value", [0, 1, None, "yes", np.zeros(2)])
def test_a_flag_is_true_or_false(value):
    assert flag("train", "nesterov", np.True_) is True
    with pytest.raises(TypeError, match="train: nesterov must be True or False, but is"):
        flag("train", "nesterov", value)


def test_a_long_value_is_cut_in_the_sentence():
    with pytest.raises(TypeError) as error:
        real("SGD", "lr", list(range(1000)))
    assert len(str(error.value)) < 160
