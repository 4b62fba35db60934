"""AMSBound: Luo et al. (2019)."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product
from gradpow.transforms import decay_weights, moment_bounded_scale, running_max

from .adabound import bias_corrections, closing_bounds

__all__ = ["amsbound"]


def amsbound(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    final_rate: optax.ScalarOrSchedule = 0.1,
    gamma: Scalar = 1e-3,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AMSBound: AMSGrad whose rates are bounded, ever closer to the one rate of SGD.

    It is :func:`gradpow.adabound` over the largest second moment so far:

    .. math::
      v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \qquad
      \tilde v_t = \max(\tilde v_{t-1}, v_t) \text{ in the place of } v_t

    As there, it is the authors' code, which departs from the paper.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay.
      final_rate: a number >= 0 or a schedule, as in :func:`gradpow.adabound`.
      gamma: how fast the bounds close, > 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.amsbound(1e-3, b1=0.0, gamma=1e9)  # closed from the first step: SGD
      >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.3 ,  0.05], dtype=float32)

    References:
      Luo et al. (2019), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and > 0", gamma=gamma)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate, final_rate=final_rate)
    check_optional_rate(weight_decay=weight_decay)
    top = optax.chain(optax.ema(b2, debias=False), running_max())
    corrected = product(learning_rate, bias_corrections(b1, b2))
    lower, upper = closing_bounds(final_rate, gamma)
    return chain(
        optax.ema(b1, debias=False),
        moment_bounded_scale(top, corrected, lower, upper, eps),
        decay_weights(product(learning_rate, weight_decay), mask),
        optax.scale(-1.0),
    )
