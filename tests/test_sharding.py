"""All transforms and optimizers under FSDP, tensor parallelism and both, on eight CPU devices.

One tree holds leaves of every layout, so that each case compiles once per kind of mesh.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import gradpow
from examples.pretrain.hlo import arrays
from tests.cases import CASES, OPTIMIZERS, assert_close, in_chain, quick_jit

LEAVES = {  # of different shapes, by which a moment is known
    "fsdp": ((16, 8), P(("data", "model"), None)),
    "tensor": ((8, 16), P(None, "model")),
    "both": ((8, 8), P("data", "model")),
    "vector": ((8,), P("model")),
    "scalar": ((), P()),
}
AXIS_TYPES = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}
# All links are in the optimizers, but for two. optax.contrib.muon raises under explicit axes.
EXPLICIT = ["low_precision_state", "lp_steepest_scaled", *OPTIMIZERS]
EXPLICIT.remove("muonpower")
COLLECTIVES = re.compile(
    r"= (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)(?:-start)?\("
)


def tree(seed, dtype=jnp.float32):
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(rng.standard_normal(shape), dtype) for name, (shape, _) in LEAVES.items()
    }


def make_mesh(axes):
    return jax.make_mesh((2, 4), ("data", "model"), axis_types=2 * (AXIS_TYPES[axes],))


def place(x, mesh):
    return {
        name: jax.device_put(x[name], NamedSharding(mesh, spec))
        for name, (_, spec) in LEAVES.items()
    }


def moments(state):
    """The leaves in a parameter's place, scalars left out, each with the parameter's layout."""
    specs = {shape: spec for shape, spec in LEAVES.values() if shape}
    return [(x, specs[x.shape]) for x in jax.tree.leaves(state) if x.shape in specs]


def assert_sharded_as_params(state, mesh):
    for leaf, spec in moments(state):
        assert leaf.sharding.is_equivalent_to(NamedSharding(mesh, spec), leaf.ndim), leaf.shape


def step_of(tx):
    @functools.partial(quick_jit, donate_argnums=(0, 2))
    def step(params, grads, state):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


def unsharded(tx, gradients):
    @quick_jit
    def train(params):
        state = tx.init(params)
        for grads in gradients:
            updates, state = tx.update(grads, state, params)
            params = optax.apply_updates(params, updates)
        return params, state

    return train(tree(0))


@pytest.mark.parametrize("name", CASES)
def test_a_sharded_update_equals_the_unsharded_one_without_needless_collectives(name):
    case, tx = CASES[name], in_chain(CASES[name])
    gradients = [tree(seed) for seed in (1, 2, 3)]
    expected = unsharded(tx, gradients)
    # Sums are made in another order, which Muon's matrix products amplify, and the difference of
    # two sums that is a variance; all else may differ in a last bit.
    tolerance = {"muonpower": 1e-3, "adaptive_sign_power": 1e-5}.get(name)
    tolerance = tolerance or (1e-6 if case.reduces else 3e-7)
    for axes in ["auto", "explicit"] if name in EXPLICIT else ["auto"]:
        mesh = make_mesh(axes)
        with jax.set_mesh(mesh):
            params = place(tree(0), mesh)
            state = tx.init(params)
            assert_sharded_as_params(state, mesh)
            step = step_of(tx).lower(params, place(gradients[0], mesh), state).compile()
            for grads in gradients:
                params, state = step(params, place(grads, mesh), state)
        assert_close((params, state), expected, tolerance)
        if name != "muonpower":
            assert_sharded_as_params((params, state), mesh)
            collectives = COLLECTIVES.findall(step.as_text())
            assert case.reduces or not collectives
            for shapes, kind in collectives:
                # Counts, which CPUs make in pairs, are gathered instead: a number of each device.
                if kind == "all-gather" and name != "lp_steepest_scaled":
                    found = arrays(shapes)
                    assert all(a.dtype == "s32" and a.size <= 8 for a in found), shapes
                    continue
                assert kind == "all-reduce"
                assert not re.search(r"\[\d", shapes), f"not a scalar: {shapes}"


@pytest.mark.parametrize("axes", AXIS_TYPES)
def test_init_on_bfloat16_params_keeps_the_sharding_in_float32_moments(axes):
    mesh = make_mesh(axes)
    with jax.set_mesh(mesh):
        state = gradpow.s3(1e-3).init(place(tree(0, jnp.bfloat16), mesh))
    assert {leaf.dtype for leaf, _ in moments(state)} == {jnp.dtype("float32")}
    assert_sharded_as_params(state, mesh)


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
        state = jax.jit(KEEP_MOMENTS[name].init)(place(tree(0), mesh))
    assert len(moments(state)) == 8  # two for each leaf that is no scalar
    assert all(leaf.sharding.is_fully_replicated for leaf, _ in moments(state))


@pytest.mark.parametrize("name", EXPLICIT)
def test_a_jitted_init_keeps_the_sharding_with_explicit_axes(name):
    tx, mesh = in_chain(CASES[name]), make_mesh("explicit")
    with jax.set_mesh(mesh):
        state = jax.jit(tx.init)(place(tree(0), mesh))
    assert_sharded_as_params(state, mesh)


def test_the_search_for_collectives_finds_them():
    mesh = make_mesh("auto")
    clip = step_of(optax.clip_by_global_norm(1.0))
    step = clip.lower(place(tree(0), mesh), place(tree(1), mesh), optax.EmptyState()).compile()
    assert COLLECTIVES.findall(step.as_text())
