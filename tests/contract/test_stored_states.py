"""States stored long ago still load, and mean today what they meant then."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import serialization

import gradpow
from tests.contract.cases import LINKS, WRAPPERS, each
from tests.contract.stored import (
    BYTES,
    DATA,
    ORBAX,
    OTHERS,
    TREE,
    abstract,
    fields,
    first_gradients,
    from_bytes,
    from_zip,
    require_format,
    steps_of,
    trained,
    write,
)
from tests.contract.trees import all_finite, assert_close, normal


@pytest.fixture(scope="module")
def stored():
    return from_bytes(BYTES.read_bytes())


def test_stored_states_load_with_today_s_fields_shapes_and_types(stored):
    assert jax.tree.structure(stored) == jax.tree.structure(abstract())
    for leaf, today in zip(jax.tree.leaves(stored), jax.tree.leaves(abstract()), strict=True):
        assert (leaf.shape, leaf.dtype) == (today.shape, today.dtype)


def test_orbax_loads_the_same_bits_from_its_own_checkpoint(stored, tmp_path):
    loaded = from_zip(ORBAX, tmp_path / "states")
    assert jax.tree.structure(loaded) == jax.tree.structure(stored)
    jax.tree.map(np.testing.assert_array_equal, loaded, stored)


def assert_means_the_same(stored, today):
    """Up to the last bits, in which processors differ, and the bfloat16 that those bits decide."""
    bits = {"bfloat16": 2**-7, "float32": 1e-5}
    jax.tree.map(lambda a, b: assert_close(a, b, bits.get(str(b.dtype), 0)), stored, today)


# Those of methods are in test_methods.py, where their steps are compiled anyway.
@each([*LINKS, *WRAPPERS, *OTHERS])
def test_a_field_means_what_it_meant_and_training_goes_on(name, stored):
    assert_means_the_same(stored[name], trained(name)[1])
    assert all_finite(steps_of(name)(stored[name], first_gradients(), normal(TREE, 0)))


def test_a_field_that_means_something_else_is_seen(stored):
    rooted = jax.tree.map(jnp.sqrt, stored["p_norm_scale"])
    with pytest.raises(AssertionError):
        assert_means_the_same(rooted, trained("p_norm_scale")[1])


def renamed(tree):
    tree["s3"]["0"]["0"] = {"moment": tree["s3"]["0"]["0"]["s"]}


def missing(tree):
    del tree["grams"]["0"]["0"]["nu"]


def added(tree):
    tree["adampower"]["0"]["1"]["0"]["power"] = np.zeros(())


def reshaped(tree):
    tree["stacey"]["0"]["0"]["m"]["vector"] = np.zeros(4, np.float32)


def retyped(tree):
    mu = tree["low_precision_state"]["0"]["inner"]["mu"]
    mu["matrix"] = mu["matrix"].astype(np.float32)


def emptied(tree):
    tree["ams"]["0"]["1"]["s"] = None


CHANGES = {
    renamed: "s3/0/0/s/matrix is missing as stored, .* today",
    missing: "grams/0/0/nu/matrix is missing as stored",
    added: "adampower/0/1/0/power is .* as stored, missing today",
    reshaped: r"stacey/0/0/m/vector is \(4,\) float32 as stored, \(8,\) float32 today",
    retyped: r"float32 as stored, \(4, 8\) bfloat16 today",
    emptied: "ams/0/1/s",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_format_is_seen_and_says_what_to_do(change, tmp_path):
    tree = serialization.msgpack_restore(BYTES.read_bytes())
    change(tree)
    said = (
        f"(?s)the format of states has changed.*{CHANGES[change]}.*python -m tests.contract.stored"
    )
    with pytest.raises(AssertionError, match=said):
        from_bytes(serialization.msgpack_serialize(tree, in_place=True))
    write(tree, tmp_path / "states.zip")
    with pytest.raises(AssertionError, match="the format of states has changed"):
        from_zip(tmp_path / "states.zip", tmp_path / "states")


def test_fields_in_another_order_are_seen():
    tree = serialization.msgpack_restore(BYTES.read_bytes())
    adam = tree["grams"]["0"]["0"]
    adam["mu"] = adam.pop("mu")
    with pytest.raises(AssertionError, match="0/nu/matrix stood where grams/0/0/mu/matrix"):
        from_bytes(serialization.msgpack_serialize(tree, in_place=True))


# As they were when a decay of 0 and b3 = 0 kept nothing: docs/guides/checkpoints.md says which
# None, or 0, loads them. The states of two steps on the gradients cos(params) and cos(2 params).
MASK = {"matrix": True, "vector": False}
WITHOUT = {
    "ams": gradpow.ams(1e-2, b3=None, weight_decay=None),
    "cautious": gradpow.cautious(optax.sgd(1e-2, momentum=0.9), b3=None),
    "cautious_adam": gradpow.cautious_adam(1e-2, weight_decay=None),
    "cautious_lion": gradpow.cautious_lion(1e-2, weight_decay=None),
    "grams": gradpow.grams(1e-2, weight_decay=None),
    "s3": gradpow.s3(1e-2, mask=MASK, weight_decay=0.0),
    "stacey": gradpow.stacey(lambda count: 0.01 / (1 + count), weight_decay=None),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_states_from_before_none_switched_off_load_by_the_documented_step(name):
    tx, params = WITHOUT[name], {"matrix": jnp.ones((2, 3)), "vector": jnp.ones(3)}
    today = tx.init(params)
    for i in (1, 2):
        _, today = tx.update(jax.tree.map(lambda x, i=i: jnp.cos(i * x), params), today, params)
    old = serialization.msgpack_restore((DATA / "states_of_zeros.msgpack").read_bytes())[name]
    require_format(fields(old), fields(serialization.to_state_dict(today)))
    assert_means_the_same(serialization.from_state_dict(today, old), today)


def test_moments_go_on_below_numbers_where_none_was():
    old, params = WITHOUT["ams"].init(normal(TREE, 0)), normal(TREE, 0)
    for seed in (1, 2):
        _, old = WITHOUT["ams"].update(normal(TREE, seed), old, params)
    tx = gradpow.ams(1e-2, b3=0.0, weight_decay=0.0)
    state = (old[0], *tx.init(params)[1:])
    updates, _ = tx.update(normal(TREE, 3), state, params)
    assert_close(updates, WITHOUT["ams"].update(normal(TREE, 3), old, params)[0], 1e-6)
