"""Oracles: theta <- theta + eta lmo(m), the point of a norm's ball that lies farthest downhill.

Members vary the norm, the average m, whether theta stays in the ball (theta <- (1 - eta) theta +
eta lmo(m)), and what the radius follows.
"""

from .deterministic_gluon import *
from .frank_wolfe import *
from .gluon import *
from .scg import *
from .scion import *
