"""Numbers that say something else than a number, and their stand-ins while faults are hunted.

``jax_debug_nans`` and ``jax_debug_infs`` take every NaN and infinity for a fault, wherever a jitted
function returns one.
"""

from typing import Any

import jax
import jax.numpy as jnp


def unknown(dtype: Any) -> jax.Array:
    """NaN, or -1 under ``jax_debug_nans``: no metric of this package is below 0."""
    refused = jax.config.jax_debug_nans  # pyright: ignore[reportAttributeAccessIssue]
    return jnp.asarray(-1 if refused else jnp.nan, dtype)


def unbounded(dtype: Any) -> jax.Array:
    """Infinity, or the largest finite number under ``jax_debug_infs``."""
    refused = jax.config.jax_debug_infs  # pyright: ignore[reportAttributeAccessIssue]
    return jnp.asarray(jnp.finfo(dtype).max if refused else jnp.inf, dtype)
