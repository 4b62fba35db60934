"""Links of matrices that can be run on whole matrices, each on the device that owns it."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import optax

from gradpow.core.axes import last_two_axes

__all__ = ["SpreadMatrices", "spreadable"]

Factory = TypeVar("Factory", bound=Callable[..., optax.GradientTransformation])


class SpreadMatrices:
    """Which leaves are matrices, as a function that answers so, and what goes around their links.

    Args:
      matrices: a function of path and leaf, as in :func:`gradpow.core.dimension_numbers`.
      around: from a link of one matrix, and whether it keeps factors, to one of all.
    """

    def __init__(
        self,
        matrices: Callable[[str, Any], Any],
        around: Callable[[optax.GradientTransformation, bool], optax.GradientTransformation],
    ):
        self.matrices = matrices
        self.around = around

    def __call__(self, path: str, leaf: Any) -> Any:
        return self.matrices(path, leaf)


def spreadable(keeps_factors: bool = False) -> Callable[[Factory], Factory]:
    """Makes of a factory of links one that puts around them what its ``matrices`` say.

    Args:
      keeps_factors: whether the link keeps sums of products of gradients.

    Examples:
      >>> import optax
      >>> from gradpow.core import SpreadMatrices, last_two_axes, spreadable
      >>> @spreadable()
      ... def link(matrices=last_two_axes):
      ...   return optax.scale(2.0)
      >>> around = SpreadMatrices(last_two_axes, lambda inner, keeps: optax.chain(inner, inner))
      >>> link(matrices=around).update(1.0, ((), ()))[0]
      4.0
    """

    def decorate(factory: Factory) -> Factory:
        signature = inspect.signature(factory)

        @functools.wraps(factory)
        def make(*args: Any, **kwargs: Any) -> optax.GradientTransformation:
            given = signature.bind(*args, **kwargs)
            matrices = given.arguments.get("matrices")
            if not isinstance(matrices, SpreadMatrices):
                return factory(*args, **kwargs)
            given.arguments["matrices"] = last_two_axes
            return matrices.around(factory(*given.args, **given.kwargs), keeps_factors)

        return make  # pyright: ignore[reportReturnType]

    return decorate
