"""Padam: Chen and Gu (2018), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate
from gradpow.transforms import decay_weights, moment_scale, running_max

__all__ = ["padam"]


def padam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    p: Scalar = 0.125,
    eps: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Padam: AMSGrad over a smaller power of its moment, between SGD with momentum and Adam.

    m and v are Adam's raw averages.

    .. math::
      \hat v_t = \max(\hat v_{t-1}, v_t), \qquad
      \theta_t = \theta_{t-1} - \eta_t \Bigl(\frac{m_t}{\hat v_t^p + \epsilon}
      + \lambda \theta_{t-1}\Bigr), \qquad 0/0 = 0

    With p = 1/2 it is AMSGrad. The authors' code multiplies by Adam's bias corrections, whose
    exponent is not p, and adds eps to the root before the power. The survey loses the exponent.
    The random iterate that the paper returns is for its proof.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay
        and eps = 0, as in the paper, which takes a rate of 0.1.
      p: the power, > 0; the paper's are at most 1/2, and 1/8 is advised.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.padam(0.1, b1=0.0, b2=0.0, p=0.25)
      >>> tx.update(jnp.array([16.0, -1.0, 0.0]), tx.init(jnp.zeros(3)))[0].round(3)
      Array([-0.4,  0.1, -0. ], dtype=float32)

    References:
      Chen and Gu (2018), Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and > 0", p=p)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    top = optax.chain(optax.ema(b2, debias=False), running_max())
    return chain(
        optax.ema(b1, debias=False),
        moment_scale(top, power=p, eps=eps),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
