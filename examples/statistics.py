"""What a few paired runs can tell: means, 95% intervals, and how many runs would decide."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Effect(NamedTuple):
    """A mean difference between runs of the same seeds, and its 95% interval (Student's t)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"

    @property
    def decided(self) -> bool:
        return self.low > 0 or self.high < 0


def effect(differences: ArrayLike) -> Effect:
    """Of one difference a seed; a run that diverged makes it NaN, which decides nothing."""
    values = np.asarray(differences, float)
    mean = float(values.mean())
    half = _quantile(len(values)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Effect(mean, mean - half, mean + half)


def runs_to_decide(differences: ArrayLike, most: int = 10_000) -> int | None:
    """The fewest seeds whose interval would leave out 0, if mean and spread stay as they are.

    None for more than `most`.
    """
    values = np.asarray(differences, float)
    mean, spread = abs(values.mean()), values.std(ddof=1)
    if not math.isfinite(mean) or mean * math.sqrt(most) <= 1.96 * spread:
        return None
    count = 2
    while mean * math.sqrt(count) <= _quantile(count) * spread:
        count += 1
    return count


def _quantile(count: int) -> float:
    return float(stats.t.ppf(0.975, count - 1))
