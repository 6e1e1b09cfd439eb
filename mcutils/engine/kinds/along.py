"""Kinds of numbers along a path, or along its fit: traces, profiles, single metrics, records of fits."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from ...curves import geometry, weights_at
from ...data.corruptions import from_outside
from ...data.cues import counterfactual
from ...data.tasks import BN_SIZE
from ...errors import BadInput
from ...fits import Fit
from ...measures.metrics import METRICS
from ...measures.profiles import Profile, profile
from ...reading import flattened, load_arrays
from ...traces import SPLITS, Trace, trace
from ..costs import data_of, evaluated, form_of
from ..specs import (
    AlignedSpec,
    CurveSpec,
    FitSpec,
    MetricSpec,
    ProfileSpec,
    Spec,
    TraceSpec,
    TrajectorySpec,
    UnlearnedSpec,
    is_line,
    key,
)
from .record import ARRAYS, Kind, Results, loaded, shaped, task_of

REPLICATES = 1e7  # floating-point operations that one bootstrap replicate at one point is worth, about
SMALL = 10_000  # bytes of a few short arrays
FIT = {"step": np.int32, "loss": np.float32, "averaged": np.float32}  # seven digits are enough of a noisy loss


def _trace(spec: TraceSpec, store: Results) -> Trace:
    task, model = task_of(spec.model.data, spec.forget), loaded(store, spec.model)
    task = counterfactual(task, spec.shown) if spec.shown else task
    task = from_outside(task, spec.outside) if spec.outside else task
    task = replace(task, splits=spec.held)
    asked: dict[str, Any] = {"batchnorm": spec.batchnorm, "weighted": spec.weighted, "bits": spec.bits}
    found = trace(model, task, max(spec.points, 2), **asked)
    if not isinstance(spec.model, (CurveSpec, TrajectorySpec)):
        return found
    start = getattr(spec.model, "start", None)
    origin = weights_at(loaded(store, start.origin)) if isinstance(start, UnlearnedSpec) else None
    known = geometry(model, origin)
    if isinstance(spec.model, CurveSpec) and isinstance(spec.model.end, AlignedSpec):
        known["renumbered"] = store.get(spec.model.end).moved
    made = {f"geometry/{name}": f"{value:.6g}" for name, value in known.items()}
    return replace(found, meta={**found.meta, **made})


def _small(data: bytes) -> bytes:
    """A trace's file, its logits as differences."""
    file = io.BytesIO()
    Trace.load(io.BytesIO(data)).save(file, differences=True)
    return flattened(file.getvalue())


def _is_trace(spec: TraceSpec, found: Trace) -> str:
    groups = {"logits": found.logits, "labels": found.labels, "index": found.index}
    if any(set(group) != set(spec.held) for group in groups.values()):
        return f"its splits are not {', '.join(spec.held)}"
    wrong = shaped({"t": found.t}, {"t": (spec.points,)}, "f") or _is_t(found.t)
    classes = np.shape(found.logits[spec.held[0]])[-1:]
    for split in spec.held:
        rows = np.shape(found.labels[split])[:1]
        wrong = (
            wrong
            or shaped(found.logits, {split: (spec.points, *rows, *classes)}, "f")
            or shaped(found.labels, {split: rows}, "iu")
            or shaped(found.index, {split: rows}, "iu")
        )
        if wrong:
            return wrong
        labels, index = found.labels[split], found.index[split]
        if labels.size and (labels.min() < 0 or labels.max() >= classes[0] or index.min() < 0):
            return f"a label or row of {split} is out of range"
    return ""


def _is_t(t: np.ndarray) -> str:
    if len(t) == 1:
        return "" if t[0] == 0 else "t is not 0"
    return "" if t[0] == 0 and t[-1] == 1 and (np.diff(t) > 0).all() else "t does not rise from 0 to 1"


def _evaluations(description: Mapping[str, Any], flops: float) -> float:
    return flops * description["points"] * (_seen(description) + BN_SIZE)


def _logits(description: Mapping[str, Any]) -> float:
    return 2 * form_of(data_of(description))[1] * description["points"] * _seen(description)


def _seen(trace: Mapping[str, Any]) -> int:
    return evaluated(data_of(trace), trace["forget"], trace.get("splits", ()))


def _profile(spec: ProfileSpec, store: Results) -> Profile:
    original, random, *retrained = (store.get(one) for one in (spec.original, spec.random, *spec.retrained))
    made = profile(store.get(spec.trace), original, retrained, random, spec.bootstrap, spec.half)
    seconds = sum(map(store.seconds, _timed(spec)))
    return Profile({**made.arrays, "seconds": np.float64(seconds)})


