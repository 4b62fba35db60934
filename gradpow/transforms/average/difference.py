"""Difference of successive updates: Xie et al. (2024), Algorithm 1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

__all__ = ["DifferenceState", "difference"]


class DifferenceState(NamedTuple):
    """State of :func:`difference`: negative, minus the last update; count, the steps taken."""

    negative: optax.Updates
    count: jax.typing.ArrayLike


def difference() -> optax.GradientTransformation:
    r"""Replaces what comes in by how it has changed since the last step.

    .. math::
      u_t \leftarrow u_t - u_{t-1}, \qquad u_1 \leftarrow 0

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import difference
      >>> tx = difference()
      >>> first, state = tx.update(jnp.array([1.0]), tx.init(jnp.zeros(1)))
      >>> first, tx.update(jnp.array([3.0]), state)[0]
      (Array([0.], dtype=float32), Array([2.], dtype=float32))

    References:
      Xie et al. (2024), Algorithm 1, lines 5 and 6.
    """

    def init(params):
        return DifferenceState(optax.tree.zeros_like(params), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        del params
        changes = jax.tree.map(
            lambda u, negative: jnp.where(state.count > 0, u + negative, 0),
            updates,
            state.negative,
        )
        # Negated, since a plain copy of the gradient is a pass over memory of its own.
        negative = jax.tree.map(jnp.negative, updates)
        return changes, DifferenceState(negative, optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)
