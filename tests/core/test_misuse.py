"""What people hand to the wrong place is named where they made it, with the remedy."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
import pytest

import gradpow
from gradpow import metrics, presets
from gradpow.transforms import linear_coupling, sign_power
from tests.contract.case import Case
from tests.contract.cases import WRAPPERS


def _wrapped(case: Case) -> set[str]:
    return {"base", "inner"} & set(inspect.signature(case.factory).parameters)


def _with_base(case: Case, base: Any) -> Any:
    return case.make(**dict.fromkeys(_wrapped(case), base))


UNCALLED: dict[str, Callable[[Any], Any]] = {
    **{
        name: functools.partial(_with_base, case)
        for name, case in WRAPPERS.items()
        if _wrapped(case)
    },
    "monitored": lambda f: metrics.monitored(f, {}),
    "linear_coupling": lambda f: linear_coupling(f, optax.scale(1.0), 0.5),
    "chain": lambda f: gradpow.chain(optax.scale(1.0), f),
}


@pytest.mark.parametrize("name", UNCALLED)
def test_an_uncalled_factory_or_a_number_is_no_transformation(name):
    with pytest.raises(TypeError, match=rf"{name}.*not the function sign_power: call it"):
        UNCALLED[name](sign_power)
    with pytest.raises(TypeError, match=rf"{name}.*not 0\.001: pass an optimizer such as"):
        UNCALLED[name](1e-3)


def test_the_place_of_a_wrong_link_in_a_chain_is_said():
    with pytest.raises(TypeError, match="at place 1,"):
        UNCALLED["chain"](optax.scale)


@pytest.mark.parametrize("wrong", [[metrics.update_rms], metrics.update_rms, {"rms": 3}])
def test_metrics_are_a_mapping_of_functions_and_measures(wrong):
    with pytest.raises(TypeError, match="metrics"):
        metrics.monitored(optax.sgd(0.1), wrong)


@pytest.mark.parametrize("make", [gradpow.adampower, gradpow.s3, gradpow.stacey, gradpow.grams])
def test_a_flag_is_no_number(make):
    with pytest.raises(TypeError, match=r"weight_decay must be a number .*, not True"):
        make(1e-3, weight_decay=True)
    with pytest.raises(TypeError, match=r"learning_rate must be a number .*, not True"):
        make(True)


WRAPPED = {
    "monitored": lambda tx: metrics.monitored(tx, {"rms": metrics.update_rms}),
    "low_precision_state": gradpow.low_precision_state,
    "chain": gradpow.chain,
}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("foreign", ["bare", "other", "nothing", "shapes"])
def test_another_optimizers_state_is_refused_by_name(name, foreign):
    params, inner = {"w": jnp.ones(3)}, optax.scale_by_adam()
    tx = WRAPPED[name](inner)
    state = {
        "bare": inner.init(params),
        "other": optax.trace(0.9).init(params),
        "nothing": (),
        "shapes": tx.init({"w": jnp.ones(1)}),
    }[foreign]
    with pytest.raises(ValueError, match=r"belongs to another optimizer.*init\(params\)"):
        tx.update(params, state, params)
    tx.update(params, tx.init(params), params)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("s3",), "the presets are .*s3 is an optimizer, which comes second"),
        (("llama-0.2b",), r"the optimizer is missing.*get\('llama-0\.2b', 'adamw'\)"),
        (("llama-0.2b", "tigre"), r"no optimizer 'tigre'; the nearest is tiger: get\('llama"),
        (("lama", "s3"), "the presets are .*not 'lama'"),
    ],
)
def test_presets_say_what_is_missing(arguments, said):
    with pytest.raises(ValueError, match=said):
        presets.get(*arguments)
