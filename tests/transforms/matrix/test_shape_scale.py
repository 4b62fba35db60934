"""Scaling by shape against the formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
from optax.contrib import MuonDimensionNumbers

from gradpow.transforms import shape_scale
from tests.contract.case import Case

# All axes are in, so that every leaf has one factor: the contract asks this of what sums nothing.
CASE = Case(
    shape_scale,
    {"factor": 0.2},
    {"rule": "width", "matrices": lambda path, x: MuonDimensionNumbers((*range(x.ndim),), ())},
)


@pytest.mark.parametrize(
    ("rule", "wide", "tall"),
    [
        ("width", np.sqrt(3), 1.0),
        ("rms", 0.2 * np.sqrt(6), 0.2 * np.sqrt(6)),
        ("spectral", np.sqrt(3), np.sqrt(1 / 3)),
    ],
)
def test_the_factor_is_of_the_shape(rule, wide, tall):
    tx = shape_scale(rule, 0.2 if rule == "rms" else 1.0)
    updates, _ = tx.update({"wide": jnp.ones((2, 6)), "tall": jnp.ones((5, 6, 2))}, ())
    np.testing.assert_allclose(updates["wide"], wide, rtol=1e-6)
    np.testing.assert_allclose(updates["tall"], tall, rtol=1e-6)


def test_axes_on_one_side_count_together():
    tx = shape_scale("width", matrices=lambda path, x: MuonDimensionNumbers(0, (1, 2)))
    np.testing.assert_allclose(tx.update(jnp.ones((2, 3, 4)), ())[0], np.sqrt(6), rtol=1e-6)


def test_other_leaves_and_empty_ones_are_left_alone():
    tx = shape_scale("rms", 0.2, lambda path, x: x.ndim == 2)
    updates, _ = tx.update({"b": jnp.ones(3), "e": jnp.ones((0, 3))}, ())
    assert updates["b"].sum() == 3 and updates["e"].shape == (0, 3)


def test_there_are_three_rules():
    with pytest.raises(ValueError, match='rule must be "width" or "rms" or "spectral"'):
        shape_scale("height")  # pyright: ignore[reportArgumentType]
