"""Qwen2MoE (Yang et al., 2024): a LLaMA with biases on q, k, v and a mixture of experts as its MLP.

Every token goes through a shared expert, scaled by a sigmoid gate, and through its likeliest
experts, weighted by the router's softmax over all experts as it is, not renormalised. Parameters
bear Hugging Face's names, and with the same weights the logits are those of its
Qwen2MoeForCausalLM without a sliding window, as long as no expert runs over its capacity.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from . import layers
from .errors import UserError

BALANCE = 0.001  # weight of the load-balancing loss; Qwen2MoE's


@dataclasses.dataclass(frozen=True)
class Qwen2MoeShape(layers.Shape):
    """The shape of a Qwen2MoE."""

    vocab: int
    """Tokens."""
    width: int
    """Features of a token."""
    ff: int
    """Hidden features of the shared expert; each other expert has a quarter."""
    heads: int
    """Attention heads of a layer."""
    layers: int
    """Layers; from 8 on they are stacked, one tensor for each parameter of all."""
    experts: int
    """Experts of a layer, without the shared one."""
    active_experts: int = 4
    """Experts a token goes through, without the shared one."""
    capacity_factor: float = 2.0
    """Tokens an expert takes of a sequence, over its even share; 0: all, each computing all."""
    dropout: float = 0.0
    """Rate after attention and MLP; the paper uses none."""
    remat: bool = False
    """Compute activations again in the backward pass, to save memory."""

    @property
    def model(self) -> "type[Qwen2Moe]":
        return Qwen2Moe


class Experts(nnx.Module):
    """SwiGLU by each expert: [expert, batch, place, width] to the same."""

    def __init__(self, shape: Qwen2MoeShape, *, rngs: nnx.Rngs, dtype: Any):
        inward = (shape.experts, shape.width, shape.ff // 4)
        outward = (shape.experts, shape.ff // 4, shape.width)
        self.gate_proj = nnx.Param(layers.INITIAL(rngs.params(), inward))
        self.up_proj = nnx.Param(layers.INITIAL(rngs.params(), inward))
        self.down_proj = nnx.Param(layers.INITIAL(rngs.params(), outward))
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        def project(x, kernel):
            return layers.project("ebci,eio->ebco", x.astype(self.dtype), kernel[...])

        x = layers.constrain(x, "experts", "batch", None, None)
        hidden = nnx.silu(project(x, self.gate_proj)) * project(x, self.up_proj)
        hidden = layers.constrain(hidden, "experts", "batch", None, "hidden")
        return layers.constrain(project(hidden, self.down_proj), "experts", "batch", None, None)


class MixtureOfExperts(nnx.Module):
    """The output [batch, position, width] and the load-balancing loss.

    The loss is Hugging Face's, experts * sum_e (share of tokens at e) * (mean probability of e),
    for each layer: one for all layers at once, as there, lets two layers' imbalances cancel.
    """

    def __init__(self, shape: Qwen2MoeShape, *, rngs: nnx.Rngs, dtype: Any):
        self.shape, self.dtype = shape, dtype
        # In float32: rounded logits would change which experts are chosen.
        self.gate = layers.linear(
            shape.width, shape.experts, rngs=rngs, dtype=jnp.float32, precision="highest"
        )
        self.experts = Experts(shape, rngs=rngs, dtype=dtype)
        self.shared_expert = layers.SwiGLU(shape.width, shape.ff, rngs=rngs, dtype=dtype)
        self.shared_expert_gate = layers.linear(shape.width, 1, rngs=rngs, dtype=dtype)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        probabilities = nnx.softmax(self.gate(x))
        _, choices = jax.lax.top_k(probabilities, self.shape.active_experts)
        chosen = jax.nn.one_hot(choices, self.shape.experts, dtype=jnp.float32)
        chosen = chosen.sum(axis=-2)  # [B, T, E], 0 or 1
        share, mean = chosen.mean(axis=(0, 1)), probabilities.mean(axis=(0, 1))
        balance = self.shape.experts * jnp.sum(share * mean)

        x = x.astype(self.dtype)
        mix = self.all_tokens if self.shape.capacity_factor == 0 else self.up_to_capacity
        y = mix(x, chosen, (chosen * probabilities).astype(x.dtype))
        shared = nnx.sigmoid(self.shared_expert_gate(x)) * self.shared_expert(x)
        return y + shared, balance

    def all_tokens(self, x: jax.Array, chosen: jax.Array, weights: jax.Array) -> jax.Array:
        """Every expert computes every token: cheapest for small models, in few operations."""
        del chosen  # its zeros are zeros in the weights
        y = self.experts(jnp.broadcast_to(x, (self.shape.experts, *x.shape)))
        return jnp.einsum("bte,ebtw->btw", weights, y)

    def up_to_capacity(self, x: jax.Array, chosen: jax.Array, weights: jax.Array) -> jax.Array:
        """GShard's dispatch (Lepikhin et al., 2021, Algorithm 1), each sequence a group.

        An expert's places are filled in the order of tokens, not of choices as in GShard, so that
        no token depends on later ones. A token that finds no place keeps its shared expert only.
        """
        length = x.shape[1]
        even = length * self.shape.active_experts / self.shape.experts
        capacity = min(length, math.ceil(self.shape.capacity_factor * even))
        place = (jnp.cumsum(chosen, axis=1) - 1).astype(jnp.int32)  # exact: counts up to length
        # What has no place is 0, since one_hot is for numbers from capacity on.
        dispatch = jax.nn.one_hot(place, capacity, dtype=x.dtype)
        dispatch = dispatch * chosen[..., None].astype(x.dtype)  # [B, T, E, C]
        # Shared out by sequences before and after the experts, so that devices exchange places and
        # not whole sequences.
        places = jnp.einsum("btec,btw->ebcw", dispatch, x)
        y = self.experts(layers.constrain(places, None, "batch", None, None))
        y = layers.constrain(y, None, "batch", None, None)
        return jnp.einsum("btec,ebcw->btw", dispatch * weights[..., None], y)


class Block(nnx.Module):
    def __init__(self, shape: Qwen2MoeShape, *, rngs: nnx.Rngs, dtype: Any):
        make = {"rngs": rngs, "dtype": dtype}
        self.rate = shape.dropout
        self.input_layernorm = layers.rms_norm(shape.width, rngs=rngs)
        self.self_attn = layers.RotaryAttention(shape.width, shape.heads, bias=True, **make)
        self.post_attention_layernorm = layers.rms_norm(shape.width, rngs=rngs)
        self.mlp = MixtureOfExperts(shape, **make)

    def __call__(self, x: jax.Array, *, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        attended = self.self_attn(self.input_layernorm(x))
        x = x + layers.dropout(attended, self.rate, key, 0)
        mixed, balance = self.mlp(self.post_attention_layernorm(x))
        return x + layers.dropout(mixed, self.rate, key, 1), balance


class Qwen2Moe(nnx.Module):
    """From tokens [batch, position] to float32 logits over the padded vocabulary.

    `dtype` is the computation's, parameters are float32. `key` draws the dropout; without it there
    is none. The auxiliary loss, which comes second, balances the load of the experts: it is the
    mean over the layers, times 0.001.
    """

    def __init__(self, shape: Qwen2MoeShape, *, rngs: nnx.Rngs, dtype: Any = jnp.float32):
        check_shape(shape)
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
        x, balance = layers.apply_layers(self.layers, x, key=key, remat=self.shape.remat)
        logits = layers.mask_padding(self.lm_head(self.norm(x)), self.shape.vocab)
        return logits, BALANCE * balance


def check_shape(shape: Qwen2MoeShape) -> None:
    layers.check_shape(shape)
    if shape.active_experts > shape.experts:
        raise UserError(
            f"--shape.active-experts {shape.active_experts} must be at most --shape.experts "
            f"{shape.experts}"
        )
    if shape.ff % 4:
        raise UserError(f"--shape.ff {shape.ff} must be a multiple of 4: experts have a quarter")
    if not 0 <= shape.capacity_factor < math.inf:
        raise UserError(
            f"--shape.capacity-factor {shape.capacity_factor} must be at least 0 and finite"
        )


# GradPower, Table 4. It does not print the experts' widths: a quarter of d_FF for each expert and
# d_FF for the shared one give its total and activated sizes. The capacity factor is chosen here.
PRESETS: dict[str, Qwen2MoeShape] = {
    "qwen2moe-nano": Qwen2MoeShape(
        vocab=256, width=64, ff=64, heads=2, layers=2, experts=8, capacity_factor=0.0
    ),
    "qwen2moe-0.5b": Qwen2MoeShape(
        vocab=32100, width=768, ff=3072, heads=12, layers=12, experts=16
    ),
    "qwen2moe-1b": Qwen2MoeShape(vocab=32100, width=768, ff=3072, heads=12, layers=15, experts=32),
    "qwen2moe-2b": Qwen2MoeShape(vocab=32100, width=1024, ff=4096, heads=16, layers=16, experts=32),
}
