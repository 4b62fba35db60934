"""STACEY's Theorem 1 in gradpow.theory against simulated l_p descent."""

import math

import numpy as np
import pytest

from gradpow import theory
from tests.contract.exact import powered

ROUNDING = 1e-12  # of a few hundred float64 operations


def lp_descent_on_log_cosh(p, scales, noise, start, learning_rate, steps, batch_size, runs):
    """Mean over runs and its standard error of Theorem 1's left side, and the theorem's constants.

    f = sum_i c_i log(cosh(theta_i)) has the gradient c_i tanh(theta_i), at most c_i in size, and
    the Hessian diag(c_i / cosh(theta_i)^2). Hölder's inequality makes it ||c||_{p/(p-2)}-smooth in
    the p-norm. The noise of coordinate i is the mean of n signs times its standard deviation.
    """
    rng = np.random.default_rng(6)
    dual = 1 if p == math.inf else p / (p - 1)
    theta = np.full((runs, scales.size), start)
    total = np.zeros(runs)
    for _ in range(steps):
        gradient = scales * np.tanh(theta)
        total += np.sum(np.abs(gradient) ** dual, axis=1)
        signs = 2 * rng.binomial(batch_size, 0.5, theta.shape) / batch_size - 1
        stochastic = gradient + noise * signs
        theta = theta - learning_rate * powered(stochastic, 1 / (p - 1))
    constants = {
        "gap": np.sum(scales * np.log(np.cosh(start))),
        "gradient_bound": np.linalg.norm(scales + noise, dual),
        "smoothness": scales.max() if p == 2 else np.linalg.norm(scales, 1 / (1 - 2 / p)),
        "noise": noise.sum(),
    }
    mean = total / steps
    return mean.mean(), mean.std() / math.sqrt(runs), constants


@pytest.mark.parametrize("p", [2.0, 2.5, 4.0, math.inf])
@pytest.mark.parametrize(("batch_size", "noise"), [(1, 2.0), (4, 0.3), (64, 0.3)])
def test_lp_descent_stays_below_the_bound_of_theorem_1(p, batch_size, noise):
    scales = np.array([0.2, 0.5, 1.0])
    setting = {"learning_rate": 0.02, "steps": 300, "batch_size": batch_size}
    mean, standard_error, constants = lp_descent_on_log_cosh(
        p, scales, np.full(3, noise), start=1.0, runs=50, **setting
    )
    bound = theory.lp_descent_bound(p, **setting, **constants)
    assert mean + 4 * standard_error < bound


def test_noise_that_outweighs_the_gradient_needs_the_bounds_noise_term():
    scales = np.array([0.2, 0.5, 1.0])
    setting = {"learning_rate": 0.02, "steps": 1000, "batch_size": 1}
    mean, standard_error, constants = lp_descent_on_log_cosh(
        math.inf, scales, np.full(3, 2.0), start=2.0, runs=50, **setting
    )
    assert mean + 4 * standard_error < theory.lp_descent_bound(math.inf, **setting, **constants)
    constants["noise"] = 0.0
    assert mean - 4 * standard_error > theory.lp_descent_bound(math.inf, **setting, **constants)


@pytest.mark.parametrize("p", [2.0, 3.0, 5.0, math.inf])
def test_descent_that_oscillates_on_a_parabola_attains_the_smoothness_term(p):
    # f = h x^2 / 2 with steps of 2x, so that x only changes its sign.
    h, x, steps = 3.0, 0.7, 10_000
    learning_rate = 2 * x / (h * x) ** (1 / (p - 1))
    assert x - learning_rate * powered(h * x, 1 / (p - 1)) == pytest.approx(-x, rel=ROUNDING)
    dual = theory.lp_descent_exponents(p).dual
    bound = theory.lp_descent_bound(
        p, learning_rate=learning_rate, steps=steps, batch_size=1,
        gap=h * x * x / 2, gradient_bound=h * x, smoothness=h, noise=0.0,
    )  # fmt: skip
    slack = h * x * x / 2 / (learning_rate * steps)
    assert bound - slack == pytest.approx((h * x) ** dual, rel=1e-9)


@pytest.mark.parametrize("p", [2.0, 2.5, 4.0, 10.0, math.inf])
def test_twice_the_distance_bounds_the_bias_of_lp_steps(p):
    s = 1 / (p - 1)
    rng = np.random.default_rng(7)
    a, b = rng.uniform(-1, 1, (2, 20_000)) ** 5  # many near 0, where phi_s is steep
    largest = np.maximum(np.abs(a), np.abs(b))  # the least G allowed
    bias = np.abs(a) * np.abs(powered(a, s) - powered(b, s))
    assert np.all(bias <= 2 * largest**s * np.abs(a - b) * (1 + ROUNDING))


@pytest.mark.parametrize(("p", "lemma_holds"), [(2.5, True), (4.0, False), (10.0, False)])
def test_lemma_3_fails_above_3_where_theorem_1_does_not(p, lemma_holds):
    s = 1 / (p - 1)
    gradient, samples = 1.0, np.array([1e-30, 2.0])  # equally likely, mean 1, all of one sign
    b2 = np.mean(gradient * np.abs(gradient**s - samples**s))
    deviation = samples.std()
    assert (b2 <= s * 2.0**s * deviation) == lemma_holds
    assert b2 <= theory.lp_descent_exponents(p).noise_factor * 2.0**s * deviation


def test_lp_descent_exponents_are_the_theorems():
    p = np.array([2.0, 2.8, 5.0])
    dual, noise, smoothness, noise_factor, rate = theory.lp_descent_exponents(p)
    np.testing.assert_allclose(1 / p + 1 / dual, 1)
    np.testing.assert_allclose(noise, 1 / (p - 1))
    np.testing.assert_allclose(smoothness, 2 / (p - 1))
    np.testing.assert_allclose(noise_factor, (2 * p - 1) / (p - 1))
    assert theory.lp_descent_exponents(math.inf) == (1, 0, 0, 2, rate)


def test_the_best_step_size_gives_theorem_1s_rate_in_gradient_calls():
    p, big_g, smoothness, gap, noise = 3.0, 2.0, 5.0, 1.5, 0.7
    _, s, _, factor, rate = theory.lp_descent_exponents(p)
    for steps in (10, 1000):
        bound = theory.lp_descent_bound(
            p, learning_rate=1 / (math.sqrt(smoothness * steps) * big_g**s), steps=steps,
            batch_size=steps, gap=gap, gradient_bound=big_g, smoothness=smoothness, noise=noise,
        )  # fmt: skip
        second = math.sqrt(smoothness) * big_g**s * (gap + 0.5) + factor * big_g**s * noise
        assert bound == pytest.approx((steps * steps) ** rate * second, rel=ROUNDING)
