"""Cautious Lion beside lion-pytorch's and pytorch-optimizer's."""

import numpy as np

import gradpow
from tests.contract.exact import assert_steps_of_loop, decay, rate
from tests.contract.oracles import (
    decays_first,
    divided_by_what_is_kept,
    oracle,
    rounding,
    torch_steps,
)

NUMBERS = {"learning_rate": rate, "b1": 0.8, "b2": 0.95}


def test_steps_of_lion_pytorch():
    """It decays before the step, and its floor is another."""

    def loop(theta0, gradients, learning_rate, b1, b2, weight_decay):
        lion = oracle("lion_pytorch.cautious_lion").Lion
        return torch_steps(
            lambda x: lion(x, betas=(b1, b2)),
            theta0,
            gradients,
            lr=learning_rate,
            weight_decay=weight_decay,
        )

    factory = decays_first(
        lambda *args, **numbers: gradpow.cautious_lion(*args, **numbers, floor=1e-5)
    )
    assert_steps_of_loop(
        factory, loop, np.float64, rounding=rounding, **NUMBERS, weight_decay=decay
    )


def test_steps_of_pytorch_optimizer():
    """Of d coordinates n are kept, and its normaliser is d / (n + 1), as in the authors' code."""

    def loop(theta0, gradients, learning_rate, b1, b2):
        lion = oracle("pytorch_optimizer").Lion
        steps = torch_steps(
            lambda x: lion(x, betas=(b1, b2), cautious=True), theta0, gradients, lr=learning_rate
        )
        return divided_by_what_is_kept(steps)

    assert_steps_of_loop(gradpow.cautious_lion, loop, np.float64, rounding=rounding, **NUMBERS)
