"""What updates of matrices cost over a pod that need not be here.

    pip install -e ".[pretrain,pods]"
    JAX_PLATFORMS=cpu python -m benchmarks.matrices

The hidden matrices of a LLaMA alone, whose update is compiled ahead of time and read: what a device
sends, what it holds beside arguments and results, what it moves in its memory, and how much of the
products it does. Writes matrices.json and matrices.md; the same command goes on where one was
stopped.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from rich.console import Console

import gradpow
from examples.pretrain import absent, cli
from examples.pretrain.collectives import collectives, trip_count
from examples.pretrain.counts import abstract_params
from examples.pretrain.errors import UserError, shown_in_one_line
from examples.pretrain.hardware import tree_bytes
from examples.pretrain.hlo import Instruction, arrays, attribute, operands, parse
from examples.pretrain.names import name_of
from examples.pretrain.optimizers import hidden_matrices
from examples.pretrain.presets import SHAPES
from examples.pretrain.sharding import MeshShape, make_mesh, place
from examples.progress import print_table, progress_bar

from .display import kept, save
from .program import branches, cost


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile updates of matrices for TPUs that need not be here, and read what they cost."""

    presets: tuple[str, ...] = ("llama-0.2b", "llama-1b", "llama-2b")
    """Models."""
    updates: tuple[str, ...] = ()
    """Updates; all by default."""
    out: Path = Path("runs/matrices")
    """Folder for the results."""
    overwrite: bool = False
    """Compile anew what is there."""


@dataclasses.dataclass(frozen=True)
class Case:
    preset: str
    topology: str
    mesh: str  # as in "fsdp 4 x tensor 4"
    update: str


@dataclasses.dataclass(frozen=True)
class Row:
    """Of one device, in bytes."""

    case: Case
    devices: int
    parameters: int  # of the hidden matrices, in all
    sent: int
    exchanges: dict[str, int]  # of each kind
    temporaries: int
    traffic: int
    work: float  # products, over an even share of those that one device would do
    state: int
    seconds: float  # of compilation

    @property
    def share(self) -> float:
        """A float32 copy of a device's part."""
        return 4 * self.parameters / self.devices


COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def newton_schulz() -> optax.GradientTransformation:
    def orthogonal(x):
        a, b, c = COEFFICIENTS
        x /= jnp.linalg.norm(x) + 1e-7
        for _ in range(5):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        return x

    return optax.stateless(lambda u, _: orthogonal(u))


def newton_schulz_products(m: int, n: int) -> int:
    """Operations on a matrix (m, n)."""
    m, n = min(m, n), max(m, n)
    return 5 * (2 * m * m * n * 2 + 2 * m**3)


UPDATES: dict[str, Any] = {
    "muon": lambda shardings: gradpow.spread(newton_schulz(), shardings, matrices=hidden_matrices),
}


def mesh_of(case: Case) -> Mesh:
    sizes = dict(part.split() for part in case.mesh.split(" x "))
    shape = MeshShape(**{"fsdp": 1} | {axis: int(size) for axis, size in sizes.items()})
    return make_mesh(shape, absent.tpus(case.topology))


def hidden(preset: str, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """The hidden matrices, layers stacked, as the model's sharding has them."""
    leaves = {name_of(p): x for p, x in jax.tree.leaves_with_path(abstract_params(SHAPES[preset]))}
    return place({k: x for k, x in leaves.items() if hidden_matrices(k, x)}, mesh)


def products(text: str) -> int:
    """Operations of the products of matrices in a program's text."""
    computations, entry = parse(text)

    @functools.cache
    def of(name: str) -> int:
        total, types = 0, {i.name: i.result for i in computations[name]}
        for i in computations[name]:
            if i.opcode == "while":
                total += of(attribute(i, "body")) * trip_count(i, computations)
            elif i.opcode == "conditional":
                total += max(map(of, branches(i)))
            elif called := attribute(i, "calls") or attribute(i, "to_apply"):
                total += of(called)
            elif i.opcode in ("dot", "convolution"):
                left, right = (arrays(types[name])[0].size for name in operands(i)[:2])
                out = arrays(i.result)[0].size
                total += 2 * out * round(math.sqrt(left * right / out))
        return total

    return of(entry)


def measure(case: Case) -> Row:
    mesh = mesh_of(case)
    params = hidden(case.preset, mesh)
    tx = UPDATES[case.update](jax.tree.map(lambda x: x.sharding, params))
    state = jax.eval_shape(tx.init, params)
    clock = time.perf_counter()
    program: Any = jax.jit(tx.update, donate_argnums=(0, 1)).lower(params, state).compile()
    seconds = time.perf_counter() - clock
    text = program.as_text()
    Path("/tmp/hlo.txt").write_text(text)
    found, moved = collectives(text), cost(text, 2**20)
    whole = sum(
        math.prod(x.shape[:-2]) * newton_schulz_products(*x.shape[-2:]) for x in params.values()
    )
    return Row(
        case,
        mesh.size,
        sum(x.size for x in params.values()),
        round(sum(c.sent for c in found)),
        {k: sum(c.times for c in found if c.kind == k) for k in {c.kind for c in found}},
        program.memory_analysis().temp_size_in_bytes,
        moved.read + moved.written,
        products(text) / (whole / mesh.size),
        tree_bytes(state),
        round(seconds, 1),
    )
