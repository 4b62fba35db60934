"""The recursion of STORM and SARAH against its loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from gradpow.transforms import recursive_momentum
from tests.contract.case import Case, reference_gradients
from tests.contract.exact import assert_same_steps, make_problem

CASE = Case(recursive_momentum, {"a": 0.3}, arguments=reference_gradients, largest=2e4)


def loop(gradients, references, a):
    """Cutkosky and Orabona (2019), Algorithm 1, lines 2 and 7."""
    d, estimates = gradients[0], [gradients[0]]
    for t in range(1, len(gradients)):
        d = gradients[t] + (1 - a(t)) * (d - references[t])
        estimates.append(d)
    return np.array(estimates)


@pytest.mark.parametrize("a", [0.25, lambda t: 1 / (t + 1)], ids=["constant", "scheduled"])
def test_estimates_are_those_of_the_loop(a):
    _, gradients = make_problem(0, 50, (3, 4))
    _, references = make_problem(1, 50, (3, 4))
    tx = recursive_momentum(a)

    def step(state, given):
        g, r = given
        u, state = tx.update(g, state, reference_grad=r)
        return state, u

    start = tx.init(jnp.zeros((3, 4)))
    _, found = jax.lax.scan(step, start, (jnp.float32(gradients), jnp.float32(references)))
    expected = loop(gradients, references, a if callable(a) else lambda t: a)
    # Differences of gradients that dwarf a coordinate's estimate have their rounding.
    assert_same_steps(found, expected, 1e-5, 1e-6 * np.abs(gradients).max(0))


def test_an_anchor_is_the_estimate_from_which_it_goes_on():
    tx, g, mu = recursive_momentum(0.0), jnp.array([2.0]), jnp.array([5.0])
    state = gradpow.set_anchor(tx.init(g), None, mu)
    u, _ = tx.update(g, state, reference_grad=g)
    np.testing.assert_array_equal(u, mu)
