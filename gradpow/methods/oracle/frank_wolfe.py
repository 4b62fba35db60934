"""Frank-Wolfe (conditional gradient): Jaggi (2013), Algorithm 1; Frank and Wolfe (1956)."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from gradpow.core import (
    Ball,
    Matrices,
    Scalar,
    chain,
    check,
    check_rate,
    last_two_axes,
    step_number,
)
from gradpow.transforms import POLAR_EXPRESS, Polynomials, decay_weights, lmo

__all__ = ["frank_wolfe"]


def _falling(count: ArrayLike) -> jax.Array:
    return jnp.asarray(2 / (step_number(count) + 1))


def frank_wolfe(
    norm: str | Callable[[str, Any], Ball],
    radius: Scalar = 1.0,
    p: Scalar = 2.0,
    learning_rate: optax.ScalarOrSchedule = _falling,
    over: Literal["tree"] | None = None,
    iteration: Polynomials | Literal["svd"] = POLAR_EXPRESS,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformationExtraArgs:
    r"""Frank and Wolfe's method: steps towards the vertex of a ball, and never out of it.

    .. math::
      \theta_{t+1} = (1 - \eta_t)\, \theta_t + \eta_t\, \mathrm{lmo}_{\|\cdot\| \le \rho}(g_t),
      \qquad \eta_t = \tfrac{2}{t + 2}, \quad t = 0, 1, \dots

    The first step therefore goes to a vertex, wherever it starts. For convex functions and exact
    gradients, with the linear oracle that the ball has; with noise take :func:`gradpow.scg`. The
    survey leaves the rate open.

    Args:
      norm, p, over, iteration, matrices: as in :func:`gradpow.transforms.lmo`.
      radius: rho of the ball, finite and > 0.
      learning_rate: eta, a number in [0, 1] or a schedule.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, theta = gradpow.frank_wolfe("linf", radius=2.0), jnp.array([0.5, -1.0])
      >>> step, _ = tx.update(jnp.array([1.0, -3.0]), tx.init(theta), theta)
      >>> theta + step
      Array([-2.,  2.], dtype=float32)

    References:
      Jaggi (2013), Algorithm 1; Frank and Wolfe (1956).
    """
    check("finite and > 0", radius=radius)
    check_rate(learning_rate=learning_rate)
    return chain(
        lmo(norm, radius, p, over, iteration, matrices=matrices),
        decay_weights(1.0),
        optax.scale_by_learning_rate(learning_rate),
    )
