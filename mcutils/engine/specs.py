"""Specs: frozen settings that name a result by everything that determines it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache, partial
from typing import Any

from ..curricula import CURRICULA
from ..curves import CURVES, RECIPES
from ..data.corruptions import OUTSIDE
from ..data.cues import SETS, planted
from ..data.own import CHECKSUM, NAME, forgetting, own_task
from ..data.scenarios import RELABELLED, Scenario
from ..data.shadows import SHARE, shadowed
from ..data.tasks import DATASETS, FINGERPRINTS, Task, load_task
from ..errors import BadInput, choose, seed_of, share, shown, whole
from ..measures.alignment import MATCHINGS
from ..measures.ensembles import PLACEMENTS, SIZES
from ..measures.metrics import METRICS
from ..measures.similarity import SIMILARITIES
from ..models.vision import MODELS
from ..optimizers import OPTIMIZERS
from ..plugins import CHANGED, identity
from ..quantisation import LEAST_BITS, MOST_BITS
from ..settings import MethodSettings, Plan
from ..traces import POLICIES, SPLITS
from ..unlearning.methods import METHODS
from ..unlearning.relearning import Attack
from ..unlearning.snapshots import check_steps

# One number per kind of result, raised whenever the algorithm behind it gives other numbers. These kinds have a key.
VERSIONS = {
    **dict.fromkeys(("Original", "Retrained", "Untrained", "Unlearned", "Path", "Trajectory", "TraceOf"), 1),
    **{"Profile": 2, "MetricOf": 1, "Alike": 1, "CueUse": 1, "PlaneOf": 1, "PhiOf": 1, "MembershipOf": 1, "FitOf": 1},
    **dict.fromkeys(("EnsembleOf", "RelearnOf", "RegainedOf", "SharpnessOf", "Aligned"), 1),
    **dict.fromkeys(("LearningOf", "HardnessOf", "ProbeOf", "OutcomeOf"), 1),
}


ATTACKED = ("retain", "forget", "valid", "test")  # the splits that membership attacks read, references all but retain
# The least that a field of this name may hold; 0 for any other whole number.
LOWEST = {"width": 1, "points": 1, "bootstrap": 1, "resolution": 2, "rows": 1, "directions": 1, "examples": 2}
# What a field of this name names, and what there is.
NAMES: dict[str, tuple[str, Iterable[str]]] = {
    "method": ("method", METHODS),
    "curriculum": ("curriculum", CURRICULA),
    "optimizer": ("optimizer", OPTIMIZERS),
    "model": ("model", MODELS),
    "metric": ("metric", METRICS),
    "kind": ("curve", CURVES),
    "measures": ("similarity", SIMILARITIES),
    "batchnorm": ("BatchNorm policy", POLICIES),
    "split": ("split", SPLITS),
    "shown": ("counterfactual set", SETS),
    "outside": ("images from outside", OUTSIDE),
    "placements": ("placement", PLACEMENTS),
    "by": ("matching", MATCHINGS),
}
# Fields that were added when results had been kept already: at their default they are left out of keys.
LATER = {
    *(("Alike", "measures"), ("Data", "draw"), ("Data", "crossed"), ("TraceOf", "splits"), ("Profile", "half")),
    *(("Data", "shadow"), ("Data", "scenario"), ("TraceOf", "bits"), ("TraceOf", "outside")),
    *(("Original", "curriculum"), ("Original", "first")),
    *((kind, "weighted") for kind in ("Original", "Retrained", "Untrained", "TraceOf", "Alike", "CueUse", "PlaneOf")),
    *((kind, "weighted") for kind in ("PhiOf", "RelearnOf", "SharpnessOf")),
}


class Once(type):
    """Classes whose equal arguments give one object, checked once: a study asks for the same specs over and over."""

    def __call__(cls, *given: Any, **named: Any) -> Any:
        # Within a tuple 1, 1.0 and True are alike to a cache, but not to a check.
        tuples = (v for v in (*given, *named.values()) if type(v) is tuple)
        if all(type(one) is str or isinstance(one, Checked) for values in tuples for one in values):
            try:
                return _once(cls, *given, **named)
            except TypeError:  # a list, or what no spec is made of
                pass
        return type.__call__(cls, *given, **named)


_once = lru_cache(maxsize=100_000, typed=True)(type.__call__)
CHANGED.append(_once.cache_clear)


@dataclass(frozen=True)
class Checked(metaclass=Once):
    """A spec whose fields are checked against their declared types when it is made.

    Whole numbers become int and shares float, lists tuples, so that equal specs have one key, and names are looked
    up. ``kind`` is the name that a class has in keys.
    """

    def __init_subclass__(cls, kind: str) -> None:
        cls.kind_name = kind  # type: ignore[attr-defined]
        cls.__hash__ = Checked._hash  # type: ignore[assignment, method-assign]

    def _hash(self) -> int:
        """The hash of a dataclass, reckoned once: specs are nested, and looked up often."""
        found = self.__dict__.get("_hashed")
        if found is None:
            found = hash((type(self), *(getattr(self, field.name) for field in fields(self))))
            object.__setattr__(self, "_hashed", found)
        return found

    def __getstate__(self) -> dict[str, Any]:  # without the hash, which is another in each process
        return {name: value for name, value in self.__dict__.items() if name != "_hashed"}

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) or value != field.default:
                object.__setattr__(self, field.name, _checked(field.name, str(field.type), value))


def _checked(name: str, declared: str, value: Any) -> Any:
    if declared.startswith("tuple["):
        if not isinstance(value, (tuple, list)):
            raise BadInput(f"{name} must be a list, got {shown(value)}.")
        inner = declared.removeprefix("tuple[").removesuffix(", ...]")
        return tuple(_checked(name, inner, one) for one in value)
    kinds = declared.split(" | ")
    if value is None and "None" in kinds:
        return None
    if "int" in kinds:
        return (
            seed_of(value, name)
            if name in ("seed", "init", "draw", "first")
            else whole(name, value, LOWEST.get(name, 0))
        )
    if "float" in kinds:
        return share(name, value, zero=name in ("cue", "crossed"))
    if not {kind.__name__ for kind in type(value).__mro__} & set(kinds):
        allowed = " or ".join("a name" if kind == "str" else kind for kind in kinds)
        raise BadInput(f"{name} must be of kind {allowed}, got {shown(value)}.")
    if isinstance(value, str) and name in NAMES:
        what, there = NAMES[name]
        choose(what, value, there)
    return value


@dataclass(frozen=True)
class DataSpec(Checked, kind="Data"):
    """A data set and how much of it; ``checksum`` is that of the decoded images and labels (filled in if empty).

    A name that no data set has is that of a task made by `own.task`, which goes by its checksum.
    ``cue``: the first images of the forget order, this share of the pool, carry a cue (`cues.planted`); 0 is none.
    ``draw``: of the order in which the pool is forgotten, see `load_task`. ``crossed``: of the images with a cue, the
    share that show another class than their label (`cues.planted`). ``shadow``: that of a shadow pool whose task this
    is (`shadows.shadowed`): it learns a core and half of the targets and forgets half of those to forget.
    ``scenario``: what is forgotten, in place of a share of the pool (`scenarios.Scenario`).
    """

    dataset: str
    train_size: int = 0
    test_size: int = 0
    checksum: str = ""
    cue: float = 0.0
    draw: int = 0
    crossed: float = 0.0
    shadow: int | None = None
    scenario: Scenario | None = None

    def __post_init__(self) -> None:
        if isinstance(self.scenario, Mapping):  # as `plain` wrote it
            read = {name: value for name, value in self.scenario.items() if name != "spec"}
            object.__setattr__(self, "scenario", Scenario(**read))
        super().__post_init__()
        if self.crossed and not self.cue:
            raise BadInput(f"crossed is a share of the images with a cue, got {self.crossed:g} where none has one.")
        if not (NAME.fullmatch(self.dataset) and CHECKSUM.fullmatch(self.checksum)):
            choose("data set", self.dataset, DATASETS)
        if self.dataset not in DATASETS and (self.train_size or self.test_size):
            raise BadInput(f"{self.dataset} is data of your own, taken whole: leave train_size and test_size at 0.")
        if not self.checksum:
            known = FINGERPRINTS.get(self.dataset)
            object.__setattr__(self, "checksum", known or self._loaded(0.1).checksum)

    def _loaded(self, forget: float) -> Task:
        loader = DATASETS.get(self.dataset)
        checksum = self.checksum if loader is None else ""
        asked = self.dataset, loader, checksum, forget, self.train_size, self.test_size
        return _redrawn(self.draw, *asked) if self.draw else _task(*asked)

    def task(self, forget: float) -> Task:
        """The task with this share of the training pool to forget."""
        drawn = self.shadow is None and self.scenario is None
        found = self._loaded(share("forget", forget) if drawn else 0.1)  # else whatever is forgotten there
        if found.checksum != self.checksum:
            raise BadInput(
                f"the spec is of {self.dataset} with checksum {self.checksum}, but here it is {found.checksum}."
            )
        if self.shadow is not None:
            return self._of_shadow(found, share("forget", forget), self.shadow)
        if self.scenario is not None:
            made = self._of_scenario(found)
            if abs(share("forget", forget) - made.forget) * len(made.index["train"]) >= 1:
                raise BadInput(
                    f"the scenario {self.scenario.name} forgets {made.forget:.4f} of the pool, not {forget:g}."
                )
            return made
        if self.cue and forget < self.cue:
            raise BadInput(f"forgetting {forget:g} of the pool leaves cues in D_r: {self.cue:g} of it carries them.")
        return _planted(found, fraction=self.cue, crossed=self.crossed) if self.cue else found

    def _of_scenario(self, found: Task) -> Task:
        if self.cue or self.shadow is not None or self.scenario is None:
            raise BadInput("a scenario says what is forgotten: leave out the cue and the shadow.")
        return _forgotten(self.scenario, found)

    def _of_shadow(self, found: Task, forget: float, shadow: int) -> Task:
        if self.cue or self.draw:
            raise BadInput("a shadow pool is of data without a cue, and of draw 0 of the forget set.")
        made = _shadowed(found, shadow)
        learned, lost = len(made.index["train"]), len(made.index["forget"])
        if abs(forget * learned - lost) >= 1:
            raise BadInput(f"a shadow forgets {lost} of {learned} examples, a share of {SHARE:.4f}, not {forget:g}.")
        return made

    @property
    def pool(self) -> Task:
        """A task with the data's pool, for what is trained on all of it: that does not depend on what is forgotten."""
        if self.shadow is not None:
            return self.task(SHARE)
        if self.scenario is not None:
            return self._of_scenario(self._loaded(0.1))
        own = None if self.dataset in DATASETS else own_task(self.dataset, self.checksum)
        return self.task(own.forget if own and own.listed else max(0.1, self.cue))


