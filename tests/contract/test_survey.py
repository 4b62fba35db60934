"""Known methods in the survey's form theta - eta H^-1 m, with its H: Liu (2025), Section 3.1.1."""

import functools

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import gram_precondition
from tests.contract.exact import updates_of

ETA, STEPS = 0.1, 8
B1, B2 = 0.9, 0.95
SHAPE = (3, 4)


def power_of(a, exponent):
    w, q = np.linalg.eigh(a)
    return (q * np.maximum(w, 0) ** exponent) @ q.T


def shampoo(rate):
    """On both sides of a matrix, the sums starting at 0 as the survey prints them."""
    side = functools.partial(gram_precondition, optax.trace(1.0), power=0.25)

    def turned(inner):
        def init(params):
            return inner.init(params.T)

        def update(updates, state, params=None, *, grad):
            updates, state = inner.update(updates.T, state, grad=grad.T)
            return updates.T, state

        return optax.GradientTransformationExtraArgs(init, update)

    return gradpow.chain(side(), turned(side()), optax.scale_by_learning_rate(rate))


def adamw_s(gradients):
    m, v = np.zeros((2, *SHAPE))
    for t, g in enumerate(gradients, 1):
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
        yield m, np.diag(np.sqrt(v.ravel()) * (1 - B1**t) / np.sqrt(1 - B2**t))


def lion_s(gradients):
    m = np.zeros(SHAPE)
    for g in gradients:
        c, m = B1 * m + (1 - B1) * g, B2 * m + (1 - B2) * g
        yield c, np.diag(np.sqrt(c.ravel() ** 2))


def shampoo_s(gradients):
    left, right = np.zeros((3, 3)), np.zeros((4, 4))
    for g in gradients:
        left, right = left + g @ g.T, right + g.T @ g
        yield g, np.kron(power_of(left, 0.25), power_of(right, 0.25))


def oracle_s(norm):
    """Of norms' balls, which the survey does not put in this form: H makes of M its own oracle."""

    def form(gradients):
        m = np.zeros(SHAPE)
        for g in gradients:
            m = B1 * m + (1 - B1) * g
            if norm == "linf":
                yield m, np.diag(np.abs(m.ravel()))
            elif norm == "l2":
                yield m, np.linalg.norm(m) * np.eye(m.size)
            else:  # U V' is (M M')^{-1/2} M
                yield m, np.kron(power_of(m @ m.T, 0.5), np.eye(SHAPE[1]))

    return form


def scg(norm):
    return gradpow.scg(ETA, norm, b=B1, constrained=False, iteration="svd")


@pytest.mark.parametrize(
    ("tx", "form"),
    [
        (gradpow.adamw(ETA, B1, B2, eps=0.0, weight_decay=0.0), adamw_s),
        (gradpow.lion(ETA, B1, B2, weight_decay=0.0), lion_s),
        (shampoo(ETA), shampoo_s),
        *((scg(norm), oracle_s(norm)) for norm in ("linf", "l2", "spectral")),
    ],
    ids=["adamw", "lion", "shampoo", "signum", "normalized SGD", "spectral"],
)
def test_a_step_is_h_inverse_times_the_momentum(tx, form):
    params, *gradients = np.random.default_rng(0).standard_normal((1 + STEPS, *SHAPE))
    steps = updates_of(tx, jnp.float32(params), jnp.float32(gradients))
    # From the second: a Gram matrix of four columns and three rows has no inverse.
    expected = [-ETA * np.linalg.solve(h, m.ravel()) for m, h in [*form(gradients)][1:]]
    np.testing.assert_allclose(steps.reshape(STEPS, -1)[1:], expected, rtol=1e-4, atol=1e-6)
