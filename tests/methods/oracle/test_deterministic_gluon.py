"""Deterministic Gluon against its loop, its identities and its descent."""

import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_steps_of_loop, divide, in_both_types, settings
from tests.contract.identities import assert_same
from tests.contract.trees import quick_jit


def output_or_vector(path, leaf):
    return "output" if leaf.ndim > 1 else "vector"


ROLE = {"role": output_or_vector}
CASE = Case(gradpow.deterministic_gluon, {"l0": 2.0, "l1": 0.5}, ROLE)
EUCLIDEAN = {"hidden": "l2", "vector": "l2"}


def loop(theta0, gradients, l0, l1=0.0):
    """Riabinin et al. (2025): the radius of the deterministic theorem, with the dual norm."""

    def step(g):
        if g.ndim > 1:  # of the norm m |X|_max the dual is sum |G| / m
            dual, x = np.sum(np.abs(g)) / len(g), -np.sign(g) / len(g)
        else:  # of the root mean square it is sqrt(d) |g|
            dual = np.sqrt(g.size) * np.linalg.norm(g)
            x = -divide(g, np.sqrt(np.mean(g**2)))
        return divide(dual, l0 + l1 * dual) * x

    if theta0.ndim > 2:  # layers that are stacked
        return np.array([[step(layer) for layer in g] for g in gradients])
    return np.array([step(g.reshape(-1) if g.ndim < 2 else g).reshape(g.shape) for g in gradients])


@in_both_types
@settings({"smooth": {"l0": 2.0}, "generalized": {"l0": 0.5, "l1": 4.0}})
def test_steps_are_those_of_the_loop(numbers, dtype):
    assert_steps_of_loop(gradpow.deterministic_gluon, loop, dtype, other=ROLE, **numbers)


def test_in_the_euclidean_norm_it_is_gradient_descent_or_its_normalised_form():
    for l0, l1, named in (
        (4.0, 0.0, optax.sgd(0.25)),
        (0.0, 4.0, gradpow.normalized_sgd(0.25, over=None)),
    ):
        assert_same(gradpow.deterministic_gluon(l0, l1, norms=EUCLIDEAN), named)


def test_a_smooth_function_falls_by_what_the_dual_norm_promises():
    """f(X) - f(X') >= |G|_*^2 / (2 L0), for f smooth with L0 in the spectral norm."""
    target = jnp.asarray(np.random.default_rng(0).standard_normal((3, 4)), jnp.float32)
    l0 = 3.0  # |X|_F^2 <= 3 |X|^2 of 3 rows
    tx = gradpow.deterministic_gluon(l0, norms={"hidden": "spectral"}, iteration="svd")
    x = jnp.zeros((3, 4))
    update = quick_jit(tx.update)
    updates, _ = update(x - target, tx.init(x), x)
    fell = np.sum((x - target) ** 2) / 2 - np.sum((x + updates - target) ** 2) / 2
    nuclear = np.linalg.svd(target, compute_uv=False).sum()
    assert fell >= nuclear**2 / (2 * l0) * (1 - 1e-5)
    assert not update(0 * x, tx.init(x), x)[0].any()
