"""Schedules: their corners, and the decay that goes with another rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradpow


def test_matched_weight_decay_keeps_rate_times_decay():
    rates, decays = np.array([[1e-4, 3e-3, 0.5], [0.1, 0.01, 0.0]])
    for lr in (1e-5, 2e-4, 1.0):
        for adam_lr, adam_decay in zip(rates, decays, strict=True):
            matched = gradpow.matched_weight_decay(adam_lr, adam_decay, lr)
            assert lr * matched == pytest.approx(adam_lr * adam_decay, rel=1e-14)


def test_warmup_stable_decay_has_the_four_corners_and_is_linear_between_them():
    schedule = gradpow.schedules.warmup_stable_decay(
        2.0, 1000, warmup_steps=100, stable_fraction=0.6, init_value=0.5, end_factor=0.25
    )
    steps = jnp.arange(1500)
    corners = np.interp(steps, [0, 100, 600, 1000], [0.5, 2.0, 2.0, 0.5])
    np.testing.assert_allclose(jax.vmap(schedule)(steps), corners, rtol=1e-6)


def test_warmup_stable_decay_may_lack_its_warm_up_and_its_stable_phase():
    triangle = gradpow.schedules.warmup_stable_decay(1.0, 10, 5, stable_fraction=0.5, end_factor=0)
    corners = np.interp(np.arange(15), [0, 5, 10], [0.0, 1.0, 0.0])
    np.testing.assert_allclose(jax.vmap(triangle)(jnp.arange(15)), corners, atol=1e-6)
    no_warm_up = gradpow.schedules.warmup_stable_decay(1.0, 10, 0)
    assert no_warm_up(0) == 1.0


@pytest.mark.parametrize(
    "arguments", [(1.0, 1000, 801), (1.0, 1000, 0, 1.0), (1.0, 0, 0), (1.0, 1000, -1)]
)
def test_warmup_stable_decay_refuses_phases_that_overlap(arguments):
    with pytest.raises(ValueError, match="warm-up must end"):
        gradpow.schedules.warmup_stable_decay(*arguments)
