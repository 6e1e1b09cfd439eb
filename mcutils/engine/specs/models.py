"""Weights: original, retrained, untrained, unlearned and aligned models, curves between them, trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from ...curves import RECIPES, Curve, fit_curve, weights_at
from ...data.scenarios import RELABELLED
from ...data.tasks import BN_SIZE, SHAPES
from ...errors import BadInput, choose
from ...fits import Fit
from ...measures.alignment import ROWS, Alignment, align
from ...networks import network_for
from ...settings import MethodSettings, Plan
from ...training import train
from ...trajectories import Trajectory, trajectory
from ...unlearning.endpoints import Endpoint, fingerprint, random_twin, unlearn
from ...unlearning.methods import METHODS
from ...unlearning.snapshots import check_steps
from ...weights import Weights
from .base import BACKWARD, WEIGHTS, Result, Results, Spec, key, kind_of, loaded, task_of
from .data import DataSpec, cost

UNLEARNED = ("seed", "curriculum", "optimizer", "settings", "weighted")  # what unlearning is asked beside its method
Stored = tuple[Sequence[Weights], Mapping[str, str]]  # what is kept of weights: networks, and texts beside them


def _fits(spec: Spec, found: Sequence[Weights]) -> str:
    """What does not fit in networks that should be those of a spec."""
    count, network = getattr(spec, "control_points", len(getattr(spec, "steps", [spec]))), spec
    while not hasattr(network, "model"):
        network = next(getattr(network, name) for name in ("start", "endpoint", "origin") if hasattr(network, name))
    if len(found) != count:
        return f"it holds {len(found)} networks, not {count}"
    recipe = getattr(found[0].net, "recipe", None) or {}
    shape = SHAPES.get(network.data.dataset)
    expected = {"name": network.model, "width": network.width, "channels": shape[2][0] if shape else None}
    for name, value in expected.items():
        if value is not None and recipe.get(name, value) != value:
            return f"it is of a network with {name} {recipe[name]}, not {value}"
    for weights in found:
        for name, values in weights.params.items():
            if not torch.isfinite(values).all():
                return f"{name} holds NaN or infinity"
        if any(torch.isnan(values).any() for values in weights.buffers.values()):
            return "a buffer holds NaN"
    return ""


def _steps(d: Mapping[str, Any], flops: float) -> float:
    plan = d.get("plan") or (d.get("settings") or {}).get("plan")
    if not plan or d.get("first") is not None:
        return flops * BN_SIZE
    batch = plan["batch_size"] + (plan["forget_batch_size"] if d["spec"] in ("Unlearned", "Path") else 0)
    return flops * plan["steps"] * batch * (1 + BACKWARD)


class Model(Result, kind=""):
    """What all kinds have in common whose result are weights."""

    form = WEIGHTS
    work = staticmethod(_steps)
    size = staticmethod(lambda d: 4 * cost(d)[1] * max(1, d.get("control_points", 1)))

    @staticmethod
    def parts(result: Any) -> Stored:
        return [weights_at(result)], {}

    def check(self, found: Stored) -> str:
        return _fits(self, found[0])

    def whole(self, parts: Stored, store: Results) -> Any:
        return parts[0][0]

    def describe(self: Spec) -> str:
        return f"{kind_of(self)} {self.model}, seed {self.seed} ({key(self)})"


@dataclass(frozen=True)
class OriginalSpec(Model, kind="Original", later="weighted curriculum first"):
    """The model before unlearning, trained on all of the pool, with the optimiser of its plan and a curriculum.

    ``weighted``: of BatchNorm statistics, see `train`. ``first``: the draw that it was trained for, where ``data`` are
    those of another, or of a scenario that changes no image and no label: the very same model, from which another
    forget set is to be unlearned. (A draw orders the pool, and so the batches: trained anew it would be another model.)
    """

    data: DataSpec
    model: str
    width: int
    seed: int
    plan: Plan
    weighted: bool = False
    curriculum: str = "none"
    first: int | None = None

    def agree(self) -> None:
        if self.first == self.data.draw and self.data.scenario is None:
            raise BadInput(f"first is another draw than that of the data, {self.data.draw}: leave it out.")
        scenario = self.data.scenario
        if self.first is not None and scenario is not None and scenario.name in RELABELLED:
            raise BadInput(f"a model trained before the data were {scenario.name} is another: leave first out.")

    @property
    def own(self) -> OriginalSpec:
        """The same model with the draw that it was trained for."""
        if self.first is None:
            return self
        return replace(self, data=replace(self.data, draw=self.first, scenario=None), first=None)

    def parents(self) -> tuple[Spec, ...]:
        return () if self.first is None else (self.own,)

    def compute(self, store: Results) -> Weights:
        if self.first is not None:
            return weights_at(store.get(self.own))
        made: dict[str, Any] = {"curriculum": self.curriculum, "width": self.width, "weighted": self.weighted}
        return train(task_of(self.data), self.model, seed=self.seed, plan=self.plan, **made)


@dataclass(frozen=True)
class RetrainedSpec(Model, kind="Retrained", later="weighted"):
    """A model trained on D_r only, with a seed of its own; ``init``, where given, draws its initial weights instead.

    ``weighted`` of its BatchNorm statistics, see `train`.
    """

    data: DataSpec
    forget: float
    model: str
    width: int
    seed: int
    plan: Plan
    init: int | None = None
    weighted: bool = False

    def compute(self, store: Results) -> Weights:
        task = task_of(self.data, self.forget)
        made: dict[str, Any] = {"init": self.init, "width": self.width, "weighted": self.weighted}
        return train(task, self.model, seed=self.seed, plan=self.plan, split="retain", **made)


@dataclass(frozen=True)
class UntrainedSpec(Model, kind="Untrained", later="weighted"):
    """A random network of the architecture: the reference of ZRF; ``weighted`` of its BatchNorm statistics."""

    data: DataSpec
    model: str
    width: int
    seed: int
    weighted: bool = False

    def compute(self, store: Results) -> Weights:
        task = task_of(self.data)
        return random_twin(network_for(task, self.model, self.seed, width=self.width), task, self.seed, self.weighted)


class OfFirst:
    """A spec that has the data of what its first field holds: of a path, of its start."""

    @property
    def data(self: Spec) -> DataSpec:
        """Those of the model that it was made from."""
        return getattr(self, fields(self)[0].name).data


@dataclass(frozen=True)
class UnlearnedSpec(OfFirst, Model, kind="Unlearned"):
    """An endpoint: a method, a curriculum and an optimiser applied to ``origin`` (an original or another endpoint)."""

    origin: OriginalSpec | UnlearnedSpec | RetrainedSpec
    forget: float
    method: str
    curriculum: str
    optimizer: str
    seed: int
    settings: MethodSettings
    composed = True

    @property
    def weighted(self) -> bool:
        """Whether its BatchNorm statistics, as those of the model it was unlearned from, weigh batches by size."""
        return self.origin.weighted

    def compute(self, store: Results) -> Endpoint:
        asked: dict[str, Any] = {name: getattr(self, name) for name in UNLEARNED}
        return unlearn(weights_at(loaded(store, self.origin)), task_of(self.data, self.forget), self.method, **asked)

    def whole(self, parts: Stored, store: Results) -> Endpoint:
        origin = weights_at(store.get(self.origin))
        made = self.method, self.curriculum, self.optimizer, self.seed, self.settings
        return Endpoint(parts[0][0], origin, fingerprint(self.data.task(self.forget)), *made, store.seconds(self))

    def describe(self) -> str:
        return f"{self.method} x {self.curriculum} x {self.optimizer}, seed {self.seed} ({key(self)})"


@dataclass(frozen=True)
class AlignedSpec(OfFirst, Result, kind="Aligned"):
    """A model with its channels renumbered to be most like the model ``to``, the same function: see `alignment.align`.

    ``by`` weights, or activations on retain data of ``to``, which lacks this share to ``forget``. What is kept are the
    orders of the channels alone.
    """

    model: UnlearnedSpec | OriginalSpec | RetrainedSpec
    to: UnlearnedSpec | OriginalSpec | RetrainedSpec
    forget: float
    by: str = "weights"
    composed = True
    size = staticmethod(lambda d: 1_500)

    def compute(self, store: Results) -> Alignment:
        to, model = (weights_at(loaded(store, one)) for one in (self.to, self.model))
        return align(to, model, self.by, task=task_of(self.to.data, self.forget))

    @staticmethod
    def parts(result: Alignment) -> dict[str, np.ndarray]:
        return {unit: order.cpu().numpy().astype(np.int32) for unit, order in result.permutations.items()}

    def check(self, found: Mapping[str, np.ndarray]) -> str:
        wrong = [unit for unit, order in found.items() if not np.array_equal(np.sort(order), np.arange(np.size(order)))]
        return f"{wrong[0]} is no order of channels" if wrong else "" if found else "it holds no orders"

    def whole(self, parts: Mapping[str, np.ndarray], store: Results) -> Alignment:
        permutations = {unit: torch.from_numpy(order.astype(np.int64)) for unit, order in parts.items()}
        return Alignment(lambda: weights_at(store.get(self.model)), permutations)  # read without the model: who moved

    def describe(self) -> str:
        return f"{self.model.describe()} aligned by {self.by} to {self.to.describe()}"

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        # Two forward passes of the rows compared; products of weights are worth some fifty examples.
        return flops * (2 * ROWS if d["by"] == "activations" else 50)


@dataclass(frozen=True)
class CurveSpec(OfFirst, Model, kind="Path"):
    """A curve between two models; a linear one is not fitted.

    Control points are fitted by ``recipe`` and ``plan`` with the objective of the start, an unlearned model, or, where
    ``method`` is named, with that method's under its ``settings``. An aligned model is the end of lines only.
    """

    start: UnlearnedSpec | OriginalSpec | RetrainedSpec
    end: UnlearnedSpec | OriginalSpec | RetrainedSpec | AlignedSpec
    forget: float
    kind: str = "linear"
    control_points: int = 0
    recipe: str = ""
    seed: int = 0
    plan: Plan | None = None
    method: str = ""
    settings: MethodSettings | None = None
    composed = True

    def agree(self) -> None:
        if self.kind != "linear":
            choose("recipe", self.recipe, RECIPES)
            if self.plan is None or self.control_points < 1:
                needs = "needs a plan and at least 1 control point"
                raise BadInput(f"a {self.kind} path {needs}, got {self.control_points}.")
        if bool(self.method) != (self.settings is not None):
            raise BadInput(f"a fit with the objective of {self.method or 'no method'} needs that method's settings.")
        if self.kind != "linear":
            if isinstance(self.end, AlignedSpec):
                raise BadInput("a curve is fitted between models as they are: an aligned one is the end of a line.")
            self._check_objective()
        if replace(self.start.data, draw=0) != replace(self.end.data, draw=0):
            raise BadInput(f"the ends of a path were trained on different data: {self.start.data} and {self.end.data}.")
        start, end = self.start.data.draw, self.end.data.draw
        if self.kind != "linear" and isinstance(self.end, UnlearnedSpec) and start != end:
            raise BadInput(
                f"a curve is fitted on the forget set of its start, of draw {start}, but its end unlearned another, of"
                f" draw {end}: only a straight line joins the two."
            )

    def _check_objective(self) -> None:
        name = self.method or getattr(self.start, "method", "")
        if not name:
            raise BadInput("a curve from a model that nothing was unlearned from needs an objective: name a method.")
        entry = METHODS[name]
        looks = entry.references or entry.mask or entry.anchored or RECIPES[self.recipe].start == "original"
        if looks and self.origin is None:
            raise BadInput(
                f"a curve fitted with {name} and the recipe {self.recipe} needs an original model, but neither end is"
                " one or was unlearned from one."
            )

    @property
    def origin(self) -> Spec | None:
        """The original model that a fit may look at: that of the start or else of the end, or an end that is one."""
        ends = self.start, self.end
        unlearned_from = [end.origin for end in ends if isinstance(end, UnlearnedSpec)]
        return next(iter([*unlearned_from, *(end for end in ends if isinstance(end, OriginalSpec))]), None)

    def compute(self, store: Results) -> Curve:
        start, end, task = loaded(store, self.start), loaded(store, self.end), task_of(self.data, self.forget)
        recipe = replace(RECIPES[self.recipe], weighted=self.start.weighted)
        made = {"kind": self.kind, "control_points": self.control_points, "recipe": recipe, "plan": self.plan}
        objective = {"method": self.method, "settings": self.settings} if self.method else {}
        given: dict[str, Any] = {"seed": self.seed, **made, **objective}
        if not isinstance(self.start, UnlearnedSpec) and self.origin is not None:
            given["origin"] = loaded(store, self.origin)
        return fit_curve(start, end, task, **given)

    @staticmethod
    def parts(result: Curve) -> Stored:
        return result.points[1:-1], {} if result.fit is None else {"fit": result.fit.text()}

    def check(self, found: Stored) -> str:
        steps = Fit.read(found[1]["fit"]).steps if "fit" in found[1] else None
        if steps is not None and self.plan is not None and steps != self.plan.steps:
            return f"the record of its fit is of {steps} steps, not {self.plan.steps}"
        return _fits(self, found[0])

    def whole(self, parts: Stored, store: Results) -> Curve:
        start, end = (weights_at(store.get(one)) for one in (self.start, self.end))
        return Curve(self.kind, (start, *parts[0], end), Fit.read(parts[1]["fit"]) if "fit" in parts[1] else None)

    def describe(self) -> str:
        return f"{self.kind} path from {self.start.describe()} to {self.end.describe()}"


def is_line(spec: Spec) -> bool:
    """Whether a spec is a straight path, which is its two ends and never kept."""
    return isinstance(spec, CurveSpec) and spec.kind == "linear"


@dataclass(frozen=True)
class TrajectorySpec(OfFirst, Result, kind="Trajectory"):
    """The weights that unlearning ``endpoint`` passes through after ``steps``, see `trajectories.trajectory`."""

    endpoint: UnlearnedSpec
    steps: tuple[int, ...]
    form = WEIGHTS
    like = "Unlearned"
    work = staticmethod(lambda d, flops: _steps(d["endpoint"], flops) + flops * BN_SIZE * len(d["steps"]))
    size = staticmethod(lambda d: 4.0 * cost(d)[1] * len(d["steps"]))

    def agree(self) -> None:
        check_steps(self.steps, self.endpoint.settings.plan.steps)

    @property
    def forget(self) -> float:
        """The share of the pool that was unlearned."""
        return self.endpoint.forget

    def parents(self) -> tuple[Spec, ...]:
        return (self.endpoint.origin,)

    def compute(self, store: Results) -> Trajectory:
        one = self.endpoint
        asked: dict[str, Any] = {name: getattr(one, name) for name in UNLEARNED}
        origin, task = weights_at(loaded(store, one.origin)), task_of(one.data, one.forget)
        return trajectory(origin, task, one.method, steps=self.steps, **asked)

    @staticmethod
    def parts(result: Trajectory) -> Stored:
        return result.points, {"steps": " ".join(map(str, result.steps))}

    def check(self, found: Stored) -> str:
        steps = tuple(map(int, found[1]["steps"].split()))
        return (
            _fits(self, found[0])
            if steps == self.steps
            else f"its snapshots are of the steps {steps}, not {self.steps}"
        )

    def whole(self, parts: Stored, store: Results) -> Trajectory:
        return Trajectory("chain", tuple(parts[0]), steps=self.steps)
