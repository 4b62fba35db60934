"""AdamWN against its loop, and AdamW whose decay comes after the step as its case."""

import numpy as np
import optax

import gradpow
from gradpow.core import product
from gradpow.transforms import decay_stepped_weights
from tests.contract.case import Case
from tests.contract.exact import ADAM, assert_steps_of_loop, at, in_both_types, rate, settings
from tests.contract.identities import MASK, assert_same
from tests.transforms.step.test_norm_control import rounding

CASE = Case(
    gradpow.adamwn,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 1e-12,
        "strength": 0.1,
        "ratio": 0.9,
    },
)


def loop(theta0, gradients, learning_rate, b1, b2, eps=1e-8, strength=1e-4, ratio=1.0):
    """Loshchilov (2023), Section 2, of Adam."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1 ** (t + 1)), v / (1 - b2 ** (t + 1))
        step = -at(learning_rate, t) * m_hat / (np.sqrt(v_hat) + eps)
        target = at(ratio, t) * np.linalg.norm(theta0)
        pull = at(strength, t) * (1 - target / np.linalg.norm(theta + step))
        steps[t] = step - pull * (theta + step)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "default": {"learning_rate": 0.01, **ADAM},
        "scheduled": {
            "learning_rate": rate,
            **ADAM,
            "eps": 1e-3,
            "strength": lambda t: 0.5 - t / 1024,
            "ratio": lambda t: 1 + t / 64,
        },
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adamwn, loop, dtype, rounding=rounding, **numbers)


def test_towards_0_it_is_adam_with_the_decay_after_the_step():
    decay = product(rate, 0.1)
    assert_same(
        gradpow.adamwn(rate, strength=decay, ratio=0.0, mask=MASK),
        optax.chain(optax.adam(rate), decay_stepped_weights(decay, MASK)),
    )
