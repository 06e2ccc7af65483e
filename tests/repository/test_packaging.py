"""What is installed is what a checkout has: every module and kernel, and no records.

And nobody is led to another package or another checkout than this one.
"""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools

from minires import rooms

ROOT = Path(__file__).parents[2]
ROOMS = ("minires", "kernels", "paper", "benchmarks", "tutorials")


@pytest.fixture(scope="module")
def settings() -> dict:
    """What setup.py hands to setuptools."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, "setup", lambda **given: found.update(given))
        runpy.run_path("setup.py")
    return found


def folder_of(package: str, package_dir: dict) -> str:
    """The folder of a package below the root, as setuptools finds it."""
    for name, folder in package_dir.items():
        if package == name or package.startswith(f"{name}."):
            package = package.replace(name, folder, 1)
    return package.replace(".", "/")


def test_every_folder_of_modules_is_a_package(settings):
    folders = {folder_of(package, settings["package_dir"]) for package in settings["packages"]}
    there = {p.parent.relative_to(ROOT).as_posix() for r in ROOMS for p in (ROOT / r).rglob("*.py")}
    assert folders == there


def test_the_files_that_are_no_modules_are_kernels_and_headers_but_not_records(settings):
    packed = set()
    for package, patterns in settings["package_data"].items():
        folder = ROOT / folder_of(package, settings["package_dir"])
        packed |= {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    there = {path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()}
    needed = {path for path in there if path.suffix in (".cu", ".cuh", ".h")}
    assert needed <= packed
    assert not {path for path in packed if "results" in path.parts}


def test_setup_and_the_package_agree_on_the_rooms(settings):
    assert set(settings["package_dir"]) == {f"minires.{room}" for room in rooms.ROOMS}


def test_no_text_advises_the_package_of_somebody_else(settings):
    """In the public registry `minires` is a stranger's; the name of this distribution is free."""
    taken = "min" + "ires"
    advice = re.compile(
        rf"pip3? install [^\n]*(?<![-/.\w]){taken}(?![-/.\w])|{taken}\[(cuda|test|dask)"
    )
    kinds = {".py", ".md", ".toml", ".cff", ".cu", ".cuh", ".h", ".ipynb", ".yml", ".svg"}
    texts = [p for p in ROOT.glob("*") if p.suffix in kinds] + [ROOT / ".ci" / "run"]
    for room in (*ROOMS, "tests", "docs", "examples"):
        texts += [path for path in (ROOT / room).rglob("*") if path.suffix in kinds]
    assert settings["name"] != taken
    assert not [path.name for path in texts if advice.search(path.read_text(encoding="utf-8"))]
    assert advice.search(f"pip install '{taken}[cuda12]'") and advice.search(f"pip install {taken}")
    assert not advice.search(f"pip install -e '.[test]' && .venv/bin/{taken} train")


def test_the_kernels_of_another_checkout_are_refused(tmp_path):
    """Python finds minires in the second checkout, its kernels by the install of the first."""
    shutil.copytree(ROOT / "minires", tmp_path / "minires")
    shutil.copytree(ROOT / "kernels" / "relu", tmp_path / "kernels" / "relu")
    run = subprocess.run(
        [sys.executable, "-c", "import minires"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert re.search(
        rf"ImportError: minires was found in {tmp_path}/minires, but minires.kernels in \S+, which "
        rf"is another checkout; .* run pip install -e . in {tmp_path}$|minires.kernels is not inst",
        run.stderr.strip(),
    )
