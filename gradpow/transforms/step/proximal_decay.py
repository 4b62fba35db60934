"""Proximal weight decay: Xie et al. (2024), Algorithm 1."""

from typing import Any

import jax.numpy as jnp
import optax

from gradpow.core import check_optional_rate
from gradpow.transforms.step.decay_stepped_weights import decay_stepped_weights

__all__ = ["proximal_decay"]


def proximal_decay(
    rate: optax.ScalarOrSchedule | None, mask: Any = None
) -> optax.GradientTransformation:
    r"""Decays the parameters that the step has reached by a division, which never turns them.

    .. math::
      \theta &\leftarrow (\theta + u) / (1 + r_t)
      \qquad\text{in one step:} \\
      u &\leftarrow (u - r_t \theta) / (1 + r_t)

    It is the proximal step of the penalty :math:`\lambda \|\theta\|^2 / 2` with r the rate times
    lambda, and :func:`gradpow.transforms.decay_stepped_weights` with r / (1 + r). u is a step
    (negated, with the learning rate in it), so this link comes last.

    Args:
      rate: r, a number >= 0 or a schedule; usually learning rate times weight decay. None gives the
        identity, which keeps nothing and needs no parameters.
      mask: which leaves to decay, as in :func:`optax.add_decayed_weights`.

    Returns:
      An :class:`optax.GradientTransformation`; its update needs the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import proximal_decay
      >>> tx = proximal_decay(0.25)
      >>> theta, step = jnp.array([6.0]), jnp.array([-1.0])
      >>> theta + tx.update(step, tx.init(theta), theta)[0]
      Array([4.], dtype=float32)

    References:
      Xie et al. (2024), Algorithm 1.
    """
    check_optional_rate(rate=rate)
    if callable(rate):
        return decay_stepped_weights(lambda count: _share(jnp.asarray(rate(count), float)), mask)
    return decay_stepped_weights(None if rate is None else _share(rate), mask)


def _share(r: Any) -> Any:
    return r / (1 + r)
