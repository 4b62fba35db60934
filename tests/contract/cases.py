"""The cases of all twins, found by their files: tests/<folder>/**/test_<name>.py has CASE."""

import importlib
from pathlib import Path

from tests.contract.case import Case

TESTS = Path(__file__).parents[1]


def _cases(folder: str) -> dict[str, Case]:
    found = {}
    for path in sorted((TESTS / folder).rglob("test_*.py")):
        module = importlib.import_module(
            ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)
        )
        if hasattr(module, "CASE"):
            found[path.stem.removeprefix("test_")] = module.CASE
    return found


LINKS = _cases("transforms")
WRAPPERS = _cases("wrappers")
METHODS = _cases("methods")
CASES = {**LINKS, **WRAPPERS, **METHODS}
