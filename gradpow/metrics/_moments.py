"""Metrics of Adam's moments: how noisy the gradient is, and how far eps sets the step."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    guarded_divide,
    map_with_names,
    scalar_dtype,
    size,
    sum_of_squares,
    variance_and_signal,
)

from ._special import unbounded, unknown

__all__ = ["eps_share", "noise_to_signal"]


def noise_to_signal(
    state: Any, *, b1: Scalar = 0.9, b2: Scalar = 0.999, per_tensor: bool = False, **_: Any
) -> Any:
    r"""How noisy the gradient is, from the moments that the optimizer keeps anyway.

    .. math::
      \Bigl(\sum_i \mathrm{Var}\, g_i \Big/ \sum_i (E\, g_i)^2\Bigr)^{1/2}, \qquad
      \mathrm{Var}\, g = \frac{\hat v - \hat m^2}{1 - c_t}, \quad
      (E\, g)^2 = \hat v - \mathrm{Var}\, g

    with Adam's debiased moments, and c_t the share of the noise that its average keeps, (1 - b1) /
    (1 + b1) in the long run. GradPower's best p depends on it (Section 4.1): above 1, powers p > 1
    make the larger updates, below 1 powers p < 1.

    Reads every :class:`optax.ScaleByAdamState` within the state: AdamW, AMS, Grams, cautious Adam.
    AdamPower's moments are the powered gradient's, and so is its ratio.

    Args:
      state: the optimizer's state, however nested.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      per_tensor: return a dictionary from tensors' names, joined by "/", to their ratios.
      **_: ignored.

    Returns:
      A scalar from 0 to infinity (where no signal stands out), or a dictionary of them. NaN where
      nothing is known: before the second step, and where the gradient has been 0 all along. Under
      ``jax_debug_nans``, set before the first step, it says -1 for NaN, and under
      ``jax_debug_infs`` the largest finite number for infinity.

    Raises:
      ValueError: if b1 or b2 lies outside its range, or the state holds no such moments.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp, optax
      >>> tx = optax.adam(1e-3)
      >>> state = tx.init(jnp.zeros(10_000))
      >>> for step in range(50):
      ...   _, state = tx.update(0.5 + jax.random.normal(jax.random.key(step), 10_000), state)
      >>> print(f"{gradpow.metrics.noise_to_signal(state):.1f}")
      2.0

    References:
      Wang et al. (2025), Section 4.1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    terms = {}

    def add(name, m, v, count):
        m_squared, square = sum_of_squares(m), jnp.sum(v, dtype=scalar_dtype(v))
        # Before the first step 0/0 is 0.
        debiased = guarded_divide(m_squared, (1 - b1**count) ** 2)
        terms[name] = variance_and_signal(
            debiased, guarded_divide(square, 1 - b2**count), b1, count
        )

    states = _adam_states("noise_to_signal", state)
    for adam in states:
        count = _steps_taken(adam)
        map_with_names(lambda name, m, v, t=count: add(name, m, v, t), adam.mu, adam.nu)
    if per_tensor:
        return {name: _root_ratio(*term) for name, term in terms.items()}
    zero = jnp.zeros([], scalar_dtype([adam.nu for adam in states]))
    variance = sum((v for v, _ in terms.values()), start=zero)
    return _root_ratio(variance, sum((s for _, s in terms.values()), start=zero))


def eps_share(state: Any, *, b2: Scalar = 0.999, eps: Scalar = 1e-8, **_: Any) -> jax.Array:
    r"""The share of coordinates in which eps, and not the second moment, sets Adam's step.

    .. math:: \tfrac{1}{d}\, |\{i : \hat v_i^{1/2} < \epsilon\}|

    There the step fades as SGD's does, and AdamPower's, whose moments are of :math:`|g|^p`, as
    SGDPower's. If it is large, lower eps.

    Args:
      state: the optimizer's state, with an :class:`optax.ScaleByAdamState` or several.
      b2: decay of the second moment, in [0, 1).
      eps: the optimizer's, >= 0.
      **_: ignored.

    Returns:
      A scalar in [0, 1]. Coordinates whose gradient was 0 all along are counted.

    Raises:
      ValueError: if b2 or eps lies outside its range, or the state holds no such moments.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adampower(1e-3, p=1.2)
      >>> _, state = tx.update(jnp.array([1e-7, 1e-3]), tx.init(jnp.zeros(2)), jnp.zeros(2))
      >>> print(gradpow.metrics.eps_share(state, b2=0.95))  # 1e-7^1.2 is 4e-9
      0.5

    References:
      Wang et al. (2025), Section 4.1.
    """
    check("in [0, 1)", b2=b2)
    check("finite and >= 0", eps=eps)
    states = _adam_states("eps_share", state)
    moments = [adam.nu for adam in states]
    below = jnp.zeros([], scalar_dtype(moments))
    for adam in states:
        bound = eps**2 * (1 - b2 ** _steps_taken(adam))
        below += sum(jnp.sum(v < bound, dtype=below.dtype) for v in jax.tree.leaves(adam.nu))
    return below / size(moments)


def _root_ratio(variance: jax.Array, signal: jax.Array) -> jax.Array:
    """Infinite where there is variance and no signal, unknown where there is neither."""
    otherwise = jnp.where(variance > 0, unbounded(variance.dtype), unknown(variance.dtype))
    ratio = jnp.sqrt(variance) / jnp.sqrt(jnp.where(signal > 0, signal, 1))
    return jnp.where(signal > 0, ratio, otherwise)


def _steps_taken(adam: Any) -> jax.Array:
    """As a number that powers are taken with."""
    # A vmapped optimizer keeps a count for each of its copies, all alike.
    return jnp.max(jnp.asarray(adam.count, scalar_dtype(adam.nu)))


def _inside(state: Any, kind: type) -> list[Any]:
    leaves = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, kind))
    return [x for x in leaves if isinstance(x, kind)]


def _adam_states(name: str, state: Any) -> list[Any]:
    found = _inside(state, optax.ScaleByAdamState)
    if not found:
        raise ValueError(
            f"{name} reads Adam's moments, and this state has none: chain optax.scale_by_adam in "
            "another optimizer to watch the gradient, or gradpow.transforms.adaptive_sign_power."
        )
    return found