@lru_cache(maxsize=4)
def _task(dataset: str, loader: Any, checksum: str, forget: float, train_size: int, test_size: int) -> Task:
    if loader is None:
        return forgetting(own_task(dataset, checksum), forget)
    return load_task(dataset, forget, train_size=train_size or None, test_size=test_size or None)


@lru_cache(maxsize=16)
def _redrawn(draw: int, *asked: Any) -> Task:
    return forgetting(_task(*asked), asked[3], draw)  # of the same tensors: draws differ in rows alone


_planted = lru_cache(maxsize=4)(planted)
_shadowed = lru_cache(maxsize=64)(shadowed)
_forgotten = lru_cache(maxsize=16)(Scenario.of)


@dataclass(frozen=True)
class OriginalSpec(Checked, kind="Original"):
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first == self.data.draw and self.data.scenario is None:
            raise BadInput(f"first is another draw than that of the data, {self.data.draw}: leave it out.")
        if self.first is not None and self.data.scenario is not None and self.data.scenario.name in RELABELLED:
            raise BadInput(
                f"a model trained before the data were {self.data.scenario.name} is another: leave first out."
            )

    @property
    def own(self) -> OriginalSpec:
        """The same model with the draw that it was trained for."""
        if self.first is None:
            return self
        return replace(self, data=replace(self.data, draw=self.first, scenario=None), first=None)


