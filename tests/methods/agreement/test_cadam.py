"""CAdam against its loop, and cautious Adam, which makes up for what is masked."""

import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_same_steps,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import ROUNDING, rate, updates_on_two_leaves

CASE = Case(
    gradpow.cadam,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-2,
        "eps_root": 1e-12,
        "weight_decay": 0.1,
    },
)


def loop(theta0, gradients, learning_rate, b1, b2, eps=1e-8, weight_decay=0.0):
    """Wang et al. (2024), Algorithm 1, without AMSGrad."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1 ** (t + 1)) * (np.sign(m) * np.sign(g) > 0)
        u = m_hat / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings({"constant": {**CONSTANT, **ADAM}, "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.cadam, loop, dtype, **numbers)


def test_cautious_adam_makes_up_for_what_is_masked():
    ours = updates_on_two_leaves(gradpow.cadam(rate))
    cautious = updates_on_two_leaves(gradpow.cautious_adam(rate, eps=1e-8))

    def made_up(u):
        axes = tuple(range(1, u.ndim))
        return u / jnp.maximum(jnp.mean(u != 0, axis=axes, keepdims=True), 1e-3)

    assert_same_steps({k: made_up(u) for k, u in ours.items()}, cautious, ROUNDING)
