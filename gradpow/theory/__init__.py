"""The papers' closed forms: how large an update gets, which power is best, how fast descent is.

Plain NumPy in float64, for choosing hyper-parameters, for drawing the papers' figures and for
testing optimizers against what was proved about them. Every function takes floats or arrays and
broadcasts, and raises a ValueError for arguments outside the ranges that its docstring gives.
Where a paper's statement is inexact, the docstring says how.
"""

from ._gradpower import best_power as best_power
from ._gradpower import best_power_bounds as best_power_bounds
from ._gradpower import gaussian_update_ratio as gaussian_update_ratio
from ._gradpower import high_noise_update as high_noise_update
from ._gradpower import limit_update as limit_update
from ._gradpower import low_noise_update as low_noise_update
from ._s3 import adam_update_bound as adam_update_bound
from ._s3 import s3_update_bound as s3_update_bound
from ._stacey import LpDescentExponents as LpDescentExponents
from ._stacey import lp_descent_bound as lp_descent_bound
from ._stacey import lp_descent_exponents as lp_descent_exponents
