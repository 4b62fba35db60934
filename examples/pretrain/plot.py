"""Draws the losses of runs beside each other.

python -m examples.pretrain.plot runs/llama-nano-* --to losses.png
"""

import dataclasses
from pathlib import Path

import numpy as np
import tyro
from matplotlib.figure import Figure

from . import cli, logs
from .config import read
from .errors import UserError, shown_in_one_line

# The Okabe-Ito palette, which colour-blind people can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#999999")


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw the losses of runs beside each other."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The runs' folders."""
    to: Path = Path("losses.png")
    """The picture."""


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("plot"):
        options = cli.parse(Plot, "examples.pretrain.plot", arguments)
        plot(options)
    print(f"wrote {options.to}")


def plot(options: Plot) -> None:
    if not 1 <= len(options.runs) <= len(COLORS):
        raise UserError(f"give 1 to {len(COLORS)} runs, not {len(options.runs)}")
    figure = Figure(figsize=(8, 4), dpi=200, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for run, color in zip(options.runs, COLORS, strict=False):
        label = f"{read(run).optimizer} ({run.name})"
        records = logs.read(run)
        steps, losses = _series(records, "loss")
        if len(steps) == 0:
            raise UserError(f"{run} has no records yet")
        left.plot(steps, losses, color=color, alpha=0.25, lw=0.5)
        left.plot(*_series(records, "validation_loss"), color=color, label=label)
        right.plot(*_series(records, "update_rms"), color=color, lw=0.8)
    left.set(xlabel="step", ylabel="loss, nats a token")
    left.set_title("Validation loss (thin: training)", loc="left", size=11)
    left.legend(frameon=False)
    right.set(xlabel="step", yscale="log", ylabel="update, root mean square")
    right.set_title("Size of the update", loc="left", size=11)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", lw=0.6)
    try:
        figure.savefig(options.to)
    except (OSError, ValueError) as error:  # ValueError: a format it does not know
        raise UserError(f"cannot write {options.to}: {error}") from None


def _series(records: list[dict], key: str) -> tuple[np.ndarray, np.ndarray]:
    points = [(r["step"], np.nan if r[key] is None else r[key]) for r in records if key in r]
    steps, values = np.array(points, float).reshape(-1, 2).T
    return steps, values


if __name__ == "__main__":
    main()
