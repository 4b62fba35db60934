"""The array functions that the transforms share: signed powers, power means, guarded quotients.

Everything is elementwise and keeps the type of its input. In float32 a power costs two
transcendentals whatever the exponent, traced or not, and on CPU two polynomials; in other types it
is ``lax.pow``.
"""

import functools
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
from jax import lax

Scalar = float | jax.Array


def is_static(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a Python number, known before tracing and never swept by vmap."""
    return isinstance(value, int | float)


def smallest_normal(x: jax.Array) -> Any:
    """The smallest positive number of x's type that arithmetic does not flush to zero."""
    return jnp.finfo(x.dtype).tiny


@functools.partial(jax.jit, inline=True)
def guarded_divide(n: jax.Array, d: jax.Array) -> jax.Array:
    """n/d for d >= 0, and 0 where d is zero or subnormal (XLA divides by those as by zero)."""
    # NaN < tiny is false, so a NaN denominator stays NaN. The inner where keeps slopes finite.
    vanished = d < smallest_normal(d)
    return jnp.where(vanished, 0, n / jnp.where(vanished, 1, d))


def abs_power(x: jax.Array, p: Scalar) -> jax.Array:
    """|x|^p, with 0^p = 0 but 0^0 = 1; subnormals count as 0."""
    if is_static(p) and p in (1, 2, 3):
        return signed_power(jnp.abs(x), p)
    return _abs_power(x, jnp.asarray(p, x.dtype))


def signed_power(x: jax.Array, p: Scalar) -> jax.Array:
    """phi_p(x) = sign(x)|x|^p; phi_1 returns x itself."""
    if is_static(p) and p == 1:
        return x
    if is_static(p) and p == 2:
        return x * jnp.abs(x)
    if is_static(p) and p == 3:
        # Not x * x * x: where x = c * 2^126 with a known c, XLA squares the factors first: 0 * inf.
        return x * jnp.abs(x) * jnp.abs(x)
    return _signed_power(x, jnp.asarray(p, x.dtype))


@jax.custom_jvp
def _abs_power(x: jax.Array, p: jax.Array) -> jax.Array:
    return _power(jnp.abs(x), p)


@jax.custom_jvp
def _signed_power(x: jax.Array, p: jax.Array) -> jax.Array:
    return _with_sign(_power(jnp.abs(x), p), x)


# d|x|^p = p phi_{p-1}(x) dx and d phi_p(x) = p |x|^{p-1} dx: each power's slope is the other power,
# so that all orders of derivative are finite wherever the true one is; at 0, phi_1 has slope 1.
def _abs_power_jvp(primals, tangents):
    x, p = primals
    y = _abs_power(x, p)
    return y, _tangent(tangents, y, x, p * _signed_power(x, p - 1))


def _signed_power_jvp(primals, tangents):
    x, p = primals
    y = _signed_power(x, p)
    return y, _tangent(tangents, y, x, p * _abs_power(x, p - 1))


def _tangent(tangents: Any, y: jax.Array, x: jax.Array, slope: jax.Array) -> jax.Array:
    # Where the power overflows its slope may be finite, but y log|x| times a zero dp would be NaN.
    dx, dp = tangents
    zero = jax.custom_derivatives.SymbolicZero
    in_x = jnp.zeros_like(y) if isinstance(dx, zero) else slope * dx
    return in_x if isinstance(dp, zero) else in_x + y * _log_abs(x) * dp


_abs_power.defjvp(_abs_power_jvp, symbolic_zeros=True)
_signed_power.defjvp(_signed_power_jvp, symbolic_zeros=True)


def _log_abs(x: jax.Array) -> jax.Array:
    a = jnp.abs(x)
    return jnp.log(jnp.where(a < smallest_normal(x), 1, a))


def _with_sign(y: jax.Array, x: jax.Array) -> jax.Array:
    """y >= 0 with the sign of x; `jnp.copysign` is half as many operations again."""
    integer = jnp.dtype(f"uint{jnp.finfo(y.dtype).bits}")
    bits, sign = (lax.bitcast_convert_type(v, integer) for v in (y, x))
    top = jnp.asarray(1 << (jnp.finfo(y.dtype).bits - 1), integer)
    return lax.bitcast_convert_type(bits | (sign & top), y.dtype)


# Jitted for eager callers, such as init, whose operations would compile one by one, and so that the
# leaves of one shape share a trace. Inlined, since under FSDP on a tpu7x XLA exchanges parts of the
# leaves that share a function.
@functools.partial(jax.jit, inline=True)
def _power(a: jax.Array, p: jax.Array) -> jax.Array:
    """a^p for a >= 0."""
    regular = _float32_power(a, p) if a.dtype == jnp.float32 else lax.pow(a, p)
    at_zero = jnp.where(p == 0, 1, 0).astype(a.dtype)
    y = jnp.where(a < smallest_normal(a), at_zero, regular)
    # With p > 0 infinity and NaN are their own powers.
    return jnp.where(a < jnp.inf, y, jnp.where((p > 0) | (a != a), a, at_zero))


def _float32_power(a: jax.Array, p: jax.Array) -> jax.Array:
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


def _shared(function: Any) -> Any:
    """The function jitted with Python numbers as constants: leaves of one shape share its trace."""

    @functools.cache
    def jitted(static: tuple[int, ...]) -> Any:
        return jax.jit(function, static_argnums=static, inline=True)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return jitted(tuple(i for i, value in enumerate(args) if is_static(value)))(*args)

    return call


@_shared
def power_mean(x: jax.Array, y: jax.Array, w: Scalar, p: Scalar) -> jax.Array:
    """phi_{1/p}(w phi_p(x) + (1 - w) phi_p(y)): the signed p-th power mean of x and y.

    The powers are taken at the scale of the larger operand, so that they neither overflow nor
    vanish while the mean itself is a normal number (the bare cube of 1e-13 is 0 in float32).
    """
    if is_static(p) and p == 1:
        return w * x + (1 - w) * y
    x = jnp.where(w > 0, x, 0)  # without weight, it must not set the scale
    scale, unscale = _powers_of_two(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    mean = w * signed_power(x * scale, p) + (1 - w) * signed_power(y * scale, p)
    root = _root(mean, int(p)) if is_static(p) and p in (2, 3) else signed_power(mean, 1 / p)
    return root * unscale


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _root(x: jax.Array, k: int) -> jax.Array:
    """phi_{1/k}(x) for |x| up to 8 and k = 2 or 3, without a transcendental in float32."""
    a = jnp.abs(x)
    if k == 3 and a.dtype != jnp.float32:
        return signed_power(x, 1 / k)
    y = jnp.sqrt(a) if k == 2 else _float32_cbrt(a)
    return _with_sign(jnp.where(a < smallest_normal(a), 0, y), x)


@_root.defjvp
def _root_jvp(k, primals, tangents):
    (x,), (dx,) = primals, tangents
    return _root(x, k), abs_power(x, 1 / k - 1) / k * dx


def _float32_cbrt(a: jax.Array) -> jax.Array:
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


def _powers_of_two(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(2^-e, 2^e) with e the exponent of a >= 0: exact to multiply by, and read off the bits."""
    info = jnp.finfo(a.dtype)
    integer = jnp.dtype(f"int{info.bits}")
    top = 2 * (1 - info.minexp)  # the biased exponents of 2^e and 2^-e add up to twice the bias
    e = jnp.clip(lax.bitcast_convert_type(a, integer) >> info.nmant, 1, top - 1)

    def power(biased: jax.Array) -> jax.Array:
        return lax.bitcast_convert_type(biased << info.nmant, a.dtype)

    return power(top - e), power(e)
