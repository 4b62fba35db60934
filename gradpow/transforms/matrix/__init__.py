"""Linear maps of a tensor, made of its gradients: u <- P u with a matrix P; and what fits them."""

from .dual_norm_scale import *
from .gram_precondition import *
from .orthogonalize import *
from .set_rms import *
from .shape_scale import *
