"""Averages of the iterates: Polyak and Juditsky (1992)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gradpow.core import map_kept, require_like, require_params
from gradpow.transforms.average.running_mean import RunningMeanState, running_mean

__all__ = ["AverageIteratesState", "average_iterates"]


class AverageIteratesState(NamedTuple):
    """State of :func:`average_iterates`: mean, that of the parameters seen and their count."""

    mean: RunningMeanState

    def eval_params(self, params: optax.Params) -> optax.Params:
        """The mean; before the first step the parameters themselves."""
        return map_kept(
            lambda mean, theta: jnp.where(jnp.asarray(self.mean.count) > 0, mean, theta),
            self.mean.mean,
            params,
        )


def average_iterates(rate: optax.Schedule | None = None) -> optax.GradientTransformation:
    r"""Passes updates on, and keeps a mean of the parameters that they were made at.

    .. math::
      \bar\theta_t = (1 - r_t)\, \bar\theta_{t-1} + r_t\, \theta_{t-1}, \qquad
      r_t = 1/t \text{ by default}

    ``gradpow.eval_params(state, params)`` is the mean. The rate :math:`(1 - b) / (1 - b^t)` is an
    exponential average of the weights with its bias corrected, and ``lambda count: 1 /
    jnp.maximum(count + 1 - start, 1)`` the mean of those from ``start`` on.

    Args:
      rate: r, a schedule from the count, which is 0 at the first step, to a number in [0, 1]; or
        None for 1/t.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> from gradpow.transforms import average_iterates
      >>> tx, u = average_iterates(), jnp.zeros(1)
      >>> _, state = tx.update(u, tx.init(u), jnp.array([1.0]))
      >>> _, state = tx.update(u, state, jnp.array([2.0]))
      >>> gradpow.eval_params(state, jnp.array([5.0]))
      Array([1.5], dtype=float32)

    References:
      Polyak and Juditsky (1992).
    """
    average = running_mean(rate)

    def init(params):
        mean: Any = average.init(params)
        return AverageIteratesState(mean)

    def update(updates, state, params: Any = None):
        require_params("average_iterates", params)
        mean: Any = average.update(params, state.mean)[1]
        require_like(params, "the mean", mean.mean)
        return updates, AverageIteratesState(mean)

    return optax.GradientTransformation(init, update)
