"""What updates of matrices cost over a pod that need not be here.

    pip install -e ".[pretrain,pods]"
    JAX_PLATFORMS=cpu python -m benchmarks.matrices

The hidden matrices of a LLaMA alone, whose update by `gradpow.spread` is compiled ahead of time and
read: what a device sends, what it holds beside arguments and results, what it moves in its memory,
and how much of the products it does. Writes matrices.json and matrices.md; the same command goes on
where one was stopped.
"""

import dataclasses
import functools
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rich.console import Console

import gradpow
from examples.pretrain import absent, cli
from examples.pretrain.collectives import collectives, trip_count
from examples.pretrain.counts import abstract_params
from examples.pretrain.errors import UserError, shown_in_one_line
from examples.pretrain.hardware import tree_bytes
from examples.pretrain.hlo import arrays, attribute, operands, parse
from examples.pretrain.names import name_of
from examples.pretrain.optimizers import hidden_matrices
from examples.pretrain.presets import SHAPES
from examples.pretrain.sharding import MeshShape, make_mesh, place
from examples.progress import print_table, progress_bar
from gradpow.transforms import (
    in_basis,
    kronecker_basis,
    kronecker_precondition,
    moment_scale,
    orthogonalize,
)

from .display import kept, save
from .program import branches, cost

STEPS = 5  # of Muon's Newton and Schulz iteration


class Targets(NamedTuple):
    """Megabytes sent, of temporaries, gigabytes of traffic, work, gigabytes of state."""

    sent: float | None = None
    temporaries: float | None = None
    traffic: float | None = None
    work: float | None = None
    state: float | None = None


class Case(NamedTuple):
    preset: str
    topology: str
    mesh: str  # as in "fsdp 4 x tensor 4"
    update: str


CASES = {
    Case("llama-1b", "v5e:4x4", "fsdp 16", "muon"): Targets(250, 227, 3.1, 1.18),
    Case("llama-1b", "v5e:4x4", "fsdp 4 x tensor 4", "muon"): Targets(250, 227, 3.1, 1.18),
    Case("llama-0.2b", "v5e:4x4", "data 4 x fsdp 4", "muon"): Targets(201, work=1.25),
    Case("llama-2b", "v5e:16x16", "fsdp 256", "muon"): Targets(85, 250, work=2.8),
    Case("llama-0.2b", "v5e:4x4", "fsdp 16", "shampoo"): Targets(40, state=0.4),
    Case("llama-0.2b", "v5e:4x4", "fsdp 16", "soap"): Targets(40, state=0.4),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile updates of matrices for TPUs that need not be here, and read what they cost."""

    updates: tuple[str, ...] = ("muon", "shampoo", "soap")
    """Which of the updates."""
    out: Path = Path("runs/matrices")
    """Folder for the results."""
    overwrite: bool = False
    """Compile anew what is there."""


@dataclasses.dataclass(frozen=True)
class Row:
    """Of one device, in bytes."""

    preset: str
    topology: str
    mesh: str
    update: str
    devices: int
    parameters: int  # of the hidden matrices, in all
    sent: int
    exchanges: dict[str, int]  # how many of each kind
    temporaries: int
    traffic: int
    work: float | None  # products, over an even share of those that one device would do
    state: int
    seconds: float  # of compilation

    @property
    def case(self) -> Case:
        return Case(self.preset, self.topology, self.mesh, self.update)


UPDATES: dict[str, optax.GradientTransformation] = {
    "muon": orthogonalize(),
    "shampoo": kronecker_precondition(optax.ema(0.999, debias=False), every=10),
    "soap": in_basis(moment_scale(optax.ema(0.95), eps=1e-8), kronecker_basis(), optax.ema(0.95)),
}


def least_products(params: dict[str, Any]) -> int:
    """Operations of Muon's products over all matrices."""

    def of(x):
        m, n = sorted(x.shape[-2:])
        return math.prod(x.shape[:-2]) * STEPS * (4 * m * m * n + 2 * m**3)

    return sum(map(of, params.values()))


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
    shardings = {name: x.sharding for name, x in params.items()}
    tx = gradpow.spread(UPDATES[case.update], shardings, matrices=hidden_matrices)
    state = jax.eval_shape(tx.init, params)
    whole = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    state = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), state)
    clock = time.perf_counter()
    program: Any = jax.jit(tx.update, donate_argnums=(0, 1)).lower(params, state).compile()
    seconds = round(time.perf_counter() - clock, 1)
    text = program.as_text()
    found, moved = collectives(text), cost(text, 2**20)
    kinds: Counter[str] = Counter()
    for c in found:
        kinds[c.kind] += c.times
    return Row(
        *case,
        devices=mesh.size,
        parameters=sum(x.size for x in params.values()),
        sent=round(sum(c.sent for c in found)),
        exchanges=dict(kinds),
        temporaries=program.memory_analysis().temp_size_in_bytes,
        traffic=moved.read + moved.written,
        work=round(products(text) / least_products(params) * mesh.size, 3)
        if case.update == "muon"
        else None,
        state=tree_bytes(state),
        seconds=seconds,
    )


HEADS = (
    "update", "mesh", "sent, MB", "temporaries, MB", "traffic, GB", "work", "state, GB",
    "exchanges", "compiled in, s",
)  # fmt: skip


def table(rows: list[Row]) -> str:
    """Each figure with its target, where it has one."""
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    for row in rows:
        wanted = CASES.get(row.case, Targets())
        found = Targets(
            row.sent / 1e6, row.temporaries / 1e6, row.traffic / 1e9, row.work, row.state / 1e9
        )
        figures = [
            "" if x is None else f"{x:.3g}" + (f" (<= {most:g})" if most else "")
            for x, most in zip(found, wanted, strict=True)
        ]
        where = f"{row.preset}, {row.topology}, {row.mesh}"
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(row.exchanges.items()))
        lines.append(
            f"| {' | '.join((row.update, where, *figures, kinds, f'{row.seconds:.0f}'))} |"
        )
    return "\n".join(lines)


def run(options: Options, console: Console) -> list[Row]:
    path = options.out / "matrices"
    rows = [Row(**fields) for fields in kept(path, options.overwrite)]
    done = {row.case for row in rows}
    jobs = [case for case in CASES if case.update in options.updates and case not in done]
    with progress_bar(console) as progress:
        task = progress.add_task("", total=len(jobs))
        for case in jobs:
            progress.update(task, description=", ".join(case))
            rows.append(measure(case))
            rows.sort(key=lambda row: list(CASES).index(row.case))
            save(path, rows, table(rows))
            progress.advance(task)
    return rows


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("matrices"):
        options = cli.parse(Options, "benchmarks.matrices", arguments)
        console = Console(soft_wrap=True)
        rows = run(options, console)
        if not rows:
            raise UserError(f"--updates takes {', '.join(UPDATES)}")
        print_table(table(rows), console)


if __name__ == "__main__":
    main()
