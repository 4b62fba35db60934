"""JAX's flags of types and of hunts for faults: what they must not change or refuse."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest

import gradpow
from examples.adaptive_sign_power import adaptive_sign_power
from gradpow import metrics
from tests.contract.cases import CASES, each
from tests.contract.jaxprs import wide_arrays

ALL = {
    "rms": metrics.update_rms,
    "largest": metrics.largest_update,
    "agreement": metrics.sign_agreement,
    "rate": metrics.effective_rate,
    "relative": metrics.relative_update,
    "noise": metrics.noise_to_signal,
    "noise of": functools.partial(metrics.noise_to_signal, per_tensor=True),
    "eps": metrics.eps_share,
    "spikes": metrics.spike_detector(optax.linear_schedule(0.0, 1e-3, 10)),
}
WARMED_UP = optax.linear_schedule(0.0, 1e-3, 10)


def watched():
    return metrics.monitored(gradpow.grams(WARMED_UP), ALL)


def in_a_chain():
    seen = {"spikes": metrics.spike_detector(), "largest": metrics.largest_update}
    return gradpow.chain(optax.scale_by_adam(), optax.monitor(seen), optax.scale(-1e-3))


MADE = {name: case.in_chain for name, case in CASES.items()} | {
    "monitored": watched,
    "optax.monitor": in_a_chain,
    "adaptive_sign_power": lambda: gradpow.chain(adaptive_sign_power()),
}
SCHEDULED = {
    f"{name}, scheduled": lambda case=case: case.in_chain(**dict.fromkeys(case.rates, WARMED_UP))
    for name, case in CASES.items()
    if case.rates
}
SHAPES = {"matrix": (3, 4), "vector": (5,), "scalar": ()}


def types(make, dtype=jnp.float32):
    """Of the state before and after a step, and of the updates."""
    params = {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in SHAPES.items()}
    tx = make()
    state = jax.eval_shape(tx.init, params)
    updates, after = jax.eval_shape(tx.update, params, state, params)
    found = jax.tree_util.tree_leaves_with_path((state, after, updates))
    # Muon's coefficients, a constant of optax's, are cast where they are used.
    return {path: x.dtype for path, x in found if "ns_coeffs" not in jax.tree_util.keystr(path)}


@pytest.mark.parametrize("name", [*MADE, *SCHEDULED])
def test_float64_as_jaxs_default_changes_no_type_of_a_state_or_an_update(name):
    make = (MADE | SCHEDULED)[name]
    usual = types(make)
    with jax.enable_x64(True):
        assert types(make) == usual


@pytest.mark.parametrize("name", MADE)
def test_float64_as_jaxs_default_makes_no_array_of_a_step_wider(name):
    with jax.enable_x64(True):
        params = {n: jax.ShapeDtypeStruct(shape, jnp.float32) for n, shape in SHAPES.items()}
        tx = MADE[name]()
        state = jax.eval_shape(tx.init, params)
        assert not wide_arrays(jax.make_jaxpr(tx.update)(params, state, params).jaxpr)


@pytest.mark.parametrize("name", ["monitored", "optax.monitor", "adaptive_sign_power"])
def test_numbers_of_float64_parameters_are_float64(name):
    with jax.enable_x64(True):
        found = types(MADE[name], jnp.float64)
    assert jnp.float64 in found.values() and jnp.float32 not in found.values()


# Without eps a coordinate that has had no gradient yet is 0/0.
WITHOUT_EPS = {
    f"{name}, {changes}": lambda name=name, changes=changes: CASES[name].in_chain(**changes)
    for name, changes in [
        ("p_norm_scale", {"eps": 0.0}),
        ("lp_steepest", {"eps": 0.0}),
        ("s3", {"eps": 0.0, "p": 1.0}),
        ("stacey", {"eps": 0.0}),
        ("stacey", {"eps": 0.0, "p": float("inf")}),
    ]
}


@each([name for name in (*MADE, *WITHOUT_EPS) if name != "muonpower"], ["muonpower"])  # seconds
def test_healthy_gradients_raise_nothing_where_nan_and_infinity_do(name):
    """Operation by operation, so that nothing within a jitted step would raise either."""
    params = {"alive": jnp.array([[0.5, 0.0], [-1.0, 2.0]]), "dead": jnp.zeros((2, 2))}
    grad = {"alive": jnp.array([[0.1, 0.0], [-2.0, 1e-9]]), "dead": jnp.zeros((2, 2))}
    with jax.debug_nans(True), jax.debug_infs(True):
        tx = (MADE | WITHOUT_EPS)[name]()
        state = tx.init(params)
        for sign in (1, 0, -1):
            _, state = tx.update(optax.tree.scale(sign, grad), state, params)
