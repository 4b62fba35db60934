"""Hostile input: any tree, any number, the last step of a counter, and what belongs elsewhere.

`pytest tests -m "hunt or not hunt" --deep` tries methods too, and a hundred times as much;
docs/guides/faults.md says what was tried.
"""

import functools
import math
import re

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradpow
from gradpow.core import RANGES, alike
from tests.contract.cases import CASES, LINKS, METHODS, WRAPPERS, each, every_case, numbered
from tests.contract.measured import needs
from tests.contract.trees import all_finite, parameters, quick_jit
from tests.contract.tried import TRIED

INT32 = np.iinfo(np.int32).max


# Trees


TYPES = st.sampled_from([np.dtype(t) for t in ("float32", jnp.bfloat16, "float16")])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
NAMES = st.text("abc/.", min_size=1, max_size=3)
LEAVES = st.one_of(st.none(), st.tuples(SHAPES, TYPES, TYPES))  # types of parameter and gradient
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(NAMES, inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(lambda x: optax.LookaheadParams(*x), st.tuples(inner, inner)),
    ),
    max_leaves=6,
)


def is_leaf(x):
    return isinstance(x, tuple) and len(x) == 3 and isinstance(x[1], np.dtype)


@every_case
@settings(max_examples=settings().max_examples // 4)
@given(tree=TREES)
def test_any_tree_of_any_shapes_and_types_keeps_them(name, tree):
    params, grads = (
        jax.tree.map(
            lambda leaf, i=i: jax.ShapeDtypeStruct(leaf[0], leaf[i]), [tree], is_leaf=is_leaf
        )
        for i in (1, 2)
    )
    tx = CASES[name].in_chain()
    state = jax.eval_shape(tx.init, params)
    updates, new_state = jax.eval_shape(tx.update, grads, state, params)
    assert updates == grads
    assert new_state == state
    TRIED["trees of any shapes and types"] += 1


# Numbers


STEPS = 4
SIZES = {"matrix": (2, 2), "vector": (3,)}


def magnitudes(largest):
    size = st.floats(math.log(1e-45), math.log(largest)).map(lambda x: min(math.exp(x), largest))
    return st.one_of(st.just(0.0), size, size.map(lambda x: -x), st.sampled_from([1.0, -1.0]))


def histories(elements):
    return st.fixed_dictionaries(
        {
            k: hnp.arrays(np.float32, (STEPS, *shape), elements=elements)
            for k, shape in SIZES.items()
        }
    )


NOT_FINITE = st.sampled_from([np.nan, np.inf, -np.inf])
ANY = histories(st.one_of(magnitudes(3e38), magnitudes(3e38), NOT_FINITE))


@functools.cache
def run_of(name):
    """From the gradients of some steps to the updates, the parameters standing still."""
    tx = CASES[name].in_chain()
    params = {k: jnp.full(shape, 0.5) for k, shape in SIZES.items()}

    def step(state, grad):
        return tx.update(grad, state, params)[::-1]

    return quick_jit(lambda grads: jax.lax.scan(step, tx.init(params), grads)[1])


# What counts signs over a tensor: a bad number moves the share of masked coordinates and no more.
COUNTS = ("momentum_scaling", "ams", "cautious", "cautious_adam", "cautious_lion")


@every_case
@given(grads=ANY)
def test_what_is_not_finite_stays_in_its_coordinate(name, grads):
    good = {k: np.isfinite(g).all(axis=0) for k, g in grads.items()}
    if CASES[name].sums == "the tree":
        return
    if CASES[name].sums == "a tensor" and name not in COUNTS:  # a norm, which one bad number spoils
        good = {k: np.full_like(x, x.all()) for k, x in good.items()}
    without = {k: np.where(good[k] | np.isfinite(g), g, 0) for k, g in grads.items()}
    found, expected = run_of(name)(grads), run_of(name)(without)
    for k, mask in good.items():
        a, b = (np.asarray(x[k])[:, mask] for x in (found, expected))
        if name in COUNTS and not mask.all():
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        else:
            np.testing.assert_array_equal(a, b)
    TRIED["gradients with NaN or infinity"] += 1


@functools.cache
def skipping(name):
    """From the gradients of some steps to the parameters and the optimizer's state at their end."""
    tx = optax.apply_if_finite(CASES[name].in_chain(), max_consecutive_errors=STEPS)
    params = {k: jnp.full(shape, 0.5) for k, shape in SIZES.items()}

    def step(carry, grad):
        params, state = carry
        updates, state = tx.update(grad, state, params)
        return (optax.apply_updates(params, updates), state), None

    def run(grads):
        params_, state = jax.lax.scan(step, (params, tx.init(params)), grads)[0]
        return params_, state.inner_state

    return quick_jit(run)


@every_case
@given(grads=ANY)
def test_apply_if_finite_skips_bad_steps_to_the_bit(name, grads):
    """Where they stand between the good ones makes no difference."""
    bad = np.array([any(not np.isfinite(g[i]).all() for g in grads.values()) for i in range(STEPS)])
    bad_last = np.argsort(bad, kind="stable")
    found, expected = (
        skipping(name)(g) for g in (grads, {k: g[bad_last] for k, g in grads.items()})
    )
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    TRIED["steps with NaN or infinity to skip"] += int(bad.sum())


@every_case
@given(data=st.data())
def test_finite_gradients_of_any_size_give_finite_updates(name, data):
    grads = data.draw(histories(magnitudes(min(CASES[name].largest, 3e38))))
    updates = run_of(name)(grads)
    assert all_finite(updates), updates
    TRIED["finite gradients from 1e-45 to 3e38"] += 1


@functools.cache
def injected(name):
    """From numbers and gradients to the updates, everything traced."""
    params = {k: jnp.full(shape, 0.5) for k, shape in SIZES.items()}

    def run(numbers, grads):
        tx = CASES[name].in_chain(**numbers)

        def step(state, grad):
            return tx.update(grad, state, params)[::-1]

        return jax.lax.scan(step, tx.init(params), grads)[1]

    return quick_jit(run)


def within(name, number):
    """A number of its range, as often as not at an end of it."""
    allowed = CASES[name].ranges.get(number, RANGES["finite and >= 0"])
    low, high = allowed.low, allowed.high
    low_allowed, high_allowed = allowed.with_low, allowed.with_high
    least = np.finfo(np.float32).tiny.item()  # of those that arithmetic does not flush to zero
    if number == "eps" and {"eps_root", "consistent_rms"} & {*CASES[name].numbers}:
        # optax's Adam has 0/0 at a gradient of 0 without any, and its Muon divides gradients whose
        # squares vanish, below 1e-19, by eps alone.
        low, low_allowed = 1e-12, True
    beside = [low + max(least, 6e-8 * abs(low)), high * (1 - 6e-8)]
    ends = [x for x in beside + [low] * low_allowed + [high] * high_allowed if abs(x) < math.inf]
    inside = st.floats(max(low, -10.0), min(high, 10.0), allow_subnormal=False)
    inside = inside.map(lambda x: float(np.float32(x)))  # what the optimizer gets
    inside = inside.filter(lambda x: x not in (low, high) and (x == 0 or abs(x) >= least))
    return st.one_of(inside, st.sampled_from(ends)) if ends else inside


@numbered
@given(data=st.data())
def test_numbers_anywhere_in_their_ranges_give_no_nan(name, data):
    numbers = {n: data.draw(within(name, n), label=n) for n in CASES[name].numbers}
    grads = data.draw(histories(magnitudes(10.0)))
    updates = injected(name)({k: jnp.float32(v) for k, v in numbers.items()}, grads)
    assert not any(jnp.isnan(x).any() for x in jax.tree.leaves(updates)), updates
    TRIED["numbers at and near the ends of their ranges"] += 1


# Signs


# Filters take what is not negative, noise has no sign to turn, a second gradient has another's.
ONE_SIDED = ("additive_mean", "running_max", "langevin", "sgld")


@each(
    [name for name in [*LINKS, *WRAPPERS] if name not in ONE_SIDED and not CASES[name].second],
    [name for name in METHODS if not CASES[name].second],
)
@settings(max_examples=5)
@given(grads=histories(magnitudes(1e3)))
def test_turning_all_signs_turns_the_updates(name, grads):
    def updates(sign):
        return signed_run(name)(sign, {k: sign * g for k, g in grads.items()})

    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, -b), updates(1.0), updates(-1.0))


