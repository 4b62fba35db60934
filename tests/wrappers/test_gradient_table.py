"""The provider of a table: SAG's and SAGA's estimates against their loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import control_variate
from tests.contract.case import Case, at_index
from tests.contract.exact import assert_same_steps

N = 3
CASE = Case(
    gradpow.gradient_table,
    other={"size": N, "inner": gradpow.chain(control_variate(), optax.sgd(1e-2, momentum=0.9))},
    arguments=at_index,
    largest=2e4,
)


def loop(gradients, indices, table, weight):
    """Defazio et al. (2014), Section 1, equations for SAG and SAGA."""
    y, estimates = table.copy(), []
    for g, j in zip(gradients, indices, strict=True):
        estimates.append(weight * (g - y[j]) + y.mean(0))
        y[j] = g
    return np.array(estimates)


@pytest.mark.parametrize("weight", [1.0, 1 / N], ids=["SAGA", "SAG"])
def test_estimates_are_those_of_the_loop(weight):
    rng = np.random.default_rng(0)
    gradients, indices = rng.standard_normal((60, 4)), rng.integers(N, size=60)
    table = rng.standard_normal((N, 4)) if weight == 1 else np.zeros((N, 4))
    tx = gradpow.gradient_table(N, control_variate(weight))

    def step(state, given):
        u, state = tx.update(given[0], state, index=given[1])
        return state, u

    with jax.enable_x64(True):
        start = tx.init(jnp.zeros(4)).filled(jnp.asarray(table))
        _, found = jax.lax.scan(step, start, (jnp.asarray(gradients), indices))
    assert_same_steps(found, loop(gradients, indices, table, weight), 1e-12)


def test_a_missing_index_and_a_size_of_nothing_are_refused():
    tx = gradpow.gradient_table(N, control_variate())
    with pytest.raises(ValueError, match=r"update\(..., index=i\) with i from 0 to 2"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    for size in (0, 1.5):
        with pytest.raises(ValueError, match="size must be an integer >= 1"):
            gradpow.gradient_table(size, optax.sgd(0.1))
