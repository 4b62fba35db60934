"""Gluon against its loop, and as the stochastic conditional gradient with its schedules."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.transforms import lmo
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, divide, in_both_types, rate, settings
from tests.contract.identities import assert_same


def output_or_vector(path, leaf):
    return "output" if leaf.ndim > 1 else "vector"


def hidden_or_output(path, leaf):
    return "hidden" if leaf.ndim > 1 else "output"


ROLE = {"role": output_or_vector}
NUMBERS = {"learning_rate": 0.01, "radius": 2.0, "output_radius": 3.0}
# A norm without singular vectors, which need the whole matrix on each device.
CASE = Case(gradpow.gluon, NUMBERS, {"role": hidden_or_output, "norms": {"hidden": "rms"}})


def loop(theta0, gradients, learning_rate, radius=50.0, output_radius=3000.0):
    """Riabinin et al. (2025), Algorithm 1: k from 0, M of before k = 0 weighs nothing."""
    m, steps = np.zeros(theta0.shape), np.zeros(gradients.shape)
    for k, g in enumerate(gradients):
        beta = 1 - (k + 1) ** -0.5
        m = beta * m + (1 - beta) * g
        t = at(learning_rate, k) * (k + 1) ** -0.75
        if theta0.ndim > 1:  # the smallest product with M in the ball m |X|_max <= t
            steps[k] = -t * output_radius * np.sign(m) / theta0.shape[-2]
        else:
            steps[k] = -t * radius * divide(m, np.sqrt(np.mean(m**2)))
    return steps


@in_both_types
@settings(
    {
        "constant": {"learning_rate": 0.01},
        "scheduled": {"learning_rate": rate, "radius": 2.0, "output_radius": 3.0},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    # Where an average crosses 0, its direction has the rounding of its parts.
    assert_steps_of_loop(gradpow.gluon, loop, dtype, float32=5e-5, other=ROLE, **numbers)


def test_it_is_the_unconstrained_conditional_gradient_with_schedules():
    scheduled = optax.inject_hyperparams(optax.ema, "debias", hyperparam_dtype=jnp.float32)
    uscg = gradpow.chain(
        scheduled(lambda count: 1 - (count + 1) ** -0.5, debias=False),
        lmo("linf"),
        optax.scale_by_learning_rate(lambda count: 0.1 * (count + 1) ** -0.75),
    )
    signs = {"hidden": "linf", "vector": "linf"}
    assert_same(gradpow.gluon(0.05, radius=2.0, norms=signs), uscg)
