"""Bytes of optimizer state a parameter, computed from the states' shapes; nothing is allocated.

python -m benchmarks.memory
"""

from typing import Any

import jax
import jax.numpy as jnp

import gradpow

from .methods import METHODS, Make

SIZE = 1024  # of each side of the one matrix that is counted
SETTINGS = {
    "float32 params": (jnp.float32, lambda tx: tx),
    "bfloat16 params": (jnp.bfloat16, lambda tx: tx),
    "low_precision_state": (jnp.float32, gradpow.low_precision_state),
}


def state_bytes(make: Make, setting: str) -> float:
    """Of arrays; counters are not counted."""
    dtype, wrap = SETTINGS[setting]
    params = {"matrix": jax.ShapeDtypeStruct((SIZE, SIZE), dtype)}
    state: Any = jax.eval_shape(wrap(make(1e-3)).init, params)
    arrays = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in arrays) / SIZE**2


def table() -> str:
    lines = [f"| optimizer | {' | '.join(SETTINGS)} |", "|---" * (len(SETTINGS) + 1) + "|"]
    for name, make in METHODS.items():
        cells = [f"{state_bytes(make, setting):.3g}" for setting in SETTINGS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
