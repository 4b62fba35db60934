"""Normalized SGD (NGD, SNGD): Hazan et al. (2015); Cutkosky and Mehta (2020), Algorithm 1."""

from typing import Literal

import optax

from gradpow.core import Scalar, chain, check, check_rate
from gradpow.transforms import norm_scale

__all__ = ["normalized_sgd"]


def normalized_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: Scalar | None = None,
    over: Literal["tree"] | None = "tree",
) -> optax.GradientTransformationExtraArgs:
    r"""Normalized SGD: steps of the same length, whatever the size of the gradient.

    .. math::
      m_t = \beta m_{t-1} + (1 - \beta) g_t, \qquad
      \theta_t = \theta_{t-1} - \eta_t\, m_t / \|m_t\|, \qquad 0/0 = 0

    Without momentum m is the gradient, and minibatches must be large: the mean of normalised noise
    is no descent direction. :func:`optax.normalize_by_update_norm` gives NaN at 0.

    Args:
      learning_rate: as in :func:`optax.sgd`; the length of a step.
      momentum: beta, the weight of the past, in [0, 1), or None for none.
      over: "tree" for the norm over all parameters, as in the papers, or None for one of each
        tensor.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.normalized_sgd(1.0)
      >>> tx.update(jnp.array([3.0, -4.0]), tx.init(jnp.zeros(2)))[0]
      Array([-0.6,  0.8], dtype=float32)

    References:
      Hazan et al. (2015), Algorithm 1; Cutkosky and Mehta (2020), Algorithm 1.
    """
    check("in [0, 1)", **({} if momentum is None else {"momentum": momentum}))
    check_rate(learning_rate=learning_rate)
    return chain(
        optax.identity() if momentum is None else optax.ema(momentum, debias=False),
        norm_scale(over=over),
        optax.scale_by_learning_rate(learning_rate),
    )
