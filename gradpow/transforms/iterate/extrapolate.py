"""Gradients ahead of the iterate: Sutskever et al. (2013), Section 2; Liu et al. (2020b)."""

from typing import NamedTuple

import jax
import optax

from gradpow.core import Scalar, check, map_kept

__all__ = ["ExtrapolateState", "extrapolate"]


class ExtrapolateState(NamedTuple):
    """State of :func:`extrapolate`: offset, how far the parameters stand ahead of the iterate."""

    offset: optax.Updates

    def eval_params(self, params: optax.Params) -> optax.Params:
        """The iterate."""
        return map_kept(lambda offset, y: y - offset, self.offset, params)


def extrapolate(ahead: Scalar) -> optax.GradientTransformation:
    r"""Lets the parameters be the points ahead of the iterate, where gradients are to be taken.

    .. math::
      x_t = x_{t-1} + u_t, \qquad y_t = x_t + a (x_t - x_{t-1}), \qquad
      u_t \leftarrow y_t - y_{t-1}

    u is a step, so this link comes last. The parameters are y, so that a gradient at y costs none
    beside it; ``gradpow.eval_params(state, params)`` is x, which to evaluate and keep. Nesterov's
    momentum is a = mu, Adam+ is a = 1/b - 1.

    Unlike :func:`optax.scale_by_optimistic_gradient` it takes the step before the first for 0, so
    that y_0 is x_0.

    Args:
      ahead: a, in steps, finite and >= 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> from gradpow.transforms import extrapolate
      >>> tx, params = extrapolate(0.5), jnp.zeros(1)
      >>> step, state = tx.update(jnp.array([-2.0]), tx.init(params))
      >>> step, gradpow.eval_params(state, params + step)
      (Array([-3.], dtype=float32), Array([-2.], dtype=float32))

    References:
      Sutskever et al. (2013), Section 2; Liu et al. (2020b), Algorithm 1.
    """
    check("finite and >= 0", ahead=ahead)

    def init(params):
        return ExtrapolateState(optax.tree.zeros_like(params))

    def update(updates, state, params=None):
        del params
        offset = jax.tree.map(lambda u: (ahead * u).astype(u.dtype), updates)
        walked = jax.tree.map(lambda u, new, old: u + new - old, updates, offset, state.offset)
        return walked, ExtrapolateState(offset)

    return optax.GradientTransformation(init, update)
