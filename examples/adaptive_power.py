"""Does a p that follows the measured noise beat a fixed p? AdamPower over batch sizes.

Trains a nano language model and a small ResNet on handwritten digits at three batch sizes, with p
fixed from 0.8 to 1.4 and with the link beside this file, all from the same weights on the same
batches, at the rate that is best for AdamW there. Writes the results, a picture and a table; about
20 minutes on two CPU cores.

    pip install -e ".[pretrain,examples]"
    python -m examples.adaptive_power
    python -m examples.adaptive_power --smoke       # ten steps, to see that it runs
    python -m examples.adaptive_power --table       # the table of the results that are kept here
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
import tyro
from rich.console import Console

import gradpow
from gradpow.presets import OPTIMIZERS

from . import problems, statistics, sweep, tuning
from .adaptive_sign_power import adaptive_sign_power
from .pretrain import cli, runs
from .pretrain.errors import shown_in_one_line
from .pretrain.files import make_folder, read_json, write_checked_json
from .pretrain.step import init_state, make_step
from .progress import print_table, progress_bar
from .style import clean

ADAMW = OPTIMIZERS["adamw"]
KEPT = Path(__file__).parent / "adaptive_power.json"
POWERS = (0.8, 1.0, 1.2, 1.4)  # the adaptive one moves between the ends
SETTINGS: dict[str, list[tuple[Callable[[], sweep.Problem], int]]] = {  # problems and their steps
    "text": [
        (lambda: problems.language(batch_size=4), 300),
        (lambda: problems.language(batch_size=32), 120),
        (lambda: problems.language(batch_size=128), 60),
    ],
    "digits": [
        (lambda: problems.images("resnet10-digits", 8), 200),
        (lambda: problems.images("resnet10-digits", 64), 100),
        (lambda: problems.images("resnet10-digits", 512), 50),
    ],
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Compare a p that follows the noise with fixed ones, over batch sizes."""

    seeds: int = 8
    """Runs of each p at each batch size; two other seeds choose the rate."""
    out: Path = Path("runs/adaptive-power")
    """Folder for results.json and the picture."""
    cache: Path | None = None
    """Folder for compiled programs; by default gradpow in ~/.cache, or in $XDG_CACHE_HOME."""
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """Only see that it runs: 10 steps, 2 seeds."""
    table: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the table of the results that are kept with these sources; train nothing."""


def adaptive(rate: Any, weight_decay: Any, mask: Any) -> optax.GradientTransformation:
    """AdamPower with the measured power in place of the fixed one."""
    low, high, eps = min(POWERS), max(POWERS), ADAMW.hyper["eps"]
    adamw = ADAMW.make(rate, weight_decay=weight_decay, mask=mask)
    return gradpow.chain(adaptive_sign_power(1.2, low, high, eps=eps), adamw)


def powers_of_a_run(problem: sweep.Problem, rate: float, steps: int) -> tuple[list, list]:
    """p and the noise-to-signal ratio after each step of the run with seed 0."""
    optimizer, schedule = tuning.recipe(adaptive, steps)(rate)
    step = make_step(
        problem.losses, optimizer, schedule, seed=0, accumulate=1, dropout=problem.random
    )

    def look(state, batch):
        state = step(state, batch)[0]
        p, *noise = (optax.tree.get(state.opt_state, key) for key in ("p", "variance", "signal"))
        return state, (p, *noise)

    state = init_state(problem.init(jax.random.key(0)), optimizer)
    _, seen = jax.lax.scan(look, state, problem.batches(0, steps))
    p, variance, signal = (np.asarray(x, float) for x in seen)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing is known at first
        ratio = np.sqrt(variance / signal)
    return p.tolist(), [x if np.isfinite(x) else None for x in ratio.tolist()]


def compare(
    problem: sweep.Problem, steps: int, options: Options, report: Callable[[str, int], None]
) -> dict[str, Any]:
    """Final losses of each power at AdamW's best rate, and how the adaptive one moved."""

    def training(optimizer: Any) -> sweep.Sweep:
        return sweep.Sweep(problem, tuning.recipe(optimizer, steps), steps=steps, every=steps)

    def losses_of(training: sweep.Sweep, what: str, **numbers: float) -> list[float]:
        seeds = range(2 if options.smoke else options.seeds)
        runs = training.run([(numbers, seed) for seed in seeds], functools.partial(report, what))
        return [run.measured["loss"][-1] for run in runs]

    moves = 0 if options.smoke else 3
    tuned, _ = tuning.tune(training("adamw"), tuning.grid("adamw"), (1000, 1001), moves, report)
    rate = tuning.best_rate(tuned)
    fixed = training("adampower")
    losses = {f"{p:g}": losses_of(fixed, f"p = {p:g}", rate=rate, p=p) for p in POWERS}
    losses["adaptive"] = losses_of(training(adaptive), "adaptive p", rate=rate)
    p, ratio = powers_of_a_run(problem, rate, steps)
    return {"rate": rate, "losses": losses, "p": p, "noise_to_signal": ratio}


