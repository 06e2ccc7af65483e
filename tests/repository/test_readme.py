"""The README's code runs, and its test command is the one that .ci/run takes."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minires import data

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_blocks_run_one_after_the_other(monkeypatch, capsys):
    small = data.load_shapes(128, 32, image_size=8)
    monkeypatch.setattr(data, "load_shapes", lambda: small)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert "epoch 6: test accuracy" in capsys.readouterr().out


def test_an_older_python_is_told_so(monkeypatch):
    oldest = re.search(r"with Python ([\d.]+) to", README)[1]
    monkeypatch.setattr(sys, "version_info", (3, 11, 2, "final", 0))
    with pytest.raises(SystemExit, match=f"needs Python {oldest} or later; .* is Python 3.11.2"):
        runpy.run_path(str(ROOT / "setup.py"))


def test_ci_runs_exactly_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"grep -m1 '(.*)' README.md", script)[1]
    matching = [line for line in README.splitlines() if re.search(pattern, line)]
    assert matching == [
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test,parity,docs]'"
        " && .venv/bin/pytest -n 2 --dist worksteal"
    ]


CALLED = """#!/usr/bin/env bash
call="$(basename "$0") $*"
echo "${call% }" >> called
[ "${call% }" != "$FAILS" ]
"""


@pytest.mark.parametrize(
    ("fails", "status"),
    [
        ("", 0),
        ("ruff check .", 1),
        ("ruff format --check .", 1),
        ("mypy", 1),
        ("pytest -n 2 --dist worksteal", 1),
        ("pytest -n 2 --dist worksteal -m slow", 1),
    ],
)
def test_ci_fails_if_any_part_fails_and_runs_the_others(fails, status, tmp_path):
    for name in (".ci/run", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "called.sh").write_text(CALLED)
    (tmp_path / "called.sh").chmod(0o755)
    (tmp_path / "bin").mkdir()
    venv = tmp_path / "bin" / "python3"  # `python3 -m venv .venv` makes commands that only note
    venv.write_text(
        "#!/usr/bin/env bash\nmkdir -p .venv/bin\n"
        "for name in pip ruff mypy pytest; do ln -s ../../called.sh .venv/bin/$name; done\n"
    )
    venv.chmod(0o755)
    environment = {"PATH": f"{venv.parent}{os.pathsep}{os.environ['PATH']}", "FAILS": fails}
    run = subprocess.run([tmp_path / ".ci" / "run"], env=environment, capture_output=True)
    assert run.returncode == status
    assert (tmp_path / "called").read_text().splitlines() == [
        "pip install -q -e .[test,parity,docs]",
        "ruff check .",
        "ruff format --check .",
        "mypy",
        "pytest -n 2 --dist worksteal",
        "pytest -n 2 --dist worksteal -m slow",
    ]
