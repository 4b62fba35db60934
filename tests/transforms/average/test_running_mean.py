"""Running means against their loop; a debiased average is one."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import running_mean
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types
from tests.contract.identities import assert_same

CASE = Case(running_mean)


def adafactors(count):
    return (count + 1.0) ** -0.75


def loop(theta0, gradients, rate=lambda count: 1 / (count + 1)):
    """Robbins and Monro (1951), with the rates 1/t or others."""
    y = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        y = y + rate(t) * (g - y)
        steps[t] = y
    return steps


@in_both_types
@pytest.mark.parametrize("given", [{}, {"rate": adafactors}], ids=["mean", "schedule"])
def test_steps_are_those_of_the_loop(given, dtype):
    assert_steps_of_loop(lambda **given: gradpow.chain(running_mean(**given)), loop, dtype, **given)


def test_a_debiased_average_is_the_mean_whose_rate_says_so():
    mean = running_mean(lambda count: 0.1 / (1 - 0.9 ** (count + 1)))
    assert_same(gradpow.chain(optax.ema(0.9)), gradpow.chain(mean))


def test_what_has_left_float32_does_not_become_nan():
    tx = running_mean()
    state = tx.init(jnp.zeros(1))
    for x in (1e38, np.inf, np.inf, 1.0):
        y, state = tx.update(jnp.array([x]), state)
    assert np.isinf(y[0])
