"""Momentum scaling: AMS authors (2025), Algorithm 1; Liang et al. (2024), Algorithm 1."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Masks, Scalar, check, guarded_divide, is_static, mean_abs, require_grad

__all__ = ["MomentumScalingState", "momentum_scaling"]


class MomentumScalingState(NamedTuple):
    """State of :func:`momentum_scaling`: s, the average whose signs decide; None if b3 is None."""

    s: Any


def momentum_scaling(
    negative_scale: Scalar = -1.0,
    b3: Scalar | None = None,
    zero_scale: Scalar = 1.0,
    normalize: bool = True,
    floor: Scalar = 1e-3,
) -> optax.GradientTransformationExtraArgs:
    r"""Rescales the coordinates of the update that disagree in sign with the gradient.

    .. math::
      s_t &= \beta_3 s_{t-1} + (1 - \beta_3)\,g_t \\
      k_i &= 1 \text{ where } u_i s_i > 0, \quad \lambda \text{ where } u_i s_i < 0, \quad
      \zeta \text{ where } u_i s_i = 0 \\
      u &\leftarrow k \circ u \;\frac{d}{\max(\sum_i |k_i|,\; d \cdot \mathrm{floor})}

    g is the extra argument ``grad``, the gradient that entered the chain; the sum runs over one
    tensor of d elements (layers stacked in one tensor share a normaliser). Signs are compared, so
    that the product u s cannot underflow.

    **u is a descent direction**, before the learning rate. After ``scale_by_learning_rate`` every
    sign is turned, and this link would do the opposite: around a complete optimizer use
    :func:`gradpow.cautious`.

    ========================================  ==============  ==========  =========
    method                                    negative_scale  zero_scale  normalize
    ========================================  ==============  ==========  =========
    AMS (lambda)                              lambda          1           True
    Grams                                     -1              0           False
    Cautious                                  0               0           True
    Adam unchanged                            1               1           either
    ========================================  ==============  ==========  =========

    Args:
      negative_scale: lambda, the factor of coordinates that disagree; any finite number.
      b3: the weight of the past in s, in [0, 1), or None: s is g itself, and nothing is kept, as
        in the papers' optimizers. 0 gives the same steps and keeps s.
      zero_scale: the factor where u or s is 0. AMS masks by >=, hence 1; Cautious by >, hence 0.
      normalize: whether to keep the mean of abs(k) at 1, by the fraction above.
      floor: bounds the normaliser when (almost) everything is masked, in (0, 1]. AMS prints none,
        and divides by 0 where a mask keeps nothing; 1e-3 is that of the Cautious authors' code.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``grad``, which
      :func:`gradpow.chain` passes on.

    Raises:
      ValueError: at update, if ``grad`` is missing or of another structure than the updates.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import momentum_scaling
      >>> u, g = jnp.array([1.0, -2.0, 3.0, 4.0]), jnp.array([0.1, 0.1, 0.1, 0.0])
      >>> for tx in (momentum_scaling(-1.0), momentum_scaling(0.0, zero_scale=0.0)):
      ...   print(tx.update(u, tx.init(u), grad=g)[0])
      [1. 2. 3. 4.]
      [ 2. -0.  6.  0.]

    References:
      AMS authors (2025), Algorithm 1, lines 7 and 11 to 14, Definition 3.2, equation (6); Liang et
      al. (2024), Algorithm 1.
    """
    check("finite", negative_scale=negative_scale, zero_scale=zero_scale)
    check("in [0, 1)", **({} if b3 is None else {"b3": b3}))
    check("in (0, 1]", floor=floor)
    # Where every |k| is 1 so is the normaliser; its reduction would cost a pass and a collective.
    normalize &= not all(is_static(k) and abs(k) == 1 for k in (negative_scale, zero_scale))

    def init(params):
        return MomentumScalingState(s=None if b3 is None else optax.tree.zeros_like(params))

    def update(updates, state, params=None, *, grad=None, **extra_args):
        del params, extra_args
        require_grad("momentum_scaling", grad, updates)
        s = grad if b3 is None else optax.tree.update_moment(grad, state.s, b3, 1)

        def rescale(u, s):
            side = jnp.where(s < 0, jnp.asarray(-1.0, u.dtype), 1.0)
            v = side * u  # u seen from s, negative where they disagree
            parts = _parts(v, s, negative_scale, zero_scale)
            k: Any = 1.0
            for mask, factor in parts:
                k = jnp.where(mask, jnp.asarray(factor, u.dtype), k)
            if not normalize:
                # u enters once: XLA on CPU would store one with several uses instead of fusing it.
                return side * (k * v)
            # On TPU the pass after the sum reads the mask, of a byte, instead of s.
            scale = guarded_divide(
                jnp.ones([], u.dtype), jnp.maximum(mean_abs(parts, u.size), floor)
            )
            return k * scale.astype(u.dtype) * u

        return jax.tree.map(rescale, updates, s), MomentumScalingState(None if b3 is None else s)

    return optax.GradientTransformationExtraArgs(init, update)


def _parts(v: jax.Array, s: jax.Array, negative_scale: Scalar, zero_scale: Scalar) -> Masks:
    """Where k is not 1, as masks that exclude each other, and what it is there."""
    vanishes = (v == 0) | (s == 0)
    disagrees = ~vanishes & (v < 0)
    if is_static(negative_scale) and is_static(zero_scale) and negative_scale == zero_scale:
        return [(vanishes | disagrees, negative_scale)]
    parts = [(vanishes, zero_scale), (disagrees, negative_scale)]
    return [(mask, k) for mask, k in parts if not (is_static(k) and k == 1)]
