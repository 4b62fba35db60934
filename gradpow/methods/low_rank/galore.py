"""GaLore: Zhao et al. (2024b), Algorithm 2."""

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
from gradpow.transforms import decay_weights, in_basis, svd_basis
from gradpow.wrappers import on_matrices

__all__ = ["galore"]


def galore(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-6,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    rank: int = 128,
    every: int = 200,
    scale: Scalar = 0.25,
    sides: str = "shorter",
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""GaLore: Adam on gradients projected to their leading singular vectors.

    .. math::
      R_t = P^\top g_t, \qquad
      \theta_t = \theta_{t-1} - \eta_t \Bigl(\alpha P \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}
      + \lambda \theta_{t-1}\Bigr)

    P has r columns for the shorter axis, or :math:`R_t = g_t Q`, and is made anew each T steps of
    the gradient, m and v being kept. Signs of vectors follow the old ones, see
    :func:`gradpow.transforms.svd_basis`; the authors leave them to chance. The survey's plus is for
    the paper's negative gradient, its eps stands in the root, and its P is always the left one.
    :func:`optax.contrib.galore` projects the longer axis, with less memory and another path:
    ``sides="longer", scale=1.0, eps=1e-8``.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, with the defaults
        of the authors' code.
      rank: r, a Python integer.
      every: T, >= 1.
      scale: alpha, >= 0.
      sides: the axis that P is of, as in :func:`gradpow.transforms.svd_basis`.
      hidden: which leaves are matrices, as in :func:`gradpow.on_matrices`.
      rest: an optimizer for the others; None for AdamW with the same numbers.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params, tx = {"w": jnp.zeros((2, 3))}, gradpow.galore(0.4, rank=1)
      >>> grads = {"w": jnp.array([[3.0, -4.0, 2.0], [0.0, 0.0, 0.0]])}
      >>> print(tx.update(grads, tx.init(params), params)[0]["w"].round(3) + 0.0)
      [[-0.1  0.1 -0.1]
       [ 0.   0.   0. ]]

    References:
      Zhao et al. (2024b), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, scale=scale)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    adam = optax.scale_by_adam(b1, b2, eps)
    end = decay_weights(weight_decay, mask), optax.scale_by_learning_rate(learning_rate)
    projected = in_basis(adam, svd_basis(every, sides, rank), matrices=hidden)
    matrices = chain(projected, optax.scale(scale), *end)
    return on_matrices(matrices, rest or chain(adam, *end), hidden)
