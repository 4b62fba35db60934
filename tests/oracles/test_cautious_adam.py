"""Cautious Adam beside pytorch-optimizer's AdEMAMix, which is Adam where its slow part is 0."""

import numpy as np

import gradpow
from tests.contract.exact import assert_steps_of_loop, rate
from tests.contract.oracles import divided_by_what_is_kept, oracle, rounding, torch_steps


def test_steps_of_pytorch_optimizer():
    """Of d coordinates n are kept, and its normaliser is d / (n + 1)."""

    def loop(theta0, gradients, learning_rate, b1, b2, eps):
        ademamix = oracle("pytorch_optimizer").AdEMAMix
        steps = torch_steps(
            lambda x: ademamix(x, betas=(b1, b2, 0.9), alpha=0.0, eps=eps, cautious=True),
            theta0,
            gradients,
            lr=learning_rate,
            weight_decay=0.0,
        )
        return divided_by_what_is_kept(steps)

    assert_steps_of_loop(
        gradpow.cautious_adam,
        loop,
        np.float64,
        rounding=rounding,
        learning_rate=rate,
        b1=0.8,
        b2=0.95,
        eps=1e-3,
    )
