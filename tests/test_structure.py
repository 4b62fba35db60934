"""The order of the house: imports go one way, and files and functions stay short."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gradpow"
# What a part of the package may import of the others.
MAY = {
    "core": set(),
    "schedules": {"core"},
    "theory": {"core"},
    "transforms": {"core", "schedules"},
    "wrappers": {"core", "schedules", "transforms"},
    "methods": {"core", "schedules", "transforms", "wrappers"},
    "metrics": {"core", "schedules", "transforms", "wrappers", "methods", "theory"},
    "entries": set(),
    "catalog": {"entries", "transforms", "wrappers", "methods"},
}
MAY["presets"] = {*MAY}
SOURCES = sorted(PACKAGE.rglob("*.py"))
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))


def part(module):
    """The part of the package that a module belongs to; None outside of it and at its top."""
    names = module.split(".")
    return names[1] if names[0] == "gradpow" and len(names) > 1 else None


def imported(path):
    """The modules that a file imports, with dots resolved; `from gradpow import x` is gradpow.x."""
    package = ["gradpow", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield from (
                [f"{module}.{alias.name}" for alias in node.names]
                if module == "gradpow"
                else [module]
            )


@each_source
def test_imports_go_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return
    for module in imported(path):
        other = part(module)
        assert other in {None, own, *MAY[own]}, f"{own} imports {module}"
        assert module != "gradpow", "a part imports the whole"


def test_an_import_that_goes_back_is_seen(tmp_path):
    file = PACKAGE / "methods/sign/lion.py"
    assert {part(module) for module in imported(file)} == {None, "core"}
    assert "methods" not in MAY["wrappers"] and "wrappers" not in MAY["transforms"]


@pytest.mark.parametrize(
    ("folder", "limit"),
    [("gradpow", 250), ("examples", 400), ("benchmarks", 400), ("tests", 400), ("docs", 400)],
)
def test_no_file_is_too_long_to_be_read_at_once(folder, limit):
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if "_build" not in path.parts and (lines := len(path.read_text().splitlines())) > limit
    }
    assert not long


def without_docstring(function):
    first = function.body[0]
    said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    lines = function.end_lineno - function.lineno + 1
    return lines - (first.end_lineno - first.lineno + 1 if said else 0)


@each_source
def test_no_function_has_more_than_40_lines_without_its_docstring(path):
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert {f.name: n for f in functions if (n := without_docstring(f)) > 40} == {}
