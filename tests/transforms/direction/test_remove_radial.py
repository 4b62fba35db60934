"""The removal of the radial part against the paper's loop."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import remove_radial
from tests.contract.case import Case
from tests.contract.exact import SCHEDULED, assert_steps_of_loop, at, divide, in_both_types

CASE = Case(
    remove_radial,
    {"delta": 2.0, "weight_decay": 0.1, "wd_ratio": 0.2, "eps": 0.1},
    largest=3e4,  # of float16, which the decay leaves
    by_rows=True,
)


def projected(p, theta, g, delta, wd_ratio, eps, axis):
    """Algorithm 2, lines 8 to 12, of the update p, with the decay of the authors' code."""
    if theta.ndim < 2:
        return p, 1.0, "none"
    channels = np.moveaxis(theta, axis, 0).shape[0]

    def view(x, count):
        return np.moveaxis(x, axis, 0).reshape(count, -1)

    for count in (channels, 1):
        x, y = view(theta, count), view(g, count)
        norms = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
        cosine = np.abs(np.sum(x * y, axis=1))
        for n in norms:
            cosine = divide(cosine, np.maximum(n, eps))
        if np.max(cosine) < delta / np.sqrt(x.shape[1]):
            unit = divide(x, norms[0][:, None] + eps)
            q = view(p, count) - unit * np.sum(unit * view(p, count), axis=1, keepdims=True)
            q = np.moveaxis(q.reshape(np.moveaxis(p, axis, 0).shape), 0, axis)
            return q, wd_ratio, "channels" if count > 1 else "tensor"
    return p, 1.0, "none"


def loop(theta0, gradients, learning_rate, momentum, delta, weight_decay, wd_ratio, eps, axis):
    """Of descent with momentum."""
    theta, m = theta0, np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = momentum * m + g
        p, share, kind = projected(m, theta, g, delta, wd_ratio, eps, axis)
        FOUND.append((kind, theta.ndim))
        steps[t] = -at(learning_rate, t) * (p + share * at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


FOUND = []


def on_signs(factory, loop):
    """Both on the signs of the gradients, which are at right angles to weights as often as not."""

    def of_signs(theta0, gradients, **numbers):
        return loop(theta0, np.sign(gradients), **numbers)

    return lambda **given: gradpow.chain(optax.scale_by_sign(), factory(**given)), of_signs


@in_both_types
@pytest.mark.parametrize("axis", [0, -1])
def test_steps_are_those_of_the_loop(axis, dtype):
    def factory(learning_rate, momentum, axis, **given):
        return gradpow.chain(
            optax.trace(momentum),
            remove_radial(axis=axis, **given),
            optax.scale_by_learning_rate(learning_rate),
        )

    FOUND.clear()
    numbers = {"momentum": 0.5, "delta": 1.5, "wd_ratio": 0.25, "eps": 1e-3, **SCHEDULED}
    assert_steps_of_loop(*on_signs(factory, loop), dtype, axis=axis, **numbers)
    assert min(FOUND.count((kind, 2)) for kind in ("channels", "tensor", "none")) > 30


def test_a_gradient_of_0_is_at_right_angles_and_weights_of_0_have_no_direction():
    u = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    tx = remove_radial(eps=0.0)
    zeros = jnp.zeros((2, 2))
    np.testing.assert_array_equal(tx.update(u, tx.init(u), zeros, grad=u)[0], u)
    assert np.allclose(tx.update(u, tx.init(u), u, grad=zeros)[0], 0, atol=1e-6)
