"""SGLD against its loop with the same normal numbers."""

import jax
import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps
from tests.methods.variance_reduced.finite_sum import ORDER, THETA, gradient, run

CASE = Case(gradpow.sgld, {"learning_rate": 1e-2, "temperature": 0.5}, other={"key": 3})


def rate(count):
    return 2.0**-10 * (64 - count)


def normals():
    key, drawn = jax.random.PRNGKey(3), []
    for _ in ORDER:
        key, now = jax.random.split(key)
        drawn.append(jax.random.normal(jax.random.split(now, 1)[0], THETA.shape, jnp.float32))
    return np.array(drawn)


def loop(eps, z):
    """Welling and Teh (2011), Equation 4, with eps_t / 2 = eta_t, at a temperature of 1/4."""
    theta, steps = THETA, []
    for t, j in enumerate(ORDER):
        steps.append(-eps(t) / 2 * gradient(theta, j) + np.sqrt(eps(t) / 4) * z[t])
        theta = theta + steps[-1]
    return np.array(steps)


def test_steps_are_those_of_the_loop():
    with jax.enable_x64(True):
        z = normals()
    found = run(gradpow.sgld(rate, 3, 0.25))
    assert_same_steps(found, loop(lambda t: 2 * rate(t), z), 1e-12)
