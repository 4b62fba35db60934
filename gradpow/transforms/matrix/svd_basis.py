"""A basis of singular vectors: Zhao et al. (2024b), Algorithm 2; Nguyen et al. (2025)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradpow.core import Basis, Turned, check, check_choice, check_rank, singular_vectors

__all__ = ["SvdBasisState", "svd_basis"]

SIDES = ("in", "out", "both", "shorter", "longer")


class SvdBasisState(NamedTuple):
    """State of :func:`svd_basis`: p and q, the singular vectors; None for a side that is left."""

    p: jax.Array | None
    q: jax.Array | None


def svd_basis(every: int = 200, sides: str = "shorter", rank: int | None = None) -> Basis:
    r"""For :func:`gradpow.transforms.in_basis`: the gradient's singular vectors, every few steps.

    .. math::
      g_t = P_t \Sigma Q_t^\top \text{ if } t \bmod T = 0, \qquad
      \text{else } (P_t, Q_t) = (P_{t-1}, Q_{t-1})

    A basis serves from the step of its gradient on. What is inside is kept at a refresh, column by
    column in the order of the singular values, though the columns are others. A singular vector's
    sign is arbitrary, and other signs would lead elsewhere: each column has the sign with which it
    points along the old one, :math:`\mathrm{diag}(P_{t-1}^\top P_t) \ge 0`, which no paper says.

    Beyond the rank of the gradient columns are any that complete it.

    Args:
      every: T, the steps from one basis to the next, >= 1.
      sides: "in" for P alone, "out" for Q alone, "both"; "shorter" for the axis with fewer
        coordinates (in, if they are equal), "longer" for the other.
      rank: how many of the leading vectors, a Python integer; None for all.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import in_basis, svd_basis
      >>> tx = gradpow.chain(in_basis(optax.scale_by_sign(), svd_basis(sides="both")))
      >>> g = jnp.diag(jnp.array([3.0, -4.0]))
      >>> print(tx.update(g, tx.init(g))[0])
      [[ 1.  0.]
       [ 0. -1.]]

    References:
      Zhao et al. (2024b), Algorithm 2; Nguyen et al. (2025).
    """
    check("finite and >= 1", every=every)
    check_choice(SIDES, sides=sides)
    check_rank(rank=rank)

    def init(shape: tuple[int, ...], dtype: Any) -> SvdBasisState:
        *batch, m, n = shape
        chosen = {"in"} if (m <= n) == (sides == "shorter") else {"out"}
        if sides in ("in", "out", "both"):
            chosen = {"in", "out"} if sides == "both" else {sides}

        def none(side: str, size: int) -> jax.Array | None:
            return jnp.zeros((*batch, size, min(rank or size, size)), dtype)

        return SvdBasisState(
            none("in", m) if "in" in chosen else None, none("out", n) if "out" in chosen else None
        )

    def start(state: SvdBasisState, g: jax.Array) -> SvdBasisState:
        new = singular_vectors(g, _columns(state.p), _columns(state.q))
        return SvdBasisState(_aligned(state.p, new[0]), _aligned(state.q, new[1]))

    return Basis(init, start, lambda state, g: Turned(start(state, g)), every, rank is None)


def _columns(x: jax.Array | None) -> int | None:
    return None if x is None else x.shape[-1]


def _aligned(old: jax.Array | None, new: jax.Array | None) -> jax.Array | None:
    if old is None or new is None:
        return None
    along = jnp.sum(old * new, -2, keepdims=True)
    return new * jnp.where(along < 0, -1, 1).astype(new.dtype)
