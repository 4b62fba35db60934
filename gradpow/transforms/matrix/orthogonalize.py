"""Orthogonalization: Jordan et al. (2024), Newton-Schulz; Amsel et al. (2025), Algorithm 1."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Matrices,
    Scalar,
    check,
    dimension_numbers,
    gathered,
    laid_out_as,
    last_two_axes,
    map_matrices,
    spreadable,
    unit_matrices,
)

__all__ = ["CUBIC", "NS5", "POLAR_EXPRESS", "Polynomials", "orthogonalize", "polar_express"]


class Polynomials(NamedTuple):
    """An iteration of :func:`orthogonalize`: one polynomial a step, and where it starts.

    coefficients: (a, b, c) of a x + b x^3 + c x^5, which is what a step makes of a singular value.
    start: the factor by which the Frobenius norm is multiplied before the matrix is divided by it.
    """

    coefficients: tuple[tuple[float, float, float], ...]
    start: float = 1.0


NS5 = Polynomials(5 * ((3.4445, -4.7750, 2.0315),))
"""Jordan's: five steps that bring most singular values into 0.7 to 1.2, and none closer."""
CUBIC = Polynomials(40 * ((1.5, -0.5, 0.0),))
"""Newton and Schulz's own, which converges: steps enough for singular values of 1e-6."""

_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
)
_LAST = (1.875, -1.25, 0.375)
_SAFETY = 1.01


def polar_express(steps: int = 5) -> Polynomials:
    """Amsel et al.'s polynomials, each the best for what the last one left of [0.001, 1].

    All but the last, which is repeated, are taken of x / 1.01, and so is the start: rounding in
    bfloat16 must not bring a singular value above 1. Five are what they train with, eight converge.

    Args:
      steps: how many, at least 1.

    Examples:
      >>> from gradpow.transforms import polar_express
      >>> [round(x, 3) for x in polar_express(5).coefficients[0]], polar_express(5).start
      ([8.205, -22.902, 16.461], 1.01)

    References:
      Amsel et al. (2025), Algorithm 1 and its listing.
    """
    check("finite and >= 1", steps=steps)
    safe = tuple((a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5) for a, b, c in _EXPRESS)
    return Polynomials((*safe, *((_LAST,) * steps))[:steps], _SAFETY)


POLAR_EXPRESS = polar_express(8)
"""Eight steps, which find the factor to float32's rounding for singular values above 0.001."""


@spreadable()
def orthogonalize(
    iteration: Polynomials | Literal["svd"] = NS5,
    eps: Scalar = 1e-7,
    matrices: Matrices | Any = last_two_axes,
) -> optax.GradientTransformation:
    r"""Replaces each matrix by its orthogonal factor: U S V' becomes U V', or nearly.

    .. math::
      X &\leftarrow u / (s\, \|u\|_F + \epsilon), \qquad A = X X^\top \\
      X &\leftarrow a_k X + (b_k A + c_k A^2)\, X, \qquad k = 1, 2, \dots

    A is of the shorter side, so the result of a transposed matrix is the transposed result. 0 stays
    0, as do singular values far below eps. Keeps nothing; works in the type and at the precision of
    matrix products that it finds: on TPU and GPU set ``jax.default_matmul_precision`` for more.

    Args:
      iteration: :data:`NS5`, which is Muon's, :data:`POLAR_EXPRESS` or
        :func:`polar_express` of other steps, :data:`CUBIC`,
        other :class:`Polynomials`, or "svd" for the exact factor, which is slow on accelerators.
      eps: added to the norm, >= 0. Muon's is 1e-7, which gradients smaller than that feel.
      matrices: which axes are in and out, as in :func:`gradpow.on_matrices`. By default the last
        two, and all others are batch axes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import orthogonalize, polar_express
      >>> u = jnp.array([[3.0, 0.0], [0.0, -0.5]])
      >>> for iteration in ("svd", polar_express(8)):
      ...   print(orthogonalize(iteration).update(u, ())[0].round(3))
      [[ 1.  0.]
       [ 0. -1.]]
      [[ 1.  0.]
       [ 0. -1.]]

    References:
      Jordan et al. (2024); Amsel et al. (2025), Algorithm 1.
    """
    check("finite and >= 0", eps=eps)
    if iteration != "svd" and not isinstance(iteration, Polynomials):
        raise ValueError(f'iteration must be Polynomials or "svd", not {iteration!r}.')

    def factor(u: jax.Array) -> jax.Array:
        u = gathered(u)
        if u.shape[-2] > u.shape[-1]:
            return factor(u.mT).mT
        if isinstance(iteration, Polynomials):
            return _iterate(unit_matrices(u, eps, iteration.start), iteration)
        return _polar(unit_matrices(u, eps))

    def update(updates, state, params=None):
        del params
        factors = map_matrices(factor, dimension_numbers(matrices, updates), updates)
        return jax.tree.map(laid_out_as, updates, factors), state

    return optax.GradientTransformation(optax.init_empty_state, update)


def _iterate(x: jax.Array, iteration: Polynomials) -> jax.Array:
    for a, b, c in iteration.coefficients:
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram) if c else b * gram) @ x
    return x


@jax.custom_jvp
def _polar(x: jax.Array) -> jax.Array:
    u, s, vt = jnp.linalg.svd(x, full_matrices=False)
    return (u * jnp.sign(_inverse(s, s))[..., None, :]) @ vt


@_polar.defjvp
def _polar_jvp(primals, tangents):
    # With s_i + s_j below, the slope is finite where singular values coincide, as that of U is not.
    (x,), (dx,) = primals, tangents
    u, s, vt = jnp.linalg.svd(x, full_matrices=False)
    inverse = _inverse(s, s)
    inside = u.mT @ dx @ vt.mT
    within = (inside - inside.mT) * _inverse(s[..., :, None] + s[..., None, :], s)
    right = (u * inverse[..., None, :]) @ (u.mT @ dx - inside @ vt)
    return _polar(x), u @ within @ vt + right


def _inverse(d: jax.Array, s: jax.Array) -> jax.Array:
    """1 / d, and 0 where d is no larger than the rounding of the largest singular value."""
    largest = jnp.max(s, axis=-1, initial=0).reshape(*s.shape[:-1], *(1,) * (d.ndim - s.ndim + 1))
    vanished = d <= s.shape[-1] * jnp.finfo(d.dtype).eps * largest
    return jnp.where(vanished, 0, 1 / jnp.where(vanished, 1, d))
