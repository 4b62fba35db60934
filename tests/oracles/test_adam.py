"""Adam beside PyTorch's."""

import numpy as np

import gradpow
from tests.contract.exact import assert_steps_of_loop, rate
from tests.contract.oracles import oracle, rounding, torch_steps


def test_steps_of_pytorch():
    def loop(theta0, gradients, learning_rate, b1, b2, eps):
        adam = oracle("torch").optim.Adam
        return torch_steps(
            lambda x: adam(x, betas=(b1, b2), eps=eps), theta0, gradients, lr=learning_rate
        )

    assert_steps_of_loop(
        gradpow.adam,
        loop,
        np.float64,
        rounding=rounding,
        learning_rate=rate,
        b1=0.8,
        b2=0.95,
        eps=1e-3,
    )
