"""SGDPower against its loop, and SGD as its case p = 1."""

import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, in_both_types, powered, rate, settings
from tests.contract.identities import assert_same
from tests.methods.momentum.test_sgd import loop as sgd

CASE = Case(gradpow.sgdpower, {"learning_rate": 1e-2, "p": 0.8, "momentum": 0.9})


def loop(theta0, gradients, learning_rate, p, momentum=None, nesterov=False):
    """Wang et al. (2025), equation (1), before SGD; without momentum the Powerball method."""
    return sgd(theta0, powered(gradients, p), learning_rate, momentum, nesterov)


@in_both_types
@settings(
    {
        "plain": {"learning_rate": 0.01, "p": 0.8},
        "momentum": {"learning_rate": rate, "p": 1.2, "momentum": 0.9},
        "nesterov": {"learning_rate": 0.01, "p": 2.0, "momentum": 0.9, "nesterov": True},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.sgdpower, loop, dtype, **numbers)


@pytest.mark.parametrize("momentum", [{}, {"momentum": 0.9, "nesterov": True}])
def test_at_p_1_it_is_sgd(momentum):
    assert_same(gradpow.sgdpower(rate, p=1.0, **momentum), optax.sgd(rate, **momentum))
