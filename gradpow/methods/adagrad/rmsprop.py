"""RMSProp: Tieleman and Hinton (2012), Lecture 6.5."""

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import moment_scale

__all__ = ["rmsprop"]


def rmsprop(
    learning_rate: optax.ScalarOrSchedule, decay: Scalar = 0.9, eps: Scalar = 1e-8
) -> optax.GradientTransformationExtraArgs:
    r"""RMSProp: gradients over their recent root mean square; AdaGrad that forgets.

    .. math::
      v_t = \rho v_{t-1} + (1 - \rho) g_t^2, \qquad
      \theta_t = \theta_{t-1} - \eta_t\, g_t / (\sqrt{v_t} + \epsilon)

    As in the survey and PyTorch eps is added to the root; :func:`optax.rmsprop` has it inside by
    default, and where the first gradient is 0 NaN for its derivative.

    Args:
      learning_rate: eta, a number or a schedule.
      decay: rho, the weight of the past, in [0, 1). 0.9 in the lecture, 0.99 in PyTorch.
      eps: added to the root, >= 0; none in the lecture.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.rmsprop(0.1, decay=0.75)
      >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.2,  0.2], dtype=float32)

    References:
      Tieleman and Hinton (2012), Lecture 6.5.
    """
    check("in [0, 1)", decay=decay)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    return chain(
        moment_scale(optax.ema(decay, debias=False), eps=eps),
        optax.scale_by_learning_rate(learning_rate),
    )
