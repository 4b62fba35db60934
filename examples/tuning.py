"""How an optimizer's learning rate is chosen: the same grid size and moves for every optimizer."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optax

from gradpow.presets import Optimizer

from .pretrain.optimizers import OPTIMIZERS, make_schedule
from .pretrain.presets import NANO
from .sweep import Make, Sweep

# Of a schedule, weight_decay=, mask= and hyper-parameters.
Factory = Callable[..., optax.GradientTransformation]
# The rates that each begins with: all equally many, by factors of about 3. AdamW's serve most
# methods, whose step is of the size of the rate, and a grid moves on where it has to.
ADAMW = (1e-3, 3e-3, 1e-2)
GRIDS: dict[str, tuple[float, ...]] = {
    "s3": (3e-3, 1e-2, 3e-2),  # its paper's rate is ten times AdamW's
    # around their rates of the nano presets
    "grams": (3e-3, 1e-2, 3e-2),
    "muon": (3e-3, 1e-2, 3e-2),
    "muonpower": (3e-3, 1e-2, 3e-2),
    # steps as large as the gradients, or a power of them
    "sgd": (3e-2, 1e-1, 3e-1),
    "stacey": (3e-2, 1e-1, 3e-1),
    "stacey_pp": (1e-2, 3e-2, 1e-1),
    "stacey_2p": (3e-1, 1e0, 3e0),
}
DECAY = 3e-4  # of weights a step at the peak rate, whatever the rate: AdamW's 0.1 at 0.003


def grid(optimizer: str) -> tuple[float, ...]:
    return GRIDS.get(optimizer, ADAMW)


def recipe(optimizer: str | Factory, steps: int, clip: float = NANO.clip, **fixed: Any) -> Make:
    """An optimizer in the nano presets' setting: warm-up, cosine to a tenth, clipping.

    Args:
      optimizer: a name of `examples.pretrain`, or a function of rate, decay, mask and its numbers.
      steps: in all.
      clip: largest norm of the gradient; 0 for no clipping.
      fixed: what the optimizer takes beside the runs' numbers.
    """
    chosen = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else Optimizer(optimizer)

    def make(rate, **numbers):
        schedule = make_schedule(
            NANO.schedule,
            rate,
            steps=steps,
            warmup=steps * NANO.warmup // (NANO.steps or steps),
            final_fraction=NANO.final_fraction,
        )
        tx = chosen.make(schedule, weight_decay=DECAY / rate, clip=clip, **{**fixed, **numbers})
        return tx, schedule

    return make


def tune(
    sweep: Sweep,
    grid: Sequence[float],
    seeds: Sequence[int],
    moves: int,
    report: Callable[[str, int], None],
) -> tuple[dict[float, list[float]], int]:
    """The final losses by rate, of each seed, and how often the grid moved on.

    It moves by one rate as long as the best is at its edge, at most `moves` times.
    """
    tuned: dict[float, list[float]] = {}
    moved, rates = 0, list(grid)
    while True:
        said = f"rates {', '.join(f'{rate:g}' for rate in rates)}"
        runs = [({"rate": rate}, seed) for rate in rates for seed in seeds]
        for run in sweep.run(runs, lambda steps, said=said: report(said, steps)):
            tuned.setdefault(run.numbers["rate"], []).append(run.measured["loss"][-1])
        beyond = outside(tuned)
        if beyond is None or moved == moves:
            return dict(sorted(tuned.items())), moved
        moved, rates = moved + 1, [beyond]


def best_rate(tuned: dict[float, list[float]]) -> float:
    """The rate with the lowest mean; one that diverged is never the best."""
    means = {rate: np.mean(losses) for rate, losses in tuned.items()}
    return min(means, key=lambda rate: means[rate] if math.isfinite(means[rate]) else math.inf)


def outside(tuned: dict[float, list[float]]) -> float | None:
    """The next rate beyond the best one where that is at an edge: 1, 3, 10, 30, ..."""
    best = best_rate(tuned)
    if best == max(tuned):
        return _ladder(_rung(best) + 1)
    return _ladder(_rung(best) - 1) if best == min(tuned) else None


def _rung(rate: float) -> int:
    return round(2 * math.log10(rate))


def _ladder(rung: int) -> float:
    return float(f"{'3' if rung % 2 else '1'}e{rung // 2}")
