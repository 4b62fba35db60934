"""What every link and wrapper keeps to (with `-m hunt`, methods too): compilation, types, trees."""

import functools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.cases import CASES, LINKS, METHODS, WRAPPERS, each, every_case
from tests.contract.trees import (
    all_finite,
    assert_close,
    at_step,
    gradients,
    matrix,
    parameters,
    quick_jit,
)
from tests.contract.tried import TRIED


@functools.cache
def donating_step(name):
    """A jitted training step, with an extra argument that nobody knows, and its traces."""
    tx, traces = CASES[name].in_chain(), []

    def step(params, state, grads):
        traces.append(name)
        updates, state = tx.update(grads, state, params, nobody_knows_this=grads)
        return optax.apply_updates(params, updates), state

    return quick_jit(step, donate_argnums=(0, 1)), traces


@every_case
def test_neither_jit_nor_unknown_extra_arguments_change_a_step(name):
    tx, params, (step, _) = CASES[name].in_chain(), matrix(), donating_step(name)
    state = tx.init(params)
    jitted = jax.tree.map(jnp.copy, (params, state))
    for grad in gradients(params, steps=2)["matrix"]:
        updates, state = tx.update({"matrix": grad}, state, params)
        params = optax.apply_updates(params, updates)
        jitted = step(*jitted, {"matrix": grad})
    # Fused and single operations round differently, by some 1e-7.
    assert_close(jitted, (params, state), 1e-5)


@every_case
def test_steps_donate_params_and_state_and_compile_once(name):
    params, (step, traces) = matrix(), donating_step(name)
    state, grad = CASES[name].in_chain().init(params), matrix()
    for _ in range(2):
        old = jax.tree.leaves((params, state))
        params, state = step(params, state, grad)
        assert all(x.is_deleted() for x in old)
    assert traces == [name]


@every_case
def test_no_state_shares_memory_with_the_params_or_another_state(name):
    params = parameters()
    state = CASES[name].in_chain().init(params)
    pointers = [x.unsafe_buffer_pointer() for x in jax.tree.leaves((params, state))]
    assert len(set(pointers)) == len(pointers)


@every_case
def test_map_params_touches_exactly_the_leaves_shaped_like_parameters(name):
    tx = CASES[name].in_chain()
    params = {"matrix": jnp.ones((2, 3)), "vector": jnp.ones(5)}
    state = tx.init(params)
    touched = optax.tree.map_params(tx, lambda _: True, state, transform_non_params=lambda _: False)

    def agrees(touched, part):  # of what is pooled a whole tree is one part, and no parameter's
        shaped = [x.shape in ((2, 3), (5,)) for x in jax.tree.leaves(part)]
        return all(s == touched for s in shaped) or (CASES[name].by_rows and not touched)

    assert all(jax.tree.leaves(jax.tree.map(agrees, touched, state)))


class Pair(NamedTuple):
    first: Any
    second: Any


# The scalar and the empty leaf have gradients of another type than the parameters.
PARAM_TYPES = ("float32", "float16", "bfloat16", "float64", "float32", "bfloat16")
GRAD_TYPES = ("float32", "float16", "bfloat16", "float64", "bfloat16", "float64")


def odd_tree(make, types):
    """All kinds of nodes and leaves; make gives a matrix of a type."""
    matrices = [make(jnp.dtype(dtype)) for dtype in types]
    return {
        "reference": matrices[0],
        "tuple": (matrices[1], None, matrices[2]),
        "named": Pair(matrices[3], {"deep": {"er": [matrices[4][..., 0, 0]]}}),
        "empty": matrices[5][..., :0],
    }


@pytest.fixture
def x64():
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def odd_params():
    return odd_tree(jnp.array([[0.5, -0.25, 1.0], [2.0, -1.5, 0.75]]).astype, PARAM_TYPES)


def odd_gradients():
    """Multiples of 1/8 below 4, which are the same numbers in every type."""
    numbers = np.round(8 * np.random.default_rng(0).uniform(-4, 4, (3, 2, 3))) / 8
    return odd_tree(lambda dtype: jnp.asarray(numbers, dtype), GRAD_TYPES)


@functools.cache
def odd_run(name):
    """A function from gradients on the odd tree, for some steps, to its updates and state."""
    tx = CASES[name].in_chain()
    params = odd_params()
    update = quick_jit(tx.update)

    def run(grads):
        state, all_updates = tx.init(params), []
        for i in range(len(grads["reference"])):
            updates, state = update(at_step(grads, i), state, params)
            all_updates.append(updates)
        return all_updates, state

    return run


# Each leaf has noise of its own.
@each([name for name in [*LINKS, *WRAPPERS] if name != "langevin"], METHODS)
def test_updates_of_any_type_are_those_of_float32_rounded(name, x64):
    grads = odd_gradients()
    updates, state = odd_run(name)(grads)
    types = [x.dtype for x in jax.tree.leaves(updates[-1])]
    assert types == [x.dtype for x in jax.tree.leaves(grads)]
    too_narrow = ["float16"] if name == "low_precision_state" else ["float16", "bfloat16"]
    assert not any(x.dtype in too_narrow for x in jax.tree.leaves(state))
    for step in updates:
        reference = step["reference"]
        if CASES[name].sums != "nothing":  # a scalar's step is not that of a tensor's coordinate
            step["named"].second.clear()
        for leaf in jax.tree.leaves(step):
            # The rounding of the gradient's type, or of bfloat16 states.
            rounding = 2**-6 if name == "low_precision_state" else 1e-5 + jnp.finfo(leaf.dtype).eps
            expected = reference[:, : leaf.shape[1]] if leaf.ndim else reference[0, 0]
            assert_close(leaf, expected, rounding)


