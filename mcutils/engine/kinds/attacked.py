"""Kinds of notebooks 11 and 12: ensembles along paths, relearned models step by step, sharpness of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...curves import Curve, weights_at
from ...data.tasks import BN_SIZE
from ...measures.ensembles import (
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
from ...measures.metrics import accuracy, mean_loss
from ...measures.outcomes import together_attacked
from ...measures.sharpness import SHARE, hessian_top, rises
from ...traces import Trace, trace
from ...unlearning.relearning import held_back, relearn
from ...weights import Weights
from ..costs import data_of, evaluated, form_of
from ..specs import EnsembleSpec, RegainedSpec, RelearnSpec, SharpnessSpec, Spec
from .along import REPLICATES, SMALL
from .models import BACKWARD
from .record import Kind, Results, loaded, shaped, task_of

CURVES = ("accuracy", "loss")  # that an attack has on every split
SPLITS = ("retain", "forget", "valid")  # on which attacked models are looked at, and
AROUND = ("retain", "forget")  # those around whose loss is sharp: test images would cost as much as these


def _ensemble(spec: EnsembleSpec, store: Results) -> dict[str, np.ndarray]:
    """By ``<placement>/<size>/<score>/<split>`` scalars, beside ``end``, ``ends`` and ``all``; gains of all members."""
    found = [store.get(one) for one in spec.models]
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
    for placement in spec.placements:
        for size in spec.sizes:
            if not possible(path.t, size, placement):
                continue
            which = members(path, size, placement)
            arrays[f"members/{placement}/{size}"] = np.array(which)
            put(f"{placement}/{size}", ensemble(path, which))
    return arrays


def _is_ensemble(spec: EnsembleSpec, found: Mapping[str, Any]) -> str:
    wanted: dict[str, tuple[int, ...]] = dict.fromkeys((name for name in found if not name.startswith("members/")), ())
    picked = [name for name in found if name.startswith("members/")]
    if "all/0/accuracy/test" not in found or bool(picked) != bool(spec.placements):
        return "it holds no scores of an ensemble"
    if any(name.split("/")[1] not in spec.placements or not name.split("/")[2].isdigit() for name in picked):
        return "its members are not those asked for"
    return shaped(found, wanted | {name: (int(name.split("/")[2]),) for name in picked})


def _place(spec: RelearnSpec | SharpnessSpec, store: Results) -> Weights:
    """The weights that a spec is of: a model, a point of a curve, or the mean along one."""
    found = loaded(store, spec.model)
    if not isinstance(found, Curve):
        return weights_at(found)
    if isinstance(spec, RelearnSpec) and spec.points > 1:
        return found.at(spec.place / (spec.points - 1))
    return mean_weights(found, task_of(spec.model.data, spec.forget), weighted=spec.weighted)


def _relearned(spec: RelearnSpec, store: Results) -> dict[str, np.ndarray]:
    """``steps`` (T,), accuracy and loss (T,) on each split, of D_f what no attacker saw, whose logits are kept too."""
    task = task_of(spec.model.data, spec.forget)
    way = relearn(
        _place(spec, store), task, spec.attack, seed=spec.seed, training=spec.training, weighted=spec.weighted
    )
    seen = trace(way, replace(held_back(task), splits=SPLITS), weighted=spec.weighted)
    arrays: dict[str, Any] = {"steps": np.array(way.steps), "logits/forget": seen.logits["forget"]}
    for split in seen.logits:
        arrays |= {f"accuracy/{split}": accuracy(seen, split), f"loss/{split}": mean_loss(seen, split)}
    return {**arrays, "labels/forget": seen.labels["forget"]}


def _is_relearned(spec: RelearnSpec, found: Mapping[str, Any]) -> str:
    points = np.shape(found.get("steps", ()))
    if len(points) != 1 or points[0] < 2:
        return "it holds no steps"
    names = [f"{what}/{split}" for what in CURVES for split in SPLITS]
    rows = np.shape(found.get("labels/forget", ()))
    classes = np.shape(found.get("logits/forget", ()))[-1:]
    wanted: dict[str, tuple[int, ...]] = {**dict.fromkeys(names, points), "logits/forget": (*points, *rows, *classes)}
    return shaped(found, wanted)


def _relearning(description: Mapping[str, Any], flops: float) -> float:
    attack, plan = description["attack"], description["training"]
    data = data_of(description)
    retained = evaluated(data, description["forget"], ("retain",))
    each = max(1, retained * 8 // plan["batch_size"])  # the evaluated sample is about an eighth of what is retained
    steps = int(attack["epochs"]) * each if attack["epochs"] else int(attack["steps"])
    looks = int(attack["epochs"]) + 1 if attack["epochs"] else 6
    batches = 2 if attack["examples"] else 1
    looked = looks * (evaluated(data, description["forget"], SPLITS) + BN_SIZE)
    return flops * (steps * plan["batch_size"] * batches * (1 + BACKWARD) + looked)


def _relearned_bytes(description: Mapping[str, Any]) -> float:
    data = data_of(description)
    looks = int(description["attack"]["epochs"]) + 1 if description["attack"]["epochs"] else 6
    return 2 * form_of(data)[1] * looks * evaluated(data, description["forget"], ("forget",)) + SMALL


def _regained(spec: RegainedSpec, store: Results) -> dict[str, np.ndarray]:
    """``steps`` (T,), accuracy and loss (M, T) on each split, and of members together accuracy and loss (T,) on D_f."""
    found = [store.get(one) for one in spec.models]
    names = [f"{what}/{split}" for what in CURVES for split in SPLITS]
    arrays = {"steps": found[0]["steps"], **{name: np.stack([one[name] for one in found]) for name in names}}
    if spec.together:
        seen = together_attacked([found[place] for place in spec.together])
        arrays |= {f"together/{what}": values for what, values in seen.items()}
    return arrays


def _is_regained(spec: RegainedSpec, found: Mapping[str, Any]) -> str:
    points = np.shape(found.get("steps", ()))
    if len(points) != 1 or points[0] < 2:
        return "it holds no steps"
    every = len(spec.models), *points
    wanted: dict[str, tuple[int, ...]] = {f"{what}/{split}": every for what in CURVES for split in SPLITS}
    return shaped(found, wanted | ({f"together/{what}": points for what in CURVES} if spec.together else {}), "f")


def _sharpness(spec: SharpnessSpec, store: Results) -> dict[str, np.ndarray]:
    """``one/<split>`` and ``both/<split>`` (D,) of `sharpness.rises`, and ``hessian`` (), of D_r's first ``rows``."""
    task, weights = task_of(spec.model.data, spec.forget), _place(spec, store)
    few = replace(task, splits=AROUND)
    asked: dict[str, Any] = {"seed": spec.seed, "directions": spec.directions, "share": SHARE}
    found = rises(weights, few, **asked, weighted=spec.weighted)
    rows = task.rows("retain_eval")[: spec.rows]
    return {**found, "hessian": np.float64(hessian_top(weights, task, rows, seed=spec.seed))}


