"""ASAM around momentum against its loop, and its vectors as in SAM."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case, second_gradient
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import RATE, run
from tests.wrappers.test_sam import loop

CASE = Case(
    gradpow.asam,
    {"rho": 0.1, "eta": 0.5},
    other={"base": optax.sgd(1e-2, momentum=0.9)},
    second=True,
    arguments=second_gradient,
)


def scaled(rho, g, theta):
    """Kwon et al. (2021), Algorithm 1, line 5, with eta = 0.25."""
    t = np.abs(theta) + 0.25
    return rho * t**2 * g / np.linalg.norm(t * g)


def test_steps_are_those_of_the_loop():
    tx = gradpow.asam(optax.sgd(RATE, momentum=0.75), 0.5, 0.25)
    assert_same_steps(run(tx), loop(0.5, scaled), 1e-12)


def test_leaves_of_one_axis_are_not_scaled():
    theta = {"bias": jnp.array([8.0])}
    tx = gradpow.asam(optax.scale(1.0), 0.5)
    u, _ = tx.update({"bias": jnp.ones(1)}, tx.init(theta), theta, grad_fn=lambda point: point)
    np.testing.assert_allclose(u["bias"], [8.5])
