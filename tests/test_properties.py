"""Properties that hold for all inputs, hunted by hypothesis: symmetries, scales, bounds, descent.

Shapes are fixed and hyper-parameters traced, so that each function compiles once.
"""

import functools

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gradpow
from gradpow import transforms as t
from gradpow._numerics import guarded_divide, power_mean, signed_power
from tests.cases import CASES, in_chain

SIZE, STEPS = 8, 6
ROUNDING = 1e-6  # of one power, and of a few other operations


def numbers(low, high):
    """Float32 numbers of magnitude low to high, of both signs, and zero."""
    size = st.floats(np.float32(low).item(), np.float32(high).item(), width=32)
    return st.one_of(st.just(0.0), size, size.map(lambda x: -x))


def vectors(elements):
    return hnp.arrays(np.float32, SIZE, elements=elements)


def histories(low=1e-3, high=1e3):
    return hnp.arrays(np.float32, (STEPS, SIZE), elements=numbers(low, high))


def fractions(low, high):
    return st.floats(np.float32(low).item(), np.float32(high).item(), width=32)


POWERS = fractions(0.3, 3.0)
DECAYS = fractions(0.0, 0.99)


def run(tx, gradients, params=None):
    """All updates of a transformation inside a gradpow chain, at constant params."""
    tx = gradpow.chain(tx)
    params = jnp.zeros(SIZE) if params is None else params

    def step(state, g):
        return tx.update(g, state, params)[::-1]

    return jax.lax.scan(step, tx.init(params), gradients)[1]


# Signed powers and power means

phi = jax.jit(signed_power)
mean = jax.jit(power_mean)


@given(vectors(numbers(1e-12, 1e12)), POWERS)
def test_phi_is_odd(x, p):
    np.testing.assert_array_equal(phi(-x, p), -phi(x, p))


@given(vectors(numbers(1e-6, 1e6)), fractions(1e-3, 1e3), POWERS)
def test_phi_is_homogeneous(x, c, p):
    np.testing.assert_allclose(phi(x * c, p), phi(c, p) * phi(x, p), rtol=4 * ROUNDING)


@given(vectors(numbers(1e-12, 1e12)), POWERS)
def test_phi_is_monotone_up_to_rounding(x, p):
    y = np.asarray(phi(np.sort(x), p), float)
    assert (np.diff(y) >= -2 * ROUNDING * np.abs(y[1:])).all()


@given(vectors(numbers(1e-6, 1e6)), POWERS)
def test_the_inverse_of_phi_p_is_phi_of_1_over_p(x, p):
    # 1/p is rounded by 6e-8, times log(1e6^3) = 41; the first power's error is divided by p >= 0.3.
    np.testing.assert_allclose(phi(phi(x, p), 1 / np.float32(p)), x, rtol=8 * ROUNDING)


@given(vectors(numbers(1e-6, 1e6)), POWERS, POWERS)
def test_powers_of_powers_multiply(x, p, q):
    pq = np.float32(p) * np.float32(q)
    np.testing.assert_allclose(phi(phi(x, p), q), phi(x, pq), rtol=12 * ROUNDING)


@given(vectors(numbers(1e-25, 1e25)), vectors(numbers(1e-25, 1e25)), DECAYS, fractions(1, 50))
def test_a_power_mean_lies_between_its_operands_and_grows_with_p(x, y, w, p):
    x, y = np.abs(x), np.abs(y)
    m = np.asarray(mean(x, y, w, p))
    assert (m >= np.minimum(x, y) * (1 - ROUNDING)).all()
    assert (m <= np.maximum(x, y) * (1 + ROUNDING)).all()
    assert (mean(x, y, w, p + 1) >= m * (1 - ROUNDING)).all()


@given(
    *2 * [vectors(numbers(1e-5, 1e5))], DECAYS, fractions(1, 50), st.integers(-75, 75)
)  # fmt: skip
def test_a_power_mean_is_exactly_equivariant_to_signs_and_powers_of_two(x, y, w, p, k):
    # Same signs: where operands of opposite sign cancel, p-th roots amplify single bits.
    x, y = np.abs(x), np.abs(y)
    c = -np.float32(2.0**k)
    np.testing.assert_array_equal(mean(c * x, c * y, w, p), c * mean(x, y, w, p))


@given(vectors(numbers(1e-15, 1e15)), vectors(numbers(1e-15, 1e15)))
def test_a_guarded_quotient_times_its_denominator_is_the_numerator(n, d):
    d = np.abs(d)
    quotient = jax.jit(guarded_divide)(n, d)
    np.testing.assert_allclose(quotient * d, np.where(d > 0, n, 0), rtol=ROUNDING)


# All transforms and optimizers


@functools.cache
def updates_of(name):
    tx = in_chain(CASES[name])

    def updates(params, gradients):
        def step(state, g):
            return tx.update(g, state, params)[::-1]

        return jax.lax.scan(step, tx.init(params), gradients)[1]

    return jax.jit(updates)


def as_tree(x):
    """A matrix and a vector, from arrays whose last axis has SIZE elements."""
    return {"m": x[..., :6].reshape((*x.shape[:-1], 3, 2)), "v": x[..., 6:]}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=5)
