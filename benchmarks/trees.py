"""Parameters to update: abstract ones with their sharding, and real ones for this machine."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from examples.pretrain.counts import abstract_params
from examples.pretrain.names import name_of
from examples.pretrain.presets import SHAPES
from examples.pretrain.sharding import place

HUGE = 2**26  # elements of one leaf on each device: 256 MB, twice what a TPU holds on its chip


def llama(mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """LLaMA 66M as 75 leaves, its layers apart, shared out by FSDP."""
    leaves = {}
    for path, leaf in jax.tree.leaves_with_path(abstract_params(SHAPES["llama-66m"])):
        name = name_of(path)
        if name.startswith("layers/"):
            one = jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
            leaves |= {f"{layer}/{name}": one for layer in range(leaf.shape[0])}
        else:
            leaves[name] = leaf
    return place(leaves, mesh)


def huge(mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Two leaves, shared out by FSDP, of which no device can hold its part on the chip."""
    rows = 8192 * mesh.size
    # Of different shapes, because XLA may merge the loops over equal ones.
    shapes = {
        "up_proj/kernel": (rows, HUGE // 8192),
        "down_proj/kernel": (HUGE // 4096, rows // 2),
    }
    return place(
        {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}, mesh
    )


TREES = {"llama-66m": llama, "two huge leaves": huge}


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
