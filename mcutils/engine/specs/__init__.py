"""Specs: frozen settings that name a result by everything that determines it, and how each kind of result is made."""

# ruff: noqa: F401
from .along import FitSpec, MetricSpec, ProfileSpec, TraceSpec, check_reference, metric_of, some_splits
from .attacked import EnsembleSpec, RegainedSpec, RelearnSpec, SharpnessSpec
from .base import LATER, VERSIONS, Checked, Spec, key, key_of, kind_of, name_of, plain
from .compared import AlikeSpec, CueUseSpec, PlaneSpec
from .data import DataSpec
from .graded import HardnessSpec, LearningSpec, OutcomeSpec, ProbeSpec
from .models import (
    AlignedSpec,
    CurveSpec,
    OriginalSpec,
    RetrainedSpec,
    TrajectorySpec,
    UnlearnedSpec,
    UntrainedSpec,
    is_line,
)
from .privacy import MembershipSpec, PhiSpec
from .record import KINDS, SUFFIXES, Result
