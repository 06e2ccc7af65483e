"""The lessons: programs that are notebooks, too; see README.md.

>>> from minires.tutorials import check
>>> check("1.2", my_function)
right, on 4 inputs

`questions/` holds what the exercises ask and which mistakes they know; `notebooks.py` makes the
.ipynb files of the .py files.
"""

import importlib
import json
from pathlib import Path
from typing import Any

from minires.judging import Question, Verdict, judge

__all__ = ["check", "question", "recorded"]

RESULTS = Path(__file__).resolve().parents[1] / "paper" / "results"


def recorded(name: str) -> dict:
    """What an experiment of the paper has left, such as "shortened/figure6".

    Returns
    -------
    dict
        "rows", one for each network; "command", "date" and "machine" of the run; and more.

    Raises
    ------
    FileNotFoundError
        The recorded results are in the repository, not in the installed package.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{name}: the recorded results are in paper/results of the repository, and "
            f"{path} is not there; run the lessons in a clone"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def question(name: str) -> Question:
    """The question of an exercise, such as "3.2".

    Raises
    ------
    ValueError
        There is no such exercise.
    """
    lesson, _, number = name.partition(".")
    try:
        module = importlib.import_module(f"minires.tutorials.questions.lesson{int(lesson):02d}")
        return module.QUESTIONS[int(number)]
    except (ModuleNotFoundError, KeyError, ValueError):
        raise ValueError(f"there is no exercise {name!r}; exercises are named like '3.2'") from None


def check(name: str, answer: Any) -> Verdict:
    """Compare an answer with the right one and with known wrong ones.

    Parameters
    ----------
    name : str
        The exercise, such as "3.2".
    answer : function or value
        What the exercise asks for. Before it is written, the verdict says so.

    Returns
    -------
    Verdict
        A notebook shows it; `passed` is True, False, or None for no answer yet.
    """
    return judge(question(name), answer)
