"""What is measured of models: likeness, a cue's use, planes, probes, how hard sets are to forget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...curves import Curve, weights_at
from ...data.cues import REPLACED, SETS
from ...data.tasks import BN_SIZE, SHAPES, VALID_FRACTION
from ...errors import BadInput
from ...measures.connectivity import collapsed
from ...measures.difficulty import coherence, el2n, entanglement_of, learning_events, learning_path, logits_on
from ...measures.examples import levels_of
from ...measures.metrics import METRICS, accuracy, mean_loss
from ...measures.outcomes import area, missed, steps_to_retrained, variation_by_example
from ...measures.planes import Plane, plane
from ...measures.probes import cue_use, recall
from ...measures.similarity import SIMILARITIES, Similarity, features, matrix
from ...networks import finished
from ...plugins import packaged
from ...traces import Trace
from ...weights import Weights
from .along import TraceSpec, check_reference
from .attacked import RelearnSpec
from .base import ARRAYS, BACKWARD, REPLICATES, SMALL, Result, Results, Spec, loaded, shaped, task_of
from .data import data_of, evaluated
from .models import CurveSpec, OriginalSpec, RetrainedSpec, UnlearnedSpec

EARLY = 5  # epochs that EL2N is the mean of
EVENTS = ("confidence", "max", "certainty", "correctness", "learned")
HARDNESS = ("retain", "forget", "between", "entanglement")
# By name what is told along a line, and as levels of models beside it.
BESIDE = {f"{what}_{s}": of for what, of in (("loss", mean_loss), ("accuracy", accuracy)) for s in ("retain", "forget")}
FITTING = 50  # forward passes of all examples that fitting a probe is worth, about


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


def _pooled(d: Mapping[str, Any]) -> int:
    """Examples of the training pool; of data that are not built in those that a trace evaluates."""
    data = data_of(d)
    if data["dataset"] not in SHAPES:
        return evaluated(data, 0.1)
    train = int(data["train_size"]) or SHAPES[data["dataset"]][0]
    return train - round(VALID_FRACTION * train)


@dataclass(frozen=True)
class LearningSpec(Result, kind="LearningOf"):
    """What each example of the pool showed, epoch by epoch, while an original model learned; see `difficulty`.

    Training runs once more, bit by bit the same, and the models that it passes through are not kept.
    """

    model: OriginalSpec
    like = "Original"
    size = staticmethod(lambda d: 28.0 * _pooled(d))

    def parents(self) -> tuple[Spec, ...]:
        return ()

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """``rows`` (N,) of the pool in order; by example `learning_events` over all epochs, `el2n` over the first."""
        one = self.model.own
        if one.curriculum != "none":
            raise BadInput(f"learning is recorded without a curriculum, got {one.curriculum!r}.")
        task = task_of(one.data)
        way = learning_path(task, one.model, seed=one.seed, plan=one.plan, weighted=one.weighted, width=one.width)
        rows = task.index["train"].sort().values
        seen = np.stack([logits_on(point, task, rows) for point in way.points[1:]])
        labels = task.y[rows].cpu().numpy()
        found = {**learning_events(seen, labels), "el2n": el2n(seen[:EARLY], labels)}
        return {"rows": rows.cpu().numpy(), **{name: values.astype(np.float32) for name, values in found.items()}}

    def check(self, found: Mapping[str, Any]) -> str:
        return shaped(found, dict.fromkeys(("rows", *EVENTS, "el2n"), ("rows",)))

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        plan, pool = d["model"]["plan"], _pooled(d)
        epochs = plan["steps"] / max(1, pool // plan["batch_size"])
        return flops * (plan["steps"] * plan["batch_size"] * (1 + BACKWARD) + epochs * (pool + BN_SIZE))


@dataclass(frozen=True)
class HardnessSpec(Result, kind="HardnessOf"):
    """How hard a model's own gradients and features call its forget set: `difficulty.coherence` and entanglement.

    ``examples`` of each side have a gradient, and ``rows`` of each are read for the penultimate features.
    """

    model: OriginalSpec
    forget: float
    examples: int = 256
    rows: int = 1000
    like = "MetricOf"
    size = staticmethod(lambda d: SMALL / 10)

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """Mean cosines of gradients within D_r (``retain``) and D_f (``forget``), ``between``; ``entanglement``."""
        task, model = task_of(self.model.data, self.forget), weights_at(loaded(store, self.model))
        told = coherence(model, task, self.examples)
        found = *(getattr(told, name) for name in HARDNESS[:3]), entanglement_of(model, task, self.rows)
        return dict(zip(HARDNESS, map(np.float64, found), strict=True))

    def check(self, found: Mapping[str, Any]) -> str:
        return shaped(found, dict.fromkeys(HARDNESS, ()))

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        # A gradient of one example costs what calling the network costs, whatever its size.
        return 2 * (d["examples"] * (REPLICATES + flops * (1 + BACKWARD)) + flops * d["rows"])


@dataclass(frozen=True)
class ProbeSpec(Result, kind="ProbeOf"):
    """How well a linear probe recognises a class in a model's features (`probes.recall`), or along a path.

    A path is probed at ``points`` equally spaced t; ``rows`` of each split are read at most. ``weighted``: of the
    BatchNorm refresh at the points of a path.
    """

    model: OriginalSpec | RetrainedSpec | UnlearnedSpec | CurveSpec
    forget: float
    label: int
    points: int = 1
    rows: int = 2000
    weighted: bool = False
    like = "TraceOf"
    work = staticmethod(lambda d, flops: flops * d["points"] * (2 * d["rows"] * FITTING + BN_SIZE))
    size = staticmethod(lambda d: SMALL / 10)

    def agree(self) -> None:
        if isinstance(self.model, CurveSpec) != (self.points > 1):
            raise BadInput(f"a curve is probed at 2 points or more and a model at 1, got {self.points}.")

    def _probed(self, store: Results) -> Iterator[Weights]:
        """The models that are probed; points of a path with BatchNorm statistics of their own."""
        model = loaded(store, self.model)
        if not isinstance(model, Curve):
            yield weights_at(model)
            return
        task = task_of(self.model.data, self.forget)
        for t in np.linspace(0, 1, self.points).tolist():
            yield finished(model.points[0], model.at(t).params, task, self.weighted)

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """``recall`` (points,) of the class."""
        task = task_of(self.model.data, self.forget)
        return {"recall": np.array([recall(one, task, self.label, self.rows) for one in self._probed(store)])}

    def check(self, found: Mapping[str, Any]) -> str:
        return shaped(found, {"recall": (self.points,)}, "f")


@dataclass(frozen=True)
class OutcomeSpec(Result, kind="OutcomeOf"):
    """How hard a forget set was for a method, by all of `outcomes.OUTCOMES`, beside losses and wiggles along a line.

    ``trace`` is of the line, whose start is judged; ``way`` of what unlearning the start passed through; ``original``
    of the model before, ``retrained`` of models that never saw D_f. ``attacked`` is an attack on the start,
    ``controls`` the same on retrained models; all this is checked when it is computed. Unlike a profile it has no unit
    G, which may be 0: retrained models may fit an easy set as the original does.
    """

    trace: TraceSpec
    way: TraceSpec
    original: TraceSpec
    retrained: tuple[TraceSpec, ...]
    attacked: RelearnSpec
    controls: tuple[RelearnSpec, ...]
    like = "MetricOf"
    work = staticmethod(lambda d, flops: REPLICATES * d["trace"]["points"])
    size = staticmethod(lambda d: SMALL / 2 + 8 * evaluated(data_of(d), d["trace"]["forget"], ("forget",)))

    def agree(self) -> None:
        if not self.retrained or not self.controls:
            raise BadInput("outcomes are held against retrained models and attacks on them: give one or more of both.")
        for one in (self.original, *self.retrained):
            check_reference(self.trace, one, ("retain", "forget", "test"))

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """``js`` and ``curve/<loss | accuracy>_<split>`` (T,) along the line; of its start ``missed``, ``steps``,
        ``area``; ``rows`` and ``variation`` (N,); ``original/...`` () and ``level/...`` (R,), losses and accuracies of
        the models beside it; ``t``, and ``collapsed`` as profiles have it."""
        self._check_start()
        line, original, *retrained = (store.get(one) for one in (self.trace, self.original, *self.retrained))
        start = Trace(line.t[:1], {s: v[:1] for s, v in line.logits.items()}, line.labels, line.index, line.meta)
        js = [METRICS["js_retrained_forget"](line, references={"retrained": one}) for one in retrained]
        attacked, *controls = (store.get(one) for one in (self.attacked, *self.controls))
        learned = np.mean([one["accuracy/forget"] for one in controls], axis=0)
        curves = {f"curve/{name}": of(line, name.partition("_")[2]) for name, of in BESIDE.items()}
        levels = {f"level/{name}": values for name, values in levels_of(retrained).items()}
        return {
            **{"t": line.t, "collapsed": np.array(collapsed(line), dtype=np.str_), **curves, **levels},
            **{f"original/{name}": values[0] for name, values in levels_of([original]).items()},
            "js": np.mean(js, axis=0),
            "missed": np.float64(missed(start, retrained)),
            "steps": np.float64(steps_to_retrained(store.get(self.way), retrained)),
            "area": np.float64(area(attacked["steps"], attacked["accuracy/forget"], learned)),
            "rows": line.index["forget"],
            "variation": variation_by_example(line).astype(np.float32),
        }

    def _check_start(self) -> None:
        """Raise `BadInput` unless way and attack are of the start of the line, and retrained models attacked alike."""
        start = getattr(self.trace.model, "start", None)
        if start is None or not start == getattr(self.way.model, "endpoint", None) == self.attacked.model:
            raise BadInput("outcomes are of the start of one line: of the way to it and of an attack on it.")
        if {(one.attack, one.training) for one in self.controls} != {(self.attacked.attack, self.attacked.training)}:
            raise BadInput("the attack on retrained models is the one on the unlearned model: the two differ.")

    def check(self, found: Mapping[str, Any]) -> str:
        along = (self.trace.points,)
        wanted: dict[str, tuple[int | str, ...]] = {"t": along, "js": along, "missed": (), "steps": (), "area": ()}
        wanted |= dict.fromkeys(("rows", "variation"), ("rows",))
        for name in BESIDE:
            wanted |= {f"curve/{name}": along, f"original/{name}": (), f"level/{name}": (len(self.retrained),)}
        return shaped(found, wanted)
