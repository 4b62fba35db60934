"""AdaGrad: theta <- theta - eta g / (v^{1/2} + eps), v the sum of g^2.

Members vary how v forgets, over which coordinates it is summed, the power in the place of the root,
what scales the step, and whether the whole matrix sum g g' is kept.
"""

from .adadelta import *
from .adagrad import *
from .adagrad_norm import *
from .dasgo import *
from .full_matrix_adagrad import *
from .online_newton_step import *
from .rmsprop import *
