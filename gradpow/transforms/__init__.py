"""The links, one idea a file, in folders by their place in a step.

Chain them with :func:`gradpow.chain` or :func:`optax.chain`. Folders never appear in an import:
``from gradpow.transforms import sign_power``.
"""

if __name__ != "gradpow.transforms":
    raise ImportError("the folder transforms at the top is for readers: import gradpow.transforms")

from .average import *
from .direction import *
from .gradient import *
from .iterate import *
from .matrix import *
from .scale import *
from .step import *
