"""A matrix's root mean square against the formula."""

import jax
import jax.numpy as jnp
import numpy as np

from gradpow.transforms import set_rms
from tests.contract.case import Case

CASE = Case(set_rms, {"target": 0.2, "eps": 0.1})


def test_each_matrix_gets_the_target():
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    for eps in (0.0, 0.5):
        updates = set_rms(0.3, eps).update(jnp.asarray(x), ())[0]
        for matrix, found in zip(x.astype(np.float64), updates, strict=True):
            expected = 0.3 * np.sqrt(20) * matrix / (np.sqrt(np.sum(matrix**2)) + eps)
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_norms_of_any_size_and_zeros_are_borne():
    x = jnp.array([[3.0, -4.0], [0.0, 0.0]])
    tx = set_rms(0.5)
    expected = tx.update(x, ())[0]
    for size in (1e-30, 1e30):
        np.testing.assert_allclose(tx.update(size * x, ())[0], expected, rtol=1e-6)
    assert not tx.update(0 * x, ())[0].any()
    slope = jax.grad(lambda x: tx.update(x, ())[0].sum())(0 * x)
    assert jnp.isfinite(slope).all()


def test_other_leaves_are_left_alone():
    tx = set_rms(0.5, matrices=lambda path, x: x.ndim == 2)
    updates, _ = tx.update({"w": jnp.ones((2, 2)), "b": jnp.ones(3)}, ())
    np.testing.assert_allclose(updates["w"], 0.5, rtol=1e-6)
    assert updates["b"].sum() == 3
