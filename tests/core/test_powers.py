"""Signed powers and power means against float64 and long double, and their algebra."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradpow.core import abs_power, power_mean, signed_power
from gradpow.core.powers import _root
from tests.contract.drawn import DECAYS, POWERS, ROUNDING, fractions, numbers, vectors
from tests.contract.trees import usual_jit

TINY, HUGE = (float(x) for x in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
EXPONENTS = (0.1, 1 / 3, 0.5, 1 / 1.8, 0.8, 1.0, 1.2, 2.0, 3.0, 4.0, 7.3)
# Every 8191st positive normal float32, some 1,000 a binade; the prime spreads the mantissas.
POSITIVE = np.arange(0x00800000, 0x7F800000, 8191, dtype=np.uint32).view(np.float32)
NORMAL = np.concatenate([-POSITIVE[::-1], POSITIVE])
BOTH_POWERS = pytest.mark.parametrize("power", [signed_power, abs_power])
HOW = pytest.mark.parametrize("how", ["static", "traced"])

SUBNORMAL = np.float32([1e-45, 1e-40, 1.17e-38, -1e-45, -1e-40, -1.17e-38])
ZEROS_AND_INFINITIES = np.float32([0.0, -0.0, np.inf, -np.inf, np.nan])
INPUT = np.concatenate([NORMAL, ZEROS_AND_INFINITIES, SUBNORMAL])
_traced = {f: usual_jit(f) for f in (signed_power, abs_power)}


@functools.cache
def computed(power, p, how):
    """The powers of all of INPUT, with p a Python float or an argument of the compiled function."""
    y = usual_jit(lambda x: power(x, p))(INPUT) if how == "static" else _traced[power](INPUT, p)
    return np.split(np.asarray(y), np.cumsum([NORMAL.size, ZEROS_AND_INFINITIES.size]))


def exact(power, x, p, dtype=jnp.float32):
    """The power in float64, with p as the array's type holds it."""
    x = np.asarray(x).astype(np.float64)
    y = np.abs(x) ** float(jnp.asarray(p, dtype))
    return np.copysign(y, x) if power is signed_power else y


# Values


@HOW
@pytest.mark.parametrize("p", EXPONENTS)
@BOTH_POWERS
def test_a_power_is_right_to_1e_6_over_the_whole_exponent_range(power, p, how):
    y = computed(power, p, how)[0].astype(np.float64)
    with np.errstate(over="ignore"):
        expected = exact(power, NORMAL, p)
    size = np.abs(expected)
    normal = (size >= TINY) & (size <= HUGE)
    np.testing.assert_allclose(y[normal], expected[normal], rtol=1e-6, atol=0)
    # Outside, but for 1e-6 of the boundary: flushed to zero, or infinite, with the sign kept.
    assert not y[size < TINY * (1 - 1e-6)].any()
    overflow = size > HUGE * (1 + 1e-6)
    np.testing.assert_array_equal(y[overflow], np.copysign(np.inf, expected[overflow]))


@HOW
@pytest.mark.parametrize("p", EXPONENTS)
@BOTH_POWERS
def test_zeros_infinities_and_nan_are_exact(power, p, how):
    y = computed(power, p, how)[1]
    expected = ZEROS_AND_INFINITIES if power is signed_power else np.abs(ZEROS_AND_INFINITIES)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y[:4]), np.signbit(expected[:4]))


@pytest.mark.parametrize("p", [1, 1.0])
def test_phi_1_is_its_argument(p):
    x = jnp.array([1e-40, -2.0])
    assert signed_power(x, p) is x


@HOW
@pytest.mark.parametrize("p", [p for p in EXPONENTS if p != 1])
@BOTH_POWERS
def test_subnormals_flush_to_zero(power, p, how):
    assert not computed(power, p, how)[2].any()


