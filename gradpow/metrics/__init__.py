"""What to look at while an optimizer trains: pure functions, and the links that call them.

A metric takes what it needs of ``updates`` (the steps that :func:`optax.apply_updates` adds),
``grad`` (the raw gradient), ``params`` (before the step) and ``state`` (of the optimizer, after
it), and ignores the rest, so that all are called alike: ``metric(updates=u, grad=g, params=theta,
state=s)``. Results are float32 scalars (float64 where the arrays are), over all coordinates of all
tensors, also where those are sharded.

:func:`monitored` evaluates metrics inside a jitted step. In a :func:`gradpow.chain`
:func:`optax.monitor` takes :func:`spike_detector`, and the metrics by :func:`measure`.
"""

from ._moments import *
from ._monitoring import *
from ._spikes import *
from ._steps import *
