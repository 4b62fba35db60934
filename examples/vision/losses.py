"""What image models minimise, and what is measured of them; of each example by itself."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from .vae import Vae

Batch = dict[str, jax.Array]  # image [example, y, x, colour] in [0, 1] and label [example]


def losses(
    graphdef: nnx.GraphDef, params: Any, batch: Batch, key: Any
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy, or an autoencoder's bound; and no auxiliary loss."""
    nothing = jnp.zeros([], jnp.float32)
    model: Any = nnx.merge(graphdef, params)
    if isinstance(model, Vae):
        return _bound(model, batch, key), nothing
    logits = model(batch["image"])
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]), nothing


def measure(graphdef: nnx.GraphDef, params: Any, batch: Batch) -> dict[str, jax.Array]:
    """The loss and, of a classifier, whether the largest logit is the label's; of an autoencoder,
    the mean squared error of a pixel."""
    model: Any = nnx.merge(graphdef, params)
    if isinstance(model, Vae):
        pixels, _, _ = model(batch["image"])
        error = jnp.mean((pixels - batch["image"]) ** 2, axis=(1, 2, 3))
        return {"loss": _bound(model, batch, None), "mse": error}
    logits = model(batch["image"])
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
    return {
        "loss": loss,
        "accuracy": (logits.argmax(axis=-1) == batch["label"]).astype(jnp.float32),
    }


def _bound(model: Vae, batch: Batch, key: Any) -> jax.Array:
    """The negative evidence bound, for pixels of variance 1/2: squared error and divergence."""
    pixels, mean, log_variance = model(batch["image"], key)
    error = jnp.sum((pixels - batch["image"]) ** 2, axis=(1, 2, 3))
    return error + 0.5 * jnp.sum(mean**2 + jnp.exp(log_variance) - log_variance - 1, axis=-1)
