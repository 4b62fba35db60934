"""Preconditioned axes: theta <- theta - eta A G B, with A and B of the past of G G' and G' G.

Members vary the powers, whether one axis or both are preconditioned, and whether the two maps are
multiplied or averaged, or only name the basis in which another method works.
"""

from .asgo import *
from .caspr import *
from .shampoo import *
from .soap import *