def test_a_power_of_zero_is_one_at_zero_and_everywhere_finite():
    x = np.float32([0.0, -0.0, 1e-40, 1e-38, -3.0, 1e38])
    np.testing.assert_allclose(abs_power(x, 0.0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(_traced[abs_power](x, 0.0), 1.0, rtol=1e-6)


def test_negative_powers_are_right_where_they_are_normal():
    y = np.asarray(_traced[abs_power](POSITIVE, -0.7), np.float64)
    np.testing.assert_allclose(y, exact(abs_power, POSITIVE, -0.7), rtol=1e-6)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_keeps_its_type_and_is_right_to_one_spacing(dtype, p):
    info = jnp.finfo(dtype)
    x = jax.lax.bitcast_convert_type(jnp.arange(2**16, dtype=jnp.uint16), dtype)  # all there are
    x = x[jnp.isfinite(x)]
    y = _traced[signed_power](x, jnp.float32(p))
    assert y.dtype == signed_power(x, p).dtype == dtype
    wide = np.asarray(x.astype(jnp.float32))
    expected = exact(signed_power, wide, p, dtype)
    normal = (np.abs(expected) >= float(info.tiny)) & (np.abs(expected) <= float(info.max))
    normal &= np.abs(wide) >= float(info.tiny)
    y = np.asarray(y.astype(jnp.float32))
    np.testing.assert_allclose(y[normal], expected[normal], rtol=float(info.eps), atol=0)
    assert not y[np.abs(wide) < float(info.tiny)].any()


@pytest.mark.parametrize("p", EXPONENTS)
def test_float64_keeps_its_type_and_is_right_to_1e_15(p):
    x = np.concatenate([-np.geomspace(1e-300, 1e300, 5000), np.geomspace(1e-300, 1e300, 5000)])
    with jax.enable_x64(True):
        y = usual_jit(lambda x: signed_power(x, p))(x)
        assert y.dtype == jnp.float64
    expected = np.copysign(np.abs(x).astype(np.longdouble) ** np.longdouble(p), x)
    normal = (np.abs(expected) > 2.3e-308) & (np.abs(expected) < 1.7e308)
    np.testing.assert_allclose(np.asarray(y)[normal], expected[normal].astype(float), rtol=1e-15)


def test_vmap_over_p_equals_a_loop():
    p = jnp.float32(EXPONENTS)
    swept = usual_jit(jax.vmap(signed_power, (None, 0)))(NORMAL[::999], p)
    for y, single in zip(swept, p, strict=True):
        # Compiled differently, each may round its last bit another way.
        np.testing.assert_allclose(y, _traced[signed_power](NORMAL[::999], single), rtol=1e-6)


# Derivatives

NONZERO = np.concatenate([-np.geomspace(1e-37, 1e37, 75), np.geomspace(1e-37, 1e37, 75)])
NONZERO = NONZERO.astype(np.float32)
SLOPE_EXPONENTS = (0.1, 0.5, 1.0, 1.2, 2.0, 3.0, 7.3)
# p - 1 and p - 2 are rounded: an error of up to 2^-24 in the exponent, times log(1e37) = 85.
SLOPE_TOLERANCE = 1e-5


MODES = {"reverse": jax.grad, "forward": jax.jacfwd}
SECOND = {"reverse_over_reverse": lambda f: jax.grad(jax.grad(f)), "hessian": jax.hessian}


@functools.cache
def slopes_of(mode, power, p, how):
    """Derivatives at NONZERO, and at the two zeros."""
    x = np.concatenate([NONZERO, np.float32([0.0, -0.0])])
    diff = {**MODES, **SECOND}[mode]
    if how == "static":
        y = usual_jit(jax.vmap(diff(lambda x: power(x, p))))(x)
    else:
        y = usual_jit(jax.vmap(diff(power), (0, None)))(x, jnp.float32(p))
    return np.split(np.asarray(y), [NONZERO.size])


def assert_slopes(slopes, expected):
    """Equal wherever the true slope is a finite number; near the ends of float32's range ..."""
    # ... a slope vanishes or overflows with its factors: p (p - 1) or log|x| lie below 100.
    finite = np.abs(expected) < HUGE / 100
    np.testing.assert_allclose(slopes[finite], expected[finite], SLOPE_TOLERANCE, atol=100 * TINY)


@HOW
@pytest.mark.parametrize("p", SLOPE_EXPONENTS)
@pytest.mark.parametrize("mode", MODES)
@BOTH_POWERS
def test_the_slope_is_the_analytic_one_wherever_that_is_finite(power, mode, p, how):
    x, exponent = NONZERO.astype(float), float(np.float32(p))
    expected = exponent * np.abs(x) ** (exponent - 1)
    expected = expected if power is signed_power else np.copysign(expected, x)
    assert_slopes(slopes_of(mode, power, p, how)[0], expected)


@HOW
@pytest.mark.parametrize("p", SLOPE_EXPONENTS[1:])
@pytest.mark.parametrize("mode", SECOND)
def test_the_second_derivative_is_the_analytic_one_wherever_that_is_finite(mode, p, how):
    x, exponent = NONZERO.astype(float), float(np.float32(p))
    factor = exponent * (exponent - 1)
    expected = np.copysign(factor * np.abs(x) ** (exponent - 2), x * factor)
    assert_slopes(slopes_of(mode, signed_power, p, how)[0], expected)


@HOW
@pytest.mark.parametrize("p", SLOPE_EXPONENTS)
@pytest.mark.parametrize("mode", MODES)
def test_the_slope_at_zero_is_one_for_phi_1_and_zero_otherwise(mode, p, how):
    np.testing.assert_array_equal(slopes_of(mode, signed_power, p, how)[1], 1.0 if p == 1 else 0.0)


@HOW
@pytest.mark.parametrize("p", [0.5, 1.0, 1.2, 3.0])
@pytest.mark.parametrize("mode", SECOND)
def test_the_second_derivative_at_zero_is_zero(mode, p, how):
    np.testing.assert_array_equal(slopes_of(mode, signed_power, p, how)[1], 0.0)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, 7.3])
