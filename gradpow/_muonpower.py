"""MuonPower: Muon on powered gradients (GradPower, Section 3.4 and Appendix B.2)."""

import re
from collections.abc import Callable
from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers

from ._check import check, check_rate
from ._gradpower import gradpower
from ._numerics import Scalar
from ._paths import EMBEDDING, HEAD, NORM, map_with_names

Hidden = Callable[[str, Any], MuonDimensionNumbers | bool | None]


def muonpower(
    learning_rate: optax.ScalarOrSchedule,
    p: Scalar = 1.2,
    hidden: Hidden | Any = None,
    beta: Scalar = 0.95,
    consistent_rms: Scalar = 0.2,
    b1: Scalar = 0.9,
    b2: Scalar = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: optax.ScalarOrSchedule = 0.1,
    mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""MuonPower: Muon on the powered gradients of hidden matrices, AdamPower on all else.

    Chains :func:`gradpow.transforms.sign_power` and a partition into
    :func:`optax.contrib.muon`, with the settings of Moonlight that the paper adopts (weight decay,
    and updates brought to the root mean square of AdamW's, so that Adam's learning rate serves
    both), and :func:`optax.adamw`. For a hidden matrix of shape (a, b), with O the orthogonal
    factor that Newton and Schulz's iteration approximates, hats for optax's bias corrections, and
    rho = ``consistent_rms``:

    .. math::
      M_t &= \beta M_{t-1} + (1 - \beta)\, \varphi_p(G_t), \qquad
      \varphi_p(g) = \mathrm{sign}(g)\,|g|^p \\
      \Theta_{t+1} &= \Theta_t - \eta_t \bigl(\rho \sqrt{\max(a, b)}\;
      O(\beta \hat M_t + (1 - \beta)\, \hat\varphi_p(G_t)) + \lambda \Theta_t\bigr)

    ``hidden`` says which leaves are hidden matrices. A function of path and leaf returns
    ``True`` (a matrix), ``MuonDimensionNumbers`` (which axes are in and out; all others are batch
    axes, so layers stacked in one tensor are ``MuonDimensionNumbers(1, 2)``), or None (AdamW)::

        hidden=lambda path, x: MuonDimensionNumbers(1, 2) if path.startswith("layers/") else None

    A tree of the same answers, or a prefix of one, is taken too. The default is
    :func:`gradpow.hidden_matrices`. Empty leaves always go to AdamW.

    Keeps M for hidden matrices, m and v for all else, float32 or wider, shaped as the parameters.

    Args:
      learning_rate: eta of both parts, a number or a schedule.
      p: the power, > 0. Default from Section 3.4.
      hidden: as above.
      beta: decay of Muon's momentum, in [0, 1).
      consistent_rms: root mean square of Muon's updates, > 0; 0.2 is Moonlight's.
      b1: decay of AdamW's first moment, in [0, 1).
      b2: decay of AdamW's second moment, in [0, 1).
      eps: added to denominators, > 0.
      weight_decay: of both parts, a number or a schedule, multiplied by the learning rate.
      mask: which leaves to decay, as in :func:`optax.adamw`. Under ``optax.inject_hyperparams``
        pass ``static_args=("mask", "hidden")``, or it takes callables for schedules.

    Returns:
      An :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      ValueError: if a number lies outside its range, or ``hidden`` calls a leaf that is no matrix
        one.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> params = {"embed": jnp.ones((4, 2)), "layer": {"kernel": jnp.ones((2, 2))}}
      >>> tx = gradpow.muonpower(1e-2)
      >>> updates, state = tx.update(params, tx.init(params), params)
      >>> sorted(state[1][0].inner_states)
      ['adamw', 'muon']

    References:
      `GradPower: Powering Gradients for Faster Language Model Pre-Training`, Section 3.4; Liu et
      al., `Muon is Scalable for LLM Training` (Moonlight), Section 2.2.
    """
    check("in [0, 1)", beta=beta, b1=b1, b2=b2)
    check("finite and > 0", consistent_rms=consistent_rms, eps=eps)
    check_rate(learning_rate=learning_rate, weight_decay=weight_decay)
    dimension_numbers = _dimension_numbers(hidden_matrices if hidden is None else hidden)
    muon = optax.contrib.muon(
        learning_rate,
        beta=beta,
        eps=eps,
        # Typed as a number there, but handed to optax.add_decayed_weights, which takes schedules.
        weight_decay=weight_decay,  # pyright: ignore[reportArgumentType]
        weight_decay_mask=mask,
        muon_weight_dimension_numbers=dimension_numbers,
        consistent_rms=consistent_rms,
    )
    # Not muon's own Adam: that one takes Muon's Nesterov flag, where Moonlight has plain AdamW.
    adamw = optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=mask)
    return gradpower(optax.partition({"muon": muon, "adamw": adamw}, _labels(dimension_numbers)), p)


def hidden_matrices(path: str, leaf: jax.Array) -> bool:
    """The default of :func:`gradpow.muonpower`: 2-D leaves but embeddings, heads, norms, biases.

    Args:
      path: the names on the way to the leaf, joined by "/".
      leaf: the parameter.

    Returns:
      Whether the leaf has two axes, and its path names no embedding (embed, wte), output head
      (head, lm_head), norm, scale or bias.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> gradpow.hidden_matrices("layers/0/mlp/kernel", jnp.ones((8, 8)))
      True
      >>> gradpow.hidden_matrices("token_embed/embedding", jnp.ones((8, 8)))
      False

    References:
      `GradPower: Powering Gradients for Faster Language Model Pre-Training`, Appendix B.2: Muon
      takes the hidden matrices, AdamW all else; which names those have is ours.
    """
    other = f"{EMBEDDING}|{HEAD}|{NORM}|(^|/)(scale|bias)(/|$)"
    return leaf.ndim == 2 and not re.search(other, path.lower())


def _is_answer(x: Any) -> bool:
    return x is None or isinstance(x, bool | MuonDimensionNumbers)


def _dimension_numbers(hidden: Hidden | Any) -> Callable[[optax.Params], Any]:
    """From params to a tree of MuonDimensionNumbers, None where AdamW is to act."""

    def numbers(path: str, answer: Any, leaf: jax.Array) -> MuonDimensionNumbers | None:
        if not answer or not leaf.size:
            return None
        if answer is True and leaf.ndim != 2:
            raise ValueError(
                f"hidden is True for {path!r}, which has not two axes: answer with "
                "optax.contrib.MuonDimensionNumbers to say which are in and out, or None for AdamW."
            )
        return MuonDimensionNumbers() if answer is True else answer

    def of(params: optax.Params) -> Any:
        if not jax.tree.leaves(params):  # optax.tree.map_params probes with a tree of no leaves
            return params
        answers = map_with_names(hidden, params) if callable(hidden) else hidden
        return map_with_names(  # an answer may stand for a subtree
            lambda path, answer, part: jax.tree.map(lambda x: numbers(path, answer, x), part),
            answers,
            params,
            is_leaf=_is_answer,
        )

    return of


def _labels(dimension_numbers: Callable[[optax.Params], Any]) -> Callable[[optax.Params], Any]:
    def label(numbers: MuonDimensionNumbers | None) -> str:
        return "adamw" if numbers is None else "muon"

    return lambda params: jax.tree.map(label, dimension_numbers(params), is_leaf=_is_answer)