@every_case
def test_states_keep_structure_shapes_and_types_under_scan_and_cond(name, x64):
    tx = CASES[name].in_chain()

    def run(params, grads):
        def step(state, grad):
            def take():
                return tx.update(grad, state, params)

            updates, state = jax.lax.cond(jnp.array(True), take, lambda: (grad, state))
            return state, updates

        return jax.lax.scan(step, tx.init(params), grads)

    # Raises if a carry or a branch differs from the other in any of them; no need to run it.
    grads = odd_gradients()
    assert jax.eval_shape(run, odd_params(), grads)[1] == jax.eval_shape(lambda: grads)


@every_case
def test_extreme_gradients_of_every_type_give_finite_updates(name, x64):
    def extremes(dtype):
        info = jnp.finfo(dtype)
        largest = min(CASES[name].largest, float(info.max) if info.bits == 16 else 6e4)
        smallest = float(info.smallest_subnormal)
        rows = np.array([[largest, -largest, 0.0], [smallest, -smallest, 0.0]])
        return jnp.asarray([rows, -rows, 0 * rows], dtype)

    updates, state = odd_run(name)(odd_tree(extremes, GRAD_TYPES))
    assert all_finite(updates)
    # Not finite: optax's Adam squares, and above 1.8e19 its second moment is inf, its step 0.
    assert not any(jnp.isnan(x).any() for x in jax.tree.leaves(state))


@every_case
def test_the_empty_tree_stays_empty(name):
    tx = CASES[name].in_chain()
    assert tx.update({}, tx.init({}), {})[0] == {}


@every_case
def test_complex_leaves_are_refused_with_the_remedy(name):
    tx, params = CASES[name].in_chain(), parameters()
    state, numbers = tx.init(params), {**params, "vector": jnp.ones(5, jnp.complex64)}
    with pytest.raises(TypeError, match=r"complex64.*split_real_and_imaginary"):
        tx.init(numbers)
    with pytest.raises(TypeError, match=r"complex64.*split_real_and_imaginary"):
        tx.update(numbers, state, params)


# eps hides a vanished denominator, and at p = 1 all of it vanishes at once.
WITHOUT_EPS = [
    ("p_norm_scale", {"eps": 0.0}),
    ("p_norm_scale", {"eps": 0.0, "p": 1.0}),
    ("lp_steepest", {"eps": 0.0}),
    ("s3", {"eps": 0.0}),
    ("s3", {"eps": 0.0, "p": 1.0}),
    ("stacey", {"eps": 0.0}),
]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param(
            name, changes, id=f"{name}-{changes}", marks=[pytest.mark.hunt] * (name in METHODS)
        )
        for name, changes in [*((name, {}) for name in CASES), *WITHOUT_EPS]
    ],
)
def test_dead_gradients_never_give_nan_or_inf(name, changes, deep):
    steps = 1_000_000 if deep else 50_000
    tx = CASES[name].in_chain(**changes)
    size = jnp.array([[1e-30, 1e-20, 1e-10], [1e-3, 1.0, 1e3]])
    alive = {"matrix": size * gradients(size, steps=20)}

    def step(carry, i):
        params, state, finite = carry
        grad = jax.tree.map(lambda g: jnp.where(i < 20, g[jnp.minimum(i, 19)], 0.0), alive)
        updates, state = tx.update(grad, state, params)
        if name not in LINKS:  # what a link emits need not be a step
            params = optax.apply_updates(params, updates)
        return (params, state, finite & all_finite((params, state, updates))), None

    @quick_jit
    def run(params):
        return jax.lax.scan(step, (params, tx.init(params), True), jnp.arange(steps))[0]

    assert run({"matrix": jnp.ones((2, 3))})[2]
    TRIED["steps with a gradient of 0"] += steps - 20


@each(LINKS)
def test_a_missing_or_masked_gradient_is_named_with_its_remedy_by_who_needs_it(name):
    params, link = parameters(), CASES[name].make()
    try:
        jax.eval_shape(link.update, params, jax.eval_shape(link.init, params), params)
        return
    except ValueError as error:
        said = str(error)
    reader = said.split()[0]
    if LINKS[name].is_of_the_package:
        assert reader == name
    assert reader in LINKS
    assert "gradpow.chain" in said and "update(..., grad=grads)" in said
    mask = {"matrix": True, "vector": False, "scalar": True}
    tx = gradpow.chain(optax.masked(link, mask))
    with pytest.raises(ValueError, match=rf"^{reader} .*mask_compatible_extra_args=True"):
        jax.eval_shape(tx.update, params, jax.eval_shape(tx.init, params), params)


@every_case
def test_missing_params_are_named_by_those_that_need_them(name):
    tx, grads = CASES[name].in_chain(), matrix()
    state = jax.eval_shape(tx.init, grads)
    try:
        jax.eval_shape(tx.update, grads, state)
    except ValueError as error:
        # optax's own weight decay says "`params`" and names `update`.
        assert re.search(r"update\(grads, state, params\)|`params`.*`update`", str(error))


@every_case
def test_a_tensor_may_have_more_elements_than_int32_counts(name):
    tx = CASES[name].in_chain()
    params = {"matrix": jax.ShapeDtypeStruct((2**17, 2**17), jnp.float32)}
    state = jax.eval_shape(tx.init, params)
    assert jax.eval_shape(tx.update, params, state, params)[0] == params
