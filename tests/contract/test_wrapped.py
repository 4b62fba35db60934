"""Links and wrappers under schedules, swept numbers, derivatives, and optax's own wrappers."""

import functools
from itertools import chain, repeat

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.cases import CASES, LINKS, METHODS, WRAPPERS, each, every_case, numbered
from tests.contract.trees import (
    all_finite,
    as_arrays,
    assert_close,
    at_step,
    differ,
    gradients,
    matrix,
    parameters,
    quick_jit,
)

STEPS = 5


def tree(name):
    """One matrix, and for Muon, which leaves other leaves to AdamW, a vector."""
    return matrix() | ({"vector": parameters()["vector"]} if name == "muonpower" else {})


def gradient_list(params):
    """Normal gradients of a few steps; a coordinate is always 0, another at times."""
    grads = gradients(params, STEPS)
    grads["matrix"] = grads["matrix"].at[:, 0, 0].set(0).at[::2, 0, 1].set(0)
    return [at_step(grads, i) for i in range(STEPS)]


def updates_of(name, update, state):
    """The updates of a few steps, the params standing still, stacked."""
    params, updates = tree(name), []
    for grad in gradient_list(params):
        step, state = update(grad, state, params)
        updates.append(step)
    return jax.tree.map(lambda *steps: jnp.stack(steps), *updates)


@functools.cache
def static_updates(name):
    tx = CASES[name].in_chain()
    return updates_of(name, quick_jit(tx.update), tx.init(tree(name)))


def changed(number, value):
    """Another value of a number, far enough from the table's to be felt."""
    if number in ("p", "mirror_p", "order"):
        return value + 1
    return {"floor": 1.0, "b1": 0.999, "b3": 0.95}.get(number, 0.6)


def settings(name):
    """The numbers of a case, and again with each of them changed."""
    numbers = dict(CASES[name].numbers)
    return [numbers, *({**numbers, k: changed(k, v)} for k, v in numbers.items())]


SCHEDULED = [
    pytest.param(name, rates, id=f"{name}-{'-'.join(rates)}",
                 marks=[pytest.mark.hunt] * (name in METHODS))
    for name, case in CASES.items()
    for rates in dict.fromkeys([*((rate,) for rate in case.rates), case.rates])
    if rates
]  # fmt: skip


@pytest.mark.parametrize(("name", "rates"), SCHEDULED)
def test_schedules_act_at_their_step_and_constant_ones_are_the_constant(name, rates):
    def jump(before, after):
        return lambda count: jnp.where(count < 2, before, after)

    @quick_jit
    def update(before, after, *args):
        schedules = {rate: jump(before[rate], after[rate]) for rate in rates}
        return CASES[name].in_chain(**schedules).update(*args)

    def run(steps):
        state = CASES[name].in_chain(**{r: jump(0.1, 0.1) for r in rates}).init(tree(name))
        return updates_of(name, lambda *args: update(*next(steps), *args), state)

    low = {rate: CASES[name].numbers[rate] for rate in rates}
    high = {rate: 3 * value for rate, value in low.items()}
    constant, varying = run(repeat((low, low))), run(repeat((low, high)))
    # Traced numbers against static ones.
    assert_close(constant, static_updates(name), 1e-5)
    # From the state of two low steps, since some keep their rate in it.
    assert_close(varying, run(chain(repeat((low, low), 2), repeat((high, high)))), 0)
    assert differ(varying, constant)


@functools.cache
def injected(name):
    """Updates of a case whose numbers are injected, from those at init and those afterwards."""
    case = CASES[name]

    def chain_of(numbers):
        return gradpow.chain(case.injected(**numbers))

    update = quick_jit(chain_of(case.numbers).update)

    def run(at_init, afterwards):
        state = chain_of(at_init).init(tree(name))
        hyperparams = state[0].hyperparams | as_arrays(afterwards)
        return updates_of(name, update, (state[0]._replace(hyperparams=hyperparams),))

    return run


@numbered
def test_injected_numbers_act_as_static_ones_and_can_be_changed_in_the_state(name):
    numbers, *others = settings(name)
    unchanged = injected(name)(numbers, numbers)
    assert_close(unchanged, static_updates(name), CASES[name].traced)
    for number, other in zip(numbers, others, strict=True):
        felt = differ(injected(name)(numbers, other), unchanged)
        assert felt is (number not in CASES[name].at_init), number


