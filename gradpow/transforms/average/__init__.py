"""Averages of the updates over time: m <- b m + (1 - b) u, and what of them is emitted."""

from .interpolated_momentum import *
from .nesterov_pmoment import *
