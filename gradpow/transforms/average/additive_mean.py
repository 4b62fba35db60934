"""Additive mean: Zaheer et al. (2018), Algorithm 2."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check

__all__ = ["AdditiveMeanState", "additive_mean"]


class AdditiveMeanState(NamedTuple):
    """State of :func:`additive_mean`: mean, y."""

    mean: optax.Updates


def additive_mean(b: Scalar, initial: Scalar = 0.0) -> optax.GradientTransformation:
    r"""Moves towards what comes in by a share of that, whatever the distance.

    .. math::
      y_t = y_{t-1} - (1 - b)\, \mathrm{sign}(y_{t-1} - x_t)\, x_t, \qquad y_0 = \mathrm{initial}

    Yogi's second moment, a filter for :func:`gradpow.transforms.moment_scale`. Of a small x after a
    large one it forgets slowly, where an average forgets at once in proportion.

    Args:
      b: the weight of the past, in [0, 1).
      initial: y_0, finite and >= 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import additive_mean
      >>> tx = additive_mean(0.5)
      >>> _, state = tx.update(jnp.array([8.0]), tx.init(jnp.zeros(1)))
      >>> tx.update(jnp.array([2.0]), state)[0]
      Array([3.], dtype=float32)

    References:
      Zaheer et al. (2018), Algorithm 2.
    """
    check("in [0, 1)", b=b)
    check("finite and >= 0", initial=initial)

    def init(params):
        return AdditiveMeanState(jax.tree.map(lambda x: jnp.full_like(x, initial), params))

    def update(updates, state, params=None):
        del params

        def moved(y, x):
            # Comparisons, since the sign of y - x is NaN where both have left float32.
            toward = jnp.where(y > x, -x, jnp.where(y < x, x, 0))
            return y + (1 - b) * toward

        mean = jax.tree.map(moved, state.mean, updates)
        return mean, AdditiveMeanState(mean)

    return optax.GradientTransformation(init, update)
