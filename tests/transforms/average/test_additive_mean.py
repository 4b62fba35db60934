"""Yogi's additive mean against its loop."""

import jax.numpy as jnp
import numpy as np

import gradpow
from gradpow.transforms import additive_mean, moment_scale
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types

CASE = Case(additive_mean, {"b": 0.9, "initial": 0.5}, at_init=("initial",))


def loop(theta0, gradients, b, initial):
    """Zaheer et al. (2018), Algorithm 2, dividing the gradient itself by the root."""
    v = np.full(theta0.shape, initial)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        v = v - (1 - b) * np.sign(v - g**2) * g**2
        steps[t] = divide(g, np.sqrt(v))
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    def factory(**numbers):
        return gradpow.chain(moment_scale(additive_mean(**numbers)))

    assert_steps_of_loop(factory, loop, dtype, b=0.9, initial=1e-6)


def test_what_has_left_float32_does_not_become_nan():
    tx = additive_mean(0.5)
    state = tx.init(jnp.zeros(1))
    for x in (np.inf, np.inf, 1.0):
        y, state = tx.update(jnp.array([x]), state)
    assert np.isinf(y[0])
