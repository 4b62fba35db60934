"""Numbers that say something else than a number, and their stand-ins while faults are hunted.

``jax_debug_nans`` and ``jax_debug_infs`` take every NaN and infinity for a fault, wherever a jitted
function returns one.
"""

from typing import Any

import jax
import jax.numpy as jnp


def unknown(dtype: Any) -> jax.Array:
    """NaN, or -1 under ``jax_debug_nans``: no metric of this package is below 0."""
    return jnp.asarray(-1 if jax.config.jax_debug_nans else jnp.nan, dtype)


def unbounded(dtype: Any) -> jax.Array:
    """Infinity, or the largest finite number under ``jax_debug_infs``."""
    return jnp.asarray(jnp.finfo(dtype).max if jax.config.jax_debug_infs else jnp.inf, dtype)
