"""Draws the losses of runs beside each other.

python -m examples.pretrain.plot runs/llama-nano-* --to losses.png
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import tyro
from matplotlib.figure import Figure

from .. import style
from . import cli, logs
from .errors import UserError

# The Okabe-Ito palette, which colour-blind people can tell apart.
COLORS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw the losses of runs beside each other."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The runs' folders."""
    to: Path = Path("losses.png")
    """The picture."""


def main(arguments: list[str] | None = None) -> None:
    cli.run(Plot, plot, arguments)


def plot(options: Plot) -> str:
    if not 1 <= len(options.runs) <= len(COLORS):
        raise UserError(f"give 1 to {len(COLORS)} runs, not {len(options.runs)}")
    figure = Figure(figsize=(8, 4), dpi=200, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    tops, bottoms = [], []
    # What all names begin with, up to a dash, does not tell the runs apart.
    shared = os.path.commonprefix([run.name for run in options.runs])  # noqa: RUF071
    start = shared.rfind("-") + 1 if len(options.runs) > 1 else 0
    for run, color in zip(options.runs, COLORS, strict=False):
        if not (run / "config.json").exists():
            raise UserError(f"{run} holds no run: there is no config.json in it")
        records = logs.read(run)
        steps, losses = _series(records, "loss")
        _, updates = _series(records, "update_rms")
        if len(steps) < 2:
            raise UserError(f"{run} has no records yet")
        window = 1 + len(steps) // 50
        mean = np.convolve(losses, np.ones(window) / window, "valid")
        left.plot(steps[window - 1 :], mean, color=color, alpha=0.35, lw=0.7)
        left.plot(*_series(records, "validation_loss"), color=color, label=run.name[start:])
        right.plot(steps, updates, color=color, lw=0.8)
        tops.append(np.nanmax(mean[len(mean) // 20 :]))  # without the first fall
        later = updates[len(steps) // 50 :]  # without the warm-up's first steps
        bottoms.append(np.nanmin(later[later > 0], initial=tops[-1]))
    left.set(xlabel="step", ylabel="loss, nats a token")
    left.set_ylim(top=1.05 * max(tops))
    left.set_title("Validation loss (thin: training, running mean)", loc="left", size=10)
    left.legend(frameon=False, ncols=2)
    right.set(xlabel="step", yscale="log", ylabel="root mean square")
    right.set_ylim(bottom=0.7 * min(bottoms))
    right.set_title("Size of the update", loc="left", size=10)
    for axes in (left, right):
        style.clean(axes)
    try:
        figure.savefig(options.to)
    except (OSError, ValueError) as error:  # ValueError: a format it does not know
        raise UserError(f"cannot write {options.to}: {error}") from None
    return f"wrote {options.to}"


def _series(records: list[dict], key: str) -> tuple[np.ndarray, np.ndarray]:
    points = [(r["step"], np.nan if r[key] is None else r[key]) for r in records if key in r]
    steps, values = np.array(points, float).reshape(-1, 2).T
    return steps, values


if __name__ == "__main__":
    main()
