"""What each optimizer's step takes on this machine, beside optax's and PyTorch's AdamW.

    pip install -e ".[pretrain]"               # and ".[oracles]" for PyTorch beside them
    python -m benchmarks.cpu                   # 25 million parameters in one leaf
    python -m benchmarks.cpu --sizes 1e6 25e6 100e6 --trees one-leaf transformer 2000-leaves

Each method takes turns with optax.adamw in one process, and the ratio of the two medians is what
is shown: it says more than a time, which the machine's other work moves. Two numbers stand beside
it, what the step would take if it only moved its bytes, and if it only computed. Writes cpu.json,
cpu.md and cpu.png; the same command goes on where one was stopped.
"""

import dataclasses
import functools
import importlib.util
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.console import Console

from examples import style
from examples.pretrain import cli
from examples.pretrain.errors import UserError, shown_in_one_line
from examples.progress import print_table, progress_bar

from . import trees
from .display import kept, look, rank, save
from .methods import METHODS, Make, chosen, step_of

BASE = "optax.adamw"
TREES = {
    "one-leaf": trees.one_leaf,
    "transformer": trees.transformer,
    "2000-leaves": functools.partial(trees.many_leaves, count=2000),
}
IN_CACHE = 8192  # parameters that fit in a core's cache with their states


@dataclasses.dataclass(frozen=True)
class Options:
    """Time optimizers side by side on this machine."""

    sizes: tuple[float, ...] = (25e6,)
    """Parameters."""
    trees: tuple[str, ...] = ("one-leaf",)
    """Their shapes: one-leaf, transformer, 2000-leaves."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Optimizers; the beginning of a name stands for all that begin so."""
    seconds: float = 4.0
    """How long each pair takes turns; at least 7 times."""
    out: Path = Path("runs/cpu")
    """Folder for the results."""
    overwrite: bool = False
    """Measure anew what is there."""


@dataclasses.dataclass(frozen=True)
class Row:
    tree: str
    size: int
    method: str
    ratio: float  # of medians, to optax.adamw's
    low: float  # of the ratios of single turns, the quartiles
    high: float
    ns: float  # a parameter
    bytes_ns: float | None = None  # what moving the step's bytes takes, a parameter
    work_ns: float | None = None  # what computing takes in the cache, shared by all cores


class Step:
    """A method's step on params of its own; called, it takes one."""

    def __init__(self, tx: optax.GradientTransformation, params: Any, grads: Any):
        self.grads = grads
        self.params = jax.tree.map(jnp.copy, params)
        self.state = jax.jit(tx.init)(self.params)
        clock = time.perf_counter()
        step = jax.jit(step_of(tx), donate_argnums=(0, 2)).lower(self.params, grads, self.state)
        self.step = step.compile()
        self.compile_s = time.perf_counter() - clock

    def __call__(self) -> None:
        self.params, self.state = self.step(self.params, self.grads, self.state)
        jax.block_until_ready(self.params)


def torch_steps(params: Any, grads: Any) -> dict[str, Callable[[], Callable[[], None]]]:
    """PyTorch's AdamW and the Grams of the package pytorch-optimizer, where they are installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import numpy as np
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(os.cpu_count() or 1)

    def step_of(make: Callable[[Any], Any]) -> Callable[[], None]:
        leaves = []
        for name, value in params.items():
            leaf = torch.nn.Parameter(torch.from_numpy(np.array(value)))
            leaf.grad = torch.from_numpy(np.array(grads[name]))
            leaves.append(leaf)
        return make(leaves).step

    adamw = functools.partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    found = {
        "torch AdamW, foreach": lambda: step_of(lambda x: adamw(x, foreach=True)),
        "torch AdamW, fused": lambda: step_of(lambda x: adamw(x, fused=True)),
    }
    if importlib.util.find_spec("pytorch_optimizer"):
        from pytorch_optimizer import Grams  # pyright: ignore[reportMissingImports]

        found["pytorch-optimizer Grams"] = lambda: step_of(lambda x: Grams(x, weight_decay=0.1))
        found["pytorch-optimizer Grams, foreach"] = lambda: step_of(
            lambda x: Grams(x, weight_decay=0.1, foreach=True)
        )
    return found


def take_turns(one: Callable[[], None], other: Callable[[], None], seconds: float) -> list[Any]:
    """Seconds of a step of each, in turns."""
    for _ in range(3):  # the first finds the memory
        one()
        other()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 7 or time.perf_counter() < end:
        a = time.perf_counter()
        one()
        b = time.perf_counter()
        other()
        times.append((b - a, time.perf_counter() - b))
    return times


def bytes_ns(states: int, size: int) -> float:
    """What a step takes that moves the bytes of one with so many states, and only adds."""

    @functools.partial(jax.jit, donate_argnums=(0, 2))
    def step(p, g, kept):
        return p + g, [x + g for x in kept]

    p, g = jnp.zeros(size, jnp.float32), jnp.ones(size, jnp.float32)
    kept = [jnp.zeros(size, jnp.float32) + i for i in range(states)]
    times = []
    for _ in range(30):
        clock = time.perf_counter()
        p, kept = jax.block_until_ready(step(p, g, kept))
        times.append(time.perf_counter() - clock)
    return 1e9 * statistics.median(times[5:]) / size


def work_ns(tx: optax.GradientTransformation) -> float:
    """What a step takes within one core's cache, shared by all cores."""
    params, step = trees.one_leaf(IN_CACHE), step_of(tx)

    @jax.jit
    def steps(params):
        # The params are their own gradients, which change: none of the work can be done once.
        start = (params, tx.init(params))
        return jax.lax.fori_loop(0, 1000, lambda _, carry: step(carry[0], *carry), start)

    times = []
    for _ in range(6):
        clock = time.perf_counter()
        jax.block_until_ready(steps(params))
        times.append(time.perf_counter() - clock)
    return 1e9 * statistics.median(times[1:]) / 1000 / IN_CACHE / (os.cpu_count() or 1)


