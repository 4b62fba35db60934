"""Where claims are tried: trains arms on the same seeds, and keeps what each claim came to."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..sweep import Problem, Sweep, count_spikes
from ..tuning import Factory, best_rate, recipe, tune

PARTS = 4  # of a training, after each of which is measured


class Arm(NamedTuple):
    """One optimizer's runs; the last axis of each array is the seed."""

    measured: dict[str, np.ndarray]  # at the start and after each quarter of the training
    training: np.ndarray  # mean loss of the batches of each quarter
    spikes: np.ndarray
    largest: np.ndarray  # |update|, over all steps and coordinates

    @property
    def loss(self) -> np.ndarray:
        return self.measured["loss"][-1]


@dataclasses.dataclass
class Claim:
    """What a paper says, put as differences of which it says that they are below 0."""

    text: str
    source: str
    paper: str  # the paper's figure
    unit: str
    differences: list[float]  # one a seed
    within: float | None = None  # it says that there is none, and a larger one counts against it


class Lab:
    """Trains one study's arms and collects its claims.

    Args:
      seeds: how many pairs a claim rests on.
      smoke: cut everything to 10 steps and 2 seeds, to see that a study runs.
      report: is told what is trained and how many steps were taken; without it nothing is trained,
        only `steps` counted.
    """

    def __init__(self, seeds: int, smoke: bool, report: Callable[[str, int], None] | None):
        self.seeds = range(2 if smoke else seeds)
        self.tuning_seeds = (1000, 1001)  # which decide no claim
        self.smoke, self.report = smoke, report
        self.steps = 0  # planned, of all runs
        self.claims: list[Claim] = []
        self.arms: dict[str, Any] = {}
        self.problems: list[dict[str, Any]] = []

    def sweep(self, problem: Problem, optimizer: str | Factory, steps: int, **fixed: Any) -> Sweep:
        """A program for one optimizer's runs; `fixed` as in `recipe`."""
        if problem.about not in self.problems:
            self.problems.append(problem.about)
        steps = min(steps, 10) if self.smoke else steps
        make = recipe(optimizer, steps, **fixed)
        return Sweep(problem, make, steps=steps, every=math.ceil(steps / PARTS))

    def tune(self, name: str, sweep: Sweep, grid: Sequence[float]) -> float:
        """The best rate on other seeds; the grid may move three times, as in `compare`."""
        if self.report is None:
            self.steps += sweep.steps * len(grid) * len(self.tuning_seeds)
            return grid[1]
        report = self.report
        tuned, _ = tune(
            sweep,
            grid,
            self.tuning_seeds,
            0 if self.smoke else 3,
            lambda said, steps: report(f"{name}: {said}", steps),
        )
        self.arms[f"{name}, tuned"] = {"loss": list(tuned.items())}
        return best_rate(tuned)

    def train(self, name: str, sweep: Sweep, **numbers: float) -> Arm:
        """Runs on all seeds, with an optimizer's rate and other numbers."""
        if self.report is None:
            self.steps += sweep.steps * len(self.seeds)
            nothing = np.full((PARTS + 1, len(self.seeds)), np.nan)
            measured: dict[str, np.ndarray] = dict.fromkeys(("loss", "accuracy", "mse"), nothing)
            return Arm(measured, nothing[1:], nothing[0], nothing[0])
        report = self.report
        runs = sweep.run(
            [(numbers, seed) for seed in self.seeds], lambda steps: report(name, steps)
        )
        arm = Arm(
            {key: np.array([r.measured[key] for r in runs]).T for key in runs[0].measured},
            np.array([[np.mean(part) for part in np.array_split(r.losses, PARTS)] for r in runs]).T,
            np.array([count_spikes(r.losses) for r in runs]),
            np.array([max(r.largest) for r in runs]),
        )
        self.arms[name] = {
            **numbers,
            "steps": sweep.steps,
            **{key: values[-1].tolist() for key, values in arm.measured.items()},
            "training loss": arm.training[-1].tolist(),
            "spikes": arm.spikes.tolist(),
            "largest update": arm.largest.tolist(),
        }
        return arm

    def claim(
        self,
        text: str,
        difference: np.ndarray,
        *,
        source: str,
        paper: str,
        unit: str = "nats",
        within: float | None = None,
    ) -> None:
        """`difference` is negative, or for `within` small, where the paper is right."""
        self.claims.append(
            Claim(text, source, paper, unit, np.asarray(difference, float).tolist(), within)
        )
