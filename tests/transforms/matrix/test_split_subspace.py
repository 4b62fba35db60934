"""Two rules, inside and outside of a subspace, against their loop."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar, check, guarded_divide
from gradpow.transforms import kronecker_basis, moment_scale, oja_basis, split_subspace, svd_basis
from tests.contract.case import Case
from tests.contract.exact import updates_of
from tests.contract.in_bases import assert_steps_in_bases, matrix_problem


def cosmos_like(decay: Scalar, b: Scalar, eps: Scalar) -> optax.GradientTransformation:
    check("in [0, 1)", b=b)
    inside = moment_scale(optax.ema(b, debias=False), eps=eps)
    return split_subspace(inside, optax.ema(0.9, debias=False), oja_basis(1, decay, "out"))


# A basis is made across devices.
CASE = Case(cosmos_like, {"decay": 0.7, "b": 0.9, "eps": 0.1}, sharded=1e-4)


def loop(gradients, b, every, rank):
    """Of a momentum c: inside over the root of g's second moment, outside of length 1."""
    c, v = 0.0, 0.0
    steps = np.zeros(gradients.shape)
    old = np.zeros((gradients.shape[1], rank))
    for t, g in enumerate(gradients):
        if t % every == 0:
            u = np.linalg.svd(g)[0][:, :rank]
            u = u * np.where(np.sum(u * old, 0) < 0, -1, 1)
            old = u
        c = 0.9 * c + g
        v = b * v + (1 - b) * (u.T @ g) ** 2
        rest = c - u @ u.T @ c
        steps[t] = u @ (u.T @ c / (np.sqrt(v) + 1e-3)) + rest / np.linalg.norm(rest)
    return steps


def unit(u):
    return guarded_divide(u, jnp.linalg.norm(u))


def test_steps_are_those_of_the_loop():
    outside = optax.stateless(lambda u, _: {"w": unit(u["w"])} if isinstance(u, dict) else unit(u))
    inside = moment_scale(optax.ema(0.9, debias=False), eps=1e-3)
    assert_steps_in_bases(
        lambda: gradpow.chain(
            optax.trace(0.9), split_subspace(inside, outside, svd_basis(9, "in", 2))
        ),
        lambda theta0, gradients: loop(gradients, 0.9, 9, 2),
        (4, 6),
        steps=(0, 1, 9, 57),
    )


def test_the_identity_twice_is_the_identity_and_what_is_no_matrix_passes():
    _, gradients = matrix_problem((4, 3), 3)
    grads = {"w": jnp.float32(gradients), "b": jnp.float32(gradients[:, 0])}
    tx = split_subspace(
        optax.identity(),
        optax.identity(),
        svd_basis(2, "both", 1),
        matrices=lambda path, x: x.ndim > 1,
    )
    updates = updates_of(gradpow.chain(tx), {k: g[0] for k, g in grads.items()}, grads)
    np.testing.assert_array_equal(updates["b"], grads["b"])
    np.testing.assert_allclose(updates["w"], grads["w"], atol=1e-4)


@pytest.mark.parametrize("basis", [kronecker_basis(), svd_basis()])
def test_a_basis_of_all_or_of_the_next_step_is_refused(basis):
    with pytest.raises(ValueError, match="needs a basis of a subspace"):
        split_subspace(optax.identity(), optax.identity(), basis)
