"""Control variates: Johnson and Zhang (2013), Figure 1; Defazio et al. (2014), Section 1."""

import jax
import optax

from gradpow.core import Scalar, check, require_reference

__all__ = ["control_variate"]


def control_variate(weight: Scalar = 1.0) -> optax.GradientTransformationExtraArgs:
    r"""Replaces a batch's gradient by one of the same mean and less variance.

    .. math::
      u_t \leftarrow w\, (u_t - r_t) + \mu

    r is this batch's gradient at a reference point, mu the mean of all batches' there. w = 1 is
    SVRG's and SAGA's, unbiased; w = 1/n is SAG's. Stateless.

    Args:
      weight: w, finite and >= 0.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`; its update needs ``reference_grad`` and
      ``reference_mean``, from :func:`gradpow.at_anchor` or :func:`gradpow.gradient_table`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.transforms import control_variate
      >>> tx, r, mu = control_variate(), jnp.array([2.0]), jnp.array([1.0])
      >>> state = tx.init(jnp.zeros(1))
      >>> tx.update(jnp.array([5.0]), state, reference_grad=r, reference_mean=mu)[0]
      Array([4.], dtype=float32)

    References:
      Johnson and Zhang (2013), Figure 1; Defazio et al. (2014), Section 1; Schmidt et al. (2017),
      Algorithm 1.
    """
    check("finite and >= 0", weight=weight)

    def update(
        updates, state, params=None, *, reference_grad=None, reference_mean=None, **extra_args
    ):
        del params, extra_args
        r = require_reference("control_variate", reference_grad, updates)
        mu = require_reference("control_variate", reference_mean, updates)
        return jax.tree.map(lambda u, r, mu: weight * (u - r) + mu, updates, r, mu), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)
