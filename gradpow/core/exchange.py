"""Matrices to their owners and back, on one device of those that run it at once."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gradpow.core.owners import Dim, Group, LayoutPart, Ownership
from gradpow.core.stacks import from_stack, to_stack

__all__ = ["map_owned", "slots_here"]

SMALL = 2**20  # coordinates of matrices worked at once: 4 MB, which a TPU keeps on its chip


def map_owned(
    f: Callable[[jax.Array, Any, jax.Array], tuple[jax.Array, Any]],
    own: Ownership,
    group: Group,
    leaves: Sequence[Any],
    state: Any,
    wire: Any = None,
) -> tuple[dict[int, jax.Array], Any]:
    """Maps a function of matrices over those of a group that this device owns.

    Args:
      f: from a matrix (m, n), its state and its number to a matrix and a state.
      own, group: who owns which.
      leaves: a device's pieces of the tree's leaves.
      state: of the matrices in this device's slots.
      wire: the type to send them in, where it is narrower; None is their own.

    Returns:
      A device's pieces of the results, by their leaves' places, and the new state.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import last_two_axes, map_owned, ownership, replicated_layout
      >>> x = jnp.ones((2, 3))
      >>> own = ownership([x], [last_two_axes("", x)], replicated_layout([x]).specs, {}, None)
      >>> (group,) = own.groups.values()
      >>> results, _ = map_owned(lambda u, state, i: (2 * u, state), own, group, [x], ())
      >>> results[0].sum()
      Array(12., dtype=float32)
    """
    dtype = jnp.result_type(*(leaves[leaf.place] for part in group.parts for leaf in part.leaves))
    index, crossed = slots_here(own, group)
    results, states, start = {}, [], 0
    for part in group.parts:
        sent = dtype
        if wire is not None and (part.exchanged or part.replicas):
            sent = min(dtype, jnp.dtype(wire), key=lambda kind: kind.itemsize)
        slots = slice(start, start := start + part.owned)
        turned = crossed[slots] if group.crossed.any() else None
        old = jax.tree.map(lambda s, slots=slots: s[slots], state)
        pieces = _to_owners(own, part, leaves, sent)
        mapped = _mapped(f, own, part, dtype)
        pieces, new = _in_turn(mapped, pieces, old, index[slots] + group.first, turned)
        results |= _from_owners(own, part, pieces, leaves)
        states.append(new)
    return results, jax.tree.map(_joined, *states)


def slots_here(own: Ownership, group: Group) -> tuple[jax.Array, jax.Array]:
    """Numbers of the matrices in this device's slots, and whether they are crossed.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import last_two_axes, ownership, replicated_layout, slots_here
      >>> x = jnp.ones((3, 2, 2))
      >>> own = ownership([x], [last_two_axes("", x)], replicated_layout([x]).specs, {}, None)
      >>> (group,) = own.groups.values()
      >>> print(slots_here(own, group)[0])
      [0 1 2]
    """
    device = lax.axis_index(own.owners) if own.owners else 0
    index, crossed = (
        lax.dynamic_slice_in_dim(jnp.asarray(x), device * group.owned, group.owned)
        for x in (group.index, group.crossed)
    )
    return index, crossed


def _joined(*parts: jax.Array) -> jax.Array:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)  # one alone is not copied


def _mapped(f: Any, own: Ownership, part: LayoutPart, dtype: Any) -> Any:
    """f from the pieces of a matrix to those of its result."""

    def turn(x, crossed):
        return x if crossed is None else lax.cond(crossed, jnp.transpose, lambda x: x, x)

    def mapped(pieces, state, number, crossed):
        matrix = turn(_assemble(own, part, pieces), crossed)
        y, state = f(matrix.astype(dtype), state, number)
        return _cut(own, part, turn(y.astype(pieces.dtype), crossed)), state

    return mapped


def _in_turn(f: Any, x: jax.Array, state: Any, numbers: jax.Array, crossed: Any) -> Any:
    """f on one matrix after the other, each result in its matrix's place.

    So no more than one is there in full precision. Small ones without a state go several at a time.
    """
    pieces, owned, *piece = x.shape
    most = 1 if jax.tree.leaves(state) else max(1, SMALL // (pieces * math.prod(piece)))
    several = max(n for n in range(1, owned + 1) if owned % n == 0 and n <= most)
    turns = [owned // several, *([several] if several > 1 else [])]
    if several > 1:
        f = jax.vmap(f, in_axes=(1, 0, 0, 0), out_axes=(1, 0))

    def body(turn, carried):
        def at(tree, axis):
            return jax.tree.map(
                lambda s: lax.dynamic_index_in_dim(s, turn, axis, keepdims=False), tree
            )

        def put(tree, part, axis):
            return jax.tree.map(
                lambda s, p: lax.dynamic_update_index_in_dim(s, p, turn, axis), tree, part
            )

        x, state = carried
        y, new = f(at(x, 1), *at((state, numbers, crossed), 0))
        return put(x, y, 1), put(state, new, 0)

    def cut(tree):
        return jax.tree.map(lambda s: s.reshape(*turns, *s.shape[1:]), tree)

    x, numbers, crossed = x.reshape(pieces, *turns, *piece), cut(numbers), cut(crossed)
    x, state = lax.fori_loop(0, turns[0], body, (x, cut(state)))
    state = jax.tree.map(lambda s: s.reshape(owned, *s.shape[len(turns) :]), state)
    return x.reshape(pieces, owned, *piece), state


def _to_owners(own: Ownership, part: LayoutPart, leaves: Sequence[Any], wire: Any) -> jax.Array:
    """From a device's pieces of the tree's leaves to all pieces of the matrices that it owns.

    Returns:
      An array (pieces, matrices, rows of a piece, columns of a piece) in the type of the wire.
    """

    def stack(leaf):
        x = to_stack(leaves[leaf.place].astype(wire), leaf.numbers)
        x = x.reshape(-1, *x.shape[-2:])
        return x.mT if leaf.turned else x

    # A single one is not copied.
    x, *others = map(stack, part.leaves)
    x = jnp.concatenate([x, *others]) if others else x
    pieces, replicas = own.devices(part.exchanged), own.devices(part.replicas)
    padding = pieces * replicas * part.owned - part.held
    x = jnp.pad(x, ((0, padding), (0, 0), (0, 0))) if padding else x
    if part.replicas:  # each has all of them, and takes a slice
        start = lax.axis_index(part.replicas) * pieces * part.owned
        x = lax.dynamic_slice_in_dim(x, start, pieces * part.owned)
    x = x.reshape(pieces, part.owned, *x.shape[1:])
    return lax.all_to_all(x, part.exchanged, 0, 0) if part.exchanged else x


def _from_owners(
    own: Ownership, part: LayoutPart, x: jax.Array, like: Sequence[Any]
) -> dict[int, jax.Array]:
    """The inverse: a device's pieces of the part's leaves, by their places."""
    x = lax.all_to_all(x, part.exchanged, 0, 0) if part.exchanged else x
    x = x.reshape(-1, *x.shape[2:])
    x = lax.all_gather(x, part.replicas, tiled=True) if part.replicas else x
    found, start = {}, 0
    for leaf in part.leaves:
        to = like[leaf.place]
        count = math.prod(dim.size // own.devices(dim.axes) for dim in leaf.batch)
        y = lax.slice_in_dim(x, start, start + count)
        y = (y.mT if leaf.turned else y).astype(to.dtype)
        found[leaf.place] = from_stack(y, leaf.numbers, to)
        start += count
    return found


def _assemble(own: Ownership, part: LayoutPart, x: jax.Array) -> jax.Array:
    """A matrix from its pieces (pieces, rows, columns)."""
    shape, order, _ = _axes(own, part)
    m, n = (math.prod(d.size for d in dims) for dims in _dims(part))
    return x.reshape(shape).transpose(order).reshape(m, n)


def _cut(own: Ownership, part: LayoutPart, x: jax.Array) -> jax.Array:
    """The inverse of assembling."""
    shape, order, piece = _axes(own, part)
    x = x.reshape([shape[axis] for axis in order])
    return x.transpose([order.index(axis) for axis in range(len(order))]).reshape(piece)


def _dims(part: LayoutPart) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    return part.leaves[0].rows, part.leaves[0].columns  # those of all of its leaves


def _axes(own: Ownership, part: LayoutPart) -> tuple[list[int], list[int], tuple[int, int, int]]:
    """The axes of all pieces of a matrix, their order in the matrix, and the pieces' shape."""
    rows, columns = ([d.size // own.devices(d.axes) for d in dims] for dims in _dims(part))
    order = []
    for axis, dim in enumerate([*_dims(part)[0], *_dims(part)[1]], start=len(part.exchanged)):
        order += [*(part.exchanged.index(name) for name in dim.axes), axis]
    sizes = [own.sizes[name] for name in part.exchanged]
    piece = (math.prod(sizes), math.prod(rows), math.prod(columns))
    return [*sizes, *rows, *columns], order, piece
