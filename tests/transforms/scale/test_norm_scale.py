"""Scaling by the norm against its loop, over tensors and over the tree."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import norm_scale
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types, settings
from tests.contract.identities import assert_same

NUMBERS = {"power": 0.5, "eps": 1.5}  # the floor is felt
CASE = Case(norm_scale, NUMBERS)
CASES = {"norm_scale_tree": Case(norm_scale, NUMBERS, {"over": "tree"})}


def loop(theta0, gradients, power, eps, mean=False):
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        n = np.sqrt((np.mean if mean else np.sum)(g**2))
        steps[t] = divide(g, np.maximum(n**power, eps))
    return steps


@in_both_types
@pytest.mark.parametrize("over", [None, "tree"])
@settings(
    {
        "unit": {"power": 1.0, "eps": 0.0},
        "root": {"power": 0.5, "eps": 1e-3},
        "floor": {"power": 1.5, "eps": 2.0},
    }
)
def test_steps_are_those_of_the_loop(numbers, over, dtype):
    for mean in (False, True):
        assert_steps_of_loop(
            lambda power, eps, mean: gradpow.chain(norm_scale(power, eps, over, mean)),
            loop,
            dtype,
            whole=over == "tree",
            mean=mean,
            **numbers,
        )


def test_over_the_tree_it_is_optax_s_normalisation():
    """Which gives NaN where all gradients are 0."""
    rate = optax.scale(-1e-2)
    assert_same(
        gradpow.chain(norm_scale(over="tree"), rate),
        optax.chain(optax.normalize_by_update_norm(), rate),
    )
    zeros = jnp.zeros(3)
    assert not np.any(norm_scale(over="tree").update(zeros, optax.EmptyState())[0])


def test_another_scope_is_refused():
    with pytest.raises(ValueError, match=r'over must be None, .* or "tree", not .leaf'):
        norm_scale(over="leaf")  # pyright: ignore[reportArgumentType]
