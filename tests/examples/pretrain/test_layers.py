"""What the models share: gradients in float32, and sizes that make no model."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from examples.pretrain import counts, layers
from examples.pretrain.errors import UserError
from examples.pretrain.presets import SHAPES


def test_gradients_add_up_in_float32_where_the_model_computes_in_bfloat16():
    """1,001 is no number in bfloat16, which stops counting at 256."""
    make = {"rngs": nnx.Rngs(0), "dtype": jnp.bfloat16}
    embed, linear = layers.embedding(4, 2, **make), layers.linear(2, 2, use_bias=True, **make)
    norm = layers.rms_norm(2, rngs=nnx.Rngs(0))
    tokens, x = jnp.zeros((1, 1001), jnp.int32), jnp.ones((1, 1001, 2), jnp.bfloat16)

    def gradient(module, x):
        def total(module):
            return jnp.sum(module(x).astype(jnp.float32))

        return jax.tree.leaves(nnx.grad(total)(module))

    assert embed(tokens).dtype == linear(x).dtype == jnp.bfloat16
    for module, given in ((embed, tokens), (linear, x), (norm, x)):
        for found in gradient(module, given):
            assert found.dtype == jnp.float32
            np.testing.assert_allclose(np.max(found), 1001, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("llama-nano", {"layers": 0}, "--shape.layers 0 must be at least 1"),
        ("llama-nano", {"heads": 3}, "--shape.width 64 must be a multiple of --shape.heads 3"),
        ("llama-nano", {"heads": 64}, "--shape.width 64 over --shape.heads 64 must be even"),
        ("gpt2-nano", {"dropout": 1.0}, "--shape.dropout 1.0 must be at least 0 and below 1"),
        ("qwen2moe-nano", {"experts": 3}, "--shape.active-experts 4 must be at most"),
        ("qwen2moe-nano", {"ff": 66}, "--shape.ff 66 must be a multiple of 4"),
        ("qwen2moe-nano", {"capacity_factor": -1.0}, "--shape.capacity-factor -1.0 must be"),
    ],
)
def test_sizes_that_make_no_model_are_named(name, change, message):
    with pytest.raises(UserError, match=message):
        counts.build(dataclasses.replace(SHAPES[name], **change))
