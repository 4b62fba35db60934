"""AdaDelta: Zeiler (2012), Algorithm 1."""

import optax

from gradpow.core import Scalar, chain, check, check_rate

__all__ = ["adadelta"]


def adadelta(
    learning_rate: optax.ScalarOrSchedule = 1.0, rho: Scalar = 0.95, eps: Scalar = 1e-6
) -> optax.GradientTransformationExtraArgs:
    r"""AdaDelta: steps in the units of the parameters; optax's link in a chain.

    .. math::
      v_t &= \rho v_{t-1} + (1 - \rho) g_t^2, \qquad
      d_t = \frac{\sqrt{u_{t-1} + \epsilon}}{\sqrt{v_t + \epsilon}} g_t \\
      u_t &= \rho u_{t-1} + (1 - \rho) d_t^2, \qquad \theta_t = \theta_{t-1} - \eta_t d_t

    The survey loses the upper eps, without which nothing ever moves, and averages the squares of
    :math:`\eta_t d_t`; with the paper's rate, 1, that is the same.
    On a TPU a step is two passes over memory and a copy, 1.71 of the least traffic.

    Args:
      learning_rate: eta, a number or a schedule; the paper has none.
      rho: the weight of the past, in [0, 1). The paper's best; optax's and PyTorch's is 0.9.
      eps: inside both roots, > 0; it sets the first steps. The paper's best.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adadelta(eps=1e-2)
      >>> tx.update(jnp.array([3.0, -3.0]), tx.init(jnp.zeros(2)))[0].round(2)
      Array([-0.44,  0.44], dtype=float32)

    References:
      Zeiler (2012), Algorithm 1.
    """
    check("in [0, 1)", rho=rho)
    check("finite and > 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    return chain(optax.scale_by_adadelta(rho, eps), optax.scale_by_learning_rate(learning_rate))
