"""Shampoo: Gupta et al. (2018), Algorithm 1; Anil et al. (2020)."""

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

__all__ = ["shampoo"]


def shampoo(
    learning_rate: optax.ScalarOrSchedule,
    b2: Scalar | None = None,
    power: Scalar = 0.25,
    eps: Scalar = 1e-4,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    every: int = 1,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Shampoo: both axes of a matrix preconditioned by the fourth root of what they have seen.

    .. math::
      L_t &= L_{t-1} + G_t G_t^\top, \qquad R_t = R_{t-1} + G_t^\top G_t, \qquad
      L_0 = R_0 = 0 \\
      \Theta_t &= \Theta_{t-1} - \eta_t\, (L_t + \epsilon I)^{-1/4}\, G_t\,
      (R_t + \epsilon I)^{-1/4}

    The paper's :math:`L_0 = \epsilon I`, which an average keeps too; the survey leaves it out, and
    with it the first inverse. Tensors of more axes are matrices here, as ``hidden`` says. Large
    models average, refresh seldom, cut large matrices, and take the sizes of steps from Adam::

        inner = gradpow.shampoo(1.0, b2=0.999, every=20)
        gradpow.graft(optax.adam(1e-3), inner)

    with :func:`gradpow.blocked` around the link :func:`gradpow.transforms.kronecker_precondition`.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`, by default without decay.
      b2: None for sums, or the weight of the past in an average, in [0, 1).
      power: r, finite and > 0; 1/2 in some later work.
      eps: >= 0. Default of the authors' TensorFlow code.
      every: steps between two computations of the roots, a whole number >= 1.
      hidden: which leaves are matrices, see :func:`gradpow.on_matrices`.
      rest: for all other leaves; None is AdamW at the same rate and decay.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx, g = gradpow.shampoo(1.0, eps=1e-8), jnp.array([[3.0, 0.0], [0.0, -4.0]])
      >>> print(tx.update(g, tx.init(g))[0].round(3))
      [[-1. -0.]
       [-0.  1.]]

    References:
      Gupta et al. (2018), Algorithm 1; Anil et al. (2020).
    """
    check("in [0, 1)", **({} if b2 is None else {"b2": b2}))
    check("finite and > 0", power=power)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    moment = optax.trace(1.0) if b2 is None else optax.ema(b2, debias=False)

    def steps(link: optax.GradientTransformation) -> optax.GradientTransformation:
        rate = optax.scale_by_learning_rate(learning_rate)
        return chain(link, decay_weights(weight_decay, mask), rate)

    precondition = kronecker_precondition(moment, power, eps, every=every, matrices=hidden)
    return on_matrices(steps(precondition), rest or steps(optax.scale_by_adam()), hidden)
