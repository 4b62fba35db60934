"""Lion: Chen et al. (2023), Algorithm 2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_rate, require_mask

__all__ = ["lion"]


def lion(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.99,
    weight_decay: optax.ScalarOrSchedule = 1e-3,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Lion, the call of :func:`optax.lion` in a :func:`gradpow.chain`.

    .. math::
      \theta_t &= \theta_{t-1} - \eta_t \bigl(\mathrm{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t)
      + \lambda \theta_{t-1}\bigr), \qquad m_t = \beta_2 m_{t-1} + (1 - \beta_2) g_t

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.lion`, whose default decay is kept.
      b1: the weight of the past in the step, in [0, 1).
      b2: the weight of the past in the momentum, in [0, 1).

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.lion(0.1, weight_decay=0.0)
      >>> tx.update(jnp.array([3.0, -0.1]), tx.init(jnp.zeros(2)), jnp.zeros(2))[0]
      Array([-0.1,  0.1], dtype=float32)

    References:
      Chen et al. (2023), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    return chain(optax.lion(learning_rate, b1, b2, None, weight_decay, mask))
