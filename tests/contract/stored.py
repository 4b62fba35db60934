"""Stored states, one of every case: `python -m tests.contract.stored` makes them anew.

Do so only where a case is new, or the format of states is meant to change; then say so in
CHANGELOG.md.
"""

import functools
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from flax import serialization, traverse_util

import gradpow
from gradpow import metrics
from tests.contract.cases import CASES
from tests.contract.trees import at_step, normal, quick_jit

DATA = Path(__file__).parents[1] / "data"
BYTES, ORBAX = DATA / "states.msgpack", DATA / "states.zip"
CHANGED = (
    "the format of states has changed: {}. Checkpoints of users no longer load. If this is meant, "
    "say so in CHANGELOG.md and make new ones: python -m tests.contract.stored"
)
STEPS = 3
DECAY = {"weight_decay": 0.1}
TREE = {"matrix": (4, 8), "vector": (8,), "scalar": ()}


def _inject() -> optax.GradientTransformation:
    inject = optax.inject_hyperparams(gradpow.adampower, hyperparam_dtype=jnp.float32)
    return inject(learning_rate=1e-2, p=optax.linear_schedule(1.0, 1.2, 10))


def _partition() -> optax.GradientTransformation:
    parts = {"matrix": gradpow.s3(1e-2), "other": optax.adamw(1e-3)}
    labels = {"matrix": "matrix", "vector": "other", "scalar": "other"}
    return optax.partition(parts, labels)


OTHERS = {
    "monitored": metrics.monitored(
        gradpow.grams(1e-2),
        {"largest": metrics.largest_update, "spike": metrics.spike_detector(1e-2)},
    ),
    "schedule": gradpow.grams(optax.cosine_decay_schedule(1e-2, 100), **DECAY),
    "inject_hyperparams": _inject(),
    "partition": _partition(),
    "multi_steps": optax.MultiSteps(gradpow.s3(1e-2), 2).gradient_transformation(),
    "apply_if_finite": optax.apply_if_finite(gradpow.stacey(1e-2), 5),
    "schedule_free": optax.contrib.schedule_free(gradpow.adampower(1e-2), 1e-2),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), gradpow.cautious_lion(1e-3)),
}
OPTIMIZERS = {
    name: optax.with_extra_args_support(tx)
    for name, tx in ({name: case.in_chain() for name, case in CASES.items()} | OTHERS).items()
}


def init(params: Any, names: Iterable[str] = tuple(OPTIMIZERS)) -> dict[str, Any]:
    return {name: OPTIMIZERS[name].init(params) for name in names}


@functools.cache
def steps_of(name: str) -> Any:
    """From state, gradients of some steps and params to the updates and the state at their end.

    The parameters stand still. The case is compiled once for all that is claimed of it.
    """
    update = quick_jit(OPTIMIZERS[name].update)

    def run(state, grads, params):
        taken = []
        for i in range(len(jax.tree.leaves(grads)[0])):
            updates, state = update(at_step(grads, i), state, params)
            taken.append(updates)
        return jax.tree.map(lambda *steps: jnp.stack(steps), *taken), state

    return run


@functools.cache
def trained(name: str) -> Any:
    """Updates and state of the first steps."""
    params = normal(TREE, 0)
    return steps_of(name)(OPTIMIZERS[name].init(params), first_gradients(), params)


@functools.cache
def first_gradients() -> dict[str, jax.Array]:
    seeds = range(1, STEPS + 1)
    return jax.tree.map(lambda *g: jnp.stack(g), *(normal(TREE, seed) for seed in seeds))


@functools.cache
def abstract() -> dict[str, Any]:
    """Today's states, as shapes and types."""
    return jax.eval_shape(init, normal(TREE, 0))


def fields(tree: Any) -> dict[str, str]:
    """Shape and type of every leaf by its path, in the order of the fields; nothing where none."""
    flat = traverse_util.flatten_dict(tree, keep_empty_nodes=True, sep="/")
    return {
        path: f"{jnp.shape(leaf)} {leaf.dtype}" if hasattr(leaf, "dtype") else "nothing"
        for path, leaf in flat.items()
    }


def require_format(found: dict[str, str], wanted: dict[str, str]) -> None:
    for path in [*wanted, *found]:
        was, now = found.get(path, "missing"), wanted.get(path, "missing")
        if was != now:
            raise AssertionError(CHANGED.format(f"{path} is {was} as stored, {now} today"))
    if [*found] != [*wanted]:
        was, now = next(pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1])
        raise AssertionError(CHANGED.format(f"{was} stood where {now} stands today"))


def from_bytes(stored: bytes) -> dict[str, Any]:
    """The states in flax's bytes, of whose shapes, types and order flax checks nothing."""
    tree = serialization.msgpack_restore(stored)
    require_format(fields(tree), fields(serialization.to_state_dict(abstract())))
    return serialization.from_state_dict(abstract(), tree)


def from_orbax(folder: Path) -> dict[str, Any]:
    """The states in an Orbax checkpoint, which keeps no order and would cast other types."""
    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(folder)
        require_format(_leaves(tree), _leaves(abstract()))
        return checkpointer.restore(folder, abstract())


def from_zip(stored: Path, folder: Path) -> dict[str, Any]:
    with zipfile.ZipFile(stored) as archive:
        archive.extractall(folder)
    return from_orbax(folder)


def _leaves(tree: Any) -> dict[str, str]:
    """The fields that hold an array, sorted."""
    found = fields(serialization.to_state_dict(tree))
    return {path: leaf for path, leaf in sorted(found.items()) if leaf != "nothing"}


def write(states: dict[str, Any], stored: Path) -> None:
    """An Orbax checkpoint as one small file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "states"
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(path, states)
        with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                if file.name != "commit_success.txt":  # it names the folder, and nobody reads it
                    archive.write(file, file.relative_to(path))


if __name__ == "__main__":
    states = {name: trained(name)[1] for name in sorted(OPTIMIZERS)}
    BYTES.write_bytes(serialization.to_bytes(states))
    write(states, ORBAX)
