"""AdamPower (AdamWPower): Wang et al. (2025), Algorithm 1."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_rate, require_mask
from gradpow.transforms import sign_power

__all__ = ["adampower"]


def adampower(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar = 1.2,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule = 0.1,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamPower: AdamW on powered gradients. The final paper calls it AdamWPower.

    **Defaults differ from optax.adamw's**: b2 = 0.95 and weight_decay = 0.1, the paper's settings
    for language models (Section 3.1). The decay falls on every parameter unless ``mask`` says
    otherwise.

    .. math::
      g_t &\leftarrow \mathrm{sign}(g_t)|g_t|^p \\
      \theta_t &= \theta_{t-1} - \eta_t
      \bigl(\hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon) + \lambda\theta_{t-1}\bigr)

    With p = 1 it is AdamW. When abs(g)**p falls below eps, eps dominates and the step fades as in
    SGD (Section 4.1); so for very small gradients lower eps. Clip before it.

    Args:
      learning_rate, b1, b2, eps, eps_root, weight_decay, mask: as in :func:`optax.adamw`; the paper
        keeps the rates tuned for Adam, and names eps = 1e-8 in Figure 7.
      p: the power, > 0; see :func:`gradpow.gradpower`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adampower(1e-3)
      >>> params = {"w": jnp.ones(2)}
      >>> updates, state = tx.update({"w": jnp.array([0.3, -0.7])}, tx.init(params), params)
      >>> updates["w"]
      Array([-0.0011,  0.0009], dtype=float32)

    References:
      Wang et al. (2025), Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    require_mask(mask)
    return chain(
        sign_power(p),
        optax.adamw(learning_rate, b1, b2, eps, eps_root, weight_decay=weight_decay, mask=mask),
    )
