"""The cases of all twins, found by their files: tests/<folder>/**/test_<name>.py has CASE.

Where a static argument makes another program, CASES has more of them by name.
"""

import importlib
import zlib
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


FIRST = ("powered", "agreement")


def is_hunted(name: str) -> bool:
    """All links and wrappers, the methods of the first four papers, and of the others a sixth.

    A method is a chain of links that passed the contract, and owes test_methods.py; the whole
    contract takes it 12 seconds. By checksums, so that a new one changes nothing for the others.
    """
    case = METHODS.get(name)
    if case is None or any(f".{family}." in case.factory.__module__ for family in FIRST):
        return True
    return zlib.crc32(name.encode()) % 6 == 0


def hunting(names: Collection[str], rare: Collection[str]) -> Any:
    """Marks a test to run for all names, and with `-m hunt` for those of `rare` too."""
    hunt = [pytest.param(name, marks=pytest.mark.hunt) for name in rare if name not in names]
    return pytest.mark.parametrize("name", [*names, *hunt])


def each(names: Collection[str], hunted: Collection[str] = ()) -> Any:
    """The same, of whose methods a sample is hunted, see `is_hunted`."""
    return hunting(names, list(filter(is_hunted, hunted)))


# The full contract is on links and wrappers; methods are chains of links that passed it.
every_case = each([*LINKS, *WRAPPERS], METHODS)
numbered = each([name for name in [*LINKS, *WRAPPERS] if CASES[name].numbers], METHODS)
every_method = each(METHODS)
