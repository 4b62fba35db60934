"""What each method needs, keeps and sums, measured: `python -m tests.contract.measured` ships it.

Everything is measured of a method as it is made by default, on the trees below.
"""

import inspect
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.contract.sources import ship, sources

if __name__ == "__main__":
    ship(sources=sources())  # first, since gradpow reads them as it is imported

import gradpow
from gradpow.core import state_bytes
from tests.contract.case import Case
from tests.contract.cases import METHODS, WRAPPERS
from tests.contract.trees import gradients, normal, quick_jit

Tx = optax.GradientTransformationExtraArgs

KEPT = {"matrix": (256, 512), "bias": (512,)}  # where bytes are counted
SMALL = {"matrix": (3, 4), "other": (2, 3)}  # where sums are sought
STEPS = 12  # enough for averages of all weights to disagree


def arguments(params: Any) -> dict[str, Any]:
    """All that an update may be handed, by name."""

    def value_fn(params):
        return optax.tree.norm(params, squared=True)

    return {
        "params": params,
        "value": value_fn(params),
        "value_fn": value_fn,
        "grad_fn": jax.grad(value_fn),
        "max_logits": {},  # of attention, which these have none of
        "index": 0,
    }


def needs(tx: Tx) -> list[str]:
    """The smallest set of arguments with which an update traces."""
    params = normal(SMALL, 0)
    state, known = tx.init(params), arguments(params)

    def traces(names: tuple[str, ...]) -> bool:
        given = {name: known[name] for name in names}
        try:
            jax.eval_shape(lambda: tx.update(params, state, given.pop("params", None), **given))
        except (TypeError, ValueError):
            return False
        return True

    sets = (s for size in range(len(known) + 1) for s in itertools.combinations(known, size))
    return list(next(filter(traces, sets)))


def bytes_a_parameter(tx: Tx) -> float:
    params = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in KEPT.items()}
    return round(state_bytes(tx, params), 3)


def sums(tx: Tx) -> str:
    """Whether a coordinate's steps depend on another's gradients, in its tensor or in another."""
    params = normal(SMALL, 0)
    grads = gradients(params, steps=STEPS)

    def step(carry, grad):
        theta, state = carry
        extra = arguments(theta)
        updates, state = tx.update(grad, state, extra.pop("params"), **extra)
        return (optax.apply_updates(theta, updates), state), updates

    @quick_jit
    def steps(grads):
        taken = jax.lax.scan(step, (params, tx.init(params)), grads)[1]
        return taken["other"], taken["matrix"].reshape(STEPS, -1)[:, 1:]

    found, as_they_were = set(), jax.device_get(steps(grads))
    for seed in range(16):  # the first coordinate gets other gradients, small ones after large ones
        rng = np.random.default_rng(seed)
        first = rng.standard_normal(STEPS) * 10 ** rng.uniform(-2, 2, STEPS)
        others = steps({**grads, "matrix": grads["matrix"].at[:, 0, 0].set(first)})
        for what, one, two in zip(("the tree", "a tensor"), as_they_were, others, strict=True):
            if not np.array_equal(one, two):
                found.add(what)
    return next((what for what in ("the tree", "a tensor") if what in found), "nothing")


def by_default(name: str, case: Case) -> Tx:
    """What gradpow.get makes of a method's rate, and of a wrapper's base that keeps nothing.

    A case may have a function of its twin, in the place of what a wrapper must be given.
    """
    given = {
        key: optax.sgd(1e-2) if isinstance(value, optax.GradientTransformation) else value
        for key, value in {**case.numbers, **case.other}.items()
    }
    must = _required(getattr(gradpow, name))
    if must <= set(given):
        return gradpow.get(name, **{key: given[key] for key in given if key in must})
    made = case.factory(**{key: given[key] for key in given if key in _required(case.factory)})
    return optax.with_extra_args_support(made)


def _required(factory: Any) -> set[str]:
    parameters = inspect.signature(factory).parameters.items()
    return {key for key, parameter in parameters if parameter.default is parameter.empty}


def methods() -> dict[str, Any]:
    measured = {}
    for name, case in {**METHODS, **WRAPPERS}.items():
        tx = by_default(name, case)
        measured[name] = {"needs": needs(tx), "bytes": bytes_a_parameter(tx), "sums": sums(tx)}
    return measured


def main() -> None:
    found = methods()
    ship(methods=found)
    print(f"measured {len(found)} methods and wrappers; to see them: python -m gradpow")


if __name__ == "__main__":
    main()
