"""LAMB against its loop, and optax's, which has no phi."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import ADAM, SCHEDULED, assert_steps_of_loop, at, in_both_types, settings
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(
    gradpow.lamb,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-2,
        "eps_root": 1e-12,
        "weight_decay": 0.1,
    },
)


def bounded(norm):
    return jnp.clip(norm, 1.0, 2.0)


def loop(
    theta0, gradients, learning_rate, b1, b2, eps=1e-6, weight_decay=0.01, bounds=(0.0, np.inf)
):
    """You et al. (2020), Algorithm 2."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        r = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        u = r + at(weight_decay, t) * theta
        ratio = np.clip(np.linalg.norm(theta), *bounds) / np.linalg.norm(u)
        steps[t] = -at(learning_rate, t) * ratio * u
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 2.0**-8, "weight_decay": 0.125, **ADAM},
        "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3, "bounds": (1.0, 2.0)},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    def factory(bounds=None, **given):
        return gradpow.lamb(**given, phi=None if bounds is None else bounded)

    assert_steps_of_loop(factory, loop, dtype, **numbers)


def test_without_phi_it_is_optax_s():
    numbers = {"eps_root": 1e-6, "weight_decay": 0.1, "mask": MASK}
    assert_same(gradpow.lamb(rate, **numbers), optax.lamb(rate, **numbers))
