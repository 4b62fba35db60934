"""Momentum of low rank against its loop; its start, and what 0 and sizes do to it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import low_rank_momentum
from tests.contract.case import Case
from tests.contract.exact import updates_of
from tests.contract.in_bases import assert_steps_in_bases, matrix_problem


def of_rank_one(b: Scalar, eps: Scalar) -> optax.GradientTransformation:
    return low_rank_momentum(1, b, eps, seed=1)


# P is decomposed across devices. The first Q of seed 0 is nearly orthogonal to the largest vector
# of a problem of the contract, which multiplies rounding by 100.
CASE = Case(of_rank_one, {"b": 0.8, "eps": 0.1}, sharded=1e-4)


def loop(gradients, q, b, eps):
    """Ahn et al.'s Algorithm 1 in its own layout, (out, in), with the first Q given."""
    m = np.zeros(gradients.shape[:0:-1])
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        big = m + g.T
        p, _ = np.linalg.qr(big @ q)
        r = big.T @ p
        m = big - (1 - b) * p @ r.T
        q = r / (np.linalg.norm(r, axis=0) + eps)
        steps[t] = (p @ q.T).T
    return steps


@pytest.mark.parametrize(("shape", "rank"), [((4, 6), 2), ((5, 3), 9)])
def test_steps_are_those_of_the_loop(shape, rank):
    tx = gradpow.chain(low_rank_momentum(rank, 0.9, 1e-3))
    with jax.enable_x64(True):
        (state,) = tx.init(jnp.zeros(shape))
    assert state.q.shape == (shape[0], min(rank, *shape))
    assert_steps_in_bases(
        lambda: tx,
        lambda theta0, gradients: loop(gradients, np.asarray(state.q), 0.9, 1e-3),
        shape,
        steps=(0, 1, 57) if rank == 2 else (),
    )


def test_the_first_q_is_normal_and_the_same_in_a_stack_and_alone():
    params = {"a": jnp.zeros((2, 64, 64)), "b": jnp.zeros((64, 64))}
    q = low_rank_momentum(32).init(params).q
    assert abs(q["b"].mean()) < 0.1 and abs(q["b"].std() - 1) < 0.1
    assert np.unique(q["b"]).size > 0.99 * q["b"].size  # float32 has few enough to meet
    np.testing.assert_array_equal(q["a"], np.stack([q["b"], q["b"]]))
    assert not np.any(low_rank_momentum(32, seed=1).init(params).q["b"] == q["b"])


def test_it_starts_again_after_zeros_and_bears_any_size():
    g = jnp.float32(matrix_problem((3, 4), 1)[1][0])
    sizes = jnp.array([0.0, 0.0, 1.0, 1e-30, 1e30, -1e30, 0.0])
    tx = gradpow.chain(low_rank_momentum(2, 0.0, eps=0.0))
    updates = updates_of(tx, g, sizes[:, None, None] * g)
    assert not updates[:2].any()
    assert np.isfinite(updates).all()
    singular = np.linalg.svd(updates, compute_uv=False)
    # Nearly orthonormal, since P and Q are, and Q's columns are near to orthogonal.
    assert (singular[[2, 4], 0] > 0.9).all() and (singular < 2).all()


def test_at_full_rank_it_tends_to_the_polar_factor_of_the_momentum():
    g = matrix_problem((4, 4), 1)[1][0]
    gradients = np.tile(g, (300, 1, 1))
    tx = gradpow.chain(low_rank_momentum(4, 0.0, eps=0.0))
    with jax.enable_x64(True):
        last = updates_of(tx, jnp.zeros((4, 4), jnp.float64), jnp.asarray(gradients))[-1]
    u, _, vt = np.linalg.svd(g)
    np.testing.assert_allclose(last, u @ vt, atol=1e-6)
