"""GradPower around any base."""

import jax
import jax.numpy as jnp
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    assert_same_steps,
    assert_steps_of_loop,
    in_both_types,
    updates_of,
)
from tests.contract.exact import rate as exact_rate
from tests.contract.identities import GRADIENTS, PARAMS, ROUNDING, assert_same, rate
from tests.methods.powered.test_adampower import loop as adampower

# g^1.2 leaves float32 from 1.3e32 on.
CASE = Case(gradpow.gradpower, {"p": 1.2}, {"base": optax.lion(1e-2)}, largest=1e32)


def loop(theta0, gradients, learning_rate, p, **adam):
    """Wang et al. (2025), Section 2, with Adam for Q."""
    return adampower(theta0, gradients, learning_rate, p, **adam, weight_decay=None)


def around_adam(learning_rate, p, **adam):
    return gradpow.gradpower(optax.adam(learning_rate, **adam), p)


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    assert_steps_of_loop(around_adam, loop, dtype, learning_rate=exact_rate, p=1.2, **ADAM)


def test_around_adamw_it_is_adampower():
    assert_same(
        gradpow.gradpower(optax.adamw(rate, b2=0.95, weight_decay=0.1)), gradpow.adampower(rate)
    )


def rosenbrock(params):
    x = params["vector"]
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2) + jnp.sum(
        jnp.cosh(params["matrix"])
    )


BASES = {
    "adamw": optax.adamw(rate),
    "lion": optax.lion(rate),
    "sgd": optax.sgd(rate, momentum=0.9),
    "adagrad": optax.adagrad(rate),
    "adafactor": optax.adafactor(rate, min_dim_size_to_factor=2),
    "muon": optax.contrib.muon(rate),
    "schedule_free_adamw": optax.contrib.schedule_free_adamw(0.02, warmup_steps=5),
    "sophia": optax.contrib.sophia(rate, update_interval=2),
}


@pytest.mark.parametrize("name", BASES)
def test_it_is_the_base_after_sign_power(name):
    gradients = jax.tree.map(lambda g: g[:8], GRADIENTS)
    extra_args = {"obj_fn": rosenbrock} if name == "sophia" else {}
    powered = jax.tree.map(lambda g: jnp.sign(g) * jnp.abs(g) ** 1.2, gradients)
    expected = updates_of(BASES[name], PARAMS, powered, **extra_args)
    actual = updates_of(gradpow.gradpower(BASES[name]), PARAMS, gradients, **extra_args)
    # Newton-Schulz multiplies rounding by up to 3.4445**5 = 485.
    assert_same_steps(actual, expected, 1e-4 if name == "muon" else ROUNDING)
