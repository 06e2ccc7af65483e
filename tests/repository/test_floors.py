"""The house of docs/map.md: imports lead to lower floors only, none runs in a circle."""

import ast
from pathlib import Path

import pytest

import minires
from minires import benchmarks, kernels, paper, tutorials

FLOORS = (
    "minires.startup",
    "minires.caches",
    "minires.rooms",
    "minires.threads",
    "minires.arguments",
    "minires.progress",
    "minires.hints",
    "minires.axes",
    "minires.names",
    "minires.hooks",
    "minires.cuda",
    "minires.extensions",
    "minires.kernels.arrays",
    "minires.kernels",
    "minires.backends",
    "minires.backend",
    "minires.states",
    "minires.watchers",
    "minires.fingerprint",
    "minires.recording",
    "minires.function",
    "minires.cuda_graph",
    "minires.operators",
    "minires.numpy_calls",
    "minires.tensor",
    "minires.placement",
    "minires.creation",
    "minires.shaping",
    "minires.contraction",
    "minires.statistics",
    "minires.comparing",
    "minires.activations",
    "minires.losses",
    "minires.checks",
    "minires.convolution",
    "minires.pooling",
    "minires.norms",
    "minires.similarity",
    "minires.functional",
    "minires.methods",
    "minires.nn",
    "minires.suspects",
    "minires.differences",
    "minires.variations",
    "minires.gradcheck",
    "minires.testing",
    "minires.judging",
    "minires.optim",
    "minires.amp",
    "minires.recompute",
    "minires.models",
    "minires.summary",
    "minires.data",
    "minires.plots",
    "minires.training",
    "minires.paper.detection",
    "minires.interop",
    "minires.files",
    "minires.benchmarks",
    "minires.paper",
    "minires",
    "minires.commands",
    "minires.cli",
    "minires.benchmarks.reliability",
    "minires.tutorials",
    "minires.__main__",
)
"""Lowest first. `minires` itself, the `__init__.py`, shows the library that `cli` uses."""


def find_modules() -> dict[str, Path]:
    """Every module of the project, by its dotted name."""
    modules = {}
    for package in (minires, kernels, paper, benchmarks, tutorials):
        name, root = package.__name__, Path(package.__file__).parent
        for path in root.rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            modules[".".join((name, *parts))] = path
    return modules


MODULES = find_modules()


def imports(name: str) -> set[str]:
    """The project's modules that module `name` imports, at the top or inside a function."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in MODULES else base)
    return {module for module in found if module in MODULES} - {name}


def floor(name: str) -> int:
    """The floor of the longest entry of FLOORS that `name` lies in."""
    holders = [f for f in FLOORS if name == f or (f != "minires" and name.startswith(f + "."))]
    assert holders, f"{name} has no floor: give it one in FLOORS and in docs/map.md"
    return FLOORS.index(max(holders, key=len))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_from_lower_floors(name):
    higher = {other for other in imports(name) if floor(other) > floor(name)}
    assert not higher


@pytest.mark.parametrize("name", sorted(n for n in MODULES if n.startswith("minires.kernels")))
def test_a_kernel_knows_only_kernels_and_the_compiler(name):
    lower = ("minires.kernels", "minires.cuda", "minires.arguments", "minires.caches")
    assert all(other.startswith(lower) for other in imports(name))


def test_no_import_runs_in_a_circle():
    remaining = {name: imports(name) for name in MODULES}
    while free := [name for name, needed in remaining.items() if not needed & remaining.keys()]:
        for name in free:
            del remaining[name]
    assert not remaining


def test_the_check_itself_sees_every_way_to_import():
    assert "minires.backend" in imports("minires.function")  # from minires import backend
    assert "minires.tensor" in imports("minires.functional")  # from minires.tensor import Tensor
    assert "minires.data.dataset" in imports("minires.data.cifar")
    assert imports("minires.kernels.add.reference") == {"minires.kernels.arrays"}
    assert "minires.paper.detection.scenes" in imports("minires.paper.detection")
    assert len(MODULES) > 40
