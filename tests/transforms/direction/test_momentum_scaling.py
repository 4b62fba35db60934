"""Momentum scaling against its loop, and what it keeps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given

import gradpow
from gradpow.transforms import interpolated_momentum, momentum_scaling
from tests.contract.case import Case
from tests.contract.drawn import ROUNDING, fractions, numbers, vectors
from tests.contract.exact import assert_steps_of_loop, in_both_types, make_problem

CASE = Case(
    momentum_scaling,
    {"negative_scale": -0.5, "b3": 0.5, "zero_scale": 0.9, "floor": 1e-3},
    largest=3e4,  # of float16, which a division by a mean below 1 leaves
)


def loop(theta0, gradients, b, negative_scale, b3, zero_scale, floor):
    """Of a plain average of the gradients."""
    m = np.zeros(theta0.shape)
    s = np.zeros(theta0.shape)
    scaled = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b * m + (1 - b) * g
        s = b3 * s + (1 - b3) * g
        agreement = np.sign(m) * np.sign(s)
        k = np.where(agreement > 0, 1.0, np.where(agreement < 0, negative_scale, zero_scale))
        scaled[t] = k * m / max(np.mean(np.abs(k)), floor)
    return scaled


def averaged_and_scaled(b, **numbers):
    return gradpow.chain(interpolated_momentum(b, b), momentum_scaling(**numbers))


@in_both_types
def test_updates_are_those_of_the_loop(dtype):
    numbers = {"b": 0.9, "negative_scale": -0.5, "b3": 0.5, "zero_scale": 0.25, "floor": 0.75}
    assert_steps_of_loop(averaged_and_scaled, loop, dtype, **numbers)


@functools.partial(jax.jit, static_argnums=4)
def scaled(u, g, negative_scale, zero_scale, normalize):
    tx = momentum_scaling(negative_scale, zero_scale=zero_scale, normalize=normalize)
    return tx.update(u, tx.init(u), grad=g)[0]


@given(
    vectors(fractions(1e-3, 1e3)), vectors(numbers(1e-3, 1e3)), fractions(-2, 2), fractions(0, 2)
)
def test_the_mean_of_k_is_kept_at_1_above_the_floor(u, g, negative, zero):
    k = np.where(g > 0, 1, np.where(g < 0, abs(negative), zero))
    mean_of_k = np.mean(np.abs(scaled(u, g, negative, zero, True) / u))
    np.testing.assert_allclose(mean_of_k, min(1, k.mean() / 1e-3), rtol=ROUNDING)


@given(vectors(numbers(1e-3, 1e3)), vectors(numbers(1.2e-38, 1e38)))
def test_at_minus_1_magnitudes_are_never_changed(u, g):
    np.testing.assert_array_equal(np.abs(scaled(u, g, -1.0, 1.0, False)), np.abs(u))
    # Of normal gradients: the signs are compared, never their product, which may underflow.
    assert (np.sign(scaled(u, g, -1.0, 1.0, False)) * np.sign(g) >= 0).all()


def test_a_mask_too_large_for_one_integer_is_counted_the_same(monkeypatch):
    theta0, (g, *_) = (jnp.float32(x) for x in make_problem(0, 50, (6, 5)))
    tx = momentum_scaling(0.3, zero_scale=0.5)
    expected, _ = tx.update(theta0, tx.init(g), grad=g)
    assert np.abs(expected / theta0).std() > 0.1  # some are scaled, some are not
    monkeypatch.setattr("gradpow.core.counting.COUNTED", 4)
    counted_by_rows, _ = tx.update(theta0, tx.init(g), grad=g)
    np.testing.assert_allclose(counted_by_rows, expected, rtol=1e-6)
