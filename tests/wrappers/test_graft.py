"""Grafting against its loop, by tensor and by matrix, and at the ends of float32."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from gradpow.core import last_two_axes
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types
from tests.contract.identities import assert_same

CASE = Case(
    gradpow.graft,
    other={"magnitude": optax.sgd(1e-2, momentum=0.9), "direction": optax.adam(1e-3, eps_root=0.1)},
)


def loop(theta0, gradients, b=0.75):
    """M#D: the norm of signed momentum's step, the direction of the momentum's."""
    m = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b * m + g
        of_m, of_d = -0.5 * np.sign(g), -m
        steps[t] = divide(np.linalg.norm(of_m), np.linalg.norm(of_d)) * of_d
    return steps


@in_both_types
def test_steps_are_those_of_the_loop(dtype):
    def factory(b):
        return gradpow.graft(optax.sign_sgd(0.5), optax.sgd(1.0, momentum=b))

    # The largest coordinate's momentum, which is the norm, cancels at times to a hundredth.
    assert_steps_of_loop(factory, loop, dtype, float32=1e-4, b=0.75)


def test_grafted_on_itself_an_optimizer_is_itself():
    adam = optax.adam(0.01, eps=1e-3)
    assert_same(gradpow.graft(adam, adam), adam)


def test_each_matrix_of_a_stack_has_its_norm_where_it_is_said():
    g = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 4)), jnp.float32)
    g = g * jnp.array([1.0, 100.0])[:, None, None]
    parts = optax.sgd(1.0), optax.sign_sgd(1.0)
    for matrices, axes in ((None, (0, 1, 2)), (last_two_axes, (1, 2)), ({"a": None}, (0, 1, 2))):
        tx = gradpow.graft(*parts, matrices)
        u = tx.update({"a": g}, tx.init({"a": g}))[0]["a"]
        norm = np.sqrt(np.sum(np.square(g), axes, keepdims=True))
        size = norm / np.sqrt(np.prod([g.shape[axis] for axis in axes]))
        np.testing.assert_allclose(u, -np.sign(g) * size, rtol=1e-6)


def test_norms_whose_squares_leave_float32_count():
    g = jnp.array([3.0, -4.0])
    for size in (1e-30, 1e-20, 1e25, 1e30):
        tx = gradpow.graft(optax.scale(size), optax.scale(1 / size))
        np.testing.assert_allclose(tx.update(g, tx.init(g))[0], g * np.float32(size), rtol=1e-6)


def test_without_a_direction_or_a_size_it_stands_still():
    g = jnp.array([3.0, -4.0])
    still, steps = optax.set_to_zero(), optax.sgd(1.0)
    for pair in ((still, steps), (steps, still), (still, still)):
        tx = gradpow.graft(*pair)
        assert not tx.update(g, tx.init(g))[0].any()