@functools.cache
def signed_run(name):
    """From the sign of the parameters, which stand still, and the gradients to the updates."""
    tx = CASES[name].in_chain()

    def run(sign, grads):
        params = {k: jnp.full(shape, sign * 0.5) for k, shape in SIZES.items()}

        def step(state, grad):
            return tx.update(grad, state, params)[::-1]

        return jax.lax.scan(step, tx.init(params), grads)[1]

    return quick_jit(run)


# Counters


@every_case
def test_steps_beyond_what_the_counter_holds_change_nothing_but_the_count(name):
    rates = {rate: optax.cosine_decay_schedule(0.1, 100) for rate in CASES[name].rates}
    tx, params = CASES[name].in_chain(**rates), parameters()
    state = tx.init(params)
    is_count = functools.partial(jax.tree.map, lambda x: x.dtype in (jnp.int32, jnp.uint32))
    late = jax.tree.map(
        lambda x, count: jnp.full_like(x, INT32 - 1) if count and not x.ndim else x,
        state, is_count(state),
    )  # fmt: skip
    update = quick_jit(tx.update)
    for _ in range(3):
        updates, late = update(params, late, params)
        assert all_finite(updates)
    found = zip(*map(jax.tree.leaves, (late, is_count(late))), strict=True)
    counts = [x for x, counts in found if counts and not x.ndim]  # not the numbers of a key
    assert all(x == INT32 or x.dtype == jnp.uint32 for x in counts)


