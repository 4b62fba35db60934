"""Grafting: Agarwal et al. (2020)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Matrices,
    dimension_numbers,
    guarded_divide,
    is_numbers,
    require_transformation,
    square_root,
)
from gradpow.core.float32 import powers_of_two

__all__ = ["GraftState", "graft"]


class GraftState(NamedTuple):
    """State of :func:`graft`: those of magnitude, M, and direction, D."""

    magnitude: optax.OptState
    direction: optax.OptState


def graft(
    magnitude: optax.GradientTransformation,
    direction: optax.GradientTransformation,
    matrices: Matrices | Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The size of one optimizer's step in the direction of another's, for each tensor.

    .. math::
      u_t = \frac{\|M(g_t)\|}{\|D(g_t)\|}\, D(g_t), \qquad 0/0 = 0

    Both see the same gradients and parameters, and keep their states. So a method without a scale
    of its own takes the rate and schedule that are tuned for a known one, which is how Shampoo is
    used in practice (Anil et al., 2020)::

        gradpow.graft(optax.adam(1e-3), gradpow.shampoo(1.0))

    Links do as well as optimizers. Weight decay goes after it, or it counts among the sizes.

    Args:
      magnitude: M, whose norms count and nothing else.
      direction: D, whose norms do not.
      matrices: None for a norm of each tensor; else each matrix of a stack has its own, as layers
        in one tensor should: see :func:`gradpow.on_matrices`. What is no matrix is one tensor.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx, g = gradpow.graft(optax.sgd(0.1), optax.sign_sgd(1.0)), jnp.array([3.0, -4.0])
      >>> tx.update(g, tx.init(g))[0].round(3)  # of norm 0.5
      Array([-0.354,  0.354], dtype=float32)

    References:
      Agarwal et al. (2020); Anil et al. (2020).
    """
    magnitude = require_transformation("graft's magnitude", magnitude)
    direction = require_transformation("graft's direction", direction)

    def init(params):
        return GraftState(magnitude.init(params), direction.init(params))

    def update(updates, state, params=None, **extra_args):
        m, m_state = magnitude.update(updates, state.magnitude, params, **extra_args)
        d, d_state = direction.update(updates, state.direction, params, **extra_args)
        answers = (lambda path, leaf: None) if matrices is None else matrices
        numbers = dimension_numbers(answers, updates)

        def grafted(n, m, d):
            if n is None:  # of a leaf, or of a place without one
                return jax.tree.map(lambda m, d: _graft(m, d, tuple(range(d.ndim))), m, d)
            return _graft(m, d, _axes(n.reduction_axis) + _axes(n.output_axis))

        steps = jax.tree.map(grafted, numbers, m, d, is_leaf=is_numbers)
        return steps, GraftState(m_state, d_state)

    return optax.GradientTransformationExtraArgs(init, update)


def _axes(axes: Any) -> tuple[int, ...]:
    return axes if isinstance(axes, tuple) else (axes,)


def _graft(m: jax.Array, d: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return _parts(d, axes)[0] * _parts(m, axes)[1]


def _parts(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """x as a vector of norm 1 and its norm; at a scale of its own, as its squares may vanish."""
    scale, unscale = powers_of_two(jnp.max(jnp.abs(x), axes, keepdims=True, initial=0))
    norm = square_root(jnp.sum((x * scale) ** 2, axes, keepdims=True))
    return guarded_divide(x * scale, norm), norm * unscale
