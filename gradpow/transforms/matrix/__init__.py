"""Linear maps of a tensor, made of its gradients: u <- P u with a matrix P; and what fits them."""

from .dual_norm_scale import *
from .gram_precondition import *
from .in_basis import *
from .kronecker_basis import *
from .low_rank_momentum import *
from .oja_basis import *
from .orthogonalize import *
from .set_rms import *
from .shape_scale import *
from .split_subspace import *
from .svd_basis import *
