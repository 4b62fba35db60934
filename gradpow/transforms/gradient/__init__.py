"""What is done to the gradient before anything averages it: u <- f(g)."""

from .clip_by_tensor_norm import *
from .control_variate import *
from .gradient_correction import *
from .sign_power import *
from .take_grad import *
from .with_view import *
