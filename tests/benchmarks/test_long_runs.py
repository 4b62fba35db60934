"""Long runs: nothing is compiled anew, nothing piles up, and low precision stays near float64."""

import pytest

from benchmarks import drift, steady
from tests.contract.cases import METHODS, each
from tests.contract.trees import matrix


# What lives outside the optimizer is the same for all; the others are hunted.
@each(["s3"], METHODS)
def test_ten_thousand_steps_compile_once_and_keep_no_array(name):
    early, late = steady.watched(METHODS[name].make(), matrix(), (10, 10_000))
    assert early.compilations == late.compilations == 1
    assert (late.arrays, late.bytes) == (early.arrays, early.bytes)


# Three times the largest that was measured of these optimizers after 20,000 steps, rounded up
# (benchmarks/results/drift.json), whose parameters are 2.5e-5 and 1.2e-2 from float64's in RMS.
BOUNDS = {"float32": (1e-5, 1e-4), "bfloat16": (3e-2, 4e-2)}  # of the steps, of the parameters
LOSS = 3e-3


@pytest.mark.hunt
@pytest.mark.parametrize("name", ["optax.adamw", "adampower", "s3, p=3", "stacey(p,2)"])
def test_twenty_thousand_steps_stay_near_float64(name):
    for row in drift.measure(name, 20_000):
        if row.state in BOUNDS:
            step, params = BOUNDS[row.state]
            assert row.update[-1] < step and row.params[-1] < params
            assert row.loss[-1] == pytest.approx(1, abs=LOSS)
        assert row.not_finite == 0
