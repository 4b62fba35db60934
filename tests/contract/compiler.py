"""How the tests compile: quickly, and as users do where the rounding of a program matters.

Most of the tests' time is compilation. As one module and without MLIR's fusion emitters XLA takes
half of its time for a program, and computes the same but for last bits.
"""

from importlib.metadata import version
from typing import Any

# Later versions have no such option, and end the process that asks for one.
HAS_OPTIONS = tuple(map(int, version("jax").split(".")[:2])) < (0, 11)
QUICK: dict[str, Any] = {
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,
}
# XLA's own defaults.
USUAL: dict[str, Any] = {
    "xla_cpu_parallel_codegen_split_count": 32,
    "xla_cpu_use_fusion_emitters": True,
}
if not HAS_OPTIONS:
    QUICK, USUAL = {}, {}


def flags() -> str:
    """For XLA_FLAGS, which must be set before JAX starts."""
    return " ".join(f"--{option}={str(value).lower()}" for option, value in QUICK.items())
