"""Another view of the gradient: only what is inside sees it."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import moment_scale, with_view
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types


def by_traced(decay: Scalar, scale: Scalar) -> optax.GradientTransformation:
    view = optax.chain(optax.trace(decay), optax.scale(scale))
    return with_view(view, moment_scale(optax.trace(1.0)))


CASE = Case(by_traced, {"decay": 0.9, "scale": 0.5})


def loop(theta0, gradients, decay, scale):
    m, v = np.zeros(theta0.shape), np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = decay * m + g
        v = v + (scale * m) ** 2
        steps[t] = divide(g, np.sqrt(v))
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    def factory(**numbers):
        return gradpow.chain(by_traced(**numbers))

    assert_steps_of_loop(factory, loop, dtype, decay=0.5, scale=0.25)


def test_what_comes_after_it_sees_the_gradient_again():
    scale = moment_scale(optax.trace(1.0))
    tx = gradpow.chain(with_view(optax.scale(2.0), scale), scale)
    g = jnp.array([4.0])
    assert tx.update(g, tx.init(g))[0] == 4 / 8 / 4
