"""The examples' programs are small and run for moments here: compiling them well costs the most."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def compiled_in_haste():
    """Without optimisation; and what is compiled once is read back by those that keep a cache."""
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    jax.clear_caches()  # for whatever file comes next
