"""RMSProp against its loop, and optax's, whose eps is inside of the root."""

import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, in_both_types, rate, settings
from tests.contract.identities import assert_same

CASE = Case(gradpow.rmsprop, {"learning_rate": 1e-2, "decay": 0.75, "eps": 1e-2})


def loop(theta0, gradients, learning_rate, decay=0.9, eps=1e-8):
    """Tieleman and Hinton (2012), with the survey's eps."""
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        v = decay * v + (1 - decay) * g**2
        steps[t] = -at(learning_rate, t) * g / (np.sqrt(v) + eps)
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01, "decay": 0.9},
        "scheduled": {"learning_rate": rate, "decay": 0.75, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.rmsprop, loop, dtype, **numbers)


def test_it_is_optax_s_with_eps_beside_the_root():
    assert_same(gradpow.rmsprop(rate), optax.rmsprop(rate, eps_in_sqrt=False))
    with pytest.raises(AssertionError):
        assert_same(gradpow.rmsprop(rate), optax.rmsprop(rate))
