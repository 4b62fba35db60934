"""The l_p steepest-descent direction: Luo et al. (2025), Algorithms 1 to 3."""

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, abs_power, check, guarded_divide, is_static

__all__ = ["lp_steepest"]


def lp_steepest(p: Scalar, eps: Scalar = 0.0, scaled: bool = False) -> optax.GradientTransformation:
    r"""Turns the update into the direction of steepest descent in the l_p norm.

    .. math::
      u_i \leftarrow s_i(u) = \frac{u_i}{|u_i|^{(p-2)/(p-1)} + \epsilon}
      \;\Bigl[= \mathrm{sign}(u_i)|u_i|^{1/(p-1)} \text{ if } \epsilon = 0\Bigr],
      \qquad s_i(0) = 0

    p = 2 leaves u as it is, whatever eps; p = inf with eps = 0 is the sign. ``scaled=True``
    multiplies by :math:`\|u\|_{p^*}^{(p-2)/(p-1)}`, :math:`p^* = p/(p-1)`, a sum over the whole
    tree: the minimiser of :math:`\langle u, x\rangle + \|x\|_p^2/2` in deterministic descent, up to
    its sign. The paper's stochastic methods are unscaled.

    Stateless; elementwise unless scaled. The slope at 0 is infinite for p > 2, so that errors of
    tiny updates are amplified.

    Args:
      p: the norm, in [2, inf]. STACEY's Tables 5 to 7 use 2 to 3.5.
      eps: added to the denominator, >= 0; 1e-8 in Algorithms 2 and 3, absent from Algorithm 1.
      scaled: whether to multiply by the dual norm.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import lp_steepest
      >>> u = jnp.array([-4.0, 0.0, 0.25])
      >>> for p in (2, 3, jnp.inf):
      ...   print(lp_steepest(p).update(u, optax.EmptyState())[0])
      [-4.    0.    0.25]
      [-2.   0.   0.5]
      [-1.  0.  1.]

    References:
      Luo et al. (2025), Section 3, Algorithm 1, and line 4 of Algorithms 2 and 3.
    """
    check("in [2, inf]", p=p)
    check("finite and >= 0", eps=eps)

    def update(updates, state, params=None):
        del params
        direction = jax.tree.map(lambda u: _steepest(u, p, eps), updates)
        if scaled:
            # ||u||_{p*}^{(p-2)/(p-1)}, written with the sum under the norm's root.
            scale = abs_power(_sum_of_powers(updates, 1 + 1 / (p - 1)), 1 - 2 / p)
            direction = jax.tree.map(lambda s: scale.astype(s.dtype) * s, direction)
        return direction, state

    return optax.GradientTransformation(optax.init_empty_state, update)


def _steepest(u: jax.Array, p: Scalar, eps: Scalar) -> jax.Array:
    """s(u) for one array."""
    if is_static(p) and p == 2:
        return u
    return guarded_divide(u, abs_power(u, 1 - 1 / (p - 1)) + jnp.where(p == 2, 0.0, eps))


def _sum_of_powers(tree: optax.Updates, p: Scalar) -> jax.Array:
    sums = (jnp.sum(abs_power(u, p)) for u in jax.tree.leaves(tree))
    return sum(sums, start=jnp.zeros([], jnp.float32))
