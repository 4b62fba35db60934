"""Mixtures against their loop; linear coupling is one."""

import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import linear_coupling, mixture
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, in_both_types
from tests.contract.identities import assert_same


def of_two(first: Scalar, second: Scalar) -> optax.GradientTransformation:
    return mixture((first, optax.identity()), (second, optax.trace(0.5)))


CASE = Case(of_two, {"first": 1.0, "second": 0.25}, largest=3e4)  # of float16


def loop(theta0, gradients, first, second):
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = 0.5 * m + g
        steps[t] = at(first, t) * g + at(second, t) * m
    return steps


def rising(count):
    return count / 256


@in_both_types
@pytest.mark.parametrize("second", [0.25, rising], ids=["constant", "scheduled"])
def test_steps_are_those_of_the_loop(second, dtype):
    def factory(**numbers):
        return gradpow.chain(of_two(**numbers))

    assert_steps_of_loop(factory, loop, dtype, first=-1.0, second=second)


def test_linear_coupling_is_one():
    two = optax.scale(-0.25), optax.trace(0.9)
    assert_same(
        gradpow.chain(linear_coupling(*two, tau=0.25)),
        gradpow.chain(mixture((0.75, two[0]), (0.25, two[1]))),
    )


def test_it_needs_a_term_and_finite_weights():
    with pytest.raises(ValueError, match="at least one term"):
        mixture()
    with pytest.raises(ValueError, match=r"weight_1 must be finite, not nan"):
        mixture((1.0, optax.identity()), (float("nan"), optax.identity()))
