"""The optimizers and schedules of `gradpow.presets`, for models whose layers may be stacked.

What Muon orthogonalises goes by the names of parameters, never by their number of axes: where
layers are stacked in one tensor, a norm's scale has two.
"""

import functools
import inspect
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from gradpow import presets, spread_matrices
from gradpow.core import nearest
from gradpow.presets import Optimizer

from .errors import UserError
from .names import by_path


def hidden_matrices(path: str, leaf: Any) -> MuonDimensionNumbers | None:
    """Muon takes the projections of attention, MLPs, experts and routers; AdamW all else.

    The last two axes are in and out; those before them count layers and experts.
    """
    path = path.removesuffix("/value")
    if not re.search(r"(_proj|c_fc|mlp/gate)(/kernel)?$", path):
        return None
    return MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)


def per_layer(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Gives each layer of a stacked tensor what `tx` gives a tensor: a normaliser of its own.

    `optax.partition` with two copies of `tx`, one of them mapped over the first axis of
    everything below "layers".
    """
    tx = optax.with_extra_args_support(tx)

    def update(updates, state, params=None, **extra_args):
        del extra_args  # AMS and Cautious take their gradient from their own chain
        return jax.vmap(tx.update)(updates, state, params)

    stacked = optax.GradientTransformationExtraArgs(jax.vmap(tx.init), update)
    labels = by_path(lambda path: "layers" if path.startswith("layers/") else "rest")
    return optax.partition({"layers": stacked, "rest": tx}, labels)


# Muon as it takes matrices here, in the layers by their names and stacked or not.
OF_MATRICES: dict[str, Optimizer] = {
    name: entry._replace(factory=functools.partial(entry.factory, hidden=hidden_matrices))
    for name, entry in presets.OPTIMIZERS.items()
    if "hidden" in inspect.signature(entry.factory).parameters
}
OPTIMIZERS = presets.OPTIMIZERS | OF_MATRICES


def require_known(flag: str, name: str) -> None:
    if name not in OPTIMIZERS:
        raise UserError(
            f"{flag} takes methods by the names that python -m gradpow prints, not {name}"
            f"{nearest(name, OPTIMIZERS)}"
        )


def make_optimizer(
    optimizer: str,
    schedule: optax.Schedule,
    *,
    weight_decay: float,
    hyper: dict[str, float],
    clip: float,
    stacked: bool,
    anneal: Sequence[str] = (),
    peak: float = 1.0,
    placed: Any = None,
    wire: Any = None,
) -> optax.GradientTransformation:
    """Clipping by the global norm (0: none), and then the optimizer.

    The hyper-parameters to anneal fall as the schedule does from its peak. Products of matrices are
    spread over the devices on which the parameters are `placed`, and matrices sent in the type of
    the `wire`, their own by default.
    """
    entry = OPTIMIZERS[optimizer]
    if optimizer in OF_MATRICES:
        spread = spread_matrices(hidden_matrices, placed, wire=wire)
        factory = functools.partial(entry.factory, hidden=spread)
        entry = entry._replace(factory=factory)
    if unknown := [name for name in anneal if name not in hyper]:
        raise UserError(
            f"--anneal: {optimizer} has no {', '.join(unknown)}, only {', '.join(hyper)}"
        )
    if entry.normalises and stacked:
        factory = entry.factory
        entry = entry._replace(factory=lambda *rate, **more: per_layer(factory(*rate, **more)))

    def make(**annealed: float) -> optax.GradientTransformation:
        numbers = {**hyper, **annealed}
        return entry.make(
            schedule, weight_decay=weight_decay, clip=clip, peak=peak or None, **numbers
        )

    try:
        if not anneal:
            return make()
        named = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in anneal]
        setattr(make, "__signature__", inspect.Signature(named))  # noqa: B010 (pyright)
        falling = {
            name: lambda count, top=hyper[name]: top * schedule(count) / (peak or 1.0)
            for name in anneal
        }
        return optax.inject_hyperparams(make, hyperparam_dtype=jnp.float32)(**falling)
    except (TypeError, ValueError) as error:
        raise UserError(f"--optimizer {optimizer}: {error}") from None


def make_schedule(
    kind: str, peak: float, *, steps: int, warmup: int, final_fraction: float
) -> optax.Schedule:
    """`gradpow.presets.make_schedule`, whose refusals name the flags."""
    try:
        return presets.make_schedule(
            kind, peak, steps=steps, warmup=warmup, final_fraction=final_fraction
        )
    except ValueError as error:
        flags = re.sub(r"\b(schedule|steps|warmup)\b", r"--\1", str(error))
        raise UserError(flags) from None
