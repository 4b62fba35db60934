"""CASPR: Duvvuri et al. (2024), Algorithm 1."""

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
from gradpow.transforms import decay_weights, kronecker_precondition
from gradpow.wrappers import on_matrices

__all__ = ["caspr"]


def caspr(
    learning_rate: optax.ScalarOrSchedule,
    b2: Scalar | None = None,
    eps: Scalar = 1e-6,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    every: int = 1,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""CASPR: the preconditioners of a matrix's axes are averaged where Shampoo multiplies them.

    .. math::
      L_t &= L_{t-1} + G_t G_t^\top, \qquad R_t = R_{t-1} + G_t^\top G_t \\
      K_t(X) &= \tfrac12 \bigl((L_t + \epsilon I)^{-1/4} X + X (R_t + \epsilon I)^{-1/4}\bigr),
      \qquad \Theta_t = \Theta_{t-1} - \eta_t\, K_t(K_t(G_t))

    The survey leaves out the two halves, a quarter of the rate. The authors train with averages, an
    eps relative to the mean eigenvalue, Nesterov's momentum and the sizes of Adam's steps; these
    are :func:`gradpow.transforms.kronecker_precondition` with ``relative=True``,
    :func:`gradpow.transforms.nesterov_ema` and :func:`gradpow.graft`. An eps that is small beside
    the gradients' squares is felt more than in Shampoo: what rounding leaves along an axis's unseen
    directions is divided by its fourth root once more.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, by default without decay.
      b2: None for sums, or the weight of the past in an average, in [0, 1).
      eps: >= 0. Default of the authors' code, where it is relative.
      every: steps between two computations of the roots, a whole number >= 1.
      hidden: which leaves are matrices, see :func:`gradpow.on_matrices`.
      rest: for all other leaves; None is AdamW at the same rate and decay.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, g = gradpow.caspr(1.0, eps=1e-8), jnp.array([[3.0, 0.0], [0.0, -4.0]])
      >>> print(tx.update(g, tx.init(g))[0].round(3))
      [[-1. -0.]
       [-0.  1.]]

    References:
      Duvvuri et al. (2024), Algorithm 1.
    """
    check("in [0, 1)", **({} if b2 is None else {"b2": b2}))
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    moment = optax.trace(1.0) if b2 is None else optax.ema(b2, debias=False)

    def steps(link: optax.GradientTransformation) -> optax.GradientTransformation:
        rate = optax.scale_by_learning_rate(learning_rate)
        return chain(link, decay_weights(weight_decay, mask), rate)

    precondition = kronecker_precondition(
        moment, 0.25, eps, combine="mean", every=every, matrices=hidden
    )
    return on_matrices(steps(precondition), rest or steps(optax.scale_by_adam()), hidden)
