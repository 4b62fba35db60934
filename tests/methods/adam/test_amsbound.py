"""AMSBound against its loop, the authors' code, and its ends, AMSGrad and SGD."""

import functools

import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types
from tests.contract.identities import assert_same, rate
from tests.methods.adam.test_adabound import NUMBERS, in_both_settings, loop

CASE = Case(gradpow.amsbound, NUMBERS)


@in_both_types
@in_both_settings
def test_steps_are_those_of_the_loop(numbers, dtype):
    largest = functools.partial(loop, amsbound=True)
    assert_steps_of_loop(gradpow.amsbound, largest, dtype, **numbers)


def test_it_goes_from_amsgrad_to_momentum():
    """Before the bounds have closed eps is another: AMSGrad's stands beside the corrected root."""
    assert_same(gradpow.amsbound(rate, gamma=1e-20, eps=1e-20), gradpow.amsgrad(rate, eps=1e-20))
    momentum = optax.chain(optax.ema(0.9, debias=False), optax.sgd(0.1))
    assert_same(gradpow.amsbound(rate, gamma=1e9), momentum)