@dataclass(frozen=True)
class RetrainedSpec(Checked, kind="Retrained"):
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


@dataclass(frozen=True)
class UntrainedSpec(Checked, kind="Untrained"):
    """A random network of the architecture: the reference of ZRF; ``weighted`` of its BatchNorm statistics."""

    data: DataSpec
    model: str
    width: int
    seed: int
    weighted: bool = False


@dataclass(frozen=True)
class UnlearnedSpec(Checked, kind="Unlearned"):
    """An endpoint: a method, a curriculum and an optimiser applied to ``origin`` (an original or another endpoint)."""

    origin: OriginalSpec | UnlearnedSpec | RetrainedSpec
    forget: float
    method: str
    curriculum: str
    optimizer: str
    seed: int
    settings: MethodSettings

    @property
    def data(self) -> DataSpec:
        """The data of the model that it was unlearned from."""
        return self.origin.data

    @property
    def weighted(self) -> bool:
        """Whether its BatchNorm statistics, as those of the model it was unlearned from, weigh batches by size."""
        return self.origin.weighted


@dataclass(frozen=True)
class AlignedSpec(Checked, kind="Aligned"):
    """A model with its channels renumbered to be most like the model ``to``, the same function: see `alignment.align`.

    ``by`` weights, or activations on retain data of ``to``, which lacks this share to ``forget``. What is kept are the
    orders of the channels alone.
    """

    model: UnlearnedSpec | OriginalSpec | RetrainedSpec
    to: UnlearnedSpec | OriginalSpec | RetrainedSpec
    forget: float
    by: str = "weights"

    @property
    def data(self) -> DataSpec:
        """The data of the model."""
        return self.model.data


