"""Arrays that hypothesis draws. Shapes are fixed and numbers traced, so all compiles once."""

from typing import Any

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import gradpow

SIZE, STEPS = 8, 6
ROUNDING = 1e-6  # of one power, and of a few other operations


def numbers(low: float, high: float) -> Any:
    """Float32 numbers of magnitude low to high, of both signs, and zero."""
    size = fractions(low, high)
    return st.one_of(st.just(0.0), size, size.map(lambda x: -x))


def vectors(elements: Any) -> Any:
    return hnp.arrays(np.float32, SIZE, elements=elements)


def histories(low: float = 1e-3, high: float = 1e3) -> Any:
    return hnp.arrays(np.float32, (STEPS, SIZE), elements=numbers(low, high))


def fractions(low: float, high: float) -> Any:
    return st.floats(np.float32(low).item(), np.float32(high).item(), width=32)


POWERS = fractions(0.3, 3.0)
DECAYS = fractions(0.0, 0.99)


def run(tx: Any, gradients: Any, params: Any = None) -> Any:
    """All updates of a transformation inside a gradpow chain, at constant params."""
    tx = gradpow.chain(tx)
    params = jnp.zeros(SIZE) if params is None else params

    def step(state, g):
        return tx.update(g, state, params)[::-1]

    return jax.lax.scan(step, tx.init(params), gradients)[1]


def assert_descends(steps: Any, gradients: Any) -> None:
    """No step goes against the gradient in any coordinate."""
    steps = np.asarray(steps)
    assert (np.sign(steps) * np.sign(gradients) <= 0).all()
    assert (np.sum(steps.astype(float) * gradients, axis=1) <= 0).all()
