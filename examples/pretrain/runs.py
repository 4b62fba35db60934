"""The folder of a run, and how its parts are made from its configuration.

lock               held by the process that trains here
config.json        the resolved configuration, versions, git commit, corpus hash
log.jsonl          a record a step; tensorboard/ has the same
checkpoints/       by step; tokenizer.json beside them
result.json        when the run has ended, however it did
"""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from gradpow import owned_shardings, respread

from . import counts, hosts, sharding
from .checkpoints import Checkpoints
from .config import RunConfig, changes, command, holds_run, stored, to_json
from .data import Data
from .errors import UserError, one_line
from .files import digest, locked, write_checked_json
from .hardware import device_memory, in_bytes, tree_bytes
from .monitoring import monitored
from .optimizers import make_optimizer, make_schedule
from .step import TrainState, init_state, make_step


class Parts(NamedTuple):
    """What a configuration makes; the state is still abstract."""

    graphdef: nnx.GraphDef
    optimizer: optax.GradientTransformation
    unspread: optax.GradientTransformation  # the same on one device
    schedule: optax.Schedule
    mesh: Mesh
    abstract: TrainState  # with shardings
    stored: TrainState  # as checkpoints have it: no padding, and alike on any mesh

    @property
    def shardings(self) -> Any:
        return jax.tree.map(lambda leaf: leaf.sharding, self.abstract)

    def make_init(self, config: RunConfig) -> Any:
        """The function that makes the state at step 0, on each device what that keeps."""

        def init():
            params = nnx.split(counts.build(config.shape, seed=config.seed), nnx.Param)[1]
            return init_state(params, self.optimizer)

        return jax.jit(init, out_shardings=self.shardings)

    def init(self, config: RunConfig) -> TrainState:
        return self.make_init(config)()

    def to_store(self, state: TrainState) -> TrainState:
        """What a checkpoint has of a state."""
        return self._respread(state, self.unspread, self.stored)

    def from_store(self, state: TrainState) -> TrainState:
        """The state of a checkpoint, on this mesh."""
        return self._respread(state, self.optimizer, self.abstract)

    def _respread(self, state: TrainState, optimizer: Any, to: TrainState) -> TrainState:
        if not jax.tree.leaves(owned_shardings(state, self.mesh)):
            return state

        def moved(state):
            params = optax.tree.zeros_like(state.params)
            return respread(state, init_state(params, optimizer))

        shardings = jax.tree.map(lambda leaf: leaf.sharding, to)
        return jax.jit(moved, out_shardings=shardings)(state)

    def put(self, batch: Any) -> Any:
        """On the devices, from this process's share of a batch."""
        placed = sharding.batch_sharding(self.mesh)
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(placed, x), batch)

    def put_whole(self, batch: np.ndarray) -> jax.Array:
        """On the devices, from a batch that every process has."""
        placed = sharding.batch_sharding(self.mesh)
        return jax.make_array_from_callback(batch.shape, placed, lambda index: batch[index])


def make_parts(config: RunConfig, devices: Sequence[Any] | None = None) -> Parts:
    """On all devices, or on those given, which may be of a topology that is not here."""
    mesh = sharding.make_mesh(config.mesh, devices)
    sharding.check_divides(mesh, config.shape, config.batch_size, config.accumulate)
    schedule = make_schedule(
        config.schedule,
        config.learning_rate,
        steps=config.steps,
        warmup=config.warmup,
        final_fraction=config.final_fraction,
    )
    dtype = jnp.dtype(config.dtype)
    try:
        model = nnx.eval_shape(lambda: counts.build(config.shape, seed=config.seed, dtype=dtype))
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"--shape: {one_line(error)}") from None
    graphdef, params = nnx.split(model, nnx.Param)

    def optimizer(placed: Any) -> optax.GradientTransformation:
        made = make_optimizer(
            config.optimizer,
            schedule,
            weight_decay=config.weight_decay,
            hyper=config.hyper,
            clip=config.clip,
            stacked=config.shape.stacked,
            anneal=config.anneal,
            peak=config.learning_rate,
            placed=placed,
            wire=dtype if dtype == jnp.bfloat16 else None,
        )
        return monitored(made, schedule, config.hyper, params) if config.monitor else made

    def abstract(optimizer: optax.GradientTransformation) -> TrainState:
        found = jax.eval_shape(lambda params: init_state(params, optimizer), params)
        return sharding.place(found, mesh)

    spread, unspread = optimizer(sharding.place(params, mesh)), optimizer(None)
    return Parts(graphdef, spread, unspread, schedule, mesh, abstract(spread), abstract(unspread))


