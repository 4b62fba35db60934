"""A variational autoencoder (Kingma & Welling, 2013) with one hidden layer on either side."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ..pretrain.layers import check_sizes
from .shapes import ImageShape


@dataclasses.dataclass(frozen=True)
class VaeShape(ImageShape):
    """The shape of a variational autoencoder."""

    width: int
    """Hidden features."""
    latent: int
    """Features of the code."""

    random = True

    @property
    def model(self) -> "type[Vae]":
        return Vae


class Vae(nnx.Module):
    """From images to their reconstructions, and the code's mean and log variance.

    Without a key the code is its mean.
    """

    def __init__(self, shape: VaeShape, *, rngs: nnx.Rngs, dtype: Any = jnp.float32):
        check_sizes(shape)
        pixels = shape.size**2 * shape.channels
        self.shape, self.dtype = shape, dtype
        self.encode = nnx.Linear(pixels, shape.width, rngs=rngs)
        self.code = nnx.Linear(shape.width, 2 * shape.latent, rngs=rngs)
        self.decode = nnx.Linear(shape.latent, shape.width, rngs=rngs)
        self.pixels = nnx.Linear(shape.width, pixels, rngs=rngs)

    def __call__(
        self, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        x = images.reshape(len(images), -1).astype(self.dtype)
        mean, log_variance = jnp.split(self.code(nnx.relu(self.encode(x))), 2, axis=-1)
        code = mean
        if key is not None:
            code += jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape, mean.dtype)
        return self.pixels(nnx.relu(self.decode(code))).reshape(images.shape), mean, log_variance


PRESETS: dict[str, VaeShape] = {
    "vae-digits": VaeShape(8, 1, 10, width=64, latent=8),
    "vae": VaeShape(32, 3, 10, width=512, latent=64),
}
