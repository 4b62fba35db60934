"""Parameters to update: abstract ones with their sharding, and real ones for this machine."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from examples.pretrain.counts import abstract_params
from examples.pretrain.names import name_of
from examples.pretrain.presets import SHAPES
from examples.pretrain.sharding import logical_axes, spec

HUGE = 2**26  # elements of one leaf on each device: 256 MB, twice what a TPU holds on its chip


def llama(mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """LLaMA 66M as 75 leaves, its layers apart, shared out by FSDP."""
    leaves = {}
    for path, leaf in jax.tree.leaves_with_path(abstract_params(SHAPES["llama-66m"])):
        name, axes = name_of(path), logical_axes(name_of(path), leaf.ndim)
        if name.startswith("layers/"):
            for layer in range(leaf.shape[0]):
                leaves[f"{layer}/{name}"] = _abstract(leaf.shape[1:], axes[1:], mesh)
        else:
            leaves[name] = _abstract(leaf.shape, axes, mesh)
    return leaves


def huge(mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Two leaves of which no device can hold its part on the chip."""
    # Of different shapes, because XLA may merge the loops over equal ones.
    rows = 8192 * mesh.size
    return {
        "tall": _abstract((rows, HUGE // 8192), ("embed", None), mesh),
        "wide": _abstract((HUGE // 4096, rows // 2), (None, "embed"), mesh),
    }


TREES = {"llama-66m": llama, "two huge leaves": huge}


def _abstract(shape: Any, axes: Any, mesh: Mesh) -> jax.ShapeDtypeStruct:
    sharding = NamedSharding(mesh, spec(axes, shape, mesh))
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)


def state_of(tx: Any, params: Any, mesh: Mesh) -> Any:
    """The abstract state of an optimizer, each array shared out as the parameter that it is for."""

    def put(path, leaf):
        names = [key.key for key in path if getattr(key, "key", None) in params]
        like = names and leaf.shape == params[names[-1]].shape
        sharding = params[names[-1]].sharding if like else NamedSharding(mesh, PartitionSpec())
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map_with_path(put, jax.eval_shape(tx.init, params))


def local_size(leaf: jax.ShapeDtypeStruct) -> int:
    assert leaf.sharding is not None
    return math.prod(leaf.sharding.shard_shape(leaf.shape))


def one_leaf(size: int) -> dict[str, jax.Array]:
    return normal({"leaf": (size,)})


def transformer(size: int) -> dict[str, jax.Array]:
    """About so many parameters in the shapes of a GPT-2 of twelve layers and 8,192 tokens."""
    # 12 layers of 12 d^2 and a table of 8192 d.
    width = 64 * max(1, round((math.sqrt(8192**2 + 4 * 144 * size) - 8192) / 288 / 64))
    shapes: dict[str, tuple[int, ...]] = {"embedding": (8192, width)}
    for layer in range(12):
        shapes |= {
            f"{layer}/attention": (width, 3 * width),
            f"{layer}/output": (width, width),
            f"{layer}/up": (width, 4 * width),
            f"{layer}/down": (4 * width, width),
            f"{layer}/norm": (width,),
        }
    return normal(shapes)


def many_leaves(size: int, count: int) -> dict[str, jax.Array]:
    # Of eight sizes, as models repeat a few shapes.
    part = size // count
    return normal({f"{i:05}": (max(1, part * (4 + i % 8) // 8),) for i in range(count)})


def normal(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, jax.Array]:
    generator = np.random.default_rng(seed)
    return {
        name: jnp.asarray(generator.standard_normal(shape, np.float32))
        for name, shape in shapes.items()
    }