@dataclass(frozen=True)
class CurveSpec(Checked, kind="Path"):
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind != "linear":
            choose("recipe", self.recipe, RECIPES)
            if self.plan is None or self.control_points < 1:
                raise BadInput(
                    f"a {self.kind} path needs a plan and at least 1 control point, got {self.control_points}."
                )
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
    def data(self) -> DataSpec:
        """The data of both ends; where these belong to different draws of the forget set, that of the start."""
        return self.start.data

    @property
    def origin(self) -> Spec | None:
        """The original model that a fit may look at: that of the start or else of the end, or an end that is one."""
        ends = self.start, self.end
        unlearned_from = [end.origin for end in ends if isinstance(end, UnlearnedSpec)]
        return next(iter([*unlearned_from, *(end for end in ends if isinstance(end, OriginalSpec))]), None)


@dataclass(frozen=True)
class TrajectorySpec(Checked, kind="Trajectory"):
    """The weights that unlearning ``endpoint`` passes through after ``steps``, see `trajectories.trajectory`."""

    endpoint: UnlearnedSpec
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_steps(self.steps, self.endpoint.settings.plan.steps)

    @property
    def data(self) -> DataSpec:
        """The data of the model that was unlearned."""
        return self.endpoint.data

    @property
    def forget(self) -> float:
        """The share of the pool that was unlearned."""
        return self.endpoint.forget


@dataclass(frozen=True)
class TraceSpec(Checked, kind="TraceOf"):
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

    def __post_init__(self) -> None:
        super().__post_init__()
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
class ProfileSpec(Checked, kind="Profile"):
    """What figures and verdicts need of a trace: metrics along it, connectivity with its replicates.

    ``half``: all replicates are kept as float16, and only those that others do not give.
    """

    trace: TraceSpec
    original: TraceSpec
    retrained: tuple[TraceSpec, ...]
    random: TraceSpec
    bootstrap: int = 200
    half: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not {"retain", "forget"} <= set(self.trace.held):
            raise BadInput(f"a profile is of retain and forget examples, got a trace of {', '.join(self.trace.held)}.")
        for one in (self.original, *self.retrained, self.random):
            check_reference(self.trace, one, self.trace.held)


