"""Methods that precondition axes beside the package that has them."""

import numpy as np

import gradpow
from tests.contract.exact import SCHEDULED
from tests.contract.oracles import oracle, torch_steps
from tests.methods.kronecker.test_shampoo import EPS, assert_is_loop


def test_shampoo_of_pytorch_optimizer():
    """Its momentum is of steps, of what was preconditioned, and stays 0 here."""

    def loop(theta0, gradients, learning_rate, weight_decay, eps, every=1):
        make = oracle("pytorch_optimizer").Shampoo
        return torch_steps(
            lambda x: make(x, matrix_eps=eps, weight_decouple=True),
            theta0,
            gradients,
            lr=learning_rate,
            weight_decay=weight_decay,
        )

    for shape, eps in (((5, 7), EPS), ((7, 4), 1e-6)):
        assert_is_loop(gradpow.shampoo, loop, np.float64, shape, **SCHEDULED, eps=eps)
