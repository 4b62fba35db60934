"""Differences of successive updates against their loop."""

import numpy as np

import gradpow
from gradpow.transforms import difference
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types

CASE = Case(difference, largest=3e4)  # of float16, which a difference of two leaves


def loop(theta0, gradients):
    return np.diff(gradients, axis=0, prepend=gradients[:1])


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    assert_steps_of_loop(lambda: gradpow.chain(difference()), loop, dtype)
