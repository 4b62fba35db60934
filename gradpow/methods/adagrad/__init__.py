"""AdaGrad: theta <- theta - eta g / (v^{1/2} + eps), v the sum of g^2.

Members vary how v forgets, the power in the place of the root, and what scales the step.
"""

from .adagrad_norm import *
from .dasgo import *
