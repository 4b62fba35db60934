"""Frank and Wolfe's method against its loop, and its bound on a convex function."""

import jax
import jax.numpy as jnp
import numpy as np
from optax.contrib import MuonDimensionNumbers

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, divide, in_both_types, rate, settings
from tests.contract.trees import quick_jit

CASE = Case(gradpow.frank_wolfe, {"radius": 2.0, "p": 3.0, "learning_rate": 0.1}, {"norm": "lp"})


def loop(theta0, gradients, radius, learning_rate=lambda t: 2 / (t + 2)):
    """Jaggi (2013), Algorithm 1, in the Euclidean ball."""
    theta, steps = theta0, np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        s = -radius * divide(g, np.linalg.norm(g))
        gamma = at(learning_rate, t)
        steps[t] = -gamma * theta + gamma * s
        theta = theta + steps[t]
    return steps


def whole_leaf(**numbers):
    """With all axes of a leaf out, so that its norm is over all of it."""

    def all_out(path, leaf):
        return MuonDimensionNumbers((), tuple(range(leaf.ndim)))

    return gradpow.frank_wolfe("l2", **numbers, matrices=all_out)


@in_both_types
@settings({"default": {"radius": 2.0}, "scheduled": {"radius": 0.5, "learning_rate": rate}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(whole_leaf, loop, dtype, **numbers)


def test_a_quadratic_falls_at_least_as_its_theorem_says():
    """f(x) - f* <= 2 L D^2 / (t + 2), with L = 1 and D the ball's diameter."""
    target, radius, steps = jnp.array([3.0, -4.0, 0.0]), 2.0, 100
    tx = gradpow.frank_wolfe("l2", radius)

    @quick_jit
    def train(theta):
        def step(carry, _):
            theta, state = carry
            updates, state = tx.update(theta - target, state, theta)
            theta = theta + updates
            return (theta, state), theta

        return jax.lax.scan(step, (theta, tx.init(theta)), length=steps)[1]

    thetas = np.asarray(train(jnp.array([0.0, 0.0, 1.0])))
    assert np.all(np.linalg.norm(thetas, axis=1) <= radius * (1 + 1e-6))
    gaps = np.sum((thetas - target) ** 2, axis=1) / 2 - (5 - radius) ** 2 / 2
    assert np.all(gaps <= 2 * (2 * radius) ** 2 / (np.arange(1, steps + 1) + 2))
