"""That two optimizers are the same, on two tensors, so that a normaliser over a tree would show.

Both sides of an identity are a few float32 operations that the compiler may fuse differently, so
they agree to some roundings of their coordinate's RMS update: ROUNDING, measured below 1e-6.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.contract.exact import assert_same_steps, make_problem, updates_of

ROUNDING = 5e-6
STEPS = 50
MASK = {"matrix": True, "vector": False}


def rate(count):
    return 0.02 * (1 - count / 100)


def _two_leaves() -> Any:
    problems = {
        "matrix": make_problem(0, STEPS, (3, 7)),
        "vector": make_problem(1, STEPS, (9,)),
    }
    return tuple({leaf: jnp.float32(pair[i]) for leaf, pair in problems.items()} for i in (0, 1))


PARAMS, GRADIENTS = _two_leaves()


def updates_on_two_leaves(tx: optax.GradientTransformation) -> Any:
    return updates_of(tx, PARAMS, GRADIENTS)


def assert_same(tx: optax.GradientTransformation, other: optax.GradientTransformation) -> None:
    expected = updates_on_two_leaves(other)
    assert_same_steps(updates_on_two_leaves(tx), expected, ROUNDING)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(expected))


def masked_by_hand(keeps: Any) -> Any:
    """Algorithm 1 of Cautious on the updates u of a whole run, from the base's own u and g."""

    def mask(u, g):
        kept = keeps(np.sign(-u) * np.sign(g))
        axes = tuple(range(1, u.ndim))
        return u * kept / np.maximum(np.mean(kept, axis=axes, keepdims=True), 1e-3)

    return mask
