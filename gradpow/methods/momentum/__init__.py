"""Gradient descent and momentum: theta <- theta - eta m, m a sum of gradients with weights mu^k.

Members vary where the gradient is taken and whether the rate is inside m.
"""

from .sgd import *
