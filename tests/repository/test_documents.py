"""The documents: what they name exists, their commands and programs run, and they stay short."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import minires
from minires import cli

ROOT = Path(__file__).parents[2]
ROOMS = ("minires", "kernels", "paper", "benchmarks", "tutorials", "examples", "tests", "docs")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", *(f"{room}/**/*.md" for room in ROOMS))
    for path in ROOT.glob(pattern)
)
DECISIONS = [name for name in DOCUMENTS if re.fullmatch(r"docs/decisions/(?!README).*\.md", name)]
CITATION = re.compile(r'(docs/decisions/\w+\.md), "([^"]+)"')


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def anchors(text: str) -> set[str]:
    """The names of a page's headings, as links to them have it."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def decisions(name: str) -> dict[str, str]:
    """Name and text of each decision on a page."""
    parts = re.split(r"^## ", read(name), flags=re.MULTILINE)[1:]
    return dict(part.split("\n", 1) for part in parts)


def sources() -> list[Path]:
    """All files of the project that hold text for people or programs."""
    kinds = {".py", ".md", ".toml", ".cff", ".cu", ".cuh", ".h"}
    files = [path for path in ROOT.glob("*") if path.suffix in kinds]
    return files + [p for room in ROOMS for p in (ROOT / room).rglob("*") if p.suffix in kinds]


def test_the_documents_are_found():
    assert {"README.md", "CONTRIBUTING.md", "docs/map.md", "benchmarks/README.md"} < {*DOCUMENTS}
    assert len(DECISIONS) >= 7


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    text = read(document)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for link in links:
        if not link.startswith("http"):
            place, _, anchor = link.partition("#")
            path = (ROOT / document).parent / place if place else ROOT / document
            assert path.exists(), link
            if anchor:
                assert anchor in anchors(path.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_named_files_exist(document):
    files = re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./]*)`", read(document))
    files = [name for name in files if not re.search(r"\b(OP|NAME|FILE)\b|\.\.\.", name)]
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_map_names_every_floor_that_there_is():
    rows = re.findall(r"^\| (`.*?`) \|", read("docs/map.md").split("## The floors")[1], re.M)
    named = [name for row in rows for name in re.findall(r"`([\w./]+)`", row)]
    places = [(ROOT / "minires" / n, ROOT / n, ROOT / "tests" / n) for n in named if n[-1] in "/y"]
    assert all(any(place.exists() for place in three) for three in places)
    files = {f"{path.name}/" for path in (ROOT / "minires").glob("[a-z]*") if path.is_dir()}
    files |= {path.name for path in (ROOT / "minires").glob("[a-z]*.py")}
    assert files <= {*named}


def commands() -> list[str]:
    """Every `minires` command that a document has in a block or in a cell of a table."""
    names = "train|eval|bench|reproduce|info|cuda|gradcheck"
    real = re.compile(rf"minires ({names})( -| \w|$)(?!-help)")
    found = []
    for document in DOCUMENTS:
        text = read(document)
        lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
        lines += re.findall(r"^    (minires .*)$", text, re.MULTILINE)
        lines += re.findall(r"`(minires [^`\n]*)`", text)
        found += [re.sub(rf"^.*(?=minires ({names}))", "", line) for line in lines]
    return sorted({line for line in found if real.match(line)})


@pytest.mark.parametrize("command", commands())
def test_the_command_line_understands(command):
    cli._parser().parse_args(shlex.split(command)[1:])


def test_there_are_commands_to_check():
    assert len(commands()) >= 20


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if d != "README.md" and blocks(read(d), "python")]
)
def test_python_blocks_run(document):
    program = "\n".join(blocks(read(document), "python"))
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_readme_has_at_most_130_lines():
    assert len(read("README.md").splitlines()) <= 130


def test_figures_of_the_readme_are_those_of_the_records():
    records = read("paper/results/README.md") + read("benchmarks/README.md")
    figures = re.findall(r"\d[\d,]*\.\d+", read("README.md").split("## What came out")[1])
    assert len(figures) >= 8
    assert [figure for figure in figures if figure not in records] == []


@pytest.mark.parametrize("page", DECISIONS)
def test_a_decision_has_at_most_80_words(page):
    lengths = {name: len(text.split()) for name, text in decisions(page).items()}
    assert {name: length for name, length in lengths.items() if length > 80} == {}


def test_the_code_cites_decisions_that_exist_and_each_decision_is_cited():
    cited = set()
    for path in sources():
        if path.suffix != ".md":
            cited.update(CITATION.findall(path.read_text(encoding="utf-8")))
    assert cited == {(page, name) for page in DECISIONS for name in decisions(page)}


def test_nobody_is_told_to_install_the_package_of_somebody_else():
    # minires in the public registry is not this project; it is installed from its repository.
    taken = re.compile(r"""\b(pip3?|pipx|uv)\s+(install|add|run)\b[^\n&;|]*[\s'"]minires\b""")
    found = [path for path in sources() if taken.search(path.read_text(encoding="utf-8"))]
    assert [path for path in found if path != Path(__file__)] == []


def test_prose_begins_with_a_subject():
    fragment = re.compile(r'^\s*("""|# |// )?Of [a-z]|\bso many\b', re.MULTILINE)
    found = {}
    for path in sources():
        if path != Path(__file__) and (match := fragment.search(path.read_text("utf-8"))):
            found[path.relative_to(ROOT).as_posix()] = match[0].strip()
    assert found == {}


def test_the_version_has_one_source():
    assert version("minires-engine") == minires.__version__
    numbers = [path.name for path in sources() if minires.__version__ in path.read_text("utf-8")]
    assert sorted(numbers) == ["CHANGELOG.md", "__init__.py"]


def test_the_package_says_that_it_has_types():
    assert (Path(minires.__file__).parent / "py.typed").exists()
