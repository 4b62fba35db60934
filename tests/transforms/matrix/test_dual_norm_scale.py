"""A direction with its length against the norms it comes of."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import dual_norm_scale, orthogonalize
from tests.contract.case import Case
from tests.contract.exact import updates_of


def averaged(b: Scalar) -> optax.GradientTransformation:
    return dual_norm_scale(optax.scale_by_sign(), optax.ema(b, debias=False))


CASE = Case(averaged, {"b": 0.9}, largest=1e36)  # their sum leaves the type of larger ones


def test_the_length_is_the_dual_norm():
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    nuclear = np.linalg.svd(x, compute_uv=False).sum(-1)
    tx = dual_norm_scale(orthogonalize("svd", 0.0))
    u, _ = tx.update(jnp.float32(x), tx.init(jnp.float32(x)))
    spectral = np.linalg.svd(u, compute_uv=False)
    np.testing.assert_allclose(spectral, np.broadcast_to(nuclear[:, None], (3, 4)), rtol=1e-5)
    signs = dual_norm_scale(optax.scale_by_sign())
    u, _ = signs.update(jnp.float32(x), signs.init(jnp.float32(x)))
    expected = np.abs(x).sum((-2, -1), keepdims=True) * np.sign(x)
    np.testing.assert_allclose(u, expected, rtol=1e-5)


def test_after_averages_directions_and_not_lengths():
    grads = np.random.default_rng(0).standard_normal((6, 2, 3))
    tx = dual_norm_scale(optax.scale_by_sign(), optax.ema(0.7, debias=False))
    updates = updates_of(gradpow.chain(tx), jnp.zeros((2, 3)), jnp.float32(grads))
    m = np.zeros((2, 3))
    for g, u in zip(grads, updates, strict=True):
        m = 0.7 * m + 0.3 * np.sign(g)
        np.testing.assert_allclose(u, np.abs(g).sum() * m, rtol=1e-5)


def test_what_is_no_transformation_is_refused_by_its_name():
    with pytest.raises(TypeError, match="dual_norm_scale's direction"):
        dual_norm_scale(jnp.sign)  # pyright: ignore[reportArgumentType]
