"""One optimizer's part in a comparison: its rate chosen on some seeds, its runs on others."""

import dataclasses
import functools
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from gradpow.core import state_bytes

from . import style
from .statistics import effect
from .sweep import Problem, Run, Sweep, count_spikes
from .tuning import best_rate, grid, recipe, tune

EVALUATIONS = 10


@dataclasses.dataclass
class Result:
    """What is known of one optimizer when it is finished."""

    optimizer: str
    tuned: dict[float, list[float]]  # rate -> final loss of each tuning seed
    moves: int
    best: float  # rate
    runs: list[Run]  # at the best rate, one a seed
    steps: list[int]  # taken before each evaluation
    step_ms: float
    state_bytes: int  # a parameter

    @property
    def curves(self) -> np.ndarray:
        return np.array([run.measured["loss"] for run in self.runs])

    @property
    def final(self) -> np.ndarray:
        return self.curves[:, -1]

    @property
    def at_edge(self) -> bool:
        return self.best in (min(self.tuned), max(self.tuned))

    def to_json(self) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        fields["tuned"] = list(self.tuned.items())
        fields["runs"] = [run._asdict() for run in self.runs]
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Result":
        fields["tuned"] = {rate: losses for rate, losses in fields["tuned"]}
        fields["runs"] = [Run(**run) for run in fields["runs"]]
        return cls(**fields)


def run(
    optimizer: str,
    problem: Problem,
    *,
    steps: int,
    tune_seeds: Sequence[int],
    seeds: Sequence[int],
    moves: int,
    report: Callable[[str, int], None],
) -> Result:
    """Chooses the rate on `tune_seeds` and trains with it on `seeds`."""
    every = max(1, steps // EVALUATIONS)
    sweep = Sweep(problem, recipe(optimizer, steps), steps=steps, every=every)
    tuned, moved = tune(sweep, grid(optimizer), tune_seeds, moves, report)
    best = best_rate(tuned)
    said = functools.partial(report, f"rate {best:g}, {len(seeds)} seeds")
    runs = sweep.run([({"rate": best}, seed) for seed in seeds], said)
    params = jax.eval_shape(problem.init, jax.random.key(0))
    return Result(
        optimizer=optimizer,
        tuned=tuned,
        moves=moved,
        best=best,
        runs=runs,
        steps=[0, *(min(i + every, steps) for i in range(0, steps, every))],
        step_ms=statistics.median(sweep.step_ms[1:]),  # the first compiles
        state_bytes=round(state_bytes(sweep.make(best)[0], params)),
    )


def steps_to(result: Result, loss: float) -> float:
    """When the mean validation loss first reaches a value, between two evaluations by a line."""
    mean = result.curves.mean(axis=0)
    for i in range(1, len(mean)):
        if mean[i] <= loss:
            share = (mean[i - 1] - loss) / (mean[i - 1] - mean[i])
            return result.steps[i - 1] + share * (result.steps[i] - result.steps[i - 1])
    return math.inf


def table(results: Sequence[Result], problem: Problem) -> str:
    """In Markdown."""
    base = next((r for r in results if r.optimizer == "adamw"), None)
    lines = [
        "| optimizer | best rate | validation loss | difference to AdamW, 95% interval "
        "| steps to AdamW's loss | spikes | a step, ms | state, bytes a parameter |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        final, difference, reached = result.final, "", ""
        if base is not None and result is not base:
            difference = str(effect(result.final - base.final))
            when = steps_to(result, float(base.final.mean()))
            reached = f"{when:.0f}" if math.isfinite(when) else "not reached"
        moved = f", {_moved(result.moves)}" if result.moves else ""
        lines.append(
            f"| {style.look(result.optimizer).label} "
            f"| {result.best:g}{'*' if result.at_edge else ''}{moved} "
            f"| {final.mean():.3f} ({final.min():.3f} - {final.max():.3f}) "
            f"| {difference} | {reached} | {sum(count_spikes(r.losses) for r in result.runs)} "
            f"| {result.step_ms:.1f} | {result.state_bytes} |"
        )
    first = results[0]
    about = ", ".join(f"{key} {value}" for key, value in problem.about.items())
    seeds = [run.seed for run in first.runs]
    lines += [
        "",
        f"{about}; {first.steps[-1]} steps. Loss in nats a token: mean, lowest and highest of "
        f"seeds {seeds[0]} to {seeds[-1]}, at the rate that was best on "
        f"{len(first.tuned[first.best])} other seeds. Rates by factors of about 3; a grid of 3 "
        "moves on while its best rate is at its edge, * if it still is. Differences are taken seed "
        "by seed. A step's time is that of each of as many runs as the machine has devices, or "
        "cores.",
    ]
    return "\n".join(lines)


def _moved(moves: int) -> str:
    return f"grid moved {({1: 'once', 2: 'twice'}).get(moves, f'{moves} times')}"


def draw(results: Sequence[Result], path: Path, model: str) -> None:
    figure = Figure(figsize=(9, 4.5), dpi=200, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2), sharey=True)
    low = min(result.final.min() for result in results)
    high = max(result.curves[:, 2].max() for result in results)  # without the first fall
    for result in results:
        look = style.look(result.optimizer)
        line = {"color": look.color, "ls": look.dash, "lw": 1.4}
        curves = result.curves
        left.plot(result.steps, curves.mean(axis=0), **line)
        left.fill_between(
            result.steps, curves.min(axis=0), curves.max(axis=0), color=look.color, alpha=0.12, lw=0
        )
        rates = list(result.tuned)
        means = [float(np.mean(result.tuned[rate])) for rate in rates]
        right.plot(rates, means, **line, marker=".", ms=4)
        right.plot(result.best, means[rates.index(result.best)], "o", color=look.color, mec="white")
    _label_ends(left, results, gap=(high - low) / 22)
    left.set(xlim=(0, results[0].steps[-1]), ylim=(low - 0.05, high), xlabel="step")
    left.set_ylabel("validation loss, nats a token")
    left.set_title(f"{model}, each at its best rate (band: all seeds)", loc="left", size=10)
    right.set(xscale="log", xlabel="learning rate")
    right.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    right.xaxis.set_minor_locator(NullLocator())
    right.xaxis.set_major_formatter("{x:g}")
    right.tick_params(axis="x", rotation=45)
    right.set_title("Final loss at every rate tried (dot: best)", loc="left", size=10)
    for axes in (left, right):
        style.clean(axes)
    figure.savefig(path)


def _label_ends(axes: Axes, results: Sequence[Result], gap: float) -> None:
    """Each label at the end of its curve, or just above the label below."""
    height = -math.inf
    for result in sorted(results, key=lambda result: result.final.mean()):
        look = style.look(result.optimizer)
        height = max(height + gap, result.final.mean())
        axes.annotate(
            look.label,
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            color=look.color,
            size=8,
        )
