"""Positive factors of the update, of a coordinate or a tensor: u <- d u."""

from .amos_scale import *
from .moment_bounded_scale import *
from .moment_clip import *
from .moment_scale import *
from .norm_scale import *
from .p_norm_scale import *
from .parameter_rms_scale import *
from .trust_ratio import *
