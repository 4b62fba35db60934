"""AMS (Algorithm 1), Grams (equation (6)) and the Cautious optimizers."""

from typing import Any

import jax.numpy as jnp
import optax

from ._chain import chain
from ._check import check, check_rate
from ._numerics import Scalar
from ._rates import product
from .transforms import (
    decay_stepped_weights,
    interpolated_momentum,
    lp_steepest,
    momentum_scaling,
)


def ams(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    b3: Scalar = 0.0,
    negative_scale: Scalar = -1.0,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    floor: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AMS: Adam whose coordinates are rescaled where they disagree in sign with the gradient.

    **Defaults differ from optax.adamw's**: eps = 1e-6 (the paper's appendix F), no decay unless
    asked for, and decay after the step instead of before it.

    Chains :func:`optax.scale_by_adam`, :func:`gradpow.transforms.momentum_scaling`,
    :func:`optax.scale_by_learning_rate` and :func:`gradpow.transforms.decay_stepped_weights`:

    .. math::
      u_t &= \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon), \qquad
      s_t = \beta_3 s_{t-1} + (1 - \beta_3) g_t \\
      k_t &= 1 \text{ where } u_t s_t \ge 0, \quad \lambda \text{ where } u_t s_t < 0 \\
      \theta_t &= \theta_{t-1} - \eta_t\, \frac{d}{\|k_t\|_1}\, k_t \circ u_t, \qquad
      \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    lambda = 1, or b3 = b1, is Adam; b3 = 0, lambda = 0 is cautious Adam (masking by >=); lambda =
    -1, b3 = 0 is Grams where no gradient is 0. The box decays with the normalised rate eta_hat;
    here, as in the public code, with eta_t: they differ only if lambda is not 1 or -1. It divides
    by 0 where lambda = 0 masks everything; here ``floor`` bounds the mean of abs(k).

    For leaves of any shape, each with a normaliser of its own. Keeps m and v, and s if b3 > 0,
    float32 or wider, shaped as the parameters.

    Args:
      learning_rate: eta, a number or a schedule.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      b3: the weight of the past in the signs, in [0, 1); 0 (all the paper's runs) stores nothing.
      negative_scale: lambda, finite. The paper tries 1, 0.5, 0, -0.5 and recommends -1 (Table 1).
      eps: outside the square root, >= 0.
      eps_root: inside the square root, >= 0; a positive value keeps meta-gradients finite.
      floor: lower bound of the mean of abs(k), in (0, 1].
      weight_decay: gamma, a number or a schedule, multiplied by the learning rate.
      mask: which leaves to decay, as in :func:`optax.adamw`.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.ams(0.1, negative_scale=0.5)
      >>> params = jnp.zeros(2)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(params), params)
      >>> tx.update(jnp.array([1.0, -0.5]), state, params)[0].round(3)  # -0.1 [1, 0.335/2] / 0.75
      Array([-0.133, -0.018], dtype=float32)

    References:
      `Decoupling Sign and Magnitude in Optimization with Adaptive Momentum Scaling`, Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        momentum_scaling(negative_scale, b3, floor=floor),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )


def grams(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Grams: Adam's magnitude with the gradient's sign.

    **Defaults differ from optax.adamw's**: eps = 1e-6 (the paper's appendix F), no decay unless
    asked for, and decay after the step instead of before it.

    Chains :func:`optax.scale_by_adam`, :func:`gradpow.transforms.momentum_scaling`,
    :func:`optax.scale_by_learning_rate` and :func:`gradpow.transforms.decay_stepped_weights`:

    .. math::
      u_t &= \hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon) \\
      \theta_t &= \theta_{t-1} - \eta_t\, \mathrm{sign}(g_t) \circ |u_t|, \qquad
      \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    A coordinate whose gradient is 0 stands still; AMS with lambda = -1 would move it along its
    momentum, so the paper's Corollary 5.2 holds only where no gradient is 0. Some copies fold the
    bias correction into the rate, which moves eps.

    Elementwise, for leaves of any shape. Keeps m and v, float32 or wider, shaped as the parameters.

    Args:
      learning_rate: eta, a number or a schedule.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: outside the square root, >= 0.
      eps_root: inside the square root, >= 0; a positive value keeps meta-gradients finite.
      weight_decay: gamma, a number or a schedule, multiplied by the learning rate.
      mask: which leaves to decay, as in :func:`optax.adamw`.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.grams(0.1)
      >>> params = jnp.zeros(2)
      >>> tx.update(jnp.array([2.0, -3.0]), tx.init(params), params)[0].round(3)
      Array([-0.1,  0.1], dtype=float32)

    References:
      `Decoupling Sign and Magnitude in Optimization with Adaptive Momentum Scaling`, Definition
      5.1, equation (6).
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        momentum_scaling(-1.0, zero_scale=0.0, normalize=False),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )


