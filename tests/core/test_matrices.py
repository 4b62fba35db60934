"""Functions of symmetric matrices, and their slopes where eigenvalues coincide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradpow.core import coupled_newton, inverse_power, matrix_function
from tests.contract.trees import quick_jit


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def symmetric(seed, n=5):
    x = np.random.default_rng(seed).standard_normal((n, n))
    return jnp.asarray(x + x.T)


def test_a_polynomial_of_the_eigenvalues_is_that_of_the_matrix():
    a = symmetric(0)
    cubic = matrix_function(lambda w, c: w**3 - c * w, a, 2.0)
    np.testing.assert_allclose(cubic, a @ a @ a - 2 * a, atol=1e-12)


MATRICES = {
    "simple": lambda: symmetric(1),
    "one eigenvalue": lambda: jnp.eye(5),
    "rank 1": lambda: jnp.outer(jnp.arange(5.0), jnp.arange(5.0)),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_its_slopes_are_those_of_the_polynomial_also_where_eigenvalues_coincide(kind):
    a, weights = MATRICES[kind](), symmetric(2)

    def loss(matrix_cubic, a, c):
        return jnp.sum(weights * matrix_cubic(a, c))

    by_eigenvalues = jax.grad(loss, argnums=(1, 2))(
        lambda a, c: matrix_function(lambda w, c: w**3 - c * w, a, c), a, 2.0
    )
    expected = jax.grad(loss, argnums=(1, 2))(lambda a, c: a @ a @ a - c * a, a, 2.0)
    for actual, wanted in zip(by_eigenvalues, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-10 * np.max(np.abs(wanted)))


def test_it_may_be_empty_and_swept():
    assert matrix_function(jnp.sqrt, jnp.zeros((0, 0))).shape == (0, 0)
    stack = jnp.stack([jnp.eye(2), 4 * jnp.eye(2)])
    np.testing.assert_allclose(
        jax.vmap(lambda a: matrix_function(jnp.sqrt, a))(stack)[:, 0, 0], [1, 2]
    )


def test_a_stack_is_its_matrices_and_so_are_its_slopes():
    stack = jnp.stack([symmetric(seed) for seed in range(6)]).reshape(2, 3, 5, 5)

    def cubic(a):
        return matrix_function(lambda w: w**3, a)

    np.testing.assert_allclose(cubic(stack), stack @ stack @ stack, atol=1e-11)
    slopes = quick_jit(jax.grad(lambda a, weights: jnp.sum(cubic(a) * weights)))
    alone, slopes = slopes(stack[1, 2], stack[1, 2]), slopes(stack, stack)
    np.testing.assert_allclose(slopes[1, 2], alone, atol=1e-11)


def positive(seed, rank, n=6, scale=1.0):
    x = np.random.default_rng(seed).standard_normal((n, rank))
    return scale * x @ x.T


def in_float64(a, root, eps):
    w, q = np.linalg.eigh(a)
    return (q * (np.maximum(w, 0) + eps) ** (-1 / root)) @ q.T


@pytest.mark.parametrize("root", [1, 2, 4])
def test_newton_s_iteration_and_eigenvalues_give_the_same_root(root):
    stack = np.stack([positive(seed, 9, scale=10.0 ** (9 * seed - 18)) for seed in range(5)])
    expected = np.stack([in_float64(a, root, 0) for a in stack])
    size = np.abs(expected).max((1, 2), keepdims=True)
    both = quick_jit(lambda a: (inverse_power(a, 1 / root), coupled_newton(a, root)))
    for inverse in both(stack):
        # Rounding is divided by the smallest eigenvalue, here 1e-3 of the largest.
        np.testing.assert_allclose(inverse / size, expected / size, atol=1e-11)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_in_float32_newton_s_root_of_a_matrix_acts_as_the_true_one_at_any_rank(rank):
    """Of what rounding leaves of a singular matrix the iteration still converges to a root."""
    x = np.random.default_rng(rank).standard_normal((24, rank)).astype(np.float32)
    a = jnp.asarray(x @ x.T)
    ridge = 16 * np.finfo(np.float32).eps * float(jnp.trace(a))
    both = quick_jit(lambda a: [coupled_newton(a, root) for root in (2, 4)])
    for root, inverse in zip((2, 4), both(a + ridge * jnp.eye(24, dtype=np.float32)), strict=True):
        expected = in_float64(np.float64(x) @ np.float64(x).T, root, ridge) @ x
        # The product is of float32 and an inverse whose condition is (1 / 2e-6)^(1/root).
        tolerance = 24 * np.finfo(np.float32).eps * (24 / 2e-6) ** (1 / root)
        np.testing.assert_allclose(inverse @ x, expected, atol=tolerance * np.abs(expected).max())


def test_what_has_no_inverse_has_0():
    zeros, infinite = np.zeros((2, 2), np.float32), np.full((2, 2), np.inf, np.float32)
    stack = jnp.stack([zeros, infinite, np.eye(2, dtype=np.float32)])
    both = quick_jit(lambda a, power: (inverse_power(a, power), inverse_power(a, 0.5)))
    for inverse in both(stack, jnp.float32(0.5)):
        np.testing.assert_allclose(inverse, [0 * zeros, 0 * zeros, np.eye(2)], atol=1e-6)
    np.testing.assert_array_equal(coupled_newton(jnp.asarray(zeros), 2), zeros)
    np.testing.assert_allclose(inverse_power(jnp.asarray(zeros), 0.5, 0.25), 2 * np.eye(2))
    assert inverse_power(jnp.zeros((2, 0, 0)), 0.5).shape == (2, 0, 0)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_roots_of_matrices_at_the_ends_of_float32_are_those_of_their_scale(scale):
    a = positive(0, 9, n=4)
    expected = in_float64(a, 4, 0)
    scaled = jnp.asarray(a * scale, jnp.float32)
    for inverse in quick_jit(lambda a: (inverse_power(a, 0.25), coupled_newton(a, 4)))(scaled):
        # Some roundings by the condition of the root.
        np.testing.assert_allclose(inverse * scale**0.25, expected, rtol=1e-4, atol=1e-5)


def test_the_slopes_of_a_root_are_those_of_the_power_traced_or_not():
    a, weights = jnp.asarray(positive(0, 9)), symmetric(1, 6)

    def loss(a, eps, power=0.25):
        return jnp.sum(weights * inverse_power(a, power, eps))

    slopes = quick_jit(jax.grad(loss, argnums=(0, 1)))
    by_root, by_power = slopes(a, 0.5), slopes(a, 0.5, jnp.asarray(0.25))
    for actual, expected in zip(by_root, by_power, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)
    slope = (loss(a, 0.5 + 1e-6) - loss(a, 0.5 - 1e-6)) / 2e-6
    np.testing.assert_allclose(by_root[1], slope, rtol=1e-6)  # of a central difference


def test_a_platform_compiles_only_its_own_way():
    a = jnp.zeros((3, 8, 8), jnp.float32)

    def program(platform, power=0.25):
        traced = jax.jit(lambda a: inverse_power(a, power)).trace(a)
        return traced.lower(lowering_platforms=(platform,)).as_text().lower()

    assert "syevd" in program("cpu") and "while" not in program("cpu")
    assert "eigh" not in program("tpu") and "while" in program("tpu")
    assert "eigh" in program("tpu", power=0.3)
