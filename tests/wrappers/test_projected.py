"""Projected steps in the norm of Adam and of SGD, and the projections that are refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import projections

import gradpow
from gradpow.wrappers.projected import MIXING
from tests.contract.case import Case
from tests.contract.trees import gradients, parameters

CASE = Case(
    gradpow.projected,
    other={
        "base": optax.sgd(1e-2, momentum=0.9),
        "projection": functools.partial(projections.projection_linf_ball, scale=3.0),
    },
)
box = functools.partial(projections.projection_box, lower=-0.5, upper=0.75)


def test_each_step_lands_on_the_nearest_point_in_the_norm_of_the_root_of_v():
    """Found by trying a grid, whatever V, and so by the Euclidean norm too."""
    theta = np.array([0.3, -0.2], np.float32)
    tx = gradpow.projected(gradpow.adam(0.5), box)
    adam = gradpow.adam(0.5)
    states, x = (tx.init(theta), adam.init(theta)), theta
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-0.5, 0.75, 126)]), -1)
    v = np.zeros(2)
    for t, g in enumerate(np.float32([[1.0, -3.0], [-2.0, -4.0], [5.0, 0.1]])):
        u, first = tx.update(g, states[0], x)
        free, second = adam.update(g, states[1], x)
        v = 0.999 * v + 0.001 * g**2
        norm = np.sum(np.sqrt(v / (1 - 0.999 ** (t + 1))) * (grid - (x + free)) ** 2, -1)
        nearest = grid.reshape(-1, 2)[np.argmin(norm)]
        x, states = x + u, (first, second)
        np.testing.assert_allclose(x, nearest, atol=0.006)  # the grid's
    assert x[0] == -0.5 or x[1] == 0.75


SETS = {
    "non-negative": projections.projection_non_negative,
    "linf ball": projections.projection_linf_ball,
    "box of each leaf": lambda params: jax.tree.map(box, params),
}


@pytest.mark.parametrize("name", SETS)
def test_parameters_stay_in_the_set(name):
    projection = SETS[name]
    tx, params = gradpow.projected(gradpow.adam(0.7), projection), parameters()
    state = tx.init(params)
    for i in range(4):
        grads = {k: g[i] for k, g in gradients(params, 4).items()}
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        for leaf, inside in projection(params).items():
            np.testing.assert_allclose(params[leaf], inside, atol=1e-6)


@pytest.mark.parametrize("projection", MIXING, ids=lambda f: f.__name__)
def test_projections_that_mix_coordinates_are_refused_by_name(projection):
    for given in (projection, functools.partial(projection, scale=2.0)):
        with pytest.raises(ValueError, match=rf"{projection.__name__} mixes .*euclidean=True"):
            gradpow.projected(gradpow.adam(0.1), given)


def test_optaxs_box_takes_no_scalars_for_a_tree():
    """The day that it does, the docstring need not say so."""
    with pytest.raises(ValueError, match="pytree structure"):
        box({"w": jnp.zeros(2)})


def test_every_projection_of_optax_is_known():
    known = {f.__name__ for f in MIXING} | {
        f"projection_{name}" for name in ("non_negative", "box", "hypercube", "linf_ball")
    }
    assert {name for name in dir(projections) if name.startswith("projection_")} == known


def test_sgd_may_be_projected_onto_the_simplex():
    tx = gradpow.projected(gradpow.sgd(1.0), projections.projection_simplex, euclidean=True)
    theta = jnp.array([0.5, 0.5])
    u, _ = tx.update(jnp.array([0.25, -0.25]), tx.init(theta), theta)
    np.testing.assert_allclose(theta + u, [0.25, 0.75])
