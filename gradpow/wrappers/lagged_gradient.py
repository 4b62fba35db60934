"""The last gradient in place of a second: Yuan et al. (2025), Section 3."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import require_transformation

__all__ = ["LaggedGradientState", "lagged_gradient"]


class LaggedGradientState(NamedTuple):
    """State of :func:`lagged_gradient`: gradient, the last one; count, the steps; inner."""

    gradient: optax.Updates
    count: jax.typing.ArrayLike
    inner: optax.OptState


def lagged_gradient(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    r"""Hands the links inside the last step's gradient as the one at a reference point.

    .. math::
      r_t = \nabla f(\theta_{t-1}, \xi_{t-1}), \qquad r_1 = g_1

    The cheap stand-in for :func:`gradpow.at_previous_point`, whose batch is this step's: MARS's
    approximate form. No second gradient. Inside :class:`optax.MultiSteps` it is right. The
    authors' code starts at r = 0; their algorithm has no correction at the first step.

    Args:
      inner: an optimizer, or links.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> from gradpow.transforms import gradient_correction
      >>> tx = gradpow.lagged_gradient(gradient_correction(1.0))
      >>> first, state = tx.update(jnp.array([1.0]), tx.init(jnp.zeros(1)))
      >>> first, tx.update(jnp.array([3.0]), state)[0]  # 3 + (3 - 1)
      (Array([1.], dtype=float32), Array([5.], dtype=float32))

    References:
      Yuan et al. (2025), Section 3.
    """
    inner = require_transformation("lagged_gradient's inner", inner)

    def init(params):
        zeros = optax.tree.zeros_like(params)
        return LaggedGradientState(zeros, jnp.zeros([], jnp.int32), inner.init(params))

    def update(updates, state, params=None, **extra_args):
        r = jax.tree.map(
            lambda g, last: jnp.where(state.count > 0, last.astype(g.dtype), g),
            updates,
            state.gradient,
        )
        new_updates, new_inner = inner.update(
            updates, state.inner, params, **(extra_args | {"reference_grad": r})
        )
        kept = jax.tree.map(lambda g, last: g.astype(last.dtype), updates, state.gradient)
        return new_updates, LaggedGradientState(kept, optax.safe_increment(state.count), new_inner)

    return optax.GradientTransformationExtraArgs(init, update)
