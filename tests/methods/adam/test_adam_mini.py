"""Adam-mini against its loop, Adam as its case of blocks of one, and the blocks of transformers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow import adam_mini_blocks
from gradpow.transforms import Blocks
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.adam_mini,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "eps": 1e-2, "weight_decay": 0.1},
    by_rows=True,
)


def loop(theta0, gradients, learning_rate, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.0, heads=None):
    """Zhang et al. (2024), Algorithm 1; blocks are outputs, or heads of the last axis."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        squares = g**2
        if g.ndim > 1 and heads:
            parts = np.split(squares, heads, axis=-1)
            squares = np.concatenate([np.full(p.shape, np.mean(p)) for p in parts], axis=-1)
        elif g.ndim > 1:
            squares = np.mean(squares, axis=tuple(range(g.ndim - 1)), keepdims=True)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * squares
        u = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {**CONSTANT, **ADAM},
        "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adam_mini, loop, dtype, **numbers)


def test_steps_of_heads_are_those_of_the_loop():
    def blocks(path, leaf):  # of the matrix and of the cube
        return Blocks(-1, HEADS[leaf.shape[-1]]) if leaf.ndim > 1 else ()

    def by_heads(theta0, gradients, **numbers):
        heads = HEADS[theta0.shape[-1]] if theta0.ndim > 1 else None
        return loop(theta0, gradients, **numbers, heads=heads)

    HEADS = {9: 3, 5: 5}
    assert_steps_of_loop(
        gradpow.adam_mini, by_heads, np.float32, other={"blocks": blocks}, **CONSTANT, **ADAM
    )


def test_with_blocks_of_one_it_is_adamw():
    assert_same(
        gradpow.adam_mini(rate, weight_decay=0.1, blocks=lambda path, leaf: ()),
        optax.adamw(rate, weight_decay=0.1),
    )


@pytest.mark.parametrize(
    ("path", "shape", "blocks", "heads"),
    [
        ("embed/embedding", (50, 8), -1, None),
        ("wte/embedding/value", (50, 8), -1, None),
        ("attention/query/kernel", (8, 4, 2), Blocks(1, 4), None),
        ("attention/key/kernel/value", (8, 4, 2), Blocks(1, 4), None),
        ("attention/value/kernel", (8, 4, 2), (0,), None),
        ("attention/out/kernel", (4, 2, 8), (0, 1), None),
        ("layers/0/q_proj/kernel", (8, 8), Blocks(-1, 4), 4),
        ("layers/0/q_proj/kernel", (8, 8), (0,), None),
        ("layers/0/v_proj/kernel", (8, 8), (0,), 4),
        ("mlp/kernel", (8, 32), (0,), 4),
        ("mlp/bias", (32,), (), None),
        ("attention/query/bias", (4, 2), (), None),
        ("norm/scale", (8,), None, None),
        ("norm/bias", (8,), (), None),
        ("lm_head/kernel", (8, 50), (0,), 4),
        ("conv/kernel", (3, 3, 8, 16), (0, 1, 2), None),
    ],
)
def test_blocks_of_a_transformer_go_by_names_and_shapes(path, shape, blocks, heads):
    assert adam_mini_blocks(path, jnp.zeros(shape), heads) == blocks


def test_half_of_adams_memory_is_kept():
    shape = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    params = {"layers": {"q_proj": {"kernel": shape}, "mlp": {"kernel": shape}}}
    tx = gradpow.adam_mini(1e-3, blocks=functools.partial(adam_mini_blocks, heads=4))
    sizes = [x.size for x in jax.tree.leaves(jax.eval_shape(tx.init, params)) if x.ndim]
    assert sorted(sizes) == [4, 64, 64 * 64, 64 * 64]
