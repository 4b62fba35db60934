"""MuonPower: Wang et al. (2025), Section 3.4 and Appendix B.2; Liu et al. (2025), Section 2.2."""

from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core import (
    Matrices,
    Scalar,
    check,
    check_rate,
    dimension_numbers,
    hidden_matrices,
    require_mask,
)
from gradpow.wrappers import gradpower

__all__ = ["muonpower"]


def muonpower(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar = 1.2,
    hidden: Matrices | Any = hidden_matrices,
    beta: Scalar = 0.95,
    consistent_rms: Scalar = 0.2,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule = 0.1,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""MuonPower: Muon on the powered gradients of hidden matrices, AdamPower on all else.

    :func:`gradpow.gradpower` around :func:`optax.contrib.muon`, with the settings of Moonlight that
    the paper adopts (weight decay, and updates brought to the root mean square of AdamW's, so that
    Adam's learning rate serves both), and :func:`optax.adamw`. For a hidden matrix of shape (a, b),
    with O the orthogonal factor that Newton and Schulz's iteration approximates, hats for optax's
    bias corrections, and rho = ``consistent_rms``:

    .. math::
      M_t &= \beta M_{t-1} + (1 - \beta)\, \varphi_p(G_t), \qquad
      \varphi_p(g) = \mathrm{sign}(g)\,|g|^p \\
      \Theta_{t+1} &= \Theta_t - \eta_t \bigl(\rho \sqrt{\max(a, b)}\;
      O(\beta \hat M_t + (1 - \beta)\, \hat\varphi_p(G_t)) + \lambda \Theta_t\bigr)

    ``hidden`` says which leaves are hidden matrices: a function of path and leaf to ``True`` (a
    matrix), ``MuonDimensionNumbers`` (which axes are in and out; all others are batch axes, so
    layers stacked in one tensor are ``MuonDimensionNumbers(1, 2)``), or None (AdamW); or a tree of
    the same answers, or a prefix of one. Empty leaves always go to AdamW. Print
    ``gradpow.describe_split(params, hidden)`` to see the split.

    Args:
      learning_rate, b1, b2, weight_decay, mask: as in :func:`optax.adamw`, the rate and the decay
        of both parts.
      p: the power, > 0. Default from Section 3.4.
      hidden: as above. With ``optax.inject_hyperparams`` pass ``static_args=("mask", "hidden")``,
        or it takes callables for schedules.
      beta: decay of Muon's momentum, in [0, 1).
      consistent_rms: root mean square of Muon's updates, > 0; 0.2 is Moonlight's.
      eps: added to denominators, > 0.

    Raises:
      ValueError: at init, if ``hidden`` calls a leaf that is no matrix one.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"embed": jnp.ones((4, 2)), "layer": {"kernel": jnp.ones((2, 2))}}
      >>> tx = gradpow.muonpower(1e-2)
      >>> updates, state = tx.update(params, tx.init(params), params)
      >>> sorted(state[1][0].inner_states)
      ['adamw', 'muon']

    References:
      Wang et al. (2025), Section 3.4 and Appendix B.2; Liu et al. (2025), Section 2.2.
    """
    check("in [0, 1)", beta=beta, b1=b1, b2=b2)
    check("finite and > 0", consistent_rms=consistent_rms, eps=eps)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)

    def axes(params: optax.Params) -> Any:
        return dimension_numbers(hidden, params)

    def labels(params: optax.Params) -> Any:
        return jax.tree.map(
            lambda numbers: "adamw" if numbers is None else "muon",
            axes(params),
            is_leaf=lambda x: x is None or isinstance(x, MuonDimensionNumbers),
        )

    muon = optax.contrib.muon(
        learning_rate,
        beta=beta,
        eps=eps,
        # Typed as a number there, but handed to optax.add_decayed_weights, which takes schedules.
        weight_decay=weight_decay,  # pyright: ignore[reportArgumentType]
        weight_decay_mask=mask,
        muon_weight_dimension_numbers=axes,
        consistent_rms=consistent_rms,
    )
    # Not muon's own Adam: that one takes Muon's Nesterov flag, where Moonlight has plain AdamW.
    adamw = optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=mask)
    return gradpower(optax.partition({"muon": muon, "adamw": adamw}, labels), p)
