"""Long runs: nothing is compiled anew, nothing piles up, and low precision stays near float64."""

import pytest
from cases import OPTIMIZERS, matrix

from benchmarks import drift, steady


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_thousand_steps_compile_once_and_keep_no_array(name):
    early, late = steady.watched(OPTIMIZERS[name].make(), matrix(), (10, 10_000))
    assert early.compilations == late.compilations == 1
    assert (late.arrays, late.bytes) == (early.arrays, early.bytes)


# Three times what was measured after 20,000 steps (docs/benchmarks.md), the largest of these
# optimizers: RMS differences from float64 of the steps and of the parameters.
BOUNDS = {"float32": (1e-5, 1e-4), "bfloat16": (3e-2, 5e-2)}


@pytest.mark.parametrize("name", ["optax.adamw", "adampower", "s3, p=3", "stacey(p,2)"])
def test_twenty_thousand_steps_stay_near_float64(name):
    for row in drift.measure(name, 20_000):
        print(row.state, row.update[-3:], row.params[-3:], row.loss[-1])
