"""All links and wrappers under FSDP, tensor parallelism and both, on eight CPU devices.

One tree holds leaves of every layout, so that each case compiles once per kind of mesh.
"""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import gradpow
from gradpow.transforms import moment_scale, pooled
from tests.contract.cases import CASES, LINKS, METHODS, WRAPPERS, each, every_case
from tests.contract.sharded import (
    AXIS_TYPES,
    COLLECTIVES,
    assert_exchanges_nothing_but_sums,
    assert_sharded_as_params,
    make_mesh,
    moments,
    place,
    tolerance,
)
from tests.contract.trees import assert_close, normal, quick_jit

SHAPES = {"fsdp": (16, 8), "tensor": (8, 16), "both": (8, 8), "vector": (8,), "scalar": ()}
SPECS = {
    "fsdp": P(("data", "model"), None),
    "tensor": P(None, "model"),
    "both": P("data", "model"),
    "vector": P("model"),
    "scalar": P(),
}


def step_of(tx):
    @functools.partial(quick_jit, donate_argnums=(0, 2))
    def step(params, grads, state):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


def unsharded(tx, gradients):
    step, params = step_of(tx), normal(SHAPES, 0)
    state = tx.init(params)
    for grads in gradients:
        params, state = step(params, grads, state)
    return params, state


@every_case
def test_a_sharded_update_equals_the_unsharded_one_without_needless_collectives(name):
    case, tx = CASES[name], CASES[name].in_chain()
    gradients = [normal(SHAPES, seed) for seed in (1, 2, 3)]
    expected = unsharded(tx, gradients)
    for axes in AXIS_TYPES:
        mesh = make_mesh(axes)
        with jax.set_mesh(mesh):
            params = place(normal(SHAPES, 0), SPECS, mesh)
            state = tx.init(params)
            if case.sharded is None:
                assert_sharded_as_params(state, params, SPECS, mesh)
            step = step_of(tx).lower(params, place(gradients[0], SPECS, mesh), state).compile()
            for grads in gradients:
                params, state = step(params, place(grads, SPECS, mesh), state)
        assert_close((params, state), expected, tolerance(case, step))
        if case.sharded is None:
            assert_sharded_as_params((params, state), params, SPECS, mesh)
            assert_exchanges_nothing_but_sums(case, step)


@pytest.mark.parametrize("axes", AXIS_TYPES)
def test_init_on_bfloat16_params_keeps_the_sharding_in_float32_moments(axes):
    mesh = make_mesh(axes)
    with jax.set_mesh(mesh):
        params = place(normal(SHAPES, 0, jnp.bfloat16), SPECS, mesh)
        state = gradpow.s3(1e-3).init(params)
    assert {leaf.dtype for leaf, _ in moments(state, params, SPECS)} == {jnp.dtype("float32")}
    assert_sharded_as_params(state, params, SPECS, mesh)


KEEP_MOMENTS = {
    "adampower": gradpow.adampower(1e-3),
    "s3": gradpow.s3(1e-3),
    "grams": gradpow.grams(1e-3),
    "low_precision_state": gradpow.low_precision_state(gradpow.s3(1e-3)),
    "adamw": optax.adamw(1e-3),
}


@pytest.mark.parametrize("name", KEEP_MOMENTS)
def test_a_jitted_init_loses_the_sharding_with_automatic_axes_as_optax_s_does(name):
    mesh = make_mesh("auto")
    with jax.set_mesh(mesh):
        params = place(normal(SHAPES, 0), SPECS, mesh)
        state = jax.jit(KEEP_MOMENTS[name].init)(params)
    found = moments(state, params, SPECS)
    assert len(found) == 8  # two for each leaf that is no scalar
    assert all(leaf.sharding.is_fully_replicated for leaf, _ in found)


# A Gram matrix, or a basis, may have a parameter's shape, but is not laid out as one.
KEEP_GRAMS = (
    "gram_precondition", "full_matrix_adagrad",
    "kronecker_precondition", "blocked", "shampoo", "caspr", "asgo",
    "in_basis", "soap", "adadiag",
)  # fmt: skip


@each(
    [name for name in [*LINKS, *WRAPPERS] if not name.startswith(KEEP_GRAMS)],
    [name for name in METHODS if not name.startswith(KEEP_GRAMS)],
)
def test_a_jitted_init_keeps_the_sharding_with_explicit_axes(name):
    tx, mesh = CASES[name].in_chain(), make_mesh("explicit")
    with jax.set_mesh(mesh):
        params = place(normal(SHAPES, 0), SPECS, mesh)
        state = quick_jit(tx.init)(params)
    assert_sharded_as_params(state, params, SPECS, mesh)


def test_the_search_for_collectives_finds_them():
    mesh = make_mesh("auto")
    params, grads = (place(normal(SHAPES, seed), SPECS, mesh) for seed in (0, 1))
    clip = step_of(optax.clip_by_global_norm(1.0)).lower(params, grads, optax.EmptyState())
    assert COLLECTIVES.findall(clip.compile().as_text())


@pytest.mark.parametrize("spec", [P("data"), P(None, "data"), P("data", "model")])
def test_a_pooled_state_is_sharded_as_the_axes_that_remain(spec):
    mesh = make_mesh()
    params = jax.device_put(jnp.ones((8, 4)), NamedSharding(mesh, spec))
    for over in (0, 1):
        tx = gradpow.chain(moment_scale(pooled(optax.trace(1.0), over)), optax.scale(-1.0))
        state = tx.init(params)
        kept = [None if i == over else axis for i, axis in enumerate((*spec, None)[:2])]
        (v,) = jax.tree.leaves(state)
        wanted = NamedSharding(mesh, P(*kept))
        assert v.sharding.is_equivalent_to(wanted, 2), (over, v.sharding)
        updates, state = jax.jit(tx.update)(params, state)
        assert updates.sharding.is_equivalent_to(params.sharding, 2)
        (v,) = jax.tree.leaves(state)
        assert v.sharding.is_equivalent_to(wanted, 2), (over, v.sharding)
