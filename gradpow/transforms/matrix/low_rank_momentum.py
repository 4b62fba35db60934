"""Momentum of low rank, with feedback of the error: Ahn et al. (2025), Algorithm 1."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow.core import (
    Matrices,
    Scalar,
    check,
    check_rank,
    dimension_numbers,
    from_stack,
    guarded_divide,
    is_numbers,
    laid_out_as,
    last_two_axes,
    orthonormal,
    replicated,
    square_root,
    to_stack,
    whole,
)

__all__ = ["LowRankMomentumState", "low_rank_momentum"]


class LowRankMomentumState(NamedTuple):
    """State of :func:`low_rank_momentum`: M, the momentum; Q, the last right vectors."""

    m: optax.Updates
    q: Any


def low_rank_momentum(
    rank: int,
    b: Scalar = 0.95,
    eps: Scalar = 1e-8,
    seed: int = 0,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformation:
    r"""Emits orthonormal factors of the momentum's leading part, and keeps what they left.

    .. math::
      B_t = M_{t-1} + u_t^\top, \qquad P_t = \mathrm{qr}(B_t Q_{t-1}), \qquad R_t = B_t^\top P_t \\
      M_t = B_t - (1 - \mu) P_t R_t^\top, \qquad
      Q_t = \text{columns of } R_t \text{, each over its norm} + \epsilon, \qquad
      u_t \leftarrow Q_t P_t^\top

    A paper's matrix is (out, in), and ours its transpose: Q has a row for each input. Q starts with
    normal numbers from a seed, the same for all matrices of a shape, so that neither a mesh nor
    whether layers are stacked changes a step. Only P is decomposed, and only narrow matrices cross
    devices. For derivatives P is a constant.

    The authors' distributed code takes the transpose of a matrix that has more inputs than outputs:
    another method, unless the rank is full.

    Args:
      rank: how many columns P and Q have, a Python integer; at most the shorter axis is long.
      b: mu, what is left in M of the part that was emitted, in [0, 1).
      eps: added to the norms, >= 0. From the authors' code.
      seed: of the first Q.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`; leaves without an
        answer are left alone.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import low_rank_momentum
      >>> tx, g = low_rank_momentum(rank=1), jnp.array([[3.0], [4.0]])
      >>> print(tx.update(g, tx.init(g))[0].T)
      [[0.6 0.8]]

    References:
      Ahn et al. (2025), Algorithm 1.
    """
    check_rank(rank=rank)
    check("in [0, 1)", b=b)
    check("finite and >= 0", eps=eps)

    def init(params):
        if not jax.tree.leaves(params):  # optax.tree.map_params asks so for what is a parameter's
            return LowRankMomentumState(params, jnp.zeros([]))
        numbers = dimension_numbers(matrices, params)

        first = functools.partial(_first_q, rank, seed)
        q = jax.tree.map(first, numbers, params, is_leaf=is_numbers)
        return LowRankMomentumState(optax.tree.zeros_like(params), q)

    def update(updates, state, params=None):
        del params
        if not jax.tree.leaves(updates):
            return updates, state
        numbers = dimension_numbers(matrices, updates)

        def of_leaf(n, u, m, q):
            if n is None:
                return u, m, q
            *new, q = _step(to_stack(whole(m + u), n), whole(q), b, eps)
            return *(laid_out_as(u, from_stack(x, n, u)) for x in new), replicated(q)

        steps = jax.tree.map(of_leaf, numbers, updates, state.m, state.q, is_leaf=is_numbers)
        parts = [
            jax.tree.map(lambda n, s, i=i: s[i], numbers, steps, is_leaf=is_numbers)
            for i in range(3)
        ]
        return parts[0], LowRankMomentumState(*parts[1:])

    return optax.GradientTransformation(init, update)


def _first_q(rank: int, seed: int, n: MuonDimensionNumbers | None, x: Any) -> Any:
    if n is None:
        return optax.MaskedNode()
    stack = jax.eval_shape(lambda x: to_stack(x, n), x)
    *batch, inside, out = stack.shape
    q = jax.random.normal(jax.random.key(seed), (inside, min(rank, inside, out)), jnp.float32)
    return jnp.broadcast_to(q.astype(stack.dtype), (*batch, *q.shape)).copy()


def _step(x: jax.Array, q: jax.Array, b: Scalar, eps: Scalar) -> tuple[jax.Array, ...]:
    """Of B' and the last Q, the update Q P', the next M' and Q."""
    # In units of the largest number, on which nothing depends: squares neither vanish nor overflow.
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(x), (-2, -1), keepdims=True, initial=0))
    unit = guarded_divide(x, size)
    p = orthonormal(unit.mT @ q)
    r = unit @ p
    length = square_root(jnp.sum(r * r, -2, keepdims=True))
    q = guarded_divide(r, length + eps * guarded_divide(jnp.ones_like(size), size))
    return q @ p.mT, x - (1 - b) * size * (r @ p.mT), q
