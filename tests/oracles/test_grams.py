"""Grams beside the authors' package and pytorch-optimizer's."""

import numpy as np
import pytest

import gradpow
from tests.contract.exact import assert_steps_of_loop, decay, rate
from tests.contract.oracles import (
    decays_first,
    folds_corrections,
    oracle,
    rounding,
    torch_steps,
)


# Grams decays after the step here; both packages decay before it. The authors' folds the bias
# corrections into the rate, by which its eps is another; with eps as large as here one can tell.
@pytest.mark.parametrize(
    "package, as_there",
    [
        ("grams", lambda factory: decays_first(folds_corrections(factory))),
        ("pytorch_optimizer", decays_first),
    ],
)
def test_steps_of_packages(package, as_there):
    def loop(theta0, gradients, learning_rate, b1, b2, eps, weight_decay):
        grams = oracle(package).Grams
        return torch_steps(
            lambda x: grams(x, betas=(b1, b2), eps=eps),
            theta0,
            gradients,
            lr=learning_rate,
            weight_decay=weight_decay,
        )

    assert_steps_of_loop(
        as_there(gradpow.grams),
        loop,
        np.float64,
        rounding=rounding,
        learning_rate=rate,
        b1=0.8,
        b2=0.95,
        eps=1e-3,
        weight_decay=decay,
    )
