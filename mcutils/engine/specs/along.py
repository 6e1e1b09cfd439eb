"""Numbers along a path, or along its fit: traces, profiles, single metrics, records of fits."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from ...curves import geometry, weights_at
from ...data.corruptions import from_outside
from ...data.cues import counterfactual
from ...data.tasks import BN_SIZE
from ...errors import BadInput, choose, whole
from ...fits import Fit
from ...measures.metrics import METRICS
from ...measures.profiles import Profile, profile
from ...quantisation import LEAST_BITS, MOST_BITS
from ...reading import flattened, load_arrays
from ...traces import SPLITS, Trace, trace
from .base import ARRAYS, REPLICATES, Result, Results, Spec, key, loaded, shaped, task_of
from .data import data_of, evaluated, form_of
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

FIT = {"step": np.int32, "loss": np.float32, "averaged": np.float32}  # seven digits are enough of a noisy loss
# What a profile holds a single number of, and what it holds along the path.
SINGLE, ALONG = "gap seconds geometry measure known original".split(), "t metric score curve half band".split()


def _small(data: bytes) -> bytes:
    """A trace's file, its logits as differences."""
    file = io.BytesIO()
    Trace.load(io.BytesIO(data)).save(file, differences=True)
    return flattened(file.getvalue())


def _is_t(t: np.ndarray) -> str:
    if len(t) == 1:
        return "" if t[0] == 0 else "t is not 0"
    return "" if t[0] == 0 and t[-1] == 1 and (np.diff(t) > 0).all() else "t does not rise from 0 to 1"


def _seen(trace: Mapping[str, Any]) -> int:
    return evaluated(data_of(trace), trace["forget"], trace.get("splits", ()))


def _part(trace: Mapping[str, Any]) -> float:
    """The share of all evaluation examples that a trace holds."""
    return _seen(trace) / evaluated(data_of(trace), trace["forget"])


def _save_fit(file: BinaryIO, found: Fit) -> None:
    arrays = {name: getattr(found, name) for name in FIT}
    np.savez_compressed(file, **{name: values.astype(FIT[name]) for name, values in arrays.items()})


def _load_fit(file: BinaryIO, limit: int) -> Fit:
    arrays = load_arrays(file, limit)
    return Fit(**{name: arrays[name] for name in FIT})


