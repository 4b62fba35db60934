"""Preconditioning by outer products: Duchi et al. (2011), Figure 1; Gupta et al. (2017)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    abs_power,
    check,
    laid_out_as,
    matrix_function,
    replicated,
    require_grad,
    require_transformation,
)

__all__ = ["GramState", "gram_precondition"]


class GramState(NamedTuple):
    """State of :func:`gram_precondition`: moment, the filter's, of a square matrix a tensor."""

    moment: optax.OptState


def gram_precondition(
    moment: optax.GradientTransformation,
    power: Scalar = 0.5,
    eps: Scalar = 0.0,
    eps_root: Scalar = 0.0,
    flat: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Multiplies the update by the inverse of a power of a moment of the gradient's Gram matrix.

    .. math::
      u_t \leftarrow \bigl((F(g_t g_t^\top) + \epsilon_{root} I)^{r} + \epsilon I\bigr)^{-1} u_t

    F is a filter, as in :func:`gradpow.transforms.moment_scale`: :func:`optax.trace` of 1 sums,
    :func:`optax.ema` averages. A tensor is a matrix of its first axis by all others, whose Gram
    matrix has a row for each of the first; with ``flat`` it is one column, so that all of its
    coordinates are mixed: full-matrix AdaGrad, or with r = 1 the online Newton step.

    Keeps a matrix a tensor and decomposes it at every step: for hundreds of rows, not for many
    thousands. Across devices the matrix is replicated. A denominator that is no larger than the
    rounding of the largest eigenvalue gives 0, as 0/0 does: in float32 that stills directions with
    less than a thousandth of the strongest's gradient, unless an eps is larger. Where the matrix
    has left float32 the update is 0.

    Args:
      moment: F, a filter that keeps the shape of what it is fed.
      power: r, finite and > 0.
      eps: added to the denominator, >= 0.
      eps_root: added inside of the power, >= 0.
      flat: whether a tensor is one column.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import gram_precondition
      >>> tx = gradpow.chain(gram_precondition(optax.trace(1.0), flat=True))
      >>> print(tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))[0].round(3))  # g / |g|
      [0.6 0.8]

    References:
      Duchi et al. (2011), Figure 1; Gupta et al. (2017), Section 3.
    """
    check("finite and > 0", power=power)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    moment = require_transformation("gram_precondition's moment", moment)

    def init(params):
        # A tree without leaves is optax.tree.map_params', which asks for what is a parameter's.
        if not jax.tree.leaves(params):
            return GramState(moment.init(jnp.zeros([])))
        return GramState(moment.init(jax.tree.map(lambda x: _no_gram(_rows(x, flat), x), params)))

    def update(updates, state, params=None, *, grad=None, **extra_args):
        require_grad("gram_precondition", grad, updates)
        if not jax.tree.leaves(updates):
            return updates, state
        grams = jax.tree.map(lambda g: _gram(_as_matrix(g, flat)), grad)
        moments, new_state = moment.update(grams, state.moment, params, **extra_args)

        def precondition(u, a):
            finite = jnp.isfinite(a).all()
            p = matrix_function(_inverse, jnp.where(finite, a, 0), power, eps, eps_root)
            u_new = (p @ _as_matrix(u, flat)).reshape(u.shape)
            return jnp.where(finite, laid_out_as(u, u_new), 0 * u)

        return jax.tree.map(precondition, updates, moments), GramState(new_state)

    return optax.GradientTransformationExtraArgs(init, update)


def _rows(x: Any, flat: bool) -> int:
    return x.size if flat or not x.ndim else x.shape[0]


def _as_matrix(x: jax.Array, flat: bool) -> jax.Array:
    rows = _rows(x, flat)
    return replicated(x).reshape(rows, x.size // max(rows, 1))


def _no_gram(rows: int, like: Any) -> jax.Array:
    return jnp.zeros((rows, rows), like.dtype)


def _gram(g: jax.Array) -> jax.Array:
    gram = g @ g.T
    # Of one sign, so that what F keeps becomes infinite at most, never infinity less infinity.
    return jnp.where(jnp.isfinite(gram), gram, jnp.inf)


def _inverse(w: jax.Array, power: jax.Array, eps: jax.Array, eps_root: jax.Array) -> jax.Array:
    rounding = w.size * jnp.finfo(w.dtype).eps * jnp.max(w, initial=0)
    d = abs_power(jnp.maximum(w, 0) + eps_root, power) + eps
    vanished = d <= abs_power(rounding, power)
    return jnp.where(vanished, 0, 1 / jnp.where(vanished, 1, d))
