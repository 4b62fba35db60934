"""The identities between the papers' methods, and between gradpow's parts and optax's.

Both sides of an identity are a few float32 operations that the compiler may fuse differently, so
they agree to some roundings of their coordinate's RMS update: ROUNDING, measured below 1e-6.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow import transforms as t
from tests import references
from tests.cases import assert_same_steps, updates_of

ROUNDING = 5e-6
STEPS = 50


def rate(count):
    return 0.02 * (1 - count / 100)


def problem(seed, shape):
    theta0, gradients = references.problem(seed, STEPS, shape)
    return jnp.float32(theta0), jnp.float32(gradients)


def two_leaves():
    """Two tensors, so that a normaliser over the whole tree would show."""
    problems = {"matrix": problem(0, (3, 7)), "vector": problem(1, (9,))}
    return tuple({leaf: pair[i] for leaf, pair in problems.items()} for i in (0, 1))


PARAMS, GRADIENTS = two_leaves()


def assert_same(tx, other, gradients=GRADIENTS, **extra_args):
    expected = updates_of(other, PARAMS, gradients, **extra_args)
    assert_same_steps(updates_of(tx, PARAMS, gradients, **extra_args), expected, ROUNDING)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(expected))


MASK = {"matrix": True, "vector": False}
SAME = {
    "adampower at p = 1 is optax.adamw": (
        gradpow.adampower(rate, p=1.0, eps_root=1e-3, mask=MASK),
        optax.adamw(rate, b2=0.95, eps_root=1e-3, weight_decay=0.1, mask=MASK),
    ),
    "adagradpower at p = 1 is optax.adagrad from 0": (
        gradpow.adagradpower(rate, p=1.0),
        optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-8),
    ),
    "sgdpower at p = 1 is optax.sgd": (gradpow.sgdpower(rate, p=1.0), optax.sgd(rate)),
    "so it is with momentum": (
        gradpow.sgdpower(rate, p=1.0, momentum=0.9, nesterov=True),
        optax.sgd(rate, momentum=0.9, nesterov=True),
    ),
    "gradpower around optax.adamw is adampower": (
        gradpow.gradpower(optax.adamw(rate, b2=0.95, weight_decay=0.1)),
        gradpow.adampower(rate),
    ),
    "ams with lambda = 1 is optax.adam": (
        gradpow.ams(rate, negative_scale=1.0),
        optax.adam(rate, eps=1e-6),
    ),
    "ams with b3 = b1 is optax.adam": (
        gradpow.ams(rate, b3=0.9, negative_scale=-0.5),
        optax.adam(rate, eps=1e-6),
    ),
    "ams with lambda = 0 is cautious Adam that masks by >=": (
        gradpow.ams(rate, negative_scale=0.0),
        gradpow.cautious(optax.adam(rate, eps=1e-6), zero_scale=1.0),
    ),
    "cautious around optax.adam is cautious_adam": (
        gradpow.cautious(optax.adam(rate, eps=1e-6)),
        gradpow.cautious_adam(rate),
    ),
    "cautious around optax.lion is cautious_lion": (
        gradpow.cautious(optax.lion(rate, weight_decay=0.0)),
        gradpow.cautious_lion(rate),
    ),
    "decay after cautious is cautious_adam's": (
        optax.chain(
            gradpow.cautious(optax.adam(rate, eps=1e-6)),
            t.decay_stepped_weights(lambda count: 0.1 * rate(count), MASK),
        ),
        gradpow.cautious_adam(rate, weight_decay=0.1, mask=MASK),
    ),
    "stacey with p = inf, tau = 0, eps = 0 is optax.lion": (
        gradpow.stacey(rate, p=jnp.inf, tau=0.0, eps=0.0, weight_decay=0.1, mask=MASK),
        optax.lion(rate, weight_decay=0.1, mask=MASK),
    ),
    "lp_descent at p = 2 is optax.sgd": (gradpow.lp_descent(rate, 2.0), optax.sgd(rate)),
    "lp_descent at p = inf is sign descent": (
        gradpow.lp_descent(rate, jnp.inf),
        optax.sign_sgd(rate),
    ),
    "interpolated_momentum with b1 = b2**2 makes S3": (
        gradpow.chain(
            t.interpolated_momentum(0.95**2, 0.95),
            t.p_norm_scale(0.95, 3.0),
            optax.scale_by_learning_rate(rate),
        ),
        gradpow.s3(rate),
    ),
}


@pytest.mark.parametrize(("tx", "other"), SAME.values(), ids=SAME)
def test_two_optimizers_are_the_same(tx, other):
    assert_same(tx, other)


def test_ams_with_lambda_0_masks_by_greater_or_equal():
    adam = updates_of(optax.adam(rate, eps=1e-6), PARAMS, GRADIENTS)
    masked = jax.tree.map(masked_by_hand(lambda agreement: agreement >= 0), adam, GRADIENTS)
    ams = updates_of(gradpow.ams(rate, negative_scale=0.0), PARAMS, GRADIENTS)
    assert_same_steps(ams, masked, ROUNDING)


def test_grams_is_ams_with_lambda_minus_1_where_no_gradient_is_0():
    grams, ams, adam = (
        updates_of(tx, PARAMS, GRADIENTS)["matrix"]
        for tx in (gradpow.grams(rate), gradpow.ams(rate), optax.adam(rate, eps=1e-6))
    )
    nonzero = GRADIENTS["matrix"] != 0
    assert_same_steps(jnp.where(nonzero, grams, 0), jnp.where(nonzero, ams, 0), ROUNDING)
    # Corollary 5.2 fails where a gradient is 0: Grams stands still and AMS goes on as Adam does.
    assert_same_steps(jnp.where(nonzero, 0, ams), jnp.where(nonzero, 0, adam), ROUNDING)
    assert not jnp.any(jnp.where(nonzero, 0, grams))
    assert jnp.any(jnp.where(nonzero, 0, ams))


# GradPower around any base


def rosenbrock(params):
    x = params["vector"]
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2) + jnp.sum(
        jnp.cosh(params["matrix"])
    )


BASES = {
    "adamw": optax.adamw(rate),
    "lion": optax.lion(rate),
    "sgd": optax.sgd(rate, momentum=0.9),
    "adagrad": optax.adagrad(rate),
    "adafactor": optax.adafactor(rate, min_dim_size_to_factor=2),
    "muon": optax.contrib.muon(rate),
    "schedule_free_adamw": optax.contrib.schedule_free_adamw(0.02, warmup_steps=5),
    "sophia": optax.contrib.sophia(rate, update_interval=2),
}


@pytest.mark.parametrize("name", BASES)
def test_gradpower_is_the_base_after_sign_power(name):
    gradients = jax.tree.map(lambda g: g[:8], GRADIENTS)
    extra_args = {"obj_fn": rosenbrock} if name == "sophia" else {}
    powered = jax.tree.map(lambda g: jnp.sign(g) * jnp.abs(g) ** 1.2, gradients)
    expected = updates_of(BASES[name], PARAMS, powered, **extra_args)
    actual = updates_of(gradpow.gradpower(BASES[name]), PARAMS, gradients, **extra_args)
    # Newton-Schulz multiplies rounding by up to 3.4445**5 = 485.
    assert_same_steps(actual, expected, 1e-4 if name == "muon" else ROUNDING)


# Cautious around any base


def masked_by_hand(keeps):
    """Algorithm 1 of Cautious on the updates u of a whole run, from the base's own u and g."""

    def mask(u, g):
        kept = keeps(np.sign(-u) * np.sign(g))
        axes = tuple(range(1, u.ndim))
        return u * kept / np.maximum(np.mean(kept, axis=axes, keepdims=True), 1e-3)

    return mask


