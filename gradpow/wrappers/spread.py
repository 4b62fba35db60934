"""Matrices spread over devices: Liu et al. (2025), Algorithm 1."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from gradpow.core import (
    Layouts,
    Matrices,
    Ownership,
    SpreadMatrices,
    SpreadState,
    dimension_numbers,
    hidden_matrices,
    is_numbers,
    is_traced,
    last_two_axes,
    layouts,
    map_owned,
    ownership,
    replicated_layout,
    require_transformation,
    slots_here,
)

__all__ = ["spread", "spread_matrices"]


def spread(
    inner: optax.GradientTransformation,
    shardings: Callable[[str, Any], Any] | Any = None,
    over: tuple[str, ...] | None = None,
    wire: Any = jnp.bfloat16,
    matrices: Matrices | Any = last_two_axes,
    stagger: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Runs a transformation of matrices on whole ones, each on one device that owns it.

    .. math::
      u_i \leftarrow \mathrm{inner}(u_i) \text{ on the device that owns matrix } i

    Under FSDP or tensor parallelism a device has pieces of all matrices. Here each sends its pieces
    away, gets all pieces of its own share of the matrices, transforms these one after another, and
    sends the results back: one all-to-all there and one back for all matrices of a shape, at
    2 (N - 1) / N times a device's share, and no gather of matrices. What devices repeat (a mesh's
    ``data`` axis) is given out among them too.

    ``inner`` sees one matrix a call, a single array (m, n) with m <= n: wider ones come as they
    are, taller ones transposed, so it must treat rows and columns alike
    (:func:`gradpow.transforms.orthogonalize`, Kronecker factors), or not care. What needs the
    parameters, sums over a tree or goes by names stays outside; momentum too, since it is
    elementwise and lies well where the parameters lie. ``grad`` is the matrix that enters. A link
    that asks for the extra argument ``matrix_index`` gets the matrix's number, the same on any
    mesh, by which refreshes are staggered, so that the steps cost alike. What ``inner`` keeps is
    owned as its matrix is.

    Layouts: under explicit axes arrays say theirs. Under automatic ones an eager ``init`` reads the
    parameters' and remembers it; within ``jax.jit`` nothing is known, so pass ``shardings``. Where
    no mesh is known all is done in place, one program a shape. Numbers of ``inner`` must not be
    traced under explicit axes. A state is that of its mesh: :func:`gradpow.respread` takes it to
    another.

    Args:
      inner: a transformation of one matrix.
      shardings: of the parameters: a tree of shardings, of specs, or of arrays that have some, or a
        function of path and leaf.
      over: the mesh's axes over which matrices are given out, besides those that share them out. By
        default all; leave out slow links.
      wire: the type in which matrices are sent, where it is narrower than theirs; None is theirs.
      matrices: which leaves are matrices, and which axes are in and out. Others are left as they
        are.
      stagger: False gives each matrix the number 0: all are refreshed in one step, as in papers.

    Raises:
      ValueError: if a leaf has no sharding among those given; at update, if the state is of
        another mesh.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> normalize = optax.stateless(lambda g, _: g / jnp.linalg.norm(g))
      >>> tx = gradpow.spread(normalize)
      >>> grads = {"layers": jnp.full((2, 8, 2), 3.0)}
      >>> updates, _ = tx.update(grads, tx.init(grads))
      >>> print(updates["layers"][0, 0])
      [0.25 0.25]

    References:
      Liu et al. (2025), Algorithm 1, gathers each matrix on its owner. That all devices exchange
      all matrices of a shape at once, the layouts, and the state's form are ours.
    """
    inner = require_transformation("spread's inner", inner)
    seen: dict[Any, Layouts] = {}

    def plan(tree: Any, new: bool = False) -> tuple[Layouts, Ownership]:
        found = _layouts(tree, shardings, seen, new)
        return found, _ownership(tree, matrices, found, over)

    def init(params):
        if not jax.tree.leaves(params):  # the tree with which optax.tree.map_params asks
            return SpreadState({}, jnp.zeros([]))
        found, own = plan(params, new=True)
        start = functools.partial(_start, inner, own, params)
        return jax.jit(_on_devices(found, start, (), PartitionSpec(own.owners)))()

    def update(updates, state, params=None, **extra_args):
        del params
        leaves, structure = jax.tree.flatten(updates)
        if not leaves:
            return updates, state
        found, own = plan(updates)
        _require_slots(own, state)

        def of_one(matrix: Any, state: Any, number: Any) -> Any:
            given = extra_args | {"grad": matrix, "matrix_index": number if stagger else 0}
            return inner.update(matrix, state, None, **given)

        specs = found.partitions, PartitionSpec(own.owners)
        work = functools.partial(_work, of_one, own, wire)
        leaves, new = _on_devices(found, work, specs, specs)(leaves, state.inner)
        return structure.unflatten(leaves), SpreadState(state.index, new)

    return optax.GradientTransformationExtraArgs(init, update)


