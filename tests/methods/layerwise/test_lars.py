"""The three forms of LARS against their loop, and optax's as one of them."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import SCHEDULED, assert_steps_of_loop, at, in_both_types, settings
from tests.contract.identities import MASK, assert_same, rate, updates_on_two_leaves

CASE = Case(
    gradpow.lars,
    {"learning_rate": 0.1, "momentum": 0.9, "coefficient": 0.1, "weight_decay": 0.1},
)


def bounded(norm):
    return jnp.clip(norm, 1.0, 2.0)


def loop(
    theta0,
    gradients,
    learning_rate,
    momentum=0.9,
    coefficient=1e-3,
    weight_decay=0.0,
    bounds=(0.0, np.inf),
    form="paper",
):
    """You et al. (2017), Algorithm 1; with the norm of the sum; You et al. (2020), Algorithm 1."""
    theta = theta0
    v = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)

    def ratio(length, decay=0.0):
        norm = np.linalg.norm(theta)
        if length == 0 or norm == 0:
            return 1.0
        return coefficient * np.clip(norm, *bounds) / (length + decay * norm)

    for t, g in enumerate(gradients):
        eta, decay = at(learning_rate, t), at(weight_decay, t)
        u = g + decay * theta
        if form == "lamb":
            v = momentum * v + (1 - momentum) * u
            steps[t] = -eta * ratio(np.linalg.norm(v)) * v
        else:
            of_both = np.linalg.norm(g), decay
            local = ratio(*of_both) if form == "paper" else ratio(np.linalg.norm(u))
            v = momentum * v + eta * local * u
            steps[t] = -v
        theta = theta + steps[t]
    return steps


@in_both_types
@pytest.mark.parametrize("form", ["paper", "norm", "lamb"])
@settings(
    {
        "default": {"learning_rate": 0.25},
        "scheduled": {
            **SCHEDULED, "momentum": 0.5, "coefficient": 0.25, "bounds": (1.0, 2.0),
        },
    }
)  # fmt: skip
def test_steps_are_those_of_the_loop(numbers, form, dtype):
    def factory(bounds=None, **given):
        return gradpow.lars(**given, phi=None if bounds is None else bounded)

    # In "lamb" the norm is at times that of one average which crosses 0, with its parts' rounding.
    float32 = 1e-4 if form == "lamb" else 1e-5
    assert_steps_of_loop(factory, loop, dtype, float32=float32, form=form, **numbers)


def test_with_the_norm_of_the_sum_it_is_optax_s_and_the_paper_s_is_another():
    numbers = {"momentum": 0.9, "weight_decay": 0.5}
    theirs = optax.lars(rate, weight_decay_mask=MASK, trust_coefficient=0.1, **numbers)
    numbers |= {"coefficient": 0.1, "mask": MASK}
    assert_same(gradpow.lars(rate, **numbers, form="norm"), theirs)
    ours = updates_on_two_leaves(gradpow.lars(rate, **numbers))["matrix"]
    apart = np.abs(ours - updates_on_two_leaves(theirs)["matrix"]).max() / np.abs(ours).max()
    assert 1e-3 < apart < 1e-1


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form must be"):
        gradpow.lars(0.1, form="LAMB")
