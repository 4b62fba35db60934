"""The training step: accumulation, skipped steps, dropout, and what the metrics say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from examples.pretrain import counts
from examples.pretrain.checkpoints import checksums
from examples.pretrain.llama import LlamaShape
from examples.pretrain.step import (
    METRICS,
    cross_entropy,
    describe,
    init_state,
    make_evaluate,
    make_step,
)

SHAPE = LlamaShape(vocab=32, width=16, ff=32, heads=2, layers=2)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(32, size=(8, 9)), jnp.int32)


@functools.cache
def model(dropout=0.0):
    return nnx.split(counts.build(LlamaShape(**{**vars(SHAPE), "dropout": dropout})))


def train(tx, *, accumulate=1, dropout=0.0, seed=0, start=0):
    """The state after a step, and its metrics."""
    graphdef, params = model(dropout)
    schedule = optax.linear_schedule(0.1, 0.0, 10)
    step = make_step(
        losses(graphdef), tx, schedule, seed=seed, accumulate=accumulate, dropout=dropout > 0
    )
    state = init_state(jax.tree.map(jnp.copy, params), tx)
    state, metrics = step(state._replace(step=jnp.asarray(start, jnp.int32)), TOKENS)
    return state, named(metrics)


def losses(graphdef):
    return functools.partial(cross_entropy, graphdef)


def named(metrics):
    return dict(zip(METRICS, metrics.tolist(), strict=True))


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def gradient(params):
    graphdef, _ = model()
    return jax.grad(lambda params: cross_entropy(graphdef, params, TOKENS)[0].mean())(params)


def test_accumulated_parts_give_the_gradient_of_the_whole_batch():
    whole, metrics = train(optax.sgd(1.0))
    for parts in (2, 4, 8):
        found, other = train(optax.sgd(1.0), accumulate=parts)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
            # float32 sums in another order, of gradients of about 0.1
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(other["loss"], metrics["loss"], rtol=1e-6)


def test_the_metrics_are_those_of_the_gradient_and_the_update():
    _, params = model()
    grads = np.concatenate([np.ravel(g) for g in jax.tree.leaves(gradient(params))]).astype(float)
    _, metrics = train(optax.sgd(0.5))
    graphdef, _ = model()
    np.testing.assert_allclose(
        metrics["loss"], cross_entropy(graphdef, params, TOKENS)[0].mean(), rtol=1e-6
    )
    # float32 sums over 4,000 squares
    np.testing.assert_allclose(metrics["grad_norm"], np.linalg.norm(grads), rtol=1e-5)
    np.testing.assert_allclose(metrics["update_rms"], 0.5 * np.sqrt(np.mean(grads**2)), rtol=1e-5)
    np.testing.assert_allclose(metrics["update_max"], 0.5 * np.abs(grads).max(), rtol=1e-5)
    assert metrics["sign_agreement"] == 1
    assert (metrics["skipped"], metrics["skipped_in_row"]) == (0, 0)
    assert metrics["learning_rate"] == np.float32(0.1)


def test_sign_agreement_counts_coordinates_that_move_and_have_a_gradient():
    update = {"a": jnp.array([-1.0, 2.0, 0.0, -1e-30]), "b": jnp.array([1.0, -1.0])}
    grad = {"a": jnp.array([3.0, 1.0, 5.0, 1e-30]), "b": jnp.array([0.0, 4.0])}
    _, largest, agreement = describe(update, grad)
    assert largest == 2 and agreement == 3 / 4  # the first, fourth and last of four


def test_more_than_2_to_the_31_parameters_can_be_described_and_checked():
    many = {"x": jax.ShapeDtypeStruct((2**20, 2**13), jnp.float32)}
    assert [x.dtype for x in jax.eval_shape(describe, many, many)] == [jnp.float32] * 3
    assert jax.eval_shape(checksums, many)["x"].shape == (2,)


def test_a_step_without_a_finite_gradient_changes_nothing_but_the_counts():
    graphdef, params = model()
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.1))
    schedule = optax.linear_schedule(0.1, 0.0, 10)
    step = make_step(losses(graphdef), tx, schedule, seed=0, accumulate=1, dropout=False)
    bad = jax.tree.map(lambda x: x * jnp.inf, params)
    before = init_state(bad, tx)
    state, metrics = step(jax.tree.map(jnp.copy, before), TOKENS)
    assert_same_bits(state.params, before.params)
    assert_same_bits(state.opt_state, before.opt_state)
    assert (int(state.step), int(state.skipped), int(state.skipped_in_row)) == (1, 1, 1)
    assert not np.isfinite(named(metrics)["grad_norm"])

    # With the weights mended it goes on as if the bad step had not been, but for the count in all.
    state = state._replace(params=jax.tree.map(jnp.copy, params))
    state, metrics = step(state, TOKENS)
    expected, first = train(tx)
    assert_same_bits(state.params, expected.params)
    assert_same_bits(state.opt_state, expected.opt_state)
    assert (int(state.step), int(state.skipped), int(state.skipped_in_row)) == (2, 1, 0)
    assert named(metrics) == first | {"skipped": 1.0}


def test_dropout_depends_on_seed_and_step_alone():
    def loss(**options):
        return train(optax.sgd(0.1), dropout=0.5, **options)[1]["loss"]

    assert loss() == loss()
    assert len({loss(), loss(start=1), loss(seed=1), loss(accumulate=2)}) == 4


def test_the_parts_of_a_batch_draw_different_masks():
    graphdef, params = model(0.5)
    tx = optax.sgd(0.1)
    schedule = optax.constant_schedule(0.1)
    step = make_step(losses(graphdef), tx, schedule, seed=0, accumulate=2, dropout=True)
    twice = jnp.repeat(TOKENS[:4], 2, axis=0)  # part i has sequences i, i + 2, ...
    _, metrics = step(init_state(jax.tree.map(jnp.copy, params), tx), twice)
    key = jax.random.fold_in(jax.random.key(0), 0)
    parts = [
        cross_entropy(graphdef, params, TOKENS[:4], jax.random.fold_in(key, part))[0].mean()
        for part in (0, 1)
    ]
    assert abs(parts[0] - parts[1]) > 1e-3
    np.testing.assert_allclose(metrics[0], np.mean(parts), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [8, 3, 1])
def test_validation_is_the_mean_over_all_sequences_whatever_the_batches(batch_size):
    graphdef, params = model()
    evaluate = make_evaluate(lambda *a: losses(graphdef)(*a)[0], TOKENS, batch_size)
    expected = cross_entropy(graphdef, params, TOKENS)[0].mean()
    np.testing.assert_allclose(evaluate(params), expected, rtol=1e-6)


def test_the_state_is_donated():
    graphdef, params = model()
    tx = optax.adam(0.1)
    step = make_step(
        losses(graphdef), tx, optax.constant_schedule(0.1), seed=0, accumulate=1, dropout=False
    )
    state = init_state(jax.tree.map(jnp.copy, params), tx)
    step(state, TOKENS)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
