"""GaLore against its loop, and what it is at full rank."""

import numpy as np
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import assert_same_steps, at, decay, rate, updates_of
from tests.contract.in_bases import assert_steps_in_bases, matrix_problem

NUMBERS = {
    "learning_rate": 0.01, "b1": 0.9, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.1, "scale": 0.5
}  # fmt: skip
# A basis is made across devices, and its vectors turn by more where singular values are near.
CASE = Case(gradpow.galore, NUMBERS, {"rank": 1, "every": 2}, sharded=1e-4)


def loop(theta0, gradients, learning_rate, b1, b2, eps, weight_decay, rank, every, scale):
    """Zhao et al.'s Algorithm 2 on matrices (out, in), with signs that follow the old ones."""
    theta, steps = theta0, np.zeros(gradients.shape)
    m, v = 0.0, 0.0
    old = None
    for t, g in enumerate(np.swapaxes(gradients, 1, 2)):
        right = g.shape[0] >= g.shape[1]
        if t % every == 0:
            u, _, vt = np.linalg.svd(g)
            p = (vt.T if right else u)[:, :rank]
            if old is not None:
                p = p * np.where(np.sum(p * old, axis=0) < 0, -1, 1)
            old = p
        r = g @ p if right else p.T @ g
        m, v = b1 * m + (1 - b1) * r, b2 * v + (1 - b2) * r**2
        n = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        u = scale * (n @ p.T if right else p @ n).T
        steps[t] = -at(learning_rate, t) * (u + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
def test_steps_are_those_of_the_loop(shape):
    numbers = {"b1": 0.9, "b2": 0.95, "eps": 1e-6, "rank": 3, "every": 20, "scale": 0.25}
    rates = {"learning_rate": rate, "weight_decay": decay}
    assert_steps_in_bases(
        lambda: gradpow.galore(**rates, **numbers),
        lambda *problem: loop(*problem, **rates, **numbers),
        shape,
        steps=(0, 1, 20, 57) if shape[0] < shape[1] else (),
    )


def test_at_full_rank_it_is_adadiag_of_the_shorter_side():
    theta0, gradients = map(np.float32, matrix_problem((3, 5), 30))
    numbers = {"learning_rate": 0.1, "b2": 0.95, "eps": 1e-6, "every": 8}
    one = gradpow.galore(**numbers, rank=3, scale=1.0)
    other = gradpow.adadiag(**numbers, sides="in")
    assert_same_steps(*(updates_of(tx, theta0, gradients) for tx in (one, other)), 1e-5)
