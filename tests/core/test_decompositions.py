"""Orthonormal columns by both ways: of any size and rank, and the same where they are unique."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradpow.core import orthonormal, singular_vectors
from gradpow.core.decompositions import _cholesky, _householder
from tests.contract.trees import quick_jit

X = np.random.default_rng(0).standard_normal((3, 6, 4)).astype(np.float32)
MATRICES = {
    "dense": X,
    "of a wide spectrum": X * np.geomspace(1, 1e-9, 4, dtype=np.float32),
    "tiny": 1e-30 * X,
    "huge": 1e37 * X,
    "square": X[:, :4],
}
DEFICIENT = {
    "zero": 0 * X,
    "of rank 1": X[..., :1] * np.ones(4, np.float32),
    "one zero column": X * np.array([1, 0, 1, 1], np.float32),
    "one row": X[:, :1, :1],
}


@quick_jit
def by_householder(x):
    return _householder(x)


@quick_jit
def by_cholesky(x):
    return _cholesky(x)


def error(q):
    return np.abs(q.mT @ q - np.eye(q.shape[-1])).max()


@pytest.mark.parametrize("name", MATRICES)
def test_columns_are_orthonormal_and_both_ways_agree(name):
    x = MATRICES[name]
    q = np.asarray(orthonormal(jnp.asarray(x)))
    assert error(q) < 2e-6
    r = np.linalg.qr(x.astype(np.float64))
    expected = r.Q * np.sign(np.diagonal(r.R, axis1=-2, axis2=-1))[..., None, :]
    np.testing.assert_allclose(q, expected, atol=5e-6)
    unit = x / np.abs(x).max(-2, keepdims=True)
    np.testing.assert_allclose(by_cholesky(unit), expected, atol=5e-6)


@pytest.mark.parametrize("name", DEFICIENT)
def test_what_has_lost_rank_is_completed(name):
    x = DEFICIENT[name]
    for q in (orthonormal(jnp.asarray(x)), by_cholesky(x)):
        assert error(np.asarray(q)) < 2e-6
    np.testing.assert_array_equal(by_cholesky(x), by_householder(x))


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_vectors_beyond_the_rank_complete_those_of_the_matrix(scale):
    x = X[..., :2].astype(np.float64)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    with jax.enable_x64(True):
        left, right = jax.device_get(singular_vectors(jnp.asarray(scale * x), 6, 2))
    assert error(left) < 1e-14
    # Both in step, with one sign.
    np.testing.assert_allclose(left[..., :2] * s[:, None] @ right.mT, x, atol=1e-13)
    np.testing.assert_allclose(np.abs(left[..., :2]), np.abs(u), atol=1e-13)
    np.testing.assert_allclose(np.abs(right.mT), np.abs(vt), atol=1e-13)


def test_a_null_space_does_not_depend_on_rounding():
    x = X[..., :1] * np.array([1, -2, 3, 0.5], np.float32)  # of rank 1
    noise = 1e-7 * np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    one, other = (singular_vectors(jnp.asarray(y), 6, 4) for y in (x, x * (1 + noise)))
    for u, v in zip(one, other, strict=True):
        assert error(np.asarray(u)) < 2e-6
        signs = np.sign(np.sum(u * v, -2, keepdims=True))
        np.testing.assert_allclose(u, v * signs, atol=1e-5)
    zero, _ = singular_vectors(jnp.zeros((6, 4)), 6, None)
    np.testing.assert_array_equal(np.abs(zero), np.eye(6))


def test_for_derivatives_both_are_constants():
    def f(x):
        u, v = singular_vectors(x, 2, 2)
        return (orthonormal(x) * X).sum() + (u * X[..., :2]).sum() + (v**3).sum()

    assert not jax.grad(f)(jnp.zeros_like(X)).any()


def test_tpus_take_choleskys_way():
    lowered = jax.jit(orthonormal).trace(jnp.asarray(X)).lower(lowering_platforms=("tpu",))
    assert "cholesky" in lowered.as_text()
    assert "cholesky" not in jax.jit(orthonormal).lower(jnp.asarray(X)).as_text()
