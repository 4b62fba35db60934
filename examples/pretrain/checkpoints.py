"""Checkpoints through Orbax: asynchronous, committed whole or not at all, with a checksum per leaf.

Orbax restores a flipped byte without a word, so a checksum of every leaf lies beside the state; it
is computed on the device, where a sharded leaf never becomes whole, and compared after each restore.
"""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax import lax
from orbax.checkpoint.checkpoint_managers import preservation_policy as policy

from .errors import UserError
from .optimizers import name

Leaves = dict[str, jax.Array]


def flatten(tree: Any) -> Leaves:
    """The leaves by name, as in "params.layers.0.mlp.up_proj.kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {name(path).replace("/", "."): leaf for path, leaf in leaves}


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
        return jnp.stack([jnp.sum(words, dtype=jnp.uint32), jnp.sum(words * weights, dtype=jnp.uint32)])

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
        self.manager = ocp.CheckpointManager(
            self.folder, options=options, item_names=("state", "about")
        )

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
        if loss is not None and not np.isfinite(loss):
            loss = None  # NaN would compare as neither better nor worse
        self.manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(leaves), about=ocp.args.JsonSave(about)
            ),
            metrics=None if loss is None else {"loss": loss},
        )

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
            for earlier in reversed(steps[: steps.index(chosen)]):
                with contextlib.suppress(DamagedCheckpoint):
                    self.read(earlier, like)
                    raise UserError(
                        f"{damage}; it is left as it is. The newest good one before it is {earlier}: "
                        f"go on from it with --resume-from {earlier}"
                    ) from damage
            raise UserError(f"{damage}; it is left as it is, and none before it is good") from damage

    def read(self, step: int, like: Any) -> tuple[Any, dict]:
        """The state of a step and what was saved about it, after the checks."""
        about = self._read_about(step)
        wanted = flatten(like)
        self._check_same_model(step, about["leaves"], wanted)
        abstract = {
            key: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None))
            for key, x in wanted.items()
        }
        try:
            leaves = self.manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            )["state"]
        except Exception as error:  # whatever a damaged file makes tensorstore raise
            raise self._damaged(step, type(error).__name__) from error
        found = jax.device_get(checksums(leaves))
        for key, (_, _, *sums) in about["leaves"].items():
            if list(map(int, found[key])) != sums:
                raise self._damaged(step, f"the checksum of {key} differs")
        return unflatten(like, leaves), about

    def _read_about(self, step: int) -> dict:
        try:
            args = ocp.args.Composite(about=ocp.args.JsonRestore())
            return self.manager.restore(step, args=args)["about"]
        except (json.JSONDecodeError, UnicodeDecodeError, FileNotFoundError, KeyError) as error:
            raise self._damaged(step, type(error).__name__) from error

    def _check_same_model(self, step: int, saved: dict, wanted: Leaves) -> None:
        shapes = {key: [list(x.shape), str(x.dtype)] for key, x in wanted.items()}
        for key in sorted(saved.keys() | shapes.keys()):
            if key not in shapes or key not in saved or saved[key][:2] != shapes[key]:
                raise UserError(
                    f"checkpoint {step} in {self.folder} is of another model or optimizer: {key} is "
                    f"{_describe(saved.get(key))} there and {_describe(shapes.get(key))} here; "
                    "give the run's own --preset, --optimizer and --shape, or another --out"
                )

    def _damaged(self, step: int, reason: str) -> "DamagedCheckpoint":
        return DamagedCheckpoint(step, f"checkpoint {step} in {self.folder} is damaged ({reason})")

    def set_aside_after(self, step: int) -> list[str]:
        """Moves checkpoints newer than `step` beside the folder, and says where to."""
        moved = []
        for later in [s for s in self.steps() if s > step]:
            target = self.folder.with_name(f"checkpoint-{later}-set-aside")
            number = 1
            while target.exists():
                number += 1
                target = self.folder.with_name(f"checkpoint-{later}-set-aside-{number}")
            shutil.move(self.folder / str(later), target)
            moved.append(str(target))
        self.manager.reload()
        return moved

    def close(self) -> None:
        self.manager.wait_until_finished()
        self.manager.close()


class DamagedCheckpoint(UserError):
    def __init__(self, step: int, message: str):
        super().__init__(message)
        self.step = step


def _loss(metrics: dict[str, float]) -> float:
    return metrics["loss"]


def _describe(entry: list | None) -> str:
    return "missing" if entry is None else f"{entry[1]}{entry[0]}"
