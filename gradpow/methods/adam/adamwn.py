"""AdamWN: Loshchilov (2023), Section 2."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import norm_control

__all__ = ["adamwn"]


def adamwn(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    strength: optax.ScalarOrSchedule = 1e-4,
    ratio: optax.ScalarOrSchedule = 1.0,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamWN: Adam whose weights are pulled to a norm, where AdamW pulls them to 0.

    .. math::
      \hat\theta_t &= \theta_{t-1}
      - \eta_t\, \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon) \\
      \theta_t &= \hat\theta_t
      - k_t \Bigl(1 - \frac{r_t \|\theta_0\|}{\|\hat\theta_t\|}\Bigr)\, \hat\theta_t

    r = 0, k = eta lambda is AdamW whose decay comes after the step. That norms are of each tensor,
    and both defaults, are ours. What starts at 0 is pulled to 0: mask biases.

    Args:
      learning_rate, b1, b2, eps, eps_root, mask: as in :func:`optax.adamw`, the mask for norms.
      strength: k, in [0, 1], or a schedule; not multiplied by the rate.
      ratio: r, the target over the norm at first, a number >= 0 or a schedule.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, params = gradpow.adamwn(4.0, strength=1.0), jnp.array([3.0, 4.0])
      >>> (params + tx.update(jnp.array([0.0, 1.0]), tx.init(params), params)[0]).round(3)
      Array([5., 0.], dtype=float32)

    References:
      Loshchilov (2023), Section 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        optax.scale_by_learning_rate(learning_rate),
        norm_control(strength, ratio, mask),
    )