def study(options: Options, report: Callable[[str, int], None]) -> list[dict[str, Any]]:
    """One record for each problem and batch size."""
    records = []
    for kind, settings in SETTINGS.items():
        for make_problem, steps in settings:
            problem, steps = make_problem(), min(steps, 10) if options.smoke else steps

            def told(what: str, taken: int, batch: str = problem.about["batch"]) -> None:
                report(f"{batch}, {what}", taken)

            found = compare(problem, steps, options, told)
            records.append({"problem": kind, **problem.about, "steps": steps, **found})
    return records


def table(records: list[dict[str, Any]]) -> str:
    """Markdown: mean losses, and the adaptive p's difference to the best fixed one and to 1.2."""
    rows = [
        "| | batch | " + " | ".join(f"p = {p:g}" for p in POWERS)
        + " | adaptive | its last p | noise to signal | difference to the best fixed"
        " | difference to p = 1.2 |",
        "|---|---|" + "---|" * (len(POWERS) + 5),
    ]  # fmt: skip
    for r in records:
        losses = {p: np.array(values) for p, values in r["losses"].items()}
        ours = losses.pop("adaptive")
        best = min(losses, key=lambda p: losses[p].mean())
        means = " | ".join(f"{x.mean():.3f}" for x in losses.values())
        last = [x for x in r["noise_to_signal"][-10:] if x is not None]
        noise = f"{np.median(last):.1f}" if last else "inf"
        rows.append(
            f"| {r['problem']} | {r['batch']} | {means} | {ours.mean():.3f} | "
            f"{r['p'][-1]:.2f} | {noise} | p = {best}: {statistics.effect(ours - losses[best])} | "
            f"{statistics.effect(ours - losses['1.2'])} |"
        )
    return "\n".join(rows)


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """p over the training, and the loss over p with the adaptive one at its last p."""
    kinds = list(SETTINGS)
    figure, axes = plt.subplots(
        2, len(kinds), figsize=(10, 6.4), layout="constrained", squeeze=False
    )
    shades = ("#9ecae1", "#4292c6", "#08306b")
    for column, kind in enumerate(kinds):
        top, bottom = axes[0, column], axes[1, column]
        for r, color in zip((r for r in records if r["problem"] == kind), shades, strict=True):
            progress = np.arange(1, len(r["p"]) + 1) / len(r["p"])
            top.plot(progress, r["p"], color=color, label=f"{r['batch']}, rate {r['rate']:g}")
            means = [np.mean(r["losses"][f"{p:g}"]) for p in POWERS]
            bottom.plot(POWERS, means, "o-", color=color, ms=4)
            bottom.plot(r["p"][-1], np.mean(r["losses"]["adaptive"]), "*", color=color, ms=13)
        top.set(title=kind, xlabel="share of the training", ylabel="adaptive p", ylim=(0.75, 1.45))
        top.legend(frameon=False, fontsize=8)
        bottom.set(xlabel="p; stars: adaptive, at its last p", ylabel="loss, mean of the seeds")
        for ax in (top, bottom):
            clean(ax)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("adaptive_power"):
        options, console = cli.parse(Options, "examples.adaptive_power", arguments), Console()
        if options.table:
            print_table(table(read_json(KEPT)["records"]), console)
            return
        cli.require_at_least(2, seeds=options.seeds)
        make_folder(options.out)
        sweep.begin(options.cache)
        clock = time.perf_counter()
        arms = len(POWERS) + 1
        planned = sum(
            steps * (arms * options.seeds + 6) for s in SETTINGS.values() for _, steps in s
        )
        with progress_bar(console) as progress:
            task = progress.add_task("compiling", total=planned)
            records = study(
                options,
                lambda what, steps: progress.update(task, advance=steps, description=what),
            )
        result = {
            "seeds": options.seeds,
            "records": records,
            "seconds": round(time.perf_counter() - clock),
            "versions": runs.versions(),
            "machine": runs.machine(),
        }
        write_checked_json(options.out / "results.json", result)
        draw(records, options.out / "adaptive-power.png")
        print_table(table(records), console)
        console.print(f"wrote {options.out}, after {result['seconds']} s")


if __name__ == "__main__":
    main()
