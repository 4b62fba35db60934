"""The papers' training settings by name, each an optimizer with schedule, clipping and decay mask.

Plain data, and one function that reads it: :func:`gradpow.presets.get`.
"""

from ._optimizers import OPTIMIZERS as OPTIMIZERS
from ._optimizers import Optimizer as Optimizer
from ._optimizers import decay_mask as decay_mask
from ._preset import Preset as Preset
from ._preset import get as get
from ._recipe import Recipe as Recipe
from ._recipe import Setting as Setting
from ._schedules import make_schedule as make_schedule
from ._settings import SETTINGS as SETTINGS
