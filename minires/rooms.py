"""The rooms that stand beside `minires/` in the repository; importing this checks that they fit."""

from importlib.util import find_spec
from pathlib import Path

ROOMS = ("kernels", "paper", "benchmarks", "tutorials")
"""Folders at the root that are imported as `minires.kernels`, ... (see setup.py)."""

HOUSE = Path(__file__).resolve().parent


def check() -> None:
    """Raise an ImportError if a room comes from another checkout, or from nowhere.

    An editable install says where the rooms of *its* checkout lie. If Python finds `minires` in a
    second checkout, that one's kernels would be passed by without a word.
    """
    for room in ROOMS:
        spec = find_spec(f"minires.{room}")
        if spec is None or spec.origin is None:
            raise ImportError(
                f"minires.{room} is not installed: run pip install -e . in {HOUSE.parent}"
            )
        found = Path(spec.origin).resolve().parent
        if found not in (HOUSE / room, HOUSE.parent / room):
            raise ImportError(
                f"minires was found in {HOUSE}, but minires.{room} in {found}, which is another "
                f"checkout; give each checkout an environment of its own, and run "
                f"pip install -e . in {HOUSE.parent}"
            )


check()
