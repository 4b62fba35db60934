"""MARS in its approximate form beside a package, which has no exact one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from tests.contract.exact import assert_same_steps
from tests.contract.oracles import oracle, torch_steps

RATE, STEPS = 2.0**-6, 60
THETA = np.random.default_rng(0).standard_normal((5, 4))
# The package corrects the first gradient too, by itself, which a norm above 1 undoes.
GRADS = np.random.default_rng(1).standard_normal((STEPS, 5, 4))
GRADS[1:] *= np.geomspace(0.01, 1, STEPS - 1)[:, None, None]


@pytest.mark.parametrize("kind", ["adamw", "lion"])
def test_steps_of_pytorch_optimizer(kind):
    mars, b1, b2 = oracle("pytorch_optimizer").MARS, 0.75, 0.875
    expected = torch_steps(
        lambda x: mars(
            x, lr=RATE, betas=(b1, b2), gamma=0.5, mars_type=kind, weight_decay=0.25, eps=0.0
        ),
        THETA,
        GRADS,
    )
    # eps is 0, since the package adds it before v is debiased.
    made = {"adamw": gradpow.mars_adamw, "lion": gradpow.mars_lion}[kind]
    given = {"b2": b2, "eps": 0.0} if kind == "adamw" else {}
    tx = made(RATE, b1=b1, gamma=0.5, weight_decay=0.25, provider=gradpow.lagged_gradient, **given)

    with jax.enable_x64(True):

        def step(carry, g):
            theta, state = carry
            u, state = tx.update(g, state, theta)
            return (theta + u, state), u

        theta = jnp.asarray(THETA)
        _, found = jax.lax.scan(step, (theta, tx.init(theta)), jnp.asarray(GRADS))
    # The package adds 1e-15 to v, which is 1e-6 where gradients are smallest.
    assert_same_steps(found, expected, 1e-9 if kind == "adamw" else 1e-12)
