"""LLaMA (Touvron et al., 2023): rotary positions, SwiGLU, RMSNorm, no biases, an untied head.

Parameters bear Hugging Face's names, and with the same weights the logits are those of its
LlamaForCausalLM.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from . import layers


@dataclasses.dataclass(frozen=True)
class LlamaShape(layers.Shape):
    """The shape of a LLaMA."""

    vocab: int
    """Tokens."""
    width: int
    """Features of a token."""
    ff: int
    """Hidden features of the MLPs."""
    heads: int
    """Attention heads of a layer."""
    layers: int
    """Layers; from 8 on they are stacked, one tensor for each parameter of all."""
    dropout: float = 0.0
    """Rate after attention and MLP; the papers use none."""
    remat: bool = False
    """Compute activations again in the backward pass, to save memory."""

    @property
    def model(self) -> "type[Llama]":
        return Llama


class Block(nnx.Module):
    def __init__(self, shape: LlamaShape, *, rngs: nnx.Rngs, dtype: Any):
        make = {"rngs": rngs, "dtype": dtype}
        self.rate = shape.dropout
        self.input_layernorm = layers.rms_norm(shape.width, rngs=rngs)
        self.self_attn = layers.RotaryAttention(shape.width, shape.heads, bias=False, **make)
        self.post_attention_layernorm = layers.rms_norm(shape.width, rngs=rngs)
        self.mlp = layers.SwiGLU(shape.width, shape.ff, **make)

    def __call__(self, x: jax.Array, *, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        attended = self.self_attn(self.input_layernorm(x))
        x = x + layers.dropout(attended, self.rate, key, 0)
        x = x + layers.dropout(self.mlp(self.post_attention_layernorm(x)), self.rate, key, 1)
        return x, jnp.zeros([], jnp.float32)


class Llama(nnx.Module):
    """From tokens [batch, position] to float32 logits over the padded vocabulary.

    `dtype` is the computation's, parameters are float32. `key` draws the dropout; without it there
    is none. The auxiliary loss, which comes second, is 0.
    """

    def __init__(self, shape: LlamaShape, *, rngs: nnx.Rngs, dtype: Any = jnp.float32):
        layers.check_shape(shape)
        padded = layers.pad_vocab(shape.vocab)
        make = {"rngs": rngs, "dtype": dtype}
        self.shape = shape
        self.embed_tokens = layers.embedding(padded, shape.width, **make)
        self.layers = layers.make_layers(
            lambda rngs: Block(shape, rngs=rngs, dtype=dtype), shape, rngs
        )
        self.norm = layers.rms_norm(shape.width, rngs=rngs)
        self.lm_head = layers.linear(shape.width, padded, **make)

    def __call__(
        self, tokens: jax.Array, *, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        x = self.embed_tokens(tokens)
        x, auxiliary = layers.apply_layers(self.layers, x, key=key, remat=self.shape.remat)
        return layers.mask_padding(self.lm_head(self.norm(x)), self.shape.vocab), auxiliary


# GradPower, Table 3; the vocabularies are its Appendix B's: T5's on C4, GPT-2's on OpenWebText.
# Grams (Appendix F.1) and STACEY (Section 5.3) print a size and no shape. The 60M is the usual one
# (GaLore, Table 5), 58.1M exactly; the 100M is chosen here, with heads of 64 features and ff about
# 8/3 of the width. Both have the 32,000 text tokens of T5's tokenizer and of LLaMA's.
PRESETS: dict[str, LlamaShape] = {
    "llama-nano": LlamaShape(vocab=256, width=64, ff=176, heads=2, layers=2),
    "llama-60m": LlamaShape(vocab=32000, width=512, ff=1376, heads=8, layers=8),
    "llama-66m": LlamaShape(vocab=32100, width=512, ff=2048, heads=8, layers=8),
    "llama-100m": LlamaShape(vocab=32000, width=640, ff=1712, heads=10, layers=12),
    "llama-0.2b": LlamaShape(vocab=32100, width=1024, ff=4096, heads=16, layers=8),
    "llama-0.25b": LlamaShape(vocab=50304, width=1024, ff=4096, heads=16, layers=8),
    "llama-0.4b": LlamaShape(vocab=32100, width=1280, ff=5120, heads=16, layers=12),
    "llama-1b": LlamaShape(vocab=32100, width=1600, ff=6400, heads=25, layers=22),
    "llama-2b": LlamaShape(vocab=32100, width=2048, ff=8096, heads=32, layers=28),
}
