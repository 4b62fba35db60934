"""AdaDiag, AdaDiag++: Nguyen et al. (2025)."""

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

__all__ = ["adadiag"]


def adadiag(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    every: int = 200,
    sides: str = "out",
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaDiag: Adam in the coordinates of the gradient's singular vectors, of one side or both.

    .. math::
      g_t = P \Sigma Q^\top \text{ each } T\text{-th step}, \qquad
      \theta_t = \theta_{t-1} - \eta_t \Bigl(P \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon} Q^\top
      + \lambda \theta_{t-1}\Bigr)

    m and v are Adam's of :math:`P^\top g_t Q`, kept when the basis changes, with the signs of
    vectors as in :func:`gradpow.transforms.svd_basis`. AdaDiag has the left vectors of a paper's
    matrix, of its outputs, ``sides="out"``; AdaDiag++ ``sides="both"``. Of several readings of the
    paper in public, this is the one with bias-corrected moments and eps outside of the root; the
    survey prints neither. With the leading vectors alone it is :func:`gradpow.galore`; with another
    rule for the basis, and moments that turn with it, :func:`gradpow.soap`.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, by default without
        decay.
      every: T, >= 1. The default is GaLore's; the paper's own differ by task.
      sides: which singular vectors, as in :func:`gradpow.transforms.svd_basis`.
      hidden: which leaves are matrices, as in :func:`gradpow.on_matrices`.
      rest: an optimizer for the others; None for AdamW with the same numbers.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params, tx = {"w": jnp.zeros((2, 2))}, gradpow.adadiag(0.1, sides="both")
      >>> grads = {"w": jnp.array([[3.0, 3.0], [0.0, 0.0]])}  # of one singular value
      >>> print(tx.update(grads, tx.init(params), params)[0]["w"].round(3) + 0.0)
      [[-0.071 -0.071]
       [ 0.     0.   ]]

    References:
      Nguyen et al. (2025).
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    adam = optax.scale_by_adam(b1, b2, eps)
    end = decay_weights(weight_decay, mask), optax.scale_by_learning_rate(learning_rate)
    matrices = chain(in_basis(adam, svd_basis(every, sides), matrices=hidden), *end)
    return on_matrices(matrices, rest or chain(adam, *end), hidden)
