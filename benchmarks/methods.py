"""What is measured: every optimizer of the library, and optax's beside them.

Each is a function of a learning rate, a number or a schedule, and a mask of what to decay.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import gradpow
from examples.pretrain.errors import UserError
from gradpow.transforms import decay_stepped_weights

Make = Callable[..., optax.GradientTransformation]
DECAY = 0.1
ADAM = {"b1": 0.9, "b2": 0.95}


def _decayed(factory: Make, **settings: Any) -> Make:
    return lambda rate, mask=None: factory(rate, **settings, weight_decay=DECAY, mask=mask)


def _undecayed(factory: Make, **settings: Any) -> Make:
    """Decayed after the step, since it has no decay of its own."""

    def make(rate, mask=None):
        schedule: Any = rate if callable(rate) else optax.constant_schedule(rate)
        decay = decay_stepped_weights(lambda count: DECAY * schedule(count), mask)
        return optax.chain(factory(rate, **settings), decay)

    return make


def _gradpower_lion(rate, mask=None):
    return gradpow.gradpower(optax.lion(rate, weight_decay=DECAY, mask=mask), p=1.2)


def _muon(rate, mask=None):
    return optax.contrib.muon(rate, weight_decay=DECAY, weight_decay_mask=mask)


OPTAX: dict[str, Make] = {
    "optax.adamw": _decayed(optax.adamw, **ADAM),
    "optax.lion": _decayed(optax.lion),
    "optax.sgd": _undecayed(optax.sgd, momentum=0.9),
}
ELEMENTWISE: dict[str, Make] = {
    "sgdpower": _undecayed(gradpow.sgdpower, p=0.8, momentum=0.9),
    "adampower": _decayed(gradpow.adampower, p=1.2, **ADAM),
    "adagradpower": _undecayed(gradpow.adagradpower, p=1.2),
    "gradpower(lion)": _gradpower_lion,
    "s3, p=1": _decayed(gradpow.s3, p=1),
    "s3, p=2": _decayed(gradpow.s3, p=2),
    "s3, p=3": _decayed(gradpow.s3, p=3),
    "s3, p=1.2": _decayed(gradpow.s3, p=1.2),
    "stacey(p,2)": _decayed(gradpow.stacey, p=2.8, mirror_p=2.0),
    "stacey(p,p)": _decayed(gradpow.stacey, p=3.0, mirror_p=3.0),
    "stacey(2,p)": _decayed(gradpow.stacey, p=2.0, mirror_p=2.8, eps=0.0),
    "lp_descent, p=3": _undecayed(gradpow.lp_descent, p=3.0),
    "grams": _decayed(gradpow.grams, **ADAM),
}
# Sums over a tensor, and Muon's products of matrices: each tensor is read more than once.
REDUCING: dict[str, Make] = {
    "ams(-0.5)": _decayed(gradpow.ams, negative_scale=-0.5, **ADAM),
    "cautious_adam": _decayed(gradpow.cautious_adam, **ADAM),
    "cautious_lion": _decayed(gradpow.cautious_lion),
    "optax.contrib.muon": _muon,
    "muonpower": _decayed(gradpow.muonpower),
}
METHODS = {**OPTAX, **ELEMENTWISE, **REDUCING}


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