def cautious(
    base: optax.GradientTransformation,
    negative_scale: Scalar = 0.0,
    b3: Scalar = 0.0,
    zero_scale: Scalar = 0.0,
    floor: Scalar = 1e-3,
) -> optax.GradientTransformationExtraArgs:
    r"""AMS, by default Cautious, around any complete optimizer.

    With u the step of ``base``, turned to be a descent direction, for each tensor of size d:

    .. math::
      s_t &= \beta_3 s_{t-1} + (1 - \beta_3) g_t \\
      k_t &= 1 \text{ where } u_t s_t > 0, \quad \lambda \text{ where } u_t s_t < 0, \quad
      \zeta \text{ where } u_t s_t = 0 \\
      \theta_{t+1} &= \theta_t - k_t \circ u_t / \max(\|k_t\|_1 / d, \mathrm{floor})

    ``base`` must be complete: its updates are steps (negated, with the learning rate in them). Give
    it no decoupled weight decay, which would be masked too, and put
    :func:`gradpow.transforms.decay_stepped_weights` after this; give it no iterate averaging, and
    put that around this, as in ``schedule_free(cautious(...))``.

    Chains ``base`` and :func:`gradpow.transforms.momentum_scaling` between two changes of sign.

    For leaves of any shape, each with a normaliser of its own. Keeps what ``base`` keeps, and s if
    b3 > 0.

    Args:
      base: an optimizer such as ``optax.sgd(1e-2, momentum=0.9)`` or ``optax.contrib.muon(1e-2)``.
      negative_scale: lambda, the factor of coordinates that go against the gradient; 0 masks them
        (Cautious), -1 turns them (as AMS and Grams do).
      b3: the weight of the past in the signs, in [0, 1).
      zero_scale: zeta, the factor where step or gradient is 0: 0 as in Cautious, or 1 as in AMS
        (>= 0). With 1% nonzero gradients the first amplifies the rest 100 times.
      floor: lower bound of the normaliser, in (0, 1].

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if a number lies outside its range.
      TypeError: if a number is none.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.cautious(optax.sgd(0.1, momentum=0.9))
      >>> params = jnp.zeros(2)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(params), params)
      >>> tx.update(jnp.array([1.0, -0.5]), state, params)[0]  # -0.1 [1.9, 0.4] masked, times 2
      Array([-0.38, -0.  ], dtype=float32)

    References:
      Liang et al., `Cautious Optimizers: Improving Training with One Line of Code`, Algorithm 1;
      `Decoupling Sign and Magnitude in Optimization with Adaptive Momentum Scaling`, Def. 3.2.
    """
    return chain(
        base,
        optax.scale(-1.0),
        momentum_scaling(negative_scale, b3, zero_scale, floor=floor),
        optax.scale(-1.0),
    )


