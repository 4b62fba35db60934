"""Eight virtual CPU devices for the sharding tests, set before JAX starts; no cache is left on."""

import os

import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)


@pytest.fixture(autouse=True)
def no_compilation_cache_left():
    """Commands turn it on for their whole process; TPUs' programs cannot be read back from it."""
    yield
    import jax  # not before the environment is set

    jax.config.update("jax_compilation_cache_dir", None)
