"""COSMOS: Liu et al. (2025b), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import (
    Matrices,
    Scalar,
    chain,
    check,
    check_optional_rate,
    check_rate,
    filled,
    hidden_matrices,
)
from gradpow.transforms import (
    decay_weights,
    interpolated_momentum,
    moment_scale,
    oja_basis,
    orthogonalize,
    set_rms,
    split_subspace,
)
from gradpow.wrappers import on_matrices

__all__ = ["cosmos"]


def cosmos(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    rank: int = 64,
    gamma: Scalar = 0.2,
    rms: Scalar = 0.1,
    nesterov: bool = False,
    hidden: Matrices | Any = hidden_matrices,
    rest: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""COSMOS: SOAP in the leading eigenspace of the inputs' factor, Muon outside of it.

    .. math::
      v_t &= \beta_2 v_{t-1} + (1 - \beta_2) (g_t U_t)^2, \qquad
      a_t = \frac{\hat m_t U_t}{\sqrt{\hat v_t} + \epsilon}\, U_t^\top \\
      \theta_t &= \theta_{t-1} - \eta_t \bigl(N_\rho(a_t
      + N_\gamma(O(m_t - m_t U_t U_t^\top))) + \lambda \theta_{t-1}\bigr)

    m is Adam's, U that of :func:`gradpow.transforms.oja_basis`, O Newton and Schulz's iteration,
    and N gives a matrix a root mean square: gamma, and rho = ``rms``, which the paper has at its
    rate and the authors' code at 0.1. The survey has :math:`1 - \beta^2` for :math:`1 - \beta^t`
    and eps in the root. The authors' code now takes, in the place of the corrected m,
    :math:`\beta_1 m_t + (1 - \beta_1) g_t` over :math:`1 - \beta_1^{t+1}`: ``nesterov=True``. It
    rounds O to bfloat16.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, by default without
        decay, with the numbers of the authors' code.
      rank: how many columns U has, a Python integer.
      gamma: of the part outside, > 0.
      rms: rho, of the whole step, > 0.
      nesterov: as above.
      hidden: which leaves are matrices, as in :func:`gradpow.on_matrices`.
      rest: an optimizer for the others; None for AdamW with the same numbers.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params, tx = {"w": jnp.zeros((2, 2))}, gradpow.cosmos(0.1, rank=1)
      >>> grads = {"w": jnp.array([[3.0, 0.0], [0.0, 0.1]])}
      >>> updates, _ = tx.update(grads, tx.init(params))
      >>> print(jnp.sqrt(jnp.mean(updates["w"] ** 2)).round(4))
      0.01

    References:
      Liu et al. (2025b), Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check("finite and > 0", gamma=gamma, rms=rms)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    end = decay_weights(weight_decay, mask), optax.scale_by_learning_rate(learning_rate)
    momentum = optax.ema(b1)
    if nesterov:
        debias = optax.scale_by_schedule(lambda count: 1 / filled(b1, count + 1))
        momentum = optax.chain(interpolated_momentum(b1 * b1, b1), debias)
    split = split_subspace(
        moment_scale(optax.ema(b2), eps=eps),
        optax.chain(orthogonalize(matrices=hidden), set_rms(gamma, matrices=hidden)),
        oja_basis(rank, b2),
        hidden,
    )
    matrices = chain(momentum, split, set_rms(rms, matrices=hidden), *end)
    return on_matrices(matrices, rest or chain(optax.scale_by_adam(b1, b2, eps), *end), hidden)
