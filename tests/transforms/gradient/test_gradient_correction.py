"""Corrected gradients, by hand: one formula."""

import jax.numpy as jnp
import numpy as np
import pytest

from gradpow.transforms import gradient_correction
from tests.contract.case import Case, reference_gradients

CASE = Case(gradient_correction, {"scale": 0.4}, arguments=reference_gradients, largest=4e4)


def test_a_change_is_added_and_its_absence_changes_nothing():
    tx, g = gradient_correction(0.25), jnp.array([2.0, -4.0])
    for r, expected in ((g, g), (jnp.zeros(2), 1.25 * g), (3 * g, 0.5 * g)):
        u, _ = tx.update(g, tx.init(g), reference_grad=r)
        np.testing.assert_array_equal(u, expected)


def test_a_narrow_reference_is_taken_as_it_is_and_a_missing_one_refused():
    tx, g = gradient_correction(1.0), jnp.array([2.0])
    u, _ = tx.update(g, tx.init(g), reference_grad=jnp.array([1.0078125], jnp.bfloat16))
    assert u.dtype == jnp.float32 and u[0] == 2.9921875
    with pytest.raises(ValueError, match=r"gradient_correction .*at_previous_point"):
        tx.update(g, tx.init(g))
