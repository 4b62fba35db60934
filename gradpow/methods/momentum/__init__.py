"""Gradient descent and momentum: theta <- theta - eta m, m a sum of gradients with weights mu^k.

Members vary where the gradient is taken, whether the rate is inside m, and which iterate is given.
"""

from .averaged_sgd import *
from .nag import *
from .normalized_sgd import *
from .sgd import *
from .sgdp import *