def compile_step(parts: Parts, config: RunConfig) -> Any:
    """The training step, compiled for the configuration's shapes before any clock starts."""
    step = make_step(
        config.losses(parts.graphdef),
        parts.optimizer,
        parts.schedule,
        seed=config.seed,
        accumulate=config.accumulate,
        dropout=config.random,
        out_shardings=(parts.shardings, sharding.replicated(parts.mesh)),
    )
    placed = sharding.batch_sharding(parts.mesh)
    batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=placed), config.example_batch()
    )
    with jax.set_mesh(parts.mesh):
        return step.lower(parts.abstract, batch).compile()


def check_free(config: RunConfig) -> None:
    """Raises `UserError` where a new run would write over another."""
    if holds_run(config.out) and not config.resumes:
        raise UserError(
            f"{config.out} holds a run: go on with {command(config, '--resume')}, or give another "
            "--out"
        )
    if not config.resumes and any(config.out.glob("checkpoints/[0-9]*")):
        raise UserError(
            f"{config.out} holds the checkpoints of a run that has lost its config.json: give "
            "another --out"
        )


@contextlib.contextmanager
def alone(config: RunConfig) -> Iterator[None]:
    """Keeps the processes of other starts out of a run's folder, which is made if need be."""

    def enter():
        try:
            config.out.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(config.out / "lock"))
        except BlockingIOError:
            raise UserError(
                f"another process trains in {config.out}: wait for its end, or give another --out"
            ) from None
        except OSError as error:
            raise UserError(f"cannot write to {config.out}: {error.strerror}") from None
        check_free(config)  # again: the other may have been here and gone

    with contextlib.ExitStack() as held:
        hosts.agreed(lambda: enter() if hosts.is_first() else None)
        yield


def check_memory(parts: Parts) -> None:
    """Raises `UserError` where not even what is kept between steps fits in memory."""
    needed, there = tree_bytes(parts.abstract), device_memory()
    if needed > there:
        raise UserError(
            f"parameters and optimizer state take {in_bytes(needed)} a device, which has "
            f"{in_bytes(there)}: --dry-run shows what a smaller --preset or --shape would take, "
            "and more devices along --mesh.fsdp share it out"
        )


def describe_mesh(parts: Parts, there: int | None = None) -> str:
    """The mesh in a line, and in another what it does not divide.

    `there` are the devices that a mesh could take; by default those here.
    """
    sizes = " x ".join(f"{axis} {size}" for axis, size in parts.mesh.shape.items())
    lines = [f"mesh: {sizes}, on {parts.mesh.size} of {there or jax.device_count()} devices"]
    if jax.process_count() > 1:
        lines[0] += f" of {jax.process_count()} processes"
    if whole := sharding.not_divided(parts.abstract.params, parts.mesh):
        lines.append(f"warning: not divided, and so kept whole: {', '.join(whole)}")
    return "\n".join(lines)


def write_config(config: RunConfig, data: Data) -> None:
    """Makes the folder of a new run, or adds a start to that of a resumed one."""
    path = config.out / "config.json"
    hosts.agreed(lambda: _write_config(path, config, data) if hosts.is_first() else None)
    hosts.check_shared(path)


def _write_config(path: Path, config: RunConfig, data: Data) -> None:
    start = {
        "command": sys.argv[1:],
        "git": git_commit(),
        "versions": versions(),
        "machine": machine(),
    }
    before = {}
    if config.resumes:
        before = stored(config.out)
        start["changed"] = changes(config)
    starts = [*before.get("starts", ()), start]
    about = before | {"config": to_json(config), "corpus": data.hash, "starts": starts}
    try:
        if data.tokenizer is not None and not config.resumes:
            file = config.out / "tokenizer.json"
            data.tokenizer.save(file)
            about["tokenizer"] = digest(file)
        write_checked_json(path, about)
    except OSError as error:
        raise UserError(f"cannot write to {config.out}: {error.strerror}") from None


def load_model(config: RunConfig, step: int | None = None) -> tuple[int, nnx.Module]:
    """The model of a run at a checkpoint: the newest, or that of `step`."""
    parts = make_parts(dataclasses.replace(config, mesh=sharding.MeshShape(1, 1, 1)))
    checkpoints = Checkpoints(config.out / "checkpoints", config.keep)
    found, state, _ = checkpoints.restore(parts.stored, step)
    checkpoints.close()
    return found, nnx.merge(parts.graphdef, state.params)


def versions() -> dict[str, str]:
    packages = ("gradpow", "jax", "optax", "flax", "orbax-checkpoint", "grain", "numpy")
    return {"python": platform.python_version()} | {
        package: importlib.metadata.version(package) for package in packages
    }


def machine() -> str:
    device = jax.devices()[0].device_kind
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {jax.device_count()} x {device}, "
        f"{jax.process_count()} process{'es' if jax.process_count() > 1 else ''}"
    )


def git_commit() -> str | None:
    """The commit of these sources, with "+changes" where files differ from it."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None  # not a checkout, or no git
