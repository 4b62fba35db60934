"""What a run would take on a TPU slice: compiled ahead of time, without a TPU.

    pip install -e ".[pretrain,pods]"
    python -m examples.pretrain.plan --topology v5e:4x4 --preset llama-2b --optimizer s3
    python -m examples.pretrain.plan --search --preset llama-2b --shape.remat
    python -m examples.pretrain.plan --table plan.md --topology v5e:4x4 --shape.remat

The options of ``examples.pretrain.train`` say what is to be run. The TPU's own compiler decides
what fits; the speed is not known before a run.
"""

import dataclasses
import functools
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import tyro
from rich.console import Console

from ..progress import progress_bar
from . import absent, cli, runs, sharding
from .collectives import Collective, collectives
from .config import Config, parse
from .errors import UserError, shown_in_one_line
from .files import make_folder, write_whole
from .hardware import in_bytes, tree_bytes

# Memory that a program may use on one device, as the compiler says when one needs more, and the
# slices that the cloud lends, by chips.
GIB = 2**30
MEMORY = {"v5e": 15.75 * GIB, "v5p": 95.74 * GIB, "v6e": 31.25 * GIB}
SLICES = {
    "v5e": ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"),
    "v5p": ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8"),
    "v6e": ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"),
}
PRESETS = (
    "llama-66m", "llama-0.2b", "llama-0.25b", "llama-0.4b", "llama-1b", "llama-2b",
    "qwen2moe-0.5b", "qwen2moe-1b", "qwen2moe-2b",
)  # fmt: skip
OPTIMIZERS = ("adamw", "adampower", "s3", "stacey", "grams", "muonpower")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run would take on a TPU slice. Takes all options of examples.pretrain.train, too."""

    topology: str = "v5e:4x4"
    """Generation and shape of the slice, in chips: v5e:4x4, v5p:2x2x2, v6e:8x8."""
    search: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also look for the largest batch on the slice, and for the smallest slices that do."""
    table: Path | None = None
    """Write a table of presets and optimizers, each at its own batch and length, to this file."""
    presets: tuple[str, ...] = PRESETS
    """The table's presets."""
    optimizers: tuple[str, ...] = OPTIMIZERS
    """The table's optimizers."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A step compiled for a slice. Bytes are of one device."""

    devices: int
    devices_per_chip: int
    params: int
    opt_state: int
    temporaries: int  # activations too; 0 where it does not fit and the compiler does not say
    fits: bool
    collectives: list[Collective]
    seconds: float  # of compilation

    @property
    def total(self) -> int:
        return self.params + self.opt_state + self.temporaries

    @property
    def sent(self) -> float:
        """Bytes a step, by each device."""
        return sum(c.sent for c in self.collectives)


def devices_of(topology: str) -> Any:
    generation = topology.partition(":")[0]
    if generation not in SLICES:
        raise UserError(f"--topology takes {', '.join(SLICES)} and a shape, not {topology}")
    return absent.tpus(topology)


def compile_for(topology: str, config: Config) -> Program:
    """The step of a run, compiled for a slice; one that does not fit in memory is a result too."""
    devices = devices_of(topology)
    parts = runs.make_parts(config, devices)
    start = time.perf_counter()
    try:
        step = runs.compile_step(parts, config)
        temporaries, found = step.memory_analysis().temp_size_in_bytes, collectives(step.as_text())
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        step, temporaries, found = None, _temporaries_of(str(error)), []
    return Program(
        devices=len(devices),
        devices_per_chip=len(devices) // absent.chips(devices),
        params=tree_bytes(parts.abstract.params),
        opt_state=tree_bytes(parts.abstract.opt_state),
        temporaries=temporaries,
        fits=step is not None,
        collectives=found,
        seconds=time.perf_counter() - start,
    )


def _temporaries_of(message: str) -> int:
    """What the compiler says it lacks, as in "HLO temporaries (49.85G)"."""
    found = re.search(r"HLO temporaries \(([\d.]+)([KMGT])\)", message)
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2])) if found else 0


def batch_step(topology: str, config: Config) -> int:
    """Sequences by which a batch can grow: one for each of its parts."""
    mesh = sharding.make_mesh(config.mesh, devices_of(topology))
    return sharding.batch_parts(mesh) * config.accumulate