@pytest.mark.parametrize(
    "base",
    [
        optax.adam(rate),
        optax.lion(rate, weight_decay=0.0),
        optax.sgd(rate, momentum=0.9),
        optax.contrib.muon(rate),
    ],
    ids=["adam", "lion", "momentum", "muon"],
)
def test_cautious_masks_what_the_base_makes(base):
    updates = updates_of(base, PARAMS, GRADIENTS)
    expected = jax.tree.map(masked_by_hand(lambda agreement: agreement > 0), updates, GRADIENTS)
    actual = updates_of(gradpow.cautious(base), PARAMS, GRADIENTS)
    assert_same_steps(actual, expected, ROUNDING)
    # A leaf in which all is masked, or nothing, would prove little.
    kept = np.mean(np.asarray(actual["matrix"]) != 0)
    assert 0.2 < kept < 0.8


def test_schedule_free_goes_around_cautious_and_descends():
    tx = optax.contrib.schedule_free(gradpow.cautious(optax.sgd(0.01)), 0.01, b1=0.9)
    theta0 = {"vector": jnp.zeros(4), "matrix": jnp.ones((2, 2))}

    def step(carry, _):
        theta, state = carry
        updates, state = tx.update(jax.grad(loss)(theta), state, theta)
        return (optax.apply_updates(theta, updates), state), None

    def loss(theta):
        return jnp.sum((theta["vector"] - 1) ** 2) + jnp.sum(theta["matrix"] ** 2)

    (theta, state), _ = jax.lax.scan(step, (theta0, tx.init(theta0)), length=300)
    averaged = optax.contrib.schedule_free_eval_params(state, theta)
    assert loss(averaged) < 0.01 * loss(theta0)


