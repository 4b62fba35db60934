"""SOAP: Vyas et al. (2024), Algorithm 3."""

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
from gradpow.transforms import decay_weights, in_basis, kronecker_basis, moment_scale
from gradpow.wrappers import on_matrices

__all__ = ["soap"]


def soap(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.95,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = 0.01,
    mask: Any = None,
    every: int = 10,
    largest: int = 10_000,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""SOAP: Adam in the eigenvectors' coordinates of Shampoo's factors.

    .. math::
      v_t &= \beta_2 v_{t-1} + (1 - \beta_2) (P^\top g_t Q)^2, \qquad
      \theta_t = \theta_{t-1} - \eta_t \Bigl(P \frac{P^\top \hat m_t Q}
      {\sqrt{\hat v_t} + \epsilon} Q^\top + \lambda \theta_{t-1}\Bigr) \\
      L_t &= \beta_2 L_{t-1} + (1 - \beta_2)\, g_t g_t^\top, \qquad
      P \leftarrow \mathrm{qr}(L_t P) \text{ after each } k\text{-th step}

    and likewise R and Q; m is Adam's. :func:`gradpow.transforms.kronecker_basis` says how v is
    permuted, and that the first step does nothing but make the basis: a warm-up starts later by
    one. The authors' code adds eps before the bias correction, and decays after the step.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, with the defaults
        of the authors' code; it trains at 3e-3.
      every: k, >= 1.
      largest: a longer axis keeps its own coordinates.
      hidden: which leaves are matrices, as in :func:`gradpow.on_matrices`.
      rest: an optimizer for the others; None for AdamW with the same numbers.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params, tx = {"w": jnp.ones((2, 2))}, gradpow.soap(0.1, weight_decay=None)
      >>> grads, state = {"w": jnp.array([[3.0, 0.0], [0.0, -4.0]])}, tx.init(params)
      >>> for _ in range(2):
      ...   updates, state = tx.update(grads, state, params)
      >>> print(updates["w"].round(3))
      [[-0.1 -0. ]
       [-0.   0.1]]

    References:
      Vyas et al. (2024), Algorithm 3.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    end = decay_weights(weight_decay, mask), optax.scale_by_learning_rate(learning_rate)
    basis = kronecker_basis(every, b2, largest)
    second_moment = moment_scale(optax.ema(b2), eps=eps)
    matrices = chain(in_basis(second_moment, basis, optax.ema(b1), hidden), *end)
    return on_matrices(matrices, rest or chain(optax.scale_by_adam(b1, b2, eps), *end), hidden)
