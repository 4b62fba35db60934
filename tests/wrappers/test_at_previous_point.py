"""The provider of gradients at the last point: what it hands on, keeps, copies and refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import gradient_correction
from tests.contract.case import Case, second_gradient

CASE = Case(
    gradpow.at_previous_point,
    other={"inner": gradpow.chain(gradient_correction(0.3), optax.sgd(1e-2, momentum=0.9))},
    second=True,
    arguments=second_gradient,
    largest=4e4,
)


def grad_fn(theta):
    return jax.tree.map(lambda x: x**3, theta)


def test_links_get_the_gradient_of_the_same_function_one_step_back():
    tx = gradpow.at_previous_point(gradpow.chain(gradient_correction(1.0), optax.scale(-0.125)))
    params, state, before = jnp.array([1.0, -2.0]), tx.init(jnp.array([1.0, -2.0])), None
    for _ in range(3):
        g = grad_fn(params)
        u, state = tx.update(g, state, params, grad_fn=grad_fn)
        r = g if before is None else grad_fn(before)
        np.testing.assert_allclose(u, -0.125 * (2 * g - r), rtol=1e-6)
        before, params = params, params + u


def test_inside_a_partition_links_see_their_own_leaves_of_it():
    links = gradpow.chain(gradient_correction(1.0), optax.scale(-0.125))
    parts = optax.partition({"a": links, "b": optax.sgd(0.5)}, {"w": "a", "v": "b"})
    tx, params = gradpow.at_previous_point(parts), {"w": jnp.ones(2), "v": jnp.ones(3)}
    _, state = tx.update(grad_fn(params), tx.init(params), params, grad_fn=grad_fn)
    moved = jax.tree.map(lambda x: 2 * x, params)
    u, _ = tx.update(grad_fn(moved), state, moved, grad_fn=grad_fn)
    np.testing.assert_allclose(u["w"], -0.125 * (16 - 1) * np.ones(2))
    np.testing.assert_allclose(u["v"], -4 * np.ones(3))


def test_the_loops_own_reference_gradient_needs_no_function():
    tx = gradpow.at_previous_point(gradient_correction(1.0))
    g = jnp.array([2.0])
    u, _ = tx.update(g, tx.init(g), g, reference_grad=g / 2)
    np.testing.assert_array_equal(u, [3.0])


def test_what_is_missing_or_of_another_structure_is_said_with_the_remedy():
    tx, g = gradpow.at_previous_point(gradient_correction(1.0)), {"w": jnp.ones(2)}
    state = tx.init(g)
    with pytest.raises(ValueError, match=r"at_previous_point .*grad_fn=grad_fn.*gradpow\.inputs"):
        tx.update(g, state, g)
    with pytest.raises(ValueError, match="what grad_fn returns and the updates differ"):
        tx.update(g, state, g, grad_fn=lambda theta: {"w": jnp.ones(3)})
    with pytest.raises(ValueError, match="needs the parameters"):
        tx.update(g, state, grad_fn=grad_fn)


def test_multi_steps_around_it_are_refused_by_name():
    tx = optax.MultiSteps(gradpow.at_previous_point(optax.sgd(0.1)), 2)
    g = jnp.ones(2)
    with pytest.raises(ValueError, match=r"cannot stand inside optax\.MultiSteps.*microbatch"):
        jax.jit(tx.update)(g, tx.init(g), g, reference_grad=g)


def test_state_and_parameters_can_be_donated_together():
    tx, params = gradpow.sarah(0.1), jnp.ones(2)
    state = gradpow.set_anchor(tx.init(params), params, grad_fn(params))

    @jax.jit(donate_argnums=(0, 1))
    def step(params, state):
        u, state = tx.update(grad_fn(params), state, params, grad_fn=grad_fn)
        return params + u, state

    params, state = step(*step(params, state))
    assert jnp.isfinite(params).all()
