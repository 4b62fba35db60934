"""Which device owns which matrix of a tree that is shared out over a mesh, in plain numbers.

Matrices of one shape, up to a transposition, are a group, numbered through its leaves in the tree's
order and their batch axes. Those of a group that are shared out alike are a part: it takes one
exchange, after which each device has whole matrices, its own.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from optax.contrib import MuonDimensionNumbers

from gradpow.core.stacks import stack_axes

__all__ = ["Group", "LayoutPart", "Leaf", "Ownership", "ownership"]

Axes = tuple[str, ...]


class Dim(NamedTuple):
    """An axis of a leaf: its size, and the mesh's axes that share it out."""

    size: int
    axes: Axes


class Leaf(NamedTuple):
    """A leaf as a stack of matrices.

    place: among the tree's leaves.
    numbers: which axes are in and out.
    turned: whether the exchange takes its matrices transposed.
    crossed: whether they are transposed there, but not in their group, or the other way round.
    batch, rows, columns: its axes; rows and columns are those of the exchange.
    first: the number of its first matrix in its group.
    """

    place: int
    numbers: MuonDimensionNumbers
    turned: bool
    crossed: bool
    batch: tuple[Dim, ...]
    rows: tuple[Dim, ...]
    columns: tuple[Dim, ...]
    first: int

    @property
    def count(self) -> int:
        return math.prod(dim.size for dim in self.batch)


class LayoutPart(NamedTuple):
    """Matrices of one shape that are shared out alike.

    exchanged: the mesh's axes that share out a matrix; replicas: those that repeat it.
    held: matrices of which a device has a piece before the exchange; owned: those that it has whole
    after it, with padding the same on each device.
    """

    leaves: tuple[Leaf, ...]
    exchanged: Axes
    replicas: Axes
    held: int
    owned: int


class Group(NamedTuple):
    """All matrices of one shape (m, n), m <= n.

    first: the number of its first matrix among all groups'.
    index: of the matrix in each slot, -1 where there is none; devices in the owners' order.
    crossed: whether the matrix in that slot comes transposed out of its exchange.
    """

    shape: tuple[int, int]
    first: int
    parts: tuple[LayoutPart, ...]
    index: np.ndarray
    crossed: np.ndarray

    @property
    def owned(self) -> int:
        """Slots of a device."""
        return sum(part.owned for part in self.parts)


class Ownership(NamedTuple):
    """Of a tree. sizes: of the mesh's axes; owners: those over which matrices are given out."""

    sizes: Mapping[str, int]
    owners: Axes
    groups: dict[str, Group]

    def devices(self, axes: Axes) -> int:
        return math.prod(self.sizes[axis] for axis in axes)


def ownership(
    shapes: Sequence[Any],
    numbers: Sequence[MuonDimensionNumbers | None],
    specs: Sequence[tuple[Axes, ...]],
    sizes: Mapping[str, int],
    over: Axes | None = None,
) -> Ownership:
    """Who owns which matrix.

    Args:
      shapes: what has the leaves' shapes.
      numbers: their axes, None where a leaf is no matrix.
      specs: for each axis of each leaf the mesh's axes that share it out.
      sizes: of all axes of the mesh.
      over: the axes over which matrices are given out, besides those that share them out anyway;
        all by default.

    Examples:
      >>> import jax
      >>> from gradpow.core import last_two_axes, ownership
      >>> w = jax.ShapeDtypeStruct((3, 8, 4), "float32")
      >>> own = ownership([w], [last_two_axes("", w)], [((), ("x",), ())], {"x": 2})
      >>> own.groups["4x8"].index  # two on the first device, one on the second
      array([ 0,  1,  2, -1])
    """
    sharing = {axis for n, spec in zip(numbers, specs, strict=True) if n for axes in spec
               for axis in axes}  # fmt: skip
    wanted = sizes if over is None else {*over, *sharing}
    owners = tuple(axis for axis, size in sizes.items() if axis in wanted and size > 1)
    found = Ownership(sizes, owners, {})
    leaves: dict[tuple[int, int], list[Leaf]] = {}
    for place, (n, x, spec) in enumerate(zip(numbers, shapes, specs, strict=True)):
        if n is not None:
            shape, leaf = _leaf(place, n, x, spec, sizes)
            before = leaves.setdefault(shape, [])
            before.append(leaf._replace(first=sum(other.count for other in before)))
    first = 0
    for (m, n), members in sorted(leaves.items()):
        group = _group(found, (m, n), members)
        found.groups[f"{m}x{n}"] = group._replace(first=first)
        first += sum(leaf.count for leaf in members)
    return found


