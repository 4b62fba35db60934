"""Running maxima against their loop."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import running_max
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, in_both_types


def fading(growth: Scalar) -> optax.GradientTransformation:
    check("finite and >= 0", growth=growth)
    return running_max(growth)  # whose schedules change what it keeps, as no rate does


CASE = Case(fading, {"growth": 0.9})


def loop(theta0, gradients, growth=1.0):
    """Kingma and Ba (2015), equation (12), of what comes in."""
    y = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        y = np.maximum(at(growth, t) * y, g)
        steps[t] = y
    return steps


def rising(count):
    return 0.5 + count / 512


@in_both_types
@pytest.mark.parametrize(
    "given", [{}, {"growth": 0.75}, {"growth": rising}], ids=["largest", "fading", "scheduled"]
)
def test_steps_are_those_of_the_loop(given, dtype):
    assert_steps_of_loop(lambda **given: gradpow.chain(running_max(**given)), loop, dtype, **given)


def test_it_starts_at_0_and_keeps_the_largest():
    tx = running_max()
    top, state = tx.update(jnp.array([-1.0, 2.0]), tx.init(jnp.zeros(2)))
    np.testing.assert_array_equal(top, [0.0, 2.0])
    np.testing.assert_array_equal(tx.update(jnp.array([3.0, 1.0]), state)[0], [3.0, 2.0])
