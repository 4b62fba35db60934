"""The same bits on one device, on eight, and on two processes of four."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.contract.ports import free_port
from tests.contract.process_worker import CASES
from tests.contract.trees import assert_close

pytestmark = pytest.mark.hunt

WORKER = "tests.contract.process_worker"
ROOT = Path(__file__).parents[2]
LAYOUTS = {"1 x 1": (1, 1), "1 x 8": (1, 8), "2 x 4": (2, 8)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """By layout and case, the arrays of params and state."""
    folder = tmp_path_factory.mktemp("processes")
    started = []
    for name, (processes, devices) in LAYOUTS.items():
        port = free_port()
        for process in range(processes):
            command = [
                sys.executable,
                "-m",
                WORKER,
                folder / name,
                port,
                process,
                processes,
                devices,
            ]
            started.append(
                subprocess.Popen(
                    list(map(str, command)), stderr=subprocess.PIPE, text=True, cwd=ROOT
                )
            )
    for worker in started:
        _, said = worker.communicate(timeout=600)
        assert worker.returncode == 0, said
    found = {}
    for layout in LAYOUTS:
        with np.load(folder / f"{layout}.npz") as arrays:
            for name in CASES:
                found[layout, name] = [arrays[k] for k in arrays if k.startswith(f"{name}/")]
    return found


# What sums in floats over the devices. The masks of AMS and Cautious are counted in integers.
SUMS = {
    "muonpower": 1e-6,
    "spread": 5e-6,  # products of several matrices at once, as many as a device has
    "lp_steepest_scaled": 1e-6,
    "parameter_rms_scale": 1e-6,
    "parameter_rms_scale_rows": 1e-6,
}


@pytest.mark.parametrize("layout", ["1 x 8", "2 x 4"])
@pytest.mark.parametrize("name", [name for name in CASES if name not in SUMS])
def test_without_a_sum_of_floats_over_devices_the_bits_are_those_of_one_device(
    results, name, layout
):
    one, several = results["1 x 1", name], results[layout, name]
    assert len(one) == len(several) > 0
    for a, b in zip(one, several, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("layout", ["1 x 8", "2 x 4"])
@pytest.mark.parametrize("name", SUMS)
def test_with_such_a_sum_they_differ_by_roundings(results, name, layout):
    for a, b in zip(results["1 x 1", name], results[layout, name], strict=True):
        assert_close(b, a, SUMS[name])
