"""The array functions that the transforms share: signed powers, power means, guarded quotients.

Everything is elementwise and keeps the type of its input. In float32 a power costs two
transcendentals whatever the exponent, traced or not, and on CPU two polynomials; in other types it
is ``lax.pow``.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gradpow.core.float32 import (
    float32_cbrt,
    float32_power,
    powers_of_two,
    smallest_normal,
    with_sign,
)
from gradpow.core.numbers import Scalar, is_static

__all__ = ["abs_power", "power_mean", "signed_power", "square_root"]


def abs_power(x: jax.Array, p: Scalar) -> jax.Array:
    """``|x|^p``, with 0^p = 0 but 0^0 = 1; subnormals count as 0.

    Examples:
      >>> from gradpow.core import abs_power
      >>> print(abs_power(jnp.array([-2.0, 0.0]), 3))
      [8. 0.]
    """
    if is_static(p) and p in (1, 2, 3):
        return signed_power(jnp.abs(x), p)
    return _abs_power(x, jnp.asarray(p, x.dtype))


@jax.custom_jvp
def square_root(x: jax.Array) -> jax.Array:
    """The root of x >= 0, whose slope at 0 is 0 here: a moment that is 0 has no direction.

    Examples:
      >>> from gradpow.core import square_root
      >>> print(square_root(4.0), jax.grad(square_root)(0.0))
      2.0 0.0
    """
    return jnp.sqrt(x)


@square_root.defjvp
def _square_root_jvp(primals, tangents):
    y = jnp.sqrt(primals[0])
    slope = jnp.where(y > 0, 0.5 / jnp.where(y > 0, y, 1), 0)
    return y, slope * tangents[0]


def signed_power(x: jax.Array, p: Scalar) -> jax.Array:
    """phi_p(x) = sign(x)|x|^p; phi_1 returns x itself.

    Examples:
      >>> from gradpow.core import signed_power
      >>> print(signed_power(jnp.array([-2.0, 0.0]), 3))
      [-8.  0.]
    """
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
    return with_sign(_power(jnp.abs(x), p), x)


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


# Jitted for eager callers, such as init, whose operations would compile one by one, and so that the
# leaves of one shape share a trace. Inlined, since under FSDP on a tpu7x XLA exchanges parts of the
# leaves that share a function.
@functools.partial(jax.jit, inline=True)
def _power(a: jax.Array, p: jax.Array) -> jax.Array:
    """a^p for a >= 0."""
    regular = float32_power(a, p) if a.dtype == jnp.float32 else lax.pow(a, p)
    at_zero = jnp.where(p == 0, 1, 0).astype(a.dtype)
    y = jnp.where(a < smallest_normal(a), at_zero, regular)
    # With p > 0 infinity and NaN are their own powers.
    return jnp.where(a < jnp.inf, y, jnp.where((p > 0) | (a != a), a, at_zero))


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

    Examples:
      >>> from gradpow.core import power_mean
      >>> round(float(power_mean(jnp.float32(3.0), jnp.float32(4.0), 0.5, 2)), 3)
      3.536
    """
    if is_static(p) and p == 1:
        return w * x + (1 - w) * y
    x = jnp.where(w > 0, x, 0)  # without weight, it must not set the scale
    scale, unscale = powers_of_two(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    mean = w * signed_power(x * scale, p) + (1 - w) * signed_power(y * scale, p)
    root = _root(mean, int(p)) if is_static(p) and p in (2, 3) else signed_power(mean, 1 / p)
    return root * unscale


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _root(x: jax.Array, k: int) -> jax.Array:
    """phi_{1/k}(x) for |x| up to 8 and k = 2 or 3, without a transcendental in float32."""
    a = jnp.abs(x)
    if k == 3 and a.dtype != jnp.float32:
        return signed_power(x, 1 / k)
    y = jnp.sqrt(a) if k == 2 else float32_cbrt(a)
    return with_sign(jnp.where(a < smallest_normal(a), 0, y), x)


@_root.defjvp
def _root_jvp(k, primals, tangents):
    (x,), (dx,) = primals, tangents
    return _root(x, k), abs_power(x, 1 / k - 1) / k * dx
