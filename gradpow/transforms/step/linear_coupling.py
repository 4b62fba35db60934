"""Linear coupling: Allen-Zhu and Orecchia (2017); Luo et al. (2025), Algorithms 2 to 4, line 6."""

from typing import NamedTuple

import jax
import optax

from gradpow.core import Scalar, check, require_transformation

__all__ = ["LinearCouplingState", "linear_coupling"]


class LinearCouplingState(NamedTuple):
    """State of :func:`linear_coupling`: the states of the two sequences."""

    primal: optax.OptState
    mirror: optax.OptState


def linear_coupling(
    primal: optax.GradientTransformation, mirror: optax.GradientTransformation, tau: Scalar
) -> optax.GradientTransformationExtraArgs:
    r"""Feeds two transformations the same update and interpolates what they emit.

    .. math::
      u \leftarrow (1 - \tau)\,\mathrm{primal}(u) + \tau\,\mathrm{mirror}(u)

    Both must emit steps, to be added to the parameters: the primal one usually ends in
    ``optax.scale_by_learning_rate``, the mirror one is :func:`gradpow.transforms.lp_mirror_step`.
    With iterates y and z of the two, theta_{t+1} = (1 - tau) y_{t+1} + tau z_{t+1}.

    Args:
      primal: the steepest-descent sequence, any optax transformation.
      mirror: the mirror-descent sequence, any optax transformation.
      tau: the weight of the mirror sequence, in [0, 1]. STACEY uses 0.001 (Tables 5 to 7).

    Returns:
      An :class:`optax.GradientTransformationExtraArgs` that passes extra arguments to both.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from gradpow.transforms import linear_coupling
      >>> tx = linear_coupling(optax.scale(-1.0), optax.scale(-5.0), tau=0.25)
      >>> tx.update(jnp.array([1.0]), tx.init(jnp.zeros(1)))[0]
      Array([-2.], dtype=float32)

    References:
      Allen-Zhu and Orecchia (2017); Luo et al. (2025), Algorithms 2 to 4, line 6.
    """
    check("in [0, 1]", tau=tau)
    primal = require_transformation("linear_coupling's primal", primal)
    mirror = require_transformation("linear_coupling's mirror", mirror)

    def init(params):
        return LinearCouplingState(primal.init(params), mirror.init(params))

    def update(updates, state, params=None, **extra_args):
        a, primal_state = primal.update(updates, state.primal, params, **extra_args)
        b, mirror_state = mirror.update(updates, state.mirror, params, **extra_args)
        coupled = jax.tree.map(lambda a, b: (1 - tau) * a + tau * b, a, b)
        return coupled, LinearCouplingState(primal_state, mirror_state)

    return optax.GradientTransformationExtraArgs(init, update)
