"""Gluon: Riabinin et al. (2025), Algorithm 1."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import optax

from gradpow.core import (
    Scalar,
    chain,
    check,
    check_rate,
    layer_balls,
    layer_role,
    product,
    step_number,
)
from gradpow.transforms import NS5, Polynomials, lmo, running_mean

__all__ = ["gluon"]


def gluon(
    learning_rate: optax.ScalarOrSchedule,
    radius: Scalar = 50.0,
    output_radius: Scalar = 3000.0,
    norms: Mapping[str, str] | None = None,
    role: Callable[[str, Any], str] = layer_role,
    iteration: Polynomials | Literal["svd"] = NS5,
) -> optax.GradientTransformationExtraArgs:
    r"""Gluon: each layer's step is a ball whose radius falls, and its momentum grows longer.

    For layer i, with the norms of :func:`gradpow.scion` and t from 0:

    .. math::
      m_t &= (1 - (t+1)^{-1/2})\, m_{t-1} + (t+1)^{-1/2}\, g_t \\
      \theta_{t+1}^i &= \arg\min_{\|\theta - \theta_t^i\|_{(i)} \le \tau_t^i} \langle m_t^i, \theta
      \rangle = \theta_t^i + \tau_t^i\, \mathrm{lmo}_{(i)}(m_t^i), \qquad
      \tau_t^i = \eta_t\, \rho_i\, (t+1)^{-3/4}

    Of exact gradients take :func:`gradpow.deterministic_gluon`. The survey minimises over the
    iterate that is already there, and leaves the momentum's weight out.

    Args:
      learning_rate: eta, a number >= 0 or a schedule. With the radii it is the paper's
        :math:`t_i`; these are Scion's.
      radius, output_radius, norms, role, iteration: as in :func:`gradpow.scion`.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.gluon(0.02)
      >>> tx.update(jnp.array([2.0, -2.0]), tx.init(jnp.zeros(2)))[0]
      Array([-1.,  1.], dtype=float32)

    References:
      Riabinin et al. (2025), Algorithm 1.
    """
    check("finite and > 0", radius=radius, output_radius=output_radius)
    check_rate(learning_rate=learning_rate)
    radii = {"hidden": radius, "output": output_radius, "tied": output_radius}
    return chain(
        running_mean(lambda count: step_number(count) ** -0.5),
        lmo(layer_balls(radii, norms, role), iteration=iteration),
        optax.scale_by_learning_rate(product(learning_rate, lambda c: step_number(c) ** -0.75)),
    )
