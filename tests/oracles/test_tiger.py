"""Tiger beside pytorch-optimizer's, which has the momentum and its sign, not the rates of kinds."""

import numpy as np

import gradpow
from tests.contract.exact import assert_steps_of_loop, decay, rate
from tests.contract.oracles import oracle, rounding, torch_steps


def loop(theta0, gradients, learning_rate, b, weight_decay=None):
    tiger = oracle("pytorch_optimizer").Tiger
    return torch_steps(
        lambda x: tiger(x, beta=b), theta0, gradients, lr=learning_rate, weight_decay=weight_decay
    )


def test_steps_of_norms_and_biases():
    """They move by half the rate and do not decay."""

    def vectors(learning_rate, b):
        return gradpow.tiger(lambda t: 2 * learning_rate(t), b, kind=lambda path: "vector")

    assert_steps_of_loop(vectors, loop, np.float64, rounding=rounding, learning_rate=rate, b=0.95)


def test_without_the_root_mean_squares_it_is_lion_with_equal_betas():
    def lion(learning_rate, b, weight_decay, mask):
        return gradpow.lion(learning_rate, b, b, weight_decay, mask)

    assert_steps_of_loop(
        lion, loop, np.float64, rounding=rounding, learning_rate=rate, b=0.95, weight_decay=decay
    )
