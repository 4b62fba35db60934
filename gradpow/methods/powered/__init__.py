"""Powered gradients: theta <- theta - eta d(phi_p(g)), phi_p(x) = sign(x)|x|^p.

The power acts before an optimizer (AdamPower, AdagradPower, SGDPower, MuonPower), in its
denominator (S3), or is its direction of steepest descent and its mirror map (STACEY, l_p descent).
"""

from .adagradpower import *
from .adampower import *
from .lp_descent import *
from .muonpower import *
from .s3 import *
from .sgdpower import *
from .stacey import *
