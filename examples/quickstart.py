"""Trains a small classifier of handwritten digits with AdamW and four of gradpow's optimizers.

Each optimizer gets the same sweep of five learning rates and the same three seeds: per seed, the
same initial weights and the same batches. The rate is chosen on validation images and reported on
test images. Prints a table, and writes quickstart.png and results.json to runs/quickstart.
Takes about a minute on two CPU cores, with --quick a quarter of that.

    pip install "gradpow[examples]"
    python examples/quickstart.py
    python examples/quickstart.py --quick
    python examples/quickstart.py --optimizers adamw s3 --seeds 5
"""

import dataclasses
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from sklearn.datasets import load_digits

import gradpow


class Entry(NamedTuple):
    label: str
    color: str  # from the Okabe-Ito palette, which colour-blind readers can tell apart
    factory: Callable[..., optax.GradientTransformation]
    rates: tuple[float, ...]


def adamw(learning_rate, weight_decay):
    """AdamW with AdamPower's b1, b2 and eps: the two differ in the power alone."""
    return optax.adamw(learning_rate, b1=0.9, b2=0.95, eps=1e-8, weight_decay=weight_decay)


# Five rates each, a factor of about 3 apart, around the rates that suit the method.
OPTIMIZERS = {
    "adamw": Entry("AdamW", "#444444", adamw, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
    "adampower": Entry("AdamPower", "#0072B2", gradpow.adampower, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
    "s3": Entry("S3", "#D55E00", gradpow.s3, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
    "stacey": Entry("STACEY", "#009E73", gradpow.stacey, (3e-3, 1e-2, 3e-2, 1e-1, 3e-1)),
    "grams": Entry("Grams", "#CC79A7", gradpow.grams, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
}


@dataclasses.dataclass
class Config:
    """Compares optimizers on handwritten digits; about a minute on two CPU cores."""

    optimizers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = tuple(OPTIMIZERS)
    """Which to train, out of: adamw, adampower, s3, stacey, grams."""
    steps: int = 600
    """Training steps of each run."""
    seeds: int = 3
    """Repetitions of each run, with other initial weights and batches."""
    batch: int = 64
    """Images in a batch."""
    width: int = 64
    """Units in each of the two hidden layers."""
    chunk: int = 20
    """Steps between two evaluations, which are the points of the curves."""
    out: Path = Path("runs/quickstart")
    """Folder for quickstart.png and results.json."""
    quick: bool = False
    """A first look: at most 100 steps and 2 seeds."""
