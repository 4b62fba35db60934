"""What every factory asks of its numbers, and what its docstring says of them."""

import inspect
import math
import re
import typing

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gradpow.core import RANGES
from tests.contract.case import words
from tests.contract.cases import CASES, each, numbered
from tests.contract.trees import all_finite, matrix, quick_jit

NUMBERS = [(name, number) for name in CASES for number in CASES[name].ranges]
every_number = pytest.mark.parametrize(("name", "number"), NUMBERS)


@each([name for name in CASES if CASES[name].is_of_the_package])
def test_a_case_has_every_number_of_its_factory_and_each_is_checked(name):
    hints = typing.get_type_hints(CASES[name].factory)
    taken = {argument for argument, hint in hints.items() if float in typing.get_args(hint)}
    assert set(CASES[name].numbers) == set(CASES[name].ranges) == taken - {"return"}


@every_number
def test_a_bad_number_is_refused_by_name_and_value_when_the_factory_is_called(name, number):
    case, allowed = CASES[name], CASES[name].ranges[number]
    low, high = allowed.low, allowed.high
    numbers = [math.nan, -math.inf, low - 0.01 if allowed.with_low else low]
    if not (high == math.inf and allowed.with_high):
        numbers.append(high * 1.01 if allowed.with_high else high)
    bad = [make(x) for x in numbers for make in (float, np.float64, np.array, jnp.float32)]
    bad += ["0.5", 0.5j, [case.numbers[number]]]
    bad += [] if number in case.optional else [None]
    bad += [] if number in case.rates else [optax.constant_schedule(0.5)]
    for value in bad:
        with pytest.raises((ValueError, TypeError)) as caught:
            case.make(**{number: value})
        said = str(caught.value)
        assert said.startswith(f"{number} must be ")
        assert f"not {value!r}" in said or f"the callable {value!r}" in said
    with pytest.raises(ValueError, match=rf"{number} must be a scalar .*shape \(2,\).*jax\.vmap"):
        case.make(**{number: jnp.full(2, case.numbers[number])})


@numbered
@pytest.mark.parametrize("end", ["low", "high"])
def test_all_numbers_at_the_ends_of_their_ranges_give_finite_updates(name, end):
    numbers = dict(CASES[name].numbers)
    for number, allowed in CASES[name].ranges.items():
        if getattr(allowed, f"with_{end}"):
            numbers[number] = getattr(allowed, end)
        CASES[name].make(**{number: jnp.float32(numbers[number])})
    tx = CASES[name].in_chain(**numbers)
    assert all_finite(quick_jit(lambda x: tx.update(x, tx.init(x), x))(matrix()))


def arguments(factory):
    """What the docstring says of each argument, by the names before its colon."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(factory) or "", re.M | re.S)
    entries = re.findall(
        r"^  (\w[\w, ]*): (.*?)(?=^  \w|\Z)", section[1] if section else "", re.M | re.S
    )
    return {name: said for names, said in entries for name in names.split(", ")}


@pytest.mark.parametrize(
    ("name", "number"), [(n, k) for n, k in NUMBERS if CASES[n].is_of_the_package]
)
def test_docstrings_state_the_range_that_is_checked(name, number):
    said = arguments(CASES[name].factory).get(number)
    assert said, f"under Args, the docstring of {name} does not say what {number} may be"
    allowed = words(CASES[name].ranges[number])
    if "as in" in said or number in CASES[name].rates or allowed == "finite":
        return  # as in optax, or any number at all
    accepted = {"finite and > 0": "> 0|positive", "finite and >= 0": ">= 0"}
    assert re.search(accepted.get(allowed, re.escape(allowed)), said)


def test_ranges_are_known_by_their_words():
    for text, allowed in RANGES.items():
        assert words(allowed) == text
        assert not allowed.holds(math.nan)
        assert bool(allowed.holds(allowed.low)) is allowed.with_low
        assert bool(allowed.holds(allowed.high)) is allowed.with_high
