"""The provider of gradients uphill: what it costs, norms over the tree, what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case, second_gradient


def uphill(g, theta):
    del theta
    return jax.tree.map(lambda g: g / 2, g)


CASE = Case(
    gradpow.ascend,
    {"reuse": 0.5},
    other={"perturb": uphill, "inner": optax.sgd(1e-2, momentum=0.9), "every": 2},
    second=True,
    arguments=second_gradient,
    largest=2e4,
    sharded=5e-5,  # g_v is what is left of two gradients that nearly agree
)


def test_norms_are_over_the_whole_tree():
    tx = gradpow.sam(optax.scale(1.0), rho=1.0)
    theta = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    g = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    u, _ = tx.update(g, tx.init(theta), theta, grad_fn=lambda point: point)
    np.testing.assert_allclose([u["a"][0], u["b"][0]], [0.6, 0.8], rtol=1e-6)


def test_the_second_gradient_is_under_a_condition():
    tx, theta, calls = gradpow.looksam(optax.sgd(0.1), every=3), jnp.ones(2), []

    def grad_fn(point):
        jax.debug.callback(lambda: calls.append(1))
        return 2 * point

    state, update = (
        tx.init(theta),
        jax.jit(lambda s: tx.update(2 * theta, s, theta, grad_fn=grad_fn)),
    )
    for _ in range(6):
        state = update(state)[1]
    jax.effects_barrier()
    assert len(calls) == 2


def test_what_counts_no_steps_and_what_is_missing_is_refused():
    for every in (0, 1.5, True):
        with pytest.raises(ValueError, match="every must be a whole number >= 1"):
            gradpow.looksam(optax.sgd(0.1), every=every)
    tx, theta = gradpow.sam(optax.sgd(0.1)), jnp.ones(2)
    with pytest.raises(ValueError, match=r"ascend .*grad_fn=grad_fn.*gradpow\.inputs"):
        tx.update(theta, tx.init(theta), theta)
    with pytest.raises(ValueError, match=r"cannot stand inside optax\.MultiSteps"):
        multi = optax.MultiSteps(tx, 2)
        multi.update(theta, multi.init(theta), theta, grad_fn=lambda x: x)
