"""What acts on steps and parameters: decay, mirror steps, the coupling of two sequences."""

from .cautious_decay_weights import *
from .decay_stepped_weights import *
from .decay_weights import *
from .langevin import *
from .linear_coupling import *
from .lp_mirror_step import *
from .norm_control import *
from .proximal_decay import *
from .storm_step import *
