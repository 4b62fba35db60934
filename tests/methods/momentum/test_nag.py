"""NAG against the loop as printed, with gradients at two points, and SGD with Nesterov's."""

import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, in_both_types, rate, settings
from tests.contract.identities import assert_same
from tests.contract.identities import rate as another_rate

CASE = Case(gradpow.nag, {"learning_rate": 1e-2, "momentum": 0.9})


def loop(theta0, gradients, learning_rate, momentum):
    """m <- gamma m + eta g(theta - gamma m), theta <- theta - m; the steps of theta - gamma m."""
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        last, m = m, momentum * m + at(learning_rate, t) * g
        steps[t] = -m - momentum * m + momentum * last
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01, "momentum": 0.9},
        "scheduled": {"learning_rate": rate, "momentum": 0.5},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.nag, loop, dtype, **numbers)


def test_of_a_function_it_gives_both_points():
    h = np.array([1.0, 0.1], np.float32)
    theta, m = np.ones(2), np.zeros(2)
    tx, y = gradpow.nag(0.5, 0.75), np.ones(2, np.float32)
    state = tx.init(y)
    for _ in range(10):
        m = 0.75 * m + 0.5 * h * (theta - 0.75 * m)
        theta = theta - m
        u, state = tx.update(h * y, state)
        y = y + u
        np.testing.assert_allclose(gradpow.eval_params(state, y), theta, atol=1e-6)


def test_at_a_constant_rate_it_is_sgd_with_nesterov_and_not_under_a_schedule():
    assert_same(gradpow.nag(0.01, 0.9), gradpow.sgd(0.01, 0.9, nesterov=True))
    with np.testing.assert_raises(AssertionError):
        assert_same(gradpow.nag(another_rate, 0.9), gradpow.sgd(another_rate, 0.9, nesterov=True))
