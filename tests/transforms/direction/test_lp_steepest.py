"""The l_p steepest-descent direction: its dual norm and, over a tree, its loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

import gradpow
from gradpow.transforms import lp_steepest
from tests.contract.case import Case
from tests.contract.drawn import fractions, numbers, vectors
from tests.contract.exact import (
    SHAPES,
    STEPS,
    assert_same_steps,
    assert_steps_of_loop,
    divide,
    in_both_types,
    problem,
    settings,
    updates_of,
)

CASE = Case(lp_steepest, {"p": 3.5, "eps": 1e-3})
# The norm takes gradients beyond 100 out of float16.
CASES = {
    "lp_steepest_scaled": Case(lp_steepest, {"p": 3.5, "eps": 1e-3}, {"scaled": True}, largest=1e2)
}
steepest = jax.jit(lambda u, p: lp_steepest(p, scaled=True).update(u, optax.EmptyState())[0])


def loop(theta0, gradients, p, eps=0.0, scaled=False):
    """Scaled by ||u||_{p*}^{(p-2)/(p-1)} if asked; p = 2 leaves u as it is."""
    exponent = 1.0 if np.isinf(p) else (p - 2) / (p - 1)
    dual_p = 1.0 if np.isinf(p) else p / (p - 1)
    steps = np.zeros(gradients.shape)
    for t, u in enumerate(gradients):
        s = u if p == 2 else divide(u, np.abs(u) ** exponent + eps)
        if scaled:
            s = np.sum(np.abs(u) ** dual_p) ** (exponent / dual_p) * s
        steps[t] = s
    return steps


@in_both_types
@settings(
    {
        "p = 2": {"p": 2.0, "eps": 1e-3},
        "p = 3.5": {"p": 3.5, "eps": 1e-3},
        "p = inf": {"p": float("inf"), "eps": 1e-3},
    }
)
def test_directions_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(lambda **n: gradpow.chain(lp_steepest(**n)), loop, dtype, **numbers)


@in_both_types
@pytest.mark.parametrize("p", [2.0, 3.0, float("inf")])
def test_the_norm_is_taken_over_all_leaves(p, dtype):
    joined = np.concatenate([problem(k)[1].reshape(STEPS, -1) for k in SHAPES], axis=1)
    with jax.enable_x64(dtype is np.float64):
        theta0, gradients = (
            {leaf: jnp.asarray(problem(leaf)[i], dtype) for leaf in SHAPES} for i in (0, 1)
        )
        tx = gradpow.chain(lp_steepest(p, scaled=True))
        actual = jax.device_get(updates_of(tx, theta0, gradients))
    actual = np.concatenate([actual[leaf].reshape(STEPS, -1) for leaf in SHAPES], axis=1)
    expected = loop(joined[0], joined, p, scaled=True)
    assert_same_steps(actual, expected, 1e-5 if dtype is np.float32 else 1e-12)


@given(vectors(numbers(1e-3, 1e3)), fractions(2, 8))
def test_the_scaled_l_p_step_has_the_dual_norm_as_its_length_and_slope(u, p):
    u, s = u.astype(float), np.asarray(steepest(u, p), float)
    dual_p = p / (p - 1)
    dual_norm = np.sum(np.abs(u) ** dual_p) ** (1 / dual_p)
    np.testing.assert_allclose(np.sum(np.abs(s) ** p) ** (1 / p), dual_norm, rtol=1e-5)
    np.testing.assert_allclose(np.sum(u * s), dual_norm**2, rtol=1e-5)