# S3's theorems


@pytest.fixture(scope="module")
def adversarial():
    """Gradients, (steps, coordinates), among them some that reach Theorem 2's bound."""
    steps = 200
    rng = np.random.default_rng(0)
    time = np.arange(steps)[:, None]
    _, hard = references.problem(2, steps, (70,))
    heavy = rng.standard_cauchy((steps, 60))
    growing = 10.0 ** np.clip(time * rng.uniform(-0.3, 0.3, 40), -30, 30)
    constant = np.broadcast_to(10.0 ** rng.uniform(-20, 20, 20), (steps, 20))
    spike = np.where(time == rng.integers(0, steps, 30), 1e6, 1e-3 * rng.normal(size=(steps, 30)))
    return jnp.float32(np.concatenate([hard, heavy, np.abs(heavy), growing, constant, spike], 1))


@pytest.fixture(scope="module")
def orders():
    return jnp.array([1.0, 1.2, 1.5, 2.0, 3.0, 8.0])


def test_no_coordinate_of_an_s3_update_exceeds_1(adversarial, orders):
    """Theorem 2 (2)."""
    theta0 = jnp.zeros(adversarial.shape[1])
    updates = jax.vmap(lambda p: updates_of(gradpow.s3(1.0, p=p), theta0, adversarial))(orders)
    largest = jnp.max(jnp.abs(updates), axis=(1, 2))
    assert jnp.all(largest <= 1 + 1e-5)  # 1.000008 has been seen at p = 1
    assert jnp.all(largest > 0.999)  # so that a smaller bound would not hold


def test_the_denominator_of_s3_grows_with_p(adversarial, orders):
    """Theorem 2 (3)."""

    def inverse_of_b_t(p):
        tx = gradpow.chain(
            optax.stateless_with_tree_map(lambda u, _: jnp.ones_like(u)), t.p_norm_scale(0.95, p)
        )
        return updates_of(tx, jnp.zeros(adversarial.shape[1]), adversarial)

    inverse = jax.vmap(inverse_of_b_t)(orders)
    assert jnp.all(inverse[1:] <= inverse[:-1] * (1 + 1e-5))  # the powers are right to 1e-6
    assert jnp.mean(inverse[1:] < 0.99 * inverse[:-1]) > 0.5


