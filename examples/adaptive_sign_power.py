"""A sign power that chooses p while training, after Wang et al. (2025), Section 4.1; ours."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradpow.core import (
    Scalar,
    check,
    check_order,
    scalar_dtype,
    signed_power,
    size,
    sum_of_squares,
    variance_and_signal,
)


class AdaptiveSignPowerState(NamedTuple):
    """State of :func:`adaptive_sign_power`: m_t, shaped as the parameters, and scalars.

    count: gradients measured; p: the power of the next step; mean: m_t; square: s_t; variance: Var
    g as last estimated, a mean over all coordinates, 0 at first; signal: (E g)^2, likewise.
    """

    count: jax.typing.ArrayLike
    p: jax.Array
    mean: optax.Updates
    square: jax.Array
    variance: jax.Array
    signal: jax.Array


def adaptive_sign_power(
    p: Scalar = 1.2,
    low: Scalar = 0.8,
    high: Scalar = 1.4,
    b: Scalar = 0.99,
    eps: Scalar = 1e-8,
) -> optax.GradientTransformation:
    r"""Raises the update to a power that follows the measured noise of the gradient.

    .. math::
      u_i &\leftarrow \mathrm{sign}(g_i)\,|g_i|^{p_{t-1}} \\
      m_t &= b\, m_{t-1} + (1 - b)\, g_t, \qquad s_t = b\, s_{t-1} + (1 - b)\, \|g_t\|_2^2 / d \\
      \mathrm{Var}\, g &= \frac{\hat s_t - \|\hat m_t\|_2^2 / d}{1 - c_t}, \qquad
      (E\, g)^2 = \hat s_t - \mathrm{Var}\, g \\
      p^* &= \arg\max_{low \le p \le high}\; u(p;\ \mu, \sigma, \epsilon), \qquad
      \mu = |E\, g|, \quad \sigma = (3\, \mathrm{Var}\, g)^{1/2} \\
      p_t &= b\, p_{t-1} + (1 - b)\, p^*

    u(p; mu, sigma, eps) is the update that AdamPower makes in the long run of gradients uniform in
    mu +- sigma, :func:`gradpow.theory.limit_update`; hats are debiased averages, c_t is the share
    of the variance that m_t keeps. Under heavy noise p* is :func:`gradpow.theory.best_power`, and
    where eps is negligible it is simply ``high``; below a noise-to-signal ratio of about 1 it is
    ``low``. The paper proposes p by batch size and leaves more to later work; measuring the noise
    so, one p for all tensors, its bounds and its smoothing are ours.
    **It beat no well chosen fixed p** in our runs (``python -m examples.adaptive_power --table``).

    Chain it where ``sign_power`` stood, before a nested chain::

        gradpow.chain(adaptive_sign_power(), gradpow.chain(optax.adamw(1e-3, b2=0.95)))

    Coordinates that are not finite are powered like any, but not measured, since p is shared by
    all; if the measurement overflows (abs(g) beyond 1e19) or vanishes, p stays. Needs one sum over
    all tensors, thus an all-reduce of scalars when they are sharded.

    Args:
      p: the first power, > 0, from low to high.
      low: the least power, > 0. 0.8 and 1.4 are the ends of Table 2's grid.
      high: the largest power, > 0.
      b: the weight of the past in m, s and p, in [0, 1).
      eps: that of the optimizer that follows, >= 0.

    Examples:
      >>> import gradpow, jax, jax.numpy as jnp
      >>> from examples.adaptive_sign_power import adaptive_sign_power
      >>> tx = gradpow.chain(adaptive_sign_power(b=0.9))
      >>> state = tx.init(jnp.zeros(100))
      >>> for step in range(50):
      ...   noise = 1e-5 * jax.random.uniform(jax.random.key(step), 100, minval=-1.0)
      ...   _, state = tx.update(1e-6 + noise, state)
      >>> print(f"{state[0].p:.1f} {gradpow.theory.best_power(sigma=1e-5):.1f}")
      1.2 1.2

    References:
      Wang et al. (2025), Section 4.1, Propositions 4.2 and 4.3, Appendix C.2.
    """
    check("finite and > 0", p=p, low=low, high=high)
    check_order(low=low, p=p, high=high)
    check("in [0, 1)", b=b)
    check("finite and >= 0", eps=eps)

    def init(params):
        dtype = scalar_dtype(params)
        square, variance, signal = (jnp.zeros([], dtype) for _ in range(3))
        return AdaptiveSignPowerState(
            count=jnp.zeros([], jnp.int32),
            p=jnp.array(p, dtype),
            mean=optax.tree.zeros_like(params),
            square=square,
            variance=variance,
            signal=signal,
        )

    def update(updates, state, params=None):
        del params
        measured = jax.tree.map(lambda g: jnp.where(jnp.isfinite(g), g, 0), updates)
        count = optax.safe_increment(state.count)
        mean = jax.tree.map(lambda m, g: b * m + (1 - b) * g, state.mean, measured)
        square = b * state.square + (1 - b) * sum_of_squares(measured) / size(measured)
        square = jnp.where(jnp.isfinite(square), square, state.square)
        debias = 1 - b ** jnp.asarray(count, square.dtype)
        variance, signal = variance_and_signal(
            sum_of_squares(mean) / size(mean) / debias**2, square / debias, b, count
        )
        known = jnp.isfinite(variance + signal) & (variance + signal > 0)
        # Where nothing is known yet, any that have a best power.
        mu, sigma = (jnp.sqrt(jnp.where(known, x, k)) for x, k in ((signal, 1), (3 * variance, 3)))
        best = _best_power(mu, sigma, low, high, eps)
        found = (b * state.p + (1 - b) * best, variance, signal)
        kept = (state.p, state.variance, state.signal)
        new_p, variance, signal = (jnp.where(known, x, y) for x, y in zip(found, kept, strict=True))
        powered = jax.tree.map(lambda g: signed_power(g, state.p), updates)
        return powered, AdaptiveSignPowerState(count, new_p, mean, square, variance, signal)

    return optax.GradientTransformation(init, update)


def _best_power(
    mu: jax.Array, sigma: jax.Array, low: Scalar, high: Scalar, eps: Scalar
) -> jax.Array:
    """The best of 61 powers; smoothing makes finer ones of them. Of equal ones the lowest."""
    # All updates are proportional to a small mu, and a mu of 0 would make them equal.
    mu = jnp.maximum(mu, 1e-3 * sigma)
    powers = jnp.linspace(low, high, 61, dtype=mu.dtype)
    return powers[jnp.argmax(_limit_update(powers, mu, sigma, eps))]


def _limit_update(p: jax.Array, mu: jax.Array, sigma: jax.Array, eps: Scalar) -> jax.Array:
    """`gradpow.theory.limit_update`, traced; it explains the terms."""
    largest = mu + sigma
    noise = jnp.where(sigma > 0, sigma, mu / 2)  # without any, the last lines say what holds
    width = 2 * noise / largest
    ratio = jnp.minimum(mu, noise) / jnp.maximum(mu, noise)
    reach = 2 * jnp.arctanh(jnp.minimum(ratio, 1 - jnp.finfo(ratio.dtype).epsneg))

    def odd(q):
        return -jnp.expm1(-q * reach) / (q * width)

    q = 2 * p + 1
    even = (1 + jnp.exp(-q * reach)) / (q * width)
    mean, square = odd(p + 1), jnp.where(sigma > mu, even, odd(q))
    mean, square = jnp.where(sigma > 0, mean, 1), jnp.where(sigma > 0, square, 1)
    floor = jnp.exp(jnp.log(jnp.where(eps > 0, eps, 1)) - p * jnp.log(largest))
    return mean / (jnp.sqrt(square) + jnp.where(eps > 0, floor, 0))
