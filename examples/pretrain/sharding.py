"""Which device holds which part of which array: one table from logical axes to the mesh's axes.

The mesh has three axes. Along `data` the parameters are repeated. Along `fsdp` what is kept between
steps is shared out, and each layer's weights are gathered where they are used (ZeRO, stage 3;
Rajbhandari et al., 2020). Along `tensor` heads, hidden features and the vocabulary are split
(Megatron-LM; Shoeybi et al., 2019). The batch is shared out along `data` and `fsdp`. XLA's
partitioner (GSPMD) does the rest.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gradpow.core import SpreadState

from .errors import UserError
from .names import name_of

RULES: dict[str | None, tuple[str, ...]] = {
    "batch": ("data", "fsdp"),
    "data": ("data",),
    "embed": ("fsdp",),
    "experts": ("fsdp",),
    "heads": ("tensor",),
    "hidden": ("tensor",),
    "vocab": ("tensor",),
}
# The logical axes of parameters, by the end of their name; all others are small and replicated.
# A stack of layers has one axis more, before these.
AXES = {
    r"(embed_tokens|wte)/embedding": ("vocab", "embed"),
    r"wpe/embedding": (None, "embed"),
    r"lm_head/kernel": ("embed", "vocab"),
    r"[qkv]_proj/kernel": ("embed", "heads"),
    r"[qkv]_proj/bias": ("heads",),
    r"(self_attn/o_proj|attn/c_proj)/kernel": ("heads", "embed"),
    r"(gate_proj|up_proj|c_fc)/kernel": ("embed", "hidden"),
    r"c_fc/bias": ("hidden",),
    r"(down_proj|mlp/c_proj)/kernel": ("hidden", "embed"),
    r"experts/(gate|up)_proj": ("experts", "embed", "hidden"),
    r"experts/down_proj": ("experts", "hidden", "embed"),
    r"mlp/(shared_expert_)?gate/kernel": ("embed", None),
}


@dataclasses.dataclass(frozen=True)
class MeshShape:
    """Devices along each axis of the mesh; their product is the number of devices."""

    data: int = 1
    """Parts of the batch, each with parameters of its own."""
    fsdp: int = 0
    """Parts of the batch, the parameters and the optimizer's state; 0: all devices left."""
    tensor: int = 1
    """Parts of heads, hidden features and vocabulary."""


