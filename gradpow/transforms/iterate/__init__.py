"""Which iterates: where gradients are taken, and which parameters are the answer.

They come last in a chain, and :func:`gradpow.eval_params` gives the parameters to evaluate.
"""

from .average_iterates import *
from .extrapolate import *
