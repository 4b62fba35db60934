"""RAdam against its loop and optax's, and the float32 in which optax's rho is lost."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.methods.adam.radam import averaged
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate, updates_on_two_leaves

# With b2 = 0.9 the second step of the contract's three is the last before rho exceeds 4 ...
NUMBERS = {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.9, "eps": 1e-2, "weight_decay": 0.1}
CASE = Case(gradpow.radam, NUMBERS)


def rho(b2, t):
    return 2 / (1 - b2) - 1 - 2 * t * b2**t / (1 - b2**t)


def loop(theta0, gradients, learning_rate, b1, b2, eps=1e-8, weight_decay=0.0, threshold=4):
    """Liu et al. (2020), Algorithm 2, with an eps."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    rho_inf = 2 / (1 - b2) - 1
    for count, g in enumerate(gradients):
        t = count + 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        rho_t = rho(b2, t)
        step = m_hat
        if rho_t > threshold:
            r_t = np.sqrt(
                (rho_t - 4) * (rho_t - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho_t)
            )
            step = r_t * m_hat / (np.sqrt(v / (1 - b2**t)) + eps)
        steps[count] = -at(learning_rate, count) * (step + at(weight_decay, count) * theta)
        theta = theta + steps[count]
    return steps


@in_both_types
@settings({"constant": {**CONSTANT, **ADAM}, "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.radam, loop, dtype, **numbers)


def test_pytorch_waits_until_rho_exceeds_5_as_optax_does():
    assert_same(gradpow.radam(rate, b2=0.875, form="torch"), optax.radam(rate, b2=0.875))
    assert_same(gradpow.radam(rate, b2=0.875), optax.radam(rate, b2=0.875, threshold=4.0001))
    with pytest.raises(AssertionError):
        assert_same(gradpow.radam(rate, b2=0.875), optax.radam(rate, b2=0.875))


@pytest.mark.parametrize("b2", [0.0, 0.5, 0.9, 0.999, 0.9999])
def test_rho_is_right_in_float32_from_the_first_step(b2):
    """What optax computes instead is 4.3 at the first step for b2 = 0.9999, where 1 is right."""
    b2 = float(np.float32(b2))
    t = np.array([1, 2, 3, 5, 6, 10, 100, 1000, 10**4, 10**6])
    found = averaged(b2, jnp.int32(t - 1))
    with jax.enable_x64():  # as a sum without cancellation, for the small t
        exact = [
            rho(b2, k) if k > 100 or b2 < 0.9 else
            2 * sum(b2**i * sum(b2**j for j in range(k - i)) for i in range(k))
            / sum(b2**i for i in range(k)) - 1
            for k in t
        ]  # fmt: skip
    np.testing.assert_allclose(found, exact, rtol=3e-6)


def test_optax_rectifies_at_the_first_step_where_b2_is_near_1():
    with np.testing.assert_raises(AssertionError):
        assert_first_step_is_momentum(optax.radam(0.01, b2=0.9999, threshold=4.0001))
    assert_first_step_is_momentum(gradpow.radam(0.01, b2=0.9999))


def assert_first_step_is_momentum(tx):
    first = updates_on_two_leaves(tx)["matrix"][0]
    sgd = updates_on_two_leaves(optax.sgd(0.01))["matrix"][0]
    np.testing.assert_allclose(first, sgd, rtol=1e-5)