@dataclass(frozen=True)
class TraceSpec(Result, kind="TraceOf", later="splits bits outside weighted"):
    """Logits of a model, of a curve at ``points`` equally spaced t, or of a trajectory at its snapshots.

    ``shown``: forget and test images replaced by those of a counterfactual set of `cues.SETS`; empty is as they are.
    ``weighted``: of the BatchNorm refresh, see `traces.trace`. ``splits``: those evaluated, in the order of `SPLITS`;
    empty are all of them. ``bits``: of the weights at every point, rounded to a grid (`quantisation.quantised`); 0: as
    they are. ``outside``: test images corrupted or replaced by those of another data set, one of `corruptions.OUTSIDE`.
    """

    model: OriginalSpec | RetrainedSpec | UntrainedSpec | UnlearnedSpec | CurveSpec | TrajectorySpec | AlignedSpec
    forget: float
    points: int = 1
    batchnorm: str = "retain"
    shown: str = ""
    weighted: bool = False
    splits: tuple[str, ...] = ()
    bits: int = 0
    outside: str = ""
    form = replace(ARRAYS, load=Trace.load, save=lambda file, found: found.save(file), archived=_small)
    work = staticmethod(lambda d, flops: flops * d["points"] * (_seen(d) + BN_SIZE))
    size = staticmethod(lambda d: 2 * form_of(data_of(d))[1] * d["points"] * _seen(d))

    def agree(self) -> None:
        object.__setattr__(self, "splits", some_splits(self.splits))
        if self.outside and (self.shown or "test" not in self.held):
            raise BadInput(f"images from outside, {self.outside!r}, are test images that nothing else replaces.")
        if self.bits:
            whole("bits, 0 or", self.bits, LEAST_BITS, MOST_BITS)
        if self.shown and not self.model.data.cue:
            raise BadInput(f"the set {self.shown!r} is of data with a cue, but these carry none.")
        snapshots = len(self.model.steps) if isinstance(self.model, TrajectorySpec) else 1
        if snapshots > 1 and self.points != snapshots:
            raise BadInput(f"a trajectory is traced at its {snapshots} snapshots, got {self.points} points.")
        if snapshots == 1 and isinstance(self.model, CurveSpec) != (self.points > 1):
            raise BadInput(f"a curve is traced at 2 points or more and a model at 1, got {self.points}.")

    @property
    def held(self) -> tuple[str, ...]:
        """The splits that the trace holds."""
        return self.splits or SPLITS

    def compute(self, store: Results) -> Trace:
        task, model = task_of(self.model.data, self.forget), loaded(store, self.model)
        task = counterfactual(task, self.shown) if self.shown else task
        task = from_outside(task, self.outside) if self.outside else task
        task = replace(task, splits=self.held)
        asked: dict[str, Any] = {"batchnorm": self.batchnorm, "weighted": self.weighted, "bits": self.bits}
        found = trace(model, task, max(self.points, 2), **asked)
        if not isinstance(self.model, (CurveSpec, TrajectorySpec)):
            return found
        start = getattr(self.model, "start", None)
        origin = weights_at(loaded(store, start.origin)) if isinstance(start, UnlearnedSpec) else None
        known = geometry(model, origin)
        if isinstance(self.model, CurveSpec) and isinstance(self.model.end, AlignedSpec):
            known["renumbered"] = store.get(self.model.end).moved
        made = {f"geometry/{name}": f"{value:.6g}" for name, value in known.items()}
        return replace(found, meta={**found.meta, **made})

    def check(self, found: Trace) -> str:
        groups = {"logits": found.logits, "labels": found.labels, "index": found.index}
        if any(set(group) != set(self.held) for group in groups.values()):
            return f"its splits are not {', '.join(self.held)}"
        wrong = shaped({"t": found.t}, {"t": (self.points,)}, "f") or _is_t(found.t)
        classes = np.shape(found.logits[self.held[0]])[-1:]
        for split, labels in found.labels.items():
            rows, index = np.shape(labels)[:1], found.index[split]
            wrong = (
                wrong
                or shaped(found.logits, {split: (self.points, *rows, *classes)}, "f")
                or shaped(found.labels, {split: rows}, "iu")
                or shaped(found.index, {split: rows}, "iu")
            )
            if not wrong and labels.size and (labels.min() < 0 or labels.max() >= classes[0] or index.min() < 0):
                wrong = f"a label or row of {split} is out of range"
        return wrong


def some_splits(names: Sequence[str]) -> tuple[str, ...]:
    """Names of splits, each once in the order of `SPLITS`; none if they are all, as an empty list stands for all."""
    for name in names:
        choose("split", name, SPLITS)
    return () if set(names) == set(SPLITS) else tuple(name for name in SPLITS if name in names)


def check_reference(trace: TraceSpec, reference: TraceSpec, splits: Iterable[str]) -> None:
    """Raise `BadInput` unless a reference was traced on the forget set of a trace, with these splits."""
    drawn, other = trace.model.data.draw, reference.model.data.draw
    if drawn != other:
        raise BadInput(f"a trace of draw {drawn} of the forget set is measured against a reference of draw {other}.")
    lacking = [name for name in splits if name not in reference.held]
    if lacking:
        raise BadInput(f"a reference lacks the {', '.join(lacking)} split of the trace that is measured against it.")


