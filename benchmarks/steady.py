"""Whether a long run compiles anew or grows: 10,000 calls of one jitted, donating step.

    python -m benchmarks.steady

Every call gets a fresh NumPy gradient, as a loop over data does. After 1,000 and after all calls:
how many programs were compiled, how many arrays live and their bytes, and the process's memory.
Writes steady.json and steady.md; the same command goes on where one was stopped.
"""

import dataclasses
import gc
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import psutil
from rich.console import Console

from examples.pretrain import cli
from examples.pretrain.errors import shown_in_one_line
from examples.progress import print_table, progress_bar

from . import trees
from .display import kept, rank, save
from .methods import METHODS, chosen, step_of

SIZE = 10_000
LEAVES = 4


@dataclasses.dataclass(frozen=True)
class Options:
    """Count what a long run compiles and keeps."""

    steps: int = 10_000
    """Calls; the first look is after a tenth of them."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Optimizers; the beginning of a name stands for all that begin so."""
    smoke: bool = False
    """100 calls."""
    out: Path = Path("runs/steady")
    """Folder for the results."""
    overwrite: bool = False
    """Measure anew what is there."""


@dataclasses.dataclass(frozen=True)
class Seen:
    step: int
    compilations: int
    arrays: int  # that live
    bytes: int  # of them
    resident: int  # bytes of the process


@dataclasses.dataclass(frozen=True)
class Row:
    method: str
    early: Seen
    late: Seen


def measure(method: str, tx: optax.GradientTransformation, steps: int) -> Row:
    params = trees.many_leaves(SIZE, LEAVES)
    early, late = watched(tx, params, (steps // 10, steps))
    return Row(method, early, late)


def watched(
    tx: optax.GradientTransformation, params: dict[str, jax.Array], looks: tuple[int, ...]
) -> list[Seen]:
    """What is there after so many steps; the params are donated."""
    generator = np.random.default_rng(0)
    state = tx.init(params)
    step: Any = jax.jit(step_of(tx), donate_argnums=(0, 2))
    seen = []
    for i in range(1, max(looks) + 1):
        grads = {
            name: generator.standard_normal(leaf.shape, np.float32) for name, leaf in params.items()
        }
        params, state = step(params, grads, state)
        if i in looks:
            jax.block_until_ready(params)
            gc.collect()
            arrays = jax.live_arrays()
            size = sum(array.nbytes for array in arrays)
            resident = psutil.Process().memory_info().rss
            seen.append(Seen(i, step._cache_size(), len(arrays), size, resident))
    return seen


def table(rows: list[Row]) -> str:
    lines = [
        "| optimizer | compilations | live arrays | their bytes | process, MB |",
        "|---" * 5 + "|",
    ]
    for row in rows:
        a, b = row.early, row.late
        pairs = [(a.compilations, b.compilations), (a.arrays, b.arrays), (a.bytes, b.bytes)]
        pairs.append((round(a.resident / 1e6), round(b.resident / 1e6)))
        lines.append(f"| {row.method} | {' | '.join(f'{x:,} / {y:,}' for x, y in pairs)} |")
    if rows:
        lines += ["", f"After {rows[0].early.step:,} and after {rows[0].late.step:,} steps."]
    return "\n".join(lines)


def run(options: Options, console: Console) -> list[Row]:
    makes, path = chosen(options.methods), options.out / "steady"
    steps = 100 if options.smoke else options.steps
    rows = [row_of(fields) for fields in kept(path, options.overwrite)]
    rows = [row for row in rows if row.late.step == steps]
    done = {row.method for row in rows}
    with progress_bar(console) as progress:
        task = progress.add_task("", total=len(makes), completed=len(done & set(makes)))
        for name in [name for name in makes if name not in done]:
            progress.update(task, description=name)
            rows.append(measure(name, makes[name](1e-3), steps))
            rows.sort(key=lambda row: rank(row.method, list(METHODS)))
            save(path, rows, table(rows))
            progress.advance(task)
    return rows


def row_of(fields: dict[str, Any]) -> Row:
    return Row(fields["method"], Seen(**fields["early"]), Seen(**fields["late"]))


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("steady"):
        options = cli.parse(Options, "benchmarks.steady", arguments)
        cli.require_at_least(10, steps=options.steps)
        console = Console(soft_wrap=True)
        print_table(table(run(options, console)), console)


if __name__ == "__main__":
    main()
