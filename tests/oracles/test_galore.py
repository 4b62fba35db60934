"""GaLore beside optax's, which takes the other side, and pytorch-optimizer's, up to a refresh."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.exact import assert_same_steps, updates_of
from tests.contract.in_bases import matrix_problem
from tests.contract.oracles import oracle, torch_steps


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
def test_optaxs_is_of_the_longer_side(shape):
    """Up to its first refresh, where it lets signs fall as they may."""
    theta0, gradients = map(jnp.float32, matrix_problem(shape, 20))
    ours = gradpow.galore(0.01, rank=3, sides="longer", scale=1.0, eps=1e-8)
    theirs = optax.contrib.galore(0.01, rank=3)
    assert_same_steps(*(updates_of(tx, theta0, gradients) for tx in (ours, theirs)), 1e-5)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
def test_pytorch_optimizers_is_the_authors_up_to_a_refresh(shape):
    """It refreshes a step before the authors' code does, and decomposes in float32, as that does.

    Its matrices are (out, in), and steps here are of some 1e-3.
    """
    galore = oracle("pytorch_optimizer").GaLore
    theta0, gradients = matrix_problem(shape, 20)
    expected = torch_steps(
        lambda x: galore(
            [{"params": x, "rank": 3, "update_proj_gap": 100, "scale": 0.25,
              "projection_type": "std"}], eps=0.0, weight_decay=0.0,
        ),
        theta0.T, np.swapaxes(gradients, 1, 2), lr=0.01,
    )  # fmt: skip
    tx = gradpow.galore(0.01, rank=3, eps=0.0)
    with jax.enable_x64(True):
        actual = updates_of(tx, jnp.asarray(theta0), jnp.asarray(gradients))
    np.testing.assert_allclose(actual, np.swapaxes(expected, 1, 2), atol=1e-7)
