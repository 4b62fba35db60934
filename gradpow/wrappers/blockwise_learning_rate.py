"""Learning rates by block: Wang et al. (2025), Appendix B.2; Wang et al. (2025b)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from gradpow.core import Scalar, check, is_function, map_with_names, parameter_part

__all__ = ["TRANSFORMER_RATIOS", "blockwise_learning_rate", "transformer_blocks"]

TRANSFORMER_RATIOS: Mapping[str, float] = {
    "embedding": 10.0,
    "qk": 8.0,
    "ffn": 6.0,
    "vo": 4.0,
    "rest": 1.0,
}
"""GradPower's ratios (Appendix B.2), by the labels of :func:`gradpow.transformer_blocks`."""


def blockwise_learning_rate(
    ratios: Mapping[str, Scalar] | Callable[[str], Scalar] = TRANSFORMER_RATIOS,
    labels: Callable[[str], str] | Any = None,
) -> optax.GradientTransformation:
    r"""Multiplies every leaf's step by the ratio of its block.

    .. math::
      \eta_{block} = r_{block}\, \eta

    Chain it after a complete optimizer, so that the weight decay is multiplied too, as it is by a
    learning rate::

        optax.chain(gradpow.adampower(1e-3), gradpow.blockwise_learning_rate())

    Stateless; the ratios are constants of the compiled step.

    Args:
      ratios: r, a mapping from block label to ratio, >= 0; or a function from the path of a leaf
        (its names joined by "/") to its ratio. The default is :data:`gradpow.TRANSFORMER_RATIOS`:
        embedding 10, qk 8, ffn 6, vo 4, rest 1, with respect to the rate tuned for Adam.
      labels: with a mapping: a function from path to label, or a tree of labels (or a prefix of
        one). The default is :func:`gradpow.transformer_blocks`, which goes by names: see what they
        make of your model with :func:`gradpow.describe_split`.

    Raises:
      ValueError: if a ratio is negative, or at update if a label has no ratio.
      TypeError: if a ratio is no number, or labels come with a function of the path.

    Examples:
      >>> import gradpow, jax.numpy as jnp
      >>> steps = {"embed": {"embedding": jnp.ones(1)}, "mlp": {"up_proj": {"kernel": jnp.ones(1)}}}
      >>> tx = gradpow.blockwise_learning_rate()
      >>> tx.update(steps, tx.init(steps))[0]["mlp"]
      {'up_proj': {'kernel': Array([6.], dtype=float32)}}

    References:
      Wang et al. (2025), Section 3.4 and Appendix B.2; Wang et al. (2025b).
    """
    if isinstance(ratios, Mapping):
        check("finite and >= 0", **{f"ratios[{label!r}]": r for label, r in ratios.items()})
        labels = transformer_blocks if labels is None else labels
    elif labels is None:
        labels = _path_itself
    else:
        raise TypeError("labels go with a mapping of ratios; a function of the path needs none.")

    def ratio(label: str) -> Scalar:
        if not isinstance(ratios, Mapping):
            return ratios(label)
        if label not in ratios:
            raise ValueError(f"no ratio for the label {label!r}: add it to ratios, {dict(ratios)}.")
        return ratios[label]

    def update(updates, state, params=None):
        del params
        tree = labels
        if is_function(labels, updates):
            tree = map_with_names(lambda path, _: labels(path), updates)
        # Labels first, so that they may be a prefix of the updates.
        scaled = jax.tree.map(
            lambda label, part: jax.tree.map(lambda u: ratio(label) * u, part), tree, updates
        )
        return scaled, state

    return optax.GradientTransformation(optax.init_empty_state, update)


def transformer_blocks(path: str) -> str:
    """Labels a leaf of a transformer by its path: "embedding", "qk", "ffn", "vo" or "rest".

    Knows the names of public models in Flax, Haiku and Equinox, as
    :func:`gradpow.core.parameter_part` has them: the innermost name that says something decides.
    Where queries, keys and values are joined in one matrix it is "vo", the smallest ratio of its
    parts: the paper does not say, and the sharpest part bounds the rate. The ratios were measured
    for tables of tokens, attention and MLPs, so "rest" are norms, heads, maps of the input (of
    patches), routers of experts, convolutions, LoRA's matrices, learned tokens, biases by relative
    position, and what has no telling name, such as Dense_0. A table of positions is "embedding".

    Look at what it says of your model before you trust it::

        print(gradpow.describe_split(params, gradpow.transformer_blocks))

    Args:
      path: the names on the way to the leaf, joined by "/".

    Returns:
      The label.

    Examples:
      >>> import gradpow
      >>> for path in ("layers/0/attn/query/kernel", "layers/0/attn/out/kernel",
      ...              "layers/0/mlp/wo/kernel", "wte/embedding", "lm_head/kernel"):
      ...   print(gradpow.transformer_blocks(path))
      qk
      vo
      ffn
      embedding
      rest

    References:
      Wang et al. (2025), Appendix B.2, for the blocks; which names belong to them is ours.
    """
    part = parameter_part(path)
    return part if part in TRANSFORMER_RATIOS else "rest"


def _path_itself(path: str) -> str:
    return path
