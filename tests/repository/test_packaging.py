"""What is installed is what a checkout has: every module and kernel, and no records."""

import runpy
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).parents[2]
ROOMS = ("minires", "kernels", "paper", "benchmarks")


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
