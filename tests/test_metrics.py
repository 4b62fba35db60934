"""The metrics against plain NumPy, within jitted and sharded steps, and the spike detector."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import gradpow
from examples.sweep import count_spikes
from gradpow import metrics, theory
from gradpow.transforms import nesterov_pmoment, p_norm_scale
from tests.contract.cases import METHODS, each
from tests.contract.trees import all_finite, assert_close, gradients, parameters, quick_jit

ALL = {
    "rms": metrics.update_rms,
    "largest": metrics.largest_update,
    "agreement": metrics.sign_agreement,
    "rate": metrics.effective_rate,
    "relative": metrics.relative_update,
    "noise": metrics.noise_to_signal,
    "eps": metrics.eps_share,
}


def flat(tree):
    return np.concatenate([np.ravel(np.asarray(x, np.float64)) for x in jax.tree.leaves(tree)])


def known(seed=0):
    """Updates, gradient and parameters of a small tree."""
    draw = functools.partial(gradients, parameters(), 1)
    u, g = (jax.tree.map(lambda x: x[0], draw(seed=s)) for s in (seed, seed + 1))
    return {"updates": u, "grad": g, "params": parameters()}


def test_metrics_of_the_update_are_numpys():
    given = known()
    u, g, theta = (flat(given[key]) for key in ("updates", "grad", "params"))
    assert_close(metrics.update_rms(**given), np.sqrt(np.mean(u**2)), 1e-6)
    assert_close(metrics.largest_update(**given), np.abs(u).max(), 1e-6)
    assert_close(metrics.sign_agreement(**given), np.mean(u * g < 0), 1e-6)
    norm = np.linalg.norm
    assert_close(metrics.effective_rate(**given), norm(u) / norm(g), 1e-6)
    assert_close(metrics.relative_update(**given), norm(u) / norm(theta), 1e-6)


def test_zeros_neither_agree_nor_disagree_and_tiny_products_do_not_vanish():
    u, g = jnp.array([-1e-30, 0.0, 1.0, -1.0]), jnp.array([1e-30, 1.0, 0.0, -1.0])
    assert metrics.sign_agreement(u, g) == 0.5
    assert metrics.sign_agreement(0 * u, g) == 0
    assert metrics.effective_rate(u, 0 * g) == 0
    assert metrics.relative_update(u, 0 * g) == 0


@pytest.mark.parametrize("count", [2, 5, 400])
@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
def test_noise_to_signal_is_right_from_the_second_step_on(ratio, count):
    # Estimates from 50,000 coordinates scatter by some percent at the ratio of 3.
    tx, size = optax.scale_by_adam(), 50_000

    def step(state, key):
        return tx.update(1 + ratio * jax.random.normal(key, (size,)), state)[1], None

    keys = jax.random.split(jax.random.key(0), count)
    state, _ = jax.lax.scan(step, tx.init(jnp.zeros(size)), keys)
    assert_close(metrics.noise_to_signal(state), ratio, 0.15)


def test_noise_to_signal_is_unknown_at_first_and_infinite_without_signal():
    tx = optax.scale_by_adam()
    state = tx.init(jnp.zeros(3))
    assert jnp.isnan(metrics.noise_to_signal(state))
    _, state = tx.update(jnp.ones(3), state)
    assert jnp.isnan(metrics.noise_to_signal(state))
    _, state = tx.update(-jnp.ones(3), state)
    assert jnp.isinf(metrics.noise_to_signal(state))


def test_noise_is_unknown_where_there_never_was_a_gradient():
    state = scaled_by_adam([{"alive": g, "dead": 0 * g} for g in (1.0, 1.5, 0.5)])
    each = metrics.noise_to_signal(state, per_tensor=True)
    assert jnp.isnan(each["dead"]) and each["alive"] > 0
    assert metrics.noise_to_signal(state) == each["alive"]


def test_flags_that_refuse_nan_and_infinity_get_numbers_that_no_metric_has():
    constant, pure_noise = [{"w": 1.0}], [{"w": 1.0}, {"w": -1.0}]
    with jax.debug_nans(True), jax.debug_infs(True):
        assert jax.jit(metrics.noise_to_signal)(scaled_by_adam(constant)) == -1
        assert metrics.noise_to_signal(scaled_by_adam(pure_noise)) == jnp.finfo(jnp.float32).max
        state = metrics.monitored(gradpow.grams(1e-3), ALL).init(parameters())
    assert all(x == -1 for x in state.measurements.values())


def scaled_by_adam(grads):
    tx = optax.scale_by_adam()
    state = tx.init(jax.tree.map(jnp.float32, grads[0]))
    for grad in grads:
        _, state = tx.update(jax.tree.map(jnp.float32, grad), state)
    return state


def test_small_float64_gradients_have_the_noise_of_large_ones():
    with jax.enable_x64(True):
        tx, found = optax.scale_by_adam(), []
        for scale in (1.0, 1e-30):  # whose squares float32 does not hold
            state = tx.init(jnp.zeros(3))
            for seed in range(3):
                grad = scale * np.random.default_rng(seed).normal(1, 0.5, 3)
                _, state = tx.update(jnp.asarray(grad), state)
            found.append(metrics.noise_to_signal(state))
        assert found[1].dtype == jnp.float64
        assert_close(found[1], found[0], 1e-9)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_metrics_are_float32_or_of_the_arrays_type_if_that_is_wider(dtype):
    def measured(params):
        adam, spikes = optax.scale_by_adam(), metrics.spike_detector()
        _, state = adam.update(params, adam.init(params))
        seen, _ = spikes.update(params, spikes.init(params))
        given = {"updates": params, "grad": params, "params": params, "state": state}
        nothing = {"updates": {}, "grad": {}, "params": {}, "state": state._replace(mu={}, nu={})}
        found = [metric(**given) for metric in ALL.values()]
        of_nothing = [metric(**nothing) for metric in ALL.values()]
        return [*found, seen["largest"], seen["mean"]], of_nothing

    with jax.enable_x64(dtype == "float64"):
        params = jax.tree.map(lambda x: x.astype(dtype), parameters())
        found, of_nothing = jax.eval_shape(measured, params)
    assert {x.dtype for x in found} == {jnp.promote_types(dtype, jnp.float32)}
    assert {x.dtype for x in of_nothing} == {jnp.dtype(jnp.float32)}


def test_gradients_of_another_type_do_not_change_that_of_the_measurements():
    tx = metrics.monitored(optax.sgd(1e-3), {"largest": lambda updates, **_: updates.max()})
    state = tx.init(jnp.ones(2))
    _, after = tx.update(jnp.ones(2, jnp.bfloat16), state)
    assert jax.tree.map(jnp.result_type, after) == jax.tree.map(jnp.result_type, state)


def test_noise_per_tensor_bears_the_tensors_names_and_adds_up():
    tx = optax.scale_by_adam()
    state = tx.init(parameters())
    for seed in range(3):
        _, state = tx.update(known(seed)["grad"], state)
    each = metrics.noise_to_signal(state, per_tensor=True)
    assert set(each) == {"matrix", "vector", "scalar"}
    alone = state._replace(mu=state.mu["vector"], nu=state.nu["vector"])
    assert each["vector"] == metrics.noise_to_signal(alone)
    whole = metrics.noise_to_signal(state)
    assert min(each.values()) <= whole <= max(each.values())


def test_noise_in_adams_of_several_parts_is_that_of_all_parameters():
    grads = [known(seed)["grad"] for seed in range(4)]

    def after(tx):
        state = tx.init(parameters())
        for grad in grads:
            _, state = tx.update(grad, state, parameters())
        return metrics.noise_to_signal(state)

    labels = {"matrix": "a", "vector": "b", "scalar": "b"}
    parts = optax.partition({"a": optax.adam(1e-3), "b": gradpow.grams(1e-2)}, labels)
    assert_close(after(parts), after(optax.adam(1e-3)), 1e-6)
    half = gradpow.chain(gradpow.low_precision_state(optax.scale_by_adam()))
    assert_close(after(half), after(optax.adam(1e-3)), 0.05)  # bfloat16


def test_layers_stacked_by_vmap_are_one_tensor():
    tx, grads = optax.adam(1e-3), gradients({"w": jnp.ones((4, 3))}, 3)["w"]
    plain, stacked = tx.init(grads[0]), jax.vmap(tx.init)(grads[0])
    for grad in grads:
        plain = tx.update(grad, plain)[1]
        stacked = jax.vmap(tx.update)(grad, stacked)[1]
    assert metrics.noise_to_signal(stacked) == metrics.noise_to_signal(plain)
    assert metrics.eps_share(stacked, eps=0.5) == metrics.eps_share(plain, eps=0.5) > 0


def test_the_share_below_eps_is_counted():
    tx = optax.adam(1e-3, b2=0.99)
    state = tx.init(jnp.zeros(4))
    for sign in (1, -1, 1):
        _, state = tx.update(sign * jnp.array([0.0, 1e-9, 2e-8, 1.0]), state)
    share = functools.partial(metrics.eps_share, state, b2=0.99)
    assert [share(eps=eps) for eps in (0.0, 1e-8, 1e-7)] == [0.0, 0.5, 0.75]


def test_metrics_that_read_adam_say_what_to_do_where_there_is_none():
    for metric in (metrics.noise_to_signal, metrics.eps_share):
        with pytest.raises(ValueError, match=rf"{metric.__name__} reads Adam's .*scale_by_adam"):
            metric(gradpow.s3(1e-2).init(parameters()))
        with pytest.raises(ValueError, match=r"b2 must be in \[0, 1\)"):
            metric(optax.adam(1e-3).init(parameters()), b2=1.0)


@each(["s3", "ams", "muonpower"], METHODS)
def test_monitoring_changes_no_step_and_keeps_the_states_structure(name):
    kept = {key: f for key, f in ALL.items() if key not in ("noise", "eps")}
    tx, alone = metrics.monitored(METHODS[name].make(), kept), METHODS[name].make()
    params, grads = parameters(), gradients(parameters(), steps=2)

    @quick_jit
    def run(params, grads):
        def step(carry, grad):
            updates, state = tx.update(grad, carry[0], params)
            expected, other = optax.with_extra_args_support(alone).update(grad, carry[1], params)
            return (state, other), (updates, expected, state.measurements)

        return jax.lax.scan(step, (tx.init(params), alone.init(params)), grads)[1]

    updates, expected, measured = run(params, grads)
    assert_close(updates, expected, 1e-6)
    assert all_finite(measured)
    first = jax.tree.map(lambda x: x[0], (updates, grads))
    assert_close(measured["agreement"][0], metrics.sign_agreement(*first), 1e-6)
    assert_close(measured["largest"][0], np.abs(flat(first[0])).max(), 1e-6)


def test_measurements_are_unknown_before_the_first_step_and_pass_through_map_params():
    tx = metrics.monitored(gradpow.grams(1e-3), ALL)
    state = tx.init(parameters())
    assert all(jnp.isnan(x) for x in state.measurements.values())
    touched = optax.tree.map_params(tx, lambda _: True, state, transform_non_params=lambda _: False)
    assert not any(touched.measurements.values())


def test_sharded_metrics_are_the_unsharded_ones():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    params = {"w": jnp.linspace(-1.0, 1.0, 64).reshape(16, 4)}
    tx = metrics.monitored(gradpow.grams(1e-2), ALL)

    def measured(params):
        state = tx.init(params)
        step = quick_jit(lambda grad, state: tx.update(grad, state, params)[1])
        for grad in gradients(params, 3)["w"]:
            state = step({"w": jax.device_put(1 + grad, params["w"].sharding)}, state)
        return state.measurements

    sharded = jax.device_put(params, NamedSharding(mesh, P("data")))
    assert_close(measured(sharded), measured(params), 1e-5)


def test_optax_monitor_in_a_chain_gets_both_views_of_the_gradient():
    seen = {"agreement": metrics.measure(metrics.sign_agreement), "rms": metrics.update_rms}
    tx = gradpow.chain(
        optax.scale_by_adam(), optax.monitor(seen), optax.scale_by_learning_rate(1e-2)
    )
    params = parameters()
    state = tx.init(params)
    for seed in range(2):
        updates, state = jax.jit(tx.update)(known(seed)["grad"], state, params)
    # Before the learning rate the update points uphill.
    after = metrics.sign_agreement(updates, known(1)["grad"])
    assert_close(optax.tree.get(state, "agreement"), 1 - after, 1e-6)
    assert_close(optax.tree.get(state, "rms"), 100 * metrics.update_rms(updates), 1e-6)
    plain = optax.chain(optax.sgd(1.0), optax.monitor(seen))
    with pytest.raises(TypeError, match="grad"):
        plain.update(params, plain.init(params))


def test_optax_snapshot_takes_a_metric_of_the_updates():
    tx = gradpow.chain(optax.snapshot("largest", metrics.largest_update), gradpow.s3(1e-2))
    _, state = tx.update(parameters(), tx.init(parameters()), parameters())
    assert optax.tree.get(state, "largest") == 2.0


QUIET, BURST = 1000, 60


def train_through_a_burst(direction, rate):
    """Losses and warnings: a coordinate without gradient for long gets a small, steady one.

    One coordinate always fits a noisy target, so that the loss is around 1; the other one meets its
    data late, in a steep valley, at a distance that adds 0.01.
    """
    tx = optax.chain(
        direction,
        optax.monitor({"seen": metrics.spike_detector()}),
        optax.scale_by_learning_rate(rate),
    )
    tx = gradpow.chain(tx)

    def loss(params, noise, met):
        return (params["often"] - noise) ** 2 / 2 + met * 1000 * (params["rarely"] - 0.003) ** 2

    def step(carry, data):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, *data)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), (value, optax.tree.get(state, "seen"))

    rng = np.random.default_rng(0)
    noise = jnp.asarray(rng.choice([-1.4, 1.4], QUIET + BURST) + 0.1 * rng.normal(size=1060))
    met = (jnp.arange(QUIET + BURST) >= QUIET).astype(jnp.float32)
    params = {"often": jnp.zeros([]), "rarely": jnp.zeros([])}
    carry, _ = step((params, tx.init(params)), (noise[0], met[0]))
    _, (losses, seen) = jax.lax.scan(step, carry, (noise[1:], met[1:]))
    return losses.tolist(), np.asarray(seen["spike"]), np.asarray(seen["largest"])


def test_adam_spikes_after_a_quiet_time_and_is_seen_to_while_s3_does_not():
    s3 = gradpow.chain(nesterov_pmoment(0.95), p_norm_scale(0.95, p=3))
    losses, warned, largest = train_through_a_burst(optax.scale_by_adam(), rate=0.03)
    assert count_spikes(losses) > 0
    # Warned at the first gradient after the quiet, of which the loss tells a step later.
    assert np.argmax(warned) == QUIET - 1 < np.argmax(losses)
    assert 2 < largest.max() < theory.adam_update_bound(0.9, 0.999)
    losses, warned, largest = train_through_a_burst(s3, rate=0.03)
    assert count_spikes(losses) == 0
    assert not warned.any()
    assert largest.max() <= 1 + 1e-5


def test_the_detector_warns_of_what_is_not_finite_and_recovers():
    tx = metrics.spike_detector(learning_rate=lambda count: 0.1)
    state = tx.init(jnp.zeros(2))
    seen = []
    for size in (0.05, 0.05, np.nan, 0.05, 0.3, 0.05):
        measured, state = tx.update(jnp.array([size, -size]), state)
        seen.append(bool(measured["spike"]))
    assert seen == [False, False, True, False, True, False]


def test_the_first_steps_of_a_warm_up_are_no_spikes():
    rate = optax.linear_schedule(0.0, 1e-3, 4)
    tx = metrics.spike_detector(rate)
    state, seen = tx.init(jnp.zeros(2)), []
    for step, size in enumerate([1.5, 1.4, 1.6, 1.5, 1.5, 9.0]):
        measured, state = tx.update(rate(step) * jnp.array([size, -size]), state)
        seen.append((float(measured["mean"]), bool(measured["spike"])))
    sizes, warned = zip(*seen, strict=True)
    np.testing.assert_allclose(sizes, [0.0, 1.4, 1.6, 1.5, 1.5, 9.0], rtol=1e-6)
    assert warned == (False, False, False, False, False, True)


def test_a_slow_rise_and_a_large_usual_update_are_no_spikes():
    tx = metrics.spike_detector()
    state, sizes = tx.init(jnp.zeros(2)), [3.0] * 5 + list(np.geomspace(0.5, 5.0, 400))
    for size in sizes:
        measured, state = tx.update(jnp.array([size, -size]), state)
        assert not measured["spike"]
