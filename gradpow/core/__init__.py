"""What links are made of: the chain, checks, trees, powers. An author of a link imports from here.

No paper's name stands inside. Nothing here imports from the rest of gradpow.
"""

from .anchors import *
from .axes import *
from .chain import *
from .counting import *
from .evaluation import *
from .extra_arguments import *
from .float32 import *
from .inputs import *
from .matrices import *
from .misuse import *
from .names import *
from .noise import *
from .numbers import *
from .powers import *
from .replicated import *
from .rounding import *
from .split import *
from .stacks import *
from .steps import *
from .trees import *
