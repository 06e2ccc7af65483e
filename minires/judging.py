"""An answer, compared with the right one and with known wrong ones, on the same inputs.

>>> double = Question(
...     right=lambda x: 2 * x,
...     cases=((np.arange(3.0),),),
...     mistakes=(Mistake("the square, not the double", lambda x: x**2),),
... )
>>> judge(double, lambda x: x * x)
not yet: for x0 of shape (3,) your answer is the square, not the double; ...

A wrong answer gets its name if it agrees with a known one on all inputs: nothing is guessed from
the code. Exercises of the tutorials are checked so.
"""

import html
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires import backend


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer: `says` completes "your answer is ..."."""

    says: str
    answer: Any


@dataclass(frozen=True)
class Question:
    """What is asked.

    Parameters
    ----------
    right : function or value
        The right answer: a function of the inputs, or what they must be.
    cases : tuple of tuples
        Inputs; empty for a value.
    mistakes : tuple of Mistake
    names : tuple of str
        What the inputs are called.
    parts : tuple of str
        What the results are called, where the answer returns several.
    tolerance : float
        The largest difference that counts as none, relative to the largest number.
    """

    right: Any
    cases: Sequence[tuple] = ()
    mistakes: Sequence[Mistake] = ()
    names: Sequence[str] = ()
    parts: Sequence[str] = ()
    tolerance: float = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What `judge` found. `passed` is None if there is no answer yet."""

    passed: bool | None
    text: str
    mistake: str = ""

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        color = {True: "#009e73", False: "#d55e00", None: "#808890"}[self.passed]
        return (
            f'<div style="border-left:4px solid {color};padding:2px 10px">'
            f"{html.escape(self.text)}</div>"
        )


def judge(question: Question, answer: Any) -> Verdict:
    """Try an answer on all cases of a question.

    Parameters
    ----------
    question : Question
    answer : function or value
        None, ..., a function that returns one of them, or one that raises NotImplementedError:
        nothing is written yet.

    Returns
    -------
    Verdict
    """
    if not callable(question.right):
        return _judge_results(question, [answer], [question.right], [()])
    if answer is None or answer is ...:
        return _unwritten()
    if not callable(answer):
        return Verdict(False, f"not yet: a function is asked for, not {_named(answer)}")
    results, expected = [], []
    for case in question.cases:
        given = _copied(case)
        try:
            results.append(answer(*given))
        except NotImplementedError:
            return _unwritten()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            return Verdict(
                False,
                f"not yet: for {_inputs(question, case)} your function stops with {kind}: {error} "
                f"(line {where.lineno}: {where.line})",
            )
        if any(not _same(a, b) for a, b in zip(given, case, strict=True)):
            return Verdict(
                False, f"not yet: your function changes its inputs ({_inputs(question, case)})"
            )
        expected.append(question.right(*_copied(case)))
    return _judge_results(question, results, expected, question.cases)


def _judge_results(question, results, expected, cases) -> Verdict:
    if all(_is_nothing(result) for result in results):
        return _unwritten()
    for result, right, case in zip(results, expected, cases, strict=True):
        problem = _problem(question, result, right)
        if problem is None:
            continue
        place = f"for {_inputs(question, case)} " if case else ""
        says = next((m.says for m in question.mistakes if _explains(question, m, results)), "")
        if says:
            return Verdict(False, f"not yet: {place}your answer is {says}. {problem}", says)
        return Verdict(False, f"not yet: {place}{problem[0].lower()}{problem[1:]}")
    count = len(cases)
    inputs = f", on {count} inputs" if count > 1 else ""
    return Verdict(True, f"right{inputs}")


def _unwritten() -> Verdict:
    return Verdict(None, "no answer yet")


def _is_nothing(value) -> bool:
    return value is None or value is ...


def _explains(question: Question, mistake: Mistake, results: list) -> bool:
    """Whether a known wrong answer gives the same results on all cases."""
    if not callable(mistake.answer):
        wrong = [mistake.answer]
    else:
        try:
            wrong = [mistake.answer(*_copied(case)) for case in question.cases]
        except Exception:  # a mistake that fails on these inputs has not made this answer
            return False
    return all(_problem(question, r, w) is None for r, w in zip(results, wrong, strict=True))


def _problem(question: Question, result, right) -> str | None:
    """What is wrong with a result, in a sentence; None if nothing is."""
    if isinstance(right, tuple):
        if not isinstance(result, tuple | list) or len(result) != len(right):
            return f"{len(right)} results are asked for, not {_named(result)}."
        for i, (part, expected) in enumerate(zip(result, right, strict=True)):
            name = question.parts[i] if i < len(question.parts) else f"result {i}"
            if (problem := _difference(question, part, expected, name)) is not None:
                return problem
        return None
    return _difference(question, result, right, question.parts[0] if question.parts else "it")


def _difference(question: Question, result, right, name: str) -> str | None:
    if isinstance(right, str | bool):
        return None if result == right else f"Expected {right!r}, got {result!r}."
    try:
        found = np.asarray(backend.to_numpy(getattr(result, "data", result)))
        found = found.astype(np.float64)
    except (TypeError, ValueError):
        return f"Numbers are asked for, not {_named(result)}."
    wanted = np.asarray(right, np.float64)
    if found.shape != wanted.shape:
        return f"The shape of {name} must be {wanted.shape}, not {found.shape}."
    if not np.isfinite(found).all() and np.isfinite(wanted).all():
        return f"{name} has a number that is not finite."
    scale = max(1e-12, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0)))
    wrong = ~np.isclose(found, wanted, rtol=0, atol=question.tolerance * scale, equal_nan=True)
    if not wrong.any():
        return None
    if not wanted.ndim:
        return f"Expected {float(wanted):.6g}, got {float(found):.6g}."
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = ", ".join(map(str, first))
    return (
        f"{int(wrong.sum())} of {wrong.size} numbers of {name} are wrong, the first is [{index}]: "
        f"expected {wanted[first]:.6g}, got {found[first]:.6g}."
    )


def _inputs(question: Question, case: tuple) -> str:
    """The inputs of a case, in words."""
    parts = []
    for i, value in enumerate(case):
        name = question.names[i] if i < len(question.names) else f"x{i}"
        shape = getattr(value, "shape", None)
        if callable(value):
            parts.append(f"{name} = {value.__name__}")
        else:
            parts.append(f"{name} of shape {shape}" if shape else f"{name} = {value}")
    return ", ".join(parts)


def _named(value) -> str:
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {shape}" if shape is not None else f"{kind} ({str(value)[:40]})"


def _copied(case: tuple) -> tuple:
    return tuple(v.copy() if isinstance(v, np.ndarray) else v for v in case)


def _same(a, b) -> bool:
    return not isinstance(a, np.ndarray) or np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
