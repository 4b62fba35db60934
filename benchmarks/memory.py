"""Bytes of optimizer state a parameter, computed from the states' shapes; nothing is allocated.

python -m benchmarks.memory
"""

import jax
import jax.numpy as jnp

import gradpow
from gradpow import core

from .methods import METHODS, Make

SIZE = 1024  # of each side of the one matrix that is counted
SETTINGS = {
    "float32 params": (jnp.float32, lambda tx: tx),
    "bfloat16 params": (jnp.bfloat16, lambda tx: tx),
    "low_precision_state": (jnp.float32, gradpow.low_precision_state),
}


def state_bytes(make: Make, setting: str) -> float:
    dtype, wrap = SETTINGS[setting]
    params = {"matrix": jax.ShapeDtypeStruct((SIZE, SIZE), dtype)}
    return core.state_bytes(wrap(make(1e-3)), params)


def table() -> str:
    lines = [f"| optimizer | {' | '.join(SETTINGS)} |", "|---" * (len(SETTINGS) + 1) + "|"]
    for name, make in METHODS.items():
        cells = [f"{state_bytes(make, setting):.3g}" for setting in SETTINGS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
