"""PolarGrad against its loop with the SVD, and optax's adaptive Muon without momentum."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.transforms import NS5
from tests.contract.case import Case
from tests.contract.exact import SCHEDULED, assert_same_steps, at, in_both_types, updates_of
from tests.transforms.matrix.test_orthogonalize import normal

CASE = Case(
    gradpow.polargrad,
    {"learning_rate": 1e-2, "eps": 0.1, "weight_decay": 0.1},
    {"iteration": NS5},  # which feels eps
    sharded=1e-3,  # sums are made in another order, which the matrix products amplify
)


def polar(x):
    """U V' and the nuclear norm."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return u @ vt, s.sum()


def hidden_matrix(theta0, gradients, learning_rate, weight_decay=0.0):
    """Lau et al. (2025): PolarGrad."""
    theta, steps = theta0, np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        u, nuclear = polar(g)
        steps[t] = -at(learning_rate, t) * (nuclear * u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


def assert_steps_on_normal_matrices(factory, of_matrix, dtype, **numbers):
    """On gradients whose singular values are far from 0, where the factor is not defined."""
    theta0, grads = normal(4, 6), normal(30, 4, 6, seed=1)
    with jax.enable_x64(dtype is np.float64):
        params = {"kernel": jnp.asarray(theta0, dtype)}
        actual = updates_of(factory(**numbers), params, {"kernel": jnp.asarray(grads, dtype)})
    expected = of_matrix(theta0.astype(dtype), grads.astype(dtype), **numbers)
    # The iteration multiplies rounding of small singular values by up to 4000.
    assert_same_steps(actual["kernel"], expected, 1e-4 if dtype is np.float32 else 1e-11)


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    assert_steps_on_normal_matrices(gradpow.polargrad, hidden_matrix, dtype, **SCHEDULED)


def test_without_momentum_optax_s_adaptive_muon_is_polargrad():
    params = {"kernel": jnp.float32(normal(4, 6))}
    grads = {"kernel": jnp.float32(normal(10, 4, 6, seed=1))}
    ours = updates_of(gradpow.polargrad(0.1, eps=1e-8, iteration=NS5), params, grads)
    theirs = optax.chain(
        optax.contrib.scale_by_muon(
            beta=0.0, adaptive=True, weight_dimension_numbers={"kernel": MuonDimensionNumbers()}
        ),
        optax.scale_by_learning_rate(0.1),
    )
    assert_same_steps(ours, updates_of(theirs, params, grads), 1e-4)  # 485 roundings, as Muon's


def test_steps_vanish_with_the_gradient():
    params = {"kernel": jnp.float32(normal(3, 4))}
    tx = gradpow.polargrad(0.1)
    large, small = (
        tx.update({"kernel": size * params["kernel"]}, tx.init(params), params)[0]["kernel"]
        for size in (1.0, 1e-20)
    )
    np.testing.assert_allclose(small * 1e20, large, rtol=1e-4, atol=1e-5)
