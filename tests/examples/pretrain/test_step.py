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

SHAPE = LlamaShape(vocab=32, width=16, ff=32, heads=2, layers=1)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(32, size=(8, 9)), jnp.int32)


@functools.cache
def model(dropout=0.0):
    return nnx.split(counts.build(LlamaShape(**{**vars(SHAPE), "dropout": dropout})))


SGD = optax.sgd(0.5)
CLIPPED = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.1))


@functools.cache
def step_of(tx, accumulate=1, dropout=0.0, seed=0):
    """One program for all tests that take this step."""
    schedule = optax.linear_schedule(0.1, 0.0, 10)
    by_tokens = losses(model(dropout)[0])
    return make_step(by_tokens, tx, schedule, seed=seed, accumulate=accumulate, dropout=dropout > 0)


def train(tx, *, start=0, tokens=TOKENS, **options):
    """The state after a step, and its metrics."""
    state = init_state(jax.tree.map(jnp.copy, model()[1]), tx)
    state = state._replace(step=jnp.asarray(start, jnp.int32))
    state, metrics = step_of(tx, **options)(state, tokens)
    return state, named(metrics)


def losses(graphdef):
    return functools.partial(cross_entropy, graphdef)


def named(metrics):
    return dict(zip(METRICS, metrics.tolist(), strict=True))


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@functools.cache
def loss_and_gradient():
    """Of the whole batch, without the step."""
    graphdef, params = model()
    mean = jax.jit(jax.value_and_grad(lambda p: cross_entropy(graphdef, p, TOKENS)[0].mean()))
    return mean(params)


def test_accumulated_parts_give_the_gradient_of_the_whole_batch():
    whole, metrics = train(SGD)
    for parts in (2, 8):
        found, other = train(SGD, accumulate=parts)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
            # float32 sums in another order, of gradients of about 0.1
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(other["loss"], metrics["loss"], rtol=1e-6)


def test_the_metrics_are_those_of_the_gradient_and_the_update():
    loss, gradient = loss_and_gradient()
    grads = np.concatenate([np.ravel(g) for g in jax.tree.leaves(gradient)]).astype(float)
    _, metrics = train(SGD)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    # float32 sums over 3,000 squares
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
    params, step = model()[1], step_of(CLIPPED)
    bad = jax.tree.map(lambda x: x * jnp.inf, params)
    before = init_state(bad, CLIPPED)
    state, metrics = step(jax.tree.map(jnp.copy, before), TOKENS)
    assert_same_bits(state.params, before.params)
    assert_same_bits(state.opt_state, before.opt_state)
    assert (int(state.step), int(state.skipped), int(state.skipped_in_row)) == (1, 1, 1)
    assert not np.isfinite(named(metrics)["grad_norm"])

    # With the weights mended it goes on as if the bad step had not been, but for the count in all.
    state = state._replace(params=jax.tree.map(jnp.copy, params))
    state, metrics = step(state, TOKENS)
    expected, first = train(CLIPPED)
    assert_same_bits(state.params, expected.params)
    assert_same_bits(state.opt_state, expected.opt_state)
    assert (int(state.step), int(state.skipped), int(state.skipped_in_row)) == (2, 1, 0)
    assert named(metrics) == first | {"skipped": 1.0}


def test_dropout_depends_on_seed_and_step_alone():
    def loss(**options):
        return train(SGD, dropout=0.5, **options)[1]["loss"]

    assert loss() == loss()
    assert len({loss(), loss(start=1), loss(seed=1), loss(accumulate=2)}) == 4


def test_the_parts_of_a_batch_draw_different_masks():
    graphdef, params = model(0.5)
    twice = jnp.repeat(TOKENS[:4], 2, axis=0)  # part i has sequences i, i + 2, ...
    _, metrics = train(SGD, dropout=0.5, accumulate=2, tokens=twice)
    key = jax.random.fold_in(jax.random.key(0), 0)
    mean = jax.jit(lambda key: cross_entropy(graphdef, params, TOKENS[:4], key)[0].mean())
    parts = [mean(jax.random.fold_in(key, part)) for part in (0, 1)]
    assert abs(parts[0] - parts[1]) > 1e-3
    np.testing.assert_allclose(metrics["loss"], np.mean(parts), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [8, 3, 1])
def test_validation_is_the_mean_over_all_sequences_whatever_the_batches(batch_size):
    graphdef, params = model()
    evaluate = make_evaluate(lambda *a: losses(graphdef)(*a)[0], TOKENS, batch_size)
    np.testing.assert_allclose(evaluate(params), loss_and_gradient()[0], rtol=1e-6)


def test_the_state_is_donated():
    state = init_state(jax.tree.map(jnp.copy, model()[1]), CLIPPED)
    step_of(CLIPPED)(state, TOKENS)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
