"""Guarded quotients: the usual ones, and 0 where a denominator has vanished."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from gradpow.core import guarded_divide
from tests.contract.drawn import ROUNDING, numbers, vectors
from tests.contract.trees import usual_jit

TINY = float(np.finfo(np.float32).tiny)
MODES = {"reverse": jax.grad, "forward": jax.jacfwd}
_divide = usual_jit(guarded_divide)


def test_a_quotient_by_zero_or_a_subnormal_number_is_zero():
    n = np.float32([0.0, 1.0, -1.0, 1e-40, 1e-38, np.inf])
    for d in np.float32([0.0, -0.0, 1e-45, 1e-40, 1.17e-38]):
        np.testing.assert_array_equal(_divide(n, jnp.full_like(n, d)), 0.0)


def test_other_quotients_are_the_usual_ones_and_nan_stays_nan():
    n = np.float32([0.0, 3.0, -3.0, 1.0, 1.0, np.nan, np.inf, np.inf])
    d = np.float32([1.0, 2.0, TINY, np.inf, np.nan, 1.0, np.inf, 1.0])
    expected = np.float32([0.0, 1.5, -3.0 / TINY, 0.0, np.nan, np.nan, np.nan, np.inf])
    np.testing.assert_array_equal(_divide(n, d), expected)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_a_quotient_keeps_a_half_precision_type_and_its_guard(dtype):
    tiny = jnp.finfo(dtype).tiny
    quotient = _divide(jnp.ones(2, dtype), jnp.array([4 * tiny, tiny / 4], dtype))
    assert quotient.dtype == dtype
    np.testing.assert_array_equal(quotient, jnp.array([0.25 / tiny, 0.0], dtype))


@pytest.mark.parametrize("mode", MODES)
def test_the_slopes_of_a_quotient_are_finite_where_it_is_guarded(mode):
    n = np.float32([0.0, 1.0, 0.0, 1.0, 6.0])
    d = np.float32([0.0, 0.0, 1e-40, 1e-40, 2.0])
    in_n, in_d = usual_jit(jax.vmap(MODES[mode](guarded_divide, (0, 1))))(n, d)
    np.testing.assert_array_equal(in_n, [0.0, 0.0, 0.0, 0.0, 0.5])
    np.testing.assert_array_equal(in_d, [0.0, 0.0, 0.0, 0.0, -1.5])


@given(vectors(numbers(1e-15, 1e15)), vectors(numbers(1e-15, 1e15)))
def test_a_guarded_quotient_times_its_denominator_is_the_numerator(n, d):
    d = np.abs(d)
    quotient = _divide(n, d)
    np.testing.assert_allclose(quotient * d, np.where(d > 0, n, 0), rtol=ROUNDING)


def test_a_guarded_quotient_of_a_quotient_is_not_divided_by_a_product_that_vanishes():
    quotient = usual_jit(lambda n, c, d: guarded_divide(n / c, d))
    n, c, d = (jnp.full(2, x) for x in (0.0, 0.5, TINY))
    np.testing.assert_array_equal(quotient(n, c, d), 0.0)
