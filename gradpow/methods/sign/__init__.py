"""Signs: theta <- theta - eta sign(c), c an average of gradients.

Members vary the average (Lion has two decays, Tiger one) and the scale of the step (Tiger's is the
parameters' size).
"""

from .lion import *
from .tiger import *
