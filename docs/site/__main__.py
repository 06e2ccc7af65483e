"""The documentation site: python docs/site [FOLDER]

It gathers the documents, lessons, contracts and pages of the repository in FOLDER/source, and
Sphinx builds FOLDER/html of them (FOLDER: build/site). Nothing is loaded from elsewhere, neither
when it is built nor when it is read; formulas become MathML. It needs `pip install -e '.[docs]'`.
"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import api

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENTS = ("*.md", "docs/*.md", "docs/decisions/*.md", "benchmarks/*.md", "paper/results/*.md")
DOCUMENTS += ("benchmarks/reliability/*.md", "examples/*.md", "tutorials/*.md", "tests/*.md")
PICTURES = ("docs/*.svg", "benchmarks/results/**/*.png", "paper/results/**/*.png")
PAGES = "tutorials/pages/*.html"
SECTIONS = {
    "use": (
        "Using it",
        ("README", "docs/using", "docs/pytorch", "docs/own", "docs/cuda", "examples/README")
        + ("api/README",),
    ),
    "built": (
        "How it is built",
        ("docs/map", "docs/decisions/README", "docs/performance", "contracts/README")
        + ("tests/README", "CONTRIBUTING", "CHANGELOG"),
    ),
    "results": (
        "Results",
        ("paper/results/README", "benchmarks/README", "benchmarks/reliability/README"),
    ),
}
"""The site's parts beside the lessons: file name -> title and pages."""

API = ("functional", "nn", "optim", "data", "models", "training", "plots", "gradcheck", "cuda")

_LINK = re.compile(r"(?<!\!)\[([^\]\[]*(?:\[[^\]]*\][^\]\[]*)*)\]\(([^)\s]+)\)")


def gather(source: Path) -> None:
    """Lay all that the site shows into `source`, as it lies in the repository."""
    for pattern in (*PICTURES, "tutorials/[0-9]*.ipynb"):
        for path in ROOT.glob(pattern):
            _copy(path, source)
    documents = [path for pattern in DOCUMENTS for path in ROOT.glob(pattern)]
    notebooks = list(ROOT.glob("tutorials/[0-9]*.ipynb"))
    shown = {*documents, *notebooks, *(p for pattern in PICTURES for p in ROOT.glob(pattern))}
    for path in documents:
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_linked(path.read_text("utf-8"), path, shown), encoding="utf-8")
    for path in notebooks:  # JSON, in which links stand as they do in the text
        target = source / path.relative_to(ROOT)
        target.write_text(_linked(path.read_text("utf-8"), path, shown), encoding="utf-8")
    _write_contracts(source)
    _write_api(source)
    lessons = source / "tutorials" / "README.md"
    with lessons.open("a", encoding="utf-8") as file:
        file.write(_contents(sorted(p.stem for p in notebooks), is_hidden=True))
    for name, (title, names) in SECTIONS.items():
        (source / f"{name}.md").write_text(f"# {title}\n{_contents(names)}", encoding="utf-8")
    for name in ("conf.py", "site.css"):
        shutil.copy(HERE / name, source / name)
    shutil.copy(HERE / "index.txt", source / "index.md")  # its links are those of the site


def _copy(path: Path, source: Path) -> None:
    target = source / path.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _linked(text: str, path: Path, shown: set[Path]) -> str:
    """The text without links to what is not on the site: code and folders keep their names."""

    def keep(match: re.Match) -> str:
        words, target = match.groups()
        file = target.partition("#")[0]
        if target.startswith(("http:", "https:", "#", "mailto:")):
            return match[0]
        place = (path.parent / file).resolve()
        if place.suffix == ".html":  # not Sphinx's; quotes that JSON leaves alone
            return f"<a href='{target}'>{words}</a>"
        if place in shown:
            # A heading's name differs between GitHub and Sphinx: the page is enough.
            return f"[{words}]({file})"
        return words if "`" in words else f"{words} (`{place.relative_to(ROOT).as_posix()}`)"

    return _LINK.sub(keep, text)


def _write_contracts(source: Path) -> None:
    """A page for each kernel: the docstring of its folder, as it is written there."""
    pages = {}
    for path in sorted(ROOT.glob("kernels/*/__init__.py")):
        name, docstring = path.parent.name, ast.get_docstring(ast.parse(path.read_text("utf-8")))
        if docstring:
            first, _, rest = docstring.partition("\n\n")
            text = f"{' '.join(first.split())}\n\n````text\n{rest.strip()}\n````\n"
            pages[name] = f"# {name}\n\n{text}\nThe docstring of `kernels/{name}/__init__.py`.\n"
    _write_section(
        source / "contracts",
        "The kernels' contracts",
        "Each operation has a folder in `kernels/`. Its docstring says what is computed, with "
        "shapes and the derivation of the backward.",
        pages,
    )


def _write_api(source: Path) -> None:
    """A page for each public module: its public names, with signatures and docstrings."""
    _write_section(
        source / "api",
        "Reference",
        "The public names of each module, with their docstrings.",
        {name: api.page(f"minires.{name}") for name in API},
    )


def _write_section(folder: Path, title: str, text: str, pages: dict[str, str]) -> None:
    """Pages of one kind, and README.md, which lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        (folder / f"{name}.md").write_text(page, encoding="utf-8")
    (folder / "README.md").write_text(f"# {title}\n\n{text}\n{_contents(pages)}", encoding="utf-8")


def _contents(names, is_hidden: bool = False) -> str:
    """The list of pages from which Sphinx makes its navigation."""
    hidden = ":hidden:\n" if is_hidden else ""
    return "\n```{toctree}\n:maxdepth: 1\n" + hidden + "\n".join(names) + "\n```\n"


def main() -> int:
    """Build the site -> Sphinx's exit status. A warning is an error."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    shutil.rmtree(out / "source", ignore_errors=True)
    shutil.rmtree(out / "html", ignore_errors=True)
    gather(out / "source")
    command = (sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html")
    status = subprocess.run((*command, out / "source", out / "html")).returncode
    if not status:
        pages = out / "html" / "tutorials" / "pages"
        pages.mkdir(parents=True, exist_ok=True)
        for path in ROOT.glob(PAGES):
            text = path.read_text("utf-8").replace("../README.md", "../README.html")
            (pages / path.name).write_text(text, encoding="utf-8")
        print(f"the site is in {out / 'html' / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
