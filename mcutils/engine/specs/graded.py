"""How hard sets are to forget: what training showed, what a model says of a set, probes, outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...curves import Curve, weights_at
from ...data.tasks import BN_SIZE, SHAPES, VALID_FRACTION
from ...errors import BadInput
from ...measures.connectivity import collapsed
from ...measures.difficulty import coherence, el2n, entanglement_of, learning_events, learning_path, logits_on
from ...measures.examples import levels_of
from ...measures.metrics import METRICS, accuracy, mean_loss
from ...measures.outcomes import area, missed, steps_to_retrained, variation_by_example
from ...measures.probes import recall
from ...networks import finished
from ...traces import Trace
from ...weights import Weights
from .along import TraceSpec, check_reference
from .attacked import RelearnSpec
from .base import Spec
from .costs import data_of, evaluated
from .models import CurveSpec, OriginalSpec, RetrainedSpec, UnlearnedSpec
from .record import BACKWARD, REPLICATES, SMALL, Result, Results, loaded, shaped, task_of

EARLY = 5  # epochs that EL2N is the mean of
EVENTS = ("confidence", "max", "certainty", "correctness", "learned")
HARDNESS = ("retain", "forget", "between", "entanglement")
# By name what is told along a line, and as levels of models beside it.
BESIDE = {f"{what}_{s}": of for what, of in (("loss", mean_loss), ("accuracy", accuracy)) for s in ("retain", "forget")}
FITTING = 50  # forward passes of all examples that fitting a probe is worth, about


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
