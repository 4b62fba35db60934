"""Tries the papers' claims at small scale: trains pairs of runs that differ in the optimizer alone.

pip install -e ".[pretrain,examples]"
python -m examples.claims                      # lists the studies
python -m examples.claims adampower            # one, in a few minutes on two CPU cores
python -m examples.claims all --out runs/claims
python -m examples.claims adampower --smoke    # ten steps, to see that it runs
python -m examples.claims --table              # the table of the results that are kept here
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from .. import sweep
from ..pretrain import cli, runs
from ..pretrain.errors import UserError, shown_in_one_line
from ..pretrain.files import make_folder, write_checked_json
from ..progress import print_table, progress_bar
from . import ams, gradpower, s3, stacey, verdicts
from .lab import Lab

STUDIES = {**gradpower.STUDIES, **s3.STUDIES, **stacey.STUDIES, **ams.STUDIES}


@dataclasses.dataclass(frozen=True)
class Options:
    """Try the papers' claims at small scale. Without a study, list them."""

    studies: tyro.conf.Positional[tuple[str, ...]] = ()
    """Studies by name, or all."""
    seeds: int = 8
    """Pairs of runs for each claim."""
    out: Path = Path("runs/claims")
    """Folder for one JSON file a study."""
    cache: Path | None = None
    """Folder for compiled programs; by default gradpow in ~/.cache, or in $XDG_CACHE_HOME."""
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """Only see that the studies run: 10 steps, 2 seeds, nothing written."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Write over results in --out."""
    table: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the table of the results that are kept with these sources."""


def run(name: str, options: Options, console: Console) -> dict[str, Any]:
    """The study's results, as they are written."""
    study, title = STUDIES[name], (STUDIES[name].__doc__ or "").split("\n")[0].rstrip(".")
    planned = Lab(options.seeds, options.smoke, None)
    study(planned)
    clock = time.perf_counter()
    with progress_bar(console) as progress:
        task = progress.add_task(f"{name}: compiling", total=planned.steps)

        def report(what: str, steps: int) -> None:
            progress.update(task, advance=steps, description=f"{name}: {what}")

        lab = Lab(options.seeds, options.smoke, report)
        study(lab)
        progress.update(task, completed=planned.steps, description=f"{name}: finished")
    return {
        "title": title,
        "seeds": len(lab.seeds),
        "problems": lab.problems,
        "claims": [dataclasses.asdict(claim) for claim in lab.claims],
        "arms": lab.arms,
        "seconds": round(time.perf_counter() - clock),
        "versions": runs.versions(),
        "machine": runs.machine(),
    }


def run_all(options: Options, console: Console) -> None:
    if options.studies and not options.smoke:
        make_folder(options.out)
    for name in options.studies:
        path = options.out / f"{name}.json"
        result = run(name, options, console)
        if options.smoke:
            console.print(f"{name} runs")
            continue
        write_checked_json(path, result)
        print_table(verdicts.table({name: verdicts.read(path)}), console)
        console.print(f"wrote {path}, after {result['seconds']} s")


def parse(arguments: list[str] | None) -> Options:
    options = cli.parse(Options, "examples.claims", arguments)
    if options.studies == ("all",):
        options = dataclasses.replace(options, studies=tuple(STUDIES))
    for name in options.studies:
        if name not in STUDIES:
            raise UserError(f"the studies are {', '.join(STUDIES)} and all, not {name}")
        path = options.out / f"{name}.json"
        if path.exists() and not (options.overwrite or options.smoke):
            raise UserError(f"{path} is there already: --overwrite, or give another --out")
    cli.require_at_least(2, seeds=options.seeds)
    return options


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("claims"):
        options, console = parse(arguments), Console(soft_wrap=True)
        if options.table:
            kept = {name: verdicts.RESULTS / f"{name}.json" for name in STUDIES}
            there = {name: verdicts.read(path) for name, path in kept.items() if path.exists()}
            print_table(verdicts.table(there), console)
            return
        for name, study in STUDIES.items() if not options.studies else ():
            console.print(f"{name}: {(study.__doc__ or '').splitlines()[0]}")
        sweep.begin(options.cache)
        try:
            run_all(options, console)
        except KeyboardInterrupt:
            console.print("stopped; the studies that were finished are written")
            sys.exit(130)


if __name__ == "__main__":
    main()
