"""Averaged SGD, NAG, NAdam, Adan, AdEMAMix and Amos beside PyTorch's and pytorch-optimizer's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradpow
from gradpow import schedules
from tests.contract.exact import assert_steps_of_loop, decay, rate
from tests.contract.oracles import oracle, rounding, torch_steps

RATES = {"learning_rate": rate}


@pytest.fixture
def doubles():
    """PyTorch keeps scalars such as the product of mu in its default type."""
    torch = oracle("torch")
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(torch.float32)


def assert_same_as(make, factory, **numbers):
    """make is of an oracle: from the parameters to its optimizer; both decay if numbers do."""

    def loop(theta0, gradients, learning_rate, weight_decay=None):
        rates = {"lr": learning_rate, "weight_decay": weight_decay}
        return torch_steps(make, theta0, gradients, **rates)

    assert_steps_of_loop(factory, loop, np.float64, rounding=rounding, **RATES, **numbers)


def test_nag_at_a_constant_rate():
    def loop(theta0, gradients, learning_rate):
        sgd = oracle("torch").optim.SGD
        return torch_steps(
            lambda x: sgd(x, lr=learning_rate, momentum=0.75, nesterov=True), theta0, gradients
        )

    assert_steps_of_loop(
        lambda learning_rate: gradpow.nag(learning_rate, 0.75),
        loop,
        np.float64,
        rounding=rounding,
        learning_rate=0.015625,
    )


def test_averaged_sgd_and_its_mean(doubles):
    """PyTorch's ASGD without its decays; its mean is x_1 first, then that of x_2, ..., x_t."""
    theta = doubles.nn.Parameter(doubles.tensor([1.0, -2.0]))
    asgd = doubles.optim.ASGD([theta], lr=0.125, lambd=0.0, t0=0.0)
    with jax.enable_x64(True):
        params = jnp.array([1.0, -2.0])
        tx, iterates = gradpow.averaged_sgd(0.125), [params]
        state = tx.init(params)
        for t, g in enumerate(np.random.default_rng(0).standard_normal((20, 2)), start=1):
            theta.grad = doubles.tensor(g)
            asgd.step()
            updates, state = tx.update(jnp.asarray(g), state, params)
            params = params + updates
            iterates.append(params)
            np.testing.assert_allclose(params, theta.detach(), rtol=1e-14)
            if t > 1:
                ours = t * gradpow.eval_params(state, params)  # x_0 + ... + x_{t-1}
                theirs = (ours - iterates[0] - iterates[1] + params) / (t - 1)
                np.testing.assert_allclose(asgd.state[theta]["ax"], theirs, rtol=1e-12)


def test_nadam_with_psi(doubles):
    nadam = doubles.optim.NAdam
    assert_same_as(
        lambda x: nadam(
            x, betas=(0.8, 0.95), eps=1e-3, momentum_decay=0.004, decoupled_weight_decay=True
        ),
        lambda learning_rate, weight_decay, mask: gradpow.nadam(
            learning_rate, 0.8, 0.95, 1e-3, 0.004, weight_decay, mask
        ),
        weight_decay=decay,
    )


def test_adan():
    adan = oracle("pytorch_optimizer").Adan
    assert_same_as(
        lambda x: adan(x, betas=(0.95, 0.9, 0.95), eps=1e-3, foreach=False),
        lambda learning_rate, weight_decay, mask: gradpow.adan(
            learning_rate, 0.95, 0.9, 0.95, 1e-3, weight_decay, mask
        ),
        weight_decay=decay,
    )


def test_ademamix_with_its_warm_ups():
    ademamix = oracle("pytorch_optimizer").AdEMAMix
    b3, alpha = schedules.ademamix_b3(0.8, 0.99, 150), schedules.ademamix_alpha(2.0, 150)
    assert_same_as(
        lambda x: ademamix(
            x, betas=(0.8, 0.95, 0.99), alpha=2.0, t_alpha_beta3=150, eps=1e-3, foreach=False
        ),
        lambda learning_rate: gradpow.ademamix(learning_rate, 0.8, 0.95, b3, alpha, 1e-3),
    )


def test_amos_of_whole_tensors():
    """Its sizes go by shapes; it adds eps to v."""
    package = oracle("pytorch_optimizer")
    amos = package.Amos

    def loop(theta0, gradients, learning_rate):
        return torch_steps(
            lambda x: amos(x, beta=0.95, momentum=0.5, eps=0.0, foreach=False),
            theta0,
            gradients,
            lr=learning_rate,
        )

    def factory(learning_rate):
        def size(path, x):
            return 0.5 if x.ndim < 2 else (2 / x.shape[1]) ** 0.5

        return gradpow.amos(learning_rate, 0.95, 0.5, size=size, over=lambda path, x: None)

    assert_steps_of_loop(factory, loop, np.float64, rounding=rounding, **RATES)
