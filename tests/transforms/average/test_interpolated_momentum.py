"""Interpolated momentum against its loop, and S3's momentum as a case of it."""

import jax
import numpy as np
from hypothesis import given

import gradpow
from gradpow.transforms import interpolated_momentum, nesterov_pmoment
from tests.contract.case import Case
from tests.contract.drawn import DECAYS, ROUNDING, SIZE, histories, run
from tests.contract.exact import assert_steps_of_loop, in_both_types, settings

CASE = Case(interpolated_momentum, {"b1": 0.9, "b2": 0.99})
interpolated = jax.jit(lambda g, b1, b2: run(interpolated_momentum(b1, b2), g))
nesterov = jax.jit(lambda g, b: run(nesterov_pmoment(b), g))


def loop(theta0, gradients, b1, b2):
    m = np.zeros(theta0.shape)
    c = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        c[t] = b1 * m + (1 - b1) * g
        m = b2 * m + (1 - b2) * g
    return c


# The two take different ways, by whether b1 < b2.
@in_both_types
@settings({"Lion's": {"b1": 0.9, "b2": 0.99}, "the reverse": {"b1": 0.95, "b2": 0.5}})
def test_updates_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(
        lambda **n: gradpow.chain(interpolated_momentum(**n)), loop, dtype, **numbers
    )


@given(histories(), DECAYS, DECAYS)
def test_so_are_those_of_any_gradients_and_weights(gradients, b1, b2):
    m = np.zeros(SIZE)
    for c, g in zip(interpolated(gradients, b1, b2), gradients.astype(float), strict=True):
        # Terms may cancel, so errors are measured on their sizes.
        size = np.abs(gradients).max(axis=0)
        assert (np.abs(c - (b1 * m + (1 - b1) * g)) <= ROUNDING * size).all()
        m = b2 * m + (1 - b2) * g


@given(histories(), DECAYS)
def test_at_b_squared_and_b_it_is_s3_s_momentum(gradients, b):
    size = np.abs(gradients).max(axis=0)
    difference = interpolated(gradients, np.float32(b) ** 2, b) - nesterov(gradients, b)
    assert (np.abs(difference) <= ROUNDING * size).all()