@BOTH_POWERS
def test_the_slope_in_p_is_the_power_times_the_logarithm(power, p):
    x = np.concatenate([NONZERO, np.float32([0.0, -0.0])])
    slopes = usual_jit(jax.vmap(jax.grad(power, argnums=1), (0, None)))(x, jnp.float32(p))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = exact(power, x, p) * np.log(np.abs(x).astype(float))
    assert_slopes(np.asarray(slopes), np.where(x == 0, 0.0, expected))


def test_a_meta_gradient_through_many_powers_stays_finite_at_zero():
    def loss(p, x):
        def body(x, _):
            return signed_power(x, p) + signed_power(x, 1 / p), None

        return jnp.sum(jax.lax.scan(body, x, length=5)[0])

    grads = usual_jit(jax.grad(loss, argnums=(0, 1)))(
        jnp.float32(1.3), jnp.float32([0, 1e-40, 0.1])
    )
    assert all(np.isfinite(g).all() for g in grads)


# Power means

_power_mean = usual_jit(power_mean)


@pytest.fixture(scope="module")
def operands():
    """Pairs from 1e-28 to 1e34: half of them independent, half within e^2 of each other."""
    rng = np.random.default_rng(0)
    x, y = np.exp(rng.uniform(np.log(1e-28), np.log(1e34), (2, 20_000)))
    y[::2] = x[::2] * np.exp(2 * rng.standard_normal(10_000))
    return x.astype(np.float32), np.clip(y, 1e-28, 1e34).astype(np.float32)


@pytest.mark.parametrize(
    ("w", "how"), [(w, "traced") for w in (0.5, 0.95, 0.95**2, 0.999)] + [(0.95, "static")]
)
@pytest.mark.parametrize("p", [1.0, 1.2, 2.0, 3.0, 8.0, 50.0])
def test_a_power_mean_is_right_to_1e_6_from_1e_28_to_1e34(p, w, how, operands):
    x, y = operands
    if how == "static":
        mean = usual_jit(lambda x, y: power_mean(x, y, w, p))(x, y)
        rest = np.float32(1 - w)  # rounded after the subtraction, as JAX does
    else:
        mean = _power_mean(x, y, w, p)
        rest = 1 - np.float32(w)
    x, y, w, rest, p = (np.asarray(a, np.longdouble) for a in (x, y, np.float32(w), rest, p))
    p = np.longdouble(np.float32(p))
    top = np.maximum(x, y)
    expected = top * (w * (x / top) ** p + rest * (y / top) ** p) ** (1 / p)
    np.testing.assert_allclose(np.asarray(mean, float), expected.astype(float), rtol=1e-6)


@pytest.mark.parametrize("p", [1.0, 1.2, 3.0, 50.0])
def test_zero_and_subnormal_operands_count_as_zero(p):
    for dead in (0.0, -0.0, 1e-45, 1e-39):
        dead = np.float32(dead)
        np.testing.assert_allclose(_power_mean(dead, 0.0, 0.9, p), 0.0, atol=TINY)
        for x in np.float32([1e-28, -1.0, 1e34]):
            expected = np.float64(x) * float(np.float32(0.9)) ** (1 / float(np.float32(p)))
            np.testing.assert_allclose(_power_mean(x, dead, 0.9, p), expected, rtol=1e-6)


@pytest.mark.parametrize("k, exact", [(2, np.sqrt), (3, np.cbrt)])
def test_the_square_and_cube_roots_are_right_to_one_spacing(k, exact):
    exponents = np.random.default_rng(0).uniform(np.log(1.2e-38), np.log(8), 200_000)
    x = np.exp(exponents).astype(np.float32)
    truth = exact(x.astype(np.float64))
    found = np.asarray(usual_jit(functools.partial(_root, k=k))(-x))
    assert np.all(np.abs(found + truth) <= np.spacing(truth.astype(np.float32)))


@pytest.mark.parametrize("p", [0.5, 1.0, 1.2, 3.0, 50.0])
def test_an_average_that_decays_through_the_subnormals_is_never_nan(p):
    def decay(x, gradients):
        return jax.lax.scan(lambda x, g: 2 * (power_mean(x, g, 0.9, p),), x, gradients)[1]

    x = np.asarray(usual_jit(decay)(jnp.float32(1e-28), jnp.zeros(15_000)))
    assert not np.isnan(x).any()
    assert (np.diff(x) <= 0).all()
    assert x[-1] < TINY  # 0.9^(n/50) falls from 1e-28 to below it in 11,000 steps


