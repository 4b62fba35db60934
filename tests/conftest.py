"""Eight virtual CPU devices and a quick compiler, set before JAX starts; no cache is left on."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.contract.compiler import flags
from tests.contract.tried import TRIED

os.environ["JAX_PLATFORMS"] = "cpu"
# What is asked for outside comes after the quick flags, and has the last word.
os.environ["XLA_FLAGS"] = " ".join(
    [flags(), os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=8"]
)

settings.register_profile("quick", derandomize=True, database=None, deadline=None, max_examples=30)
settings.register_profile("deep", database=None, deadline=None, max_examples=1000)


def pytest_addoption(parser):
    parser.addoption("--deep", action="store_true", help="hunt for faults for minutes, not seconds")
    parser.addoption("--tried", type=Path, help="write here how many inputs were tried; needs -n0")


def pytest_configure(config):
    settings.load_profile("deep" if config.getoption("deep") else "quick")


def pytest_sessionfinish(session):
    if path := session.config.getoption("tried"):
        from examples.pretrain.runs import machine, versions

        about = {"tried": dict(TRIED), "versions": versions(), "machine": machine()}
        path.write_text(json.dumps(about, indent=1) + "\n")


@pytest.fixture
def deep(pytestconfig):
    return pytestconfig.getoption("deep")


@pytest.fixture(autouse=True)
def no_compilation_cache_left():
    """Commands turn it on for their whole process; TPUs' programs cannot be read back from it."""
    yield
    import jax  # not before the environment is set

    jax.config.update("jax_compilation_cache_dir", None)
