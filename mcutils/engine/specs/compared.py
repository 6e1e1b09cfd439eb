"""What compares models: matrices of similarity, use of a planted cue, planes through three models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...curves import Curve
from ...data.cues import REPLACED, SETS
from ...data.tasks import BN_SIZE
from ...errors import BadInput
from ...measures.planes import Plane, plane
from ...measures.probes import cue_use
from ...measures.similarity import SIMILARITIES, Similarity, features, matrix
from ...plugins import packaged
from .along import TraceSpec
from .base import Spec
from .models import CurveSpec, OriginalSpec, RetrainedSpec, UnlearnedSpec
from .record import ARRAYS, REPLICATES, SMALL, Result, Results, loaded, shaped, task_of


@dataclass(frozen=True)
class AlikeSpec(Result, kind="Alike", later="measures weighted"):
    """How alike models of one original are: a matrix of each measure of `similarity.SIMILARITIES`.

    Predictions are compared on ``split``, features on the first ``rows`` of its images. ``measures`` names registered
    ones; empty are the package's own. ``weighted``: of their traces.
    """

    models: tuple[UnlearnedSpec | RetrainedSpec | OriginalSpec, ...]
    origin: OriginalSpec
    forget: float
    split: str = "test"
    rows: int = 1000
    measures: tuple[str, ...] = ()
    weighted: bool = False
    work = staticmethod(lambda d, flops: flops * len(d["models"]) * d["rows"])
    size = staticmethod(lambda d: SMALL)

    def agree(self) -> None:
        if len(self.models) < 2:
            raise BadInput(f"models are compared two at least at a time, got {len(self.models)}.")
        if any(one.data.draw != self.origin.data.draw for one in self.models):
            raise BadInput("models are compared on one forget set, but these belong to different draws of it.")

    @property
    def traces(self) -> tuple[TraceSpec, ...]:
        """The models' traces."""
        return tuple(TraceSpec(model, self.forget, weighted=self.weighted) for model in self.models)

    def parents(self) -> tuple[Spec, ...]:
        return *self.models, *self.traces, self.origin

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """Matrices (n, n) of `similarity.SIMILARITIES` between n models; those of features are averaged over layers."""
        task, origin = task_of(self.origin.data, self.forget), loaded(store, self.origin)
        models = [loaded(store, one) for one in self.models]
        seen = [features(one, task, task.rows(self.split)[: self.rows]) for one in models]
        inputs = {"traces": [store.get(one) for one in self.traces], "weights": models, "features": seen}
        given = {"traces": {"split": self.split}, "weights": {"origin": origin}, "features": {}}

        def value(measure: Similarity, i: int, j: int) -> float:
            a, b = (inputs[measure.needs][k] for k in (i, j))
            if measure.needs == "features":
                return float(np.mean([measure(a[layer], b[layer]) for layer in a]))
            return measure(a, b, **given[measure.needs])

        names = self.measures or packaged("similarity", SIMILARITIES)
        return {name: matrix(range(len(models)), partial(value, SIMILARITIES[name])) for name in names}

    def check(self, found: Mapping[str, Any]) -> str:
        return shaped(found, dict.fromkeys(found, (len(self.models),) * 2))


@dataclass(frozen=True)
class CueUseSpec(Result, kind="CueUse", later="weighted"):
    """How far models along a path follow a planted cue: `probes.cue_use` of its traces on all of `cues.SETS`.

    ``weighted``: of these traces.
    """

    model: CurveSpec
    forget: float
    points: int = 11
    weighted: bool = False
    work = staticmethod(lambda d, flops: REPLICATES * d["points"])
    size = staticmethod(lambda d: SMALL)

    @property
    def traces(self) -> dict[str, TraceSpec]:
        """The path's trace on each counterfactual set."""
        made = partial(TraceSpec, self.model, self.forget, self.points, weighted=self.weighted)
        return {name: made(shown=name) for name in SETS}

    def parents(self) -> tuple[Spec, ...]:
        return tuple(self.traces.values())

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        found = {name: store.get(one) for name, one in self.traces.items()}
        splits = {split: cue_use(found, split) for split in REPLACED}
        return {f"{split}/{name}": values for split, one in splits.items() for name, values in one.items()}

    def check(self, found: Mapping[str, Any]) -> str:
        return shaped(found, dict.fromkeys(found, (self.points,)))


@dataclass(frozen=True)
class PlaneSpec(Result, kind="PlaneOf", later="weighted"):
    """Losses and accuracies on the plane through three models, see `planes.plane`.

    A fitted path with one control point stands for that control point: the plane of a quadratic curve and its ends.
    ``weighted`` of the BatchNorm refresh, see `traces.trace`.
    """

    models: tuple[UnlearnedSpec | RetrainedSpec | OriginalSpec | CurveSpec, ...]
    forget: float
    resolution: int = 15
    rows: int = 500
    weighted: bool = False
    form = replace(ARRAYS, load=Plane.load, save=lambda file, found: found.save(file))
    work = staticmethod(lambda d, flops: flops * d["resolution"] ** 2 * (3 * d["rows"] + BN_SIZE))
    size = staticmethod(lambda d: SMALL)

    def agree(self) -> None:
        if len(self.models) != 3:
            raise BadInput(f"a plane goes through three models, got {len(self.models)}.")
        if any(isinstance(one, CurveSpec) and one.control_points != 1 for one in self.models):
            raise BadInput("a path in a plane stands for its control point: it needs exactly one.")

    def compute(self, store: Results) -> Plane:
        found = (loaded(store, one) for one in self.models)
        models = [one.points[1] if isinstance(one, Curve) else one for one in found]
        task = task_of(self.models[0].data, self.forget)
        return plane(models, task, self.resolution, rows=self.rows, weighted=self.weighted)

    def check(self, found: Plane) -> str:
        side = self.resolution
        if not found.values or set(found.values) != set(found.at_models):
            return "its values at the models are not those on the grid"
        return (
            shaped({"x": found.x, "y": found.y, "models": found.models}, {"x": (side,), "y": (side,), "models": (3, 2)})
            or shaped(found.values, dict.fromkeys(found.values, (side, side)))
            or shaped(found.at_models, dict.fromkeys(found.at_models, (3,)))
        )
