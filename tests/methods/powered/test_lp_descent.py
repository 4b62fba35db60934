"""l_p descent against its loop; SGD and sign descent are its ends."""

import jax.numpy as jnp
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, in_both_types, rate, settings
from tests.contract.identities import assert_same
from tests.transforms.direction.test_lp_steepest import loop as direction

CASE = Case(gradpow.lp_descent, {"learning_rate": 1e-2, "p": 3.0})


def loop(theta0, gradients, learning_rate, p):
    """Luo et al. (2025), Algorithm 1."""
    steps = -direction(theta0, gradients, p)
    for t in range(len(steps)):
        steps[t] *= at(learning_rate, t)
    return steps


@in_both_types
@settings(
    {
        "p = 2": {"learning_rate": rate, "p": 2.0},
        "p = 2.8": {"learning_rate": 0.01, "p": 2.8},
        "p = 3": {"learning_rate": rate, "p": 3.0},
        "p = inf": {"learning_rate": 0.01, "p": float("inf")},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.lp_descent, loop, dtype, **numbers)


def test_at_p_2_it_is_sgd():
    assert_same(gradpow.lp_descent(rate, 2.0), optax.sgd(rate))


def test_at_p_inf_it_is_sign_descent():
    assert_same(gradpow.lp_descent(rate, jnp.inf), optax.sign_sgd(rate))


def test_scaled_it_is_the_scaled_direction():
    by_hand = gradpow.chain(
        gradpow.transforms.lp_steepest(3.0, scaled=True), optax.scale_by_learning_rate(rate)
    )
    assert_same(gradpow.lp_descent(rate, 3.0, scaled=True), by_hand)
