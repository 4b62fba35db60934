"""One of several processes that update the same params: its arguments are OUT PORT PROCESS OF N.

Eight devices in all, or one: what comes out is written by the first process to OUT.
"""

import os
import sys

from tests.contract.compiler import flags

if __name__ == "__main__":
    out, port, process, processes, devices = sys.argv[1], *map(int, sys.argv[2:])
    os.environ["JAX_PLATFORMS"] = "cpu"
    its_devices = f"--xla_force_host_platform_device_count={devices // processes}"
    os.environ["XLA_FLAGS"] = f"{flags()} {its_devices}"

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

if __name__ == "__main__" and processes > 1:
    # Before the twins are imported, some of which compute.
    jax.distributed.initialize(f"localhost:{port}", processes, process)

from tests.contract import cases

# Their sums are over coordinates of a tensor, or they multiply matrices: test_sharding.py tries
# them on the eight devices of one process.
IN_ONE_PROCESS = {
    "adaptive_inertia", "factored", "pooled", "pooled_columns", "pooled_tree", "remove_radial",
    "gram_precondition", "gram_precondition_flat", "amos_scale", "norm_scale", "norm_scale_tree",
    "trust_ratio", "norm_control", "dasgo", "adamp", "normalized_sgd",
    "asam", "ascend", "clip_by_tensor_norm", "dual_norm_scale", "graft", "in_basis",
    "kronecker_precondition", "kronecker_precondition_mean", "kronecker_precondition_shorter",
    "lmo", "lmo_rows", "lmo_spectral", "lmo_tree", "looksam", "low_rank_momentum", "mars", "muon",
    "orthogonalize", "orthogonalize_svd", "sam", "set_rms", "split_subspace", "storm_step",
}  # fmt: skip
CASES = {
    name: case
    for name, case in cases.CASES.items()
    if cases.is_hunted(name) and name not in IN_ONE_PROCESS
}
SHAPES = {"rows": ((64, 24), ("pod",)), "columns": ((24, 64), (None, "pod")), "all": ((5,), ())}
STEPS = 3


def fixed(seed):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape, np.float32) for name, (shape, _) in SHAPES.items()}


def updated(case, mesh):
    """Params and state after some steps on fixed gradients, gathered."""

    def put(values):
        return {
            name: jax.make_array_from_callback(
                value.shape,
                NamedSharding(mesh, PartitionSpec(*SHAPES[name][1])),
                lambda index, value=value: value[index],
            )
            for name, value in values.items()
        }

    tx, params = case.in_chain(), put(fixed(0))
    state = jax.tree.map(lambda x: everywhere(x, mesh), tx.init(params))

    @jax.jit
    def step(params, grads, state):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for seed in range(1, STEPS + 1):
        params, state = step(params, put(fixed(seed)), state)
    return jax.tree.leaves(multihost_utils.process_allgather((params, state), tiled=True))


def everywhere(x, mesh):
    """A counter, which init makes on one device, on all of them."""
    if len(jnp.asarray(x).sharding.device_set) == mesh.size:
        return x
    return multihost_utils.host_local_array_to_global_array(np.asarray(x), mesh, PartitionSpec())


def main():
    mesh = Mesh(np.array(jax.devices()), ("pod",))
    found = {
        f"{name}/{i:02}": leaf
        for name, case in CASES.items()
        for i, leaf in enumerate(updated(case, mesh))
    }
    if process == 0:
        np.savez(out, **found)


if __name__ == "__main__":
    main()
