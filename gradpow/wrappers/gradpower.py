"""GradPower: Wang et al. (2025), Section 2."""

import optax

from gradpow.core import Scalar, chain, require_transformation
from gradpow.transforms import sign_power

__all__ = ["gradpower"]


def gradpower(
    base: optax.GradientTransformation, p: Scalar = 1.2
) -> optax.GradientTransformationExtraArgs:
    r"""GradPower: powered gradients before any optimizer.

    Chains :func:`gradpow.transforms.sign_power` and ``base``, called Q in the paper:

    .. math::
      u_t = Q(\varphi_p(g_1), \dots, \varphi_p(g_t)), \qquad \varphi_p(g) = \mathrm{sign}(g)\,|g|^p

    Whatever in ``base`` reads the raw gradient sees the powered one. Clip before it,
    ``optax.chain(optax.clip_by_global_norm(1.0), gradpower(base))``, as the paper does; the other
    order trains alike (Appendix B.6). Keeps what ``base`` keeps, in at least float32.

    Args:
      base: any optax transformation or optimizer, with its usual hyper-parameters.
      p: the power, > 0. Default from Section 3.1. The best p falls as the batch grows, and may
        drop below 1 (Section 3.5).

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.gradpower(optax.lion(1e-3), p=1.2)
      >>> updates, state = tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.zeros(2)), jnp.zeros(2))
      >>> updates
      Array([-0.001,  0.001], dtype=float32)

    References:
      Wang et al. (2025), Section 2.
    """
    require_transformation("gradpower's base", base)
    # The inner chain starts a `grad` of its own: the powered gradient.
    return chain(sign_power(p), chain(base))
