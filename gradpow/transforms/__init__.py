"""The paper ideas, one file each; chain them with :func:`gradpow.chain` or :func:`optax.chain`."""

from ._adaptive_sign_power import AdaptiveSignPowerState as AdaptiveSignPowerState
from ._adaptive_sign_power import adaptive_sign_power as adaptive_sign_power
from ._decay_stepped_weights import DecaySteppedWeightsState as DecaySteppedWeightsState
from ._decay_stepped_weights import decay_stepped_weights as decay_stepped_weights
from ._interpolated_momentum import InterpolatedMomentumState as InterpolatedMomentumState
from ._interpolated_momentum import interpolated_momentum as interpolated_momentum
from ._linear_coupling import LinearCouplingState as LinearCouplingState
from ._linear_coupling import linear_coupling as linear_coupling
from ._lp_mirror_step import LpMirrorStepState as LpMirrorStepState
from ._lp_mirror_step import lp_mirror_step as lp_mirror_step
from ._lp_steepest import lp_steepest as lp_steepest
from ._momentum_scaling import MomentumScalingState as MomentumScalingState
from ._momentum_scaling import momentum_scaling as momentum_scaling
from ._nesterov_pmoment import NesterovPmomentState as NesterovPmomentState
from ._nesterov_pmoment import nesterov_pmoment as nesterov_pmoment
from ._p_norm_scale import PNormScaleState as PNormScaleState
from ._p_norm_scale import p_norm_scale as p_norm_scale
from ._sign_power import sign_power as sign_power
