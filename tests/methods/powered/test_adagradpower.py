"""AdagradPower against its loop, and Adagrad as its case p = 1."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    assert_steps_of_loop,
    at,
    divide,
    in_both_types,
    powered,
    rate,
    settings,
)
from tests.contract.identities import assert_same

# g^1.2 leaves float32 from 1.3e32 on.
CASE = Case(gradpow.adagradpower, {"learning_rate": 1e-2, "p": 1.2, "eps": 1e-8}, largest=1e32)


def loop(theta0, gradients, learning_rate, p=1.2, eps=1e-8):
    """Wang et al. (2025), equation (4)."""
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        g = powered(g, p)
        v = v + g**2
        steps[t] = -at(learning_rate, t) * divide(g, np.sqrt(v + eps))
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01, "p": 1.2},
        "scheduled": {"learning_rate": rate, "p": 0.8},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adagradpower, loop, dtype, **numbers)


def test_at_p_1_it_is_adagrad_from_0():
    assert_same(
        gradpow.adagradpower(rate, p=1.0),
        optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-8),
    )
