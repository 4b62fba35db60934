"""Preconditioning by axes against its loop, and what stacks, refreshes and corners do to it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.core import Scalar
from gradpow.transforms import gram_precondition, kronecker_precondition
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, make_problem, updates_of
from tests.contract.trees import quick_jit


def by_average(
    b: Scalar,
    power: Scalar,
    eps: Scalar,
    relative: bool = False,
    sides: Any = "both",
    combine: Any = "product",
    every: int = 1,
) -> optax.GradientTransformation:
    average = optax.ema(b, debias=False)
    return kronecker_precondition(average, power, eps, relative, sides, combine, every)


NUMBERS = {"b": 0.9, "power": 0.25, "eps": 0.1}
# Rounding of the squares is divided by the smallest eigenvalue, about 0.1.
CASE = Case(by_average, NUMBERS, other={"every": 2}, sharded=1e-4)
CASES = {
    "kronecker_precondition_mean": Case(
        by_average, NUMBERS, other={"combine": "mean", "relative": True}, sharded=1e-4
    ),
    "kronecker_precondition_shorter": Case(
        by_average, NUMBERS, other={"sides": "shorter"}, sharded=1e-4
    ),
}


def inverse(s, power, eps, relative):
    ridge = eps * np.trace(s) / len(s) if relative else eps
    w, q = np.linalg.eigh(s + ridge * np.eye(len(s)))
    return (q * w**-power) @ q.T


def loop(gradients, b, power, eps, relative=False, sides="both", combine="product", every=1):
    """Of one matrix: Algorithm 1 of Shampoo, or of CASPR, with averages in the place of sums."""
    if sides == "shorter":
        sides = "inputs" if gradients.shape[1] <= gradients.shape[2] else "outputs"
    left, right = 0.0, 0.0
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        left = b * left + (1 - b) * g @ g.T
        right = b * right + (1 - b) * g.T @ g
        if t % every == 0:
            a, c = (inverse(s, power, eps, relative) for s in (left, right))
        if sides == "inputs":
            steps[t] = a @ g
        elif sides == "outputs":
            steps[t] = g @ c
        elif combine == "product":
            steps[t] = a @ g @ c
        else:
            j = (a @ g + g @ c) / 2
            steps[t] = (a @ j + j @ c) / 2
    return steps


SETTINGS = {
    "shampoo": {"every": 3},
    "caspr": {"relative": True, "combine": "mean"},
    "asgo": {"power": 0.5, "sides": "shorter"},
    "outputs": {"power": 0.7, "sides": "outputs"},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_steps_are_those_of_the_loop_for_each_matrix_of_a_stack(changes, dtype):
    numbers = {"b": 0.875, "power": 0.25, "eps": 0.25, **changes}
    problems = {"wide": (2, 3, 4), "tall": (5, 3)}
    gradients = {name: make_problem(0, 30, shape)[1] for name, shape in problems.items()}
    gradients = {name: np.clip(g, -2, 2) for name, g in gradients.items()}
    with jax.enable_x64(dtype is np.float64):
        given = jax.tree.map(lambda g: jnp.asarray(g, dtype), gradients)
        params = jax.tree.map(lambda g: g[0], given)
        updates = updates_of(gradpow.chain(by_average(**numbers)), params, given)
    expected = {
        "wide": np.stack([loop(gradients["wide"][:, i], **numbers) for i in (0, 1)], 1),
        "tall": loop(gradients["tall"], **numbers),
    }
    # Of the matrix's steps, since a row that is 0 gets a share of the others.
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    for name, u in expected.items():
        assert_same_steps(updates[name], u, 0, tolerance * np.sqrt(np.mean(u**2)))


def test_of_inputs_alone_it_is_the_preconditioning_by_gram_matrices():
    _, gradients = make_problem(0, 20, (3, 4))
    gradients = jnp.asarray(np.clip(gradients, -2, 2), jnp.float32)
    links = (
        kronecker_precondition(optax.trace(1.0), 0.5, 0.5, sides="inputs"),
        gram_precondition(optax.trace(1.0), 0.5, eps_root=0.5),
    )
    ours, theirs = (updates_of(gradpow.chain(tx), gradients[0], gradients) for tx in links)
    assert_same_steps(ours, theirs, 1e-4, 1e-6)  # the condition of the sums is 1e3


POLAR = {
    "shampoo": {},
    "caspr": {"combine": "mean"},
    "asgo": {"power": 0.5, "sides": "shorter"},
    "outputs": {"power": 0.5, "sides": "outputs"},
}


@pytest.mark.parametrize("kind", POLAR)
def test_without_a_past_it_is_the_polar_factor(kind):
    g = np.random.default_rng(0).standard_normal((3, 5))
    u, _, v = np.linalg.svd(g, full_matrices=False)
    with jax.enable_x64(True):
        tx = gradpow.chain(kronecker_precondition(optax.trace(1.0), eps=1e-13, **POLAR[kind]))
        actual, _ = tx.update(jnp.asarray(g), tx.init(jnp.zeros((3, 5))))
    # What rounding leaves of g in the null space of R is divided by the root of 1e-13.
    np.testing.assert_allclose(actual, u @ v, atol=1e-8 if kind in ("caspr", "outputs") else 1e-11)


def test_the_axes_may_be_any_and_other_leaves_stay_as_they_are():
    g = jnp.asarray(np.random.default_rng(0).standard_normal((4, 2, 3)), jnp.float32)
    axes = {"w": MuonDimensionNumbers((2,), (0,)), "b": None}  # two matrices of 3 inputs
    tx = gradpow.chain(kronecker_precondition(optax.trace(1.0), eps=0.5, matrices=axes))
    plain = gradpow.chain(kronecker_precondition(optax.trace(1.0), eps=0.5))
    tree, turned = {"w": g, "b": g[0]}, g.transpose(1, 2, 0)
    updates, state = quick_jit(tx.update)(tree, tx.init(tree))
    expected, _ = quick_jit(plain.update)(turned, plain.init(turned))
    np.testing.assert_allclose(updates["w"].transpose(1, 2, 0), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(updates["b"], g[0])
    assert state[0].roots["b"] == (None, None) and state[0].roots["w"].inputs.shape == (2, 3, 3)


def test_it_is_the_same_transposed():
    g = jnp.asarray(np.random.default_rng(0).standard_normal((3, 5)), jnp.float32)

    @quick_jit
    def first(g):
        settings = {}, {"combine": "mean"}, {"sides": "shorter"}
        links = [kronecker_precondition(optax.trace(1.0), eps=0.5, **kind) for kind in settings]
        return [tx.update(g, tx.init(g), grad=g)[0] for tx in links]

    for u, turned in zip(first(g), first(g.T), strict=True):
        np.testing.assert_allclose(u, turned.T, rtol=1e-5, atol=1e-6)


def test_roots_are_computed_at_the_first_step_and_then_every_so_many():
    g = np.random.default_rng(0).standard_normal((7, 3, 4)).astype(np.float32)
    tx = gradpow.chain(kronecker_precondition(optax.trace(1.0), eps=0.5, every=3))
    state, roots, update = tx.init(g[0]), [], quick_jit(tx.update)
    for gradient in g:
        _, state = update(gradient, state)
        roots.append(np.asarray(state[0].roots.inputs))
    changed = [bool(np.any(a != b)) for a, b in zip([0 * roots[0], *roots], roots, strict=False)]
    assert changed == [True, False, False, True, False, False, True]


@functools.cache
def corners():
    tx = gradpow.chain(kronecker_precondition(optax.ema(0.5, debias=False)))
    return tx, quick_jit(tx.update)


CORNERS = {
    "zeros": np.zeros((3, 4)),
    "rank 1": np.outer([1.0, -2.0, 0.0], [1.0, 0.0, 3.0, 4.0]),
    "tiny": np.full((3, 4), 1e-30),
    "huge": np.full((3, 4), 1e30),
    "large": np.diag([1e16, 1e-16, 1.0, 0.0])[:3],
}


@pytest.mark.parametrize("kind", CORNERS)
def test_zeros_and_what_leaves_float32_give_0_and_nothing_gives_nan(kind):
    tx, update = corners()
    g = jnp.asarray(CORNERS[kind], jnp.float32)
    state = tx.init(g)
    for gradient in (g, 0 * g, g):
        u, state = update(gradient, state)
        assert np.isfinite(u).all()
        assert not np.asarray(u).any() or kind in ("rank 1", "large")
        # No eigenvalue is below the rounding, so that the polar factor's 1 is not exceeded much.
        assert np.abs(u).max() <= 2


def test_bad_arguments_are_named():
    for changes, said in (
        ({"every": 0}, "every must be a whole number"),
        ({"every": 2.0}, "every must be a whole number"),
        ({"sides": "left"}, "sides must be"),
        ({"combine": "sum"}, "combine must be"),
    ):
        with pytest.raises(ValueError, match=said):
            kronecker_precondition(optax.trace(1.0), **changes)
