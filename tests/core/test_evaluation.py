"""The parameters to evaluate are found in any state, whatever is around it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import average_iterates, extrapolate

PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}
AROUND = {
    "chain": lambda tx: gradpow.chain(tx, optax.identity()),
    "optax": lambda tx: optax.chain(optax.clip(1e6), tx),
    "injected": lambda _: optax.inject_hyperparams(gradpow.nag)(0.25, 0.5),
    "multi": lambda tx: optax.MultiSteps(tx, 1).gradient_transformation(),
    "finite": lambda tx: optax.apply_if_finite(tx, 3),
    "wrapped": lambda tx: gradpow.cautious(tx, negative_scale=1.0, zero_scale=1.0),
    "partition": lambda tx: optax.partition({"x": tx}, {"w": "x", "b": "x"}),
}


def after_a_step(tx, params=PARAMS):
    grads = jax.tree.map(jnp.ones_like, params)
    updates, state = tx.update(grads, tx.init(params), params)
    return optax.apply_updates(params, updates), state


@pytest.mark.parametrize("around", AROUND)
def test_it_is_found_under_jit_through_chains_and_wrappers(around):
    params, state = after_a_step(AROUND[around](gradpow.nag(0.25, 0.5)))
    found = jax.jit(gradpow.eval_params)(state, params)
    for leaf, theta in PARAMS.items():
        np.testing.assert_allclose(found[leaf], theta - 0.25)
        np.testing.assert_allclose(params[leaf], theta - 0.375)


def test_what_a_mask_leaves_out_is_itself():
    tx = optax.masked(gradpow.nag(0.25, 0.5), {"w": True, "b": False})
    params, state = after_a_step(tx)
    found = gradpow.eval_params(state, params)
    np.testing.assert_allclose(found["w"], PARAMS["w"] - 0.25)
    assert found["b"] == params["b"]


def test_without_any_the_parameters_are_returned():
    params, state = after_a_step(gradpow.adam(0.1))
    assert gradpow.eval_params(state, params) is params


def test_several_are_named():
    _, state = after_a_step(gradpow.chain(extrapolate(1.0), average_iterates()))
    with pytest.raises(ValueError, match="ExtrapolateState, AverageIteratesState"):
        gradpow.eval_params(state, PARAMS)


def test_a_state_of_ones_own_takes_part_by_its_method():
    class Half(NamedTuple):
        def eval_params(self, params):
            return jax.tree.map(lambda x: x / 2, params)

    assert gradpow.eval_params((optax.EmptyState(), [Half()]), 3.0) == 1.5


def test_they_have_the_types_of_the_parameters():
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), PARAMS)
    params, state = after_a_step(gradpow.averaged_sgd(0.1), params)
    assert state[1].mean.mean["w"].dtype == jnp.float32
    assert gradpow.eval_params(state, params)["w"].dtype == jnp.bfloat16
