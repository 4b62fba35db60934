"""The layers' gradients."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from examples.pretrain import layers


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
