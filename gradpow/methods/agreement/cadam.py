"""CAdam: Wang et al. (2024), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, momentum_scaling

__all__ = ["cadam"]


def cadam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""CAdam: Adam that waits where its momentum and the gradient disagree.

    .. math::
      \theta_t = \theta_{t-1} - \eta_t\, 1[m_t g_t > 0]\,
      \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon)

    It is :func:`gradpow.cautious_adam` without the factor by which that one makes up for what is
    masked, so it needs no sums. Signs are compared, since the product may underflow. The survey
    prints eps inside of the root. The box's option of AMSGrad's maximum is left out.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`, but for
        no decay, which the paper has not.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.cadam(0.1)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(jnp.zeros(2)))
      >>> tx.update(jnp.array([1.0, -0.5]), state)[0].round(3)
      Array([-0.1, -0. ], dtype=float32)

    References:
      Wang et al. (2024), Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        momentum_scaling(negative_scale=0.0, zero_scale=0.0, normalize=False),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
