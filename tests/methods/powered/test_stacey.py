"""STACEY against its loop, and Lion as a case of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    counts,
    divide,
    in_both_types,
    settings,
)
from tests.contract.identities import MASK, assert_same, rate
from tests.contract.trees import quick_jit

CASE = Case(
    gradpow.stacey,
    {
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "p": 2.8,
        "mirror_p": 3.5,
        "b1": 0.9,
        "b2": 0.99,
        "alpha": 0.1,
        "tau": 0.1,
        "eps": 1e-6,
    },
    traced=2e-3,  # the slope of the l_p step at 0 is infinite, as below
)


def loop(
    theta0,
    gradients,
    learning_rate,
    p=2.8,
    mirror_p=2.0,
    b1=0.9,
    b2=0.99,
    alpha=0.01,
    tau=0.001,
    eps=1e-8,
    weight_decay=5e-4,
    mirror_init="params",
):
    """Algorithms 2, 3, 4 of Luo et al. (2025) are (p, mirror_p) = (p, 2), (p, p), (2, p)."""
    exponent = 1.0 if np.isinf(p) else (p - 2) / (p - 1)
    q = np.longdouble(mirror_p)
    theta = theta0.astype(np.longdouble)  # z - theta cancels, so both carry extra digits
    m = np.zeros(theta0.shape)
    z = {"params": theta, "zeros": np.zeros(theta0.shape)}[mirror_init]
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        eta = at(learning_rate, t)
        c = b1 * m + (1 - b1) * g
        s = c if p == 2 else divide(c, np.abs(c) ** exponent + eps)
        y_minus_theta = -eta * s
        dual = np.abs(z) ** (q - 2) * z - alpha * c
        z = divide(dual, np.abs(dual) ** ((q - 2) / (q - 1)))
        coupled = tau * (z - theta) + (1 - tau) * y_minus_theta
        step = coupled - eta * at(weight_decay, t) * theta
        steps[t] = step
        theta = theta + step
        m = b2 * m + (1 - b2) * g
    return steps


def cancellation(eps, theta0, expected, numbers):
    """z - theta cancels, and tau of it is taken.

    phi_p errs by 8 eps (1e-6 in float32), and each step rounds both z and theta by eps / 2.
    """
    return numbers["tau"] * (8 + counts(theta0)) * eps * np.abs(theta0)


@in_both_types
@settings(
    {
        "(p, 2)": {"learning_rate": 0.01},
        "(p, 2), scheduled": {**SCHEDULED, "p": 2.5, "eps": 1e-3},
        "(p, p)": {**CONSTANT, "p": 3.0, "mirror_p": 3.0},
        "(2, p)": {**SCHEDULED, "p": 2.0, "mirror_p": 3.5, "tau": 0.1, "alpha": 0.1},
        "no decay": {**CONSTANT, "weight_decay": 0.0, "mirror_p": 4.0, "tau": 0.1},
        "p = inf": {**CONSTANT, "p": float("inf")},
        "zeros": {**CONSTANT, "mirror_p": 2.5, "tau": 0.1, "mirror_init": "zeros"},
    }
)
def test_steps_are_those_of_the_loop(numbers, dtype):
    # The l_p step and the inverse mirror map are roots: their slope at 0 is infinite, and the
    # rounding of a momentum that crosses 0 is multiplied by it. Measured: 1e-4 beyond the floor.
    numbers = {"tau": 0.001, "alpha": 0.01, **numbers}
    assert_steps_of_loop(
        gradpow.stacey, loop, dtype, float32=2e-3, rounding=cancellation, **numbers
    )


def test_with_p_inf_without_tau_and_eps_it_is_lion():
    assert_same(
        gradpow.stacey(rate, p=jnp.inf, tau=0.0, eps=0.0, weight_decay=0.1, mask=MASK),
        optax.lion(rate, weight_decay=0.1, mask=MASK),
    )


def end_on_a_parabola(tau):
    """From 10, at a rate that falls to 0, the mirror sequence hardly moving."""
    inject = optax.inject_hyperparams(gradpow.stacey, ("mask", "mirror_init"))
    tx = inject(falling, p=2.0, mirror_p=2.0, b1=0.0, b2=0.0, alpha=1e-5, tau=tau, weight_decay=0.0)

    def step(carry, _):
        theta, state = carry
        updates, state = tx.update(theta, state, theta)
        return (theta + updates, state), None

    start = jnp.float32(10.0)
    return float(quick_jit(lambda: jax.lax.scan(step, (start, tx.init(start)), None, 2000)[0][0])())


def falling(count):
    return 0.1 * (1 - count / 2000)


def test_a_constant_tau_outlasts_a_rate_that_falls_and_one_that_falls_with_it_does_not():
    """From the recursion, theta ends where eta theta = tau (z - theta), z near 10."""
    assert end_on_a_parabola(0.001) > 1.0
    assert abs(end_on_a_parabola(lambda count: 0.01 * falling(count))) < 0.1
    assert abs(end_on_a_parabola(0.0)) < 1e-3