@pytest.fixture(scope="module")
def nag():
    """Form (II), that of S3, by the library in float64, and forms (I) and (III) by loops."""
    gamma, b, steps = 0.3, 0.9, 100
    start = np.linspace(-2.0, 3.0, 6)
    curvature = np.linspace(0.1, 3.0, 6)

    def gradient(x):
        return curvature * np.tanh(x) + 0.1 * x

    with jax.enable_x64(True):
        tx = gradpow.chain(t.nesterov_pmoment(b), optax.scale(-gamma))
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
    """Theorem 3."""
    _, second, third, _ = nag
    np.testing.assert_allclose(second, third, rtol=0, atol=1e-12)
    assert np.max(np.abs(second[-1])) < 0.1 * np.max(np.abs(second[0]))


def test_nag_form_1_is_shifted_by_the_momentum(nag):
    """Theorem 3: x_t = x~_t - gamma beta m_{t-1}."""
    first, second, _, shift = nag
    np.testing.assert_allclose(second, first - shift, rtol=0, atol=1e-12)
    assert np.max(np.abs(shift)) > 0.1


# Rates


def test_matched_weight_decay_keeps_rate_times_decay():
    rates, decays = np.array([[1e-4, 3e-3, 0.5], [0.1, 0.01, 0.0]])
    for lr in (1e-5, 2e-4, 1.0):
        for adam_lr, adam_decay in zip(rates, decays, strict=True):
            matched = gradpow.matched_weight_decay(adam_lr, adam_decay, lr)
            assert lr * matched == pytest.approx(adam_lr * adam_decay, rel=1e-14)


def test_warmup_stable_decay_has_the_four_corners_and_is_linear_between_them():
    schedule = gradpow.schedules.warmup_stable_decay(
        2.0, 1000, warmup_steps=100, stable_fraction=0.6, init_value=0.5, end_factor=0.25
    )
    steps = jnp.arange(1500)
    corners = np.interp(steps, [0, 100, 600, 1000], [0.5, 2.0, 2.0, 0.5])
    np.testing.assert_allclose(jax.vmap(schedule)(steps), corners, rtol=1e-6)


def test_warmup_stable_decay_may_lack_its_warm_up_and_its_stable_phase():
    triangle = gradpow.schedules.warmup_stable_decay(1.0, 10, 5, stable_fraction=0.5, end_factor=0)
    corners = np.interp(np.arange(15), [0, 5, 10], [0.0, 1.0, 0.0])
    np.testing.assert_allclose(jax.vmap(triangle)(jnp.arange(15)), corners, atol=1e-6)
    no_warm_up = gradpow.schedules.warmup_stable_decay(1.0, 10, 0)
    assert no_warm_up(0) == 1.0


@pytest.mark.parametrize(
    "arguments", [(1.0, 1000, 801), (1.0, 1000, 0, 1.0), (1.0, 0, 0), (1.0, 1000, -1)]
)
def test_warmup_stable_decay_refuses_phases_that_overlap(arguments):
    with pytest.raises(ValueError, match="warm-up must end"):
        gradpow.schedules.warmup_stable_decay(*arguments)


def test_a_mask_too_large_for_one_integer_is_counted_the_same(monkeypatch):
    theta0, (g, *_) = problem(0, (6, 5))
    tx = t.momentum_scaling(0.3, zero_scale=0.5)
    expected, _ = tx.update(theta0, tx.init(g), grad=g)
    assert np.abs(expected / theta0).std() > 0.1  # some are scaled, some are not
    monkeypatch.setattr("gradpow.transforms._momentum_scaling.COUNTED", 4)
    counted_by_rows, _ = tx.update(theta0, tx.init(g), grad=g)
    np.testing.assert_allclose(counted_by_rows, expected, rtol=1e-6)
