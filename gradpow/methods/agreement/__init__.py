"""Agreement of signs: theta <- theta - eta k(u, g) u, with k by whether u and g agree in sign.

u is Adam's or Lion's update. What disagrees is turned (Grams), masked (Cautious) or multiplied by
any lambda (AMS).
"""

from .ams import *
from .cadam import *
from .cautious_adam import *
from .cautious_lion import *
from .grams import *
