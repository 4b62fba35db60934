"""Running mean: Robbins and Monro (1951), Section 1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import step_number

__all__ = ["RunningMeanState", "running_mean"]


class RunningMeanState(NamedTuple):
    """State of :func:`running_mean`: mean, y; count, the steps taken."""

    mean: optax.Updates
    count: jax.typing.ArrayLike


def running_mean(rate: optax.Schedule | None = None) -> optax.GradientTransformation:
    r"""Replaces what comes in by its mean so far, or by another average whose rate varies.

    .. math::
      y_t = (1 - r_t)\, y_{t-1} + r_t\, x_t, \qquad r_t = 1/t \text{ by default}

    Every average whose first rate is 1 needs no bias correction, and :func:`optax.ema` with one is
    the rate :math:`(1 - b) / (1 - b^t)`. AdaFom's second moment is the default, AdaX's the rate
    :math:`b / ((1 + b)^t - 1)`, Adafactor's :math:`t^{-\tau}`.

    A filter: feed it the powers of the gradient with :func:`gradpow.transforms.moment_scale`.

    Args:
      rate: r, a schedule from the count, which is 0 at the first step, to a number in [0, 1]; or
        None for 1/t.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import running_mean
      >>> tx = running_mean()
      >>> _, state = tx.update(jnp.array([1.0]), tx.init(jnp.zeros(1)))
      >>> tx.update(jnp.array([3.0]), state)[0]
      Array([2.], dtype=float32)

    References:
      Robbins and Monro (1951), Section 1, of whose averages it is the simplest.
    """

    def init(params):
        return RunningMeanState(optax.tree.zeros_like(params), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None):
        del params
        r = rate(state.count) if rate is not None else 1 / step_number(state.count)

        def moved(y, x):
            # As a convex combination: y + r (x - y) is NaN where both have left float32.
            weight = jnp.asarray(r, y.dtype)
            return (1 - weight) * y + weight * x

        mean = jax.tree.map(moved, state.mean, updates)
        return mean, RunningMeanState(mean, optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)