def _leaf(
    place: int,
    numbers: MuonDimensionNumbers,
    x: Any,
    spec: tuple[Axes, ...],
    sizes: Mapping[str, int],
) -> tuple[tuple[int, int], Leaf]:
    """A leaf, and its matrices' shape as the group has it."""

    def dims(axes: tuple[int, ...]) -> tuple[Dim, ...]:
        kept = (tuple(axis for axis in spec[a] if sizes[axis] > 1) for a in axes)
        return tuple(Dim(x.shape[a], names) for a, names in zip(axes, kept, strict=True))

    batch, rows, columns = map(dims, stack_axes(x, numbers))
    m, n = (math.prod(dim.size for dim in dims) for dims in (rows, columns))
    wide = m <= n
    # A square one is turned as its exchange likes it, so that all of them take the same.
    turned = columns < rows if m == n else not wide
    rows, columns = (columns, rows) if turned else (rows, columns)
    crossed = m == n and turned
    leaf = Leaf(place, numbers, turned, crossed, batch, rows, columns, 0)
    return (min(m, n), max(m, n)), leaf


def _group(own: Ownership, shape: tuple[int, int], leaves: list[Leaf]) -> Group:
    alike: dict[Any, list[Leaf]] = {}
    for leaf in leaves:
        sharing = sorted(axis for dim in leaf.batch for axis in dim.axes)
        alike.setdefault((tuple(sharing), leaf.rows, leaf.columns), []).append(leaf)
    parts = tuple(_part(own, sharing, tuple(members)) for (sharing, *_), members in alike.items())
    slots = [
        np.concatenate([_slots(own, part, dict(zip(own.owners, device, strict=True)))
                        for part in parts], axis=1)
        for device in np.ndindex(*(own.sizes[axis] for axis in own.owners))
    ]  # fmt: skip
    index, crossed = np.concatenate(slots, axis=1)
    return Group(shape, 0, parts, index, crossed == 1)


def _part(own: Ownership, batch: Axes, leaves: tuple[Leaf, ...]) -> LayoutPart:
    sharing = {axis for dim in leaves[0].rows + leaves[0].columns for axis in dim.axes}
    exchanged = tuple(axis for axis in own.owners if axis in sharing)
    replicas = tuple(axis for axis in own.owners if axis not in sharing and axis not in batch)
    held = sum(leaf.count for leaf in leaves) // own.devices(batch)
    return LayoutPart(
        leaves, exchanged, replicas, held, -(-held // own.devices(exchanged + replicas))
    )


def _slots(own: Ownership, part: LayoutPart, device: Mapping[str, int]) -> np.ndarray:
    """Numbers of the matrices that a device owns, and whether they are crossed."""

    def rank(axes: Axes) -> int:
        return int(np.ravel_multi_index([device[a] for a in axes], [own.sizes[a] for a in axes])
                   ) if axes else 0  # fmt: skip

    index, crossed = [], []
    for leaf in part.leaves:
        numbers = leaf.first + np.arange(leaf.count).reshape([dim.size for dim in leaf.batch])
        for axis, dim in enumerate(leaf.batch):
            numbers = np.split(numbers, own.devices(dim.axes), axis)[rank(dim.axes)]
        index.append(numbers.ravel())
        crossed.append(np.full(numbers.size, leaf.crossed))
    several = own.devices(part.exchanged + part.replicas)
    padding = (0, several * part.owned - part.held)
    found = np.stack(
        [
            np.pad(np.concatenate(index), padding, constant_values=-1),
            np.pad(np.concatenate(crossed), padding),
        ]
    )
    start = (rank(part.replicas) * own.devices(part.exchanged) + rank(part.exchanged)) * part.owned
    return found[:, start : start + part.owned]
