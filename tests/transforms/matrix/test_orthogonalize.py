"""Orthogonalization against its loop, the SVD and optax's iteration."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.transforms import CUBIC, NS5, Polynomials, orthogonalize, polar_express
from tests.contract.case import Case
from tests.contract.trees import quick_jit

# An eps that is felt: NS5 does not converge, so it makes something else of smaller numbers.
CASE = Case(orthogonalize, {"eps": 0.1}, sharded=1e-4)  # sums in another order, amplified


def by_svd() -> optax.GradientTransformation:
    return orthogonalize("svd", 0.0)


CASES = {"orthogonalize_svd": Case(by_svd, sharded=1e-4)}
COEFFICIENTS = 5 * [(3.4445, -4.7750, 2.0315)]
SHAPES = [(4, 6), (6, 4), (1, 7)]


def orthogonal_factor(x, coefficients=COEFFICIENTS, eps=1e-7, start=1.0):
    """Jordan et al. (2024): zeropower_via_newtonschulz5 of muon.py, in float64."""
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    x = x / (start * np.sqrt(np.sum(x**2)) + eps)
    for a, b, c in coefficients:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if turned else x


def polar(x):
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return u @ vt


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def factor(x, *args, dtype=np.float64):
    with jax.enable_x64(dtype is np.float64):
        return np.asarray(quick_jit(lambda x: orthogonalize(*args).update(x, ())[0])(dtype(x)))


EXPRESS = [  # as printed, Amsel et al. (2025), listing of Section 4
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_factor_is_that_of_the_loop(shape):
    x = normal(*shape)
    safe = [(a / 1.01, b / 1.01**3, c / 1.01**5) for a, b, c in EXPRESS]
    for iteration, expected in (
        (NS5, orthogonal_factor(x, eps=0.1)),
        (polar_express(5), orthogonal_factor(x, safe, 0.1, 1.01)),
    ):
        np.testing.assert_allclose(factor(x, iteration, 0.1), expected, atol=1e-13)
        # Rounding is amplified by the product of the steps' slopes at 0, 480 and 1000, at most.
        single = factor(x, iteration, 0.1, dtype=np.float32)
        np.testing.assert_allclose(single, expected, atol=3e-5)


@pytest.mark.parametrize("shape", [(4, 6), (5, 5), (7, 1)])
def test_what_converges_finds_the_polar_factor(shape):
    """Twelve steps of Polar Express, forty cubic ones, and the SVD itself."""
    x = normal(*shape)
    for iteration in (polar_express(12), CUBIC, "svd"):
        np.testing.assert_allclose(factor(x, iteration, 0.0), polar(x), atol=1e-13)


def test_eight_steps_of_polar_express_are_exact_to_a_thousandth_of_the_norm():
    u, v = polar(normal(6, 6)), polar(normal(6, 6, seed=1))
    x = u @ np.diag([1.0, 0.5, 0.1, 0.01, 0.003, 0.0015]) @ v
    np.testing.assert_allclose(factor(x, polar_express(8), 0.0), u @ v, atol=1e-6)


def test_optax_has_the_same_iteration():
    x = normal(4, 6)
    with jax.enable_x64(True):
        expected = optax.contrib._muon.orthogonalize_via_newton_schulz(
            jnp.asarray(x), jnp.asarray(COEFFICIENTS[0]), eps=1e-7
        )
    np.testing.assert_allclose(factor(x, NS5, 1e-7), expected, atol=1e-13)


def test_each_matrix_of_a_stack_is_taken_alone_and_transposes_with_its_factor():
    x = jnp.float32(normal(3, 4, 6))
    together = orthogonalize().update(x, ())[0]
    for one, of_stack in zip(x, together, strict=True):
        np.testing.assert_allclose(orthogonalize().update(one, ())[0], of_stack, atol=1e-5)
    turned = orthogonalize().update(x.mT, ())[0]
    np.testing.assert_allclose(turned.mT, together, atol=1e-5)


def test_axes_say_what_is_one_matrix():
    x = normal(6, 2, 4)
    axes = MuonDimensionNumbers(0, (1, 2))
    joined = factor(x, NS5, 1e-7, lambda path, leaf: axes)
    np.testing.assert_allclose(joined.reshape(6, 8), orthogonal_factor(x.reshape(6, 8)), atol=1e-13)
    untouched = factor(x, NS5, 1e-7, lambda path, leaf: None)
    np.testing.assert_array_equal(untouched, x)


ROW = np.outer([1.0, -2.0, 0.5], [1.0, 0.0, 3.0, -1.0])


@pytest.mark.parametrize("iteration", [NS5, polar_express(8), "svd"])
def test_norms_of_any_size_ranks_and_zeros_are_borne(iteration):
    tx = orthogonalize(iteration, 0.0)
    x = normal(3, 4)
    stack = jnp.float32([x, 1e-30 * x, 1e30 * x, 0 * x, ROW])
    factors, slope = quick_jit(lambda x: jax.vjp(lambda x: tx.update(x, ())[0], x))(stack)
    for found in factors[1:3]:
        np.testing.assert_allclose(found, factors[0], atol=1e-4)
    assert not factors[3].any()
    np.testing.assert_allclose(factors[4], factors[4].max() * ROW / ROW.max(), atol=1e-4)
    # Of the tiny ones slopes are as large as the factor changes fast, 1e30.
    (slopes,) = quick_jit(slope)(jnp.ones_like(stack))
    assert jnp.isfinite(slopes).all()
    assert tx.update(jnp.zeros((0, 4)), ())[0].shape == (0, 4)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5)])
def test_the_slope_of_the_svds_factor_is_that_of_one_that_converges(shape):
    converging = Polynomials(12 * ((1.5, -0.5, 0.0),))
    with jax.enable_x64(True):
        x = jnp.eye(*shape)  # where singular values coincide
        dx = jnp.asarray(normal(*shape))

        @quick_jit
        def slopes(x, dx):
            return [
                jax.jvp(lambda x, i=i: orthogonalize(i, 0.0).update(x, ())[0], (x,), (dx,))[1]
                for i in ("svd", converging)
            ]

        np.testing.assert_allclose(*slopes(x, dx), atol=1e-12)


def test_another_iteration_is_polynomials():
    with pytest.raises(ValueError, match='Polynomials or "svd", not'):
        orthogonalize("ns5")  # pyright: ignore[reportArgumentType]
    none = orthogonalize(Polynomials(()), 0.0)
    np.testing.assert_allclose(none.update(jnp.array([[3.0, 4.0]]), ())[0], [[0.6, 0.8]], rtol=1e-6)


def test_in_a_chain_float16_gradients_are_borne():
    tx = gradpow.chain(orthogonalize(eps=0.0))
    g = jnp.array([[6e4, -6e4], [6e-8, 6e4]], jnp.float16)
    u, _ = tx.update(g, tx.init(g))
    assert u.dtype == jnp.float16 and jnp.isfinite(u).all()
    np.testing.assert_allclose(u, orthogonal_factor(np.float64(g)), atol=1e-3)
