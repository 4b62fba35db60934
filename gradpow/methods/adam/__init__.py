"""Adam: theta <- theta - eta m / (v^{1/2} + eps), m and v averages of g and g^2.

Members vary the statistics m and v, where eps stands, and how weights decay.
"""

from .adai import *
from .adalayer import *
from .adam import *
from .adam_mini import *
from .adamc import *
from .adamp import *
from .adamw import *
from .adamwn import *
