"""Cautious: Liang et al. (2024), Algorithm 1; AMS authors (2025), Definition 3.2."""

import optax

from gradpow.core import Scalar, chain, require_transformation
from gradpow.transforms import momentum_scaling

__all__ = ["cautious"]


def cautious(
    base: optax.GradientTransformation,
    negative_scale: Scalar = 0.0,
    b3: Scalar | None = None,
    zero_scale: Scalar = 0.0,
    floor: Scalar = 1e-3,
) -> optax.GradientTransformationExtraArgs:
    r"""Cautious around any complete optimizer: steps without what goes against the gradient.

    With u the step of ``base``, turned to be a descent direction, for each tensor of size d:

    .. math::
      s_t &= \beta_3 s_{t-1} + (1 - \beta_3) g_t \\
      k_t &= 1 \text{ where } u_t s_t > 0, \quad \lambda \text{ where } u_t s_t < 0, \quad
      \zeta \text{ where } u_t s_t = 0 \\
      \theta_{t+1} &= \theta_t - k_t \circ u_t / \max(\|k_t\|_1 / d, \mathrm{floor})

    Chains ``base`` and :func:`gradpow.transforms.momentum_scaling`, which explains the numbers,
    between two changes of sign. ``base`` must be complete: its updates are steps (negated, with the
    learning rate in them). Give it no decoupled weight decay, which would be masked too, and put
    :func:`gradpow.transforms.decay_stepped_weights` after this; give it no iterate averaging, and
    put that around this, as in ``schedule_free(cautious(...))``.

    Args:
      base: an optimizer such as ``optax.sgd(1e-2, momentum=0.9)`` or ``optax.contrib.muon(1e-2)``.
      negative_scale: lambda, finite: 0 masks what disagrees, -1 turns it (as AMS and Grams do).
      b3: the weight of the past in s, in [0, 1), or None: s is the gradient.
      zero_scale: zeta, finite: 0 as in Cautious, or 1 as in AMS (>= 0). With 1% nonzero gradients
        the first amplifies the rest 100 times.
      floor: lower bound of the normaliser, in (0, 1].

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.cautious(optax.sgd(0.1, momentum=0.9))
      >>> params = jnp.zeros(2)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(params), params)
      >>> tx.update(jnp.array([1.0, -0.5]), state, params)[0]  # -0.1 [1.9, 0.4] masked, times 2
      Array([-0.38, -0.  ], dtype=float32)

    References:
      Liang et al. (2024), Algorithm 1; AMS authors (2025), Definition 3.2.
    """
    require_transformation("cautious' base", base)
    return chain(
        base,
        optax.scale(-1.0),
        momentum_scaling(negative_scale, b3, zero_scale, floor=floor),
        optax.scale(-1.0),
    )
