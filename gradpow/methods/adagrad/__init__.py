"""AdaGrad: theta <- theta - eta (sum g g')^{-1/2} g, of the whole matrix or of its diagonal.

Members vary what is summed, over which coordinates, whether it is forgotten, and the power.
"""

from .full_matrix_adagrad import *
