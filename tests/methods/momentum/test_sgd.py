"""SGD against its loop and optax's."""

import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, in_both_types, rate, settings
from tests.contract.identities import assert_same

CASE = Case(gradpow.sgd, {"learning_rate": 1e-2, "momentum": 0.9})


def loop(theta0, gradients, learning_rate, momentum=None, nesterov=False):
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u = g
        if momentum is not None:
            m = momentum * m + g
            u = momentum * m + g if nesterov else m
        steps[t] = -at(learning_rate, t) * u
    return steps


@in_both_types
@settings(
    {
        "plain": {"learning_rate": rate},
        "momentum": {"learning_rate": rate, "momentum": 0.9},
        "nesterov": {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.sgd, loop, dtype, **numbers)


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_it_is_optax_s(momentum):
    assert_same(gradpow.sgd(rate, momentum), optax.sgd(rate, momentum))
