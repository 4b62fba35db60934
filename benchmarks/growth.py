"""How compilation and a step grow with the number of leaves, beside optax.adamw.

    python -m benchmarks.growth
    python -m benchmarks.growth --leaves 10 100 1000 --methods s3 grams

A million parameters in all, in leaves of a few sizes. Writes growth.json, growth.md and growth.png;
the same command goes on where one was stopped.
"""

import dataclasses
import statistics
from pathlib import Path

import jax
from matplotlib.figure import Figure
from rich.console import Console

from examples import style
from examples.pretrain import cli
from examples.pretrain.errors import shown_in_one_line
from examples.progress import print_table, progress_bar

from . import trees
from .cpu import BASE, Step, take_turns
from .display import kept, look, save
from .methods import METHODS, chosen

SIZE = 1_000_000


@dataclasses.dataclass(frozen=True)
class Options:
    """Time compilation and steps over the number of leaves."""

    leaves: tuple[int, ...] = (10, 100, 1000, 5000)
    """Numbers of leaves."""
    methods: tuple[str, ...] = (
        "optax.adamw", "adampower", "s3, p=3", "stacey(p,2)", "grams", "cautious_adam",
    )  # fmt: skip
    """Optimizers; the beginning of a name stands for all that begin so."""
    seconds: float = 2.0
    """How long each takes turns with optax.adamw."""
    out: Path = Path("runs/growth")
    """Folder for the results."""
    overwrite: bool = False
    """Measure anew what is there."""


@dataclasses.dataclass(frozen=True)
class Row:
    leaves: int
    method: str
    compile_s: float  # tracing included
    step_ms: float
    ratio: float  # of the steps' medians, to optax.adamw's


def measure(leaves: int, name: str, base: Step, seconds: float) -> Row:
    params = base.params
    step = Step(METHODS[name](1e-3), params, base.grads)
    turns = take_turns(base, step, seconds)
    base_s, own_s = (statistics.median(times) for times in zip(*turns, strict=True))
    jax.clear_caches()
    return Row(
        leaves, name, round(step.compile_s, 2), round(1e3 * own_s, 3), round(own_s / base_s, 2)
    )


def table(rows: list[Row]) -> str:
    counts = list(dict.fromkeys(row.leaves for row in rows))
    head = " | ".join(f"{count:,} leaves" for count in counts)
    lines = [f"| optimizer | {head} |", "|---" * (len(counts) + 1) + "|"]
    found = {(row.method, row.leaves): row for row in rows}
    for name in dict.fromkeys(row.method for row in rows):
        cells = [
            f"{row.compile_s:.1f} s, {row.step_ms:.1f} ms, {row.ratio:.2f}" if row else ""
            for row in (found.get((name, count)) for count in counts)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "Compilation with tracing, a step, and the step over optax.adamw's of that tree."]
    return "\n".join(lines)


def draw(rows: list[Row], path: Path) -> None:
    figure = Figure(figsize=(8, 3.5), dpi=200, layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in dict.fromkeys(row.method for row in rows):
        here = [row for row in rows if row.method == name]
        label, color, dash = look(name)
        line = {"color": color, "ls": dash, "marker": ".", "label": label}
        left.loglog([row.leaves for row in here], [row.compile_s for row in here], **line)
        right.loglog([row.leaves for row in here], [row.step_ms for row in here], **line)
    left.set(xlabel="leaves", ylabel="compilation, s")
    right.set(xlabel="leaves", ylabel="a step, ms")
    for axes in (left, right):
        style.clean(axes)
    left.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def run(options: Options, console: Console) -> list[Row]:
    path, names = options.out / "growth", list(chosen(options.methods))
    rows = [Row(**fields) for fields in kept(path, options.overwrite)]
    done = {(row.leaves, row.method) for row in rows}
    with progress_bar(console) as progress:
        task = progress.add_task("", total=len(options.leaves) * len(names))
        for leaves in options.leaves:
            left = [name for name in names if (leaves, name) not in done]
            progress.advance(task, len(names) - len(left))
            if not left:
                continue
            params = trees.many_leaves(SIZE, leaves)
            grads = jax.tree.map(lambda x: 0.01 * x, params)
            base = Step(METHODS[BASE](1e-3), params, grads)
            for name in left:
                progress.update(task, description=f"{leaves} leaves: {name}")
                rows.append(measure(leaves, name, base, options.seconds))
                rows.sort(key=lambda row: row.leaves)
                save(path, rows, table(rows))
                progress.advance(task)
    return rows


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("growth"):
        options = cli.parse(Options, "benchmarks.growth", arguments)
        cli.require_at_least(1, leaves=options.leaves)
        cli.require_at_least(0, seconds=options.seconds)
        console = Console(soft_wrap=True)
        rows = run(options, console)
        draw(rows, options.out / "growth.png")
        print_table(table(rows), console)


if __name__ == "__main__":
    main()
