"""The gradient in the update's place: the chain's own, or the one that is shown."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import mixture, take_grad, with_view
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types


def after(decay: Scalar) -> optax.GradientTransformation:
    return mixture((1.0, take_grad()), (decay, optax.trace(decay)))


CASE = Case(after, {"decay": 0.9}, largest=1e3)  # of float16; the momentum is the sum of ten


def loop(theta0, gradients, decay):
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = decay * m + g
        steps[t] = g + decay * m
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    assert_steps_of_loop(lambda **numbers: gradpow.chain(after(**numbers)), loop, dtype, decay=0.5)


def test_it_takes_what_a_view_shows():
    tx = gradpow.chain(optax.scale(5.0), with_view(optax.scale(2.0), take_grad()))
    g = jnp.array([4.0])
    assert tx.update(g, tx.init(g))[0] == 8
