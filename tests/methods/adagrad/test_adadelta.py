"""AdaDelta against its loop and optax's."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, in_both_types, rate, settings
from tests.contract.identities import assert_same

CASE = Case(gradpow.adadelta, {"learning_rate": 1e-2, "rho": 0.75, "eps": 1e-2})


def loop(theta0, gradients, learning_rate=1.0, rho=0.95, eps=1e-6):
    """Zeiler (2012), Algorithm 1, and a rate."""
    squares = np.zeros(theta0.shape)
    steps_squared = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        squares = rho * squares + (1 - rho) * g**2
        step = -np.sqrt(steps_squared + eps) / np.sqrt(squares + eps) * g
        steps_squared = rho * steps_squared + (1 - rho) * step**2
        steps[t] = at(learning_rate, t) * step
    return steps


@in_both_types
@settings(
    {
        "defaults": {},
        "scheduled": {"learning_rate": rate, "rho": 0.75, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adadelta, loop, dtype, **numbers)


def test_it_is_optax_s():
    assert_same(gradpow.adadelta(rate), optax.adadelta(rate, rho=0.95))
