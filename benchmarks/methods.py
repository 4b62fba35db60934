"""What is measured: every method of the catalog, and optax's beside them.

Each is a function of a learning rate, a number or a schedule, and a mask of what to decay.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from examples.pretrain.errors import UserError
from gradpow import find
from gradpow.core import product
from gradpow.presets import OPTIMIZERS
from gradpow.transforms import decay_stepped_weights

Make = Callable[..., optax.GradientTransformation]
DECAY = 0.1


def _made(name: str, **numbers: float) -> Make:
    """An optimizer of `gradpow.presets`, some of its numbers changed."""
    optimizer = OPTIMIZERS[name]

    def make(rate, mask=None):
        return optimizer.make(rate, weight_decay=DECAY, mask=mask, **numbers)

    return make


def _sgd(rate, mask=None):
    """Decayed after the step, since it has no decay of its own."""
    decay = decay_stepped_weights(product(rate, DECAY), mask)
    return optax.chain(optax.sgd(rate, momentum=0.9), decay)


def _adamw(rate, mask=None):
    return optax.adamw(rate, b1=0.9, b2=0.95, weight_decay=DECAY, mask=mask)


def _lion(rate, mask=None):
    return optax.lion(rate, weight_decay=DECAY, mask=mask)


def _muon(rate, mask=None):
    return optax.contrib.muon(rate, weight_decay=DECAY, weight_decay_mask=mask)


# What others have.
OPTAX: dict[str, Make] = {"optax.adamw": _adamw, "optax.lion": _lion, "optax.sgd": _sgd}
# Methods that are measured with other numbers than their papers', or several times: what an
# optimizer costs depends on its powers. Each by what it is called here.
VARIANTS: dict[str, dict[str, dict[str, float]]] = {
    "s3": {f"s3, p={p:g}": {"p": p} for p in (1, 2, 3, 1.2)},
    "stacey": {
        "stacey(p,2)": {},
        "stacey(p,p)": {"p": 3.0, "mirror_p": 3.0},
        "stacey(2,p)": {"p": 2.0, "mirror_p": 2.8, "eps": 0.0},
    },
    "lp_descent": {"lp_descent, p=3": {"p": 3.0}},
    "sgdpower": {"sgdpower": {"p": 0.8}},
    "gradpower_lion": {"gradpower(lion)": {"b1": 0.9, "b2": 0.99}},  # optax.lion's
    "cautious_lion": {"cautious_lion": {"b1": 0.9, "b2": 0.99}},  # likewise
    "ams": {"ams(-0.5)": {"negative_scale": -0.5}},  # at -1 it is Grams
}
# AMS normalises but for its default; all others as the catalog says.
SUMMING = {"ams", *(entry.name for entry in find() if entry.sums != "nothing")}


def _all(names: Iterable[str]) -> dict[str, Make]:
    return {
        called: _made(name, **numbers)
        for name in names
        for called, numbers in VARIANTS.get(name, {name: {}}).items()
    }


# What a step costs was measured of these families; a new one here needs the commands run anew.
FAMILIES = ("powered", "agreement", "sign")
_OURS = {entry.name for entry in find() if entry.family in FAMILIES} | VARIANTS.keys()
_NAMES = [
    name
    for name, optimizer in OPTIMIZERS.items()
    # What the presets take from optax stands above.
    if name in _OURS and not optimizer.factory.__module__.startswith("optax")
]
ELEMENTWISE = _all(name for name in _NAMES if name not in SUMMING)
# Sums over a tensor, and Muon's products of matrices: each tensor is read more than once.
REDUCING = _all(name for name in _NAMES if name in SUMMING) | {"optax.contrib.muon": _muon}
METHODS: dict[str, Make] = {**OPTAX, **ELEMENTWISE, **REDUCING}


def step_of(tx: optax.GradientTransformation) -> Callable[..., Any]:
    """From params, gradients and state to new params and state."""

    def step(params, grads, state):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


def in_pipeline(make: Make) -> optax.GradientTransformation:
    """As people embed it: in a partition, with a schedule, a decay mask and injected numbers."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 100, 1000)

    def matrices(params: Any) -> Any:
        return jax.tree.map(lambda x: x.ndim > 1, params)

    def labels(params: Any) -> Any:
        return jax.tree.map(lambda x: "matrix" if x.ndim > 1 else "vector", params)

    def injected(learning_rate):
        return make(learning_rate, matrices)

    inject = optax.inject_hyperparams(injected, hyperparam_dtype=jnp.float32)
    return optax.partition(
        {
            "matrix": inject(learning_rate=schedule),
            "vector": optax.chain(make(schedule, matrices), optax.scale(0.5)),
        },
        labels,
    )


def chosen(names: tuple[str, ...], known: dict[str, Make] = METHODS) -> dict[str, Make]:
    """Those whose name begins with one of these; raises `UserError` where none does."""
    for name in names:
        if not any(method.startswith(name) for method in known):
            raise UserError(f"--methods takes {'; '.join(known)}, not {name}")
    return {method: make for method, make in known.items() if method.startswith(names)}
