"""The documentation site is built without a warning, and loads nothing from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

pytest.importorskip("myst_nb", reason="the site needs pip install -e '.[docs]'")
ROOT = Path(__file__).parents[2]


class Links(HTMLParser):
    """What a page loads by itself, and where its links lead."""

    def __init__(self):
        super().__init__()
        self.loads, self.leads, self.names = [], [], set()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.names.add(given.get("id"))
        if tag in ("script", "img", "iframe", "source", "video") and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") != "canonical" and given.get("href"):
            self.loads.append(given["href"])
        if tag == "a" and given.get("href"):
            self.leads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built for this test."""
    out = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        (sys.executable, ROOT / "docs" / "site", out), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr  # a warning is an error
    return out / "html"


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Links]:
    """All pages, read."""
    found = {}
    for path in site.rglob("*.html"):
        if "_static" in path.parts:
            continue  # the theme's own
        found[path] = Links()
        found[path].feed(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site, pages):
    foreign = re.compile(r"^(https?:)?//")
    assert not [(p, url) for p, page in pages.items() for url in page.loads if foreign.match(url)]
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text())
        assert not urls, sheet


@pytest.mark.slow
def test_every_link_leads_to_a_page_and_its_place(pages):
    broken = []
    for path, page in pages.items():
        for link in (*page.leads, *page.loads):
            if re.match(r"^(https?:|mailto:|data:|//|javascript:)", link):
                continue
            file, _, place = link.partition("#")
            target = path if not file else (path.parent / unquote(file.split("?")[0])).resolve()
            if not target.exists():
                broken.append((path.name, link))
            elif place and target in pages and unquote(place) not in pages[target].names:
                broken.append((path.name, link))
    assert not broken


@pytest.mark.slow
def test_every_lesson_and_page_is_on_the_site(site):
    for notebook in ROOT.glob("tutorials/[0-9]*.ipynb"):
        text = (site / "tutorials" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "<math" in text or "$" not in text, notebook
        assert "<img alt=" in text
    for page in ROOT.glob("tutorials/pages/*.html"):
        assert (site / "tutorials" / "pages" / page.name).exists()
