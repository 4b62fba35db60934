"""Many small training runs side by side, each device training its own.

A run is an optimizer's numbers and a seed. The seed alone decides the initial weights and the
batches, so that runs of one seed differ in the optimizer and in nothing else, whatever else is
trained beside them: differences between optimizers are taken seed by seed.
"""

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

from .pretrain import cache
from .pretrain.logs import Spikes
from .pretrain.step import METRICS, Losses, init_state, make_step


@dataclasses.dataclass(frozen=True, eq=False)  # by identity, since programs are kept for each
class Problem:
    """What is trained, small enough to be trained many times."""

    about: dict[str, Any]  # whatever changes its results: data's hash, model, batch size
    init: Callable[[jax.Array], Any]  # from a random key to parameters
    losses: Losses
    measure: Callable[[Any, Any], dict[str, jax.Array]]  # of each example in (params, batch)
    validation: Any  # the batch to measure
    batches: Callable[[int, int], Any]  # seed, steps -> a tree of arrays [steps, ...]
    random: bool = False  # whether the losses draw random numbers


# From numbers, which are traced, to an optimizer with them and its schedule. Runs with different
# numbers share one compiled program.
Numbers = dict[str, float]  # the learning rate under "rate", and hyper-parameters
Make = Callable[..., tuple[optax.GradientTransformation, optax.Schedule]]


class Run(NamedTuple):
    numbers: Numbers
    seed: int
    losses: list[float]  # of every step, on its batch
    largest: list[float]  # |update| of every step, the largest coordinate's
    measured: dict[str, list[float]]  # at the start and after every `every` steps


class Sweep:
    """One optimizer's runs on a problem, by one compiled program."""

    def __init__(self, problem: Problem, make: Make, *, steps: int, every: int):
        self.problem, self.make, self.steps, self.every = problem, make, steps, every
        self.step_ms: list[
            float
        ] = []  # a run's step in each part of a training; the first compiles
        self.programs = functools.cache(self._compile)

    def run(
        self, runs: Sequence[tuple[Numbers, int]], report: Callable[[int], None] = lambda _: None
    ) -> list[Run]:
        """Trains with each pair of numbers and seed; tells `report` how many steps were taken."""
        devices = jax.devices()[: len(runs)]
        # One at a time on a CPU, whose caches hold one small model; elsewhere up to eight.
        each = 1 if devices[0].platform == "cpu" else min(8, -(-len(runs) // len(devices)))
        width = each * len(devices)
        groups = [runs[i : i + width] for i in range(0, len(runs), width)]
        return [run for group in groups for run in self._train(group, width, len(devices), report)]

    def _train(self, group, width: int, devices: int, report) -> list[Run]:
        padded = [*group, *[group[-1]] * (width - len(group))]
        numbers = {key: jnp.array([n[key] for n, _ in padded], jnp.float32) for key in padded[0][0]}
        seeds = jnp.array([seed for _, seed in padded])
        batches = [self.problem.batches(seed, self.steps) for _, seed in padded]
        init, measure = _shared_programs(self.problem, width, devices)
        start, advance = self.programs(width, devices)
        state = start(numbers, init(seeds))
        metrics, measured = [], [measure(state.params)]
        for begin in range(0, self.steps, self.every):
            end = min(begin + self.every, self.steps)
            part = [jax.tree.map(lambda x: x[begin:end], each) for each in batches]  # noqa: B023
            part = jax.tree.map(lambda *x: np.stack(x), *part)
            clock = time.perf_counter()
            state, found = jax.block_until_ready(advance(numbers, seeds, state, part))
            self.step_ms.append(
                1000 * devices / width * (time.perf_counter() - clock) / (end - begin)
            )
            metrics.append(found)
            measured.append(measure(state.params))
            report(len(group) * (end - begin))
        named = dict(zip(METRICS, np.moveaxis(np.concatenate(metrics, 1), -1, 0), strict=True))
        return [
            Run(
                numbers,
                seed,
                named["loss"][i].tolist(),
                named["update_max"][i].tolist(),
                {key: [float(point[key][i]) for point in measured] for key in measured[0]},
            )
            for i, (numbers, seed) in enumerate(group)
        ]

    def _compile(self, width: int, devices: int):
        def start(numbers, params):
            return init_state(params, self.make(**numbers)[0])

        def advance(numbers, seed, state, batches):
            optimizer, schedule = self.make(**numbers)
            step = make_step(
                self.problem.losses,
                optimizer,
                schedule,
                seed=seed,
                accumulate=1,
                dropout=self.problem.random,
            )
            return jax.lax.scan(step, state, batches)

        return (
            _spread(start, width, devices, donate_argnums=1),
            _spread(advance, width, devices, donate_argnums=2),
        )


@functools.cache
def _shared_programs(problem: Problem, width: int, devices: int):
    """What is the same for every optimizer: from seeds to weights, from weights to measures."""

    def init(seed):
        return problem.init(jax.random.key(seed))

    def measure(params):
        return jax.tree.map(jnp.mean, problem.measure(params, problem.validation))

    return _spread(init, width, devices), _spread(measure, width, devices)


def _spread(function: Callable[..., Any], width: int, devices: int, **options: Any):
    """Of single runs, to stacks of them that are shared out over the devices."""
    at_once = width // devices

    def mapped(*stacks):
        return jax.lax.map(
            lambda run: function(*run), stacks, batch_size=at_once if at_once > 1 else None
        )

    mesh, each = Mesh(np.array(jax.devices()[:devices]), ("runs",)), PartitionSpec("runs")
    shared = jax.shard_map(mapped, mesh=mesh, in_specs=each, out_specs=each, check_vma=False)
    return jax.jit(shared, **options)


def count_spikes(losses: Sequence[float]) -> int:
    spikes = Spikes()
    for loss in losses:
        spikes.add(loss)
    return spikes.count


def begin(given: Path | None) -> None:
    """Keeps compiled programs, and makes a device of each core of a CPU unless JAX has begun."""
    cache.keep_compiled(given)
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
