"""Variance reduction: this batch's gradient at another point corrects its gradient here.

    SVRG, SAGA, SAG    v = w (g - r) + mu        r and mu at an anchor, or of a table
    STORM and its kin  d = g + (1 - a)(d - r)    r at the last point
    MARS               c = g + s (g - r)         r at the last point, or the last gradient

Members vary where r is taken, how much of the past is kept, and which step is made of it. SGLD,
whose noise makes samples of its iterates, takes no second gradient itself.
"""

from .mars_adamw import *
from .mars_lion import *
from .root_sgd import *
from .sag import *
from .saga import *
from .sarah import *
from .sgld import *
from .storm import *
from .svrg import *
