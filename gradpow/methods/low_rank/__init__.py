"""Moments in a basis of few vectors, or all: theta <- theta - eta P inner(P' g Q) Q'.

Members vary where the basis comes from (singular vectors, an eigenspace that is followed, power
iteration), how many vectors it has, and what is done with what lies outside: dropped, kept for
later steps, or taken by another rule.
"""

from .adadiag import *
from .cosmos import *
from .dion import *
from .galore import *
