"""A million steps in float32, and with bfloat16 moments, beside the same steps in float64.

    python -m benchmarks.drift
    python -m benchmarks.drift --smoke        # 2,000 steps

64 coordinates of a quadratic, curvatures h over four decades, gradient noise of deviation sqrt(h)
that is the same float32 numbers in every run. bfloat16 moments are rounded stochastically, by
`low_precision_state`, and for comparison to the nearest; the arithmetic is float32. Writes
drift.json, drift.md and drift.png; the same command goes on where one was stopped.

A step crosses 0 again and again and signs flip there, so differences are divided by a coordinate's
RMS: the step's by that of float64's steps in the same window, the parameters' by that of their
distance from the optimum in float64's last window. Descent on a quadratic contracts: what two runs
under the same noise differ by is forgotten at the rate at which the method converges, and a
difference that stays level is rounding made anew in every step, while one that grows with the
steps would be drift. The loss over float64's says what is lost on the whole.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure
from rich.console import Console

import gradpow
from examples import style
from examples.pretrain import cli
from examples.pretrain.errors import shown_in_one_line
from examples.progress import print_table, progress_bar
from gradpow import transforms

from .display import kept, look, rank, save
from .methods import METHODS, Make, chosen

RATE = 1e-3
STACEY, SLOW = "stacey(p,2)", "optax.adamw, b2=0.999"
STACEY_RATE = 0.03  # its step is not normalised: at AdamW's rate its mirror sequence diverges here
MAKES: dict[str, Make] = {
    name: METHODS[name]
    for name in (
        "optax.adamw", "adampower", "s3, p=1", "s3, p=3", STACEY, "grams", "cautious_adam",
        "cautious_lion",
    )
} | {SLOW: lambda rate, mask: optax.adam(rate)}  # fmt: skip
COORDINATES = 64
CURVATURES = np.logspace(-3, 1, COORDINATES, dtype=np.float32)
OPTIMUM = np.random.default_rng(0).uniform(0.5, 1.5, COORDINATES).astype(np.float32)
STOCHASTIC, NEAREST = "bfloat16", "bfloat16, to the nearest"
STATES = ("float32", STOCHASTIC, NEAREST)


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure how far low precision leads from float64 over many steps."""

    steps: int = 1_000_000
    """Steps of each run."""
    methods: tuple[str, ...] = tuple(MAKES)
    """Optimizers; the beginning of a name stands for all that begin so."""
    smoke: bool = False
    """2,000 steps."""
    out: Path = Path("runs/drift")
    """Folder for the results."""
    overwrite: bool = False
    """Measure anew what is there."""


@dataclasses.dataclass(frozen=True)
class Row:
    method: str
    state: str  # one of STATES
    steps: tuple[int, ...]  # where the windows end
    update: tuple[float, ...]  # of each window: the steps' difference from float64's, RMS
    params: tuple[float, ...]  # the parameters' difference
    size: tuple[float, ...]  # of the steps over float64's, RMS
    loss: tuple[float, ...]  # over float64's
    not_finite: int  # numbers in all updates and parameters
    seconds: float  # of the method's runs together


class Run(NamedTuple):
    """One optimizer on the quadratic, and what a window has added up of it."""

    params: jax.Array
    state: Any
    sums: jax.Array  # by QUANTITIES and coordinates


QUANTITIES = 5  # squares of: step, distance, and the differences of both; numbers not finite