@pytest.mark.parametrize("p", [1.0, 1.2, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("known", [0.0, 1e-30, 1.0, 1e30])
def test_an_operand_known_to_the_compiler_changes_nothing(known, p):
    # As is the gradient of a parameter that the loss does not use. The compiler may reorder
    # products with constants, in which powers of the scale alone would overflow.
    for shape in ((), (3,)):
        x = jnp.full(shape, 1e-28)
        y = jnp.full(shape, known)
        mean = usual_jit(lambda x, y=y: power_mean(x, y, 0.9, p))(x)
        np.testing.assert_allclose(mean, _power_mean(x, y, 0.9, p), rtol=1e-6, atol=TINY)


@pytest.mark.parametrize("p", [1.2, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("mode", MODES)
def test_the_slopes_of_a_power_mean_are_the_analytic_ones(mode, p, operands):
    # A tangent of 1 would flush to zero when brought to the scale of operands above 1e28.
    x, y = operands = np.minimum(operands, np.float32(1e28))
    slopes = usual_jit(jax.vmap(MODES[mode](lambda x, y: power_mean(x, y, 0.9, p), (0, 1))))(x, y)
    mean = np.asarray(_power_mean(x, y, 0.9, p), float)
    for slope, operand, weight in zip(slopes, operands, (0.9, 0.1), strict=True):
        expected = weight * (operand / mean) ** (p - 1)
        # An operand 1e38 times smaller than the other counts as zero: (1e-38)^0.2 = 2.5e-8.
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("p", [1.0, 1.2, 3.0, 8.0])
@pytest.mark.parametrize("mode", MODES)
def test_the_slopes_of_a_power_mean_are_finite_where_operands_are_zero(mode, p):
    x, y = (a.ravel() for a in np.meshgrid(*2 * [np.float32([0, -0.0, 1e-40, 1e-28, 1, 1e34])]))
    slopes = jax.vmap(MODES[mode](power_mean, (0, 1, 2, 3)), (0, 0, None, None))
    assert all(
        np.isfinite(s).all() for s in usual_jit(slopes)(x, y, jnp.float32(0.9), jnp.float32(p))
    )


# Algebra, for whatever hypothesis finds

phi = usual_jit(signed_power)


@given(vectors(numbers(1e-12, 1e12)), POWERS)
def test_phi_is_odd(x, p):
    np.testing.assert_array_equal(phi(-x, p), -phi(x, p))


@given(vectors(numbers(1e-6, 1e6)), fractions(1e-3, 1e3), POWERS)
def test_phi_is_homogeneous(x, c, p):
    np.testing.assert_allclose(phi(x * c, p), phi(c, p) * phi(x, p), rtol=4 * ROUNDING)


@given(vectors(numbers(1e-12, 1e12)), POWERS)
def test_phi_is_monotone_up_to_rounding(x, p):
    y = np.asarray(phi(np.sort(x), p), float)
    assert (np.diff(y) >= -2 * ROUNDING * np.abs(y[1:])).all()


@given(vectors(numbers(1e-6, 1e6)), POWERS)
def test_the_inverse_of_phi_p_is_phi_of_1_over_p(x, p):
    # 1/p is rounded by 6e-8, times log(1e6^3) = 41; the first power's error is divided by p >= 0.3.
    np.testing.assert_allclose(phi(phi(x, p), 1 / np.float32(p)), x, rtol=8 * ROUNDING)


@given(vectors(numbers(1e-6, 1e6)), POWERS, POWERS)
def test_powers_of_powers_multiply(x, p, q):
    pq = np.float32(p) * np.float32(q)
    np.testing.assert_allclose(phi(phi(x, p), q), phi(x, pq), rtol=12 * ROUNDING)


@given(vectors(numbers(1e-25, 1e25)), vectors(numbers(1e-25, 1e25)), DECAYS, fractions(1, 50))
def test_a_power_mean_lies_between_its_operands_and_grows_with_p(x, y, w, p):
    x, y = np.abs(x), np.abs(y)
    m = np.asarray(_power_mean(x, y, w, p))
    assert (m >= np.minimum(x, y) * (1 - ROUNDING)).all()
    assert (m <= np.maximum(x, y) * (1 + ROUNDING)).all()
    assert (_power_mean(x, y, w, p + 1) >= m * (1 - ROUNDING)).all()


@given(
    *2 * [vectors(numbers(1e-5, 1e5))], DECAYS, fractions(1, 50), st.integers(-75, 75)
)  # fmt: skip
def test_a_power_mean_is_exactly_equivariant_to_signs_and_powers_of_two(x, y, w, p, k):
    # Same signs: where operands of opposite sign cancel, p-th roots amplify single bits.
    x, y = np.abs(x), np.abs(y)
    c = -np.float32(2.0**k)
    np.testing.assert_array_equal(_power_mean(c * x, c * y, w, p), c * _power_mean(x, y, w, p))
