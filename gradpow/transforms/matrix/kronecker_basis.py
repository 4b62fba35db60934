"""The basis of Shampoo's factors: Vyas et al. (2024), Algorithms 3 and 4."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradpow.core import Basis, Scalar, Turned, check, orthonormal, precisely, singular_vectors

__all__ = ["KroneckerBasisState", "kronecker_basis"]


class KroneckerBasisState(NamedTuple):
    """State of :func:`kronecker_basis`: p and q; l and r, the factors of the in and out axes."""

    p: jax.Array | None
    q: jax.Array | None
    l: jax.Array | None  # noqa: E741, the paper's symbol
    r: jax.Array | None


def kronecker_basis(every: int = 10, decay: Scalar = 0.95, largest: int = 10_000) -> Basis:
    r"""For :func:`gradpow.transforms.in_basis`: eigenvectors of Shampoo's factors, by iteration.

    .. math::
      L_t = \beta L_{t-1} + (1 - \beta)\, g_t g_t^\top, \qquad
      P_t = \mathrm{qr}(L_t P_{t-1}) \text{ if } t \bmod k = 0

    and likewise R from :math:`g_t^\top g_t` and Q. The first step makes eigenvectors and does
    nothing else; a basis then serves from the step after its gradient on, so that no gradient is
    seen in a basis of its own. Before each iteration columns are put in the falling order of
    :math:`\mathrm{diag}(P^\top L P)`, and what is inside is permuted alike. Signs do not matter to
    second moments; a momentum inside turns with the basis.

    Where a factor would leave its type's range it stays as it was.

    Args:
      every: k, the steps from one basis to the next, >= 1.
      decay: beta, in [0, 1).
      largest: an axis with more coordinates than this keeps its own.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> from gradpow.transforms import in_basis, kronecker_basis
      >>> tx = gradpow.chain(in_basis(optax.scale_by_sign(), kronecker_basis()))
      >>> g = jnp.array([[3.0, 4.0], [3.0, 4.0]])
      >>> nothing, state = tx.update(g, tx.init(g))
      >>> print(nothing.any(), jnp.abs(state[0].basis.q[:, 0]).round(3))
      False [0.6 0.8]

    References:
      Vyas et al. (2024), Algorithms 3 and 4; the first step and the order are the authors' code's.
    """
    check("finite and >= 1", every=every, largest=largest)
    check("in [0, 1)", decay=decay)

    def init(shape: tuple[int, ...], dtype: Any) -> KroneckerBasisState:
        *batch, m, n = shape

        def none(size: int) -> jax.Array | None:
            return jnp.zeros((*batch, size, size), dtype) if size <= largest else None

        return KroneckerBasisState(none(m), none(n), none(m), none(n))

    def observe(state: KroneckerBasisState, g: jax.Array) -> KroneckerBasisState:
        factors = _average(state.l, g, decay), _average(state.r, g.mT, decay)
        return KroneckerBasisState(state.p, state.q, *factors)

    def start(state: KroneckerBasisState, g: jax.Array) -> KroneckerBasisState:
        sides = (None if x is None else x.shape[-1] for x in (state.p, state.q))
        p, q = singular_vectors(g, *sides)  # of g, the eigenvectors of g g' and g' g
        return state._replace(p=p, q=q)

    def refresh(state: KroneckerBasisState, g: jax.Array) -> Turned:
        del g
        (p, rows), (q, columns) = _iterate(state.p, state.l), _iterate(state.q, state.r)
        return Turned(state._replace(p=p, q=q), (rows, columns))

    return Basis(init, start, refresh, every, True, observe, late=True)


def _average(factor: jax.Array | None, g: jax.Array, b: Scalar) -> jax.Array | None:
    if factor is None:
        return None
    new = b * factor + (1 - b) * precisely(g, g.mT)
    finite = jnp.isfinite(new).all((-2, -1), keepdims=True)
    return jnp.where(finite, new, factor)


def _iterate(p: jax.Array | None, factor: jax.Array | None) -> Any:
    if p is None or factor is None:
        return None, None
    product = precisely(factor, p)
    order = jnp.argsort(jnp.sum(p * product, -2), descending=True)
    return orthonormal(jnp.take_along_axis(product, order[..., None, :], -1)), order
