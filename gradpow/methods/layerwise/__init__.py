"""Layerwise rates: theta <- theta - eta phi(|theta|) u / |u|, norms of each tensor by itself.

Members vary u, which is a gradient (LARS) or Adam's update (LAMB), and where the decay stands.
"""

from .lamb import *
from .lars import *
