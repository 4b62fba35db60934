"""ASGO: An et al. (2025), asgo.py."""

from typing import Any

import optax

from gradpow.core import (
    Matrices,
    Scalar,
    chain,
    check,
    check_optional_rate,
    check_rate,
    hidden_matrices,
)
from gradpow.transforms import decay_weights, kronecker_precondition, set_rms
from gradpow.wrappers import on_matrices

__all__ = ["asgo"]


def asgo(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar | None = 0.8,
    eps: Scalar = 1e-10,
    rms: Scalar | None = None,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    every: int = 1,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""ASGO: the shorter axis of a matrix preconditioned by the root of what it has seen.

    .. math::
      M_t &= \beta_1 M_{t-1} + (1 - \beta_1) G_t, \qquad
      V_t = \beta_2 V_{t-1} + (1 - \beta_2) G_t G_t^\top \\
      \Theta_t &= \Theta_{t-1} - \eta_t\, (V_t + \epsilon I)^{-1/2} M_t

    for a matrix of no more rows than columns, else with :math:`G_t^\top G_t` on the other side. It
    is Shampoo of one side. No bias is corrected. With ``rms=0.2, weight_decay=0.1`` it is what the
    authors train with: each matrix's step is brought to the root mean square 0.2. Their theory has
    b1 = 0 and sums, ``b2=None``. Their code takes the root by Polar Express, which is within 6e-5
    of the exact one.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, by default without decay.
      b1: the weight of the past in M, in [0, 1), with the authors' default.
      b2: the same of V, in [0, 1), or None for sums.
      eps: inside of the root, >= 0.
      rms: the root mean square of a step before the rate, finite and > 0, or None to leave it.
      every: steps between two computations of the root, a whole number >= 1.
      hidden: which leaves are matrices, see :func:`gradpow.on_matrices`.
      rest: for all other leaves; None is AdamW at the same rate and decay.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, g = gradpow.asgo(1.0, b1=0.0, b2=0.0), jnp.array([[3.0, 0.0], [0.0, -4.0]])
      >>> print(tx.update(g, tx.init(g))[0].round(3))
      [[-1. -0.]
       [-0.  1.]]

    References:
      An et al. (2025), and ``asgo.py`` of its authors.
    """
    check("in [0, 1)", b1=b1, **({} if b2 is None else {"b2": b2}))
    check("finite and >= 0", eps=eps)
    check("finite and > 0", **({} if rms is None else {"rms": rms}))
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    moment = optax.trace(1.0) if b2 is None else optax.ema(b2, debias=False)

    def steps(*links: optax.GradientTransformation) -> optax.GradientTransformation:
        rate = optax.scale_by_learning_rate(learning_rate)
        return chain(*links, decay_weights(weight_decay, mask), rate)

    inner = steps(
        optax.ema(b1, debias=False),
        kronecker_precondition(moment, 0.5, eps, sides="shorter", every=every, matrices=hidden),
        optax.identity() if rms is None else set_rms(rms, matrices=hidden),
    )
    return on_matrices(inner, rest or steps(optax.scale_by_adam()), hidden)
