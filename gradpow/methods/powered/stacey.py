"""STACEY: Luo et al. (2025), Algorithms 2, 3 and 4."""

from typing import Any, Literal

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, product
from gradpow.transforms import (
    decay_weights,
    interpolated_momentum,
    linear_coupling,
    lp_mirror_step,
    lp_steepest,
)

__all__ = ["stacey"]


def stacey(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar = 2.8,
    mirror_p: Scalar = 2.0,
    b1: Scalar = 0.9,
    b2: Scalar = 0.99,
    alpha: Scalar = 0.01,
    tau: Scalar = 0.001,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = 5e-4,
    mask: Any = None,
    mirror_init: Literal["params", "zeros"] = "params",
) -> optax.GradientTransformationExtraArgs:
    r"""STACEY: accelerated stochastic l_p steepest descent.

    **Defaults differ from optax.adamw's**: they are STACEY(p,2)'s for language models (Table 7),
    with b2 = 0.99 and weight_decay = 5e-4. The step is not normalised: it scales with the gradient
    to the power 1/(p-1), so expect rates of 0.01 to 0.1.

    .. math::
      c_{t+1} &= \beta_1 m_t + (1 - \beta_1) g_t \\
      y_{t+1} &= \theta_t - \eta_t\, s_\epsilon(c_{t+1}) \\
      |z_{t+1}|^{q-2} z_{t+1} &= |z_t|^{q-2} z_t - \alpha c_{t+1} \\
      \theta_{t+1} &= \tau z_{t+1} + (1 - \tau) y_{t+1} - \eta_t \lambda \theta_t \\
      m_{t+1} &= \beta_2 m_t + (1 - \beta_2) g_t

    with q = mirror_p and s of :func:`gradpow.transforms.lp_steepest`. The paper's three methods are
    (p, mirror_p) = (p, 2), the default, (p, p), Algorithm 3, and (2, p), Algorithm 4; p = inf,
    tau = 0, eps = 0 is Lion. The authors' code starts z at theta_0, as here; their boxes print 0
    (``mirror_init="zeros"``). It adds eps inside the power; here, as in the boxes, it is outside.

    **Under a rate that falls to 0, let tau fall with it.** Each step draws theta by tau (z - y)
    towards z, which lags, and at the end of a schedule nothing draws it back: the loss turns. The
    paper names constants and no schedule for them. ``schedule`` being the rate, ``peak`` its top::

        stacey = optax.inject_hyperparams(
            gradpow.stacey, ("mask", "mirror_init"), hyperparam_dtype=jnp.float32
        )
        tx = stacey(schedule, tau=lambda count: 0.001 * schedule(count) / peak)

    Args:
      learning_rate, weight_decay, mask: as in :func:`optax.adamw`; the decay is not multiplied by
        1 - tau.
      p: the norm of steepest descent, in [2, inf].
      mirror_p: q, the power of the mirror map, in [2, inf).
      b1: the weight of the past in c, in [0, 1).
      b2: the weight of the past in m, in [0, 1).
      alpha: the step size of the mirror sequence, >= 0.
      tau: the weight of the mirror sequence, in [0, 1]; see above for longer runs.
      eps: added to the denominator of s, >= 0; without effect at p = 2.
      mirror_init: "params" or "zeros", where z starts.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.stacey(0.1, p=3, b1=0.0, tau=0.5, alpha=0.2, weight_decay=None)
      >>> params = jnp.array([1.0])
      >>> tx.update(jnp.array([4.0]), tx.init(params), params)[0]  # (-0.1 * 2 - 0.2 * 4) / 2
      Array([-0.5], dtype=float32)

    References:
      Luo et al. (2025), Algorithms 2, 3 and 4, Appendix D.
    """
    check("in [2, inf)", mirror_p=mirror_p)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    return chain(
        interpolated_momentum(b1, b2),
        linear_coupling(
            optax.chain(lp_steepest(p, eps), optax.scale_by_learning_rate(learning_rate)),
            lp_mirror_step(alpha, mirror_p, mirror_init),
            tau,
        ),
        decay_weights(product(-1.0, learning_rate, weight_decay), mask),
    )
