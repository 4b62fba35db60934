"""Dion: Ahn et al. (2025), Algorithm 1."""

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
from gradpow.transforms import decay_weights, low_rank_momentum, shape_scale
from gradpow.wrappers import on_matrices

__all__ = ["dion"]


def dion(
    learning_rate: optax.ScalarOrSchedule,
    b: Scalar = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = 0.01,
    mask: Any = None,
    rank: int = 768,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    seed: int = 0,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Dion: steps by orthonormal factors of the momentum's leading part, for many devices.

    .. math::
      P_t &= \mathrm{qr}(B_t Q_{t-1}), \qquad R_t = B_t^\top P_t, \qquad B_t = M_{t-1} + g_t \\
      M_t &= B_t - (1 - \mu) P_t R_t^\top, \qquad
      \theta_t = \theta_{t-1}
      - \eta_t \bigl(\sqrt{m / n}\, P_t Q_t^\top + \lambda \theta_{t-1}\bigr)

    with a matrix of m outputs and n inputs, and Q the columns of R, each of length 1:
    :func:`gradpow.transforms.low_rank_momentum`, which says where the authors' distributed code
    differs. In QR's place the paper has Cholesky's where a matrix is spread, as here on TPU. The
    survey leaves out how Q starts.

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`; the authors train at 0.01.
      b: mu, in [0, 1).
      eps: added to norms of columns, and in AdamW, >= 0.
      rank: how many columns P and Q have, a Python integer; the authors' code's.
      b1, b2: AdamW's for the rest, in [0, 1).
      seed: of the first Q.
      hidden: which leaves are matrices, as in :func:`gradpow.on_matrices`.
      rest: an optimizer for the others; None for AdamW at the same rate and decay.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params, tx = {"w": jnp.zeros((2, 2))}, gradpow.dion(1.0, weight_decay=None, rank=1)
      >>> grads = {"w": jnp.array([[3.0, 0.0], [4.0, 0.0]])}  # of rank 1
      >>> print(tx.update(grads, tx.init(params))[0]["w"].round(3) + 0.0)
      [[-0.6  0. ]
       [-0.8  0. ]]

    References:
      Ahn et al. (2025), Algorithm 1.
    """
    check("in [0, 1)", b=b, b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    end = decay_weights(weight_decay, mask), optax.scale_by_learning_rate(learning_rate)
    momentum = low_rank_momentum(rank, b, eps, seed, hidden)
    matrices = chain(momentum, shape_scale("spectral", matrices=hidden), *end)
    return on_matrices(matrices, rest or chain(optax.scale_by_adam(b1, b2, eps), *end), hidden)