@numbered
def test_vmap_over_every_number_is_the_loop_over_its_values(name):
    def update(numbers, *args):
        return CASES[name].in_chain(**numbers).update(*args)

    swept = jax.tree.map(lambda *values: jnp.stack(values), *map(as_arrays, settings(name)))
    states = [CASES[name].in_chain(**n).init(tree(name)) for n in map(as_arrays, settings(name))]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    over_numbers = quick_jit(jax.vmap(update, in_axes=(0, None, 0, None)))
    updates = updates_of(name, functools.partial(over_numbers, swept), state)
    for row, numbers in enumerate(settings(name)):
        swept_row = jax.tree.map(lambda x, row=row: x[:, row], updates)
        assert_close(swept_row, injected(name)(numbers, numbers), 1e-5)


# Rounding to bfloat16 has no derivative. The leaves that muonpower leaves to AdamW are not tried:
# without an eps_root its square root has an infinite slope at 0.
@each([name for name in [*LINKS, *WRAPPERS] if name != "low_precision_state"], METHODS)
def test_meta_gradients_are_right_and_finite_where_gradients_are_zero(name):
    numbers, params = dict(CASES[name].numbers), matrix()
    params["matrix"] = params["matrix"].at[0, 0].set(0)
    weights = gradients(params, 1, seed=1)["matrix"][0]
    grads = jax.tree.map(lambda *g: jnp.stack(g), *gradient_list(params)[:3])

    def loss(numbers, start, grads):
        tx = CASES[name].in_chain(**numbers)

        def step(carry, grad):
            params, state = carry
            updates, state = tx.update(grad, state, params)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(step, (start, tx.init(start)), grads)
        return jnp.sum(weights * (params["matrix"] - start["matrix"]))

    slopes = quick_jit(jax.grad(loss, argnums=(0, 1, 2)))(as_arrays(numbers), params, grads)
    assert all_finite(slopes)
    loss = quick_jit(loss)
    tangent = {k: v for k, v in numbers.items() if k in ("learning_rate", "rate", "p", "alpha")}
    above, below = (
        loss(as_arrays(numbers | {k: scale * v for k, v in tangent.items()}), params, grads)
        for scale in (1.005, 0.995)
    )
    slope = {k: slopes[0][k] * v for k, v in tangent.items()}
    # The central difference errs by the third derivative and by rounding, 0.5% at most.
    size = sum(map(abs, slope.values()))
    assert abs(sum(slope.values()) - (above - below) / 0.01) <= 0.01 * size


def train(tx, params, grads):
    """Params and states after each step of a jitted loop."""

    @quick_jit
    def step(params, state, grad):
        updates, state = tx.update(grad, state, params)
        return optax.apply_updates(params, updates), state

    state, path, states = tx.init(params), [], []
    for grad in grads:
        params, state = step(params, state, grad)
        path.append(params)
        states.append(state)
    return path, states


PARAMS = {"matrix": np.linspace(-1.0, 1.0, 6, dtype=np.float32).reshape(2, 3)}
UNTOUCHED = {"untouched": np.array([0.5, -2.0], np.float32)}


def random_gradients(params, steps=4):
    grads = gradients(params, steps)
    return [at_step(grads, i) for i in range(steps)]


@functools.cache
def trained(name):
    """What the wrapped trainings are compared with: the optimizer alone."""
    return train(CASES[name].in_chain(), PARAMS, random_gradients(PARAMS))


@every_case
def test_masked_leaves_are_left_alone_and_the_others_as_without_mask(name):
    tx = optax.masked(CASES[name].in_chain(), {"matrix": True, "untouched": False})
    path, _ = train(tx, PARAMS | UNTOUCHED, random_gradients(PARAMS | UNTOUCHED))
    expected = UNTOUCHED["untouched"] + sum(
        g["untouched"] for g in random_gradients(PARAMS | UNTOUCHED)
    )
    assert_close(path[-1]["untouched"], expected, 1e-6)
    assert_close(path[-1]["matrix"], trained(name)[0][-1]["matrix"], 1e-6)


