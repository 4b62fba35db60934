"""Trains a small classifier of handwritten digits with AdamW and four of gradpow's optimizers.

All get the same initial weights, batches, weight decay and number of learning rates to try. The
rate is chosen on validation images and reported on test images. Prints a table and writes
quickstart.png and results.json to runs/quickstart; takes under a minute on two CPU cores.

    pip install "gradpow[examples]"
    python examples/quickstart.py
    python examples/quickstart.py --quick    # a first look, 15 to 20 seconds
    python examples/quickstart.py --optimizers adamw s3 --seeds 10
"""

import dataclasses
import functools
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parents[1]))  # so that it runs as a file, too
try:
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax
    import tyro
    from flax import nnx
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator
    from rich import box
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn
    from rich.table import Table
    from sklearn.datasets import load_digits

    import gradpow
    from examples.progress import progress_bar
    from examples.style import look
    from gradpow.core import nearest
except ModuleNotFoundError as error:
    sys.exit(f'quickstart: {error.name} is not installed: pip install -e ".[examples]"')

SHOWN = ("adamw", "adampower", "s3", "stacey", "grams")
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)  # where normalised steps are best here
OTHER_RATES = {"stacey": (0.01, 0.03, 0.1, 0.3, 1.0)}  # its step is not normalised
NUMBERS = {
    # With AdamPower's b1, b2 and eps, so that the two differ in nothing but the power.
    "adamw": {"b1": 0.9, "b2": 0.95, "eps": 1e-8},
    # The library has no default for these powers.
    "sgdpower": {"p": 0.5},
    "lp_descent": {"p": 3.0},
}
CHUNK = 20  # steps between evaluations; if they do not divide --steps, the rest compiles again
NOTES = """\
Means over the seeds (lowest - highest). Seconds: all rates, with compilation.
* at the edge of the rates tried: a better one may lie outside.
Same for all: initial weights, batches, cosine schedule, and a weight decay of
0.1% a step at its peak. AdamW has AdamPower's b1, b2 and eps; everything else
is the library's default."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Compare gradpow's optimizers with AdamW on handwritten digits."""

    optimizers: tuple[str, ...] = SHOWN
    """Which to train: any of those that `python -m gradpow` prints."""
    steps: int = 600
    """Training steps of each run, with 64 images each."""
    seeds: int = 3
    """Runs per learning rate, each with its own initial weights and batches."""
    out: Path = Path("runs/quickstart")
    """Folder for quickstart.png and results.json."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """Take a first look: at most 100 steps, 2 seeds and the first 3 optimizers."""


class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 128, rngs=rngs)
        self.head = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, images):
        return self.head(nnx.relu(self.hidden(images)))


class Setup(NamedTuple):
    """What all optimizers share."""

    data: dict[str, tuple[jax.Array, jax.Array]]  # images and labels of each split
    batches: np.ndarray  # [seed, step, image]: rows of the training data
    graphdef: nnx.GraphDef
    params: nnx.State  # initial weights; the first axis is the seed


class Result(NamedTuple):
    """What one optimizer did; the metrics are arrays [evaluation, rate, seed]."""

    steps: list[int]  # taken before each evaluation
    metrics: dict[str, np.ndarray]
    best: int  # the rate with the lowest final validation loss, averaged over the seeds
    seconds: float

    @property
    def curve(self) -> np.ndarray:
        return self.metrics["test loss"][:, self.best]


def set_up(config: Config) -> Setup:
    """Splits the 1797 digits: 60% to train, 20% to choose the rate, 20% to report on."""
    images, labels = load_digits(return_X_y=True)
    images, labels = jnp.array(images / 16, jnp.float32), jnp.array(labels, jnp.int32)
    rows = np.split(np.random.default_rng(0).permutation(1797), [1077, 1437])
    splits = zip(("train", "validation", "test"), rows, strict=True)
    data = {name: (images[split], labels[split]) for name, split in splits}

    generators = [np.random.default_rng(seed) for seed in range(config.seeds)]
    batches = np.stack([rng.integers(1077, size=(config.steps, 64)) for rng in generators])

    keys = jax.vmap(jax.random.key)(np.arange(config.seeds))
    make_models = jax.vmap(lambda key: nnx.split(Classifier(nnx.Rngs(key))))
    graphdef, params = jax.jit(make_models)(keys)
    return Setup(data, batches, graphdef, params)


def rates_of(name: str) -> tuple[float, ...]:
    return OTHER_RATES.get(name, RATES)


def make_run(name: str, setup: Setup, total_steps: int):
    """One training run as two pure functions: its start, and its advance by some batches."""
    factory = gradpow.presets.OPTIMIZERS[name].factory
    numbers = NUMBERS.get(name, {})

    def make_optimizer(rate):
        # Decoupled decay takes rate * weight_decay of the weights at every step: here, for each
        # optimizer and rate, what AdamW takes with a decay of 0.1 at the rate 0.01.
        decay = gradpow.matched_weight_decay(adam_lr=0.01, adam_weight_decay=0.1, lr=rate)
        schedule = optax.cosine_decay_schedule(rate, total_steps)
        return factory(schedule, weight_decay=decay, mask=None, **numbers)

    def loss_and_accuracy(params, images, labels):
        logits = nnx.merge(setup.graphdef, params)(images)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, (logits.argmax(axis=-1) == labels).mean(dtype=jnp.float32)

    def start(rate, params):
        return params, make_optimizer(rate).init(params)

    def advance(rate, state, batches):
        optimizer = make_optimizer(rate)
        images, labels = setup.data["train"]

        def step(state, rows):
            params, opt_state = state
            grads, _ = jax.grad(loss_and_accuracy, has_aux=True)(params, images[rows], labels[rows])
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        (params, opt_state), _ = jax.lax.scan(step, state, batches)
        metrics = {}
        for split in ("validation", "test"):
            loss, accuracy = loss_and_accuracy(params, *setup.data[split])
            metrics |= {f"{split} loss": loss, f"{split} accuracy": accuracy}
        return (params, opt_state), metrics

    return start, advance


def train(name: str, setup: Setup, config: Config, report: Callable[..., None]) -> Result:
    """Trains with all rates and seeds at once, in a single compilation."""
    clock = time.perf_counter()
    label, rates = look(name).label, jnp.array(rates_of(name), jnp.float32)
    report(description=f"{label}: compiling")
    start, advance = make_run(name, setup, config.steps)
    # The inner vmap runs over the seeds, the outer one over the rates.
    start = jax.vmap(jax.vmap(start, in_axes=(None, 0)), in_axes=(0, None))
    advance = jax.jit(jax.vmap(jax.vmap(advance, in_axes=(None, 0, 0)), in_axes=(0, 0, None)))

    state = start(rates, setup.params)
    steps, history = [], []
    for begin in range(0, config.steps, CHUNK):
        batches = setup.batches[:, begin : begin + CHUNK]
        state, metrics = advance(rates, state, batches)
        history.append(jax.device_get(metrics))
        steps.append(begin + batches.shape[1])
        report(description=f"{label}: step {steps[-1]}", advance=batches.shape[1])
    metrics = {key: np.stack([point[key] for point in history]) for key in history[0]}
    final = metrics["validation loss"][-1].mean(axis=-1)
    best = int(np.nan_to_num(final, nan=np.inf).argmin())  # a diverged run is never the best
    return Result(steps, metrics, best, time.perf_counter() - clock)


def train_all(config: Config, results: dict[str, Result], console: Console) -> None:
    """Fills `results`, so that the caller has what is finished when Ctrl-C ends this."""
    columns = (SpinnerColumn(), *Progress.get_default_columns())
    with progress_bar(console, *columns) as progress:
        total = config.steps * len(config.optimizers)
        report = functools.partial(progress.update, progress.add_task("setting up", total=total))
        setup = set_up(config)
        for name in config.optimizers:
            results[name] = train(name, setup, config, report)
        report(description="finished")


def print_table(results: dict[str, Result], console: Console) -> None:
    table = Table("Optimizer", box=box.SIMPLE)
    for heading in ("Best rate", "Test accuracy, %", "Test loss", "Seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, result in results.items():
        rates = rates_of(name)
        accuracy = 100 * result.metrics["test accuracy"][-1, result.best]
        loss = result.curve[-1]
        table.add_row(
            look(name).label,
            f"{rates[result.best]:g}" + ("*" if result.best in (0, len(rates) - 1) else " "),
            f"{accuracy.mean():.1f} ({accuracy.min():.1f} - {accuracy.max():.1f})",
            f"{loss.mean():.3f} ({loss.min():.3f} - {loss.max():.3f})",
            f"{result.seconds:.1f}",
        )
    console.print(table, NOTES)


def draw(results: dict[str, Result], path: Path) -> None:
    figure = Figure(figsize=(8, 4), dpi=200, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(4, 3))
    height = 0.0
    for name, result in sorted(results.items(), key=lambda item: item[1].curve[-1].mean()):
        (label, color, _), rates = look(name), rates_of(name)
        final = result.metrics["validation loss"][-1]
        for axes, x, y in ((left, result.steps, result.curve), (right, rates, final)):
            axes.plot(x, y.mean(axis=-1), color=color)
            axes.fill_between(x, y.min(axis=-1), y.max(axis=-1), color=color, alpha=0.15, lw=0)
        right.plot(rates[result.best], final[result.best].mean(), "o", color=color, mec="white")
        # The label stands at the end of its curve, or just above the label below.
        height = max(1.2 * height, result.curve[-1].mean())
        left.annotate(
            label, (1.01, height), xycoords=("axes fraction", "data"), va="center", color=color
        )
    left.set(yscale="log", xlim=(0, None), ylabel="test loss")
    left.set_xlabel("training step (mean and range over the seeds)")
    right.set(xscale="log", xlabel="learning rate", ylabel="validation loss")
    left.set_title("Handwritten digits, each at its best rate", loc="left", size=11)
    right.set_title("All rates (dot: the best)", loc="left", size=11)
    for axis in (left.yaxis, right.xaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", lw=0.6)
    figure.savefig(path)


def write_json(results: dict[str, Result], config: Config, path: Path) -> None:
    """Writes all that was measured, at every rate; what is not finite becomes null."""

    def entry(name, result):
        rates = rates_of(name)
        chosen = {"rates": rates, "best rate": rates[result.best], "seconds": result.seconds}
        null = np.array(None)
        metrics = {k: np.where(np.isfinite(v), v, null).tolist() for k, v in result.metrics.items()}
        return chosen | {"step": result.steps} | metrics

    packages = ("gradpow", "jax", "optax", "flax", "numpy", "scikit-learn")
    report = {
        "config": dataclasses.asdict(config),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {jax.devices()[0].device_kind}",
        "axes": ["step", "rate", "seed"],
        "results": {name: entry(name, result) for name, result in results.items()},
    }
    path.write_text(json.dumps(report, default=str))


def check(config: Config) -> None:
    """Ends the script with one line if the configuration makes no sense."""
    if config.steps < 1 or config.seeds < 1:
        sys.exit("quickstart: --steps and --seeds must be at least 1")
    for name in config.optimizers or ("nothing",):
        if name not in gradpow.presets.OPTIMIZERS:
            sys.exit(
                "quickstart: --optimizers takes methods by the names that python -m gradpow "
                f"prints, not {name}{nearest(name, gradpow.presets.OPTIMIZERS)}"
            )
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=config.out).close()
    except OSError as error:
        sys.exit(f"quickstart: cannot write to {config.out}: {error.strerror}")


def main(arguments: list[str] | None = None) -> None:
    config = tyro.cli(Config, args=arguments)
    if config.quick:
        few = {"steps": min(config.steps, 100), "seeds": min(config.seeds, 2)}
        config = dataclasses.replace(config, **few, optimizers=config.optimizers[:3])
    check(config)
    console, results = Console(), {}
    try:
        train_all(config, results, console)
    except KeyboardInterrupt:
        if results:
            print_table(results, console)
        finished = f"{len(results)} of {len(config.optimizers)}"
        sys.exit(f"quickstart: interrupted; {finished} optimizers finished, nothing written")
    print_table(results, console)
    write_json(results, config, config.out / "results.json")
    draw(results, config.out / "quickstart.png")
    console.print(f"Wrote {config.out / 'quickstart.png'} and {config.out / 'results.json'}")


if __name__ == "__main__":
    main()
