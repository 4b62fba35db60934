"""Lion beside two packages."""

import numpy as np
import pytest

import gradpow
from tests.contract.exact import assert_steps_of_loop, decay, rate
from tests.contract.oracles import oracle, rounding, torch_steps


@pytest.mark.parametrize("package", ["lion_pytorch", "pytorch_optimizer"])
def test_steps_of_packages(package):
    def loop(theta0, gradients, learning_rate, b1, b2, weight_decay):
        lion = oracle(package).Lion
        return torch_steps(
            lambda x: lion(x, betas=(b1, b2)),
            theta0,
            gradients,
            lr=learning_rate,
            weight_decay=weight_decay,
        )

    assert_steps_of_loop(
        gradpow.lion,
        loop,
        np.float64,
        rounding=rounding,
        learning_rate=rate,
        b1=0.8,
        b2=0.95,
        weight_decay=decay,
    )