def make_mesh(shape: MeshShape, devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh over all devices, or in a single process over the first of them."""
    devices = jax.devices() if devices is None else devices
    there = len(devices)
    sizes = dataclasses.asdict(shape)
    if min(sizes.values()) < 0:
        raise UserError(f"--mesh.{min(sizes, key=sizes.__getitem__)} must be at least 0")
    given = math.prod(size for size in sizes.values() if size)
    if there % given:
        raise UserError(
            f"--mesh.{' x '.join(sizes)} = {' x '.join(map(str, sizes.values()))} does not divide "
            f"the {there} devices: lower one of them, or give 0 to one for all devices left"
        )
    if list(sizes.values()).count(0) > 1:
        raise UserError("only one --mesh axis can be 0, for all devices left")
    sizes = {axis: size or there // given for axis, size in sizes.items()}
    used = math.prod(sizes.values())
    if used < there and jax.process_count() > 1:
        raise UserError(
            f"the mesh takes {used} of {there} devices, and several processes must all take part: "
            "give 0 to one --mesh axis for all devices left"
        )
    return jax.make_mesh(
        tuple(sizes.values()), tuple(sizes), axis_types=3 * (AxisType.Auto,), devices=devices[:used]
    )


def check_divides(mesh: Mesh, shape: Any, batch_size: int, accumulate: int) -> None:
    """Raises `UserError` where heads or a batch cannot be shared out evenly."""
    heads, tensor = getattr(shape, "heads", 1), mesh.shape["tensor"]  # 1 where there are none
    if heads % tensor:
        raise UserError(f"--mesh.tensor {tensor} does not divide --shape.heads {heads}")
    parts = batch_parts(mesh) * accumulate
    if batch_size % parts:
        times = f" x --accumulate {accumulate}" if accumulate > 1 else ""
        raise UserError(
            f"--batch-size {batch_size} must be a multiple of {parts}, --mesh.data "
            f"{mesh.shape['data']} x --mesh.fsdp {mesh.shape['fsdp']}{times}"
        )


def spec(axes: Sequence[str | None], shape: Sequence[int], mesh: Any) -> PartitionSpec:
    """The mesh axes of each axis of an array; those that do not divide it leave it whole.

    A mesh axis is used once, by the first that can: with experts over `fsdp`, their `embed` is
    whole, and takes `fsdp` where the experts' number is no multiple of it.
    """
    parts, used = [], set()
    for axis, size in zip(axes, shape, strict=True):
        free = tuple(a for a in RULES.get(axis, ()) if mesh.shape.get(a, 1) > 1 and a not in used)
        if size % math.prod(mesh.shape[a] for a in free):
            free = ()
        used.update(free)
        parts.append(free or None)
    return PartitionSpec(*parts)


def constrain(x: jax.Array, *axes: str | None) -> jax.Array:
    """Says to the partitioner how an activation is shared out; x itself outside of such a mesh."""
    mesh = jax.sharding.get_abstract_mesh()
    if not set(mesh.axis_names) & set(RULES["batch"]):
        return x
    return jax.lax.with_sharding_constraint(x, spec(axes, x.shape, mesh))


def logical_axes(name: str, ndim: int) -> tuple[str | None, ...]:
    """Of a parameter, or of what an optimizer keeps for one, whose names end alike."""
    for pattern, axes in AXES.items():
        if re.search(f"(^|/)({pattern})$", name) and 0 <= ndim - len(axes) <= 1:
            return (None,) * (ndim - len(axes)) + axes
    return (None,) * ndim


def place(tree: Any, mesh: Mesh) -> Any:
    """The abstract arrays of parameters or a state, each with its sharding.

    What is kept of matrices that are spread over the devices lies with them, or in a checkpoint,
    where it has no padding, along the first axis that the devices divide.
    """
    axes = tuple(axis for axis, size in mesh.shape.items() if size > 1)

    def owned(leaf):
        divided = [a for a, size in enumerate(leaf.shape) if axes and size % mesh.size == 0]
        return PartitionSpec(*divided[0] * (None,), axes) if divided else PartitionSpec()

    def put(path, leaf):
        if isinstance(leaf, SpreadState):
            return jax.tree.map(lambda x: placed(x, owned(x)), leaf)
        return placed(leaf, spec(logical_axes(name_of(path), leaf.ndim), leaf.shape, mesh))

    def placed(leaf, found):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, found))

    return jax.tree.map_with_path(put, tree, is_leaf=lambda x: isinstance(x, SpreadState))


def constrain_as_params(grads: Any) -> Any:
    """Says to the partitioner that gradients are shared out as their parameters are."""
    return jax.tree.map_with_path(
        lambda path, x: constrain(x, *logical_axes(name_of(path), x.ndim)), grads
    )


def batch_parts(mesh: Mesh) -> int:
    """Into how many parts a batch is shared out."""
    return math.prod(mesh.shape[axis] for axis in RULES["batch"])


def batch_sharding(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(RULES["batch"]))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def data_shard(mesh: Mesh, process: int | None = None) -> tuple[int, int]:
    """Which share of each batch a process, this one by default, reads, and of how many.

    Processes along `tensor` hold the same sequences, and read the same share.
    """
    process = jax.process_index() if process is None else process
    index = batch_sharding(mesh).devices_indices_map((batch_parts(mesh),))
    rows: dict[int, set[int]] = {}
    for device, (part,) in index.items():
        rows.setdefault(device.process_index, set()).add(part.start or 0)
    shares = sorted({tuple(sorted(share)) for share in rows.values()})
    return shares.index(tuple(sorted(rows[process]))), len(shares)


def not_divided(params: Any, mesh: Mesh) -> list[str]:
    """What stays whole although the rules would share it out, as in "embed 100 over fsdp 8"."""
    found = {}
    for path, leaf in jax.tree.leaves_with_path(params):
        axes = logical_axes(name_of(path), leaf.ndim)
        parts = spec(axes, leaf.shape, mesh)
        taken = set(jax.tree.leaves(tuple(parts)))
        for axis, size, part in zip(axes, leaf.shape, parts, strict=True):
            wanted = [a for a in RULES.get(axis, ()) if mesh.shape[a] > 1]
            if part is None and not taken.issuperset(wanted):
                found[f"{axis} {size} over {wanted[0]} {mesh.shape[wanted[0]]}"] = True
    return list(found)
