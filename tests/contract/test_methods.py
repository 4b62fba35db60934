"""What a method owes, a chain of links that passed the contract, beside its twin's own tests.

It is compiled three times more: its step, sharded, with its numbers in the state of
optax.inject_hyperparams, and with schedules. All run on the tree of the stored states.
"""

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import serialization
from jax.sharding import PartitionSpec as P

from tests.contract.cases import METHODS, each, every_method
from tests.contract.sharded import (
    assert_exchanges_nothing_but_sums,
    assert_sharded_as_params,
    make_mesh,
    place,
    tolerance,
)
from tests.contract.stored import (
    BYTES,
    CHANGED,
    OPTIMIZERS,
    STEPS,
    TREE,
    abstract,
    first_gradients,
    steps_of,
    trained,
)
from tests.contract.test_stored_states import assert_means_the_same
from tests.contract.trees import (
    all_finite,
    as_arrays,
    assert_close,
    at_step,
    differ,
    normal,
    quick_jit,
)

SPECS = {"matrix": P("data", "model"), "vector": P("model"), "scalar": P()}


@pytest.fixture(scope="module")
def stored():
    return serialization.msgpack_restore(BYTES.read_bytes())


@every_method
def test_a_stored_state_loads_means_what_it_meant_and_trains_on(name, stored):
    assert name in stored, f"{name} has none yet: python -m tests.contract.stored"
    state = serialization.from_state_dict(abstract()[name], stored[name])
    _, today = trained(name)
    assert jax.tree.structure(state) == jax.tree.structure(today), CHANGED.format(name)
    assert_means_the_same(state, today)
    params = normal(TREE, 0)
    assert all_finite(steps_of(name)(state, first_gradients(), params))


# Gradients of three steps: a first one of 0, one that dies, tiny and huge ones, and both in turn.
CORNERS = ((0, 0, 1), (1, 0, 0), (0, 1e-30, 1e-30), (1e30, -1e30, 1e30), (1e-30, 1e30, 0))


@every_method
def test_zeros_and_numbers_at_the_ends_of_float32_give_finite_steps(name):
    params = normal(TREE, 0)
    for factors in map(jnp.array, CORNERS):
        grads = {leaf: (g.T * factors).T for leaf, g in first_gradients().items()}
        updates, _ = steps_of(name)(OPTIMIZERS[name].init(params), grads, params)
        assert all_finite(updates), factors


@pytest.mark.hunt
@each(METHODS)
def test_every_shape_and_narrow_type_gives_finite_steps(name):
    shapes = {"empty": (0, 3), "one": (1, 1), "scalar": (), "cube": (2, 3, 2), "four": (1, 2, 2, 2)}
    params = normal({f"{leaf} {i}": shape for leaf, shape in shapes.items() for i in range(3)}, 0)
    types = {"0": jnp.float32, "1": jnp.bfloat16, "2": jnp.float16}
    grads = {leaf: x.astype(types[leaf[-1]]) for leaf, x in params.items()}
    tx = METHODS[name].in_chain()
    updates, _ = quick_jit(tx.update)(grads, tx.init(params), params)
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, params)
    assert all(updates[leaf].dtype == g.dtype for leaf, g in grads.items())
    assert all_finite(updates)


@every_method
def test_a_sharded_step_is_the_jitted_one_without_needless_collectives(name):
    case, mesh = METHODS[name], make_mesh()
    tx = case.in_chain()
    with jax.set_mesh(mesh):
        params = place(normal(TREE, 0), SPECS, mesh)
        state, updates = tx.init(params), []
        assert_sharded_as_params(state, params, SPECS, mesh)
        grads = [place(at_step(first_gradients(), i), SPECS, mesh) for i in range(STEPS)]
        step = quick_jit(tx.update, donate_argnums=1).lower(grads[0], state, params).compile()
        for grad in grads:
            taken, state = step(grad, state, params)
            updates.append(taken)
    updates = jax.tree.map(lambda *steps: jnp.stack([*map(jax.device_get, steps)]), *updates)
    assert_close((updates, state), trained(name), tolerance(case, step))
    if case.sharded is None:
        assert_sharded_as_params(state, params, SPECS, mesh)
        assert_exchanges_nothing_but_sums(case, step)


@every_method
def test_injected_numbers_act_as_static_ones_and_leave_the_state_as_it_is(name):
    """optax's own test of its optimizers, `test_optimizers_can_be_wrapped_in_inject_hyperparams`.

    Injected numbers are traced, as those of a sweep are.
    """
    case, params = METHODS[name], normal(TREE, 0)
    tx = case.injected()
    update, state, updates = quick_jit(tx.update), tx.init(params), []
    for i in range(STEPS):
        taken, state = update(at_step(first_gradients(), i), state, params)
        updates.append(taken)
    updates = jax.tree.map(lambda *steps: jnp.stack(steps), *updates)
    expected, (expected_state,) = trained(name)
    assert jax.tree.structure(state.inner_state) == jax.tree.structure(expected_state)
    assert_close((updates, state.inner_state), (expected, expected_state), case.traced)


@each([name for name in METHODS if METHODS[name].rates])
def test_schedules_act_at_their_step_and_constant_ones_are_the_constant(name):
    case, params, jump = METHODS[name], normal(TREE, 0), STEPS - 1

    def scheduled(before, after):
        def at(rate):
            return lambda count: jnp.where(count < jump, before[rate], after[rate])

        return case.in_chain(**{rate: at(rate) for rate in case.rates})

    update = quick_jit(lambda before, after, *args: scheduled(before, after).update(*args))
    low = {rate: case.numbers[rate] for rate in case.rates}
    high = {rate: 3 * value for rate, value in low.items()}

    def taken_by(before, after, states):
        """Updates from each state, the next of which is appended if there is none yet."""
        taken = []
        for i in range(STEPS):
            grad = at_step(first_gradients(), i)
            rates = as_arrays(before), as_arrays(after)
            updates, state = update(*rates, grad, states[i], params)
            states.append(state)
            taken.append(updates)
        return jax.tree.map(lambda *steps: jnp.stack(steps), *taken)

    def fresh():
        return [scheduled(low, low).init(params)]

    varied = fresh()
    constant, varying = taken_by(low, low, fresh()), taken_by(low, high, varied)
    assert_close(constant, trained(name)[0], 1e-5)  # traced rates against static ones
    always_high = taken_by(high, high, varied)
    for i in range(jump):
        assert_close(at_step(varying, i), at_step(constant, i), 0)
    assert_close(at_step(varying, jump), at_step(always_high, jump), 0)
    assert differ(at_step(varying, jump), at_step(constant, jump))


def test_every_method_is_an_optimizer_that_takes_any_extra_argument():
    for name, case in METHODS.items():
        assert isinstance(case.make(), optax.GradientTransformationExtraArgs), name