def _timed(spec: ProfileSpec) -> tuple[Spec, ...]:
    return () if is_line(spec.trace.model) else (spec.trace.model,)


def _is_profile(spec: ProfileSpec, found: Profile) -> str:
    points = spec.trace.points
    every: tuple[int, ...] = (points,)
    single: tuple[int, ...] = ()
    shapes = {
        "t": every, "gap": single, "seconds": single, "metric": every, "score": every, "geometry": single,
        "curve": every, "band": (2, points), "measure": single, "known": single,
        "original": single, "half": every,
    }  # fmt: skip
    arrays = found.arrays
    wanted: dict[str, tuple[int, ...]] = {"t": every, "gap": single}
    for name, values in arrays.items():
        group = name.partition("/")[0]
        if group in shapes:
            wanted[name] = shapes[group]
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


def _summary(description: Mapping[str, Any]) -> float:
    # A curve's holds bootstrap replicates of its measures beside the values along it.
    points, part = description["trace"]["points"], _part(description["trace"])
    if points > 1 and description.get("half"):  # with levels and readings
        splits = len(description["trace"].get("splits") or SPLITS)
        return 6_700 + 950 * splits + (38 + 50 * splits) * points
    return 2_400 if points == 1 else 9_840 * part + 260 * points * part


def _part(trace: Mapping[str, Any]) -> float:
    """The share of all evaluation examples that a trace holds."""
    return _seen(trace) / evaluated(data_of(trace), trace["forget"])


def _metric(spec: MetricSpec, store: Results) -> dict[str, np.ndarray]:
    metric = METRICS[spec.metric]
    references = {name: store.get(one) for name, one in zip(metric.references, spec.references, strict=True)}
    return {"values": metric(store.get(spec.trace), references=references)}


def _fit(spec: FitSpec, store: Results) -> Fit:
    found = store.get(spec.model).fit
    if found is None:
        raise BadInput(f"nothing was kept of the fit of {key(spec.model)}: compute the curve again into a new store.")
    return found


def _is_fit(spec: FitSpec, found: Fit) -> str:
    steps = spec.model.plan.steps if spec.model.plan else 0
    return "" if found.steps == steps else f"it is of {found.steps} steps, not {steps}"


def _save_fit(file: BinaryIO, found: Fit) -> None:
    arrays = {name: getattr(found, name) for name in FIT}
    np.savez_compressed(file, **{name: values.astype(FIT[name]) for name, values in arrays.items()})


def _load_fit(file: BinaryIO, limit: int) -> Fit:
    arrays = load_arrays(file, limit)
    return Fit(**{name: arrays[name] for name in FIT})


def _named(what: str, of: str) -> Callable[[Spec, Callable[[Spec], str]], str]:
    return lambda spec, inner: f"{what} of {inner(getattr(spec, of))}"


ALONG = (
    Kind(
        TraceSpec,
        lambda spec: (spec.model,),
        _trace,
        _is_trace,
        _named("TraceOf", "model"),
        _evaluations,
        _logits,
        replace(ARRAYS, load=Trace.load, save=lambda file, found: found.save(file), archived=_small),
    ),
    Kind(
        ProfileSpec,
        lambda spec: (spec.trace, spec.original, *spec.retrained, spec.random),
        _profile,
        _is_profile,
        _named("Profile", "trace"),
        lambda d, flops: REPLICATES * d["trace"]["points"] * d["bootstrap"] * _part(d["trace"]),
        _summary,
        replace(ARRAYS, load=Profile.load, save=lambda file, found: found.save(file)),
        timed=_timed,
    ),
    Kind(
        MetricSpec,
        lambda spec: (spec.trace, *spec.references),
        _metric,
        lambda spec, found: shaped(found, {"values": (spec.trace.points,)}),
        lambda spec, inner: f"metric {spec.metric} of {inner(spec.trace)}",
        lambda d, flops: REPLICATES * d["trace"]["points"],
        lambda d: SMALL,
    ),
    Kind(
        FitSpec,
        lambda spec: (spec.model,),
        _fit,
        _is_fit,
        _named("FitOf", "model"),
        lambda d, flops: REPLICATES,
        lambda d: 1_000,
        replace(ARRAYS, load=_load_fit, save=_save_fit),
    ),
)