def measure(
    tree: str, size: int, makes: dict[str, Make], seconds: float, done: set[Any]
) -> Iterator[Row]:
    """A row for each method that is not done, and for PyTorch's."""
    params = TREES[tree](size)
    count = sum(leaf.size for leaf in params.values())
    grads = jax.tree.map(lambda x: 0.01 * x[::-1], params)
    steps: dict[str, Callable[[], Callable[[], None]]] = {
        name: functools.partial(Step, make(1e-3), params, grads) for name, make in makes.items()
    }
    steps |= torch_steps(params, grads)
    base = functools.cache(lambda: Step(METHODS[BASE](1e-3), params, grads))
    floor = functools.cache(lambda states: bytes_ns(states, count))
    for name in [name for name in steps if (tree, count, name) not in done]:
        times = take_turns(base(), steps[name](), seconds)
        low, _, high = statistics.quantiles([b / a for a, b in times], n=4)
        base_s, own_s = (statistics.median(t) for t in zip(*times, strict=True))
        bounds = {}
        if name in makes:
            tx = makes[name](1e-3)
            state = jax.tree.leaves(jax.eval_shape(tx.init, params))
            states = sum(leaf.size for leaf in state) // count
            bounds = {"bytes_ns": floor(states), "work_ns": work_ns(tx)}
        yield Row(tree, count, name, own_s / base_s, low, high, 1e9 * own_s / count, **bounds)
        jax.clear_caches()  # programs of thousands of leaves take gigabytes


def table(rows: list[Row]) -> str:
    lines = []
    for tree, size in dict.fromkeys((row.tree, row.size) for row in rows):
        lines += [
            f"**{tree}**, {size:,} parameters",
            "",
            "| optimizer | times optax.adamw (quartiles) | ns a parameter | its bytes alone | its "
            "arithmetic alone |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            if (row.tree, row.size) == (tree, size):
                alone = ["" if x is None else f"{x:.2f}" for x in (row.bytes_ns, row.work_ns)]
                lines.append(
                    f"| {row.method} | {row.ratio:.2f} ({row.low:.2f} - {row.high:.2f}) "
                    f"| {row.ns:.2f} | {' | '.join(alone)} |"
                )
        lines.append("")
    return "\n".join([*lines, EXPLANATION])


EXPLANATION = (
    "Each takes turns with optax.adamw in one process; the ratio is that of the medians. Its bytes "
    "alone: a step that reads and writes the same arrays and adds once to each. Its arithmetic "
    "alone: 8,192 parameters in one core's cache, divided by the cores."
)


def draw(rows: list[Row], path: Path) -> None:
    """Of the first tree and size: times optax.adamw, sorted."""
    tree, size = rows[0].tree, rows[0].size
    chosen = sorted((r for r in rows if (r.tree, r.size) == (tree, size)), key=lambda r: r.ratio)
    figure = Figure(figsize=(8, 0.27 * len(chosen) + 1), dpi=200, layout="constrained")
    axes = figure.subplots()
    of_others: dict[str, Any] = {"hatch": "////", "edgecolor": "white"}
    for i, row in enumerate(chosen):
        others = row.method.startswith(("optax", "torch", "pytorch"))
        color = look(row.method).color
        axes.barh(i, row.ratio, color=color, height=0.7, **(of_others if others else {}))
        axes.text(max(row.ratio, 1), i, f" {row.ratio:.2f}", va="center", fontsize=8)
    axes.axvline(1, color="#444444", lw=0.8)
    ours = Patch(color="#777777", label="gradpow")
    theirs = Patch(facecolor="#777777", label="optax, PyTorch, pytorch-optimizer", **of_others)
    axes.legend(handles=[ours, theirs], loc="upper right", frameon=False)
    axes.set_yticks(range(len(chosen)), [look(row.method).label for row in chosen])
    axes.invert_yaxis()
    axes.set(xlabel=f"time of a step over optax.adamw's; {size:,} parameters, {tree}")
    style.clean(axes)
    axes.grid(visible=False)
    figure.savefig(path)


def _order(row: Row) -> tuple[int, ...]:
    return rank(row.tree, list(TREES)), row.size, rank(row.method, list(METHODS))


def run(options: Options, console: Console) -> list[Row]:
    makes, path = chosen(options.methods), options.out / "cpu"
    rows = [Row(**fields) for fields in kept(path, options.overwrite)]
    done = {(row.tree, row.size, row.method) for row in rows}
    with progress_bar(console) as progress:
        for tree, size in itertools.product(options.trees, map(int, options.sizes)):
            task = progress.add_task(f"{tree}, {size:.3g}", total=len(makes))
            for row in measure(tree, size, makes, options.seconds, done):
                progress.update(task, advance=1, description=f"{tree}, {size:.3g}: {row.method}")
                rows.append(row)
                rows.sort(key=_order)
                save(path, rows, table(rows))
    return rows


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("cpu"):
        options, console = cli.parse(Options, "benchmarks.cpu", arguments), Console(soft_wrap=True)
        for tree in options.trees:
            if tree not in TREES:
                raise UserError(f"--trees takes {', '.join(TREES)}, not {tree}")
        cli.require_at_least(1, sizes=options.sizes)
        cli.require_at_least(0, seconds=options.seconds)
        rows = run(options, console)
        draw(rows, options.out / "cpu.png")
        print_table(table(rows), console)


if __name__ == "__main__":
    main()
