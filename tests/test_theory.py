"""The closed forms of gradpow.theory against what they describe: simulations, samples, 60 digits.

A bound has to hold for many sequences and to be attained by the extremal one, so that neither a
bound that is too small nor one that is too large passes.
"""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from gradpow import theory
from tests.contract.exact import powered

ROUNDING = 1e-12  # of a few hundred float64 operations


def random_sequences(seed, steps, count):
    """Heavy-tailed, one-signed, sparse and geometric sequences; time is the first axis."""
    rng = np.random.default_rng(seed)
    heavy = rng.standard_t(1, (steps, count))
    sparse = rng.normal(size=(steps, count)) * (rng.random((steps, count)) < 0.05)
    sparse[0] = 1.0
    rates = rng.uniform(0.5, 2.0, count)
    geometric = rates ** np.arange(steps)[:, None] * rng.lognormal(0, 0.1, (steps, count))
    return np.concatenate([heavy, np.abs(heavy), sparse, geometric], axis=1)


# Adam's and S3's updates


def adam_updates(gradients, b1, b2):
    """|m_t| / sqrt(v_t) of S3's eq. (2), for every step."""
    m, v, updates = 0.0, 0.0, []
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        updates.append(np.abs(m / (1 - b1**t)) / np.sqrt(v / (1 - b2**t)))
    return np.array(updates)


def s3_updates(gradients, b1, b2, p, nesterov=True):
    """|n_t| / b_t(p) of S3's Algorithm 1 with a decay for each average, for every step."""
    m, s, updates = 0.0, 0.0, []
    for g in gradients:
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * np.abs(g) ** p
        n, b = (b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * np.abs(g) ** p) if nesterov else (m, s)
        updates.append(np.abs(n) / b ** (1 / p))
    return np.array(updates)


ADAM_DECAYS = [(0.9, 0.999), (0.9, 0.95), (0.5, 0.99), (0.9, 0.82), (0.95, 0.95)]
# All satisfy b1 < b2**(1/p), the last one although b1 > b2.
UNEQUAL_DECAYS = [(0.9, 0.999, 2.0), (0.9, 0.99, 1.5), (0.8, 0.95, 3.0), (0.9, 0.8, 4.0)]


def test_adam_update_can_reach_7_27_at_its_default_decays():
    assert theory.adam_update_bound(0.9, 0.999) == pytest.approx(7.27, abs=0.005)


@pytest.mark.parametrize(("b1", "b2"), ADAM_DECAYS)
def test_extremal_gradients_attain_the_adam_bound_at_every_step(b1, b2):
    updates = adam_updates((b2 / b1) ** np.arange(150.0), b1, b2)
    bound = theory.adam_update_bound(b1, b2, np.arange(1, 151))
    np.testing.assert_allclose(updates, bound, rtol=ROUNDING)


@pytest.mark.parametrize(("b1", "b2"), ADAM_DECAYS)
def test_no_gradients_exceed_the_adam_bound(b1, b2):
    noise = 0.05 * np.random.default_rng(0).normal(size=(60, 100))
    near_extremal = (b2 / b1) ** np.arange(60.0)[:, None] * (1 + noise)
    gradients = np.concatenate([random_sequences(0, 60, 100), near_extremal], axis=1)
    bound = theory.adam_update_bound(b1, b2, np.arange(1, 61))[:, None]
    relative = adam_updates(gradients, b1, b2) / bound
    assert relative.max() <= 1 + ROUNDING
    assert relative[-1].max() > 0.99  # some come so close that a smaller bound would show


@pytest.mark.parametrize(("b1", "b2"), ADAM_DECAYS)
def test_adam_bound_rises_from_1_to_its_limit(b1, b2):
    bound = theory.adam_update_bound(b1, b2, np.arange(1, 50_001))
    assert bound[0] == pytest.approx(1, rel=ROUNDING)
    assert np.all(np.diff(bound) >= -ROUNDING * bound[1:])
    assert bound[-1] == pytest.approx(theory.adam_update_bound(b1, b2), rel=ROUNDING)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("b", [0.5, 0.95])
def test_s3_updates_never_exceed_1_at_equal_decays_and_tend_to_it_for_steady_gradients(p, b):
    assert theory.s3_update_bound(b, b, p) == 1
    assert s3_updates(random_sequences(1, 60, 100), b, b, p).max() <= 1 + ROUNDING
    steady = s3_updates(np.full(400, 0.3), b, b, p)
    expected = (1 - b ** np.arange(2.0, 402.0)) ** (1 - 1 / p)
    np.testing.assert_allclose(steady, expected, rtol=ROUNDING)


