"""The basis of Shampoo's factors against its loop: the order, the permutation, the first step."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from gradpow.transforms import in_basis, kronecker_basis, moment_scale
from tests.contract.in_bases import assert_steps_in_bases
from tests.contract.trees import quick_jit


def loop(gradients, every, decay, b, eps, largest=100):
    """Vyas et al.'s Algorithm 3 without its momentum; x is (in, out)."""
    *_, m, n = gradients.shape
    factors = [np.zeros((m, m)), np.zeros((n, n))]
    basis = [np.eye(m), np.eye(n)]
    v = np.zeros((m, n))
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        if t > 0:
            x = basis[0].T @ g @ basis[1]
            v = b * v + (1 - b) * x**2
            y = x / (np.sqrt(v / (1 - b**t)) + eps)
            steps[t] = basis[0] @ y @ basis[1].T
        for i, gram in enumerate((g @ g.T, g.T @ g)):
            factors[i] = decay * factors[i] + (1 - decay) * gram
            if len(gram) > largest:
                continue
            if t == 0:
                basis[i] = np.linalg.eigh(gram)[1][:, ::-1]
            elif t % every == 0:
                order = np.argsort(-np.diag(basis[i].T @ factors[i] @ basis[i]))
                v = v[order] if i == 0 else v[:, order]
                basis[i] = np.linalg.qr(factors[i] @ basis[i][:, order])[0]
    return steps


@pytest.mark.parametrize("largest", [100, 4])
def test_steps_are_those_of_the_loop(largest):
    numbers = {"decay": 0.95, "b": 0.9, "eps": 1e-8}
    basis = kronecker_basis(7, numbers["decay"], largest)
    assert_steps_in_bases(
        lambda: gradpow.chain(in_basis(moment_scale(optax.ema(0.9), eps=1e-8), basis)),
        lambda theta0, gradients: loop(gradients, 7, largest=largest, **numbers),
        (4, 4) if largest > 4 else (4, 5),
        steps=(0, 1, 7, 57) if largest == 4 else (),
    )


def test_a_factor_beyond_float32_stays_as_it_was_and_one_of_0_has_a_basis():
    basis = kronecker_basis()
    g = jnp.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert basis.observe is not None
    observe = basis.observe

    @quick_jit
    def run(g):
        state = basis.init((2, 3), jnp.float32)
        known = observe(state, g)
        started = basis.start(known, 1e30 * g)
        return known, observe(known, 1e30 * g), started, basis.refresh(state, g).state

    known, after, started, refreshed = run(g)
    for factor, other in ((known.l, after.l), (known.r, after.r)):
        np.testing.assert_array_equal(factor, other)
    for p in (started.p, refreshed.p):
        np.testing.assert_allclose(p.T @ p, np.eye(2), atol=1e-6)
