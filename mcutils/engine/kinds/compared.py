"""Kinds that compare models: matrices of similarity, use of a planted cue, planes through three models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ...curves import Curve
from ...data.cues import REPLACED
from ...data.tasks import BN_SIZE
from ...measures.planes import Plane, plane
from ...measures.probes import cue_use
from ...measures.similarity import SIMILARITIES, Similarity, features, matrix
from ...plugins import packaged
from ..specs import AlikeSpec, CueUseSpec, PlaneSpec, Spec, kind_of
from .along import REPLICATES, SMALL
from .record import ARRAYS, Kind, Results, loaded, shaped, task_of


def _alike(spec: AlikeSpec, store: Results) -> dict[str, np.ndarray]:
    """Matrices (n, n) of `similarity.SIMILARITIES` between n models; those of features are averaged over layers."""
    task, origin = task_of(spec.origin.data, spec.forget), loaded(store, spec.origin)
    models = [loaded(store, one) for one in spec.models]
    seen = [features(one, task, task.rows(spec.split)[: spec.rows]) for one in models]
    inputs = {"traces": [store.get(one) for one in spec.traces], "weights": models, "features": seen}
    given = {"traces": {"split": spec.split}, "weights": {"origin": origin}, "features": {}}

    def value(measure: Similarity, i: int, j: int) -> float:
        a, b = (inputs[measure.needs][k] for k in (i, j))
        if measure.needs == "features":
            return float(np.mean([measure(a[layer], b[layer]) for layer in a]))
        return measure(a, b, **given[measure.needs])

    names = spec.measures or packaged("similarity", SIMILARITIES)
    return {name: matrix(range(len(models)), partial(value, SIMILARITIES[name])) for name in names}


def _cue_use(spec: CueUseSpec, store: Results) -> dict[str, np.ndarray]:
    found = {name: store.get(one) for name, one in spec.traces.items()}
    splits = {split: cue_use(found, split) for split in REPLACED}
    return {f"{split}/{name}": values for split, one in splits.items() for name, values in one.items()}


def _plane(spec: PlaneSpec, store: Results) -> Plane:
    found = (loaded(store, one) for one in spec.models)
    models = [one.points[1] if isinstance(one, Curve) else one for one in found]
    return plane(
        models, task_of(spec.models[0].data, spec.forget), spec.resolution, rows=spec.rows, weighted=spec.weighted
    )


def _is_plane(spec: PlaneSpec, found: Plane) -> str:
    side = spec.resolution
    if not found.values or set(found.values) != set(found.at_models):
        return "its values at the models are not those on the grid"
    return (
        shaped({"x": found.x, "y": found.y, "models": found.models}, {"x": (side,), "y": (side,), "models": (3, 2)})
        or shaped(found.values, dict.fromkeys(found.values, (side, side)))
        or shaped(found.at_models, dict.fromkeys(found.at_models, (3,)))
    )


def _models(spec: Spec, inner: Callable[[Spec], str]) -> str:
    return f"{kind_of(spec)} of {len(spec.models)} models from {inner(spec.models[0])} on"


COMPARED = (
    Kind(
        AlikeSpec,
        lambda spec: (*spec.models, *spec.traces, spec.origin),
        _alike,
        lambda spec, found: shaped(found, dict.fromkeys(found, (len(spec.models),) * 2)),
        _models,
        lambda d, flops: flops * len(d["models"]) * d["rows"],
        lambda d: SMALL,
    ),
    Kind(
        CueUseSpec,
        lambda spec: tuple(spec.traces.values()),
        _cue_use,
        lambda spec, found: shaped(found, dict.fromkeys(found, (spec.points,))),
        lambda spec, inner: f"CueUse of {inner(spec.model)}",
        lambda d, flops: REPLICATES * d["points"],
        lambda d: SMALL,
    ),
    Kind(
        PlaneSpec,
        lambda spec: spec.models,
        _plane,
        _is_plane,
        _models,
        lambda d, flops: flops * d["resolution"] ** 2 * (3 * d["rows"] + BN_SIZE),
        lambda d: SMALL,
        replace(ARRAYS, load=Plane.load, save=lambda file, found: found.save(file)),
    ),
)
