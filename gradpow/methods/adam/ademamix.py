"""AdEMAMix: Pagliardini et al. (2024), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights

__all__ = ["ademamix"]


def ademamix(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    b3: optax.ScalarOrSchedule = 0.9999,
    alpha: optax.ScalarOrSchedule = 5.0,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdEMAMix: Adam with a slow average of gradients beside the fast one.

    .. math::
      m_1 &\leftarrow \beta_1 m_1 + (1 - \beta_1) g_t, \quad
      m_2 \leftarrow \beta_{3,t} m_2 + (1 - \beta_{3,t}) g_t, \quad
      v \leftarrow \beta_2 v + (1 - \beta_2) g_t^2 \\
      \theta_t &= \theta_{t-1} - \eta_t \Bigl(\frac{\hat m_1 + \alpha_t m_2}
      {\sqrt{\hat v + \epsilon_{root}} + \epsilon} + \lambda \theta_{t-1}\Bigr)

    m_2 has no bias correction: the paper warms it up, with b3 by
    :func:`gradpow.schedules.ademamix_b3` and alpha by :func:`gradpow.schedules.ademamix_alpha`. The
    direction is :func:`optax.contrib.scale_by_ademamix`. The survey prints eps inside of the root
    and no warm-ups.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`.
      b3: the weight of the past in the slow average, in [0, 1), or a schedule.
      alpha: the weight of the slow average, >= 0, or a schedule.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.ademamix(0.1, b3=0.5, alpha=2.0)
      >>> tx.update(jnp.array([3.0, -0.1]), tx.init(jnp.zeros(2)))[0].round(3)  # 1 + 2 0.5
      Array([-0.2,  0.2], dtype=float32)

    References:
      Pagliardini et al. (2024), Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2, **({} if callable(b3) else {"b3": b3}))
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate, alpha=alpha)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.contrib.scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
