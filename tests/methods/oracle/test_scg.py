"""Stochastic conditional gradient against its loop, and the methods that are rows of its table."""

import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

import gradpow
from gradpow.core import Ball
from tests.contract.case import Case
from tests.contract.exact import (
    assert_same_steps,
    assert_steps_of_loop,
    at,
    divide,
    in_both_types,
    rate,
    settings,
    updates_of,
)
from tests.contract.identities import GRADIENTS, PARAMS, assert_same
from tests.contract.identities import rate as falling
from tests.contract.oracles import oracle, rounding, torch_steps

CASE = Case(gradpow.scg, {"learning_rate": 0.01, "radius": 2.0, "b": 0.9, "p": 3.0}, {"norm": "lp"})


def loop(theta0, gradients, learning_rate, radius=1.0, b=0.9, constrained=True, norm="rms"):
    """Pethick et al. (2025), Algorithms 1 and 2, alpha being 1 - b."""
    theta, d = theta0, np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        d = b * d + (1 - b) * g
        x = np.sign(d) if norm == "linf" else divide(d, np.sqrt(np.mean(d**2)))
        gamma = at(learning_rate, t)
        steps[t] = -gamma * radius * x - (gamma * theta if constrained else 0.0)
        theta = theta + steps[t]
    return steps


def ball(norm):
    """With all axes of a leaf out, so that its norm is over all of it."""
    return lambda path, leaf: Ball(norm, axes=MuonDimensionNumbers((), tuple(range(leaf.ndim))))


@in_both_types
@settings(
    {
        "constrained": {"learning_rate": 0.01, "radius": 2.0, "norm": "linf"},
        "scheduled": {"learning_rate": rate, "b": 0.5, "constrained": False},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    # Where an average crosses 0, its direction has the rounding of its parts; 1.1e-5 was seen.
    assert_steps_of_loop(scg_by_leaf, loop, dtype, float32=5e-5, **numbers)


def scg_by_leaf(learning_rate, norm="rms", **numbers):
    return gradpow.scg(learning_rate, ball(norm), **numbers)


def unconstrained(norm, b, **other):
    return gradpow.scg(falling, norm, b=b, constrained=False, **other)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (unconstrained("linf", 0.0), optax.sign_sgd(falling)),
        (unconstrained("linf", 0.9), optax.signum(falling, 0.9)),
        (unconstrained("l2", 0.0, over="tree"), gradpow.normalized_sgd(falling)),
        (unconstrained("l2", 0.9), gradpow.normalized_sgd(falling, 0.9, over=None)),
        (
            unconstrained("l2", 0.0, over="tree"),
            optax.chain(optax.normalize_by_update_norm(), optax.scale_by_learning_rate(falling)),
        ),
    ],
    ids=["SignSGD", "Signum", "normalized SGD", "with momentum", "optax's normalized SGD"],
)
def test_named_methods_are_its_rows(row, named):
    assert_same(row, named)


def test_with_the_shape_s_factor_it_is_optax_s_muon_without_nesterov():
    """Whose bias correction does not turn the momentum."""
    theta, gradients = PARAMS["matrix"], GRADIENTS["matrix"]
    row = unconstrained("rms_to_rms_max", 0.9)
    muon = optax.contrib.muon(falling, beta=0.9, nesterov=False, eps=0.0)
    expected = updates_of(muon, theta, gradients)
    # The first steps of the iteration expand roundings tenfold; below 1e-5 was seen.
    assert_same_steps(updates_of(row, theta, gradients), expected, 1e-4)


def test_in_linf_it_is_signum_of_pytorch_optimizer():
    def signum(theta0, gradients, learning_rate, b):
        make = oracle("pytorch_optimizer").SignSGD
        numbers = {"lr": at(learning_rate, 0), "momentum": b}
        return torch_steps(lambda p: make(p, **numbers), theta0, gradients, lr=learning_rate)

    def in_linf(**numbers):
        return gradpow.scg(**numbers, norm="linf", constrained=False)

    numbers = {"learning_rate": rate, "b": 0.9}
    assert_steps_of_loop(in_linf, signum, np.float64, rounding=rounding, **numbers)
