"""Checkpoints through Orbax: asynchronous, committed whole or not at all, with a checksum per leaf.

Orbax restores a flipped byte without a word, so a checksum of every leaf lies beside the state. It
is computed on the device, where a sharded leaf never becomes whole, and compared at each restore.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax import lax
from orbax.checkpoint.checkpoint_managers import preservation_policy as policy

from . import hosts
from .errors import UserError
from .names import name_of

Leaves = dict[str, jax.Array]


def flatten(tree: Any) -> Leaves:
    """The leaves by name, as in "params.layers.0.mlp.up_proj.kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {name_of(path).replace("/", "."): leaf for path, leaf in leaves}


def unflatten(like: Any, leaves: Leaves) -> Any:
    return jax.tree.unflatten(jax.tree.structure(like), [leaves[key] for key in flatten(like)])


@jax.jit
def checksums(leaves: Leaves) -> Leaves:
    """Two sums modulo 2^32 of each leaf's words, the second weighted by odd numbers that vary.

    A flipped bit changes a word by a power of two, which no odd weight turns into 0: every single
    flip is seen, and two leaves or words that change places as well.
    """

    def checksum(x):
        if x.dtype == jnp.bool_:
            x = x.astype(jnp.uint8)
        unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint32}[x.dtype.itemsize]
        words = lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32)
        weights, stride = jnp.ones(words.shape, jnp.uint32), 2
        for axis in reversed(range(words.ndim)):
            index = lax.broadcasted_iota(jnp.uint32, words.shape, axis)
            weights += index * jnp.uint32(stride % 2**32)
            stride *= words.shape[axis]
        # A multiplicative hash of the index, made odd, so that neighbours' weights have no pattern.
        weights = (weights * jnp.uint32(0x9E3779B1) >> 3) | jnp.uint32(1)
        return jnp.stack(
            [jnp.sum(words, dtype=jnp.uint32), jnp.sum(words * weights, dtype=jnp.uint32)]
        )

    return {key: checksum(leaf) for key, leaf in leaves.items()}


