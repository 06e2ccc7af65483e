"""Writes every page: python -m minires.tutorials.pages"""

from pathlib import Path

import minires as mr
from minires.tutorials.pages import NAMES
from minires.tutorials.pages.base import build

mr.use("numpy")  # the reference, which every machine has
for name in NAMES:
    page = build(name)
    path = Path(__file__).with_name(f"{name}.html")
    path.write_text(page, encoding="utf-8")
    print(f"{path.name}: {len(page.encode()) / 1e3:.0f} kB")
