"""What the models share: attention with rotary positions, SwiGLU, dropout, and the stack of layers.

Rotary positions are Su et al.'s (RoFormer) with Hugging Face's pairing, SwiGLU is Shazeer's (GLU
Variants Improve Transformer). A model of `STACKED_FROM` or more layers keeps one tensor for each
parameter of all its layers and scans over them: it compiles as fast as one layer.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from .errors import UserError
from .sharding import constrain

STACKED_FROM = 8
# GPT-2's, and the default of Hugging Face's models.
INITIAL = nnx.initializers.normal(0.02, jnp.float32)
# Tensors with an axis of padded vocabulary, and that axis.
VOCABULARY_AXIS = {"embed_tokens/embedding": 0, "wte/embedding": 0, "lm_head/kernel": 1}


class Shape:
    """What the models' shapes share."""

    layers: int

    @property
    def stacked(self) -> bool:
        return self.layers >= STACKED_FROM


def pad_vocab(vocab: int) -> int:
    """The next multiple of 128, which TPUs' tiles and most meshes divide."""
    return -(-vocab // 128) * 128


def mask_padding(logits: jax.Array, vocab: int) -> jax.Array:
    """In float32, with the padded tokens at probability 0."""
    logits = constrain(logits, "batch", None, "vocab")
    real = jnp.arange(logits.shape[-1]) < vocab
    return jnp.where(real, logits.astype(jnp.float32), -1e30)


def check_shape(shape: Any) -> None:
    """Raises `UserError` for sizes that make no language model."""
    check_sizes(shape)
    if shape.width % shape.heads:
        raise UserError(f"{_flag(shape, 'width')} must be a multiple of {_flag(shape, 'heads')}")
    if not 0 <= shape.dropout < 1:
        raise UserError(f"{_flag(shape, 'dropout')} must be at least 0 and below 1")


def check_sizes(shape: Any) -> None:
    """Raises `UserError` for whole numbers that are no sizes."""
    for field in dataclasses.fields(shape):
        if type(getattr(shape, field.name)) is int and getattr(shape, field.name) < 1:
            raise UserError(f"{_flag(shape, field.name)} must be at least 1")


def _flag(shape: Any, name: str) -> str:
    return f"--shape.{name.replace('_', '-')} {getattr(shape, name)}"


def project(equation: str, x: jax.Array, kernel: jax.Array, precision: Any = None) -> jax.Array:
    """`jnp.einsum` in the type of x, whose gradient for the kernel is in the kernel's own.

    Products of bfloat16 are summed in float32 anyway; rounding the sum would round what each device
    adds to the gradient before they are added up.
    """
    return _project(equation, precision, x, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _project(equation, precision, x, kernel):
    return jnp.einsum(equation, x, kernel.astype(x.dtype), precision=precision)


def _project_forward(equation, precision, x, kernel):
    return _project(equation, precision, x, kernel), (x, kernel)


def _project_backward(equation, precision, saved, g):
    x, kernel = saved
    inputs, out = equation.split("->")
    of_x, of_kernel = inputs.split(",")
    to_x, to_kernel = f"{out},{of_kernel}->{of_x}", f"{of_x},{out}->{of_kernel}"
    dx = jnp.einsum(to_x, g, kernel.astype(x.dtype), precision=precision)
    dk = jnp.einsum(to_kernel, x, g, precision=precision, preferred_element_type=kernel.dtype)
    return dx, dk


_project.defvjp(_project_forward, _project_backward)


class Linear(nnx.Linear):
    """On [batch, position, feature]; the gradients of its parameters are float32."""

    def __call__(self, inputs: jax.Array) -> jax.Array:
        x = inputs.astype(self.dtype)
        y = project("bti,io->bto", x, self.kernel[...], self.precision)
        return y if self.bias is None else (y + self.bias[...]).astype(self.dtype)


class Embed(nnx.Embed):
    """Looks up in float32, so that the gradients of a frequent token add up in float32."""

    def __call__(self, inputs: jax.Array) -> jax.Array:
        # Each device looks up its features for all sequences along `fsdp`, and then exchanges them
        # for all features of its sequences: less traffic than the table, or its gradient, whole.
        features = constrain(self.embedding[...][inputs], "data", None, "embed")
        return constrain(features.astype(self.dtype), "batch", None, None)

    def attend(self, query: jax.Array) -> jax.Array:
        """The logits of a head that is tied to the embedding."""
        return project("btw,vw->btv", query.astype(self.dtype), self.embedding[...])


def linear(inputs: int, outputs: int, *, rngs: nnx.Rngs, dtype: Any, **options: Any) -> Linear:
    options = {"use_bias": False, "kernel_init": INITIAL} | options
    return Linear(inputs, outputs, rngs=rngs, dtype=dtype, **options)


def rms_norm(width: int, *, rngs: nnx.Rngs) -> nnx.RMSNorm:
    """In float32, which costs nothing where it fuses, and keeps its gradient in float32."""
    return nnx.RMSNorm(width, rngs=rngs, dtype=jnp.float32)


def layer_norm(width: int, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """As `rms_norm`, with GPT-2's epsilon."""
    return nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs, dtype=jnp.float32)


def embedding(entries: int, width: int, *, rngs: nnx.Rngs, dtype: Any) -> Embed:
    return Embed(entries, width, embedding_init=INITIAL, rngs=rngs, dtype=dtype)


def dropout(x: jax.Array, rate: float, key: jax.Array | None, place: int) -> jax.Array:
    """None without a key; `place` tells the masks that are drawn from one key apart."""
    if key is None or rate == 0:
        return x
    keep = jax.random.bernoulli(jax.random.fold_in(key, place), jnp.float32(1 - rate), x.shape)
    return jnp.where(keep, x / (1 - rate), 0)


def rotate(x: jax.Array) -> jax.Array:
    """Rotary positions on [batch, position, head, feature].

    Feature i pairs with i + half, as in Hugging Face's models, not with i + 1, as in the paper.
    """
    half = x.shape[-1] // 2
    frequencies = 10000.0 ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = jnp.arange(x.shape[1])[:, None, None] * frequencies
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(x.dtype)


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Causal attention on [batch, position, head, feature]; joins the heads."""
    q, k, v = (constrain(x, "batch", None, "heads", None) for x in (q, k, v))
    return jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(*q.shape[:2], -1)


class RotaryAttention(nnx.Module):
    def __init__(self, width: int, heads: int, *, bias: bool, rngs: nnx.Rngs, dtype: Any):
        if width // heads % 2:
            raise UserError(
                f"--shape.width {width} over --shape.heads {heads} must be even: rotary positions "
                "pair the features of a head"
            )
        self.heads = heads
        self.q_proj = linear(width, width, use_bias=bias, rngs=rngs, dtype=dtype)
        self.k_proj = linear(width, width, use_bias=bias, rngs=rngs, dtype=dtype)
        self.v_proj = linear(width, width, use_bias=bias, rngs=rngs, dtype=dtype)
        self.o_proj = linear(width, width, rngs=rngs, dtype=dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        split = (*x.shape[:2], self.heads, -1)
        q, k, v = (f(x).reshape(split) for f in (self.q_proj, self.k_proj, self.v_proj))
        return self.o_proj(attend(rotate(q), rotate(k), v))


class SwiGLU(nnx.Module):
    def __init__(self, width: int, ff: int, *, rngs: nnx.Rngs, dtype: Any):
        self.gate_proj = linear(width, ff, rngs=rngs, dtype=dtype)
        self.up_proj = linear(width, ff, rngs=rngs, dtype=dtype)
        self.down_proj = linear(ff, width, rngs=rngs, dtype=dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = nnx.silu(self.gate_proj(x)) * self.up_proj(x)
        return self.down_proj(constrain(hidden, "batch", None, "hidden"))


def make_layers(
    block: Callable[[nnx.Rngs], nnx.Module], shape: Any, rngs: nnx.Rngs
) -> nnx.List | nnx.Module:
    """All blocks: one whose parameters have a first axis of layers if stacked, else a list."""
    if shape.stacked:
        make = nnx.vmap(lambda key: block(nnx.Rngs(key)))
        return make(jax.random.split(rngs.params(), shape.layers))
    return nnx.List([block(rngs) for _ in range(shape.layers)])


def apply_layers(
    layers: nnx.List | nnx.Module, x: jax.Array, *, key: jax.Array | None, remat: bool
) -> tuple[jax.Array, jax.Array]:
    """Runs x through the blocks; returns it and the mean of the blocks' auxiliary losses.

    With `remat`, the backward pass computes each block's activations again and keeps only what
    flows between blocks.
    """

    def apply(graphdef, params, x, index):
        x = constrain(x, "batch", None, None)
        layer_key = None if key is None else jax.random.fold_in(key, index)
        return nnx.merge(graphdef, params)(x, key=layer_key)

    unrolled = isinstance(layers, nnx.List)
    if remat:
        # Without a scan, common subexpressions would be merged, and the activations kept after all.
        apply = jax.checkpoint(apply, static_argnums=0, prevent_cse=unrolled)

    if unrolled:
        losses = []
        for index, layer in enumerate(layers):
            x, loss = apply(*nnx.split(layer), x, index)
            losses.append(loss)
        return x, jnp.mean(jnp.stack(losses))

    graphdef, stacked = nnx.split(layers)
    count = jax.tree.leaves(stacked)[0].shape[0]
    x, losses = jax.lax.scan(
        lambda x, layer: apply(graphdef, layer[0], x, layer[1]), x, (stacked, jnp.arange(count))
    )
    return x, jnp.mean(losses)
