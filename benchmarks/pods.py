"""What each optimizer's step costs on TPUs and GPUs that need not be here.

    pip install -e ".[pretrain,pods]"
    python -m benchmarks.pods                                  # every method on every device
    python -m benchmarks.pods --targets v5e:4x4 --methods s3 grams

Update and apply are compiled ahead of time, params and states donated, and the scheduled program is
read: how much memory it moves over what it must, in how many loops, with what temporaries. Writes
pods.json, pods.md and pods.png; the same command goes on where one was stopped.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter
from rich.console import Console

from examples import style
from examples.pretrain import absent, cli
from examples.pretrain.errors import UserError, shown_in_one_line
from examples.pretrain.hardware import tree_bytes
from examples.pretrain.sharding import MeshShape, make_mesh, place
from examples.progress import print_table, progress_bar

from . import trees
from .display import kept, look, rank, save
from .methods import METHODS, REDUCING, chosen, in_pipeline, step_of
from .program import Cost, cost

TPUS = ("v4:2x2x1", "v5e:4x4", "v5e:16x16", "v5p:2x2x1", "v6e:4x4", "tpu7x:2x2x1")
TARGETS = (*TPUS, "h100")
PIPELINE = "llama-66m in a pipeline"


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile optimizers for TPUs and GPUs that need not be here, and read what a step costs."""

    targets: tuple[str, ...] = TARGETS
    """TPU slices as generation:shape, and h100."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Optimizers; the beginning of a name stands for all that begin so."""
    out: Path = Path("runs/pods")
    """Folder for the results."""
    overwrite: bool = False
    """Compile anew what is there."""


@dataclasses.dataclass(frozen=True)
class Step:
    """An update and its application, on one of the devices that share it out."""

    parameters: int
    leaves: int
    state: int  # bytes of the optimizer's arrays
    cost: Cost
    donated: int  # bytes of results in their arguments' place
    reserved: int  # bytes beside arguments and results, also on the chip
    seconds: float  # of compilation

    @property
    def traffic(self) -> float:
        return (self.cost.read + self.cost.written) / (12 * self.parameters + 2 * self.state)

    @property
    def temporaries(self) -> float:
        """What is written beyond the params and states."""
        return (self.cost.written - self.state) / (4 * self.parameters) - 1

    @property
    def passes(self) -> float:
        return self.cost.passes / self.leaves


@dataclasses.dataclass(frozen=True)
class Row:
    target: str
    tree: str
    method: str
    devices: int
    devices_per_chip: int
    step: Step


def mesh_of(target: str) -> Mesh:
    return make_mesh(MeshShape(), absent.h100() if target == "h100" else absent.tpus(target))


