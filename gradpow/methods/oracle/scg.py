"""SCG (uSCG): Pethick et al. (2025), Algorithms 1 and 2."""

from collections.abc import Callable
from typing import Any, Literal

import optax

from gradpow.core import Ball, Matrices, Scalar, chain, check, check_rate, last_two_axes
from gradpow.transforms import NS5, Polynomials, decay_weights, lmo

__all__ = ["scg"]


def scg(
    learning_rate: optax.ScalarOrSchedule,
    norm: str | Callable[[str, Any], Ball],
    radius: Scalar = 1.0,
    b: Scalar = 0.9,
    p: Scalar = 2.0,
    constrained: bool = True,
    over: Literal["tree"] | None = None,
    iteration: Polynomials | Literal["svd"] = NS5,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformationExtraArgs:
    r"""Stochastic conditional gradient: steps to the point of a ball that a momentum points to.

    .. math::
      m_t &= \beta m_{t-1} + (1 - \beta) g_t, \qquad m_0 = 0 \\
      \theta_{t+1} &= (1 - \eta_t)\, \theta_t + \eta_t\, \mathrm{lmo}_{\|\cdot\| \le \rho}(m_t)
      && \text{constrained} \\
      \theta_{t+1} &= \theta_t + \eta_t\, \mathrm{lmo}_{\|\cdot\| \le \rho}(m_t)
      && \text{unconstrained}

    Constrained, the parameters end in the ball of radius rho, and stay in it: it is decoupled decay
    of strength 1. (In spectral balls up to the iteration's error, 0.2 for the default.)
    Unconstrained, with norms of :func:`gradpow.transforms.lmo`:

    ==========================  =====================  ==========================
    norm                        b = 0                  b > 0
    ==========================  =====================  ==========================
    ``"linf"``                  SignSGD                Signum
    ``"l2"``                    normalized SGD         with momentum
    ``"spectral"``              spectral descent       Muon without Nesterov
    ==========================  =====================  ==========================

    Args:
      learning_rate: eta, a number in [0, 1] or a schedule.
      norm, p, over, iteration, matrices: as in :func:`gradpow.transforms.lmo`.
      radius: rho, finite and > 0.
      b: beta, the weight of the past, in [0, 1); 1 less the paper's alpha.
      constrained: whether the parameters stay in the ball.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.scg(0.5, "linf", constrained=False)
      >>> tx.update(jnp.array([3.0, -4.0]), tx.init(jnp.zeros(2)))[0]
      Array([-0.5,  0.5], dtype=float32)

    References:
      Pethick et al. (2025), Algorithms 1 and 2.
    """
    check("in [0, 1)", b=b)
    check("finite and > 0", radius=radius)
    check_rate(learning_rate=learning_rate)
    return chain(
        optax.ema(b, debias=False),
        lmo(norm, radius, p, over, iteration, matrices=matrices),
        decay_weights(1.0 if constrained else None),
        optax.scale_by_learning_rate(learning_rate),
    )
