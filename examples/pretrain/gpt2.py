"""GPT-2 (Radford et al., 2019): learned positions, LayerNorm, GELU, biases, a tied head.

Parameters bear Hugging Face's names, with `layers` for its `h` and separate q, k, v projections,
and with the same weights the logits are those of its GPT2LMHeadModel. Projections that add to the
residual stream start smaller by sqrt(2 layers), as in the paper's Section 2.3.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from . import layers
from .errors import UserError


@dataclasses.dataclass(frozen=True)
class Gpt2Shape(layers.Shape):
    """The shape of a GPT-2."""

    vocab: int
    """Tokens."""
    width: int
    """Features of a token; the MLPs have four times as many."""
    heads: int
    """Attention heads of a layer."""
    layers: int
    """Layers; from 8 on they are stacked, one tensor for each parameter of all."""
    context: int
    """Learned positions: the longest sequence."""
    dropout: float = 0.1
    """Rate after the embedding, attention and MLP, Megatron-LM's default; not on attention's
    weights, which Megatron-LM drops too."""
    remat: bool = False
    """Compute activations again in the backward pass, to save memory."""

    @property
    def model(self) -> "type[Gpt2]":
        return Gpt2


class Attention(nnx.Module):
    def __init__(self, shape: Gpt2Shape, *, rngs: nnx.Rngs, dtype: Any):
        make = {"rngs": rngs, "dtype": dtype, "use_bias": True}
        self.heads = shape.heads
        self.q_proj = layers.linear(shape.width, shape.width, **make)
        self.k_proj = layers.linear(shape.width, shape.width, **make)
        self.v_proj = layers.linear(shape.width, shape.width, **make)
        self.c_proj = layers.linear(shape.width, shape.width, kernel_init=residual(shape), **make)

    def __call__(self, x: jax.Array) -> jax.Array:
        split = (*x.shape[:2], self.heads, -1)
        q, k, v = (f(x).reshape(split) for f in (self.q_proj, self.k_proj, self.v_proj))
        return self.c_proj(layers.attend(q, k, v))


class Mlp(nnx.Module):
    def __init__(self, shape: Gpt2Shape, *, rngs: nnx.Rngs, dtype: Any):
        make = {"rngs": rngs, "dtype": dtype, "use_bias": True}
        hidden = 4 * shape.width
        self.c_fc = layers.linear(shape.width, hidden, **make)
        self.c_proj = layers.linear(hidden, shape.width, kernel_init=residual(shape), **make)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = nnx.gelu(self.c_fc(x), approximate=True)
        return self.c_proj(layers.constrain(hidden, "batch", None, "hidden"))


def residual(shape: Gpt2Shape) -> nnx.Initializer:
    return nnx.initializers.normal(0.02 / (2 * shape.layers) ** 0.5, jnp.float32)


class Block(nnx.Module):
    def __init__(self, shape: Gpt2Shape, *, rngs: nnx.Rngs, dtype: Any):
        make = {"rngs": rngs, "dtype": dtype}
        self.rate = shape.dropout
        self.ln_1 = layers.layer_norm(shape.width, rngs=rngs)
        self.attn = Attention(shape, **make)
        self.ln_2 = layers.layer_norm(shape.width, rngs=rngs)
        self.mlp = Mlp(shape, **make)

    def __call__(self, x: jax.Array, *, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        x = x + layers.dropout(self.attn(self.ln_1(x)), self.rate, key, 0)
        x = x + layers.dropout(self.mlp(self.ln_2(x)), self.rate, key, 1)
        return x, jnp.zeros([], jnp.float32)


class Gpt2(nnx.Module):
    """From tokens [batch, position] to float32 logits over the padded vocabulary.

    `dtype` is the computation's, parameters are float32. `key` draws the dropout; without it there
    is none. The auxiliary loss, which comes second, is 0.
    """

    def __init__(self, shape: Gpt2Shape, *, rngs: nnx.Rngs, dtype: Any = jnp.float32):
        layers.check_shape(shape)
        padded = layers.pad_vocab(shape.vocab)
        make = {"rngs": rngs, "dtype": dtype}
        self.shape, self.dtype = shape, dtype
        self.wte = layers.embedding(padded, shape.width, **make)
        self.wpe = layers.embedding(shape.context, shape.width, rngs=rngs, dtype=jnp.float32)
        self.layers = layers.make_layers(
            lambda rngs: Block(shape, rngs=rngs, dtype=dtype), shape, rngs
        )
        self.ln_f = layers.layer_norm(shape.width, rngs=rngs)

    def __call__(
        self, tokens: jax.Array, *, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        length = tokens.shape[1]
        if length > self.shape.context:
            raise UserError(
                f"{length} tokens are more than the model's positions: give --shape.context "
                f"{length} or a --sequence-length of at most {self.shape.context}"
            )
        # In float32, as the gradients of the positions add up over the batch.
        x = (self.wte(tokens) + self.wpe(jnp.arange(length)[None])).astype(self.dtype)
        # The layers' masks come from keys folded with 0, 1, ..., so this one takes the next number.
        x = layers.dropout(x, self.shape.dropout, key, self.shape.layers)
        x, auxiliary = layers.apply_layers(self.layers, x, key=key, remat=self.shape.remat)
        return layers.mask_padding(self.wte.attend(self.ln_f(x)), self.shape.vocab), auxiliary


# S3, Section VI. The shape that it prints for its "345M" has 64M parameters; GPT-2 medium, which is
# what 345M usually means, stands beside it. The 7B has 6.7B.
PRESETS: dict[str, Gpt2Shape] = {
    "gpt2-nano": Gpt2Shape(vocab=256, width=64, heads=2, layers=2, context=256, dropout=0.0),
    "gpt2-345m-as-printed": Gpt2Shape(vocab=50257, width=512, heads=8, layers=12, context=1024),
    "gpt2-345m": Gpt2Shape(vocab=50257, width=1024, heads=16, layers=24, context=1024),
    "gpt2-7b": Gpt2Shape(vocab=50257, width=4096, heads=32, layers=32, context=4096),
}
