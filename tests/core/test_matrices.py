"""Functions of symmetric matrices, and their slopes where eigenvalues coincide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradpow.core import matrix_function


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
