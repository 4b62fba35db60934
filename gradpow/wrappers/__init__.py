"""Around any optimizer: W(base) is an optimizer again."""

from .asam import *
from .ascend import *
from .at_anchor import *
from .at_previous_point import *
from .blocked import *
from .blockwise_learning_rate import *
from .cautious import *
from .gradient_table import *
from .gradpower import *
from .graft import *
from .lagged_gradient import *
from .looksam import *
from .low_precision_state import *
from .mars import *
from .on_matrices import *
from .projected import *
from .qk_clip import *
from .sam import *
from .spread import *
