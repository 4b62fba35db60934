"""Langevin steps: noise of the variance that is asked for, other at each leaf and step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradpow.transforms import langevin
from tests.contract.case import Case

CASE = Case(langevin, {"learning_rate": 0.1, "temperature": 0.5}, other={"key": 3})


def test_noise_is_normal_and_independent_from_leaf_to_leaf_and_step_to_step():
    tx, params = langevin(0.125, 0.5, 0), {"a": jnp.zeros(20_000), "b": jnp.zeros(20_000)}
    one, state = tx.update(params, tx.init(params))
    two, _ = tx.update(params, state)
    z = np.array([one["a"], one["b"], two["a"]]) / np.sqrt(2 * 0.125 * 0.5)
    # Five standard errors of means of 20,000 numbers and of their products.
    np.testing.assert_allclose(z.mean(1), 0, atol=5 / np.sqrt(20_000))
    np.testing.assert_allclose(z @ z.T / 20_000, np.eye(3), atol=5 * np.sqrt(2 / 20_000))


@pytest.mark.parametrize("key", [7, jax.random.key(7), jax.random.PRNGKey(7)], ids=str)
def test_a_seed_and_both_kinds_of_keys_draw_the_same(key):
    tx, g = langevin(0.1, 1.0, key), jnp.ones(3)
    seeded = langevin(0.1, 1.0, 7)
    np.testing.assert_array_equal(tx.update(g, tx.init(g))[0], seeded.update(g, seeded.init(g))[0])
