"""gradpow: the ideas of optimizer papers as small optax transformations, and their optimizers."""

from . import core as core
from . import metrics as metrics
from . import presets as presets
from . import schedules as schedules
from . import theory as theory
from . import transforms as transforms
from .catalog import *
from .core import chain as chain
from .core import describe_split as describe_split
from .core import eval_params as eval_params
from .core import full_gradient as full_gradient
from .core import hidden_matrices as hidden_matrices
from .core import inputs as inputs
from .core import owned_shardings as owned_shardings
from .core import respread as respread
from .core import set_anchor as set_anchor
from .methods.adagrad import *
from .methods.adam import *
from .methods.agreement import *
from .methods.kronecker import *
from .methods.layerwise import *
from .methods.low_rank import *
from .methods.momentum import *
from .methods.oracle import *
from .methods.orthogonal import *
from .methods.powered import *
from .methods.sign import *
from .methods.variance_reduced import *
from .schedules import matched_weight_decay as matched_weight_decay
from .wrappers import *

__version__ = "0.1.0"
