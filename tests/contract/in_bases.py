"""Methods with a basis against their loops: DESIGN's 200 steps in float64, single ones in float32.

A basis is a jump of what it is made of: where two singular values meet, vectors turn by more than
rounding. So gradients here have singular values of their own, in float64 all steps are compared,
and in float32 each of some steps from the state that float64 has before it, where a float32 run of
its own would lead elsewhere after a refresh.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.contract.trees import quick_jit

STEPS = 200


def matrix_problem(shape: tuple[int, ...], steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and gradients of matrices whose rows, and columns, differ in size."""
    rng = np.random.default_rng(sum(shape))
    *_, m, n = shape
    sizes = np.geomspace(1, 8, m)[:, None] * np.geomspace(1, 3, n)
    mean = rng.standard_normal(shape)
    gradients = sizes * (0.5 * mean + rng.standard_normal((steps, *shape)))
    theta0 = rng.choice([-1.0, 1.0], shape) * rng.uniform(0.1, 1.0, shape)
    return theta0, gradients


def assert_steps_in_bases(
    tx: Callable[[], optax.GradientTransformation],
    loop: Callable[[np.ndarray, np.ndarray], np.ndarray],
    shape: tuple[int, ...],
    *,
    float64: float = 5e-11,
    float32: float = 5e-5,
    steps: tuple[int, ...] = (0, 1, 2, 3, 10, 57, 120, 199),
) -> None:
    """The optimizer takes the loop's steps on matrices (in, out).

    Args:
      tx: makes the optimizer.
      loop: from parameters and gradients to steps.
      shape: of the matrices, with batch axes before.
      float64, float32: errors allowed, of each coordinate's RMS over all steps. Rounding in a basis
        is divided by the gaps between singular values, and grows from refresh to refresh.
      steps: those that are taken in float32.
    """
    theta0, gradients = matrix_problem(shape)
    expected = loop(theta0, gradients)
    scale = np.sqrt(np.mean(expected**2, axis=0))
    with jax.enable_x64(True):
        states, taken = jax.device_get(_run(tx(), jnp.asarray(theta0), jnp.asarray(gradients)))
    assert taken.dtype == np.float64
    error = np.max(np.abs(taken - expected) / scale)
    assert error <= float64, f"{error:.1e} of the scale in float64"
    update = quick_jit(tx().update)
    for t in steps:
        params, state = jax.tree.map(lambda x, t=t: _narrow(x[t]), states)
        u, _ = update(_narrow(gradients[t]), state, params)
        assert u.dtype == jnp.float32
        error = np.max(np.abs(u - expected[t]) / scale)
        assert error <= float32, f"{error:.1e} of the scale in float32 at step {t}"


def _run(tx: optax.GradientTransformation, params: Any, grads: Any) -> Any:
    """Parameters and states before each step, and the steps."""

    def step(carry, grad):
        params, state = carry
        updates, new = tx.update(grad, state, params)
        return (optax.apply_updates(params, updates), new), (carry, updates)

    @quick_jit
    def run(params, grads):
        return jax.lax.scan(step, (params, tx.init(params)), grads)[1]

    return run(params, grads)


def _narrow(x: Any) -> jax.Array:
    return jnp.asarray(x, jnp.float32 if np.issubdtype(x.dtype, np.floating) else x.dtype)
