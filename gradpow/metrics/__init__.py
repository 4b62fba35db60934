"""What to look at while an optimizer trains: pure functions, and the links that call them.

A metric takes what it needs of ``updates`` (the steps that :func:`optax.apply_updates` adds),
``grad`` (the raw gradient), ``params`` (before the step) and ``state`` (of the optimizer, after
it), and ignores the rest, so that all are called alike: ``metric(updates=u, grad=g, params=theta,
state=s)``. Results are float32 scalars (float64 where the arrays are), over all coordinates of all
tensors, also where those are sharded.

:func:`monitored` evaluates metrics inside a jitted step. In a :func:`gradpow.chain`
:func:`optax.monitor` takes :func:`spike_detector`, and the metrics by :func:`measure`.
"""

from ._monitoring import MonitoredState as MonitoredState
from ._monitoring import measure as measure
from ._monitoring import monitored as monitored
from ._of_moments import eps_share as eps_share
from ._of_moments import noise_to_signal as noise_to_signal
from ._of_steps import effective_rate as effective_rate
from ._of_steps import largest_update as largest_update
from ._of_steps import relative_update as relative_update
from ._of_steps import sign_agreement as sign_agreement
from ._of_steps import update_rms as update_rms
from ._spikes import SpikeDetectorState as SpikeDetectorState
from ._spikes import spike_detector as spike_detector
