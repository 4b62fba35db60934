"""Projected: Reddi et al. (2018), Algorithm 1; Duchi et al. (2011), Section 1."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax
from optax import projections

from gradpow.core import chain, require_params, require_transformation

__all__ = ["projected"]

MIXING = (
    projections.projection_simplex,
    projections.projection_l1_sphere,
    projections.projection_l1_ball,
    projections.projection_l2_sphere,
    projections.projection_l2_ball,
    projections.projection_vector,
    projections.projection_hyperplane,
    projections.projection_halfspace,
)
"""optax's projections in which one coordinate of the result depends on others."""


def projected(
    base: optax.GradientTransformation,
    projection: Callable[[Any], Any],
    euclidean: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Keeps the parameters in a set: after each step they are its nearest point.

    .. math::
      \theta_t = \Pi_{F, \sqrt{V_t}} (\theta_{t-1} + u_t), \qquad
      \Pi_{F, A}(y) = \operatorname{arg\,min}_{x \in F}\ (x - y)^\top A (x - y)

    With Adam's V the nearest point depends on V, unless the set bounds each coordinate by itself,
    as :func:`optax.projections.projection_non_negative`, ``projection_box``,
    ``projection_hypercube`` and ``projection_linf_ball`` do: there it is the Euclidean one, for
    every diagonal V. Optax's other projections mix coordinates and are refused, unless the base
    moves by the Euclidean norm, as SGD does.

    Optax's box and hypercube take no scalar bounds for a tree of several leaves: there pass
    ``lambda params: jax.tree.map(box, params)``.

    ``base`` must be complete: its updates are steps (negated, with the learning rate in them). Sums
    round: parameters may lie outside of the set by a last bit.

    Args:
      base: an optimizer.
      projection: from parameters to the nearest of the set.
      euclidean: whether the base's norm is the Euclidean, so that any projection is exact.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs the parameters.

    Raises:
      ValueError: if the projection is one of optax's that mix coordinates and the base is not
        ``euclidean``.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.projected(gradpow.adam(0.5), optax.projections.projection_non_negative)
      >>> params = jnp.array([0.25, 1.0])
      >>> updates, _ = tx.update(jnp.array([3.0, -3.0]), tx.init(params), params)
      >>> [f"{theta:.3f}" for theta in params + updates]
      ['0.000', '1.500']

    References:
      Reddi et al. (2018), Algorithm 1; Duchi et al. (2011), Section 1.
    """
    require_transformation("projected's base", base)
    whole = projection
    while isinstance(whole, functools.partial):
        whole = whole.func
    if whole in MIXING and not euclidean:
        raise ValueError(
            f"{whole.__name__} mixes coordinates, so that its nearest point is not the nearest in "
            "Adam's norm: use a box, or pass euclidean=True if the base is SGD or its like."
        )

    def update(updates, state, params=None):
        require_params("projected", params)
        ends = projection(jax.tree.map(lambda theta, u: theta + u, params, updates))
        return jax.tree.map(lambda end, theta: end - theta, ends, params), state

    return chain(base, optax.GradientTransformation(optax.init_empty_state, update))
