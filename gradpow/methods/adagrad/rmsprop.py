"""RMSProp: Tieleman and Hinton (2012), Lecture 6.5."""

import optax

from gradpow.core import Scalar, chain, check, check_rate

__all__ = ["rmsprop"]


def rmsprop(
    learning_rate: optax.ScalarOrSchedule, decay: Scalar = 0.9, eps: Scalar = 1e-8
) -> optax.GradientTransformationExtraArgs:
    r"""RMSProp: gradients over their recent root mean square; a call of :func:`optax.rmsprop`.

    .. math::
      v_t = \rho v_{t-1} + (1 - \rho) g_t^2, \qquad
      \theta_t = \theta_{t-1} - \eta_t\, g_t / (\sqrt{v_t} + \epsilon)

    optax has eps inside of the root by default, PyTorch outside of it, as here and in the survey.

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
    return chain(optax.rmsprop(learning_rate, decay, eps, eps_in_sqrt=False))
