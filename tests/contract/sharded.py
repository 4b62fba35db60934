"""Eight devices in a mesh, arrays laid out on it, and what a compiled step exchanges."""

import re
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from examples.pretrain.hlo import arrays
from tests.contract.case import Case

AXIS_TYPES = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}
COLLECTIVES = re.compile(
    r"= (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)(?:-start)?\("
)
Specs = dict[str, PartitionSpec]


def make_mesh(axes: str = "auto") -> jax.sharding.Mesh:
    return jax.make_mesh((2, 4), ("data", "model"), axis_types=2 * (AXIS_TYPES[axes],))


def place(tree: dict[str, Any], specs: Specs, mesh: jax.sharding.Mesh) -> dict[str, Any]:
    return {k: jax.device_put(x, NamedSharding(mesh, specs[k])) for k, x in tree.items()}


def moments(state: Any, params: dict[str, Any], specs: Specs) -> list[tuple[Any, PartitionSpec]]:
    """The leaves in a parameter's place, known by their shapes, each with the parameter's layout.

    Scalars are left out.
    """
    by_shape = {x.shape: specs[k] for k, x in params.items() if x.ndim}
    return [(x, by_shape[x.shape]) for x in jax.tree.leaves(state) if x.shape in by_shape]


def assert_sharded_as_params(state: Any, params: dict[str, Any], specs: Specs, mesh: Any) -> None:
    for leaf, spec in moments(state, params, specs):
        assert leaf.sharding.is_equivalent_to(NamedSharding(mesh, spec), leaf.ndim), leaf.shape


def tolerance(case: Case, step: Any) -> float:
    """All but what is summed over devices, in another order, may differ in a last bit."""
    return case.sharded or (1e-6 if COLLECTIVES.findall(step.as_text()) else 3e-7)


def assert_exchanges_nothing_but_sums(case: Case, step: Any) -> None:
    """A compiled step reduces scalars, and only where the case sums over a tensor or the tree."""
    collectives = COLLECTIVES.findall(step.as_text())
    over = case.sums if collectives else "nothing"
    assert over != "nothing" or not collectives
    for shapes, kind in collectives:
        # Counts, which CPUs make in pairs, are gathered instead: a number of each device.
        if kind == "all-gather" and over == "a tensor":
            found = arrays(shapes)
            assert all(a.dtype == "s32" and a.size <= 8 for a in found), shapes
            continue
        assert kind == "all-reduce"
        assert not re.search(r"\[\d+," if case.by_rows else r"\[\d", shapes), f"not a sum: {shapes}"
