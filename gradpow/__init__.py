"""gradpow: the ideas of recent optimizer papers as small optax transformations."""

from . import metrics as metrics
from . import presets as presets
from . import schedules as schedules
from . import theory as theory
from . import transforms as transforms
from ._ams import ams as ams
from ._ams import cautious as cautious
from ._ams import cautious_adam as cautious_adam
from ._ams import cautious_lion as cautious_lion
from ._ams import grams as grams
from ._blockwise_learning_rate import TRANSFORMER_RATIOS as TRANSFORMER_RATIOS
from ._blockwise_learning_rate import blockwise_learning_rate as blockwise_learning_rate
from ._blockwise_learning_rate import transformer_blocks as transformer_blocks
from ._chain import chain as chain
from ._gradpower import adagradpower as adagradpower
from ._gradpower import adampower as adampower
from ._gradpower import gradpower as gradpower
from ._gradpower import sgdpower as sgdpower
from ._low_precision_state import LowPrecisionState as LowPrecisionState
from ._low_precision_state import low_precision_state as low_precision_state
from ._matched_weight_decay import matched_weight_decay as matched_weight_decay
from ._muonpower import hidden_matrices as hidden_matrices
from ._muonpower import muonpower as muonpower
from ._s3 import s3 as s3
from ._stacey import lp_descent as lp_descent
from ._stacey import stacey as stacey

__version__ = "0.1.0"
