"""NAdam: Dozat (2016)."""

from typing import Any

import optax

from gradpow.core import Scalar, chain, check, check_optional_rate, check_rate, step_number
from gradpow.transforms import decay_weights, moment_scale, nesterov_ema

__all__ = ["nadam"]


def nadam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    psi: Scalar | None = None,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""NAdam: Adam with Nesterov's momentum, at a constant weight or one that warms up.

    With Adam's moments, :math:`\mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi})`, and
    :math:`\mu_t = \beta_1` where psi is None:

    .. math::
      \theta_t = \theta_{t-1} - \frac{\eta_t}{\sqrt{\hat v_t} + \epsilon} \Bigl(
      \frac{\mu_{t+1}\, m_t}{1 - \prod_{i \le t+1} \mu_i}
      + \frac{(1 - \mu_t)\, g_t}{1 - \prod_{i \le t} \mu_i}\Bigr)

    The constant weight is :func:`optax.nadam`. With psi, m averages with b1, as in PyTorch and
    Keras, not with mu as in the paper. The survey prints psi outside of the exponent, 0 for the
    infinity that makes mu constant, and there t for t + 1.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`; no default decay.
      psi: growth of mu, finite and > 0, or None for none. PyTorch's is 0.004, Keras' 1.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.nadam(0.1)
      >>> tx.update(jnp.array([3.0, -0.1]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.147,  0.147], dtype=float32)

    References:
      Dozat (2016).
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check("finite and > 0", **({} if psi is None else {"psi": psi}))
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)

    growth: Any = psi

    def mu(count):
        return b1 * (1 - 0.5 * 0.96 ** (step_number(count) * growth))

    with_psi = optax.chain(nesterov_ema(b1, mu), moment_scale(optax.ema(b2), eps=eps))
    return chain(
        optax.scale_by_adam(b1, b2, eps, nesterov=True) if psi is None else with_psi,
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
