"""Adam: theta <- theta - eta m / (v^{1/2} + eps), m and v averages of g and g^2.

Members vary the statistics m and v, where eps stands, and how weights decay.
"""

from .acclip import *
from .adabelief import *
from .adabound import *
from .adafactor import *
from .adafom import *
from .adai import *
from .adalayer import *
from .adam import *
from .adam_mini import *
from .adam_plus import *
from .adamax import *
from .adamc import *
from .adamp import *
from .adamw import *
from .adamwn import *
from .adamx import *
from .adan import *
from .adax import *
from .ademamix import *
from .amos import *
from .amsbound import *
from .amsgrad import *
from .nadam import *
from .padam import *
from .radam import *
from .yogi import *