@pytest.mark.parametrize(("b1", "b2", "p"), [*UNEQUAL_DECAYS, (0.9, 0.95, 1.0), (0.0, 0.5, 3.0)])
def test_no_gradients_exceed_the_s3_bound_at_unequal_decays(b1, b2, p):
    updates = s3_updates(random_sequences(2, 60, 100), b1, b2, p)
    assert 1 < updates.max() <= theory.s3_update_bound(b1, b2, p) * (1 + ROUNDING)


@pytest.mark.parametrize(("b1", "b2", "p"), UNEQUAL_DECAYS)
def test_s3_bound_is_the_supremum_without_nesterov_and_above_it_with(b1, b2, p):
    age = np.arange(400.0)[::-1]
    bound = theory.s3_update_bound(b1, b2, p)
    # Hölder's equality needs |g|^(p-1) in proportion to the quotient of the two weights.
    plain = s3_updates(((b1 / b2) ** age) ** (1 / (p - 1)), b1, b2, p, nesterov=False)[-1]
    assert plain == pytest.approx(bound, rel=1e-9)

    numerator = (1 - b1) * np.where(age == 0, 1 + b1, b1 ** (age + 1))
    denominator = (1 - b2) * np.where(age == 0, 1 + b2, b2 ** (age + 1))
    extremal = (numerator / denominator) ** (1 / (p - 1))
    nesterov = s3_updates(extremal, b1, b2, p)[-1]
    q = p / (p - 1)
    assert nesterov == pytest.approx(
        np.sum((numerator / denominator ** (1 / p)) ** q) ** (1 / q), rel=ROUNDING
    )
    assert nesterov < (1 - 1e-5) * bound


def test_s3_bound_at_order_2_is_the_limit_of_adams():
    b1, b2 = np.array([0.0, 0.5, 0.9, 0.9]), np.array([0.3, 0.9, 0.95, 0.999])
    np.testing.assert_allclose(
        theory.s3_update_bound(b1, b2, 2), theory.adam_update_bound(b1, b2), rtol=ROUNDING
    )


@pytest.mark.parametrize("p", [1.0, 1.0001, 1.5, 3.0, 100.0])
def test_s3_bound_is_least_at_equal_decays(p):
    b2 = 0.9
    b1 = np.linspace(0, min(b2 ** (1 / p), 0.999), 200, endpoint=False)
    bound = theory.s3_update_bound(np.append(b1, b2), b2, p)
    assert bound[-1] == 1
    # Young's inequality is flat at its minimum, so that neighbours of b2 may round to 1.
    assert np.all(bound[:-1] >= 1 - ROUNDING)
    assert np.all(bound[:-1][np.abs(b1 - b2) > 0.05] > 1 + 1e-6)


def test_s3_bound_reaches_its_limits_at_orders_1_and_infinity():
    assert theory.s3_update_bound(0.9, 0.99, 1) == pytest.approx(10, rel=ROUNDING)
    assert theory.s3_update_bound(0.9, 0.99, 1 + 1e-9) == pytest.approx(10, rel=1e-6)
    assert theory.s3_update_bound(0.9, 0.5, math.inf) == pytest.approx(1, rel=ROUNDING)
    assert theory.s3_update_bound(0.9, 0.5, 1e9) == pytest.approx(1, rel=1e-6)
    assert theory.s3_update_bound(0, 0, 1) == theory.s3_update_bound(0, 0, math.inf) == 1


# GradPower's updates


def limit_update_in_60_digits(p, mu, sigma, eps):
    """Appendix C.2 as printed."""
    with localcontext(prec=60):
        p, mu, sigma, eps = (Decimal(x) for x in (p, mu, sigma, eps))
        high, low = mu + sigma, abs(mu - sigma)
        mean = (high ** (p + 1) - low ** (p + 1)) / (2 * sigma * (p + 1))
        odd = (low ** (2 * p + 1)).copy_sign(mu - sigma)
        square = (high ** (2 * p + 1) - odd) / (2 * sigma * (2 * p + 1))
        return float(mean / (square.sqrt() + eps))


