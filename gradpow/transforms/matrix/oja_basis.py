"""A basis that follows the leading eigenspace: Liu et al. (2025b), Algorithm 1."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradpow.core import (
    Basis,
    Scalar,
    Turned,
    check,
    check_choice,
    check_rank,
    orthonormal,
    precisely,
    singular_vectors,
)

__all__ = ["OjaBasisState", "oja_basis"]


class OjaBasisState(NamedTuple):
    """State of :func:`oja_basis`: U is p or q, by its side; s, the factor in its coordinates."""

    p: jax.Array | None
    q: jax.Array | None
    s: jax.Array


def oja_basis(rank: int = 64, decay: Scalar = 0.999, side: str = "in") -> Basis:
    r"""For :func:`gradpow.transforms.split_subspace`: leading eigenvectors of an average, followed.

    .. math::
      U_t &= \mathrm{qr}\bigl(\beta\, U_{t-1} S_{t-1} + (1 - \beta)\, g_t g_t^\top U_{t-1}\bigr) \\
      S_t &= U_t^\top \bigl(\beta\, U_{t-1} S_{t-1} U_{t-1}^\top
      + (1 - \beta)\, g_t g_t^\top\bigr) U_t

    The factor :math:`U S U^\top` stands for Shampoo's average of :math:`g g^\top` and is never
    made. U starts with the leading singular vectors of the first gradient, and moves at each step,
    before it is used. What is inside is kept; the signs of R's diagonal are fixed in the
    decomposition, so that columns do not turn round.

    A step that leaves its type's range moves nothing.

    Args:
      rank: how many columns U has, a Python integer.
      decay: beta, in [0, 1).
      side: "in" or "out", the axis whose vectors U has.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import in_basis, oja_basis
      >>> tx = gradpow.chain(in_basis(optax.identity(), oja_basis(rank=1)))
      >>> g = jnp.diag(jnp.array([3.0, 4.0]))
      >>> print(tx.update(g, tx.init(g))[0].round(3) + 0.0)
      [[0. 0.]
       [0. 4.]]

    References:
      Liu et al. (2025b), Algorithm 1.
    """
    check_rank(rank=rank)
    check("in [0, 1)", decay=decay)
    check_choice(("in", "out"), side=side)
    inside = side == "in"

    def state_of(u: jax.Array, s: jax.Array) -> OjaBasisState:
        return OjaBasisState(u, None, s) if inside else OjaBasisState(None, u, s)

    def init(shape: tuple[int, ...], dtype: Any) -> OjaBasisState:
        *batch, m, n = shape
        size = m if inside else n
        r = min(rank, size)
        return state_of(jnp.zeros((*batch, size, r), dtype), jnp.zeros((*batch, r, r), dtype))

    def view(state: OjaBasisState, g: jax.Array) -> tuple[Any, jax.Array]:
        return (state.p, g) if inside else (state.q, g.mT)

    def start(state: OjaBasisState, g: jax.Array) -> OjaBasisState:
        old, g = view(state, g)
        u: Any = singular_vectors(g, old.shape[-1], None)[0]
        s = (1 - decay) * _gram(u, g)
        return state_of(u, _where_finite(s, s, state.s))

    def refresh(state: OjaBasisState, g: jax.Array) -> Turned:
        old, g = view(state, g)
        product = decay * precisely(old, state.s)
        product += (1 - decay) * precisely(g, precisely(g.mT, old))
        u = orthonormal(_where_finite(product, product, old))
        t = precisely(old.mT, u)
        s = decay * precisely(t.mT, precisely(state.s, t)) + (1 - decay) * _gram(u, g)
        return Turned(state_of(_where_finite(s, u, old), _where_finite(s, s, state.s)))

    return Basis(init, start, refresh, 1, False)


def _gram(u: jax.Array, g: jax.Array) -> jax.Array:
    x = precisely(u.mT, g)
    return precisely(x, x.mT)


def _where_finite(x: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(x).all((-2, -1), keepdims=True), new, old)
