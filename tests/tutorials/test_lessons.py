"""The lessons run, say what is true of them, and their exercises have the answers they claim."""

import html
import importlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minires.judging import judge
from minires.tutorials import notebooks

SOURCES = notebooks.lessons()
RUNNER = Path(__file__).parents[1] / "support" / "lesson_run.py"


def named(source: Path) -> str:
    return source.stem


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_a_lesson_runs_and_its_solutions_are_right(source):
    began = time.perf_counter()
    one_thread = {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # other tests run beside
    result = subprocess.run(
        (sys.executable, RUNNER, source),
        cwd=source.parent,
        env=os.environ | one_thread,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    print(f"{source.stem}: {time.perf_counter() - began:.1f} s")
    found = json.loads(result.stdout.strip().split("\n")[-1])
    assert all(passed is None for passed, _ in found["unanswered"].values()), found["unanswered"]
    wrong = {name: text for name, (passed, text) in found["solved"].items() if not passed}
    assert not wrong
    assert set(found["solved"]) == set(found["unanswered"]) == set(_exercises(source))


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_the_notebook_is_the_source_with_outputs(source):
    """Make it anew: python -m minires.tutorials.notebooks."""
    book = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    there = [(cell["cell_type"], "".join(cell["source"])) for cell in book["cells"]]
    assert there == [(cell.cell_type, cell.source) for cell in notebooks.read(source).cells]
    ran = [c.get("execution_count") for c in book["cells"] if c["cell_type"] == "code"]
    assert ran == list(range(1, len(ran) + 1)), "run from top to bottom"
    assert not [o for o in _outputs(book) if o["output_type"] == "error"]


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_every_picture_says_what_it_shows(source):
    book = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    pictures = 0
    for output in _outputs(book):
        data = output.get("data", {})
        assert "image/png" not in data, "a picture without an alternative text"
        for image in re.findall(r"<img [^>]*>", "".join(data.get("text/html", ()))):
            alt = re.search(r'alt="([^"]*)"', image)
            assert alt and len(html.unescape(alt[1])) >= 40, image[:200]
            pictures += 1
    assert pictures >= 1


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_a_lesson_is_of_a_size_that_can_be_read(source):
    book = notebooks.read(source)
    prose = " ".join(c.source for c in book.cells if c.cell_type == "markdown")
    assert 1000 <= len(prose.split()) <= 2300
    for cell in book.cells:
        if cell.cell_type == "code":
            assert len(cell.source.split("\n")) <= 27, cell.source
    assert re.search(r"\*\*You will be able to\*\*", prose)
    assert re.search(r"runs in (about )?\d+ seconds", prose)
    assert "Break it yourself" in prose or "Bug hunt" in prose
    assert 4 <= len(re.findall(r"\*\*Exercise \d+\.\d+\*\*", prose)) <= 7
    assert prose.count("<summary>Hint</summary>") == prose.count("<summary>Solution</summary>")


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_the_links_of_a_lesson_lead_somewhere(source):
    for target in re.findall(r"\]\(([^)#\s]+)[)#]", source.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (source.parent / target).exists(), target


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_every_known_mistake_gets_its_own_name(source):
    lesson = importlib.import_module(f"minires.tutorials.questions.lesson{source.name[:2]}")
    for number, question in lesson.QUESTIONS.items():
        assert judge(question, question.right).passed, number
        for mistake in question.mistakes:
            verdict = judge(question, mistake.answer)
            assert verdict.passed is False, (number, mistake.says)
            assert verdict.mistake == mistake.says, (number, mistake.says, verdict)


def _exercises(source: Path) -> list[str]:
    return re.findall(r'^check\("(\d+\.\d+)"', source.read_text(encoding="utf-8"), re.M)


def _outputs(book) -> list:
    return [output for cell in book["cells"] for output in cell.get("outputs", ())]
