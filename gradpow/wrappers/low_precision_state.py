"""States in bfloat16, rounded stochastically: Gupta et al. (2015), Section 3."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradpow.core import (
    hash_words,
    refuse_foreign_states,
    require_transformation,
    round_stochastically,
)

__all__ = ["LowPrecisionState", "low_precision_state"]


class LowPrecisionState(NamedTuple):
    """State of :func:`low_precision_state`: inner, the wrapped state; seed, as given; count, the
    steps taken, like seed of type uint32.
    """

    inner: optax.OptState
    seed: jax.Array
    count: jax.Array


def low_precision_state(
    inner: optax.GradientTransformation, seed: int | jax.Array = 0
) -> optax.GradientTransformationExtraArgs:
    r"""Keeps a transformation's float32 moments in bfloat16 between steps, half the bytes.

    The inner update runs in float32. Afterwards each moment x is rounded to one of its two
    bfloat16 neighbours a <= x <= b, such that the rounding has mean x:

    .. math::
      x \leftarrow b \text{ with probability } \frac{x - a}{b - a}, \qquad a \text{ otherwise}

    To the nearest, an average with decay 0.999 would stall: a step of a thousandth is
    below half a spacing of bfloat16.

    Rounded are the float32 leaves that stand in a parameter's place
    (:func:`optax.tree.map_params`); counts, hyper-parameters and all other types are untouched. The
    randomness is a hash of seed, step, number of the leaf and index in it, not a ``jax.random``
    key: it costs one fused pass, and gives the same bits under any sharding.

    It cannot tell moments from iterates: the z of ``schedule_free`` and the y of
    :func:`gradpow.transforms.lp_mirror_step` would be rounded too, and training with them. Wrap the
    link that keeps moments, not the optimizer around it.

    Args:
      inner: the transformation whose moments to keep in bfloat16.
      seed: in [0, 2**32); the same seed gives the same bits.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.chain(
      ...   gradpow.low_precision_state(optax.scale_by_adam()), optax.scale(-1e-3)
      ... )
      >>> state = tx.init(jnp.ones(4))
      >>> state[0].inner.mu.dtype
      dtype(bfloat16)

    References:
      Gupta et al. (2015), Section 3, for stochastic rounding. That moments are kept so, and the
      hash, are ours.
    """
    is_number = isinstance(seed, int | np.integer)
    is_array = isinstance(seed, jax.Array) and jnp.issubdtype(seed.dtype, jnp.integer)
    if not (is_number or is_array) or jnp.ndim(seed):
        raise TypeError(f"seed must be an integer scalar, not {seed!r}: pass 0, 1, 2, ....")
    if is_number and not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in [0, 2**32), not {seed!r}: pass seed % 2**32.")
    inner = require_transformation("low_precision_state's inner", inner)

    def init(params):
        state = optax.tree.map_params(inner, _to_bfloat16, inner.init(params))
        return LowPrecisionState(state, jnp.asarray(seed, jnp.uint32), jnp.zeros([], jnp.uint32))

    def update(updates, state, params=None, **extra_args):
        wide = optax.tree.map_params(inner, _to_float32, state.inner)
        updates, wide = inner.update(updates, wide, params, **extra_args)
        leaf = itertools.count()

        def narrow(x):
            number = next(leaf)
            if x.dtype != jnp.float32:
                return x
            return round_stochastically(x, hash_words(state.seed, state.count, jnp.uint32(number)))

        narrowed = optax.tree.map_params(inner, narrow, wide)
        return updates, LowPrecisionState(narrowed, state.seed, state.count + 1)

    return optax.GradientTransformationExtraArgs(init, refuse_foreign_states(init, update))


def _to_bfloat16(x: Any) -> Any:
    return x.astype(jnp.bfloat16) if x.dtype == jnp.float32 else x


def _to_float32(x: Any) -> Any:
    return x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
