"""States whose matrices the devices of a mesh own, and the way from one mesh to another."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = ["SpreadState", "owned_shardings", "respread"]


class SpreadState(NamedTuple):
    """State of :func:`spread`, by the matrices' shapes, as in "64x128"; arrays have a row a slot.

    index: the number of the matrix in each slot, -1 for none; inner: the wrapped state of each.
    """

    index: dict[str, jax.Array]
    inner: Any


def respread(state: Any, like: Any) -> Any:
    """A state whose matrices are spread over one mesh, as it is on another.

    A checkpoint that any mesh can go on from holds no padding: it is respread to the state of the
    same optimizer without a mesh, which has a row a matrix, and from there to that of a mesh.

    Args:
      state: of an optimizer, with :func:`spread` anywhere in it.
      like: a new state of the same optimizer and parameters there. Under ``jax.jit`` only its
        indices are computed.

    Returns:
      The state, all of whose :class:`SpreadState` have the slots of ``like``.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.spread(optax.trace(0.9))
      >>> state = tx.init({"w": jnp.ones((3, 2, 2))})
      >>> gradpow.respread(state, state).index["2x2"].tolist()
      [0, 1, 2]
    """

    def is_spread(x: Any) -> bool:
        return isinstance(x, SpreadState)

    def moved(old: Any, new: Any) -> Any:
        return _respread(old, new) if is_spread(old) else old

    return jax.tree.map(moved, state, like, is_leaf=is_spread)


def _respread(old: SpreadState, new: SpreadState) -> SpreadState:
    inner = dict(new.inner)
    for name, to in new.index.items():
        given = old.index[name]
        slots = jnp.arange(given.size)
        # Where each matrix was; there are no more of them than slots.
        places = (
            jnp.zeros_like(slots)
            .at[jnp.where(given < 0, given.size, given)]
            .set(slots, mode="drop")
        )
        taken = jnp.where(to < 0, 0, places.at[to].get(mode="clip"))

        def move(x, like, to=to, taken=taken):
            there = (to >= 0).reshape(-1, *(1,) * (x.ndim - 1))
            return jnp.where(there, x[taken], like)

        inner[name] = jax.tree.map(move, old.inner[name], new.inner[name])
    return SpreadState(new.index, inner)


def owned_shardings(state: Any, mesh: Mesh, over: tuple[str, ...] | None = None) -> Any:
    """How the arrays of each :class:`SpreadState` in a state lie; None for all other arrays.

    For placements by parameters' names, which owned arrays do not have.

    Args:
      state: of an optimizer; it may be abstract.
      mesh: of the devices.
      over: as in :func:`gradpow.spread`, with the axes that share out matrices; all by default.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> state = gradpow.spread(optax.trace(0.9)).init({"w": jnp.ones((3, 2, 2))})
      >>> mesh = jax.make_mesh((1,), ("fsdp",))
      >>> gradpow.owned_shardings(state, mesh).index["2x2"].spec
      P()
    """
    axes = tuple(
        axis for axis, size in mesh.shape.items() if size > 1 and axis in (over or mesh.shape)
    )
    owned = NamedSharding(mesh, PartitionSpec(axes) if axes else PartitionSpec())

    def of(part: Any) -> Any:
        return jax.tree.map(lambda x: owned, part) if isinstance(part, SpreadState) else None

    return jax.tree.map(of, state, is_leaf=lambda x: isinstance(x, SpreadState))
