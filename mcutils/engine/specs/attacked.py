"""What attacks tell of models and paths, beside ensembles along paths and the sharpness of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...curves import Curve, weights_at
from ...data.shadows import SPLITS as TARGETS, sizes
from ...data.tasks import BN_SIZE, SHAPES, VALID_FRACTION, Task
from ...errors import BadInput
from ...measures.ensembles import (
    PLACEMENTS,
    SIZES,
    ambiguity,
    better_end,
    disagreement,
    ensemble,
    mean_weights,
    members,
    possible,
    scores,
    together,
)
from ...measures.membership import confidence_logit, population_attacks, svc_along, threshold_attack
from ...measures.metrics import accuracy, correct, mean_loss
from ...measures.outcomes import together_attacked
from ...measures.shadow_pool import rmia_along
from ...measures.sharpness import SHARE, hessian_top, rises
from ...settings import Plan
from ...traces import Trace, trace
from ...unlearning.relearning import Attack, held_back, relearn
from ...weights import Weights
from .along import TraceSpec, check_reference
from .base import BACKWARD, REPLICATES, SMALL, Result, Results, loaded, shaped, task_of
from .data import data_of, evaluated, form_of
from .models import CurveSpec, OriginalSpec, RetrainedSpec, UnlearnedSpec

CURVES = ("accuracy", "loss")  # that an attack has on every split
SPLITS = ("retain", "forget", "valid")  # on which attacked models are looked at
BY_STEP = tuple(f"{what}/{split}" for what in CURVES for split in SPLITS)
AROUND = ("retain", "forget")  # those around whose loss is sharp: test images would cost as much as these
SCORED = (*TARGETS.values(), "valid")  # of a shadow: their examples have scores of their own
ATTACKED = ("retain", "forget", "valid", "test")  # the splits that membership attacks read, references all but retain
ATTACKS = 300  # replicates of a bootstrap that all attacks on one point are worth, about; the SVC takes most of it
LARGEST = 65504.0  # of float16


def scored(task: Task) -> tuple[str, ...]:
    """The splits whose examples get a phi each: the targets of a shadow's task, of any other D_r's sample and D_f."""
    return SCORED if SCORED[0] in task.index else ("retain", "forget", "valid")


def _scored(d: Mapping[str, Any]) -> int:
    """Examples that get a phi."""
    data = data_of(d)
    if data.get("shadow") is None or data["dataset"] not in SHAPES:
        return evaluated(data, d["forget"], ("retain", "forget", "valid"))
    train = int(data["train_size"]) or SHAPES[data["dataset"]][0]
    valid = round(VALID_FRACTION * train)
    each = sizes(train - valid)
    return each["forget"] + each["keep"] + valid


@dataclass(frozen=True)
class PhiSpec(Result, kind="PhiOf", later="weighted"):
    """Confidences phi (`membership.confidence_logit`) of a model, or of a path at ``points`` equally spaced t.

    Of a shadow (`DataSpec.shadow`) they are of all targets, held or not, and of validation examples; of any other model
    of retain sample, forget set and validation examples. ``weighted``: of the BatchNorm refresh, see `traces.trace`.
    """

    model: OriginalSpec | RetrainedSpec | UnlearnedSpec | CurveSpec
    forget: float
    points: int = 1
    weighted: bool = False
    like = "TraceOf"
    size = staticmethod(lambda d: 2.2 * d["points"] * _scored(d) + SMALL / 10)

    def agree(self) -> None:
        if isinstance(self.model, CurveSpec) != (self.points > 1):
            raise BadInput(f"a curve is evaluated at 2 points or more and a model at 1, got {self.points}.")

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """phi/<split> (T, N) float16 and right/<split> (T, N) bool; accuracy/retain and accuracy/test (T,)."""
        task = task_of(self.model.data, self.forget)
        splits = scored(task)
        seen = replace(task, splits=tuple(dict.fromkeys([*splits, "retain", "test"])))
        found = trace(loaded(store, self.model), seen, max(self.points, 2), weighted=self.weighted, dtype="float32")
        arrays = {f"accuracy/{split}": accuracy(found, split) for split in ("retain", "test")}
        for split in splits:
            phi = confidence_logit(found.logits[split], found.labels[split])
            arrays[f"phi/{split}"] = np.clip(phi, -LARGEST, LARGEST).astype(np.float16)
            arrays[f"right/{split}"] = correct(found, split)
        return arrays

    def check(self, found: Mapping[str, np.ndarray]) -> str:
        splits = [name.partition("/")[2] for name in found if name.startswith("phi/")]
        if not splits:
            return "it holds no phi"
        each = {split: (self.points, *np.shape(found[f"phi/{split}"])[1:2]) for split in splits}
        numbers = dict.fromkeys(("accuracy/retain", "accuracy/test"), (self.points,))
        return shaped(found, numbers | {f"phi/{split}": shape for split, shape in each.items()}, "f") or shaped(
            found, {f"right/{split}": shape for split, shape in each.items()}, "b"
        )

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        rest = evaluated(data_of(d), d["forget"], ("retain", "test"))
        return flops * d["points"] * (_scored(d) + rest + BN_SIZE)


@dataclass(frozen=True)
class MembershipSpec(Result, kind="MembershipOf"):
    """Membership attacks along a trace: population attacks, the SVC attack with its twin, and RMIA.

    ``retrained`` are the references of RMIA, models that never saw D_f; without any it is left out.
    """

    trace: TraceSpec
    retrained: tuple[TraceSpec, ...] = ()
    like = "MetricOf"
    work = staticmethod(lambda d, flops: REPLICATES * ATTACKS * d["trace"]["points"])

    def agree(self) -> None:
        lacking = [name for name in ATTACKED if name not in self.trace.held]
        if lacking:
            raise BadInput(f"membership is told on {', '.join(ATTACKED)}, but the trace lacks {', '.join(lacking)}.")
        for one in self.retrained:
            check_reference(self.trace, one, ATTACKED[1:])
            if one.points != 1:
                raise BadInput(f"a reference of RMIA is one model, got a trace of {one.points} points.")

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """population/<signal>/<auc | tpr | accuracy>, svc/<classifier | threshold>, rmia/<auc | tpr>: (T,) each."""
        path = store.get(self.trace)
        arrays = {f"population/{name}": values for name, values in population_attacks(path).items()}
        arrays |= {"svc/classifier": svc_along(path), "svc/threshold": svc_along(path, attack=threshold_attack)}
        if self.retrained:
            references = [store.get(one) for one in self.retrained]
            arrays |= {f"rmia/{name}": values for name, values in rmia_along(path, references).items()}
        return arrays

    def check(self, found: Mapping[str, np.ndarray]) -> str:
        if not found or any(name.split("/")[0] not in ("population", "svc", "rmia") for name in found):
            return "it holds something else than attacks"
        return shaped(found, dict.fromkeys(found, (self.trace.points,)), "f")


def _place(spec: RelearnSpec | SharpnessSpec, store: Results) -> Weights:
    """The weights that a spec is of: a model, a point of a curve, or the mean along one."""
    found = loaded(store, spec.model)
    if not isinstance(found, Curve):
        return weights_at(found)
    if isinstance(spec, RelearnSpec) and spec.points > 1:
        return found.at(spec.place / (spec.points - 1))
    return mean_weights(found, task_of(spec.model.data, spec.forget), weighted=spec.weighted)


def _has_steps(found: Mapping[str, Any]) -> str:
    steps = np.shape(found.get("steps", ()))
    return "" if len(steps) == 1 and steps[0] > 1 else "it holds no steps"


@dataclass(frozen=True)
class EnsembleSpec(Result, kind="EnsembleOf"):
    """Ensembles of the points of one path's trace, or of several models: accuracy, loss, calibration, gains.

    ``models`` are traces; ``sizes`` and ``placements`` of `ensembles.members` for the trace of one path, and empty for
    several models, which are an ensemble together.
    """

    models: tuple[TraceSpec, ...]
    sizes: tuple[int, ...] = SIZES
    placements: tuple[str, ...] = PLACEMENTS
    like = "MetricOf"
    work = staticmethod(lambda d, flops: REPLICATES * 10 * len(d["sizes"]) * max(1, len(d["placements"])))
    size = staticmethod(lambda d: SMALL + 400 * len(d["sizes"]) * len(d["placements"]))

    def agree(self) -> None:
        if not self.models:
            raise BadInput("an ensemble is of one trace or more, got none.")
        several = len(self.models) > 1 or self.models[0].points == 1
        if several == bool(self.placements) or bool(self.sizes) != bool(self.placements):
            raise BadInput("sizes and placements are those of the trace of one path: leave both empty for models.")
        if any(size < 1 or size > self.models[0].points for size in self.sizes):
            raise BadInput(f"a path of {self.models[0].points} points has ensembles of 1 to as many, got {self.sizes}.")
        if not {"test", "valid"} <= set(self.models[0].held) and self.placements:
            raise BadInput("members are chosen on validation data and judged on test data: trace both.")

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """Scalars ``<placement>/<size>/<score>/<split>``, beside ``end`` and ``all``; gains of all members."""
        found = [store.get(one) for one in self.models]
        path: Trace = found[0] if len(found) == 1 else together(found)
        arrays: dict[str, Any] = {}

        def put(name: str, one: Trace) -> None:
            arrays.update({f"{name}/{what}": values[0] for what, values in scores(one).items()})

        count = len(path.t)
        put("all/0", ensemble(path))
        for split in path.logits:
            arrays[f"disagreement/{split}"] = np.float64(disagreement(path, split))
            arrays |= {f"gain/{name}/{split}": np.float64(v) for name, v in ambiguity(path, split).items()}
        if count > 1:
            put("end/1", ensemble(path, [better_end(path)]))
        for placement in self.placements:
            for size in self.sizes:
                if not possible(path.t, size, placement):
                    continue
                which = members(path, size, placement)
                arrays[f"members/{placement}/{size}"] = np.array(which)
                put(f"{placement}/{size}", ensemble(path, which))
        return arrays

    def check(self, found: Mapping[str, Any]) -> str:
        picked = [name for name in found if name.startswith("members/")]
        wanted: dict[str, tuple[int, ...]] = dict.fromkeys(found.keys() - set(picked), ())
        if "all/0/accuracy/test" not in found or bool(picked) != bool(self.placements):
            return "it holds no scores of an ensemble"
        if any(name.split("/")[1] not in self.placements or not name.split("/")[2].isdigit() for name in picked):
            return "its members are not those asked for"
        return shaped(found, wanted | {name: (int(name.split("/")[2]),) for name in picked})


@dataclass(frozen=True)
class RelearnSpec(Result, kind="RelearnOf", later="weighted"):
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
    like = "Unlearned"

    def agree(self) -> None:
        if (self.place or self.points > 1) and not isinstance(self.model, CurveSpec):
            raise BadInput("a place is one of a curve: leave place and points for a model.")
        if self.place >= self.points:
            raise BadInput(f"a place is from 0 to {self.points - 1}, got {self.place}.")

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """``steps`` (T,), accuracy and loss (T,) by split, of D_f what no attacker saw, whose logits are kept too."""
        task = task_of(self.model.data, self.forget)
        way = relearn(
            _place(self, store), task, self.attack, seed=self.seed, training=self.training, weighted=self.weighted
        )
        seen = trace(way, replace(held_back(task), splits=SPLITS), weighted=self.weighted)
        arrays: dict[str, Any] = {"steps": np.array(way.steps), "logits/forget": seen.logits["forget"]}
        for split in seen.logits:
            arrays |= {f"accuracy/{split}": accuracy(seen, split), f"loss/{split}": mean_loss(seen, split)}
        return {**arrays, "labels/forget": seen.labels["forget"]}

    def check(self, found: Mapping[str, Any]) -> str:
        wanted: dict[str, tuple[str, ...]] = dict.fromkeys(("steps", *BY_STEP), ("steps",))
        wanted |= {"labels/forget": ("rows",), "logits/forget": ("steps", "rows", "classes")}
        return _has_steps(found) or shaped(found, wanted)

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        attack, plan = d["attack"], d["training"]
        data = data_of(d)
        retained = evaluated(data, d["forget"], ("retain",))
        each = max(1, retained * 8 // plan["batch_size"])  # the evaluated sample is about an eighth of what is retained
        steps = int(attack["epochs"]) * each if attack["epochs"] else int(attack["steps"])
        looks = int(attack["epochs"]) + 1 if attack["epochs"] else 6
        batches = 2 if attack["examples"] else 1
        looked = looks * (evaluated(data, d["forget"], SPLITS) + BN_SIZE)
        return flops * (steps * plan["batch_size"] * batches * (1 + BACKWARD) + looked)

    @staticmethod
    def size(d: Mapping[str, Any]) -> float:
        data = data_of(d)
        looks = int(d["attack"]["epochs"]) + 1 if d["attack"]["epochs"] else 6
        return 2 * form_of(data)[1] * looks * evaluated(data, d["forget"], ("forget",)) + SMALL


@dataclass(frozen=True)
class RegainedSpec(Result, kind="RegainedOf"):
    """What one attack brings back of several models, without the logits that each `RelearnSpec` keeps.

    ``together``: places of those whose mean prediction is looked at too; none by default.
    """

    models: tuple[RelearnSpec, ...]
    together: tuple[int, ...] = ()
    like = "MetricOf"
    work = staticmethod(lambda d, flops: REPLICATES * len(d["models"]))
    size = staticmethod(lambda d: SMALL / 5 + 8 * 6 * len(BY_STEP) * len(d["models"]))

    def agree(self) -> None:
        if len({(one.attack, one.training, one.forget) for one in self.models}) != 1:
            raise BadInput("what is regained is compared of one attack, on one model or more.")
        if any(place >= len(self.models) for place in self.together) or len(set(self.together)) < len(self.together):
            raise BadInput(f"members of {len(self.models)} attacked models have different places, got {self.together}.")

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """``steps`` (T,), accuracy and loss (M, T) by split, and of members together accuracy and loss (T,) on D_f."""
        found = [store.get(one) for one in self.models]
        arrays = {"steps": found[0]["steps"], **{name: np.stack([one[name] for one in found]) for name in BY_STEP}}
        if self.together:
            seen = together_attacked([found[place] for place in self.together])
            arrays |= {f"together/{what}": values for what, values in seen.items()}
        return arrays

    def check(self, found: Mapping[str, Any]) -> str:
        steps = np.shape(found.get("steps", ()))
        wanted = dict.fromkeys(BY_STEP, (len(self.models), *steps))
        wanted |= {f"together/{what}": steps for what in CURVES if self.together}
        return _has_steps(found) or shaped(found, wanted, "f")


@dataclass(frozen=True)
class SharpnessSpec(Result, kind="SharpnessOf", later="weighted"):
    """Sharpness of a model, or of the mean weights along a curve: `sharpness.rises` and the Hessian's top eigenvalue.

    The Hessian is of the first ``rows`` of the retain sample; ``weighted`` of the BatchNorm refresh.
    """

    model: UnlearnedSpec | RetrainedSpec | OriginalSpec | CurveSpec
    forget: float
    seed: int = 0
    directions: int = 20
    rows: int = 500
    weighted: bool = False
    like = "TraceOf"
    size = staticmethod(lambda d: SMALL / 2)

    def compute(self, store: Results) -> dict[str, np.ndarray]:
        """``one/<split>``, ``both/<split>`` (D,) of `sharpness.rises`; ``hessian`` (), of D_r's first ``rows``."""
        task, weights = task_of(self.model.data, self.forget), _place(self, store)
        few = replace(task, splits=AROUND)
        asked: dict[str, Any] = {"seed": self.seed, "directions": self.directions, "share": SHARE}
        found = rises(weights, few, **asked, weighted=self.weighted)
        rows = task.rows("retain_eval")[: self.rows]
        return {**found, "hessian": np.float64(hessian_top(weights, task, rows, seed=self.seed))}

    def check(self, found: Mapping[str, Any]) -> str:
        names = [f"{side}/{split}" for side in ("one", "both") for split in AROUND]
        wanted: dict[str, tuple[int, ...]] = {**dict.fromkeys(names, (self.directions,)), "hessian": ()}
        return shaped(found, wanted, "f")

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        each = evaluated(data_of(d), d["forget"], AROUND) + BN_SIZE
        return flops * (2 * d["directions"] * each + 4 * 22 * (1 + BACKWARD) * d["rows"])
