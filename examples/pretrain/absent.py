"""Devices that need not be here: programs are compiled for them, and not run."""

import os
from typing import Any

from jax.experimental import topologies

from .errors import UserError, one_line

# What the compiler asks of a GPU, as NVIDIA's driver says it of an H100 SXM5 (132 multiprocessors,
# 50 MiB of L2, 80 GB at 3.35 TB/s), in the text format of XLA's target descriptions.
H100 = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 7 }
runtime_version { major: 13 minor: 0 patch: 0 }
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000
  device_memory_size: 84929347584
  l2_cache_size: 52428800
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
}
"""


def tpus(topology: str) -> Any:
    """The devices of a TPU slice by generation and shape, as in v5e:4x4."""
    # libtpu otherwise asks the cloud's metadata server which machine this is, and refuses to load
    # in two processes at once.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    options: dict[str, Any] = {}
    if topology.endswith(":1x1"):
        options["chips_per_host_bounds"] = [1, 1, 1]
    if topology.startswith("v4:"):
        # One device a chip, as JAX shows a v4 in the cloud.
        options["chip_config_name"] = "megacore"
    try:
        return topologies.get_topology_desc(topology, platform="tpu", **options).devices
    except Exception as error:  # libtpu is absent, or has no such slice
        raise UserError(
            f"--topology {topology}: {one_line(error)}; it needs pip install -e '.[pods]' and a "
            "shape as in v5e:4x4"
        ) from None


def chips(devices: Any) -> int:
    """On how many chips they are; a GPU is one itself."""
    return len({tuple(getattr(device, "coords", (device.id,))) for device in devices})


def h100() -> Any:
    """One NVIDIA H100; JAX must run on the CPU, which JAX_PLATFORMS=cpu makes sure of."""
    try:
        return topologies.get_topology_desc(
            platform="cuda", topology="1x1x1", target_config=H100
        ).devices
    except Exception as error:  # the plugin is absent, or does not fit JAX
        raise UserError(
            f"h100: {one_line(error)}; it needs pip install -e '.[h100]' and JAX_PLATFORMS=cpu"
        ) from None
