"""What turns the update into another direction: its signs, its geometry."""

from .lmo import *
from .lp_steepest import *
from .momentum_scaling import *
from .remove_radial import *
