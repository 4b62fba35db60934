"""SGD beside PyTorch's."""

import numpy as np
import pytest

import gradpow
from tests.contract.exact import assert_steps_of_loop, rate
from tests.contract.oracles import oracle, rounding, torch_steps


@pytest.mark.parametrize("momentum, nesterov", [(None, False), (0.9, False), (0.9, True)])
def test_steps_of_pytorch(momentum, nesterov):
    def loop(theta0, gradients, learning_rate, momentum, nesterov):
        sgd = oracle("torch").optim.SGD
        return torch_steps(
            lambda x: sgd(x, momentum=momentum or 0.0, nesterov=nesterov),
            theta0,
            gradients,
            lr=learning_rate,
        )

    assert_steps_of_loop(
        gradpow.sgd,
        loop,
        np.float64,
        rounding=rounding,
        learning_rate=rate,
        momentum=momentum,
        nesterov=nesterov,
    )
