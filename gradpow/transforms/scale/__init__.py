"""Positive factors of the update, of a coordinate or a tensor: u <- d u."""

from .p_norm_scale import *
from .parameter_rms_scale import *