@given(gradients=histories(), params=vectors(numbers(1e-3, 1e3)))
def test_turning_all_signs_turns_the_updates(name, gradients, params):
    updates = updates_of(name)
    there = updates(as_tree(params), as_tree(gradients))
    back = updates(as_tree(-params), as_tree(-gradients))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, -b), there, back)


# S3


@jax.jit
def s3(gradients, b, p):
    return run(optax.chain(t.nesterov_pmoment(b), t.p_norm_scale(b, p)), gradients)


@given(histories(1e-20, 1e20), DECAYS, fractions(1, 50))
@example(np.ones((STEPS, SIZE), np.float32), 0.9, 1.0)  # attains the bound
def test_no_update_of_s3_exceeds_1(gradients, b, p):
    assert np.abs(s3(gradients, b, p)).max() <= 1 + 1e-5  # 1.000008 was seen in long runs


@given(histories(), fractions(0.5, 0.99), fractions(1, 8), st.floats(-25, 25))
def test_s3_does_not_see_the_scale_of_gradients_from_1e_28_to_1e28(gradients, b, p, exponent):
    scaled = gradients * np.float32(10**exponent)
    np.testing.assert_allclose(s3(scaled, b, p), s3(gradients, b, p), atol=1e-5)


@given(histories(), fractions(0.5, 0.99), fractions(1, 8), st.integers(-75, 75))
def test_p_norm_scale_is_exactly_equivariant_to_powers_of_two(gradients, b, p, k):
    scaled = gradients * np.float32(2.0**k)
    np.testing.assert_array_equal(s3(scaled, b, p), s3(gradients, b, p))


p_norm_scaled = jax.jit(lambda g, b, p: run(t.p_norm_scale(b, p, nesterov=False), g))


@given(histories(1e-20, 1e20), fractions(1, 50))
@example(np.geomspace(1, 1e-20, STEPS * SIZE, dtype=np.float32).reshape(STEPS, SIZE), 50.0)
def test_p_norm_scale_without_memory_is_the_sign(gradients, p):
    np.testing.assert_allclose(p_norm_scaled(gradients, 0.0, p), np.sign(gradients), rtol=1e-5)


@given(histories(), fractions(0.1, 0.99), fractions(1, 8))
def test_p_norm_scale_equals_its_loop(gradients, b, p):
    s = np.zeros(SIZE, np.longdouble)
    for u, g in zip(p_norm_scaled(gradients, b, p), gradients, strict=True):
        s = np.float32(b) * s + (1 - np.float32(b)) * np.abs(g).astype(np.longdouble) ** p
        root = np.where(s > 0, s, 1) ** (1 / np.longdouble(p))
        # A few roundings at each of the steps, each of a power and of its inverse.
        np.testing.assert_allclose(u, (g / root).astype(float), rtol=1e-5)


# Momenta

interpolated = jax.jit(lambda g, b1, b2: run(t.interpolated_momentum(b1, b2), g))
pmoment = jax.jit(lambda g, b, p: run(t.nesterov_pmoment(b, p), g))


@given(histories(), DECAYS, DECAYS)
def test_interpolated_momentum_equals_its_loop(gradients, b1, b2):
    m = np.zeros(SIZE)
    for c, g in zip(interpolated(gradients, b1, b2), gradients.astype(float), strict=True):
        # Terms may cancel, so errors are measured on their sizes.
        size = np.abs(gradients).max(axis=0)
        assert (np.abs(c - (b1 * m + (1 - b1) * g)) <= ROUNDING * size).all()
        m = b2 * m + (1 - b2) * g


@given(histories(), DECAYS)
def test_interpolated_momentum_at_b_squared_and_b_is_s3_s_momentum(gradients, b):
    size = np.abs(gradients).max(axis=0)
    difference = interpolated(gradients, np.float32(b) ** 2, b) - pmoment_1(gradients, b)
    assert (np.abs(difference) <= ROUNDING * size).all()


pmoment_1 = jax.jit(lambda g, b: run(t.nesterov_pmoment(b), g))


@given(histories(), DECAYS, fractions(1, 8))
def test_a_pmoment_of_one_sign_lies_below_the_largest_gradient_and_grows_with_p(gradients, b, p):
    gradients = np.abs(gradients)
    n = np.asarray(pmoment(gradients, b, p))
    assert (n <= np.maximum.accumulate(gradients) * (1 + 1e-5)).all()
    assert (pmoment(gradients, b, p + 1) >= n * (1 - 1e-5)).all()


# Momentum scaling and descent


@functools.partial(jax.jit, static_argnums=4)
def scaled(u, g, negative_scale, zero_scale, normalize):
    tx = t.momentum_scaling(negative_scale, zero_scale=zero_scale, normalize=normalize)
    return tx.update(u, tx.init(u), grad=g)[0]


