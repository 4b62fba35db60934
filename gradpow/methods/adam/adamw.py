"""AdamW: Loshchilov and Hutter (2019), Algorithm 2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_rate, require_mask

__all__ = ["adamw"]


def adamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule = 1e-4,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamW, the call of :func:`optax.adamw` in a :func:`gradpow.chain`.

    .. math::
      m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
      v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{m_t / (1 - \beta_1^t)}
      {\sqrt{v_t / (1 - \beta_2^t) + \epsilon_{root}} + \epsilon} + \lambda \theta_{t-1}\Bigr)

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`, with its
        defaults. The paper's decay is not multiplied by the base rate, only by the schedule.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.adamw(0.1, weight_decay=0.5), jnp.ones(2)
      >>> tx.update(jnp.array([3.0, -0.1]), tx.init(params), params)[0].round(3)
      Array([-0.15,  0.05], dtype=float32)

    References:
      Loshchilov and Hutter (2019), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    return chain(
        optax.adamw(learning_rate, b1, b2, eps, eps_root, weight_decay=weight_decay, mask=mask)
    )
