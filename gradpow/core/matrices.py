"""Functions of symmetric matrices, by their eigenvalues or by products alone."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradpow.core.float32 import guarded_divide
from gradpow.core.numbers import Scalar, is_static
from gradpow.core.powers import abs_power

__all__ = ["coupled_newton", "inverse_power", "matrix_function"]

# Roundings of the trace that an eigenvalue is not known below. Newton's products lose more.
BY_EIGENVALUES, BY_NEWTON = 1, 16
MAX_ITERATIONS = 100


def inverse_power(a: jax.Array, power: Scalar, eps: Scalar = 0.0) -> jax.Array:
    """(A + eps I)^-power of positive semidefinite matrices A, stacked on leading axes.

    eps is at least what rounding makes of an eigenvalue, finfo.eps times the trace, so that
    directions which A does not have are not amplified without bound. A matrix of zeros without an
    eps has the inverse 0, as 0/0 is 0 elsewhere, and so has one that is not finite.

    By eigenvalues. On TPU, whose compiler takes a minute over those of one large matrix, by
    :func:`coupled_newton` where 1/power is a whole number that is no tracer. Its derivative is
    always by eigenvalues.

    Args:
      a: (..., n, n).
      power: finite and > 0.
      eps: >= 0, a number, or one of each matrix.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import inverse_power
      >>> print(inverse_power(jnp.diag(jnp.array([3.0, 15.0])), 0.5, 1.0))
      [[0.5  0.  ]
       [0.   0.25]]
    """
    finite = jnp.isfinite(a).all((-2, -1), keepdims=True)
    a = jnp.where(finite, a, 0)
    eps = jnp.broadcast_to(jnp.asarray(eps, a.dtype), a.shape[:-2])[..., None]
    root = round(1 / power) if is_static(power) else 0
    if root and abs(root * power - 1) < 1e-9:
        inverse = _inverse_root(root, a, eps)
    else:
        inverse = _by_eigenvalues(a, power, eps)
    return jnp.where(finite, inverse, 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _inverse_root(root: int, a: jax.Array, eps: jax.Array) -> jax.Array:
    def by_newton(a, eps):
        ridge = jnp.maximum(eps, BY_NEWTON * _rounding(a))
        return coupled_newton(a + ridge[..., None] * jnp.eye(a.shape[-1], dtype=a.dtype), root)

    def by_eigenvalues(a, eps):
        return _by_eigenvalues(a, 1 / root, eps)

    return jax.lax.platform_dependent(a, eps, tpu=by_newton, default=by_eigenvalues)


@_inverse_root.defjvp
def _inverse_root_jvp(root, primals, tangents):
    return jax.jvp(lambda a, eps: _by_eigenvalues(a, 1 / root, eps), primals, tangents)


def _by_eigenvalues(a: jax.Array, power: Scalar, eps: jax.Array) -> jax.Array:
    ridge = jnp.maximum(eps, BY_EIGENVALUES * _rounding(a))
    return matrix_function(_inverse, a, power, ridge)


def _inverse(w: jax.Array, power: jax.Array, ridge: jax.Array) -> jax.Array:
    d = abs_power(jnp.maximum(w, 0) + ridge, power)
    return guarded_divide(jnp.ones_like(d), d)


def _rounding(a: jax.Array) -> jax.Array:
    # Divided first, since the trace may leave the type where no entry does.
    diagonal = jnp.diagonal(a, axis1=-2, axis2=-1)
    return jax.lax.stop_gradient(jnp.sum(jnp.finfo(a.dtype).eps * diagonal, -1, keepdims=True))


def coupled_newton(a: jax.Array, root: int) -> jax.Array:
    r"""A^{-1/p} of positive definite matrices by matrix products alone; 0 for a matrix of zeros.

    .. math::
      M_0 = z A, \quad H_0 = z^{1/p} I, \quad T_k = \tfrac{(p + 1) I - M_k}{p}, \quad
      M_{k+1} = T_k^p M_k, \quad H_{k+1} = H_k T_k

    with :math:`z = (p + 1) / (2 |A|_F)`, under which M goes to I and H to the root. A matrix stops
    when M is I up to rounding, or goes away from it.

    Args:
      a: (..., n, n).
      root: p, a whole number >= 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import coupled_newton
      >>> print(coupled_newton(jnp.diag(jnp.array([4.0, 16.0])), 2).round(3))
      [[0.5  0.  ]
       [0.   0.25]]
    """
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)
    largest = jnp.max(jnp.abs(a), (-2, -1), keepdims=True, initial=0)
    a = guarded_divide(a, largest)  # whose squares are normal numbers
    norm = jnp.sqrt(jnp.sum(a * a, (-2, -1), keepdims=True))
    z = guarded_divide(jnp.full_like(norm, (root + 1) / 2), norm)
    tolerance = 8 * jnp.finfo(a.dtype).eps

    def distance(m):
        return jnp.max(jnp.abs(m - eye), (-2, -1), keepdims=True, initial=0)

    def step(carry):
        m, h, error, k = carry
        t = ((root + 1) * eye - m) / root
        m_new = jnp.linalg.matrix_power(t, root) @ m
        m_new = (m_new + m_new.mT) / 2
        error_new = distance(m_new)
        # A factor, since the distance stands at 1 while the smallest eigenvalues grow.
        taken = (error > tolerance) & (error_new <= 1.2 * error)
        m, h = jnp.where(taken, m_new, m), jnp.where(taken, h @ t, h)
        return m, h, jnp.where(taken, error_new, 0), k + 1

    def goes_on(carry):
        *_, error, k = carry
        return jnp.any(error > tolerance) & (k < MAX_ITERATIONS)

    start = z * a, z ** (1 / root) * eye, distance(z * a), 0
    with jax.default_matmul_precision("highest"):
        _, h, _, _ = jax.lax.while_loop(goes_on, step, start)
    scale = abs_power(largest, 1 / root)
    return guarded_divide(h, scale)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def matrix_function(f: Callable[..., jax.Array], a: jax.Array, *args: Any) -> jax.Array:
    """Q f(w) Q' of symmetric matrices Q diag(w) Q', stacked on leading axes.

    Its derivative is finite where eigenvalues coincide, as those of a sum of few outer products do,
    and that of the eigenvectors themselves is not.

    Args:
      f: from all eigenvalues (..., n), and the further arguments, to as many numbers.
      a: the matrices (..., n, n).
      *args: numbers that f takes, with respect to which it may be differentiated too.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import matrix_function
      >>> print(matrix_function(jnp.sqrt, jnp.diag(jnp.array([4.0, 9.0]))))
      [[2. 0.]
       [0. 3.]]
    """
    w, q = _eigh(a)
    return _recomposed(q, f(w, *args))


@matrix_function.defjvp
def _matrix_function_jvp(f, primals, tangents):
    (a, *args), (da, *dargs) = primals, tangents
    w, q = _eigh(a)
    y, slope = jax.jvp(lambda w: f(w, *args), (w,), (jnp.ones_like(w),))
    # Divided differences (Daleckii and Krein), or slopes where eigenvalues are one up to rounding.
    gap = _differences(w)
    largest = jnp.max(jnp.abs(w), -1, keepdims=True, initial=0)[..., None]
    close = jnp.abs(gap) <= jnp.sqrt(jnp.finfo(w.dtype).eps) * largest
    quotient = _differences(y) / jnp.where(close, 1, gap)
    slopes = (slope[..., :, None] + slope[..., None, :]) / 2
    dy = jnp.where(close, slopes, quotient) * (q.mT @ da @ q)
    if args:
        by_args = jax.jvp(lambda *args: f(w, *args), tuple(args), tuple(dargs))[1]
        dy += by_args[..., None] * jnp.eye(w.shape[-1], dtype=w.dtype)
    return _recomposed(q, y), q @ dy @ q.mT


def _differences(x: jax.Array) -> jax.Array:
    return x[..., :, None] - x[..., None, :]


def _recomposed(q: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.matmul(q * w[..., None, :], q.mT, precision="highest")


def _eigh(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    # jnp's own symmetric part is (a + a') / 2, which overflows before a does.
    w, q = jnp.linalg.eigh(a / 2 + a.mT / 2, symmetrize_input=False)
    return w, q
