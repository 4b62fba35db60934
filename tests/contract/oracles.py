"""Optimizers that nobody here wrote, as loops for `assert_steps_of_loop`; float64 is enough.

Their packages are the extra `oracles`; a test whose package is missing is skipped. PyTorch is
imported when such a test runs, so that no other test waits for it.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import optax
import pytest

import gradpow
from gradpow.core import product
from gradpow.transforms import decay_weights
from tests.contract.exact import at


def oracle(package: str) -> ModuleType:
    """The package by the name it is imported by."""
    for name in ("torch", package):
        why = f"{name} is not installed: pip install -e '.[oracles]'"
        module = pytest.importorskip(name, reason=why)
        if name == "torch":
            module.set_num_threads(1)  # the cores are JAX's
    return module


def torch_steps(
    make: Callable[[Any], Any], theta0: np.ndarray, gradients: np.ndarray, **rates: Any
) -> np.ndarray:
    """The steps of the PyTorch optimizer that make returns for a list of parameters.

    Rates are named as in its groups, and may be functions of the step count.
    """
    torch = oracle("torch")
    theta = torch.nn.Parameter(torch.tensor(theta0))
    optimizer = make([theta])
    steps = np.empty_like(gradients)
    for t, gradient in enumerate(gradients):
        optimizer.param_groups[0].update({name: at(rate, t) for name, rate in rates.items()})
        before = theta.detach().clone()
        theta.grad = torch.tensor(gradient)
        optimizer.step()
        steps[t] = theta.detach() - before
    return steps


def rounding(eps: float, theta0: np.ndarray, expected: np.ndarray, numbers: Any) -> np.ndarray:
    """Allowed, since PyTorch rounds parameters twice a step and steps are their differences."""
    del numbers
    return 2 * eps * np.max(np.abs(np.cumsum([theta0, *expected], axis=0)), axis=0)


def decays_first(
    factory: Callable[..., optax.GradientTransformation],
) -> Callable[..., optax.GradientTransformation]:
    """A method that decays after the step, made to decay before it."""

    def make(learning_rate, weight_decay, mask, **numbers):
        return gradpow.chain(
            factory(learning_rate, **numbers),
            decay_weights(product(-1.0, learning_rate, weight_decay), mask),
        )

    return make


def folds_corrections(
    factory: Callable[..., optax.GradientTransformation],
) -> Callable[..., optax.GradientTransformation]:
    """Adam's variant with the eps that acts where bias corrections are folded into the rate."""

    def make(learning_rate, b2, eps, **numbers):
        def acting(count):
            return eps / (1 - b2 ** (count + 1)) ** 0.5

        return optax.inject_hyperparams(factory)(learning_rate, b2=b2, eps=acting, **numbers)

    return make


def divided_by_what_is_kept(steps: np.ndarray) -> np.ndarray:
    """Steps without decay, masked and multiplied by d / (n + 1), as if it were by d / n.

    n is how many of a step's d coordinates its mask keeps.
    """
    kept = np.sum(steps != 0, axis=tuple(range(1, steps.ndim)), keepdims=True)
    return steps * (kept + 1) / np.maximum(kept, 1)
