"""Small trees of parameters and gradients, and how two trees are compared."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.contract.compiler import USUAL

# Without LLVM's optimisations, which take a quarter of the time that small programs compile.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
# As users compile, where rounding is what a test is about.
usual_jit = functools.partial(jax.jit, compiler_options=USUAL)


def parameters(dtype: Any = jnp.float32) -> dict[str, Any]:
    """A small tree: a matrix, a vector, a scalar."""
    return {
        "matrix": jnp.linspace(-1.0, 1.0, 12, dtype=dtype).reshape(3, 4),
        "vector": jnp.array([0.5, -0.25, 1.0, 2.0, -1.5], dtype),
        "scalar": jnp.array(0.75, dtype),
    }


def matrix() -> dict[str, jax.Array]:
    """The smallest tree that every case takes: one leaf, which Muon treats as hidden."""
    return {"matrix": parameters()["matrix"]}


def normal(shapes: Any, seed: int, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
    """Normal numbers in arrays of these shapes."""
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.standard_normal(shape), dtype) for name, shape in shapes.items()}


def gradients(params: Any, steps: int, seed: int = 0) -> Any:
    """Normal gradients for some steps: like params, with a first axis for the steps."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=(steps, *jnp.shape(x))), x.dtype), params
    )


def at_step(grads: Any, i: int) -> Any:
    return jax.tree.map(lambda g: g[i], grads)


def as_arrays(numbers: Any) -> Any:
    return jax.tree.map(jnp.float32, dict(numbers))


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    """Leaves differ by at most tolerance times the largest number of the expected leaf."""

    def check(actual, expected):
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        assert np.isfinite(expected).all()
        scale = np.max(np.abs(expected), initial=0)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)

    jax.tree.map(check, actual, expected)


def assert_same_bits(actual: Any, expected: Any) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def all_finite(tree: Any) -> jax.Array:
    """Whether every inexact leaf is finite everywhere."""
    return jnp.array([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]).all()


def differ(updates: Any, others: Any) -> bool:
    """Whether two trees differ somewhere by more than rounding."""
    differences = jax.tree.map(
        lambda a, b: jnp.abs(a - b).max() > 1e-3 * jnp.abs(b).max(), updates, others
    )
    return any(jax.tree.leaves(differences))
