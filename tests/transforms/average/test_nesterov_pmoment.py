"""Nesterov's p-moment against its loop, and the three forms of Nesterov's method."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

import gradpow
from gradpow.transforms import nesterov_pmoment
from tests.contract.case import Case
from tests.contract.drawn import DECAYS, fractions, histories, run
from tests.contract.exact import assert_steps_of_loop, in_both_types, powered

CASE = Case(nesterov_pmoment, {"b": 0.9, "p": 1.5})
pmoment = jax.jit(lambda g, b, p: run(nesterov_pmoment(b, p), g))


def loop(theta0, gradients, b, p):
    s = np.zeros(theta0.shape)
    n = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        s = b * s + (1 - b) * powered(g, p)
        n[t] = powered(b * s + (1 - b) * powered(g, p), 1 / p)
    return n


@in_both_types
def test_updates_are_those_of_the_loop(dtype):
    # A signed moment crosses 0, where its root has an infinite slope. Measured: 7e-5.
    assert_steps_of_loop(
        lambda b, p: gradpow.chain(nesterov_pmoment(b, p)), loop, dtype, float32=2e-3, b=0.9, p=3.0
    )


@given(histories(), DECAYS, fractions(1, 8))
def test_a_pmoment_of_one_sign_lies_below_the_largest_gradient_and_grows_with_p(gradients, b, p):
    gradients = np.abs(gradients)
    n = np.asarray(pmoment(gradients, b, p))
    assert (n <= np.maximum.accumulate(gradients) * (1 + 1e-5)).all()
    assert (pmoment(gradients, b, p + 1) >= n * (1 - 1e-5)).all()


@pytest.fixture(scope="module")
def nag():
    """Form (II), that of S3, by the library in float64, and forms (I) and (III) by loops."""
    gamma, b, steps = 0.3, 0.9, 100
    start = np.linspace(-2.0, 3.0, 6)
    curvature = np.linspace(0.1, 3.0, 6)

    def gradient(x):
        return curvature * np.tanh(x) + 0.1 * x

    with jax.enable_x64(True):
        tx = gradpow.chain(nesterov_pmoment(b), optax.scale(-gamma))
        x, state, second = jnp.asarray(start), tx.init(jnp.asarray(start)), [start]
        for _ in range(steps):
            u, state = tx.update(jnp.asarray(gradient(np.asarray(x))), state)
            x = x + u
            second.append(np.asarray(x))

    x, m, first, momenta = start, np.zeros(6), [start], [np.zeros(6)]
    for _ in range(steps):
        m = b * m + (1 - b) * gradient(x - gamma * b * m)
        x = x - gamma * m
        first.append(x)
        momenta.append(m)

    x, m, r, g_before, third = start, np.zeros(6), np.zeros(6), np.zeros(6), [start]
    for _ in range(steps):
        g = gradient(x)
        m = b * m + (1 - b) * g
        r = b * r + (1 - b) * (g - g_before)
        x = x - gamma * (m + b * r)
        g_before = g
        third.append(x)
    shift = gamma * b * np.array(momenta)
    return np.array(first), np.array(second), np.array(third), shift


def test_nag_forms_2_and_3_give_the_same_iterates(nag):
    """Theorem 3 of Peng et al. (2025)."""
    _, second, third, _ = nag
    np.testing.assert_allclose(second, third, rtol=0, atol=1e-12)
    assert np.max(np.abs(second[-1])) < 0.1 * np.max(np.abs(second[0]))


def test_nag_form_1_is_shifted_by_the_momentum(nag):
    """Theorem 3: x_t = x~_t - gamma beta m_{t-1}."""
    first, second, _, shift = nag
    np.testing.assert_allclose(second, first - shift, rtol=0, atol=1e-12)
    assert np.max(np.abs(shift)) > 0.1
