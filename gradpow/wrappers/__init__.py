"""Around any optimizer: W(base) is an optimizer again."""

from .blockwise_learning_rate import *
from .cautious import *
from .gradpower import *
from .low_precision_state import *
from .on_matrices import *
from .projected import *
from .qk_clip import *
