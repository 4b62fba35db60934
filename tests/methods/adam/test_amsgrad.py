"""AMSGrad against its two loops; optax's default is a third form."""

import numpy as np
import optax
import pytest

import gradpow
from tests.contract.case import Case
from tests.contract.exact import (
    ADAM,
    CONSTANT,
    SCHEDULED,
    assert_steps_of_loop,
    at,
    in_both_types,
    settings,
)
from tests.contract.identities import assert_same, rate

CASE = Case(
    gradpow.amsgrad,
    {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.99, "eps": 1e-8, "weight_decay": 0.1},
)


def torch_loop(theta0, gradients, learning_rate, b1, b2, eps=1e-8, weight_decay=0.0):
    """The survey: Adam's corrections, of the largest raw moment."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    top = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v)
        m_hat = m / (1 - b1 ** (t + 1))
        v_hat = top / (1 - b2 ** (t + 1))
        eta = at(learning_rate, t)
        steps[t] = -eta * (m_hat / (np.sqrt(v_hat) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


def paper_loop(theta0, gradients, learning_rate, b1, b2, eps=1e-8, weight_decay=0.0):
    """Reddi et al. (2018), Algorithm 2, with an eps."""
    theta = theta0
    m = np.zeros(theta0.shape)
    v = np.zeros(theta0.shape)
    v_hat = np.zeros(theta0.shape)
    steps = np.zeros(gradients.shape)
    for t, g in enumerate(gradients):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        v_hat = np.maximum(v_hat, v)
        eta = at(learning_rate, t)
        steps[t] = -eta * (m / (np.sqrt(v_hat) + eps) + at(weight_decay, t) * theta)
        theta = theta + steps[t]
    return steps


@in_both_types
@settings({"constant": {**CONSTANT, **ADAM}, "scheduled": {**SCHEDULED, **ADAM, "eps": 1e-3}})
@pytest.mark.parametrize("form, loop", [("torch", torch_loop), ("paper", paper_loop)])
def test_steps_are_those_of_the_loop(form, loop, numbers, dtype):
    assert_steps_of_loop(gradpow.amsgrad, loop, dtype, other={"form": form}, **numbers)


def test_without_corrections_optax_s_is_the_paper_s_and_by_default_neither():
    off = {"bias_correction_mu": False, "bias_correction_nu": False}
    assert_same(gradpow.amsgrad(rate, form="paper"), optax.amsgrad(rate, **off))
    for form in ("torch", "paper"):
        with pytest.raises(AssertionError):
            assert_same(gradpow.amsgrad(rate, form=form), optax.amsgrad(rate))


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match='form must be "torch" or "paper", not \'optax\''):
        gradpow.amsgrad(rate, form="optax")
