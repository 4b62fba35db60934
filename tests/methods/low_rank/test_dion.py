"""Dion against its loop, and its start."""

import jax
import jax.numpy as jnp
import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import at, decay, rate
from tests.contract.in_bases import assert_steps_in_bases

NUMBERS = {
    "learning_rate": 0.01, "b": 0.9, "eps": 0.1, "weight_decay": 0.1, "b1": 0.8, "b2": 0.95
}  # fmt: skip
# P is decomposed across devices.
CASE = Case(gradpow.dion, NUMBERS, {"rank": 1}, sharded=1e-4)


def loop(theta0, gradients, q, learning_rate, weight_decay, mu, eps):
    """Ahn et al.'s Algorithm 1 on matrices (out, in), with the first Q given."""
    theta, steps = theta0, np.zeros(gradients.shape)
    m = np.zeros(theta0.T.shape)
    fan_out, fan_in = m.shape
    for t, g in enumerate(np.swapaxes(gradients, 1, 2)):
        b = m + g
        p, _ = np.linalg.qr(b @ q)
        r = b.T @ p
        m = b - (1 - mu) * p @ r.T
        q = r / (np.linalg.norm(r, axis=0, keepdims=True) + eps)
        eta = at(learning_rate, t)
        step = -eta * np.sqrt(fan_out / fan_in) * p @ q.T
        steps[t] = step.T - eta * at(weight_decay, t) * theta
        theta = theta + steps[t]
    return steps


def test_steps_are_those_of_the_loop():
    shape, rates = (4, 6), {"learning_rate": rate, "weight_decay": decay}

    def make():
        return gradpow.dion(**rates, b=0.9, eps=1e-8, rank=2)

    with jax.enable_x64(True):
        state = make().init(jnp.zeros(shape))
    (q,) = (x for x in jax.tree.leaves(state) if x.shape == (4, 2))
    assert_steps_in_bases(
        make,
        lambda *problem: loop(*problem, np.asarray(q), **rates, mu=0.9, eps=1e-8),
        shape,
        steps=(0, 1, 57, 120),
    )
