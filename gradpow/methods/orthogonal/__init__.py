"""Orthogonal directions: theta <- theta - eta s U V', where U S V' is the momentum of a matrix.

Members vary the momentum, how near to U V' the iteration comes, and s: a function of the shape, or
the nuclear norm, sum S. What is no hidden matrix goes to another optimizer, by default AdamW.
"""

from .moonlight import *
from .muon import *
from .muon_clip import *
from .polar_first import *
from .polargrad import *
from .polarmuon import *