class Checkpoints:
    """The checkpoints of one run: the newest `keep`, and the one with the lowest loss."""

    def __init__(self, folder: Path, keep: int = 2):
        self.folder = folder.absolute()
        best = policy.BestN(
            get_metric_fn=_loss,
            reverse=True,  # it keeps the last n in ascending order
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy.AnyPreservationPolicy([policy.LatestN(keep), best]),
            best_fn=_loss,  # without it metrics are not stored, and forgotten when a run resumes
            best_mode="min",
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from None
        self._check_losses()
        self.manager = ocp.CheckpointManager(
            self.folder, options=options, item_names=("state", "about")
        )

    def _check_losses(self) -> None:
        """Orbax reads every checkpoint's loss when it opens, and fails on one that is damaged."""
        for file in self.folder.glob("*/metrics/metrics"):
            try:
                _loss(json.loads(file.read_text()))
            except (ValueError, KeyError, TypeError) as error:
                step = file.parent.parent
                raise DamagedCheckpoint(
                    f"checkpoint {step.name} in {self.folder} is damaged (its loss is unreadable); "
                    f"it is left as it is: move {step} elsewhere to go on without it"
                ) from error

    def steps(self) -> list[int]:
        return sorted(self.manager.all_steps())

    def save(self, step: int, state: Any, about: dict, loss: float | None) -> None:
        """Copies the state to the host and returns; the writing goes on beside the training.

        `loss` decides which checkpoint is the best; one without it never is.
        """
        leaves = flatten(state)
        sums = jax.device_get(checksums(leaves))
        about = about | {
            "leaves": {
                key: [list(x.shape), str(x.dtype), *map(int, sums[key])]
                for key, x in leaves.items()
            }
        }
        about = {"about": about, "sha256": _sha256(about)}
        if loss is not None and not np.isfinite(loss):
            loss = None  # NaN would compare as neither better nor worse
        with self._writing():
            self.manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(leaves), about=ocp.args.JsonSave(about)
                ),
                metrics=None if loss is None else {"loss": loss},
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Makes an `OSError` of what the system refused, which tensorstore puts in a text."""
        try:
            yield
        except ValueError as error:
            if number := re.search(r"os_error_code='(\d+)'", str(error)):
                reason = os.strerror(int(number[1]))
                raise OSError(int(number[1]), reason, str(self.folder)) from None
            raise

    def restore(self, like: Any, step: int | None = None) -> tuple[int, Any, dict]:
        """Step, state and what was saved about it: of the newest checkpoint, or that of `step`.

        A damaged one is named, left on disk, and the newest good one before it offered.
        """
        steps = self.steps()
        if not steps or step not in (None, *steps):
            wanted = "no checkpoint" if step is None else f"no checkpoint {step}"
            there = ", ".join(map(str, steps)) or "none"
            raise UserError(f"{self.folder} has {wanted}: those there are {there}")
        chosen = steps[-1] if step is None else step
        try:
            return chosen, *self.read(chosen, like)
        except DamagedCheckpoint as damage:
            advice = "and none before it is good"
            for earlier in reversed(steps[: steps.index(chosen)]):
                with contextlib.suppress(DamagedCheckpoint):
                    self.read(earlier, like)
                    advice = f"the newest good one before it is {earlier}: --resume-from {earlier}"
                    break
            raise UserError(f"{damage}; it is left as it is, {advice}") from None

    def read(self, step: int, like: Any) -> tuple[Any, dict]:
        """The state of a step and what was saved about it, after the checks."""
        about = self._read_about(step)
        wanted = flatten(like)
        self._check_same_model(step, about["leaves"], wanted)
        abstract = {
            key: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None))
            for key, x in wanted.items()
        }
        leaves, reason = {}, ""
        try:
            leaves = self.manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            )["state"]
        except Exception as error:  # whatever a damaged file makes tensorstore raise
            reason = type(error).__name__
        # Each process reads its own shares, and may be alone with what is wrong.
        reason = next(filter(None, hosts.gather(reason)), "")
        reason = reason or self._difference(leaves, about["leaves"])
        if reason:
            raise self._damaged(step, reason)  # without the cause, whose frames hold the leaves
        return unflatten(like, leaves), about

    def _difference(self, leaves: Leaves, saved: dict) -> str | None:
        found = jax.device_get(checksums(leaves))
        for key, (_, _, *sums) in saved.items():
            if list(map(int, found[key])) != sums:
                return f"the checksum of {key} differs"
        return None

    def _read_about(self, step: int) -> dict:
        try:
            args = ocp.args.Composite(about=ocp.args.JsonRestore())
            stored = self.manager.restore(step, args=args)["about"]
            about, sha256 = stored["about"], stored["sha256"]
        except (ValueError, FileNotFoundError, KeyError, TypeError) as error:  # ValueError: no JSON
            raise self._damaged(step, type(error).__name__) from error
        if _sha256(about) != sha256:
            raise self._damaged(step, "the checksum of what was saved about it differs")
        return about

    def _check_same_model(self, step: int, saved: dict, wanted: Leaves) -> None:
        shapes = {key: [list(x.shape), str(x.dtype)] for key, x in wanted.items()}
        for key in sorted(saved.keys() | shapes.keys()):
            if key not in shapes or key not in saved or saved[key][:2] != shapes[key]:
                raise UserError(
                    f"checkpoint {step} in {self.folder} is of another model or optimizer: {key} "
                    f"is {_describe(saved.get(key))} there and {_describe(shapes.get(key))} here; "
                    "give the run's own --preset, --optimizer and --shape, or another --out"
                )

    def _damaged(self, step: int, reason: str) -> "DamagedCheckpoint":
        return DamagedCheckpoint(f"checkpoint {step} in {self.folder} is damaged ({reason})")

    def set_aside_after(self, step: int) -> list[str]:
        """Moves checkpoints newer than `step` beside the folder, and says where to."""
        moved = []
        for later in [s for s in self.steps() if s > step]:
            target = self.folder.with_name(f"checkpoint-{later}-set-aside")
            number = 1
            while target.exists():
                number += 1
                target = self.folder.with_name(f"checkpoint-{later}-set-aside-{number}")
            if hosts.is_first():
                shutil.move(self.folder / str(later), target)
            moved.append(str(target))
        hosts.agreed(lambda: None)
        self.manager.reload()
        return moved

    def reached_preemption(self, step: int) -> bool:
        """Whether the processes, of which one got SIGTERM, have agreed to stop after this step."""
        return self.manager.reached_preemption(step)

    def close(self) -> None:
        with self._writing():
            self.manager.wait_until_finished()
        self.manager.close()


class DamagedCheckpoint(UserError):
    pass


def _sha256(about: dict) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _loss(metrics: dict[str, float]) -> float:
    return metrics["loss"]


def _describe(entry: list | None) -> str:
    return "missing" if entry is None else f"{entry[1]}{entry[0]}"
