"""What is done to the gradient before anything averages it: u <- f(g)."""

from .sign_power import *
from .take_grad import *
from .with_view import *
