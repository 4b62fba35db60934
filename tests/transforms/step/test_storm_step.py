"""STORM's step: its corners; its loop is that of the method."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from gradpow.transforms import storm_step
from tests.contract.case import Case, reference_gradients

CASE = Case(storm_step, {"k": 0.1, "w": 0.2, "c": 3.0}, arguments=reference_gradients, largest=2e4)


def test_the_first_anchor_is_the_first_estimate():
    tx, g = storm_step(k=1.0, w=1.0, c=0.0), jnp.array([1.0])
    state = gradpow.set_anchor(tx.init(g), g, jnp.array([5.0]))
    d = tx.update(g, state, reference_grad=g)[1].d
    np.testing.assert_array_equal(d, [5])


def test_without_a_reference_the_remedy_is_said():
    tx, g = storm_step(k=1.0), jnp.ones(2)
    with pytest.raises(ValueError, match=r"storm_step .*at_previous_point"):
        tx.update(g, tx.init(g))
