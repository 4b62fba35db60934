"""A sum of quartic functions, of which each step sees one, and a loop that runs on it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradpow

N, STEPS, RATE = 8, 48, 0.125
_rng = np.random.default_rng(0)
THETA = _rng.uniform(-1, 1, (3, 4)).astype(np.float32).astype(np.float64)
_shift = _rng.standard_normal((N, 3, 4)).astype(np.float32).astype(np.float64)
_slope = _rng.uniform(0.5, 1.5, (N, 1, 1)).astype(np.float32).astype(np.float64)
ORDER = _rng.integers(N, size=STEPS)


def gradient(theta: Any, j: Any) -> Any:
    """Of the j-th function."""
    xp = np if isinstance(theta, np.ndarray) else jnp
    shift, slope = xp.asarray(_shift)[j], xp.asarray(_slope)[j]
    return slope * theta + theta**3 / 4 + shift


def full(theta: Any) -> Any:
    return sum(gradient(theta, j) for j in range(N)) / N


def run(tx: Any, every: int | None = None, state_of: Callable[[Any], Any] = lambda s: s) -> Any:
    """What tx emits at each step, in float64; with anchors at every so many steps."""

    def step(carry, given):
        theta, state = carry
        t, j = given

        def anchored(state):
            return gradpow.set_anchor(state, theta, full(theta))

        if every is not None:
            state = jax.lax.cond(t % every == 0, anchored, lambda s: s, state)
        extra = {"grad_fn": lambda x: gradient(x, j), "index": j}
        u, state = tx.update(gradient(theta, j), state, theta, **extra)
        return (theta + u, state), u

    with jax.enable_x64(True):
        theta = jnp.asarray(THETA)
        carry = theta, state_of(tx.init(theta))
        return jax.lax.scan(step, carry, (jnp.arange(STEPS), jnp.asarray(ORDER)))[1]
