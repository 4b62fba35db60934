"""What links are made of: the chain, checks, trees, powers. An author of a link imports from here.

No paper's name stands inside. Nothing here imports from the rest of gradpow.
"""

from .anchors import *
from .axes import *
from .axes_by_name import *
from .bases import *
from .chain import *
from .counting import *
from .decompositions import *
from .evaluation import *
from .exchange import *
from .extra_arguments import *
from .float32 import *
from .inputs import *
from .layers import *
from .matrices import *
from .misuse import *
from .names import *
from .noise import *
from .norm_balls import *
from .normalized import *
from .numbers import *
from .owners import *
from .placements import *
from .powers import *
from .replicated import *
from .rounding import *
from .split import *
from .spread_states import *
from .spreadable import *
from .stacks import *
from .steps import *
from .trees import *
