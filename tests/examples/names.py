"""The optimizers that a test of the examples runs over: one of a kind, and with -m hunt more."""

from collections.abc import Iterable

import pytest

import gradpow
from gradpow.presets import OPTIMIZERS

HUNTED = ("powered", "agreement", "sign")
FAMILIES = {entry.name: entry.family for entry in gradpow.atlas()}


def one_of_a_kind(names: Iterable[str] = OPTIMIZERS):
    """Of each family the first that normalises a tensor and the first that does not; variants.

    The examples know nothing of a method but its signature and whether it normalises, so that
    their time need not grow with the methods. Hunted are variants and the first papers' methods.
    """
    seen, marked = set(), []
    for name in names:
        kind = FAMILIES.get(name, name), OPTIMIZERS[name].normalises
        if kind in seen and kind[0] not in HUNTED:
            continue
        marked.append(pytest.param(name, marks=[pytest.mark.hunt] if kind in seen else []))
        seen.add(kind)
    return pytest.mark.parametrize("optimizer", marked)