@dataclass(frozen=True)
class MetricSpec(Checked, kind="MetricOf"):
    """One metric along a trace, for metrics that profiles computed before do not hold.

    ``references`` are the traces of the frozen models that it reads, in the order of its `metrics.Metric.references`.
    """

    trace: TraceSpec
    metric: str
    references: tuple[TraceSpec, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
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


@dataclass(frozen=True)
class FitSpec(Checked, kind="FitOf"):
    """The record of a curve's own fit (`fits.Fit`), apart from the curve's weights."""

    model: CurveSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.kind == "linear":
            raise BadInput("a straight line is not fitted: a record is of a fitted curve.")


def metric_of(profile: ProfileSpec, metric: str) -> MetricSpec:
    """The spec of a metric along what a profile is of, with the profile's references."""
    choose("metric", metric, METRICS)
    known = {"original": profile.original, "retrained": profile.retrained[0], "random": profile.random}
    return MetricSpec(profile.trace, metric, tuple(known[name] for name in METRICS[metric].references))


@dataclass(frozen=True)
class MembershipSpec(Checked, kind="MembershipOf"):
    """Membership attacks along a trace: population attacks, the SVC attack with its twin, and RMIA.

    ``retrained`` are the references of RMIA, models that never saw D_f; without any it is left out.
    """

    trace: TraceSpec
    retrained: tuple[TraceSpec, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        lacking = [name for name in ATTACKED if name not in self.trace.held]
        if lacking:
            raise BadInput(f"membership is told on {', '.join(ATTACKED)}, but the trace lacks {', '.join(lacking)}.")
        for one in self.retrained:
            check_reference(self.trace, one, ATTACKED[1:])
            if one.points != 1:
                raise BadInput(f"a reference of RMIA is one model, got a trace of {one.points} points.")


@dataclass(frozen=True)
class PhiSpec(Checked, kind="PhiOf"):
    """Confidences phi (`membership.confidence_logit`) of a model, or of a path at ``points`` equally spaced t.

    Of a shadow (`DataSpec.shadow`) they are of all targets, held or not, and of validation examples; of any other model
    of retain sample, forget set and validation examples. ``weighted``: of the BatchNorm refresh, see `traces.trace`.
    """

    model: OriginalSpec | RetrainedSpec | UnlearnedSpec | CurveSpec
    forget: float
    points: int = 1
    weighted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.model, CurveSpec) != (self.points > 1):
            raise BadInput(f"a curve is evaluated at 2 points or more and a model at 1, got {self.points}.")


@dataclass(frozen=True)
class EnsembleSpec(Checked, kind="EnsembleOf"):
    """Ensembles of the points of one path's trace, or of several models: accuracy, loss, calibration, gains.

    ``models`` are traces; ``sizes`` and ``placements`` of `ensembles.members` for the trace of one path, and empty for
    several models, which are an ensemble together.
    """

    models: tuple[TraceSpec, ...]
    sizes: tuple[int, ...] = SIZES
    placements: tuple[str, ...] = PLACEMENTS

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.models:
            raise BadInput("an ensemble is of one trace or more, got none.")
        several = len(self.models) > 1 or self.models[0].points == 1
        if several == bool(self.placements) or bool(self.sizes) != bool(self.placements):
            raise BadInput("sizes and placements are those of the trace of one path: leave both empty for models.")
        if any(size < 1 or size > self.models[0].points for size in self.sizes):
            raise BadInput(f"a path of {self.models[0].points} points has ensembles of 1 to as many, got {self.sizes}.")
        if not {"test", "valid"} <= set(self.models[0].held) and self.placements:
            raise BadInput("members are chosen on validation data and judged on test data: trace both.")


@dataclass(frozen=True)
class RelearnSpec(Checked, kind="RelearnOf"):
    """What an attack brings back, step by step, see `relearning.relearn`; ``training`` is the original's plan.

    ``model`` may be a curve: with ``points`` above 1 its point t = place / (points - 1) is attacked, else the mean of
    its weights (`ensembles.mean_weights`).
    """

    model: UnlearnedSpec | RetrainedSpec | OriginalSpec | CurveSpec
    forget: float
    attack: Attack
    training: Plan
    seed: int = 0
    place: int = 0
    points: int = 1
    weighted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.place or self.points > 1) and not isinstance(self.model, CurveSpec):
            raise BadInput("a place is one of a curve: leave place and points for a model.")
        if self.place >= self.points:
            raise BadInput(f"a place is from 0 to {self.points - 1}, got {self.place}.")


