"""States through Orbax and flax and back: to the bit, on any mesh."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import serialization
from jax.sharding import AxisType, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from tests.contract.stored import OPTIMIZERS, OTHERS, TREE, abstract
from tests.contract.trees import assert_same_bits, normal, quick_jit

SPECS = {"matrix": P("data", "model"), "vector": P("model"), "scalar": P()}
# Whose next step is taken too: it follows from the bits, and each would compile four times.
STEPPED = ("s3", "stacey", "muonpower", "cautious", "low_precision_state", *OTHERS)
MESHES = {"the same mesh": (2, 4), "another mesh": (4, 2), "one device": None}


def save(states, folder):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, states)
    return folder


def restore(folder, like):
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(folder, like)


def by_bytes(states, folder):
    return serialization.from_bytes(abstract(), serialization.to_bytes(states))


def by_state_dict(states, folder):
    return serialization.from_state_dict(abstract(), serialization.to_state_dict(states))


def by_orbax(states, folder):
    return restore(save(states, folder / "states"), abstract())


@pytest.fixture(scope="module")
def states():
    """With other numbers in every leaf; counts stay small enough to count on."""
    rng = np.random.default_rng(0)

    def filled(x):
        if jnp.issubdtype(x.dtype, jnp.inexact):
            return jnp.asarray(rng.standard_normal(x.shape), x.dtype)
        return jnp.asarray(rng.integers(0, 2 if x.dtype == bool else 100, x.shape), x.dtype)

    return jax.tree.map(filled, abstract())


@quick_jit
def step(states, grads, params):
    return {name: OPTIMIZERS[name].update(grads, states[name], params) for name in STEPPED}


@pytest.mark.parametrize("there_and_back", [by_orbax, by_bytes, by_state_dict])
def test_all_states_come_back_with_their_bits_and_so_does_the_next_step(
    there_and_back, states, tmp_path
):
    restored = there_and_back(states, tmp_path)
    assert_same_bits(restored, states)
    # From the host, since Orbax commits arrays to their device, and the step would compile anew.
    after = step(jax.device_get(restored), normal(TREE, 9), normal(TREE, 0))
    assert_same_bits(after, step(states, normal(TREE, 9), normal(TREE, 0)))


def layout(shape):
    """Shardings of the parameters, and of what is no parameter's, on a mesh or on one device."""
    if shape is None:
        one = SingleDeviceSharding(jax.devices()[0])
        return dict.fromkeys(TREE, one), one
    # optax.contrib.muon raises under explicit axes.
    mesh = jax.make_mesh(shape, ("data", "model"), axis_types=2 * (AxisType.Auto,))
    return {name: NamedSharding(mesh, spec) for name, spec in SPECS.items()}, NamedSharding(
        mesh, P()
    )


def abstract_state(tx, params, replicated):
    """Shapes, types and shardings of a state, from those of the parameters: no array is made."""

    def placed(x, sharding):
        if isinstance(x, optax.MaskedNode):
            return x
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    return optax.tree.map_params(
        tx,
        placed,
        jax.eval_shape(tx.init, params),
        jax.tree.map(lambda x: x.sharding, params),
        # Of a tree where a link keeps less than an array a parameter, such as a moment a block.
        transform_non_params=lambda part: jax.tree.map(lambda x: placed(x, replicated), part),
        is_leaf=lambda x: isinstance(x, optax.MaskedNode),
    )


def abstract_states(shape):
    shardings, replicated = layout(shape)
    params = {
        name: jax.ShapeDtypeStruct(TREE[name], jnp.float32, sharding=sharding)
        for name, sharding in shardings.items()
    }
    return {name: abstract_state(tx, params, replicated) for name, tx in OPTIMIZERS.items()}


@pytest.fixture(scope="module")
def sharded(states, tmp_path_factory):
    """The states on a mesh, each array laid out as its parameter, and their checkpoint."""
    shardings = jax.tree.map(lambda x: x.sharding, abstract_states(MESHES["the same mesh"]))
    states = jax.device_put(states, shardings)
    return states, save(states, tmp_path_factory.mktemp("sharded") / "states")


@pytest.mark.parametrize("where", MESHES)
def test_sharded_states_are_restored_by_abstract_states_alone(where, sharded):
    states, folder = sharded
    shardings, _ = layout(MESHES[where])
    like = abstract_states(MESHES[where])
    restored = restore(folder, like)
    assert_same_bits(restored, states)
    for leaf, wanted in zip(jax.tree.leaves(restored), jax.tree.leaves(like), strict=True):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim)
    # A vector's shape tells nothing: moments of a matrix's columns have it too.
    found = [leaf for leaf in jax.tree.leaves(restored) if leaf.shape == TREE["matrix"]]
    assert len(found) > len(OPTIMIZERS)
    for leaf in found:
        assert leaf.sharding.is_equivalent_to(shardings["matrix"], leaf.ndim)
    # The next step is that of the same states moved there without a checkpoint.
    moved = jax.device_put(states, jax.tree.map(lambda x: x.sharding, like))
    grads, params = (jax.device_put(normal(TREE, seed), shardings) for seed in (9, 0))
    assert_same_bits(step(restored, grads, params), step(moved, grads, params))


def test_sharded_states_go_through_flax(sharded):
    states, _ = sharded
    assert_same_bits(by_bytes(states, None), states)