# What belongs elsewhere


SHAPED = {"matrix": jnp.ones((2, 3)), "vector": jnp.ones(3)}
OTHERS = {  # most of which NumPy would broadcast
    "a leaf too few": {"matrix": jnp.ones((2, 3))},
    "a leaf too many": SHAPED | {"other": jnp.ones(3)},
    "another name": {"matrix": jnp.ones((2, 3)), "vectors": jnp.ones(3)},
    "a row": SHAPED | {"matrix": jnp.ones((1, 3))},
    "a column": SHAPED | {"vector": jnp.ones((3, 1))},
    "one number": SHAPED | {"vector": jnp.ones(1)},
    "a scalar": SHAPED | {"vector": jnp.ones([])},
    "a vector for a matrix": SHAPED | {"matrix": jnp.ones(3)},
    "an axis too many": SHAPED | {"vector": jnp.ones((1, 3))},
    "a list": [jnp.ones((2, 3)), jnp.ones((3, 1))],
}
# What they keep is no gradient's.
OF_PARAMETERS = ("average_iterates", "averaged_sgd", "langevin", "sgld")
OF_SHAPE = r"(parameters and the updates differ|state belongs to another optimizer)"


def assert_refused(what, said, update, *args):
    """A ValueError says so; nothing but shapes is handed over."""
    try:
        jax.eval_shape(update, *args)
    except ValueError as error:
        assert re.search(said, str(error)), f"{what}: {error}"
    else:
        pytest.fail(f"{what} is not refused")
    TRIED["gradients, parameters and states from elsewhere"] += 1


@every_case
def test_gradients_of_another_structure_are_refused_not_broadcast(name):
    tx = CASES[name].in_chain()
    state = jax.eval_shape(tx.init, SHAPED)
    by_names = any(x.ndim for x in jax.tree.leaves(state)) and name not in OF_PARAMETERS
    for what, grads in OTHERS.items():
        said = OF_SHAPE
        if what == "another name":
            if not by_names:
                continue  # nothing of it is by name, or what is by name are the parameters
            said = rf"{OF_SHAPE}|pytree structure error"  # of a link whose state has no names
        assert_refused(what, said, tx.update, grads, state, SHAPED)


@every_case
def test_parameters_of_another_structure_are_refused_not_broadcast(name):
    tx = CASES[name].in_chain()
    state = jax.eval_shape(tx.init, SHAPED)
    by_names = "params" in needs(tx)
    for what, params in OTHERS.items():
        if what == "another name" and not by_names:
            continue  # a box around a leaf has another name too
        said = rf"{OF_SHAPE}|pytree structure error|Dict key mismatch"
        assert_refused(what, said, tx.update, SHAPED, state, params)


FOREIGN = "state belongs to another optimizer"


@every_case
def test_a_state_of_other_parameters_is_refused(name):
    tx = CASES[name].in_chain()
    own = jax.eval_shape(tx.init, SHAPED)
    for what, other in OTHERS.items():
        state = jax.eval_shape(tx.init, other)
        if state != own:  # otherwise it keeps nothing of them
            assert_refused(what, FOREIGN, tx.update, SHAPED, state, SHAPED)


OPTAXES = {"optax.adamw": optax.adamw(1e-3), "optax.lion": optax.lion(1e-3)}


@functools.cache
def states_of_others():
    """Of all links, wrappers and optax, each kind once, by the first who has it."""
    made = {name: CASES[name].in_chain() for name in [*LINKS, *WRAPPERS]} | OPTAXES
    states = {name: jax.eval_shape(tx.init, SHAPED) for name, tx in made.items()} | {"nothing": ()}
    first = {}
    for name, state in states.items():
        first.setdefault((jax.tree.structure(state), *jax.tree.leaves(state)), name)
    return {name: states[name] for name in first.values()}


@every_case
def test_a_state_of_another_optimizer_is_refused_or_is_the_same(name):
    tx = CASES[name].in_chain()
    own = jax.eval_shape(tx.init, SHAPED)
    if not jax.tree.leaves(own):
        return  # it keeps nothing, and hands on what it gets
    for other, state in states_of_others().items():
        if alike(state, own):
            jax.eval_shape(tx.update, SHAPED, state, SHAPED)
        else:
            assert_refused(other, FOREIGN, tx.update, SHAPED, state, SHAPED)


def test_the_error_names_the_place_and_the_remedy():
    tx = gradpow.s3(1e-2)
    with pytest.raises(ValueError, match=r"\['vector'\]: \(3, 1\) and \(3,\)"):
        tx.update(SHAPED, tx.init(SHAPED), OTHERS["a column"])
    with pytest.raises(ValueError, match=r"\.s\['matrix'\].*\(2, 3\).*init\(params\).*tree\.set"):
        tx.update(SHAPED, optax.adamw(1e-3).init(SHAPED), SHAPED)
