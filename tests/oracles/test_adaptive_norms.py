"""Methods with norms, blocks and inertia beside the packages that have them.

PyTorch has the channels of a tensor on its first axis.
"""

import numpy as np
import pytest

import gradpow
from gradpow.transforms import Blocks
from tests.contract.exact import (
    ADAM,
    SCHEDULED,
    assert_steps_of_loop,
    problem,
    rate,
)
from tests.contract.oracles import oracle, rounding, torch_steps
from tests.transforms.direction.test_remove_radial import on_signs

PROJECTION = {"delta": 1.5, "wd_ratio": 0.25, "eps": 1e-3, "axis": 0}


def steps_of(package, name, theta0, gradients, learning_rate, weight_decay=0.0, **given):
    make = getattr(oracle(package), name)
    return torch_steps(
        lambda x: make(x, lr=0.1, **given),
        theta0,
        gradients,
        lr=learning_rate,
        weight_decay=weight_decay,
    )


def assert_steps_of(factory, loop, **numbers):
    assert_steps_of_loop(factory, loop, np.float64, rounding=rounding, **numbers)


def test_adamp_of_its_authors():
    def loop(*problem, b1, b2, axis, **numbers):
        return steps_of("adamp", "AdamP", *problem, betas=(b1, b2), **numbers)

    assert_steps_of(*on_signs(gradpow.adamp, loop), **SCHEDULED, **ADAM, **PROJECTION)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgdp_of_pytorch_optimizer(nesterov):
    def loop(*problem, axis, **numbers):
        return steps_of("pytorch_optimizer", "SGDP", *problem, **numbers)

    numbers = {"learning_rate": rate, "momentum": 0.5, "nesterov": nesterov, **PROJECTION}
    assert_steps_of(*on_signs(gradpow.sgdp, loop), **numbers)


def test_sgdp_of_its_authors_keeps_the_projected_momentum():
    """By a slip: it subtracts from the momentum in its place."""
    theta0, gradients = problem("matrix")
    numbers = {"learning_rate": rate, "momentum": 0.5, "delta": 1.5, "wd_ratio": 0.25}
    theirs, others = (
        steps_of(package, "SGDP", theta0, np.sign(gradients), **numbers)
        for package in ("adamp", "pytorch_optimizer")
    )
    assert np.abs(theirs - others).max() > 1e-3


@pytest.mark.parametrize("decoupled", [False, True])
def test_adai_of_pytorch_optimizer(decoupled):
    def loop(*problem, b0, b2, eps, decoupled, **numbers):
        numbers |= {"betas": (b0, b2), "eps": eps, "weight_decouple": decoupled}
        return steps_of("pytorch_optimizer", "Adai", *problem, **numbers)

    numbers = {"b0": 0.25, "b2": 0.9, "eps": 1e-3, "decoupled": decoupled, **SCHEDULED}
    assert_steps_of_loop(gradpow.adai, loop, np.float64, whole=True, **numbers)


@pytest.mark.parametrize("kind", ["rows", "heads", "tensor"])
def test_adam_mini_of_its_authors(kind):
    """Its rows and heads are on the first axis; vectors are biases, each coordinate by itself."""
    names = {"rows": "mlp.weight", "heads": "wq.weight", "tensor": "norm.weight"}
    blocks = {"rows": -1, "heads": Blocks(0, 7), "tensor": None}

    def loop(theta0, gradients, learning_rate, b1, b2, eps, weight_decay):
        adam_mini = oracle("adam_mini").Adam_mini
        name = names[kind] if theta0.ndim > 1 else "bias"

        def make(x):
            tx = adam_mini([(name, x[0])], betas=(b1, b2), eps=eps, verbose=False)
            tx.head_numel = theta0.size // 7
            return tx

        rates = {"lr": learning_rate, "weight_decay": weight_decay}
        return torch_steps(make, theta0, gradients, **rates)

    def factory(**given):
        return gradpow.adam_mini(**given, blocks=lambda _, x: blocks[kind] if x.ndim > 1 else ())

    assert_steps_of(factory, loop, eps=1e-3, **SCHEDULED, **ADAM)


def test_adamc_of_pytorch_optimizer():
    """Its eps is divided by the correction, and another of 1e-15 is beside v, which is near 1."""

    def loop(theta0, gradients, learning_rate, b1, b2, eps, weight_decay, peak):
        adamc = oracle("pytorch_optimizer").AdamC

        def make(x):
            group = {"params": x, "normalized": True}
            return adamc([group], lr=peak, betas=(b1, b2), eps=eps)

        rates = {"lr": learning_rate, "weight_decay": weight_decay}
        return torch_steps(make, theta0, gradients, **rates)

    def factory(**given):
        return gradpow.adamc(**given, normalized=lambda path: True)

    numbers = {"eps": 1e-30, "peak": 2.0**-5, **SCHEDULED, **ADAM}
    assert_steps_of(*on_signs(factory, loop), **numbers)


def test_lars_of_torch_optimizer():
    """It multiplies by the rate after the momentum, which is the same at a constant rate."""

    def loop(*problem, decay, coefficient, **numbers):
        numbers |= {"weight_decay": decay, "trust_coefficient": coefficient, "eps": 0.0}
        return steps_of("torch_optimizer", "LARS", *problem, **numbers)

    def factory(decay, **given):
        return gradpow.lars(weight_decay=decay, **given)

    numbers = {"learning_rate": 2.0**-5, "momentum": 0.75, "coefficient": 0.25}
    assert_steps_of(factory, loop, decay=0.125, **numbers)