@pytest.mark.parametrize("p", [0.3, 1.0, 1.2, 3.0, 8.0])
@pytest.mark.parametrize("mu", [1e-6, 1e-3, 2.0])
def test_limit_update_loses_no_digits_to_cancellation_or_underflow(p, mu):
    noise_to_signal = [1e-14, 1e-8, 1e-4, 0.3, 1 - 1e-9, 1.0, 1 + 1e-9, 3.0, 1e4, 1e8, 1e14]
    sigma = mu * np.array(noise_to_signal)
    expected = [limit_update_in_60_digits(p, mu, s, 1e-8) for s in sigma]
    # 1e-13: exp(log eps - p log g) has the exponent's absolute error, and mu - sigma that of sigma.
    np.testing.assert_allclose(theory.limit_update(p, mu, sigma), expected, rtol=1e-13)


def test_powers_that_underflow_leave_the_ratio_without_eps_and_nothing_with_it():
    p, mu, sigma = 60.0, 1e-6, np.array([3e-7, 1e-6, 5e-6])
    without = theory.limit_update(p, mu, sigma, 0.0)
    np.testing.assert_allclose(without, theory.limit_update(p, 1.0, sigma / mu, 0.0), rtol=1e-12)
    assert np.all(theory.limit_update(p, mu, sigma, 1e-8) < 1e-300)
    assert theory.low_noise_update(p, mu, 0.0) == 1


@pytest.mark.parametrize("p", [0.5, 1.0, 1.2, 3.0, 8.0])
@pytest.mark.parametrize("noise_to_signal", [0.3, 1.0, 10.0])
def test_limit_update_is_the_ratio_of_sample_moments(p, noise_to_signal):
    mu, eps, n = 1e-6, 1e-8, 100_000
    sigma = mu * noise_to_signal
    samples = powered(np.random.default_rng(3).uniform(mu - sigma, mu + sigma, n), p)
    mean, square = samples.mean(), (samples**2).mean()
    root = math.sqrt(square)
    # The delta method: the ratio's error is to first order the mean of these influences.
    influence = (samples - mean) / (root + eps)
    influence = influence - mean * (samples**2 - square) / (2 * root * (root + eps) ** 2)
    standard_error = influence.std() / math.sqrt(n)
    error = theory.limit_update(p, mu, sigma, eps) - mean / (root + eps)
    assert abs(error) < 4 * standard_error


@pytest.mark.parametrize("p", [0.5, 1.2, 3.0])
@pytest.mark.parametrize("eps", [0.0, 1e-8])
def test_limit_update_tends_to_the_low_noise_update_with_the_square_of_the_noise(p, eps):
    mu = 1e-3
    low = theory.low_noise_update(p, mu, eps)
    assert theory.limit_update(p, mu, 0.0, eps) == pytest.approx(low, rel=1e-14)
    distance = 1 - theory.limit_update(p, mu, mu * np.array([1e-1, 1e-2, 1e-3]), eps) / low
    np.testing.assert_allclose(distance[:-1] / distance[1:], 100, rtol=0.05)


@pytest.mark.parametrize("p", [0.5, 1.2, 3.0])
@pytest.mark.parametrize("eps", [0.0, 1e-8])
def test_limit_update_tends_to_the_high_noise_update_with_the_square_of_the_signal(p, eps):
    sigma = 1e-3
    mu = sigma * np.array([1e-1, 1e-2, 1e-3])
    high = theory.high_noise_update(p, mu, sigma, eps)
    distance = 1 - theory.limit_update(p, mu, sigma, eps) / high
    np.testing.assert_allclose(distance[:-1] / distance[1:], 100, rtol=0.2)
    assert np.all(np.abs(distance) < 20 * (mu / sigma) ** 2)


def test_proposition_4_3_holds_with_the_inverse_root_and_not_as_printed():
    p, mu, sigma, eps = 1.2, 1e-8, 1e-4, 1e-8
    limit = theory.limit_update(p, mu, sigma, eps)
    printed = mu / sigma / (math.sqrt(2 * p + 1) + eps / sigma**p)
    assert theory.high_noise_update(p, mu, sigma, eps) == pytest.approx(limit, rel=1e-6)
    assert abs(printed / limit - 1) > 0.5


def test_smaller_powers_update_more_at_low_noise_and_small_gradients_only():
    p = np.linspace(0.1, 4, 40)
    assert np.all(np.diff(theory.low_noise_update(p, 1e-3)) < 0)
    assert np.all(np.diff(theory.low_noise_update(p, 10.0, 0.1)) > 0)
    # The paper's empirical finding, for all noise up to the signal.
    sigma = 1e-6 * np.linspace(0, 1, 11)[:, None]
    assert np.all(np.diff(theory.limit_update(p, 1e-6, sigma)) < 0)


