"""A judge says what is wrong with an answer, and which known mistake it is."""

import numpy as np
import pytest

from minires import tutorials
from minires.judging import Mistake, Question, judge

X = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
SUMS = Question(
    lambda x: x.sum(0),
    ((X,), (2 * X,)),
    (Mistake("the mean", lambda x: x.mean(0)), Mistake("along the wrong axis", lambda x: x.sum(1))),
    names=("x",),
    parts=("the sum",),
)


def test_a_right_answer():
    verdict = judge(SUMS, lambda x: [sum(column) for column in x.T])
    assert verdict.passed and verdict.text == "right, on 2 inputs"


@pytest.mark.parametrize("nothing", (None, ..., lambda x: None, lambda x: ...))
def test_no_answer_is_no_fault(nothing):
    assert judge(SUMS, nothing).passed is None


def test_a_known_mistake_gets_its_name():
    verdict = judge(SUMS, lambda x: np.add.reduce(x) / len(x))
    assert verdict.passed is False and verdict.mistake == "the mean"
    assert (
        "for x of shape (2, 3) your answer is the mean. 3 of 3 numbers of the sum" in verdict.text
    )
    assert "the first is [0]: expected 1.5, got 0.75" in verdict.text


def test_an_unknown_mistake_gets_its_first_number():
    verdict = judge(SUMS, lambda x: x.sum(0) + np.array([0, 0, 1]))
    assert not verdict.mistake and "the first is [2]: expected 5, got 6" in verdict.text


@pytest.mark.parametrize(
    "answer, words",
    (
        (lambda x: x, r"the shape of the sum must be \(3,\), not \(2, 3\)"),
        (lambda x: 1 / 0, r"stops with ZeroDivisionError: division by zero \(line \d+"),
        (lambda x: np.full(3, np.nan), "not finite"),
        (lambda x: "three", "numbers are asked for, not str"),
        (3, "a function is asked for, not int"),
    ),
)
def test_other_faults_in_a_sentence(answer, words):
    import re

    verdict = judge(SUMS, answer)
    assert verdict.passed is False and re.search(words, verdict.text), verdict


def test_changed_inputs_are_a_fault():
    def answer(x):
        x *= 2
        return x.sum(0) / 2

    assert "changes its inputs (x of shape (2, 3))" in judge(SUMS, answer).text


def test_several_results_have_names():
    two = Question(lambda x: (x, 2 * x), ((X,),), parts=("once", "twice"))
    assert "of twice are wrong" in judge(two, lambda x: (x, 3 * x)).text
    assert "2 results are asked for" in judge(two, lambda x: x[0, 0]).text


def test_a_value_is_judged():
    number = Question(11.0, mistakes=(Mistake("one path alone", 10.0),))
    assert judge(number, 11).passed
    assert judge(number, 10).text == "not yet: your answer is one path alone. Expected 11, got 10."


def test_nan_is_right_where_it_is_asked_for():
    root = Question(np.sqrt, ((np.array([4.0, -1.0]),),))
    with np.errstate(invalid="ignore"):
        assert judge(root, np.sqrt).passed
        assert "1 of 2 numbers" in judge(root, lambda x: np.sqrt(np.abs(x))).text


def test_an_exercise_that_is_not_there():
    with pytest.raises(ValueError, match="there is no exercise '99.1'"):
        tutorials.check("99.1", None)
