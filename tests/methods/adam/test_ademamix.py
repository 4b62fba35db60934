"""AdEMAMix against its loop with and without warm-ups, optax's, and AdamW as its case alpha = 0."""

import numpy as np
import optax

import gradpow
from gradpow import schedules
from tests.contract.case import Case
from tests.contract.exact import ADAM, SCHEDULED, assert_steps_of_loop, at, in_both_types, settings
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(
    gradpow.ademamix,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "b3": 0.3,
        "alpha": 2.0,
        "eps": 1e-8,
        "eps_root": 1e-12,
        "weight_decay": 0.1,
    },
)


def loop(theta0, gradients, learning_rate, b1, b2, b3, alpha, steps=None, eps=1e-8, weight_decay=0):
    """Pagliardini et al. (2024), Algorithm 1, with both warm-ups over the first steps."""

    def half_life(b):
        return np.log(0.5) / np.log(b) - 1

    theta = theta0
    m1, m2, v = np.zeros((3, *theta0.shape))
    taken = np.zeros(gradients.shape)
    for i, g in enumerate(gradients):
        t, a = i + 1, 1.0 if steps is None else min((i + 1) / steps, 1.0)
        alpha_t = alpha * a
        b3_t = b3 if a == 1 else 0.5 ** (1 / ((1 - a) * half_life(b1) + a * half_life(b3) + 1))
        m1 = b1 * m1 + (1 - b1) * g
        m2 = b3_t * m2 + (1 - b3_t) * g
        v = b2 * v + (1 - b2) * g**2
        u = (m1 / (1 - b1**t) + alpha_t * m2) / (np.sqrt(v / (1 - b2**t)) + eps)
        taken[i] = -at(learning_rate, i) * (u + at(weight_decay, i) * theta)
        theta = theta + taken[i]
    return taken


def warmed_up(learning_rate, b1, b2, b3, alpha, steps, **numbers):
    return gradpow.ademamix(
        learning_rate,
        b1,
        b2,
        schedules.ademamix_b3(b1, b3, steps),
        schedules.ademamix_alpha(alpha, steps),
        **numbers,
    )


NUMBERS = {**SCHEDULED, **ADAM, "b3": 0.99, "alpha": 2.0}


@in_both_types
@settings({"without": {}, "warm-ups": {"steps": 150}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    factory = warmed_up if numbers else gradpow.ademamix
    assert_steps_of_loop(factory, loop, dtype, **NUMBERS, **numbers)


def test_it_is_optax_s_and_with_alpha_0_adamw():
    other = optax.contrib.ademamix(rate, weight_decay=0.1, mask=MASK)
    assert_same(gradpow.ademamix(rate, weight_decay=0.1, mask=MASK), other)
    assert_same(
        gradpow.ademamix(rate, alpha=0.0, weight_decay=0.1), optax.adamw(rate, weight_decay=0.1)
    )