@pytest.mark.parametrize("sigma", [1e-7, 1e-5, 1e-3, 0.1, 0.9])
@pytest.mark.parametrize("eps", [1e-12, 1e-8])
def test_best_power_is_the_top_of_the_high_noise_update(sigma, eps):
    best = theory.best_power(sigma, eps)
    lower, upper = theory.best_power_bounds(sigma, eps)
    assert lower < best < upper
    assert upper / lower == pytest.approx(1 + 3 / math.log(1 / sigma), rel=ROUNDING)
    grid = np.linspace(0.5, 1.5, 2001) * best  # best is the 1000th point
    update = theory.high_noise_update(grid, 1e-3 * sigma, sigma, eps)
    assert abs(int(update.argmax()) - 1000) <= 1
    assert np.all(np.diff(update[:1000]) > 0)
    assert np.all(np.diff(update[1001:]) < 0)


@pytest.mark.parametrize("noise_to_signal", [1e2, 1e3])
def test_best_power_is_also_the_top_of_the_exact_update_under_heavy_noise(noise_to_signal):
    sigma = 1e-5
    grid = np.linspace(0.5, 2, 1501)
    top = grid[theory.limit_update(grid, sigma / noise_to_signal, sigma).argmax()]
    assert top == pytest.approx(theory.best_power(sigma), abs=2e-3)


def test_best_power_solves_its_equation_to_rounding_from_tiny_to_almost_unit_noise():
    sigma = np.array([1e-300, 1e-30, 1e-6, 0.5, 1 - 1e-6, 1 - 1e-15])
    for eps in (1e-300, 1e-16, 1e-4):
        p = theory.best_power(sigma, eps)
        log_right = np.log(eps) + np.log(-np.log(sigma))
        residual = p * np.log(sigma) - 1.5 * np.log1p(2 * p) - log_right
        assert np.all(np.abs(residual) <= 1e-14 * np.abs(log_right))


def test_best_power_is_1_2_at_the_papers_noise_and_falls_with_it():
    # Figure 7's grid of powers has steps of a tenth at best.
    assert theory.best_power(sigma=1e-5) == pytest.approx(1.2, abs=0.05)
    sigma = np.geomspace(1e-8, 1e-4, 30)
    assert np.all(np.diff(theory.best_power(sigma)) > 0)


def test_best_power_is_above_1_by_the_criterion_and_not_by_the_upper_estimate():
    sigma = np.geomspace(1e-7, 1e-5, 200)
    above = theory.best_power(sigma) > 1
    assert 0 < above.sum() < above.size
    np.testing.assert_array_equal(above, sigma > 3**1.5 * 1e-8 * np.log(1 / sigma))
    upper_estimate = theory.best_power_bounds(3e-7)[1]
    assert upper_estimate > 1.04
    assert theory.best_power(3e-7) < 0.95


@pytest.mark.parametrize("p", [0.5, 1.2, 2.0, 3.0])
def test_gaussian_update_ratio_is_the_ratio_of_sample_moments(p):
    n = 200_000
    z = np.abs(np.random.default_rng(4).normal(size=n))

    def size_and_influence(p):
        mean, square = (z**p).mean(), (z ** (2 * p)).mean()
        return mean / math.sqrt(square), z**p / mean - z ** (2 * p) / (2 * square)

    (raised, influence), (plain, plain_influence) = size_and_influence(p), size_and_influence(1)
    standard_error = raised / plain * (influence - plain_influence).std() / math.sqrt(n)
    assert abs(theory.gaussian_update_ratio(p) - raised / plain) < 4 * standard_error


def test_gaussian_update_ratio_is_the_papers_0_94_and_falls_with_the_power():
    assert theory.gaussian_update_ratio(1.2) == pytest.approx(0.94, abs=0.005)
    assert theory.gaussian_update_ratio(1) == pytest.approx(1, rel=ROUNDING)
    assert theory.gaussian_update_ratio(1e-9) == pytest.approx(math.sqrt(math.pi / 2), rel=1e-6)
    assert np.all(np.diff(theory.gaussian_update_ratio(np.linspace(0.1, 60, 300))) < 0)


def test_long_averages_of_gaussian_gradients_hide_the_factor_0_94():
    z = np.random.default_rng(5).normal(size=(4000, 200))

    def size(p):
        samples = powered(z, p)
        return np.abs(samples.mean(axis=1)).mean() / math.sqrt((samples**2).mean())

    assert size(1.2) / size(1) == pytest.approx(1, abs=0.01)


# Arguments

