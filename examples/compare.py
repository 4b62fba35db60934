"""Which optimizer trains my kind of model best, and at which rate?

Trains a nano language model with each optimizer at several rates, chooses each one's rate on some
seeds, and reports on others. Writes a table and a picture; takes five minutes on two CPU cores.

    pip install -e ".[pretrain]"
    python -m examples.compare
    python -m examples.compare --quick                  # a first look, about a minute
    python -m examples.compare --model qwen2moe-nano
    python -m examples.compare --optimizers adamw s3 --seeds 20 --data "my/text/*.txt"
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.progress import Progress

from . import comparison, problems, sweep
from .comparison import Result
from .pretrain import cli, runs
from .pretrain.errors import UserError, shown_in_one_line
from .pretrain.files import (
    Damaged,
    make_folder,
    read_json,
    read_kept,
    write_checked_json,
    write_whole,
)
from .pretrain.optimizers import require_known
from .progress import print_table, progress_bar
from .tuning import ADAMW, GRIDS

MODELS = ("llama-nano", "qwen2moe-nano", "gpt2-nano")
# What is compared unless told otherwise; any other method can be.
SHOWN = (
    "adamw", "adampower", "s3", "stacey", "grams", "cautious_adam", "lion", "muon", "muonpower",
)  # fmt: skip
QUICK = SHOWN[:5]


@dataclasses.dataclass(frozen=True)
class Config:
    """Compare optimizers on a nano language model, each at its best learning rate."""

    model: str = "llama-nano"
    """llama-nano, qwen2moe-nano or gpt2-nano."""
    optimizers: tuple[str, ...] = SHOWN
    """Which to train, as `python -m gradpow` names them. Differences are taken to adamw, if it is
    among them."""
    steps: int = 250
    """Training steps of each run."""
    batch_size: int = 8
    """Sequences of 64 tokens a step."""
    tune_seeds: int = 2
    """Seeds on which the rate is chosen."""
    seeds: int = 6
    """Seeds on which the best rate is reported, none of which chose it."""
    moves: int = 3
    """How often a grid whose best rate is at its edge may move on by one rate."""
    data: str = "stdlib"
    """stdlib, or text or JSONL files by glob, read as bytes."""
    text_field: str = "text"
    """Field of JSONL records."""
    out: Path | None = None
    """Folder for the results; by default runs/compare-MODEL."""
    cache: Path | None = None
    """Folder for compiled programs; by default gradpow in ~/.cache, or in $XDG_CACHE_HOME."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Write over another comparison in --out."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """Take a first look: five optimizers unless told which, at most 80 steps and 2 seeds."""

    @property
    def folder(self) -> Path:
        return self.out or Path("runs") / f"compare-{self.model}{'-quick' * self.quick}"


def parse(arguments: list[str] | None) -> Config:
    config = cli.parse(Config, "examples.compare", arguments)
    if config.model not in MODELS:
        raise UserError(f"--model takes {', '.join(MODELS)}, not {config.model}")
    for name in config.optimizers or ("nothing",):
        require_known("--optimizers", name)
    cli.require_at_least(0, moves=config.moves)
    cli.require_at_least(1, batch_size=config.batch_size, tune_seeds=config.tune_seeds)
    cli.require_at_least(2, steps=config.steps, seeds=config.seeds)
    if config.quick:
        few = {"steps": min(config.steps, 80), "seeds": min(config.seeds, 2)}
        chosen = QUICK if config.optimizers == SHOWN else config.optimizers
        config = dataclasses.replace(config, **few, optimizers=chosen)
    return config


class Store:
    """The results in a folder: one file an optimizer, and what they all have in common."""

    def __init__(self, config: Config, about: dict[str, Any]):
        self.folder, self.about = config.folder, about
        path = self.folder / "comparison.json"
        if (other := self._difference(path)) is not None:
            if not config.overwrite:
                raise UserError(
                    f"{self.folder} holds another comparison ({other}): give another --out, or "
                    "--overwrite"
                )
            for old in self.folder.glob("result-*.json"):
                old.unlink()
        make_folder(self.folder)
        write_checked_json(path, about)

    def _difference(self, path: Path) -> str | None:
        """What tells a comparison that is there from this one."""
        try:
            there = read_json(path)
        except FileNotFoundError:
            return None
        except Damaged:
            return f"{path.name} is damaged"
        there = there if isinstance(there, dict) else {}
        differing = (key for key in self.about if there.get(key) != self.about[key])
        return next((f"{k}: {there.get(k)} there, {self.about[k]} here" for k in differing), None)

    def path(self, name: str) -> Path:
        return self.folder / f"result-{name}.json"

    def read(self, name: str) -> Result | None:
        return read_kept(self.path(name), Result.from_json)

    def write(self, result: Result) -> None:
        write_checked_json(self.path(result.optimizer), result.to_json())


class Bar:
    """Says which optimizer trains, how far it all is, and how long it will take."""

    def __init__(self, progress: Progress, config: Config, waiting: Sequence[str]):
        self.progress = progress
        self.each = config.steps * (3 * config.tune_seeds + config.seeds)  # without moves
        self.task = progress.add_task("compiling", total=self.each * len(waiting))

    def begin(self, name: str, index: int) -> Callable[[str, int], None]:
        self.progress.update(
            self.task, completed=index * self.each, description=f"{name}: compiling"
        )

        def report(what: str, steps: int) -> None:
            self.progress.update(self.task, advance=steps, description=f"{name}: {what}")

        return report


def describe(config: Config, problem: sweep.Problem) -> dict[str, Any]:
    """What results must share to stand in one table; the list of optimizers may grow."""
    keys = ("steps", "tune_seeds", "seeds", "moves")
    return {
        **problem.about,
        **{key: getattr(config, key) for key in keys},
        "grids": {name: list(grid) for name, grid in {"default": ADAMW, **GRIDS}.items()},
        "versions": runs.versions(),
        "machine": runs.machine(),
    }


def compare(config: Config, console: Console) -> int:
    """The exit status: 0, or 130 after ctrl-C."""
    with console.status("reading the data"):
        problem = problems.language(config.model, config.data, config.batch_size, config.text_field)
    store = Store(config, describe(config, problem))
    results = {name: store.read(name) for name in config.optimizers}
    waiting = [name for name in config.optimizers if results[name] is None]
    if len(waiting) < len(results):
        console.print(f"kept from before: {', '.join(n for n in results if n not in waiting)}")
    status = 0
    with progress_bar(console) as progress:
        bar = Bar(progress, config, waiting)
        try:
            for index, name in enumerate(waiting):
                result = comparison.run(
                    name,
                    problem,
                    steps=config.steps,
                    tune_seeds=range(config.tune_seeds),
                    seeds=range(config.tune_seeds, config.tune_seeds + config.seeds),
                    moves=config.moves,
                    report=bar.begin(name, index),
                )
                store.write(result)
                results[name] = result
        except KeyboardInterrupt:
            status = 130
    finished = [result for result in results.values() if result is not None]
    if finished:
        table = comparison.table(finished, problem)
        print_table(table, console)
        write_whole(config.folder / "table.md", table + "\n")
        comparison.draw(finished, config.folder / "compare.png", config.model)
        console.print(f"wrote table.md and compare.png to {config.folder}")
    if status:
        console.print(
            f"stopped; {len(finished)} of {len(results)} finished, the same command goes on"
        )
    return status


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("compare"):
        config = parse(arguments)
        sweep.begin(config.cache)
        sys.exit(compare(config, Console(soft_wrap=True, markup=False)))


if __name__ == "__main__":
    main()
