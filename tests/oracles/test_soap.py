"""SOAP beside pytorch-optimizer's."""

import jax
import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.exact import updates_of
from tests.contract.in_bases import matrix_problem
from tests.contract.oracles import oracle, torch_steps


def test_steps_of_a_square_matrix():
    """Where the first gradient has less than full rank its eigenvectors are arbitrary.

    Both without eps, which acts there before the bias correction, and with few refreshes, each of
    which that package decomposes in float32.
    """
    soap = oracle("pytorch_optimizer").SOAP
    theta0, gradients = matrix_problem((5, 5), 25)
    expected = torch_steps(
        lambda x: soap(x, betas=(0.9, 0.95), eps=0.0, precondition_frequency=10, weight_decay=0.0),
        theta0,
        gradients,
        lr=0.01,
    )
    tx = gradpow.soap(0.01, 0.9, 0.95, eps=0.0, weight_decay=None)
    with jax.enable_x64(True):
        actual = jax.device_get(updates_of(tx, jnp.asarray(theta0), jnp.asarray(gradients)))
    assert np.abs(actual - expected)[:11].max() < 1e-13
    assert np.abs(actual - expected).max() < 1e-7
