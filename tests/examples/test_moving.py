"""A run moves from optax.adamw to Grams and AdamPower by the code that the guide shows."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from examples.moving import compare, copy, move, ratios, rescale, stay

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "checkpoints.md").read_text()
SHAPES = {"matrix": (20, 30), "vector": (30,)}
SCHEDULE = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 10, 100)
AVERAGES = {"b2": 0.95, "eps": 1e-8}


def shown(name):
    """The guide's function of this name."""
    found = {"jax": jax, "optax": optax}
    exec(re.search(rf"^def {name}\(.*?(?=^\S|\Z)", GUIDE, re.S | re.M)[0], found)
    return found[name]


def normal(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return {n: jnp.asarray(scale * rng.normal(size=s), jnp.float32) for n, s in SHAPES.items()}


def in_flight(steps=50, dtype=jnp.float32):
    """The parameters, the last state of AdamW, and the next gradient: small, about a mean."""
    params, mean = normal(0), normal(1, 1e-3)
    adamw = optax.adamw(SCHEDULE, weight_decay=0.0, mu_dtype=dtype, **AVERAGES)
    state = adamw.init(params)
    for seed in range(2, steps + 2):
        grads = jax.tree.map(jnp.add, mean, normal(seed, 2e-3))
        updates, state = adamw.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return params, adamw, state, jax.tree.map(jnp.add, mean, normal(99, 2e-3))


def counts(state):
    return [int(count) for _, count in optax.tree.get_all_with_path(state, "count")]


def test_grams_goes_on_with_the_size_of_adamw_s_step_and_the_sign_of_the_gradient():
    params, adamw, old, grads = in_flight()
    tx = gradpow.grams(SCHEDULE, **AVERAGES)
    state = shown("to_grams")(tx, params, old)
    assert counts(state) == counts(old) == [50, 50]
    updates, state = tx.update(grads, state, params)
    expected, old = adamw.update(grads, old, params)
    for update, adam, grad in zip(*map(jax.tree.leaves, (updates, expected, grads)), strict=True):
        np.testing.assert_allclose(np.abs(update), np.abs(adam), rtol=1e-6)
        np.testing.assert_array_equal(np.sign(update), -np.sign(grad))
    assert counts(state) == counts(old) == [51, 51]
    jax.tree.map(np.testing.assert_array_equal, state[0], old[0])  # the moments, from now on too


def test_the_decay_s_count_moves_too():
    params, _, old, _ = in_flight(steps=3)
    tx = gradpow.grams(SCHEDULE, weight_decay=0.1, **AVERAGES)
    assert counts(shown("to_grams")(tx, params, old)) == [3, 3, 3]


def test_bfloat16_moments_are_cast_or_they_stay_so():
    params, _, old, grads = in_flight(steps=3, dtype=jnp.bfloat16)
    tx = gradpow.grams(SCHEDULE, **AVERAGES)
    state = shown("to_grams")(tx, params, old)
    assert tx.update(grads, state, params)[1][0].mu["vector"].dtype == jnp.bfloat16
    state = shown("to_grams")(tx, params, optax.tree.cast(old, jnp.float32))
    assert tx.update(grads, state, params)[1][0].mu["vector"].dtype == jnp.float32


def test_adampower_goes_on_with_about_adamw_s_step():
    params, adamw, old, grads = in_flight(steps=90)
    tx = gradpow.adampower(SCHEDULE, 1.2, b2=0.95, eps=1e-8**1.2, weight_decay=0.0)
    state = shown("to_adampower")(tx, params, old, p=1.2)
    assert counts(state) == [90, 90]
    of_adam = jax.tree.map(lambda mu, nu: mu / jnp.sqrt(nu), old[0].mu, old[0].nu)
    adam = optax.tree.get(state, "ScaleByAdamState")
    found = jax.tree.map(lambda mu, nu: mu / jnp.sqrt(nu), adam.mu, adam.nu)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, of_adam)
    # Only the newest gradient, a tenth of the momentum, is weighed otherwise.
    updates, expected = (t.update(grads, s, params)[0] for t, s in ((tx, state), (adamw, old)))
    distance = optax.tree.norm(optax.tree.sub(updates, expected)) / optax.tree.norm(expected)
    assert distance < 0.1


def test_the_measured_move_is_the_one_that_the_guide_shows():
    params, _, old, _ = in_flight(steps=3)
    tx, state = rescale(old, params, 0.95)
    same = shown("to_adampower")(tx, params, old, p=1.2)
    jax.tree.map(np.testing.assert_array_equal, state, same)
    grams = gradpow.grams(SCHEDULE)
    expected = shown("to_grams")(grams, params, old)
    jax.tree.map(np.testing.assert_array_equal, move(grams.init(params), old), expected)


def test_the_recommended_move_leaves_the_loss_within_half_a_percent_and_a_copy_does_not():
    found = ratios(compare(0.95, 150, 100, ways=(stay, copy, rescale), seeds=4))
    for stretch in ("first 20", "first 100"):
        assert np.abs(found["rescale"][stretch] - 1).max() < 0.005
    assert found["copy"]["first 100"].min() > 1.01


@pytest.mark.parametrize("tx", [gradpow.grams(1e-3), gradpow.adampower(1e-3), gradpow.s3(1e-3)])
def test_adamw_s_own_state_is_refused_by_name(tx):
    params, _, old, grads = in_flight(steps=1)
    with pytest.raises(ValueError, match="the state belongs to another optimizer"):
        tx.update(grads, old, params)


def test_where_only_the_links_differ_the_refusal_names_them():
    params, _, old, grads = in_flight(steps=1)
    with pytest.raises(
        ValueError, match=r"the root: ScaleByAdamState, EmptyState, .* there, .* MomentumScaling"
    ):
        gradpow.grams(SCHEDULE).update(grads, old, params)
