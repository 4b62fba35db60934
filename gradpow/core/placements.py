"""How the leaves of a tree are shared out over a mesh, where that can be known."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from gradpow.core.trees import is_function, map_with_names

__all__ = ["Layouts", "is_traced", "layouts", "replicated_layout"]


class Layouts(NamedTuple):
    """mesh: of all leaves; specs: of each leaf, of each of its axes, the mesh's axes."""

    mesh: Any
    specs: list[tuple[tuple[str, ...], ...]]

    @property
    def partitions(self) -> list[PartitionSpec]:
        """The specs as JAX takes them."""
        return [PartitionSpec(*spec) for spec in self.specs]


def layouts(
    tree: Any, given: Callable[[str, Any], Any] | Any = None, remembered: Layouts | None = None
) -> Layouts | None:
    """The mesh and the specs of a tree's leaves; None where there is no mesh, or none is known.

    What is given counts first, then what an array says: a concrete one always does, a traced one
    under explicit axes alone; then what is remembered. Within a ``shard_map`` there is no mesh.

    Args:
      tree: of arrays.
      given: shardings, or specs of the mesh in use, or arrays that have some, by the paths of the
        leaves; the tree may have more of them. Or a function of path and leaf.
      remembered: of the same tree.

    Raises:
      ValueError: if a leaf has no sharding among those given, or specs have no mesh.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import layouts
      >>> layouts({"w": jnp.ones(2)}) is None
      True
    """
    in_use = jax.sharding.get_abstract_mesh()
    if in_use.manual_axes:
        return None
    find = _own if given is None else _lookup(given, tree)
    found = jax.tree.leaves(map_with_names(find, tree), is_leaf=lambda x: x is None)
    if not any(_mesh(x) for x in found) and given is None:
        return remembered
    meshes = [mesh for mesh in map(_mesh, found) if mesh is not None]
    mesh = next(iter(meshes), None) if in_use.empty else in_use
    if mesh is None:
        raise ValueError(
            "shardings are PartitionSpecs, and no mesh is in use: enter jax.set_mesh(mesh), or "
            "give NamedShardings."
        )
    leaves = jax.tree.leaves(tree)
    return Layouts(mesh, [_spec(s, x.ndim) for s, x in zip(found, leaves, strict=True)])


def replicated_layout(tree: Any) -> Layouts:
    """That of arrays on one device, or whole on each.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import replicated_layout
      >>> replicated_layout({"w": jnp.ones((2, 3))}).specs
      [((), ())]
    """
    return Layouts(None, [_spec(None, x.ndim) for x in jax.tree.leaves(tree)])


def is_traced(x: Any) -> bool:
    """Whether an array has no value yet, within a transformation of JAX.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import is_traced
      >>> is_traced(jnp.ones(2))
      False
    """
    return isinstance(x, Tracer)


def _own(path: str, x: Any) -> Any:
    del path
    if not is_traced(x):
        return getattr(x, "sharding", None)
    sharding = jax.typeof(x).sharding
    return sharding if sharding.mesh.explicit_axes else None


def _lookup(given: Any, tree: Any) -> Callable[[str, Any], Any]:
    if is_function(given, tree):
        return given
    named: dict[str, Any] = {}
    map_with_names(named.__setitem__, given, is_leaf=_is_sharding)

    def find(path: str, x: Any) -> Any:
        if path not in named:
            raise ValueError(
                f"shardings have none for {path!r}, only for {', '.join(map(repr, named))}."
            )
        found = named[path]
        return found if _is_sharding(found) else _own(path, found)

    return find


def _is_sharding(x: Any) -> bool:
    return isinstance(x, Sharding | PartitionSpec)


def _mesh(sharding: Any) -> Any:
    return sharding.mesh if isinstance(sharding, NamedSharding) else None


def _spec(sharding: Any, ndim: int) -> tuple[tuple[str, ...], ...]:
    spec = sharding.spec if isinstance(sharding, NamedSharding) else sharding
    parts = tuple(spec) if isinstance(spec, PartitionSpec) else ()
    parts += (None,) * (ndim - len(parts))
    return tuple(part if isinstance(part, tuple) else (part,) if part else () for part in parts)
