"""Qwen2MoE's mixture of experts: its two dispatches, its capacity, its load-balancing loss."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from examples.pretrain import counts
from examples.pretrain.names import name_of
from examples.pretrain.presets import SHAPES
from examples.pretrain.qwen2moe import MixtureOfExperts

TOKENS = np.arange(12).reshape(2, 6)
MOE = dataclasses.replace(SHAPES["qwen2moe-nano"], width=8, ff=16)


def mixture(dtype=jnp.float32):
    """A mixture of 8 experts with weights large enough to tell them apart."""
    module = nnx.eval_shape(lambda: MixtureOfExperts(MOE, rngs=nnx.Rngs(0), dtype=dtype))
    graphdef, params = nnx.split(module)
    normal = np.random.default_rng(0).normal
    return graphdef, jax.tree.map(lambda x: 0.4 * jnp.float32(normal(size=x.shape)), params)


def mix(x, capacity_factor):
    def call(params, x):
        module = nnx.merge(graphdef, params)
        module.shape = dataclasses.replace(MOE, capacity_factor=capacity_factor)
        return module(x)

    graphdef, params = mixture()
    return jax.jit(call)(params, x)


def test_dispatch_by_capacity_is_the_dense_one_as_long_as_all_tokens_find_a_place():
    x = jax.random.normal(jax.random.key(0), (3, 16, 8))
    dense, loss = mix(x, 0.0)
    ample, same_loss = mix(x, 2.0)  # 16 places for 16 tokens
    np.testing.assert_allclose(ample, dense, atol=1e-5)  # of numbers up to 10, in other sums
    np.testing.assert_allclose(same_loss, loss)


def test_tokens_beyond_the_capacity_keep_their_shared_expert_only():
    x = jnp.broadcast_to(jax.random.normal(jax.random.key(0), (2, 1, 8)), (2, 6, 8))
    module = nnx.merge(*mixture())
    shared = nnx.sigmoid(module.shared_expert_gate(x)) * module.shared_expert(x)
    full, dropped = mix(x, 2.0)[0], mix(x, 0.9)[0]
    # Equal tokens want the same experts, and each takes ceil(0.9 * 6 * 4 / 8) = 3 of them.
    np.testing.assert_allclose(dropped[:, :3], full[:, :3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dropped[:, 3:], shared[:, 3:], rtol=1e-5, atol=1e-6)
    assert np.all(np.abs(full - shared).max(-1) > 0.1)


def test_load_balancing_loss_is_the_naive_one():
    x = np.asarray(jax.random.normal(jax.random.key(1), (3, 16, 8)))
    logits = x @ np.asarray(mixture()[1]["gate"]["kernel"][...])
    share, mean = np.zeros(8), np.zeros(8)
    for row in logits.reshape(-1, 8):
        probabilities = np.exp(row) / np.exp(row).sum()
        share[np.argsort(-row)[:4]] += 1 / 48
        mean += probabilities / 48
    np.testing.assert_allclose(mix(x, 0.0)[1], 8 * np.sum(share * mean), rtol=1e-5)


def test_load_balancing_loss_is_the_number_of_active_experts_when_the_router_is_even():
    graphdef, params = mixture()
    params["gate"]["kernel"][...] *= 0
    module = nnx.merge(graphdef, params)
    np.testing.assert_allclose(module(jnp.ones((1, 2, 8)))[1], 4, rtol=1e-6)


def test_the_models_loss_is_a_thousandth_of_its_layers_mean():
    model = counts.build(MOE)
    x, losses = model.embed_tokens(TOKENS), []
    for layer in model.layers:
        x, loss = layer(x, key=None)
        losses.append(loss)
    assert losses[0] != losses[1]
    np.testing.assert_allclose(model(TOKENS)[1], 0.001 * np.mean(losses), rtol=1e-5)


def test_load_balancing_loss_moves_the_router():
    graphdef, params = mixture()
    x = jax.random.normal(jax.random.key(1), (3, 16, 8))
    gradient = jax.jit(jax.grad(lambda params: nnx.merge(graphdef, params)(x)[1]))(params)
    moved = {name_of(path) for path, g in jax.tree.leaves_with_path(gradient) if g.any()}
    assert moved == {"gate/kernel"}


def test_the_output_moves_the_router_too():
    graphdef, params = mixture()
    x = jax.random.normal(jax.random.key(1), (3, 16, 8))
    gradient = jax.jit(jax.grad(lambda params: nnx.merge(graphdef, params)(x)[0].sum()))(params)
    moved = {name_of(path) for path, g in jax.tree.leaves_with_path(gradient) if g.any()}
    assert moved == {name_of(path) for path, _ in jax.tree.leaves_with_path(params)}


def test_the_router_computes_in_float32_under_bfloat16():
    x = jax.random.normal(jax.random.key(1), (3, 16, 8), jnp.bfloat16)
    half, full = (nnx.merge(*mixture(dtype))(x)[1] for dtype in (jnp.bfloat16, jnp.float32))
    np.testing.assert_array_equal(half, full)  # a bfloat16 router: by 2.5e-5
