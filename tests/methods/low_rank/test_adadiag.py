"""AdaDiag and AdaDiag++ against their loop, and what they share with SOAP."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Basis, Turned
from gradpow.transforms import in_basis, moment_scale, svd_basis
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, at, decay, rate, updates_of
from tests.contract.in_bases import assert_steps_in_bases, matrix_problem

NUMBERS = {"learning_rate": 0.01, "b1": 0.9, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.1}
# A basis is made across devices, and its vectors turn by more where singular values are near.
CASE = Case(gradpow.adadiag, NUMBERS, {"every": 2}, sharded=1e-4)


def loop(theta0, gradients, learning_rate, b1, b2, eps, weight_decay, every, both):
    """The survey's box with bias-corrected moments and eps outside, on matrices (out, in)."""
    theta, steps = theta0, np.zeros(gradients.shape)
    m, v = 0.0, 0.0
    p_old, q_old = 0.0, 0.0
    for t, g in enumerate(np.swapaxes(gradients, 1, 2)):
        if t % every == 0:
            p, _, qt = np.linalg.svd(g)
            p = p * np.where(np.sum(p * p_old, axis=0) < 0, -1, 1)
            q = qt.T * np.where(np.sum(qt.T * q_old, axis=0) < 0, -1, 1)
            p_old, q_old = p, q
        if not both:
            q = np.eye(len(q))
        x = p.T @ g @ q
        if t == 0:  # the matrix of singular values, which has zeros
            x = np.where(np.abs(x) < 1e-13 * np.abs(x).max(), 0, x)
        m, v = b1 * m + (1 - b1) * x, b2 * v + (1 - b2) * x**2
        n = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        u = (p @ n @ q.T).T
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@pytest.mark.parametrize(("sides", "shape"), [("out", (6, 4)), ("both", (5, 5))])
def test_steps_are_those_of_the_loop(sides, shape):
    numbers = {"b1": 0.9, "b2": 0.95, "eps": 1e-8, "every": 20}
    rates = {"learning_rate": rate, "weight_decay": decay}
    assert_steps_in_bases(
        lambda: gradpow.adadiag(**rates, **numbers, sides=sides),
        lambda *problem: loop(*problem, **rates, **numbers, both=sides == "both"),
        shape,
        steps=(0, 1, 20, 57) if sides == "both" else (),
    )


def test_soap_with_another_basis_and_no_rotation_is_adadiag_of_both_sides():
    theta0, gradients = matrix_problem((4, 4), 30)
    rule = svd_basis(8, "both")
    own = Basis(rule.init, rule.start, lambda s, g: Turned(rule.start(s, g)), 8, True)
    inner = optax.chain(optax.ema(0.9), moment_scale(optax.ema(0.95), eps=1e-8))
    soap = gradpow.chain(in_basis(inner, own), optax.scale(-0.1))
    adadiag = gradpow.adadiag(0.1, b2=0.95, every=8, sides="both")
    with jax.enable_x64(True):
        steps = (
            updates_of(tx, jnp.asarray(theta0), jnp.asarray(gradients)) for tx in (soap, adadiag)
        )
        assert_same_steps(*steps, 1e-12)
