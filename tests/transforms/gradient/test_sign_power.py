"""Sign power against its loop."""

import numpy as np

from gradpow import chain
from gradpow.transforms import sign_power
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types, powered, settings

CASE = Case(sign_power, {"p": 1.2}, largest=9e3)  # 1e4^1.2 leaves float16


def loop(theta0, gradients, p):
    return powered(gradients, p)


@in_both_types
@settings({"below 1": {"p": 0.8}, "cubes": {"p": 3.0}, "above 1": {"p": 1.2}})
def test_powers_are_those_of_numpy(numbers, dtype):
    def flushed(*_):  # the cubes of numbers around 1e-12 are subnormal in float32
        return np.finfo(dtype).tiny

    assert_steps_of_loop(lambda p: chain(sign_power(p)), loop, dtype, rounding=flushed, **numbers)
