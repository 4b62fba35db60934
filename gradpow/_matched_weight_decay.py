"""The rule by which S3 and Lion carry over AdamW's weight decay."""

from ._check import check
from ._numerics import Scalar


def matched_weight_decay(adam_lr: Scalar, adam_weight_decay: Scalar, lr: Scalar) -> Scalar:
    r"""The weight decay at rate lr that shrinks the weights as AdamW does at its own.

    .. math::
      \lambda = \lambda_{Adam}\; \eta_{Adam} / \eta

    Decoupled decay takes eta * lambda of the weights at every step. S3 and Lion, whose rates differ
    from AdamW's by up to ten times, keep that product.

    Args:
      adam_lr: the peak learning rate tuned for AdamW, > 0.
      adam_weight_decay: AdamW's weight decay, >= 0.
      lr: the peak learning rate of the other optimizer, > 0.

    Returns:
      The other optimizer's weight decay.

    Raises:
      ValueError: if an argument lies outside its range.
      TypeError: if an argument is no number.

    Examples:
      >>> import gradpow
      >>> gradpow.matched_weight_decay(adam_lr=0.25, adam_weight_decay=0.5, lr=1.0)
      0.125

    References:
      Peng et al., `SoftSignSGD (S3): An Enhanced Optimizer for Practical DNN Training and Loss
      Spikes Minimization Beyond Adam`, the appendix on hyper-parameters; Chen et al., `Symbolic
      Discovery of Optimization Algorithms` (Lion), Section 5.
    """
    check("finite and > 0", adam_lr=adam_lr, lr=lr)
    check("finite and >= 0", adam_weight_decay=adam_weight_decay)
    return adam_lr * adam_weight_decay / lr