def largest_batch(topology: str, config: Config, compiled: Callable[[str, Config], Program]) -> int:
    """The most sequences that fit, to a twentieth; 0 if not even one a device does."""
    unit = batch_step(topology, config)

    @functools.cache
    def fits(parts: int) -> bool:
        return compiled(topology, dataclasses.replace(config, batch_size=parts * unit)).fits

    low = max(1, config.batch_size // unit)  # a place to start
    while low and not fits(low):
        low //= 2
    high = 2 * low + 1
    while low and fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low * unit


def smallest_slice(
    generation: str, config: Config, compiled: Callable[[str, Config], Program]
) -> str | None:
    """The first slice that fits, from the first that could hold what is kept between steps."""
    for shape in SLICES[generation]:
        topology = f"{generation}:{shape}"
        if config.batch_size % batch_step(topology, config):
            continue  # the batch cannot be shared out
        parts = runs.make_parts(config, devices_of(topology))
        # A gradient is there beside it.
        kept = tree_bytes(parts.abstract) + tree_bytes(parts.abstract.params)
        if kept < MEMORY[generation] and compiled(topology, config).fits:
            return topology
    return None


def describe(generation: str, program: Program, activations: int | None) -> str:
    """`activations` are those of the temporaries that grow with the batch, where known."""
    rows = {"parameters": program.params, "optimizer state": program.opt_state}
    if activations is None:
        rows["activations and temporaries"] = program.temporaries
    else:
        rows["activations, growing with the batch"] = activations
        rows["temporaries, gradients among them"] = program.temporaries - activations
    rows["in all"] = program.total
    columns = {"a device": 1, "a chip": program.devices_per_chip}
    lines = [" " * 38 + "".join(f"{head:>10}" for head in columns)]
    for name, size in rows.items():
        cells = (f"{in_bytes(size * factor):>10}" for factor in columns.values())
        lines.append(f"{name:38}{''.join(cells)}")
    verdict = "fits" if program.fits else "does not fit"
    lines += ["", f"{verdict} in the {in_bytes(MEMORY[generation])} of a device"]
    if not program.fits:
        advice = "try a larger --accumulate, --shape.remat, or a larger slice: --search"
        return "\n".join([*lines, advice])
    sent: Counter[str] = Counter()
    for c in program.collectives:
        sent[f"{c.kind}, {c.dtype}"] += c.sent  # pyright: ignore[reportArgumentType]
    lines += ["", f"{'collectives of a step':38}{'sent by a device':>20}"]
    lines += [f"{name:38}{in_bytes(size):>20}" for name, size in sent.most_common()]
    lines += [f"{'in all':38}{in_bytes(program.sent):>20}"]
    return "\n".join([*lines, "", f"compiled in {program.seconds:.1f} s"])


def plan(options: Plan, config: Config, console: Console) -> None:
    def compiled(topology: str, config: Config) -> Program:
        with console.status(f"compiling for {topology}, {config.batch_size} sequences"):
            return compile_for(topology, config)

    topology = options.topology
    console.print(
        f"{config.preset}, {config.optimizer}, {config.dtype}, {config.batch_size} sequences of "
        f"{config.sequence_length} tokens a step, on {topology}"
    )
    devices = devices_of(topology)
    mesh = runs.describe_mesh(runs.make_parts(config, devices), len(devices))
    console.print(mesh, "", sep="\n")
    program, activations = compiled(topology, config), None
    if program.fits and config.batch_size > (least := batch_step(topology, config)):
        small = compiled(topology, dataclasses.replace(config, batch_size=least))
        a_sequence = (program.temporaries - small.temporaries) / (config.batch_size - least)
        activations = round(a_sequence * config.batch_size)
    console.print(describe(topology.partition(":")[0], program, activations))
    if options.search:
        most = largest_batch(topology, config, compiled)
        console.print(f"\nlargest batch on {topology}: {most:,} sequences, to a twentieth")
        for generation in SLICES:
            found = smallest_slice(generation, config, compiled)
            console.print(f"smallest {generation} slice: {found or 'none'}")


def table(options: Plan, config: Config, to: Path, console: Console) -> None:
    """A row a preset and optimizer, written as soon as it is known."""
    make_folder(to.parent)
    heads = ["preset", "optimizer", "parameters", "state", "temporaries", "in all", "fits"]
    heads += ["sent a step", "compiled in", *(SLICES if options.search else ())]
    lines = [heads, ["---"] * len(heads)]
    cases = list(itertools.product(options.presets, options.optimizers))
    with progress_bar(console) as progress:
        task = progress.add_task("", total=len(cases))
        for preset, optimizer in cases:
            progress.update(task, description=f"for {options.topology}: {preset}, {optimizer}")
            default = Config.defaults(preset, optimizer)
            shape = dataclasses.replace(default.shape, remat=config.shape.remat)
            case = dataclasses.replace(default, shape=shape, dtype=config.dtype, mesh=config.mesh)
            program = compile_for(options.topology, case)
            sizes = (program.params, program.opt_state, program.temporaries, program.total)
            row = [f"`{preset}`", optimizer, *map(in_bytes, sizes)]
            row += ["yes", in_bytes(program.sent)] if program.fits else ["no", ""]
            row += [f"{program.seconds:.0f} s"]
            if options.search:
                found = (smallest_slice(g, case, compile_for) for g in SLICES)
                row += [(topology or "none").partition(":")[2] or "none" for topology in found]
            lines.append(row)
            write_whole(to, "".join(f"| {' | '.join(line)} |\n" for line in lines))
            progress.advance(task)
    console.print(f"wrote {to}")


def main(arguments: list[str] | None = None) -> None:
    with shown_in_one_line("plan"):
        rest: list[str] = []
        options = cli.parse(Plan, "examples.pretrain.plan", arguments, others=rest)
        # What TPUs are made for, unless told otherwise later.
        config, console = parse(["--dtype", "bfloat16", *rest]), Console(soft_wrap=True)
        if options.table:
            table(options, config, options.table, console)
        else:
            plan(options, config, console)


if __name__ == "__main__":
    main()
