"""Scaling by the parameters' root mean square against its loop, and optax's where it has one."""

import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import parameter_rms_scale
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types
from tests.contract.identities import assert_same

LARGEST = 3e4  # of float16, which a product with a root mean square above 1 leaves
CASE = Case(parameter_rms_scale, {"min_scale": 0.8}, largest=LARGEST)
CASES = {
    "parameter_rms_scale_rows": Case(
        parameter_rms_scale, {"min_scale": 0.8}, {"rows": True}, LARGEST, by_rows=True
    )
}


def loop(theta0, gradients, min_scale, rate, rows=False):
    """Of descent at a rate: the parameters, and with them the scale, move."""
    theta = theta0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        axis = -1 if rows and theta.ndim else None
        rms = np.sqrt(np.mean(theta**2, axis=axis, keepdims=True))
        steps[t] = -rate * np.maximum(rms, min_scale) * g
        theta = theta + steps[t]
    return steps


def descent(min_scale, rate, rows):
    return gradpow.chain(parameter_rms_scale(rows, min_scale), optax.scale(-rate))


@in_both_types
@pytest.mark.parametrize("rows", [False, True], ids=["tensors", "rows"])
def test_steps_are_those_of_the_loop(rows, dtype):
    numbers = {"min_scale": 0.75, "rate": 2.0**-12}
    assert_steps_of_loop(descent, loop, dtype, rows=rows, **numbers)


def test_over_a_tensor_it_is_optax_s():
    rate = optax.scale(-1e-3)
    assert_same(
        gradpow.chain(parameter_rms_scale(min_scale=1e-3), rate),
        optax.chain(optax.scale_by_param_block_rms(1e-3), rate),
    )
