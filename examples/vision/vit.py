"""The Vision Transformer (Dosovitskiy et al., 2021)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ..pretrain.errors import UserError
from ..pretrain.layers import INITIAL, check_sizes
from .shapes import ImageShape


@dataclasses.dataclass(frozen=True)
class VitShape(ImageShape):
    """The shape of a Vision Transformer."""

    patch: int
    """Pixels of a patch's side."""
    width: int
    """Features of a patch."""
    ff: int
    """Hidden features of the MLPs."""
    heads: int
    """Attention heads of a layer."""
    layers: int
    """Layers."""

    @property
    def model(self) -> "type[VisionTransformer]":
        return VisionTransformer


class Layer(nnx.Module):
    def __init__(self, shape: VitShape, dtype: Any, rngs: nnx.Rngs):
        self.norm_1 = nnx.LayerNorm(shape.width, epsilon=1e-6, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            shape.heads, shape.width, decode=False, dtype=dtype, rngs=rngs
        )
        self.norm_2 = nnx.LayerNorm(shape.width, epsilon=1e-6, rngs=rngs)
        self.up = nnx.Linear(shape.width, shape.ff, dtype=dtype, rngs=rngs)
        self.down = nnx.Linear(shape.ff, shape.width, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attention(self.norm_1(x))
        return x + self.down(nnx.gelu(self.up(self.norm_2(x)), approximate=False))


class VisionTransformer(nnx.Module):
    """From images [image, y, x, colour] to float32 logits [image, class], through a class token."""

    def __init__(self, shape: VitShape, *, rngs: nnx.Rngs, dtype: Any = jnp.float32):
        check_sizes(shape)
        if shape.size % shape.patch or shape.width % shape.heads:
            raise UserError(
                f"--shape.patch {shape.patch} must divide --shape.size {shape.size}, and "
                f"--shape.heads {shape.heads} --shape.width {shape.width}"
            )
        self.shape, self.dtype = shape, dtype
        patches = (shape.size // shape.patch) ** 2
        self.embed = nnx.Linear(shape.patch**2 * shape.channels, shape.width, rngs=rngs)
        self.class_token = nnx.Param(jnp.zeros((1, 1, shape.width), jnp.float32))
        places = INITIAL(rngs.params(), (1, patches + 1, shape.width))
        self.places = nnx.Param(places)
        self.layers = nnx.List([Layer(shape, dtype, rngs) for _ in range(shape.layers)])
        self.norm = nnx.LayerNorm(shape.width, epsilon=1e-6, rngs=rngs)
        self.head = nnx.Linear(shape.width, shape.classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        count, patch = len(images), self.shape.patch
        x = images.reshape(count, -1, patch, images.shape[2] // patch, patch, images.shape[3])
        x = self.embed(x.swapaxes(2, 3).reshape(count, self.places.shape[1] - 1, -1))
        token = jnp.broadcast_to(self.class_token[...], (count, 1, x.shape[-1]))
        x = (jnp.concatenate([token, x], axis=1) + self.places[...]).astype(self.dtype)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0].astype(jnp.float32))


PRESETS: dict[str, VitShape] = {
    "vit-digits": VitShape(8, 1, 10, patch=2, width=32, ff=64, heads=2, layers=2),
    "vit-b16": VitShape(224, 3, 1000, patch=16, width=768, ff=3072, heads=12, layers=12),
}
