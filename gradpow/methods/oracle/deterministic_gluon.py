"""Deterministic Gluon: Riabinin et al. (2025)."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import optax

from gradpow.core import Scalar, chain, check, guarded_divide, layer_balls, layer_role
from gradpow.transforms import POLAR_EXPRESS, Polynomials, lmo

__all__ = ["deterministic_gluon"]


def deterministic_gluon(
    l0: Scalar,
    l1: Scalar = 0.0,
    norms: Mapping[str, str] | None = None,
    role: Callable[[str, Any], str] = layer_role,
    iteration: Polynomials | Literal["svd"] = POLAR_EXPRESS,
) -> optax.GradientTransformationExtraArgs:
    r"""Deterministic Gluon: a radius for each layer from the dual norm of its exact gradient.

    For layer i, with the norms of :func:`gradpow.scion` and their duals:

    .. math::
      \theta_{t+1}^i = \theta_t^i + \tau_t^i\, \mathrm{lmo}_{(i)}(g_t^i), \qquad
      \tau_t^i = \frac{\|g_t^i\|_{(i)*}}{L_0 + L_1 \|g_t^i\|_{(i)*}}, \qquad 0/0 = 0

    There is no rate: under the paper's layer-wise (L0, L1)-smoothness it is the step that is sure
    to descend. With L1 = 0 it is steepest descent at rate 1/L0, with L0 = 0 a step of length 1/L1
    whatever the gradient. The survey has a norm where the dual one belongs. The paper's constants
    differ by layer: :func:`optax.partition`. With noise take :func:`gradpow.gluon`.

    Args:
      l0: L0, finite and >= 0.
      l1: L1, finite and >= 0.
      norms, role, iteration: as in :func:`gradpow.scion`, with balls of radius 1.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.deterministic_gluon(l0=2.0, l1=1.0)
      >>> tx.update(jnp.array([1.0, -1.0]), tx.init(jnp.zeros(2)))[0]  # |g|* = 2
      Array([-0.5,  0.5], dtype=float32)

    References:
      Riabinin et al. (2025).
    """
    check("finite and >= 0", l0=l0, l1=l1)

    def step_length(dual: jax.Array) -> jax.Array:
        return guarded_divide(dual, l0 + l1 * dual)

    return chain(
        lmo(
            layer_balls({"hidden": 1.0}, norms, role), iteration=iteration, by_dual_norm=step_length
        ),
        optax.scale(-1.0),
    )
