"""Rates and memory of the devices: peak rates for MFU, and what is measured for expectations."""

import math
import os
import time
from typing import Any

import jax
import jax.numpy as jnp

# Dense bfloat16 operations a second of one JAX device, from the makers' data sheets. A v2, v3 or
# v7x chip is two devices, a v4 chip one.
PEAK_FLOPS = {
    "TPU v2": 22.5e12,
    "TPU v3": 61.5e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "TPU7x": 1153.5e12,
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
    "NVIDIA B200": 2250e12,
}


def peak_flops(given: float = 0.0) -> float | None:
    """Operations a second of all devices together; None where the kind is not in the table."""
    kind = jax.devices()[0].device_kind
    # The longest name decides, since "TPU v5" begins "TPU v5 lite" too.
    name = max((n for n in PEAK_FLOPS if kind.startswith(n)), key=len, default=None)
    one = given or (PEAK_FLOPS[name] if name else None)
    return one and one * jax.device_count()


def device_memory() -> int:
    """Bytes of one device's memory; CPU devices share the machine's."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // jax.local_device_count()


def tree_bytes(tree: Any) -> int:
    """Bytes on each device, of abstract arrays with shardings."""
    leaves = jax.tree.leaves(tree)
    return sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in leaves)


def in_bytes(number: float) -> str:
    units = ["TB", "GB", "MB", "kB", "B"]
    while number >= 1000 and len(units) > 1:
        number, _ = number / 1000, units.pop()
    return f"{number:.3g} {units[-1]}"


def matrix_rate(n: int = 1024) -> float:
    """Operations a second of float32 matrix products, the best of five."""
    x = jnp.ones((n, n), jnp.float32)
    product = jax.jit(jnp.matmul).lower(x, x).compile()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        product(x, x).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds)
