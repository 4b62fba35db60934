"""The papers' closed forms: how large an update gets, which power is best, how fast descent is.

Plain NumPy in float64, for choosing hyper-parameters, for drawing the papers' figures and for
testing optimizers against what was proved about them. Every function takes floats or arrays and
broadcasts, and raises a ValueError for arguments outside the ranges that its docstring gives.
Where a paper's statement is inexact, the docstring says how.
"""

from ._gradpower import *
from ._s3 import *
from ._stacey import *
