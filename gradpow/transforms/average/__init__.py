"""Averages of the updates over time: m <- b m + (1 - b) u, and what of them is emitted."""

from .adaptive_inertia import *
from .additive_mean import *
from .difference import *
from .factored import *
from .interpolated_momentum import *
from .mixture import *
from .nesterov_ema import *
from .nesterov_pmoment import *
from .pooled import *
from .recursive_momentum import *
from .running_max import *
from .running_mean import *