def rounded_to_nearest(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """low_precision_state without its randomness."""

    def cast(dtype: Any, state: Any) -> Any:
        return optax.tree.map_params(inner, lambda x: x.astype(dtype), state)

    def update(updates, state, params=None):
        updates, state = inner.update(updates, cast(jnp.float32, state), params)
        return updates, cast(jnp.bfloat16, state)

    return optax.GradientTransformation(
        lambda params: cast(jnp.bfloat16, inner.init(params)), update
    )


WRAPPERS = {
    "float64": lambda tx: tx,
    "float32": lambda tx: tx,
    STOCHASTIC: gradpow.low_precision_state,
    NEAREST: rounded_to_nearest,
}


def optimizer(method: str, state: str) -> optax.GradientTransformation:
    """Its moments kept as the state says; without decay, which would move the optimum."""
    wrap = WRAPPERS[state]
    if method != STACEY:
        return wrap(MAKES[method](RATE, mask=False))
    # Its z is an iterate, which training would be rounded with: only the momentum is wrapped.
    return gradpow.chain(
        wrap(transforms.interpolated_momentum(0.9, 0.99)),
        transforms.linear_coupling(
            optax.chain(transforms.lp_steepest(2.8, 1e-8), optax.scale(-STACEY_RATE)),
            transforms.lp_mirror_step(0.01, 2.0),
            0.001,
        ),
    )


def started(tx: optax.GradientTransformation, dtype: Any) -> Run:
    params = jnp.zeros(COORDINATES, dtype)
    return Run(params, tx.init(params), jnp.zeros((QUANTITIES, COORDINATES), jnp.float64))


def stepped(tx: optax.GradientTransformation, run: Run, noise: jax.Array) -> tuple[Run, Any]:
    """One step, and (the step, the distance from the optimum) in float64."""
    curvature, optimum, noise = (
        jnp.asarray(x, run.params.dtype) for x in (CURVATURES, OPTIMUM, noise)
    )
    grads: Any = curvature * (run.params - optimum) + noise
    updates, state = tx.update(grads, run.state, run.params)
    params: Any = optax.apply_updates(run.params, updates)
    seen = jnp.asarray([updates, params - optimum], jnp.float64)
    return Run(params, state, run.sums), seen


def measure(
    method: str, steps: int, advanced: Callable[[int], Any] = lambda steps: None
) -> list[Row]:
    """A row for each of STATES; says after each window how many steps it had."""
    clock = time.perf_counter()
    ends = windows(steps)
    with jax.enable_x64(True):
        txs = {state: optimizer(method, state) for state in WRAPPERS}
        runs = {
            state: started(tx, jnp.float64 if state == "float64" else jnp.float32)
            for state, tx in txs.items()
        }
        sums = {state: [] for state in WRAPPERS}
        window = jax.jit(functools.partial(_window, txs), donate_argnums=0)
        for start, end in zip((0, *ends), ends, strict=False):
            runs = window(runs, start, end)
            for state, run in runs.items():
                sums[state].append(np.asarray(run.sums) / (end - start))
            advanced(end - start)
    seconds = time.perf_counter() - clock
    return [_row(method, state, ends, sums, seconds) for state in STATES]


def _window(
    txs: dict[str, optax.GradientTransformation], runs: dict[str, Run], start: int, end: int
) -> dict[str, Run]:
    """All runs from one step to another, their sums begun anew."""
    key = jax.random.key(0)

    def step(i, runs):
        # In float32 once for all runs, so that none rounds it.
        noise = jax.random.normal(jax.random.fold_in(key, i), (COORDINATES,), jnp.float32)
        noise *= np.sqrt(CURVATURES)
        after = {state: stepped(tx, runs[state], noise) for state, tx in txs.items()}
        exact = after["float64"][1]

        def added(run, seen):
            wrong = jnp.sum(~jnp.isfinite(seen), axis=0, keepdims=True)
            now = jnp.concatenate([jnp.square(seen), jnp.square(seen - exact), wrong])
            return run._replace(sums=run.sums + now)

        return {state: added(*pair) for state, pair in after.items()}

    runs = {state: run._replace(sums=jnp.zeros_like(run.sums)) for state, run in runs.items()}
    return jax.lax.fori_loop(start, end, step, runs)


def _row(
    method: str, state: str, ends: tuple[int, ...], sums: dict[str, Any], seconds: float
) -> Row:
    own, exact = np.array(sums[state]), np.array(sums["float64"])  # by windows, first
    update = own[:, 2] / exact[:, 0]
    params = own[:, 3] / exact[-1, 1]
    size = own[:, 0] / exact[:, 0]
    loss = (own[:, 1] @ CURVATURES) / (exact[:, 1] @ CURVATURES)
    lengths = np.diff((0, *ends))
    return Row(
        method,
        state,
        ends,
        _numbers(np.sqrt(update.mean(axis=1))),
        _numbers(np.sqrt(params.mean(axis=1))),
        _numbers(np.sqrt(size.mean(axis=1)), 6),
        _numbers(loss, 6),
        round((own[:, 4].sum(axis=1) * lengths).sum()),
        round(seconds, 1),
    )


def _numbers(x: Any, digits: int = 3) -> tuple[float, ...]:
    return tuple(float(f"{number:.{digits}g}") for number in x)


def windows(steps: int) -> tuple[int, ...]:
    """Where they end: 1, 10, 20, 50, 100, ... and the last step."""
    ends = [1, *(m * 10**k for k in range(1, 12) for m in (1, 2, 5))]
    return (*(end for end in ends if end < steps), steps)


def table(rows: list[Row]) -> str:
    if not rows:
        return ""
    last = len(rows[0].steps) - 1
    early = max(i for i in range(last + 1) if rows[0].steps[i] <= max(1, rows[0].steps[-1] / 100))
    ends = [f"to {rows[0].steps[i]:,}" for i in (early, last)]
    columns = [f"{what}, {end}" for what in ("step", "parameters") for end in ends]
    lines = [
        f"| optimizer | moments | {' | '.join(columns)} | step's size | loss | not finite |",
        "|---" * 9 + "|",
    ]
    for row in rows:
        cells = [f"{x[i]:.1e}" for x in (row.update, row.params) for i in (early, last)]
        lines.append(
            f"| {row.method} | {row.state} | {' | '.join(cells)} | {row.size[last]:.4f} "
            f"| {row.loss[last]:.4f} | {row.not_finite} |"
        )
    lines += ["", EXPLANATION]
    return "\n".join(lines)


EXPLANATION = (
    "RMS differences from float64 in the window that ends there: of the steps over float64's "
    "steps, of the parameters over float64's distance from the optimum in the last window. The "
    "step's size and the loss are over float64's, in the last window."
)


def draw(rows: list[Row], path: Path) -> None:
    """The parameters' difference over the steps."""
    figure = Figure(figsize=(9, 3.8), dpi=200, layout="constrained")
    panels: Any = figure.subplots(1, 2, sharey=True)
    for axes, states in zip(panels, (("float32",), (STOCHASTIC, NEAREST)), strict=True):
        for row in rows:
            if row.state not in states or (row.state == NEAREST and row.method != SLOW):
                continue
            own = look(row.method)
            dash = {SLOW: ":", "s3, p=1": ":"}.get(row.method, own.dash)
            label, width = own.label, 1.4
            if row.state == NEAREST:
                dash, label, width = "-", f"{own.label},\nto the nearest", 0.8
            axes.loglog(row.steps, row.params, color=own.color, ls=dash, lw=width, label=label)
        axes.set(xlabel="steps", title=f"{states[0]} moments")
        style.clean(axes)
    panels[0].set(ylabel="parameters' difference from float64,\nover their distance to the optimum")
    lines, labels = panels[1].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(path)


def run(options: Options, console: Console) -> list[Row]:
    path, names = options.out / "drift", list(chosen(options.methods, MAKES))
    steps = 2000 if options.smoke else options.steps
    rows = [Row(**fields) for fields in kept(path, options.overwrite)]
    rows = [row for row in rows if row.steps[-1] == steps]
    left = [name for name in names if name not in {row.method for row in rows}]
    with progress_bar(console) as progress:
        task = progress.add_task("", total=steps * len(left))
        for name in left:
            progress.update(task, description=name)
            rows += measure(name, steps, lambda steps: progress.advance(task, steps))
            rows.sort(key=lambda row: rank(row.method, list(MAKES)))
            save(path, rows, table(rows))
    return rows


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("drift"):
        options = cli.parse(Options, "benchmarks.drift", arguments)
        cli.require_at_least(1, steps=options.steps)
        console = Console(soft_wrap=True)
        rows = run(options, console)
        draw(rows, options.out / "drift.png")
        print_table(table(rows), console)


if __name__ == "__main__":
    main()
