"""Linear minimization oracle: Pethick et al. (2025), Sections 2 and 4; Frank and Wolfe (1956)."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    NORMS,
    VECTOR_NORMS,
    Ball,
    Matrices,
    Scalar,
    check,
    check_choice,
    dimension_numbers,
    from_stack,
    is_numbers,
    last_two_axes,
    map_with_names,
    to_stack,
    unit_dual,
    window,
)
from gradpow.transforms.matrix.orthogonalize import NS5, Polynomials, orthogonalize

__all__ = ["lmo"]


def lmo(
    norm: str | Callable[[str, Any], Ball],
    radius: Scalar = 1.0,
    p: Scalar = 2.0,
    over: Literal["tree"] | None = None,
    iteration: Polynomials | Literal["svd"] = NS5,
    by_dual_norm: Callable[[jax.Array], jax.Array] | None = None,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformation:
    r"""Replaces the update by the point of a norm's ball that it points to.

    .. math::
      u \leftarrow \rho\, \arg\max_{\|x\| \le 1} \langle u, x \rangle
      = -\rho\, \mathrm{lmo}_{\|\cdot\| \le 1}(u), \qquad 0 \mapsto 0

    That is uphill, as all updates before the learning rate are. For a matrix of m inputs and n
    outputs, stored (in, out) as a Flax kernel is:

    ==================  ====================================================  =====================
    norm                u becomes                                             for
    ==================  ====================================================  =====================
    ``"l2"``            :math:`u / \|u\|_2`                                   normalized SGD
    ``"lp"``            :math:`\varphi_{q-1}(u / \|u\|_q)`, 1/p + 1/q = 1     SAM's perturbation
    ``"linf"``          sign(u)                                               SignSGD
    ``"rms"``           :math:`u / \mathrm{RMS}(u)`                           biases, gains
    ``"spectral"``      :math:`U V^\top` of :math:`u = U \Sigma V^\top`       Muon
    ``"rms_to_rms"``    :math:`\sqrt{n/m}\; U V^\top`                         hidden layers
    ``"l1_to_rms"``     every row over its RMS                                embeddings
    ``"rms_to_linf"``   every column over its :math:`\sqrt m\, \|\cdot\|_2`   outputs
    ``"mean_to_linf"``  sign(u) / m                                           outputs
    ==================  ====================================================  =====================

    and all other pairs of "l1", "mean", "l2", "rms" with "l2", "rms", "linf";
    ``"rms_to_rms_max"``, :math:`\max(1, \sqrt{n/m})\, U V^\top`, for layers that see images; and
    ``"conv"``, rms_to_rms over the root of the window's size, as the authors' code has it. That
    code also adds 1e-8 to norms, where a zero is kept apart here.

    Stateless. Constrained methods need no further link:
    ``decay_weights(1.0)`` after this one makes :math:`(1 - \eta) \theta + \eta\,\mathrm{lmo}(u)`.

    Args:
      norm: one of :data:`gradpow.core.NORMS`; or a function of path and leaf to a
        :class:`gradpow.core.Ball` with norm, radius and axes, such as
        :func:`gradpow.core.layer_balls` makes.
      radius: rho, finite and > 0, times that of the ball.
      p: the order of "lp", in (1, inf].
      over: None for a norm of each matrix, "tree" for one of everything, with the first four norms.
      iteration: how :math:`U V^\top` is found, as in :func:`gradpow.transforms.orthogonalize`. The
        authors' five steps leave singular values of 0.7 to 1.2 where the oracle has 1.
      by_dual_norm: a factor on the radius, of the dual norm :math:`\langle u, -\rho\,
        \mathrm{lmo}(u) \rangle`, which is a number a matrix; None for 1.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`, where the norm is a
        name; leaves that are no matrices stay as they are.

    Raises:
      ValueError: for an unknown norm.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import lmo
      >>> tx = lmo("l1_to_rms", radius=10.0)
      >>> print(tx.update(jnp.array([[2.0, -2.0], [0.0, 0.0]]), optax.EmptyState())[0])
      [[ 10. -10.]
       [  0.   0.]]

    References:
      Pethick et al. (2025), Sections 2 and 4; Frank and Wolfe (1956).
    """
    check("in (1, inf]", p=p)
    check("finite and > 0", radius=radius)
    _check_norm(norm, over)

    factor_of = orthogonalize(iteration, eps=0.0)

    def polar(x: jax.Array) -> Any:
        return factor_of.update(x, optax.EmptyState())[0]

    def factor(dual: jax.Array) -> jax.Array:
        return jnp.ones_like(dual) if by_dual_norm is None else by_dual_norm(dual)

    def of_leaf(ball: Ball | None, u: jax.Array) -> jax.Array:
        if ball is None or not u.size:
            return u
        axes = ball.axes or last_two_axes("", u)
        stack = to_stack(u, axes)
        direction = unit_dual(stack, ball.norm, p, polar, window(axes, u))
        direction = jnp.asarray(ball.radius * radius, u.dtype) * direction
        dual = jnp.sum(stack * direction, axis=(-2, -1), keepdims=True)
        return from_stack(factor(dual) * direction, axes, u)

    def update(updates, state, params=None):
        del params
        if over:
            return _of_tree(updates, str(norm), p, radius, factor), state
        return jax.tree.map(
            of_leaf, _balls(norm, matrices, updates), updates, is_leaf=is_numbers
        ), state

    return optax.GradientTransformation(optax.init_empty_state, update)


def _of_tree(
    updates: optax.Updates,
    norm: str,
    p: Scalar,
    radius: Scalar,
    factor: Callable[[jax.Array], jax.Array],
) -> optax.Updates:
    direction = unit_dual(updates, norm, p, tree=True)
    direction = jax.tree.map(lambda u: jnp.asarray(radius, u.dtype) * u, direction)
    products = jax.tree.map(lambda u, v: jnp.sum(u * v), updates, direction)
    k = factor(sum(jax.tree.leaves(products), start=jnp.zeros([], jnp.float32)))
    return jax.tree.map(lambda u: k.astype(u.dtype) * u, direction)


def _check_norm(norm: str | Callable[[str, Any], Ball], over: str | None) -> None:
    if over not in (None, "tree"):
        raise ValueError(f'over must be None, for each matrix, or "tree", not {over!r}.')
    check_choice(VECTOR_NORMS if over else NORMS, **({} if callable(norm) else {"norm": norm}))


def _balls(norm: str | Callable[[str, Any], Ball], matrices: Any, updates: optax.Updates) -> Any:
    if callable(norm):
        return map_with_names(norm, updates)
    numbers = dimension_numbers(matrices, updates)
    return jax.tree.map(lambda n: n and Ball(str(norm), axes=n), numbers, is_leaf=is_numbers)
