"""Specs: frozen settings that name a result by everything that determines it, and how each kind of result is made."""

# ruff: noqa: F401
from .along import FitSpec, MetricSpec, ProfileSpec, TraceSpec, check_reference, metric_of, some_splits
from .attacked import EnsembleSpec, MembershipSpec, PhiSpec, RegainedSpec, RelearnSpec, SharpnessSpec
from .base import KINDS, LATER, SUFFIXES, VERSIONS, Checked, Result, Spec, key, key_of, kind_of, name_of, plain
from .data import DataSpec
from .measured import AlikeSpec, CueUseSpec, HardnessSpec, LearningSpec, OutcomeSpec, PlaneSpec, ProbeSpec
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