@dataclass(frozen=True)
class RegainedSpec(Checked, kind="RegainedOf"):
    """What one attack brings back of several models, without the logits that each `RelearnSpec` keeps.

    ``together``: places of those whose mean prediction is looked at too; none by default.
    """

    models: tuple[RelearnSpec, ...]
    together: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len({(one.attack, one.training, one.forget) for one in self.models}) != 1:
            raise BadInput("what is regained is compared of one attack, on one model or more.")
        if any(place >= len(self.models) for place in self.together) or len(set(self.together)) < len(self.together):
            raise BadInput(f"members of {len(self.models)} attacked models have different places, got {self.together}.")


@dataclass(frozen=True)
class SharpnessSpec(Checked, kind="SharpnessOf"):
    """Sharpness of a model, or of the mean weights along a curve: `sharpness.rises` and the Hessian's top eigenvalue.

    The Hessian is of the first ``rows`` of the retain sample; ``weighted`` of the BatchNorm refresh.
    """

    model: UnlearnedSpec | RetrainedSpec | OriginalSpec | CurveSpec
    forget: float
    seed: int = 0
    directions: int = 20
    rows: int = 500
    weighted: bool = False


@dataclass(frozen=True)
class LearningSpec(Checked, kind="LearningOf"):
    """What each example of the pool showed, epoch by epoch, while an original model learned; see `difficulty`.

    Training runs once more, bit by bit the same, and the models that it passes through are not kept.
    """

    model: OriginalSpec


@dataclass(frozen=True)
class HardnessSpec(Checked, kind="HardnessOf"):
    """How hard a model's own gradients and features call its forget set: `difficulty.coherence` and entanglement.

    ``examples`` of each side have a gradient, and ``rows`` of each are read for the penultimate features.
    """

    model: OriginalSpec
    forget: float
    examples: int = 256
    rows: int = 1000


@dataclass(frozen=True)
class ProbeSpec(Checked, kind="ProbeOf"):
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.model, CurveSpec) != (self.points > 1):
            raise BadInput(f"a curve is probed at 2 points or more and a model at 1, got {self.points}.")


@dataclass(frozen=True)
class OutcomeSpec(Checked, kind="OutcomeOf"):
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.retrained or not self.controls:
            raise BadInput("outcomes are held against retrained models and attacks on them: give one or more of both.")
        for one in (self.original, *self.retrained):
            check_reference(self.trace, one, ("retain", "forget", "test"))


@dataclass(frozen=True)
class AlikeSpec(Checked, kind="Alike"):
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.models) < 2:
            raise BadInput(f"models are compared two at least at a time, got {len(self.models)}.")
        if any(one.data.draw != self.origin.data.draw for one in self.models):
            raise BadInput("models are compared on one forget set, but these belong to different draws of it.")

    @property
    def traces(self) -> tuple[TraceSpec, ...]:
        """The models' traces."""
        return tuple(TraceSpec(model, self.forget, weighted=self.weighted) for model in self.models)


@dataclass(frozen=True)
class CueUseSpec(Checked, kind="CueUse"):
    """How far models along a path follow a planted cue: `probes.cue_use` of its traces on all of `cues.SETS`.

    ``weighted``: of these traces.
    """

    model: CurveSpec
    forget: float
    points: int = 11
    weighted: bool = False

    @property
    def traces(self) -> dict[str, TraceSpec]:
        """The path's trace on each counterfactual set."""
        made = partial(TraceSpec, self.model, self.forget, self.points, weighted=self.weighted)
        return {name: made(shown=name) for name in SETS}


@dataclass(frozen=True)
class PlaneSpec(Checked, kind="PlaneOf"):
    """Losses and accuracies on the plane through three models, see `planes.plane`.

    A fitted path with one control point stands for that control point: the plane of a quadratic curve and its ends.
    ``weighted`` of the BatchNorm refresh, see `traces.trace`.
    """

    models: tuple[UnlearnedSpec | RetrainedSpec | OriginalSpec | CurveSpec, ...]
    forget: float
    resolution: int = 15
    rows: int = 500
    weighted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.models) != 3:
            raise BadInput(f"a plane goes through three models, got {len(self.models)}.")
        if any(isinstance(one, CurveSpec) and one.control_points != 1 for one in self.models):
            raise BadInput("a path in a plane stands for its control point: it needs exactly one.")


