"""COSMOS against its loop, in the paper's form and in the authors' code's."""

import numpy as np
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import at, decay, rate
from tests.contract.in_bases import assert_steps_in_bases

NUMBERS = {
    "learning_rate": 0.01, "b1": 0.9, "b2": 0.95, "eps": 0.1, "weight_decay": 0.1,
    "gamma": 0.5, "rms": 0.2,
}  # fmt: skip
# A basis is made across devices.
CASE = Case(gradpow.cosmos, NUMBERS, {"rank": 1}, sharded=1e-4)


def newton_schulz(x):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (np.linalg.norm(x) + 1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.T


def of_rms(x, target):
    return target * np.sqrt(x.size) * x / np.linalg.norm(x)


def loop(theta0, gradients, learning_rate, weight_decay, b1, b2, eps, rank, gamma, rms, nesterov):
    """Liu et al.'s Algorithm 1 on matrices (out, in), with the code's first U, and its m."""
    theta, steps = theta0, np.zeros(gradients.shape)
    m, v = 0.0, 0.0
    for t, g in enumerate(np.swapaxes(gradients, 1, 2)):
        gram = g.T @ g
        if t == 0:
            u = np.linalg.svd(gram)[0][:, :rank]
            s = (1 - b2) * u.T @ gram @ u
        else:
            average = b2 * u @ s @ u.T + (1 - b2) * gram
            u, _ = np.linalg.qr(b2 * u @ s + (1 - b2) * gram @ u)
            s = u.T @ average @ u
        v = b2 * v + (1 - b2) * (g @ u) ** 2
        v_hat = v / (1 - b2 ** (t + 1))
        if nesterov:
            m = b1 * m + g
            c = (g + b1 * m) / (1 + b1 * (1 - b1 ** (t + 1)) / (1 - b1))
        else:
            m = b1 * m + (1 - b1) * g
            c = m / (1 - b1 ** (t + 1))
        a = c @ u / (np.sqrt(v_hat) + eps) @ u.T
        x = of_rms(a + of_rms(newton_schulz(c - c @ u @ u.T), gamma), rms)
        steps[t] = -at(learning_rate, t) * (x.T + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@pytest.mark.parametrize(("shape", "nesterov"), [((4, 6), False), ((6, 4), True)])
def test_steps_are_those_of_the_loop(shape, nesterov):
    numbers = {"b1": 0.9, "b2": 0.95, "eps": 1e-8, "rank": 2, "gamma": 0.2, "rms": 0.1}
    rates = {"learning_rate": rate, "weight_decay": decay}
    assert_steps_in_bases(
        lambda: gradpow.cosmos(**rates, **numbers, nesterov=nesterov),
        lambda *problem: loop(*problem, **rates, **numbers, nesterov=nesterov),
        shape,
        # Five steps multiply by 3.4445^5 = 485 what rounding leaves of c U U' in its complement.
        float32=485 * 10 * np.finfo(np.float32).eps,
        steps=() if nesterov else (0, 1, 57),
    )