def _is_sharpness(spec: SharpnessSpec, found: Mapping[str, Any]) -> str:
    names = [f"{side}/{split}" for side in ("one", "both") for split in AROUND]
    wanted: dict[str, tuple[int, ...]] = {**dict.fromkeys(names, (spec.directions,)), "hessian": ()}
    return shaped(found, wanted, "f")


def _sharpness_work(description: Mapping[str, Any], flops: float) -> float:
    each = evaluated(data_of(description), description["forget"], AROUND) + BN_SIZE
    return flops * (2 * description["directions"] * each + 4 * 22 * (1 + BACKWARD) * description["rows"])


def _named(what: str) -> Any:
    return lambda spec, inner: f"{what} of {inner(spec.model)}"


def _attacks(spec: Spec, inner: Any) -> str:
    return f"RegainedOf of {len(spec.models)} attacks from {inner(spec.models[0])} on"


def _traces(spec: Spec, inner: Any) -> str:
    return f"EnsembleOf of {len(spec.models)} traces from {inner(spec.models[0])} on"


ATTACKED = (
    Kind(
        EnsembleSpec,
        lambda spec: spec.models,
        _ensemble,
        _is_ensemble,
        _traces,
        lambda d, flops: REPLICATES * 10 * len(d["sizes"]) * max(1, len(d["placements"])),
        lambda d: SMALL + 400 * len(d["sizes"]) * len(d["placements"]),
    ),
    Kind(
        RelearnSpec,
        lambda spec: (spec.model,),
        _relearned,
        _is_relearned,
        _named("RelearnOf"),
        _relearning,
        _relearned_bytes,
    ),
    Kind(
        RegainedSpec,
        lambda spec: spec.models,
        _regained,
        _is_regained,
        _attacks,
        lambda d, flops: REPLICATES * len(d["models"]),
        lambda d: SMALL / 5 + 8 * 6 * len(CURVES) * len(SPLITS) * len(d["models"]),
    ),
    Kind(
        SharpnessSpec,
        lambda spec: (spec.model,),
        _sharpness,
        _is_sharpness,
        _named("SharpnessOf"),
        _sharpness_work,
        lambda d: SMALL / 2,
    ),
)
