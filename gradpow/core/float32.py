"""Floating-point numbers by their bits: powers, cube roots and scales without a loss of digits."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["guarded_divide", "smallest_normal"]


def smallest_normal(x: jax.Array) -> Any:
    """The smallest positive number of x's type that arithmetic does not flush to zero.

    Examples:
      >>> from gradpow.core import smallest_normal
      >>> print(smallest_normal(jnp.float32(1.0)))
      1.1754944e-38
    """
    return jnp.finfo(x.dtype).tiny


@functools.partial(jax.jit, inline=True)
def guarded_divide(n: jax.Array, d: jax.Array) -> jax.Array:
    """n/d for d >= 0, and 0 where d is zero or subnormal (XLA divides by those as by zero)."""
    # NaN < tiny is false, so a NaN denominator stays NaN. Both are chosen before they are divided:
    # slopes stay finite, and XLA does not make n/(c d) of (n/c)/d, where c d may vanish.
    vanished = d < smallest_normal(d)
    return jnp.where(vanished, 0, n) / jnp.where(vanished, 1, d)


def with_sign(y: jax.Array, x: jax.Array) -> jax.Array:
    """y >= 0 with the sign of x; `jnp.copysign` is half as many operations again."""
    integer = jnp.dtype(f"uint{jnp.finfo(y.dtype).bits}")
    bits, sign = (lax.bitcast_convert_type(v, integer) for v in (y, x))
    top = jnp.asarray(1 << (jnp.finfo(y.dtype).bits - 1), integer)
    return lax.bitcast_convert_type(bits | (sign & top), y.dtype)


def powers_of_two(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(2^-e, 2^e) with e the exponent of a >= 0: exact to multiply by, and read off the bits."""
    info = jnp.finfo(a.dtype)
    integer = jnp.dtype(f"int{info.bits}")
    top = 2 * (1 - info.minexp)  # the biased exponents of 2^e and 2^-e add up to twice the bias
    e = jnp.clip(lax.bitcast_convert_type(a, integer) >> info.nmant, 1, top - 1)

    def power(biased: jax.Array) -> jax.Array:
        return lax.bitcast_convert_type(biased << info.nmant, a.dtype)

    return power(top - e), power(e)


def float32_power(a: jax.Array, p: jax.Array) -> jax.Array:
    """a^p for normal a = 2^e m, m in [1/sqrt 2, sqrt 2): 2^k exp(f log 2 + p log m), k + f = pe.

    exp(p log a) loses up to 6 bits to the size of log a. Here the whole part k of pe goes back
    into the exponent unrounded, and f is exact because 12 bits of p times e fit in a float.
    """
    bits = lax.bitcast_convert_type(a, jnp.int32)
    e = (bits - 0x3F3504F3) >> 23  # 0x3F3504F3 is 1/sqrt 2
    m = lax.bitcast_convert_type(bits - (e << 23), jnp.float32)
    e = e.astype(jnp.float32)
    y, k = lax.platform_dependent(e, m, p, cpu=_by_polynomials, default=_by_transcendentals)
    # Two factors, since 2^k alone may leave the float range although y 2^k does not.
    k = jnp.clip(k, -252, 252).astype(jnp.int32)
    half = k >> 1
    return y * _exp2(half) * _exp2(k - half)


def _split(p: jax.Array, e: jax.Array) -> tuple[jax.Array, jax.Array]:
    """p e as a sum whose first part is exact, because 12 bits of p times e fit in a float."""
    high = lax.bitcast_convert_type(lax.bitcast_convert_type(p, jnp.int32) & ~0xFFF, jnp.float32)
    return high * e, (p - high) * e


def _by_transcendentals(e: jax.Array, m: jax.Array, p: jax.Array) -> tuple[jax.Array, jax.Array]:
    """y and a whole k with (2^e m)^p = 2^k y."""
    high, low = _split(p, e)
    k = jnp.round(p * e)
    return jnp.exp((high - k + low) * 0.6931472 + p * jnp.log(m)), k


# log2(1 + x) = x L(x) for 1 + x in [1/sqrt 2, sqrt 2], and 2^x = 1 + x E(x) for x in [-1/2, 1/2]:
# Chebyshev fits, which err by less than float32 rounds.
LOG2 = (1.442695, -0.72134733, 0.48091061, -0.36070483, 0.28791832, -0.23892034, 0.21566986,
        -0.20742104, 0.12614847)  # fmt: skip
EXP2 = (0.6931472, 0.24022651, 0.05550357, 0.009618057, 0.0013390867, 0.00015461447)


def _by_polynomials(e: jax.Array, m: jax.Array, p: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same by multiplications, which XLA fuses into each loop that uses the power.

    On CPU it would store a transcendental with several uses in an array of its own, and that costs
    more than all else in an update. An accelerator has units for transcendentals.
    """
    high, low = _split(p, e)
    low = low + p * ((m - 1) * _polynomial(LOG2, m - 1))
    k = jnp.round(high + low)
    x = (high - k) + low
    return 1 + x * _polynomial(EXP2, x), k


def _polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    *lower, y = coefficients
    for c in reversed(lower):
        y = y * x + c
    return jnp.asarray(y)


def _exp2(k: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type((k + 127) << 23, jnp.float32)


def float32_cbrt(a: jax.Array) -> jax.Array:
    """The cube root of a normal a, as a y^2 with y = a^{-1/3}: no division, no transcendental."""
    bits = lax.bitcast_convert_type(a, jnp.uint32)
    # bits / 3 by shifts, 1/4 + 1/16 + ..., since a TPU's compiler takes long over a division.
    third = (bits >> 2) + (bits >> 4)
    third = third + (third >> 4)
    third = third + (third >> 8)
    third = third + (third >> 16)
    # A third of the exponent, negated; the constant makes the guess err by less than 4%.
    y = lax.bitcast_convert_type(0x54A21D2A - third, jnp.float32)
    c = 1 - a * y * y * y  # the true y is y (1 - c)^{-1/3}
    y = y + y * (c * (1 / 3 + c * (2 / 9)))
    t = a * y * y
    c = 1 - t * y  # and the true root t (1 - c)^{-2/3}
    t = t + t * (c * (2 / 3 + c * (5 / 9)))
    return jnp.where(a < jnp.inf, t, a)
