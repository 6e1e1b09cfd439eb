"""Kinds that attacks read or tell: confidences phi of the models of a shadow pool, and membership along a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...data.shadows import SPLITS, sizes
from ...data.tasks import BN_SIZE, SHAPES, VALID_FRACTION, Task
from ...measures.membership import confidence_logit, population_attacks
from ...measures.metrics import accuracy, correct
from ...measures.shadow_pool import rmia_along
from ...measures.svc_attack import svc_along, threshold_attack
from ...traces import trace
from ..costs import data_of, evaluated
from ..specs import MembershipSpec, PhiSpec
from .along import REPLICATES, SMALL
from .record import Kind, Results, loaded, shaped, task_of

SCORED = (*SPLITS.values(), "valid")  # of a shadow: their examples have scores of their own
ATTACKS = 300  # replicates of a bootstrap that all attacks on one point are worth, about; the SVC takes most of it
LARGEST = 65504.0  # of float16


def scored(task: Task) -> tuple[str, ...]:
    """The splits whose examples get a phi each: the targets of a shadow's task, of any other D_r's sample and D_f."""
    return SCORED if SCORED[0] in task.index else ("retain", "forget", "valid")


def _phi(spec: PhiSpec, store: Results) -> dict[str, np.ndarray]:
    """phi/<split> (T, N) float16 and right/<split> (T, N) bool; accuracy/retain and accuracy/test (T,)."""
    task = task_of(spec.model.data, spec.forget)
    splits = scored(task)
    seen = replace(task, splits=tuple(dict.fromkeys([*splits, "retain", "test"])))
    found = trace(loaded(store, spec.model), seen, max(spec.points, 2), weighted=spec.weighted, dtype="float32")
    arrays = {f"accuracy/{split}": accuracy(found, split) for split in ("retain", "test")}
    for split in splits:
        phi = confidence_logit(found.logits[split], found.labels[split])
        arrays[f"phi/{split}"] = np.clip(phi, -LARGEST, LARGEST).astype(np.float16)
        arrays[f"right/{split}"] = correct(found, split)
    return arrays


def _is_phi(spec: PhiSpec, found: Mapping[str, np.ndarray]) -> str:
    splits = [name.partition("/")[2] for name in found if name.startswith("phi/")]
    if not splits:
        return "it holds no phi"
    single = dict.fromkeys(("accuracy/retain", "accuracy/test"), (spec.points,))
    each = {split: (spec.points, *np.shape(found[f"phi/{split}"])[1:2]) for split in splits}
    return (
        shaped(found, single, "f")
        or shaped(found, {f"phi/{split}": shape for split, shape in each.items()}, "f")
        or shaped(found, {f"right/{split}": shape for split, shape in each.items()}, "b")
    )


def _scored(description: Mapping[str, Any]) -> int:
    """Examples that get a phi."""
    data = data_of(description)
    if data.get("shadow") is None or data["dataset"] not in SHAPES:
        return evaluated(data, description["forget"], ("retain", "forget", "valid"))
    train = int(data["train_size"]) or SHAPES[data["dataset"]][0]
    valid = round(VALID_FRACTION * train)
    each = sizes(train - valid)
    return each["forget"] + each["keep"] + valid


def _work(description: Mapping[str, Any], flops: float) -> float:
    rest = evaluated(data_of(description), description["forget"], ("retain", "test"))
    return flops * description["points"] * (_scored(description) + rest + BN_SIZE)


def _membership(spec: MembershipSpec, store: Results) -> dict[str, np.ndarray]:
    """population/<signal>/<auc | tpr | accuracy>, svc/<classifier | threshold>, rmia/<auc | tpr>: (T,) each."""
    path = store.get(spec.trace)
    arrays = {f"population/{name}": values for name, values in population_attacks(path).items()}
    arrays |= {"svc/classifier": svc_along(path), "svc/threshold": svc_along(path, attack=threshold_attack)}
    if spec.retrained:
        references = [store.get(one) for one in spec.retrained]
        arrays |= {f"rmia/{name}": values for name, values in rmia_along(path, references).items()}
    return arrays


def _is_membership(spec: MembershipSpec, found: Mapping[str, np.ndarray]) -> str:
    if not found or any(name.split("/")[0] not in ("population", "svc", "rmia") for name in found):
        return "it holds something else than attacks"
    return shaped(found, dict.fromkeys(found, (spec.trace.points,)), "f")


PRIVACY = (
    Kind(
        PhiSpec,
        lambda spec: (spec.model,),
        _phi,
        _is_phi,
        lambda spec, inner: f"PhiOf of {inner(spec.model)}",
        _work,
        lambda d: 2.2 * d["points"] * _scored(d) + SMALL / 10,
    ),
    Kind(
        MembershipSpec,
        lambda spec: (spec.trace, *spec.retrained),
        _membership,
        _is_membership,
        lambda spec, inner: f"MembershipOf of {inner(spec.trace)}",
        lambda d, flops: REPLICATES * ATTACKS * d["trace"]["points"],
        lambda d: SMALL,
    ),
)
