"""The papers' training settings by name, each an optimizer with schedule, clipping and decay mask.

Plain data, and one function that reads it: :func:`gradpow.presets.get`.
"""

from typing import Any

from . import _optimizers
from ._optimizers import Optimizer as Optimizer
from ._optimizers import decay_mask as decay_mask
from ._optimizers import make_schedule as make_schedule
from ._preset import Preset as Preset
from ._preset import get as get
from ._settings import SETTINGS as SETTINGS
from ._settings import Recipe as Recipe
from ._settings import Setting as Setting

OPTIMIZERS: dict[str, Optimizer]


def __getattr__(name: str) -> Any:
    """OPTIMIZERS when it is asked for, so that `import gradpow` reads no catalog."""
    if name == "OPTIMIZERS":
        return _optimizers.optimizers()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
