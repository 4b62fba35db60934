"""AdaX against its loop as printed, and where that overflows."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)

CASE = Case(
    gradpow.adax,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.5, "eps": 1e-2, "weight_decay": 0.1},
)


def loop(theta0, gradients, learning_rate, b1, b2=1e-4, eps=1e-12, weight_decay=0.0):
    """Li et al. (2020), Algorithm 1, with an eps."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = (1 + b2) * v + b2 * g**2
        v_hat = v / np.expm1((t + 1) * np.log1p(b2))
        eta = at(learning_rate, t)
        steps[t] = -eta * (m / (np.sqrt(v_hat) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings(
    {
        "the paper's b2": {**CONSTANT, "b1": 0.9, "b2": 1e-4},
        "scheduled": {**SCHEDULED, "b1": 0.5, "b2": 0.03, "eps": 1e-3},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.adax, loop, dtype, **numbers)


def test_it_goes_on_where_the_printed_v_would_leave_float32():
    """By then the moment stands still: of a new gradient it takes less than 1e-4 e^-88."""
    tx, g = gradpow.adax(1.0, b1=0.0), jnp.array([2.0])
    _, state = tx.update(g, tx.init(g))
    for count in (887_000, 2_000_000, 2**31 - 2):
        late = optax.tree.set(state, count=jnp.int32(count))
        updates, late = tx.update(2 * g, late)
        np.testing.assert_allclose(updates, -2.0, rtol=1e-6)
        np.testing.assert_allclose(optax.tree.get(late, "mean"), [4.0], rtol=1e-6)

    def last(b2):
        update, _ = gradpow.adax(1.0, b2=b2).update(g, optax.tree.set(state, count=10**6))
        return update[0]

    assert np.isfinite(jax.grad(last)(1e-4))