def cautious_adam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    floor: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Cautious Adam: Adam without the coordinates that go against the gradient.

    **Defaults differ from optax.adamw's**: eps = 1e-6 (appendix F of the AMS paper), no decay
    unless asked for, and decay after the step instead of before it.

    Chains :func:`optax.scale_by_adam`, :func:`gradpow.transforms.momentum_scaling`,
    :func:`optax.scale_by_learning_rate` and :func:`gradpow.transforms.decay_stepped_weights`. Per
    tensor, with the mask phi = 1 where u g > 0 and 0 elsewhere:

    .. math::
      \theta_t = \theta_{t-1} - \eta_t\, \phi \circ u_t / \max(\mathrm{mean}\,\phi, \mathrm{floor}),
      \qquad \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    The AMS paper masks by >= instead, which is ``gradpow.ams(..., negative_scale=0.0)``: the two
    differ where gradients are exactly 0. Its Definition 3.2 prints a normaliser by the norm of u;
    its Algorithm 1 and Corollary 4.2 need the norm of the mask, as here.

    For leaves of any shape. Keeps m and v, float32 or wider, shaped as the parameters.

    Args:
      learning_rate: eta, a number or a schedule.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: outside the square root, >= 0.
      eps_root: inside the square root, >= 0; a positive value keeps meta-gradients finite.
      floor: lower bound of the mean of the mask, in (0, 1].
      weight_decay: gamma, a number or a schedule, multiplied by the learning rate.
      mask: which leaves to decay, as in :func:`optax.adamw`.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.cautious_adam(0.1)
      >>> params = jnp.zeros(2)
      >>> _, state = tx.update(jnp.array([1.0, 1.0]), tx.init(params), params)
      >>> tx.update(jnp.array([1.0, -0.5]), state, params)[0].round(3)
      Array([-0.2, -0. ], dtype=float32)

    References:
      Liang et al., `Cautious Optimizers: Improving Training with One Line of Code`, Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    return chain(
        optax.scale_by_adam(b1, b2, eps, eps_root),
        momentum_scaling(negative_scale=0.0, zero_scale=0.0, floor=floor),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )


def cautious_lion(
    learning_rate: optax.ScalarOrSchedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.99,
    floor: Scalar = 1e-3,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Cautious Lion: Lion without the coordinates that go against the gradient.

    **Differs from optax.lion** in its decay: none unless asked for, and after the step.

    Chains :func:`gradpow.transforms.interpolated_momentum`, :func:`gradpow.transforms.lp_steepest`
    at p = inf (the sign), :func:`gradpow.transforms.momentum_scaling`,
    :func:`optax.scale_by_learning_rate` and :func:`gradpow.transforms.decay_stepped_weights`. Per
    tensor, with the mask phi = 1 where u g > 0 and 0 elsewhere:

    .. math::
      u_t &= \mathrm{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t), \qquad
      m_t = \beta_2 m_{t-1} + (1 - \beta_2) g_t \\
      \theta_t &= \theta_{t-1} - \eta_t\, \phi \circ u_t / \max(\mathrm{mean}\,\phi,
      \mathrm{floor}), \qquad \theta_t \leftarrow \theta_t - \eta_t \gamma \theta_t

    For leaves of any shape. Keeps m, float32 or wider, shaped as the parameters.

    Args:
      learning_rate: eta, a number or a schedule; Lion's rates are 3 to 10 times below Adam's.
      b1: the weight of the past in the step, in [0, 1).
      b2: the weight of the past in the momentum, in [0, 1).
      floor: lower bound of the mean of the mask, in (0, 1].
      weight_decay: gamma, a number or a schedule, multiplied by the learning rate.
      mask: which leaves to decay, as in :func:`optax.adamw`.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.cautious_lion(0.1)
      >>> params = jnp.zeros(2)
      >>> tx.update(jnp.array([3.0, 0.0]), tx.init(params), params)[0]
      Array([-0.2, -0. ], dtype=float32)

    References:
      Liang et al., `Cautious Optimizers: Improving Training with One Line of Code`, Algorithm 1;
      Chen et al., `Symbolic Discovery of Optimization Algorithms` (Lion).
    """
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    return chain(
        interpolated_momentum(b1, b2),
        lp_steepest(jnp.inf),
        momentum_scaling(negative_scale=0.0, zero_scale=0.0, floor=floor),
        optax.scale_by_learning_rate(learning_rate),
        decay_stepped_weights(product(learning_rate, weight_decay), mask),
    )