@given(
    vectors(fractions(1e-3, 1e3)), vectors(numbers(1e-3, 1e3)), fractions(-2, 2), fractions(0, 2)
)
def test_momentum_scaling_keeps_the_mean_of_k_at_1_above_the_floor(u, g, negative, zero):
    k = np.where(g > 0, 1, np.where(g < 0, abs(negative), zero))
    mean_of_k = np.mean(np.abs(scaled(u, g, negative, zero, True) / u))
    np.testing.assert_allclose(mean_of_k, min(1, k.mean() / 1e-3), rtol=ROUNDING)


@given(vectors(numbers(1e-3, 1e3)), vectors(numbers(1.2e-38, 1e38)))
def test_momentum_scaling_at_minus_1_never_changes_magnitudes(u, g):
    np.testing.assert_array_equal(np.abs(scaled(u, g, -1.0, 1.0, False)), np.abs(u))
    # Of normal gradients: the signs are compared, never their product, which may underflow.
    assert (np.sign(scaled(u, g, -1.0, 1.0, False)) * np.sign(g) >= 0).all()


DESCENT = {
    "grams": gradpow.grams(1e-2),
    "ams": gradpow.ams(1e-2),
    "cautious_adam": gradpow.cautious_adam(1e-2),
    "cautious_lion": gradpow.cautious_lion(1e-2),
    "cautious": gradpow.cautious(optax.sgd(1e-2, momentum=0.9)),
}
descent = {name: jax.jit(functools.partial(run, tx)) for name, tx in DESCENT.items()}


@pytest.mark.parametrize("name", DESCENT)
@given(histories(1e-15, 1e15))
def test_no_step_goes_against_the_gradient_in_any_coordinate(name, gradients):
    steps = np.asarray(descent[name](gradients))
    assert (np.sign(steps) * np.sign(gradients) <= 0).all()
    assert (np.sum(steps.astype(float) * gradients, axis=1) <= 0).all()


# GradPower and l_p steps

adampower = jax.jit(
    lambda g, p: run(gradpow.adampower(1.0, p, eps=0.0, b2=0.99, weight_decay=0.0), g)
)
steepest = jax.jit(lambda u, p: t.lp_steepest(p, scaled=True).update(u, optax.EmptyState())[0])
mirror = jax.jit(lambda g, alpha, theta: run(t.lp_mirror_step(alpha, 2.0), g, theta))


@given(histories(1e-2, 1e2), fractions(0.5, 1.5), st.floats(-5, 5))
def test_adampower_without_eps_does_not_see_the_scale_of_gradients(gradients, p, exponent):
    gradients = np.where(gradients == 0, 1, gradients)  # 0/0, which the eps of Adam avoids
    rescaled = gradients * np.float32(10**exponent)
    np.testing.assert_allclose(adampower(rescaled, p), adampower(gradients, p), atol=3e-5)


@given(vectors(numbers(1e-3, 1e3)), fractions(2, 8))
def test_the_scaled_l_p_step_has_the_dual_norm_as_its_length_and_slope(u, p):
    u, s = u.astype(float), np.asarray(steepest(u, p), float)
    dual_p = p / (p - 1)
    dual_norm = np.sum(np.abs(u) ** dual_p) ** (1 / dual_p)
    np.testing.assert_allclose(np.sum(np.abs(s) ** p) ** (1 / p), dual_norm, rtol=1e-5)
    np.testing.assert_allclose(np.sum(u * s), dual_norm**2, rtol=1e-5)


@given(histories(), fractions(0, 1), vectors(numbers(1e-3, 1e3)))
def test_the_mirror_step_at_2_is_gradient_descent(gradients, alpha, theta):
    z = theta - alpha * np.cumsum(gradients.astype(float), axis=0)
    size = np.abs(theta) + alpha * np.abs(gradients).sum(axis=0)
    assert (np.abs(mirror(gradients, alpha, theta) - (z - theta)) <= ROUNDING * size).all()


# Coupling and decay

coupled = jax.jit(lambda g, tau: run(t.linear_coupling(t.sign_power(2), optax.scale(-3.0), tau), g))
decayed = jax.jit(lambda u, r, theta: theta + run(t.decay_stepped_weights(r), u[None], theta)[0])


@given(histories(), fractions(0, 1))
def test_linear_coupling_is_affine_in_tau(gradients, tau):
    primal, mirror_end = (coupled(gradients, end) for end in (0.0, 1.0))
    np.testing.assert_array_equal(primal, gradients * np.abs(gradients))
    np.testing.assert_array_equal(mirror_end, -3 * gradients)
    size = np.abs(primal) + np.abs(mirror_end)
    expected = (1 - tau) * np.asarray(primal, float) + tau * np.asarray(mirror_end, float)
    assert (np.abs(coupled(gradients, tau) - expected) <= ROUNDING * size).all()


@given(*3 * [vectors(numbers(1e-3, 1e3))], fractions(0, 1))
def test_decay_stepped_weights_contracts_what_the_steps_reach_by_1_minus_the_rate(u, v, theta, r):
    difference = decayed(u, r, theta) - decayed(v, r, -theta)
    size = np.abs(u) + np.abs(v) + 2 * np.abs(theta)
    expected = (1 - r) * (u + 2 * theta.astype(float) - v)
    assert (np.abs(difference - expected) <= ROUNDING * size).all()