TRACED = (AlikeSpec, CueUseSpec)  # read traces that their fields imply but do not hold
Spec = Any


def plain(value: Any) -> Any:
    """A spec as nested dictionaries and lists, with the name and version of each kind."""
    return _described(value, plain)


def kind_of(spec: Spec) -> str:
    """The kind's name, in keys and provenance: Original, Retrained, Unlearned, Path, TraceOf, Profile, ..."""
    return name_of(type(spec))


def name_of(kind: type) -> str:
    """The name that a class of specs or settings has in keys: its own, or the one that kept results carry."""
    return getattr(kind, "kind_name", kind.__name__)


@lru_cache(maxsize=200_000)
def key(spec: Spec) -> str:
    """Name of a spec's result: its kind and the hash of its own settings and of its parents' keys."""
    return _name(_described(spec, _or_key))


CHANGED.append(key.cache_clear)


def key_of(description: Mapping[str, Any], known: dict[int, tuple[Any, Any]] | None = None) -> str:
    """The key of a spec written by `plain`, for example one read back from a result's provenance.

    ``known`` remembers what was reckoned of each object, where descriptions share theirs. Raises `BadInput` for what no
    spec is written as.
    """
    kind = description.get("spec") if isinstance(description, Mapping) else None
    if not isinstance(kind, str) or not kind.isidentifier():
        raise BadInput(f"a spec is described by a table that names its kind, got {shown(description)}.")
    try:
        found = _parent(description, {} if known is None else known)
        return found if isinstance(found, str) else _name(found)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"this description of a {kind} is none of a spec: {shown(str(error))}.") from None


def _parent(value: Any, known: dict[int, tuple[Any, Any]]) -> Any:
    """What stands for a part of a description in the key of the whole: a result's key, anything else as it is."""
    if not isinstance(value, (dict, list)):
        return value
    if id(value) not in known:
        if isinstance(value, list):
            found: Any = [_parent(inner, known) for inner in value]
        else:
            found = {name: _parent(inner, known) for name, inner in value.items()}
            if isinstance(value.get("spec"), str) and value["spec"] in VERSIONS:
                found = _name(found)
        known[id(value)] = value, found  # held, so that no other object is taken for it
    return known[id(value)][1]


def _or_key(value: Any) -> Any:
    return key(value) if isinstance(value, Checked) and kind_of(value) in VERSIONS else _described(value, _or_key)


def _described(value: Any, inner: Callable[[Any], Any]) -> Any:
    """One level of `plain`; ``inner`` describes the values of fields and the items of tuples."""
    if is_dataclass(value):
        name = kind_of(value)
        version = {"version": VERSIONS[name]} if name in VERSIONS else {}
        if isinstance(value, TRACED):
            version["traces"] = VERSIONS["TraceOf"]
        pairs = [(f, getattr(value, f.name)) for f in fields(value)]
        kept = [(f, v) for f, v in pairs if (name, f.name) not in LATER or v != f.default]
        table = {
            f.name: list(v) if f.type == "tuple[int, ...]" else inner(v if "int" in f.type else _number(v))
            for f, v in kept
        }
        return {"spec": name, **version, **_registered(value), **table}
    if isinstance(value, (tuple, list)):
        return [inner(_number(v)) for v in value]
    return value


def _registered(value: Any) -> dict[str, Any]:
    """The identities of what a spec names and somebody has registered; nothing for what belongs to the package."""
    found: dict[str, Any] = {}
    for field in (*NAMES, "dataset"):
        what = NAMES[field][0] if field in NAMES else field
        held = getattr(value, field, ())
        for name in (held,) if isinstance(held, str) else held if isinstance(held, tuple) else ():
            known = identity(what, name)
            found |= {f"{field}/{name}": known} if known else {}
    return {"registered": found} if found else {}


def _number(value: Any) -> Any:
    # 1 and 1.0 are equal but not the same text: equal specs must have one key, in every process.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _name(description: Mapping[str, Any]) -> str:
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return f"{description['spec'].lower()}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def is_line(spec: Spec) -> bool:
    """Whether a spec is a straight path, which is its two ends and never kept."""
    return isinstance(spec, CurveSpec) and spec.kind == "linear"
