"""The l_p mirror step: Luo et al. (2025), Algorithms 2 to 4, line 5."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import Scalar, check, check_choice, require_params, signed_power

__all__ = ["LpMirrorStepState", "lp_mirror_step"]


class LpMirrorStepState(NamedTuple):
    """State of :func:`lp_mirror_step`: y = phi_{p-1}(z), the dual, shaped as the parameters."""

    y: optax.Params


def lp_mirror_step(
    alpha: Scalar, p: Scalar, init: Literal["params", "zeros"] = "params"
) -> optax.GradientTransformation:
    r"""Mirror descent with the distance-generating function (1/p)||.||_p^p.

    .. math::
      |z_t|^{p-2} z_t &= |z_{t-1}|^{p-2} z_{t-1} - \alpha u_t, \qquad \text{that is} \\
      y_t &= y_{t-1} - \alpha u_t, \qquad z_t = \mathrm{sign}(y_t)|y_t|^{1/(p-1)}

    Emits z_t - theta: added to the parameters it lands on the mirror iterate z. This is a step
    (already downhill), not a descent direction. p = 2 is gradient descent of z.

    Elementwise. The state keeps the dual y, which is cheaper than z and, from p = 4 on, a hundred
    times more accurate. It is an iterate in the parameters' place, so do not round it as if it
    were a moment.

    Args:
      alpha: the step size of the mirror iterate, >= 0. STACEY's Tables 5 to 7 use 0.01 and 0.1.
      p: the power of the distance-generating function, in [2, inf).
      init: z_0. "params" is theta_0, as in the literature of linear coupling and in the authors'
        published code; "zeros" is 0, as the algorithm boxes print it.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import lp_mirror_step
      >>> tx = lp_mirror_step(alpha=0.1, p=3)
      >>> theta = jnp.array([0.5])
      >>> step, state = tx.update(jnp.array([0.9]), tx.init(theta), theta)
      >>> print((theta + step).round(3), state.y)  # y = 0.25 - 0.09
      [0.4] [0.16]

    References:
      Luo et al. (2025), Algorithms 2 to 4, line 5; Allen-Zhu and Orecchia (2017).
    """
    check("finite and >= 0", alpha=alpha)
    check("in [2, inf)", p=p)
    check_choice(("params", "zeros"), init=init)

    def init_fn(params):
        if init == "zeros":
            return LpMirrorStepState(y=optax.tree.zeros_like(params))
        # phi_1 returns its argument: without the copy, donating params and state both would fail.
        return LpMirrorStepState(
            y=jax.tree.map(lambda theta: signed_power(jnp.array(theta), p - 1), params)
        )

    def update(updates, state, params=None):
        require_params("lp_mirror_step", params)
        y = jax.tree.map(lambda y, u: y - alpha * u, state.y, updates)
        step = jax.tree.map(lambda y, theta: signed_power(y, 1 / (p - 1)) - theta, y, params)
        return step, LpMirrorStepState(y)

    return optax.GradientTransformation(init_fn, update)
