"""AdamC against its loop, and AdamW as its case of a constant rate."""

import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    DECAYED,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import MASK, assert_same, rate

CASE = Case(
    gradpow.adamc,
    {
        "learning_rate": 1e-2,
        "b1": 0.9,
        "b2": 0.99,
        "eps": 1e-8,
        "eps_root": 1e-12,
        "weight_decay": 0.1,
        "peak": 0.04,
    },
)


def loop(
    theta0, gradients, learning_rate, b1, b2, eps=1e-8, weight_decay=1e-4, peak=None, corrected=True
):
    """Defazio (2025), of a layer that a normalisation follows, or of another."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        gamma = at(learning_rate, t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        u = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        share = gamma / peak if corrected else 1.0
        steps[t] = -gamma * (u + share * at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@pytest.mark.parametrize("corrected", [True, False])
def test_steps_are_those_of_the_loop(corrected, dtype):
    def factory(corrected, **numbers):
        return gradpow.adamc(**numbers, normalized=lambda path: corrected)

    assert any(DECAYED.values())
    assert_steps_of_loop(
        factory, loop, dtype, **SCHEDULED, **ADAM, eps=1e-3, peak=2.0**-5, corrected=corrected
    )


@settings({"its own": {}, "given": {"peak": 0.01}})
def test_at_a_constant_rate_it_is_adamw(numbers):
    assert_same(
        gradpow.adamc(0.01, weight_decay=0.1, mask=MASK, **numbers),
        optax.adamw(0.01, weight_decay=0.1, mask=MASK),
    )


def test_by_default_the_decay_of_matrices_is_corrected_but_not_of_the_head_or_embeddings():
    names = ("mlp/kernel", "lm_head/kernel", "embed/embedding")
    params = {name: np.ones(1, np.float32) for name in names}
    tx = gradpow.adamc(lambda count: 0.25, weight_decay=1.0, peak=1.0)
    zeros = {name: np.zeros(1, np.float32) for name in names}
    steps, _ = tx.update(zeros, tx.init(params), params)
    assert [float(steps[name][0]) for name in names] == [-0.0625, -0.25, -0.25]


def test_a_schedule_needs_its_peak():
    with pytest.raises(ValueError, match="adamc needs the largest rate of the schedule: pass peak"):
        gradpow.adamc(rate)
