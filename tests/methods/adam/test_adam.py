"""Adam against its loop and optax's."""

import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import ADAM, assert_steps_of_loop, at, in_both_types, rate, settings
from tests.contract.identities import assert_same

CASE = Case(
    gradpow.adam, {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "eps": 1e-8, "eps_root": 1e-12}
)


def loop(theta0, gradients, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    """Kingma and Ba (2015), Algorithm 1."""
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = v / (1 - b2 ** (t + 1))
        steps[t] = -at(learning_rate, t) * m_hat / (np.sqrt(v_hat) + eps)
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01, **ADAM},
        "scheduled": {"learning_rate": rate, **ADAM, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adam, loop, dtype, **numbers)


def test_it_is_optax_s():
    assert_same(gradpow.adam(rate), optax.adam(rate))
