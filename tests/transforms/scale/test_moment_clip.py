"""Clipping by a moment against its loop."""

import numpy as np
import optax

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import moment_clip
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types, settings


def by_average(b: Scalar, order: Scalar, eps: Scalar) -> optax.GradientTransformation:
    check("in [0, 1)", b=b)
    return moment_clip(optax.ema(b, debias=False), order, eps)


CASE = Case(by_average, {"b": 0.9, "order": 1.5, "eps": 0.1})


def loop(theta0, gradients, b, order, eps):
    """Of the gradient itself."""
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        v = b * v + (1 - b) * np.abs(g) ** order
        with np.errstate(divide="ignore"):  # where g is 0, and so is the step
            steps[t] = np.minimum(divide(v ** (1 / order), np.abs(g) + eps), 1) * g
    return steps


@in_both_types
@settings(
    {
        "order 1": {"b": 0.9, "order": 1.0, "eps": 0.0},
        "order 2": {"b": 0.5, "order": 2.0, "eps": 1e-2},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    def factory(**given):
        return gradpow.chain(by_average(**given))

    assert_steps_of_loop(factory, loop, dtype, **numbers)
