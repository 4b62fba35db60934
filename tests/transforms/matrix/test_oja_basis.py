"""The basis that follows an eigenspace against its loop, and against the eigenvectors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import in_basis, oja_basis
from tests.contract.exact import updates_of
from tests.contract.in_bases import assert_steps_in_bases, matrix_problem
from tests.contract.trees import quick_jit


def loop(gradients, rank, decay, b=0.9):
    """u in the basis of the out axis, over the root of an average of its squares, x (in, out)."""
    v = 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        gram = g.T @ g
        if t == 0:
            u = np.linalg.svd(gram)[0][:, :rank]
            s = (1 - decay) * u.T @ gram @ u
        else:
            old = decay * u @ s @ u.T + (1 - decay) * gram
            u_new, r = np.linalg.qr(decay * u @ s + (1 - decay) * gram @ u)
            u = u_new * np.sign(np.diag(r))
            s = u.T @ old @ u
        x = g @ u
        if t == 0:
            x = np.where(np.abs(x) < 1e-13 * np.abs(x).max(), 0, x)
        v = b * v + (1 - b) * x**2
        steps[t] = x / np.sqrt(v + 1e-8) @ u.T
    return steps


def test_steps_are_those_of_the_loop():
    assert_steps_in_bases(
        lambda: gradpow.chain(in_basis(optax.scale_by_rms(0.9), oja_basis(2, 0.95, "out"))),
        lambda theta0, gradients: loop(gradients, 2, 0.95),
        (4, 5),
        steps=(0, 1, 57),
    )


def test_it_settles_on_the_eigenvectors_of_a_gradient_that_stays():
    g = matrix_problem((5, 7), 1)[1][0]
    gradients = np.tile(g, (60, 1, 1))
    gradients[0] = matrix_problem((5, 7), 2)[1][1]
    basis = oja_basis(2, 0.9)
    emitted = updates_of(
        gradpow.chain(in_basis(optax.identity(), basis)), jnp.zeros((5, 7)), jnp.float32(gradients)
    )
    u, s, vt = np.linalg.svd(g)
    np.testing.assert_allclose(emitted[-1], (u[:, :2] * s[:2]) @ vt[:2], atol=1e-3 * s[0])


@pytest.mark.parametrize("side", ["in", "out"])
def test_a_step_that_leaves_float32_moves_nothing(side):
    g = jnp.float32(matrix_problem((3, 4), 1)[1][0])
    basis = oja_basis(2, side=side)

    @quick_jit
    def run(g):
        state = basis.start(basis.init((3, 4), jnp.float32), g)
        return state, basis.refresh(state, 1e30 * g).state, basis.start(state, 1e30 * g)

    state, after, started = run(g)
    jax.tree.map(np.testing.assert_array_equal, after, state)
    assert jax.tree.all(jax.tree.map(lambda x: jnp.isfinite(x).all(), started))