CALLS = [
    (theory.adam_update_bound, {"b1": [0.5, 0.9], "b2": [[0.99], [0.999]], "t": [1, 7]}),
    (theory.s3_update_bound, {"b1": [0.5, 0.9], "b2": [[0.95], [0.9]], "p": [1.0, 3.0]}),
    (theory.limit_update, {"p": [0.5, 1.0, 8.0], "mu": [[1e-6], [1.0]], "sigma": [0.0, 1e-6, 5.0]}),
    (theory.low_noise_update, {"p": [0.5, 8.0], "mu": [[1e-6], [1.0]], "eps": [0.0, 1e-8]}),
    (theory.high_noise_update, {"p": [0.5, 8.0], "mu": [[1e-6], [1.0]], "sigma": [1e-3, 1.0]}),
    (theory.best_power, {"sigma": [1e-6, 0.5], "eps": [[1e-12], [1e-8]]}),
    (theory.gaussian_update_ratio, {"p": [0.5, 1.0, 8.0]}),
]


@pytest.mark.parametrize(("function", "arguments"), CALLS)
def test_arrays_broadcast_to_the_values_of_floats(function, arguments):
    broadcast = np.broadcast_arrays(*map(np.asarray, arguments.values()))
    result = function(**arguments)
    assert result.shape == broadcast[0].shape
    for index in np.ndindex(result.shape):
        scalars = {name: float(x[index]) for name, x in zip(arguments, broadcast, strict=True)}
        value = function(**scalars)
        assert isinstance(value, float)
        # NumPy's vector loops may round the last bit differently.
        assert result[index] == pytest.approx(value, rel=1e-14)


LP_DESCENT = {
    "learning_rate": 0.1, "steps": 10, "batch_size": 1,
    "gap": 1.0, "gradient_bound": 1.0, "smoothness": 1.0, "noise": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.adam_update_bound(b1=1.0), r"b1 must be in \[0, 1\), not 1:"),
        (lambda: theory.adam_update_bound(b2=-0.5), r"b2 must be in \[0, 1\), not -0.5:"),
        (lambda: theory.adam_update_bound(t=1.5), "t must be a whole number, .* not 1.5"),
        (lambda: theory.adam_update_bound(t=[1, 0]), "t must be a whole number, .* not 0"),
        (lambda: theory.adam_update_bound(0.9, 0.8), r"b2 - b1\*\*2 must .* raise b2, not -0.01"),
        (lambda: theory.s3_update_bound(p=0.5), "p must be at least 1; .* not 0.5"),
        (lambda: theory.s3_update_bound(0.9, 0.5, 2), r"b1 < b2\*\*\(1/p\).* not 1.62"),
        (lambda: theory.s3_update_bound(0.9, 0.5, 1), r"b1 < b2\*\*\(1/p\).* not inf"),
        (lambda: theory.s3_update_bound(0.9, 0.0, math.inf), r"b1 < b2\*\*\(1/p\).* not inf"),
        (lambda: theory.limit_update(0.0, 1.0, 1.0), "p must be finite and > 0, not 0:"),
        (lambda: theory.limit_update(1.0, -1.0, 1.0), "mu must be finite and > 0, not -1:"),
        (lambda: theory.limit_update(1.0, 1.0, [0.0, math.nan]), "sigma must .* not nan:"),
        (lambda: theory.low_noise_update(1.0, 1.0, -1e-8), "eps must be .* not -1e-08:"),
        (lambda: theory.high_noise_update(1.0, 1.0, 0.0), "sigma must .* low_noise_update, not 0"),
        (
            lambda: theory.best_power(1e-6, 0.1),
            r"eps\*log\(1/sigma\) must .* not 1.38155",
        ),
        (lambda: theory.best_power([0.1, 1.0]), r"sigma must be in \(0, 1\).* not 1\."),
        (lambda: theory.best_power_bounds(1e-6, 0.0), "eps must be positive.* not 0"),
        (lambda: theory.gaussian_update_ratio(math.inf), "p must be finite and > 0, not inf:"),
        (lambda: theory.lp_descent_exponents(1.5), "p must be at least 2; .* not 1.5"),
        (lambda: theory.lp_descent_bound(1.5, **LP_DESCENT), "p must .* not 1.5"),
        *[
            (
                lambda name=name: theory.lp_descent_bound(2, **{**LP_DESCENT, name: -1}),
                f"{name} must be finite and >=? [01], not -1:",
            )
            for name in LP_DESCENT
        ],
    ],
)
def test_bad_arguments_are_named_with_value_and_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()