@every_case
def test_partitions_train_their_part_alone(name):
    labels = {"matrix": "ours", "untouched": "still"}
    tx = optax.partition({"ours": CASES[name].in_chain(), "still": optax.set_to_zero()}, labels)
    path, _ = train(tx, PARAMS | UNTOUCHED, random_gradients(PARAMS | UNTOUCHED))
    assert_close(path[-1], trained(name)[0][-1] | UNTOUCHED, 1e-6)


# The first difference is 0, and so is all that follows from one step; SOAP's makes a basis alone.
STILL = ("difference", "in_basis", "soap")


@each(
    [n for n in [*LINKS, *WRAPPERS] if n not in STILL and not CASES[n].second],
    [n for n in METHODS if n not in STILL and not CASES[n].second],
)
def test_multi_steps_take_one_step_on_the_mean_gradient(name):
    tx = optax.MultiSteps(CASES[name].in_chain(), every_k_schedule=2)
    grads = [
        {"matrix": part * grad["matrix"]}
        for grad in random_gradients(PARAMS)
        for part in (0.5, 1.5)
    ]
    path, _ = train(tx, PARAMS, grads)
    # The running mean rounds by 1e-7.
    for alone, halfway, whole in zip(trained(name)[0], path[::2], path[1::2], strict=True):
        assert_close(whole, alone, 1e-5)
        assert differ(halfway, whole)


@every_case
def test_apply_if_finite_skips_a_nan_gradient_without_trace(name):
    tx = optax.apply_if_finite(CASES[name].in_chain(), max_consecutive_errors=3)
    grads = random_gradients(PARAMS)
    bad = {"matrix": grads[0]["matrix"].at[0, 0].set(jnp.nan)}
    path, states = train(tx, PARAMS, [*grads[:2], bad, *grads[2:]])
    assert_close((path[2], states[2].inner_state), (path[1], states[1].inner_state), 0)
    assert_close(path[-1], trained(name)[0][-1], 1e-6)


@every_case
def test_schedule_free_evaluates_at_the_mean_of_the_steps_iterates(name):
    tx = optax.contrib.schedule_free(CASES[name].in_chain(), learning_rate=0.1)
    path, states = train(tx, PARAMS, random_gradients(PARAMS))
    average = optax.contrib.schedule_free_eval_params(states[-1], path[-1])
    mean = jax.tree.map(lambda *z: sum(z) / len(z), *(state.z for state in states))
    assert_close(average, mean, 1e-5)
    # Its first step is the optimizer's own.
    assert_close(states[0].z, trained(name)[0][0], 1e-6)


@every_case
def test_lookahead_pulls_the_slow_params_half_way_to_the_fast_ones(name):
    tx = optax.lookahead(CASES[name].in_chain(), sync_period=3, slow_step_size=0.5)
    start = optax.LookaheadParams.init_synced(PARAMS)
    (_, before, after), _ = train(tx, start, random_gradients(PARAMS)[:3])
    alone = trained(name)[0]
    assert_close(before, optax.LookaheadParams(fast=alone[1], slow=PARAMS), 1e-6)
    half_way = jax.tree.map(lambda a, b: (a + b) / 2, PARAMS, alone[2])
    assert_close(after, optax.LookaheadParams.init_synced(half_way), 1e-6)


@every_case
def test_mechanize_starts_with_the_optimizers_step_and_stays_finite(name):
    tx = optax.contrib.mechanize(CASES[name].in_chain(), s_init=1.0)
    path, states = train(tx, PARAMS, random_gradients(PARAMS))
    assert all_finite((path, states))
    assert_close(path[0], trained(name)[0][0], 1e-6)
    assert differ(path[-1], path[0])


@every_case
def test_low_precision_states_are_bfloat16_and_train_as_float32(name):
    tx = gradpow.low_precision_state(CASES[name].in_chain())
    path, states = train(tx, PARAMS, random_gradients(PARAMS))
    assert {x.dtype.name for x in jax.tree.leaves(states[-1]) if x.shape == (2, 3)} <= {"bfloat16"}
    assert jax.tree.map(jnp.result_type, states[-1]) == jax.tree.map(
        jnp.result_type, tx.init(PARAMS)
    )
    moves, alone = (
        jax.tree.map(lambda x, start: x - start, p[-1], PARAMS) for p in (path, trained(name)[0])
    )
    # A few roundings of 2^-8; the most, 3%, in STACEY, whose y is an iterate and no moment.
    assert_close(moves, alone, 0.05)
