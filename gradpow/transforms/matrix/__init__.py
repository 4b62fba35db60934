"""Linear maps of a tensor, made of its gradients: u <- P u with a matrix P."""

from .gram_precondition import *
from .kronecker_precondition import *
