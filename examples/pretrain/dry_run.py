"""What a run would take: from its shapes, its compiled step, and some steps where they fit."""

import statistics
import time

import jax
from rich.console import Console
from rich.table import Table

from . import counts, hosts, runs
from .config import RunConfig
from .hardware import device_memory, in_bytes, matrix_rate, tree_bytes

LONGEST_STEP = 20.0  # seconds; slower steps are not tried


def dry_run(config: RunConfig, parts: runs.Parts, console: Console) -> None:
    start = time.perf_counter()
    with console.status("compiling"):
        step = runs.compile_step(parts, config)
    compiling = time.perf_counter() - start

    state = parts.abstract
    memory = step.memory_analysis()
    needed = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    step_flops = config.flops_per_unit * config.units_per_step
    table = Table(box=None, show_header=False)
    rows = {
        "parameters": f"{counts.count(config.shape).total:,}",
        "memory, parameters": in_bytes(tree_bytes(state.params)),
        "memory, optimizer state": in_bytes(tree_bytes(state.opt_state)),
        "memory, activations and temporaries": in_bytes(memory.temp_size_in_bytes),
        "memory, in all": f"{in_bytes(needed)} of a device's {in_bytes(device_memory())}",
        "steps": f"{config.steps:,}",
        config.unit: f"{config.steps * config.units_per_step:,}",
        "operations a step": f"{step_flops:.3g}",
        "compilation": f"{compiling:.1f} s",
        "training": expected_time(step, step_flops, needed, parts, config),
    }
    for row in rows.items():
        table.add_row(*row)
    console.print(table)


def expected_time(
    step, step_flops: float, needed: int, parts: runs.Parts, config: RunConfig
) -> str:
    """From steps that are run; from the rate of matrix products where they would not fit."""
    # All processes take the first one's measurements, so that all run as many steps.
    least = step_flops / hosts.gather(matrix_rate())[0] / parts.mesh.size
    if needed > device_memory():
        return (
            f"at least {in_time(least * config.steps)}, but it does not fit in memory: give a "
            f"larger --accumulate than {config.accumulate}, --shape.remat, or more devices along "
            "--mesh.fsdp"
        )
    if least > LONGEST_STEP:
        return f"at least {in_time(least * config.steps)}, at this device's rate of matrix products"
    state = parts.init(config)
    batch = jax.tree.map(parts.put_whole, config.example_batch())

    def run(state):
        start = time.perf_counter()
        state, metrics = step(state, batch)
        metrics.block_until_ready()
        return state, time.perf_counter() - start

    state, first = run(state)
    count = min(30, int(LONGEST_STEP / hosts.gather(first)[0]))
    seconds = [first]
    for _ in range(count):
        state, one = run(state)
        seconds.append(one)
    one = statistics.median(seconds)
    return f"{in_time(one * config.steps)} ({1000 * one:.3g} ms a step, without validation)"


def in_time(seconds: float) -> str:
    for unit, length in (("years", 31.6e6), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds > 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