@dataclass(frozen=True)
class ProfileSpec(Result, kind="Profile", version=2, later="half"):
    """What figures and verdicts need of a trace: metrics along it, connectivity with its replicates.

    ``half``: all replicates are kept as float16, and only those that others do not give.
    """

    trace: TraceSpec
    original: TraceSpec
    retrained: tuple[TraceSpec, ...]
    random: TraceSpec
    bootstrap: int = 200
    half: bool = False
    form = replace(ARRAYS, load=Profile.load, save=lambda file, found: found.save(file))

    def agree(self) -> None:
        if not {"retain", "forget"} <= set(self.trace.held):
            raise BadInput(f"a profile is of retain and forget examples, got a trace of {', '.join(self.trace.held)}.")
        for one in (self.original, *self.retrained, self.random):
            check_reference(self.trace, one, self.trace.held)

    def timed(self) -> tuple[Spec, ...]:
        return () if is_line(self.trace.model) else (self.trace.model,)

    def compute(self, store: Results) -> Profile:
        original, random, *retrained = (store.get(one) for one in (self.original, self.random, *self.retrained))
        made = profile(store.get(self.trace), original, retrained, random, self.bootstrap, self.half)
        return Profile({**made.arrays, "seconds": np.float64(sum(map(store.seconds, self.timed())))})

    def check(self, found: Profile) -> str:
        arrays, points = found.arrays, self.trace.points
        wanted: dict[str, tuple[int, ...]] = {"t": (points,), "gap": ()}
        for name, values in arrays.items():
            group = name.partition("/")[0]
            if group in SINGLE:
                wanted[name] = ()
            elif group in ALONG:
                wanted[name] = (2, points) if group == "band" else (points,)
            elif group in ("replicates", "level"):
                wanted[name] = np.shape(values)[:1]
            elif group != "collapsed":
                return f"{name} is nothing that a profile holds"
        metrics = {name.partition("/")[2] for name in arrays if name.startswith("metric/")}
        if not metrics & set(METRICS):
            return "it holds no metric"
        if np.ndim(arrays.get("collapsed", [])) != 1:
            return "collapsed is no list"
        return shaped(arrays, wanted) or _is_t(arrays["t"])

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        return REPLICATES * d["trace"]["points"] * d["bootstrap"] * _part(d["trace"])

    @staticmethod
    def size(d: Mapping[str, Any]) -> float:
        # A curve's holds bootstrap replicates of its measures beside the values along it.
        points, part = d["trace"]["points"], _part(d["trace"])
        if points > 1 and d.get("half"):  # with levels and readings
            splits = len(d["trace"].get("splits") or SPLITS)
            return 6_700 + 950 * splits + (38 + 50 * splits) * points
        return 2_400 if points == 1 else 9_840 * part + 260 * points * part


@dataclass(frozen=True)
class MetricSpec(Result, kind="MetricOf"):
    """One metric along a trace, for metrics that profiles computed before do not hold.

    ``references`` are the traces of the frozen models that it reads, in the order of its `metrics.Metric.references`.
    """

    trace: TraceSpec
    metric: str
    references: tuple[TraceSpec, ...] = ()
    work = staticmethod(lambda d, flops: REPLICATES * d["trace"]["points"])

    def agree(self) -> None:
        names = METRICS[self.metric].references
        if len(self.references) != len(names):
            read = ", ".join(names) or "no references"
            raise BadInput(f"metric {self.metric!r} reads {read}, got {len(self.references)} reference traces.")
        splits = METRICS[self.metric].splits
        for name in splits:
            if name not in self.trace.held:
                held = ", ".join(self.trace.held)
                raise BadInput(f"metric {self.metric!r} reads the {name} split, but the trace holds {held}.")
        for one in self.references:
            check_reference(self.trace, one, splits)

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        metric = METRICS[self.metric]
        references = {name: store.get(one) for name, one in zip(metric.references, self.references, strict=True)}
        return {"values": metric(store.get(self.trace), references=references)}

    def check(self, found: Mapping[str, Any]) -> str:
        return shaped(found, {"values": (self.trace.points,)})

    def describe(self) -> str:
        return f"metric {self.metric} of {self.trace.describe()}"


@dataclass(frozen=True)
class FitSpec(Result, kind="FitOf"):
    """The record of a curve's own fit (`fits.Fit`), apart from the curve's weights."""

    model: CurveSpec
    form = replace(ARRAYS, load=_load_fit, save=_save_fit)
    work = staticmethod(lambda d, flops: REPLICATES)
    size = staticmethod(lambda d: 1_000)

    def agree(self) -> None:
        if self.model.kind == "linear":
            raise BadInput("a straight line is not fitted: a record is of a fitted curve.")

    def compute(self, store: Results) -> Fit:
        found = store.get(self.model).fit
        if found is None:
            lost = f"nothing was kept of the fit of {key(self.model)}"
            raise BadInput(f"{lost}: compute the curve again into a new store.")
        return found

    def check(self, found: Fit) -> str:
        steps = self.model.plan.steps if self.model.plan else 0
        return "" if found.steps == steps else f"it is of {found.steps} steps, not {steps}"


def metric_of(profile: ProfileSpec, metric: str) -> MetricSpec:
    """The spec of a metric along what a profile is of, with the profile's references."""
    choose("metric", metric, METRICS)
    known = {"original": profile.original, "retrained": profile.retrained[0], "random": profile.random}
    return MetricSpec(profile.trace, metric, tuple(known[name] for name in METRICS[metric].references))
