"""Nesterov's average against its loop, and as the numerator of optax's NAdam."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import moment_scale, nesterov_ema
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types
from tests.contract.identities import assert_same


def warming(b: Scalar) -> optax.GradientTransformation:
    return nesterov_ema(b, lambda count: b * (1 - jnp.exp2(-jnp.asarray(count, float)) / 2))


CASE = Case(warming, {"b": 0.9}, largest=5e4)  # it emits a tenth more than it is fed


def loop(theta0, gradients, b):
    mus = [b * (1 - 0.5**t / 2) for t in range(len(gradients) + 1)]
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b * m + (1 - b) * g
        now, later = np.prod(mus[: t + 1]), np.prod(mus[: t + 2])
        steps[t] = mus[t + 1] * m / (1 - later) + (1 - mus[t]) * g / (1 - now)
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    assert_steps_of_loop(lambda b: gradpow.chain(warming(b)), loop, dtype, b=0.9)


def test_at_a_constant_weight_it_is_the_numerator_of_nadam():
    assert_same(
        gradpow.chain(nesterov_ema(0.9, lambda count: 0.9), moment_scale(optax.ema(0.95), eps=0.1)),
        gradpow.chain(optax.scale_by_adam(0.9, 0.95, 0.1, nesterov=True)),
    )
