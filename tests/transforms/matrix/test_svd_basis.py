"""Bases of singular vectors against their loop: signs, sides, ranks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar, check
from gradpow.transforms import in_basis, moment_scale, svd_basis
from tests.contract.case import Case
from tests.contract.exact import updates_of
from tests.contract.in_bases import assert_steps_in_bases, matrix_problem


def of_low_rank(b1: Scalar, b2: Scalar, eps: Scalar) -> optax.GradientTransformation:
    check("in [0, 1)", b1=b1, b2=b2)
    second = moment_scale(optax.ema(b2, debias=False), eps=eps)
    return in_basis(optax.chain(optax.ema(b1, debias=False), second), svd_basis(2, rank=1))


# A basis is made across devices; where singular values are near, its vectors turn by more.
CASE = Case(of_low_rank, {"b1": 0.9, "b2": 0.95, "eps": 0.1}, sharded=1e-4)


def sides_of(shape, sides):
    m, n = shape
    shorter = {"in"} if m <= n else {"out"}
    longer = {"in", "out"} - shorter
    known = {"both": {"in", "out"}, "shorter": shorter, "longer": longer}
    return known.get(sides, {sides})


def loop(gradients, every, sides, rank=None, b1=0.9, b2=0.95, eps=1e-8):
    """Adam's moments in the basis; x is (in, out)."""
    *_, m, n = gradients.shape
    p, q = np.eye(m), np.eye(n)
    old = [None, None]
    moments = 0.0, 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        if t % every == 0:
            u, _, vt = np.linalg.svd(g)
            for i, (side, vectors) in enumerate((("in", u), ("out", vt.T))):
                if side in sides_of((m, n), sides):
                    vectors = vectors[:, :rank]
                    if old[i] is not None:
                        along = np.diag(old[i].T @ vectors)
                        vectors = vectors * np.where(along < 0, -1, 1)
                    old[i] = vectors
            p, q = p if old[0] is None else old[0], q if old[1] is None else old[1]
        x = p.T @ g @ q
        if t == 0:  # the matrix of singular values, or a product with it
            x = np.where(np.abs(x) < 1e-13 * np.abs(x).max(), 0, x)
        moments = b1 * moments[0] + (1 - b1) * x, b2 * moments[1] + (1 - b2) * x**2
        m_hat, v_hat = moments[0] / (1 - b1 ** (t + 1)), moments[1] / (1 - b2 ** (t + 1))
        steps[t] = p @ (m_hat / (np.sqrt(v_hat) + eps)) @ q.T
    return steps


@pytest.mark.parametrize(
    ("shape", "sides", "rank"),
    # Beyond the rank vectors are arbitrary, so that square matrices alone are compared in full.
    [((4, 6), "shorter", None), ((5, 5), "both", None), ((4, 6), "longer", 3), ((6, 4), "in", 3)],
)
def test_steps_are_those_of_the_loop(shape, sides, rank):
    assert_steps_in_bases(
        lambda: gradpow.chain(in_basis(optax.scale_by_adam(0.9, 0.95), svd_basis(20, sides, rank))),
        lambda theta0, gradients: loop(gradients, 20, sides, rank),
        shape,
        steps=(0, 20, 57) if sides == "longer" else (),
    )


def test_matrices_in_a_stack_are_each_by_itself():
    _, gradients = matrix_problem((3, 2, 4), 4)
    tx = gradpow.chain(in_basis(optax.scale_by_adam(eps=0.1), svd_basis(2, "both")))
    stack = jnp.float32(gradients)
    layers = {str(i): stack[:, i] for i in range(3)}
    together, alone = (updates_of(tx, jax.tree.map(lambda g: g[0], g), g) for g in (stack, layers))
    np.testing.assert_allclose(together, np.stack([*alone.values()], 1), rtol=1e-4, atol=1e-5)


def test_signs_follow_the_old_basis():
    g = jnp.float32(matrix_problem((4, 4), 1)[1][0])
    basis = svd_basis(1, "both")
    first = basis.start(basis.init((4, 4), jnp.float32), g)
    turned = first._replace(p=first.p * jnp.array([-1, 1, -1, 1]), q=-first.q)
    for old in (first, turned):
        new = basis.refresh(old, g + 0.01).state
        for a, b in ((old.p, new.p), (old.q, new.q)):
            assert (jnp.sum(a * b, 0) > 0.9).all()


def test_sizes_do_not_matter_to_a_basis():
    g = jnp.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])  # of rank 1
    gradients = jnp.array([0.0, 1e-30, 1e30, 1.0])[:, None, None] * g
    tx = gradpow.chain(in_basis(optax.identity(), svd_basis(1, "both")))
    for u, x in zip(updates_of(tx, g, gradients), gradients, strict=True):
        np.testing.assert_allclose(u, x, rtol=1e-5, atol=1e-6 * jnp.abs(x).max())


@pytest.mark.parametrize("rank", [0, 1.5, True, jnp.array(2)])
def test_a_rank_is_an_integer(rank):
    with pytest.raises(ValueError, match="rank must be an integer above 0"):
        svd_basis(rank=rank)
