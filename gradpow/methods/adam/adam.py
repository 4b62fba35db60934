"""Adam: Kingma and Ba (2015), Algorithm 1."""

import optax

from gradpow.core import Scalar, chain, check, check_rate

__all__ = ["adam"]


def adam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Adam, the call of :func:`optax.adam` in a :func:`gradpow.chain`.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
      \theta_t &= \theta_{t-1} - \eta_t\, \frac{m_t / (1 - \beta_1^t)}
      {\sqrt{v_t / (1 - \beta_2^t) + \epsilon_{root}} + \epsilon}

    Args:
      learning_rate, b1, b2, eps, eps_root: as in :func:`optax.adam`, with the paper's defaults.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adam(0.1)
      >>> tx.update(jnp.array([3.0, -0.1]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.1,  0.1], dtype=float32)

    References:
      Kingma and Ba (2015), Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    return chain(optax.adam(learning_rate, b1, b2, eps, eps_root))
