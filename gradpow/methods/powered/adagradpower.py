"""AdagradPower: Wang et al. (2025), equation (4)."""

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import sign_power

__all__ = ["adagradpower"]


def adagradpower(
    learning_rate: optax.ScalarOrSchedule, p: Scalar = 1.2, eps: Scalar = 1e-8
) -> optax.GradientTransformationExtraArgs:
    r"""AdagradPower: Adagrad on powered gradients, its accumulator starting at 0.

    .. math::
      v_t = v_{t-1} + (g_t^p)^2, \qquad
      \theta_{t+1} = \theta_t - \eta_t\, g_t^p / \sqrt{v_t + \epsilon}

    Args:
      learning_rate: eta, a number or a schedule.
      p: the power, > 0. Theorem 4.8 favours p < 1 at low noise, Theorem 4.11 p > 1 at high noise.
      eps: inside the square root, >= 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adagradpower(0.5, p=2)
      >>> tx.update(jnp.array([2.0, -1.0, 0.0]), tx.init(jnp.zeros(3)))[0]
      Array([-0.5,  0.5, -0. ], dtype=float32)

    References:
      Wang et al. (2025), equation (4).
    """
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    return chain(
        sign_power(p), optax.adagrad(learning_rate, initial_accumulator_value=0.0, eps=eps)
    )
