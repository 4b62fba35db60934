"""Adam: theta <- theta - eta m / (v^{1/2} + eps), m and v averages of g and g^2.

Members vary the statistics m and v, where eps stands, and how weights decay.
"""

from .adam import *
from .adam_plus import *
from .adamw import *
from .adan import *
from .ademamix import *
from .amos import *
from .nadam import *
