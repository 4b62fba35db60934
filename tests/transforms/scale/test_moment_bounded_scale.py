"""Bounded scaling by a moment against its loop."""

import numpy as np
import optax

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import moment_bounded_scale
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, at, divide, in_both_types, rate, settings


def lower(count):
    return 1 - 1 / (count + 2.0)


def upper(count):
    return 1 + 4 / (count + 1.0)


def by_average(
    b: Scalar, learning_rate: optax.ScalarOrSchedule, eps: Scalar
) -> optax.GradientTransformation:
    check("in [0, 1)", b=b)
    return moment_bounded_scale(optax.ema(b, debias=False), learning_rate, lower, upper, eps)


def in_wide_bounds(
    b: Scalar, learning_rate: optax.ScalarOrSchedule, eps: Scalar
) -> optax.GradientTransformation:
    check("in [0, 1)", b=b)
    bounds = optax.constant_schedule(1e-3), optax.constant_schedule(1e3)
    return moment_bounded_scale(optax.ema(b, debias=False), learning_rate, *bounds, eps)


CASE = Case(in_wide_bounds, {"b": 0.9, "learning_rate": 1.0, "eps": 0.1})


def loop(theta0, gradients, b, learning_rate, eps):
    """Of the gradient itself."""
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        v = b * v + (1 - b) * g**2
        steps[t] = np.clip(
            divide(at(learning_rate, t), np.sqrt(v) + eps), lower(t), upper(t)
        ) * g  # fmt: skip
    return steps


@in_both_types
@settings(
    {
        "constant": {"b": 0.9, "learning_rate": 1.0, "eps": 1e-2},
        "scheduled": {"b": 0.5, "learning_rate": rate, "eps": 1e-8},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    def factory(**given):
        return gradpow.chain(by_average(**given))

    assert_steps_of_loop(factory, loop, dtype, **numbers)
