"""GradPower: powered gradients before any optimizer (GradPower, Algorithm 1 and equation (4))."""

from typing import Any

import optax

from ._chain import chain
from ._check import check, check_rate
from ._numerics import Scalar
from .transforms import sign_power


def gradpower(
    base: optax.GradientTransformation, p: Scalar = 1.2
) -> optax.GradientTransformationExtraArgs:
    r"""GradPower around any optax transformation.

    Chains :func:`gradpow.transforms.sign_power` and ``base``, called Q in the paper:

    .. math::
      u_t = Q(\varphi_p(g_1), \dots, \varphi_p(g_t)), \qquad \varphi_p(g) = \mathrm{sign}(g)\,|g|^p

    Whatever in ``base`` reads the raw
    gradient sees the powered one. Clip before it, ``optax.chain(optax.clip_by_global_norm(1.0),
    gradpower(base))``, as the paper does; the other order trains alike (Appendix B.6).

    For leaves of any shape. Keeps what ``base`` keeps, in at least float32.

    Args:
      base: any optax transformation or optimizer, with its usual hyper-parameters.
      p: the power, > 0. Default from Section 3.1. The best p falls as the batch grows, and may
        drop below 1 (Section 3.5).

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if p <= 0.

    Examples:
      >>> import gradpow, jax.numpy as jnp, optax
      >>> tx = gradpow.gradpower(optax.lion(1e-3), p=1.2)
      >>> updates, state = tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.zeros(2)), jnp.zeros(2))
      >>> updates
      Array([-0.001,  0.001], dtype=float32)

    References:
      `GradPower: Powering Gradients for Faster Language Model Pre-Training`, Section 2.
    """
    # The inner chain starts a `grad` of its own: the powered gradient.
    return chain(sign_power(p), chain(base))


def adampower(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar = 1.2,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: optax.ScalarOrSchedule = 0.1,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamPower: AdamW on powered gradients.

    **Defaults differ from optax.adamw's**: b2 = 0.95 and weight_decay = 0.1, the paper's settings
    for language models (Section 3.1). The decay falls on every parameter unless ``mask`` says
    otherwise.

    Chains :func:`gradpow.transforms.sign_power` and :func:`optax.adamw`:

    .. math::
      g_t &\leftarrow \mathrm{sign}(g_t)|g_t|^p \\
      \theta_t &= \theta_{t-1} - \eta_t
      \bigl(\hat m_t / (\sqrt{\hat v_t + \epsilon_{root}} + \epsilon) + \lambda\theta_{t-1}\bigr)

    With p = 1 it is AdamW. When abs(g)**p falls below eps, eps dominates and the step fades as in
    SGD (Section 4.1); so for very small gradients lower eps. Clip before it.

    Elementwise, for leaves of any shape. Keeps m and v, float32 or wider, shaped as the parameters.

    Args:
      learning_rate: eta, a number or a schedule. The paper keeps the rates tuned for Adam.
      p: the power, > 0; see :func:`gradpow.gradpower`.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: outside the square root, >= 0. The paper names 1e-8 in Figure 7.
      eps_root: inside the square root, >= 0; a positive value keeps meta-gradients finite.
      weight_decay: lambda, a number or a schedule, multiplied by the learning rate.
      mask: which leaves to decay, as in :func:`optax.adamw`. With ``optax.inject_hyperparams``
        pass ``static_args="mask"``, or it takes a callable mask for a schedule.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adampower(1e-3)
      >>> params = {"w": jnp.ones(2)}
      >>> updates, state = tx.update({"w": jnp.array([0.3, -0.7])}, tx.init(params), params)
      >>> updates["w"]
      Array([-0.0011,  0.0009], dtype=float32)

    References:
      `GradPower: Powering Gradients for Faster Language Model Pre-Training`, Algorithm 1.
    """
    check("in [0, 1)", b1=b1, b2=b2)
    check("finite and >= 0", eps=eps, eps_root=eps_root)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    return chain(
        sign_power(p),
        optax.adamw(learning_rate, b1, b2, eps, eps_root, weight_decay=weight_decay, mask=mask),
    )


def adagradpower(
    learning_rate: optax.ScalarOrSchedule, p: Scalar = 1.2, eps: Scalar = 1e-8
) -> optax.GradientTransformationExtraArgs:
    r"""AdagradPower: Adagrad on powered gradients.

    Chains :func:`gradpow.transforms.sign_power` and :func:`optax.adagrad` with an accumulator that
    starts at 0 and eps inside the root, as the paper has it:

    .. math::
      v_t = v_{t-1} + (g_t^p)^2, \qquad
      \theta_{t+1} = \theta_t - \eta_t\, g_t^p / \sqrt{v_t + \epsilon}

    Elementwise, for leaves of any shape. Keeps v, float32 or wider, shaped as the parameters.

    Args:
      learning_rate: eta, a number or a schedule.
      p: the power, > 0. Theorem 4.8 favours p < 1 at low noise, Theorem 4.11 p > 1 at high noise.
      eps: inside the square root, >= 0.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.adagradpower(0.5, p=2)
      >>> tx.update(jnp.array([2.0, -1.0, 0.0]), tx.init(jnp.zeros(3)))[0]
      Array([-0.5,  0.5, -0. ], dtype=float32)

    References:
      `GradPower: Powering Gradients for Faster Language Model Pre-Training`, eq. (4).
    """
    check("finite and >= 0", eps=eps)
    check_rate(learning_rate=learning_rate)
    return chain(
        sign_power(p), optax.adagrad(learning_rate, initial_accumulator_value=0.0, eps=eps)
    )


def sgdpower(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar,
    momentum: Scalar | None = None,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""The Powerball method: SGD on powered gradients.

    Chains :func:`gradpow.transforms.sign_power` and :func:`optax.sgd`, without momentum:

    .. math::
      \theta_{t+1} = \theta_t - \eta_t\, \mathrm{sign}(g_t)\,|g_t|^p

    Elementwise, for leaves of any shape. Keeps nothing, or with momentum its accumulator, float32
    or wider, shaped as the parameters.

    Args:
      learning_rate: eta, a number or a schedule.
      p: the power, > 0. Powerball studies p < 1; p = 0.5 is the square root. No default: the step
        scales with the power of the gradient, so p and the rate go together.
      momentum: decay of the accumulator, in [0, 1), or None for none.
      nesterov: whether to use Nesterov momentum.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> tx = gradpow.sgdpower(0.5, p=3)
      >>> tx.update(jnp.array([2.0, -1.0]), tx.init(jnp.zeros(2)))[0]
      Array([-4. ,  0.5], dtype=float32)

    References:
      Yuan et al., `On the Powerball Method`, 2019, as cited in GradPower, Appendix A.
    """
    check_rate(learning_rate=learning_rate)
    check("in [0, 1)", **({} if momentum is None else {"momentum": momentum}))
    return chain(sign_power(p), optax.sgd(learning_rate, momentum, nesterov))
