"""Coordinates of a basis: a momentum that turns is one outside, and what is no matrix stays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import in_basis, kronecker_basis, moment_scale, svd_basis
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, updates_of
from tests.contract.in_bases import matrix_problem


def soap_like(b1: Scalar, b2: Scalar, eps: Scalar) -> optax.GradientTransformation:
    check("in [0, 1)", b1=b1, b2=b2)
    second = moment_scale(optax.ema(b2, debias=False), eps=eps)
    return in_basis(second, kronecker_basis(2, 0.9), optax.ema(b1, debias=False))


# A basis is made across devices, and its vectors turn by more where eigenvalues are near.
CASE = Case(soap_like, {"b1": 0.8, "b2": 0.9, "eps": 0.1}, sharded=1e-4)


def test_a_momentum_inside_is_the_same_as_one_outside():
    """But for the first step, which makes the basis of SOAP and nothing else."""
    theta0, gradients = matrix_problem((3, 5), 30)
    gradients[0] *= 1e-20  # of which the momentum outside keeps nothing, and a basis all
    outside = optax.chain(
        optax.ema(0.8, debias=False),
        in_basis(moment_scale(optax.ema(0.9, debias=False), eps=0.1), kronecker_basis(2, 0.9)),
    )
    with jax.enable_x64(True):
        one, other = (
            updates_of(gradpow.chain(tx), jnp.asarray(theta0), jnp.asarray(gradients))
            for tx in (soap_like(0.8, 0.9, 0.1), outside)
        )
    assert_same_steps(one, other, 1e-12)


def test_what_is_no_matrix_passes_and_other_axes_are_other_matrices():
    _, gradients = matrix_problem((3, 5), 4)
    gradients = jnp.float32(gradients)
    tx = in_basis(optax.scale_by_rms(), svd_basis(2), matrices=lambda path, x: x.ndim > 1)
    turned = in_basis(
        optax.scale_by_rms(),
        svd_basis(2),
        matrices={"w": MuonDimensionNumbers((1, 2), 0), "b": None},
    )
    grads = {"w": gradients, "b": gradients[:, 0]}
    cube = {"w": gradients.mT.reshape(-1, 5, 3, 1), "b": gradients[:, 0]}
    for g in (grads, cube):
        g["w"] = jnp.asarray(g["w"])
    params, others = (jax.tree.map(lambda g: jnp.zeros(g.shape[1:]), t) for t in (grads, cube))
    one = updates_of(gradpow.chain(tx), params, grads)
    other = updates_of(gradpow.chain(turned), others, {**cube, "w": cube["w"]})
    np.testing.assert_array_equal(one["b"], grads["b"])
    np.testing.assert_array_equal(other["b"], grads["b"])
    # A matrix (in, out) with in its last two axes, and its transpose, have one basis.
    np.testing.assert_allclose(other["w"][..., 0], one["w"].mT, rtol=1e-4, atol=1e-5)
