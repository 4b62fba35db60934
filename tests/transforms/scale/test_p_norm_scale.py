"""Scaling by a p-norm against its loop, and what scales do to it."""

import jax
import numpy as np
from hypothesis import example, given

import gradpow
from gradpow.transforms import p_norm_scale
from tests.contract.case import Case
from tests.contract.drawn import SIZE, STEPS, fractions, histories, run
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types

CASE = Case(p_norm_scale, {"b": 0.9, "p": 3.0, "eps": 1e-8})
scaled = jax.jit(lambda g, b, p: run(p_norm_scale(b, p, nesterov=False), g))


def loop(theta0, gradients, b, p, eps):
    """Without Nesterov's step, dividing the gradient itself; S3's twin has the other."""
    s = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        s = b * s + (1 - b) * np.abs(g) ** p
        steps[t] = divide(g, s ** (1 / p) + eps)
    return steps


@in_both_types
def test_updates_are_those_of_the_loop(dtype):
    assert_steps_of_loop(
        lambda **numbers: gradpow.chain(p_norm_scale(**numbers, nesterov=False)),
        loop, dtype, b=0.9, p=3.0, eps=1e-3,
    )  # fmt: skip


@given(histories(1e-20, 1e20), fractions(1, 50))
@example(np.geomspace(1, 1e-20, STEPS * SIZE, dtype=np.float32).reshape(STEPS, SIZE), 50.0)
def test_without_memory_it_is_the_sign(gradients, p):
    np.testing.assert_allclose(scaled(gradients, 0.0, p), np.sign(gradients), rtol=1e-5)


@given(histories(), fractions(0.1, 0.99), fractions(1, 8))
def test_it_divides_by_the_average_for_any_gradients_and_numbers(gradients, b, p):
    s = np.zeros(SIZE, np.longdouble)
    for u, g in zip(scaled(gradients, b, p), gradients, strict=True):
        s = np.float32(b) * s + (1 - np.float32(b)) * np.abs(g).astype(np.longdouble) ** p
        root = np.where(s > 0, s, 1) ** (1 / np.longdouble(p))
        # A few roundings at each of the steps, each of a power and of its inverse.
        np.testing.assert_allclose(u, (g / root).astype(float), rtol=1e-5)
