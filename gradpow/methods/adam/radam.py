"""RAdam: Liu et al. (2020), Algorithm 2."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from gradpow.core import (
    Scalar,
    chain,
    check,
    check_choice,
    check_optional_rate,
    check_rate,
    step_number,
)
from gradpow.transforms import decay_weights, mixture, moment_scale

__all__ = ["radam"]


def radam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any = None,
    form: Literal["paper", "torch"] = "paper",
) -> optax.GradientTransformationExtraArgs:
    r"""RAdam: Adam without its second moment until that is an average of enough gradients.

    With Adam's corrected moments, and :math:`\rho_\infty = 2 / (1 - \beta_2) - 1`,

    .. math::
      \rho_t &= \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t), \qquad
      r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}
      {(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}} \\
      \theta_t &= \theta_{t-1} - \eta_t\, (r_t\, \hat m_t / (\sqrt{\hat v_t} + \epsilon)
      \text{ if } \rho_t > 4 \text{ else } \hat m_t)

    The authors' code, PyTorch and :func:`optax.radam` wait until rho exceeds 5, one step more,
    which is ``form="torch"``; by its default the former does not even move until then. In float32
    optax's rho_t is wrong by 3 at first where b2 = 0.9999, and here it is exact.

    Args:
      learning_rate, b1, b2, eps, weight_decay, mask: as in :func:`optax.adamw`, but for no decay.
        The paper has no eps. With b2 <= 0.6 rho never exceeds 4.
      form: "paper" or "torch".

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.radam(0.1)  # rho is 1, so it begins as SGD
      >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0].round(3)
      Array([-0.3 ,  0.05], dtype=float32)

    References:
      Liu et al. (2020), Algorithm 2.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    check_optional_rate(weight_decay=weight_decay)
    check_choice(("paper", "torch"), form=form)
    rectified, plain = _weights(b2, {"paper": 4.0, "torch": 5.0}[form])
    return chain(
        optax.ema(b1),
        mixture(
            (rectified, moment_scale(optax.ema(b2), eps=eps)),
            (plain, optax.identity()),
        ),
        decay_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )


def _weights(b2: Scalar, threshold: float) -> tuple[optax.Schedule, optax.Schedule]:
    """r_t where rho_t exceeds the threshold, and 1 where not; else 0."""
    longest = 2 / (1 - b2) - 1

    def rectified(count: ArrayLike) -> jax.Array:
        rho = averaged(b2, count)
        enough = rho > threshold
        rho = jnp.where(enough, rho, 5.0)
        variance = (rho - 4) * (rho - 2) / rho
        largest = jnp.where(enough, (longest - 4) * (longest - 2) / longest, 1.0)
        return jnp.where(enough, jnp.sqrt(variance / largest), 0.0)

    def plain(count: ArrayLike) -> jax.Array:
        return jnp.where(averaged(b2, count) > threshold, 0.0, 1.0)

    return rectified, plain


def averaged(b: Scalar, count: ArrayLike) -> jax.Array:
    """rho_t, the length of the simple average that an exponential one is worth.

    As 1 + t h(tL) - h(L) with h(x) = 2/x - 2/(e^x - 1), L = -log b: its own two terms cancel.
    """
    t = step_number(count)
    decay = -jnp.log(jnp.asarray(b, t.dtype))
    return 1 + t * _h(t * decay) - _h(decay)


def _h(x: jax.Array) -> jax.Array:
    # By its series where both of its terms are near 2/x, of x^(2k - 1) with 2 B_2k / (2k)!.
    coefficients = (-1 / 6, 1 / 360, -1 / 15120, 1 / 604800, -1 / 23950080, 1382 / 1307674368000)
    small, large = jnp.minimum(x, 0.5), jnp.maximum(x, 0.5)
    series = 1 + sum(c * small ** (2 * k + 1) for k, c in enumerate(coefficients))
    return jnp.where(x < 0.5, series, 2 / large - 2 / jnp.expm1(large))