def _layouts(tree: Any, shardings: Any, seen: dict[Any, Layouts], new: bool) -> Layouts:
    """Those of the tree; what an eager init has seen is remembered."""
    key = jax.tree.structure(tree), tuple(x.shape for x in jax.tree.leaves(tree))
    if new and not any(map(is_traced, jax.tree.leaves(tree))):
        seen.pop(key, None)
    found = layouts(tree, shardings, seen.get(key)) or replicated_layout(tree)
    if new and found.mesh is not None:
        seen[key] = found
    return found


def _ownership(tree: Any, matrices: Any, found: Layouts, over: tuple[str, ...] | None) -> Ownership:
    # None is an answer about a leaf, or an empty part of the tree.
    numbers: list[Any] = []
    answers = dimension_numbers(matrices, tree)
    jax.tree.map(lambda n, x: x is None or numbers.append(n), answers, tree, is_leaf=is_numbers)
    sizes = dict(found.mesh.shape) if found.mesh is not None else {}
    return ownership(jax.tree.leaves(tree), numbers, found.specs, sizes, over)


def _start(inner: optax.GradientTransformation, own: Ownership, params: Any) -> SpreadState:
    """The state of the matrices of a device."""
    dtype = jnp.result_type(*jax.tree.leaves(params))
    slots, inners = {}, {}
    for name, group in own.groups.items():
        slots[name] = slots_here(own, group)[0]
        one = inner.init(jnp.zeros(group.shape, dtype))
        inners[name] = jax.tree.map(lambda x, g=group: _rows(x, g.owned), one)
    return SpreadState(slots if jax.tree.leaves(inners) else {}, inners)


def _work(of_one: Any, own: Ownership, wire: Any, leaves: Any, inners: Any) -> Any:
    """What a device does with its pieces of the leaves and the matrices it owns."""
    results, new = list(leaves), {}
    for name, group in own.groups.items():
        done, new[name] = map_owned(of_one, own, group, leaves, inners[name], wire)
        for place, result in done.items():
            results[place] = result
    return results, new


def spread_matrices(
    matrices: Matrices = hidden_matrices,
    shardings: Callable[[str, Any], Any] | Any = None,
    over: tuple[str, ...] | None = None,
    wire: Any = jnp.bfloat16,
    factors: Any = None,
    stagger: bool = True,
) -> SpreadMatrices:
    """For the argument ``hidden`` of a method of matrices: whose products are then spread.

    Where it reaches a link that multiplies matrices (:func:`gradpow.transforms.orthogonalize`,
    ``kronecker_precondition``, ``in_basis``), :func:`gradpow.spread` goes around that link. All
    else of the method stays where the parameters lie.

    Args:
      matrices: which leaves are matrices, as the method takes it otherwise.
      shardings, over, stagger: as in :func:`gradpow.spread`.
      wire: the type of what is sent for links that keep nothing.
      factors: the same for links that keep factors, whose small eigenvalues count; None is theirs.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"mlp": {"kernel": jnp.ones((2, 3))}}
      >>> tx = gradpow.muon(0.02, hidden=gradpow.spread_matrices())
      >>> updates, state = tx.update(params, tx.init(params), params)
      >>> updates["mlp"]["kernel"].shape
      (2, 3)
    """

    def around(link: optax.GradientTransformation, keeps: bool) -> optax.GradientTransformation:
        return spread(link, shardings, over, factors if keeps else wire, matrices, stagger)

    return SpreadMatrices(matrices, around)


def _on_devices(found: Layouts, f: Any, in_specs: Any, out_specs: Any) -> Any:
    """f as each device runs it on its pieces; f itself where there is no mesh."""
    if found.mesh is None:
        return f
    in_use = jax.sharding.get_abstract_mesh()
    return jax.shard_map(
        f,
        mesh=found.mesh if in_use.empty else None,
        in_specs=in_specs,
        out_specs=out_specs,
        check_vma=False,  # that gathered results are the same everywhere is known here alone
    )


def _rows(x: Any, count: int) -> jax.Array:
    return jnp.repeat(jnp.asarray(x)[None], count, 0)


def _require_slots(own: Ownership, state: SpreadState) -> None:
    for name, group in own.groups.items():
        there = state.index[name].size if state.index else group.index.size
        if there != group.index.size:
            raise ValueError(
                f"the state has {there} slots for matrices of {name} and this mesh needs "
                f"{group.index.size}: it was made on another, or without its shardings. Take it "
                "here by gradpow.respread, or give spread the shardings before init."
            )