def measure(tx: optax.GradientTransformation, params: dict[str, Any], mesh: Mesh) -> Step:
    state = place(jax.eval_shape(tx.init, params), mesh)
    clock = time.perf_counter()
    lowered = jax.jit(step_of(tx), donate_argnums=(0, 2)).lower(params, params, state)
    step: Any = lowered.compile()
    seconds = round(time.perf_counter() - clock, 2)
    memory = step.memory_analysis()
    return Step(
        parameters=tree_bytes(params) // 4,
        leaves=len(params),
        state=tree_bytes([leaf for leaf in jax.tree.leaves(state) if leaf.ndim]),
        cost=cost(step.as_text(), min(map(tree_bytes, params.values())) // 4),
        donated=memory.alias_size_in_bytes,
        reserved=memory.temp_size_in_bytes,
        seconds=seconds,
    )


HEADS = (
    "traffic",
    "temporaries",
    "passes",
    "collectives",
    "transcendentals",
    "operations",
    "compiled in, s",
)


def table(rows: list[Row]) -> str:
    """A table for each target and tree, in Markdown."""
    lines = []
    for target, tree in dict.fromkeys((row.target, row.tree) for row in rows):
        here = [row for row in rows if (row.target, row.tree) == (target, tree)]
        one = here[0]
        chips = f", {one.devices_per_chip} a chip" if one.devices_per_chip > 1 else ""
        lines += [
            f"**{target}**, {tree}: {one.devices} devices{chips}, {one.step.parameters:,} "
            f"parameters in {one.step.leaves} leaves on each",
            "",
            f"| optimizer | {' | '.join(HEADS)} |",
            "|---" * (len(HEADS) + 1) + "|",
            *(f"| {row.method} | {_cells(row.step)} |" for row in here),
            "",
        ]
    return "\n".join([*lines, EXPLANATION])


TICKS = (1, 3, 10, 30, 100, 300, 1000)
EXPLANATION = (
    "Traffic: bytes that a device's step reads from and writes to its main memory, over the bytes "
    "of reading params, gradients and states once and writing params and states once. Temporaries: "
    "what is written there beyond these, over the params. Passes: loops over arrays, a leaf. "
    "Collectives: number and bytes of their results. Transcendentals and operations: elementwise "
    "ones, a parameter."
)


def _cells(step: Step) -> str:
    c = step.cost
    exchanged = f"{c.collectives}, {c.exchanged:,} B" if c.collectives else "0"
    work = f"{c.transcendentals / step.parameters:.1f} | {c.operations / step.parameters:.0f}"
    return (
        f"{step.traffic:.3f} | {step.temporaries:.3f} | {step.passes:.2f} | {exchanged} | {work} "
        f"| {step.seconds:.1f}"
    )


def draw(rows: list[Row], path: Path) -> None:
    """Traffic over the ideal, a row a method, a panel a tree; targets side by side as dots."""
    kinds = list(dict.fromkeys(row.tree for row in rows))
    names = list(dict.fromkeys(row.method for row in rows))
    targets = list(dict.fromkeys(row.target for row in rows))
    figure = Figure(
        figsize=(3.2 * len(kinds) + 3, 0.24 * len(names) + 1.2), dpi=200, layout="constrained"
    )
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    most = 1.1 * max(1.5, *(row.step.traffic for row in rows))
    for axes, kind in zip(panels, kinds, strict=True):
        for i, target in enumerate(targets):
            here = [row for row in rows if (row.tree, row.target) == (kind, target)]
            heights = [names.index(row.method) + 0.1 * (i - len(targets) / 2) for row in here]
            traffic = [row.step.traffic for row in here]
            axes.plot(traffic, heights, ".", ms=4, color=f"C{i}", label=target)
        axes.axvline(1, color="#444444", lw=0.8)
        axes.set(title=kind, xlabel="memory traffic over the ideal", xscale="log", xlim=(0.9, most))
        axes.set_xticks(TICKS[: sum(tick < most for tick in TICKS)])
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        style.clean(axes)
    panels[0].set_yticks(range(len(names)), [look(name).label for name in names])
    panels[0].invert_yaxis()
    dots, labels = panels[0].get_legend_handles_labels()
    figure.legend(dots, labels, loc="outside right upper", frameon=False, markerscale=2)
    figure.savefig(path)


def row_of(fields: dict[str, Any]) -> Row:
    step = Step(**{**fields["step"], "cost": Cost(*fields["step"]["cost"])})
    return Row(**{**fields, "step": step})


def _order(row: Row) -> tuple[int, ...]:
    known = (TARGETS, [*trees.TREES, PIPELINE], list(METHODS))
    found = (row.target, row.tree, row.method)
    return tuple(rank(x, names) for x, names in zip(found, known, strict=True))


def run(options: Options, console: Console) -> list[Row]:
    """Targets that cannot be had are left out, with a line that says why."""
    names, path = list(chosen(options.methods)), options.out / "pods"
    rows = [row_of(fields) for fields in kept(path, options.overwrite)]
    done = {(row.target, row.tree, row.method) for row in rows}
    jobs = []
    for target in options.targets:
        try:
            mesh = mesh_of(target)
        except UserError as error:
            console.print(f"left out: {error}", markup=False)
            continue
        jobs += [
            (target, mesh, tree, name)
            for tree in (*trees.TREES, PIPELINE)
            for name in names
            if (target, tree, name) not in done and (tree != PIPELINE or name not in REDUCING)
        ]
    with progress_bar(console) as progress:
        task = progress.add_task("", total=len(jobs))
        for target, mesh, tree, name in jobs:
            progress.update(task, description=f"{target}, {tree}: {name}")
            params = trees.TREES[tree.removesuffix(" in a pipeline")](mesh)
            tx = in_pipeline(METHODS[name]) if tree == PIPELINE else METHODS[name](1e-3)
            a_chip = mesh.size // absent.chips(mesh.devices.flat)
            rows.append(Row(target, tree, name, mesh.size, a_chip, measure(tx, params, mesh)))
            rows.sort(key=_order)
            save(path, rows, table(rows))
            progress.advance(task)
    return rows


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("pods"):
        options, console = cli.parse(Options, "benchmarks.pods", arguments), Console(soft_wrap=True)
        rows = run(options, console)
        if not rows:
            raise UserError("nothing could be compiled")
        draw(rows, options.out / "pods.png")
        print_table(table(rows), console)


if __name__ == "__main__":
    main()
