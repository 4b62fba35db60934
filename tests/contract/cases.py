"""The cases of all twins, found by their files: tests/<folder>/**/test_<name>.py has CASE.

Where a static argument makes another program, CASES has more of them by name.
"""

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

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
        found.update(getattr(module, "CASES", {}))
    return found


LINKS = _cases("transforms")
WRAPPERS = _cases("wrappers")
METHODS = _cases("methods")
CASES = {**LINKS, **WRAPPERS, **METHODS}


def each(names: Collection[str], hunted: Collection[str] = ()) -> Any:
    """Marks a test to run for all names, those in `hunted` only with `-m hunt`."""
    hunt = [pytest.param(name, marks=pytest.mark.hunt) for name in hunted if name not in names]
    return pytest.mark.parametrize("name", [*names, *hunt])


# The full contract is on links and wrappers; methods are chains of links that passed it.
every_case = each([*LINKS, *WRAPPERS], METHODS)
numbered = each([name for name in [*LINKS, *WRAPPERS] if CASES[name].numbers], METHODS)
every_method = each(METHODS)
