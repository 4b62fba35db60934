"""The l_p mirror step: its dual, against the loop of the boxes."""

import jax
import numpy as np
import pytest
from hypothesis import given

import gradpow
from gradpow.transforms import lp_mirror_step
from tests.contract.case import Case
from tests.contract.drawn import ROUNDING, fractions, histories, numbers, run, vectors
from tests.contract.exact import assert_steps_of_loop, counts, divide, in_both_types, settings

CASE = Case(lp_mirror_step, {"alpha": 0.1, "p": 3.5})
mirror = jax.jit(lambda g, alpha, theta: run(lp_mirror_step(alpha, 2.0), g, theta))


def loop(theta0, gradients, alpha, p, init="params"):
    p = np.longdouble(p)
    theta = theta0.astype(np.longdouble)  # z - theta cancels, so both carry extra digits
    z = theta if init == "params" else np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, u in enumerate(gradients):
        dual = np.abs(z) ** (p - 2) * z - alpha * u
        z = divide(dual, np.abs(dual) ** ((p - 2) / (p - 1)))
        steps[t] = z - theta
        theta = theta + (z - theta)
    return steps


def cancellation(eps, theta0, expected, numbers):
    """z - theta cancels: phi_p errs by 8 eps of z, and each step rounds theta by eps / 2."""
    iterates = np.abs(np.cumsum(expected, axis=0) + theta0)
    return (8 + counts(theta0)) * eps * np.maximum.accumulate(iterates + np.abs(theta0))


@in_both_types
@settings(
    {
        "p = 2": {"alpha": 2.0**-6, "p": 2.0},
        "p = 3.5": {"alpha": 2.0**-6, "p": 3.5},
        "from 0": {"alpha": 2.0**-6, "p": 2.5, "init": "zeros"},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    # The inverse mirror map is a root, whose slope at 0 is infinite; as in STACEY's twin.
    assert_steps_of_loop(
        lambda **n: gradpow.chain(lp_mirror_step(**n)), loop, dtype,
        float32=2e-3, rounding=cancellation, **numbers,
    )  # fmt: skip


@given(histories(), fractions(0, 1), vectors(numbers(1e-3, 1e3)))
def test_at_2_it_is_gradient_descent(gradients, alpha, theta):
    z = theta - alpha * np.cumsum(gradients.astype(float), axis=0)
    size = np.abs(theta) + alpha * np.abs(gradients).sum(axis=0)
    assert (np.abs(mirror(gradients, alpha, theta) - (z - theta)) <= ROUNDING * size).all()


def test_another_start_than_the_two_is_refused():
    with pytest.raises(ValueError, match='init must be "params" or "zeros"'):
        lp_mirror_step(0.1, 2.0, init="ones")  # pyright: ignore[reportArgumentType]
