"""Linear coupling against the two sequences that it couples."""

import jax
import numpy as np
import optax
from hypothesis import given

import gradpow
from gradpow.transforms import linear_coupling, lp_mirror_step, sign_power
from tests.contract.case import Case
from tests.contract.drawn import ROUNDING, fractions, histories, run
from tests.contract.exact import assert_steps_of_loop, in_both_types

CASE = Case(
    linear_coupling,
    {"tau": 0.5},
    {"primal": optax.scale(-0.1), "mirror": lp_mirror_step(0.1, 2.0)},
)
coupled = jax.jit(lambda g, tau: run(linear_coupling(sign_power(2), optax.scale(-3.0), tau), g))


def loop(theta0, gradients, tau):
    """Of descent at the rate 1/64 and of an average with the weight 1/2."""
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = (m + g) / 2
        steps[t] = (1 - tau) * (-g / 64) + tau * m
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    sequences = {"primal": optax.scale(-1 / 64), "mirror": optax.ema(0.5, debias=False)}
    assert_steps_of_loop(
        lambda tau: gradpow.chain(linear_coupling(**sequences, tau=tau)), loop, dtype, tau=0.25
    )


@given(histories(), fractions(0, 1))
def test_it_is_affine_in_tau(gradients, tau):
    primal, mirror_end = (coupled(gradients, end) for end in (0.0, 1.0))
    np.testing.assert_array_equal(primal, gradients * np.abs(gradients))
    np.testing.assert_array_equal(mirror_end, -3 * gradients)
    size = np.abs(primal) + np.abs(mirror_end)
    expected = (1 - tau) * np.asarray(primal, float) + tau * np.asarray(mirror_end, float)
    assert (np.abs(coupled(gradients, tau) - expected) <= ROUNDING * size).all()
