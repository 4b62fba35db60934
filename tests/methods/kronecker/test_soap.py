"""SOAP against its loop."""

import numpy as np

import gradpow
from tests.contract.case import Case
from tests.contract.exact import at, decay, rate
from tests.contract.in_bases import assert_steps_in_bases

NUMBERS = {"learning_rate": 0.01, "b1": 0.9, "b2": 0.9, "eps": 1e-3, "weight_decay": 0.1}
# A basis is made across devices, and its vectors turn by more where eigenvalues are near.
CASE = Case(gradpow.soap, NUMBERS, {"every": 2}, sharded=1e-4)


def loop(theta0, gradients, learning_rate, b1, b2, eps, weight_decay, every):
    """Vyas et al.'s Algorithms 3 and 4, with the authors' first step and order; x is (in, out)."""
    *_, m, n = gradients.shape
    theta, steps = theta0, np.zeros(gradients.shape)
    l, r = np.zeros((m, m)), np.zeros((n, n))  # noqa: E741
    q_l, q_r = np.eye(m), np.eye(n)
    first, v = np.zeros((m, n)), np.zeros((m, n))
    for t, g in enumerate(gradients):
        if t > 0:
            first = b1 * first + (1 - b1) * g
            v = b2 * v + (1 - b2) * (q_l.T @ g @ q_r) ** 2
            m_hat, v_hat = first / (1 - b1**t), v / (1 - b2**t)
            steps[t] -= q_l @ (q_l.T @ m_hat @ q_r / (np.sqrt(v_hat) + eps)) @ q_r.T
        steps[t] = at(learning_rate, t) * (steps[t] - at(weight_decay, t) * theta)
        theta = theta + steps[t]
        l, r = b2 * l + (1 - b2) * g @ g.T, b2 * r + (1 - b2) * g.T @ g  # noqa: E741
        if t == 0:
            q_l, q_r = np.linalg.eigh(l)[1][:, ::-1], np.linalg.eigh(r)[1][:, ::-1]
        elif t % every == 0:
            rows = np.argsort(-np.diag(q_l.T @ l @ q_l))
            columns = np.argsort(-np.diag(q_r.T @ r @ q_r))
            v = v[rows][:, columns]
            q_l, q_r = np.linalg.qr(l @ q_l[:, rows])[0], np.linalg.qr(r @ q_r[:, columns])[0]
    return steps


def test_steps_are_those_of_the_loop():
    numbers = {"b1": 0.9, "b2": 0.95, "eps": 1e-8, "every": 7}
    rates = {"learning_rate": rate, "weight_decay": decay}
    assert_steps_in_bases(
        lambda: gradpow.soap(**rates, **numbers),
        lambda *problem: loop(*problem, **rates, **numbers),
        (5, 5),
        steps=(0, 1, 7, 57, 120),
    )
