"""AdaGrad: theta <- theta - eta g / (v^{1/2} + eps), v the sum of g^2.

Members vary how v forgets, the power in the place of the root, and what scales the step.
"""

from .adadelta import *
from .adagrad import *
from .online_newton_step import *
from .rmsprop import *
