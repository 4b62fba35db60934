"""A matrix times powers of both its factors, L an average of g g' and R of g' g: L^-p g R^-p.

Members vary the power, whether factors are summed or averaged, one side or both, what stands in the
place of the power (Adam in the eigenvectors' coordinates), and how long the step is.
"""

from .soap import *
