"""Online Newton step (ONS): Hazan et al. (2007), Online Newton Step."""

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import moment_scale

__all__ = ["online_newton_step"]


def online_newton_step(
    learning_rate: optax.ScalarOrSchedule, eps: Scalar = 1.0
) -> optax.GradientTransformationExtraArgs:
    r"""The online Newton step, of the diagonal: gradients over the sum of their squares.

    .. math::
      v_t = v_{t-1} + g_t^2, \qquad \theta_t = \theta_{t-1} - \eta_t\, g_t / (v_t + \epsilon)

    The paper has the matrix of all products :math:`g_t g_t^\top` in the place of v, and projects
    onto the set of allowed parameters; the survey prints the diagonal form without saying so.

    Args:
      learning_rate: eta, 1/beta in the paper, a number or a schedule.
      eps: v_0, >= 0. In the paper the square of the rate over the diameter of the allowed set; the
        default is ours, with which the first steps are those of gradient descent.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.online_newton_step(1.0)
      >>> _, state = tx.update(jnp.array([1.0, 0.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([1.0, 0.0]), state)[0].round(3)
      Array([-0.333, -0.   ], dtype=float32)

    References:
      Hazan et al. (2007), Online Newton Step.
    """
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    return chain(
        moment_scale(optax.trace(1.0), power=1.0, eps=eps),
        optax.scale_by_learning_rate(learning_rate),
    )
