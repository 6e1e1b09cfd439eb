"""What attacks read or tell: confidences phi of the models of a shadow pool, and membership along a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...data.shadows import SPLITS, sizes
from ...data.tasks import BN_SIZE, SHAPES, VALID_FRACTION, Task
from ...errors import BadInput
from ...measures.membership import confidence_logit, population_attacks
from ...measures.metrics import accuracy, correct
from ...measures.shadow_pool import rmia_along
from ...measures.svc_attack import svc_along, threshold_attack
from ...traces import trace
from .along import TraceSpec, check_reference
from .costs import data_of, evaluated
from .models import CurveSpec, OriginalSpec, RetrainedSpec, UnlearnedSpec
from .record import REPLICATES, SMALL, Result, Results, loaded, shaped, task_of

SCORED = (*SPLITS.values(), "valid")  # of a shadow: their examples have scores of their own
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
    size = staticmethod(lambda d: SMALL)

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
