"""The provider of the last gradient: its first step, and under accumulation."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.transforms import gradient_correction
from tests.contract.case import Case
from tests.contract.exact import updates_of

CASE = Case(
    gradpow.lagged_gradient,
    other={"inner": gradpow.chain(gradient_correction(0.3), optax.sgd(1e-2, momentum=0.9))},
    largest=4e4,
)
GRADS = jnp.array([[1.0], [3.0], [2.0], [6.0]])


def test_the_first_step_has_no_correction_and_later_ones_that_of_the_last_gradient():
    tx = gradpow.lagged_gradient(gradient_correction(1.0))
    np.testing.assert_array_equal(updates_of(tx, jnp.zeros(1), GRADS)[:, 0], [1, 5, 1, 10])


def test_under_accumulation_it_is_the_correction_of_the_means():
    tx = gradpow.lagged_gradient(gradient_correction(1.0))
    multi = optax.MultiSteps(tx, 2).gradient_transformation()
    np.testing.assert_array_equal(updates_of(multi, jnp.zeros(1), GRADS)[1::2, 0], [2, 6])
