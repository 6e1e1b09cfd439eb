"""Kinds of weights: original, retrained, untrained, unlearned and aligned models, curves between them, trajectories."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import torch

from ... import weights as weights_module
from ...curves import RECIPES, Curve, fit_curve, weights_at
from ...data.tasks import BN_SIZE, SHAPES
from ...fits import Fit
from ...measures.alignment import ROWS, Alignment, align
from ...networks import network_for
from ...training import train
from ...trajectories import Trajectory, trajectory
from ...unlearning.endpoints import Endpoint, fingerprint, random_twin, unlearn
from ...weights import Weights
from ..costs import cost
from ..specs import (
    AlignedSpec,
    CurveSpec,
    OriginalSpec,
    RetrainedSpec,
    Spec,
    TrajectorySpec,
    UnlearnedSpec,
    UntrainedSpec,
    key,
    kind_of,
)
from .record import ARRAYS, Form, Kind, Results, loaded, task_of

Fitted = tuple[list[Weights], Fit | None]  # the control points of a curve and the record of their fit


def _load_fitted(file: BinaryIO, limit: int) -> Fitted:  # noqa: ARG001
    data = file.read()
    controls = weights_module.load(io.BytesIO(data))
    text = weights_module.header(data).get("fit")
    return controls, None if text is None else Fit.read(text)


def _save_fitted(file: BinaryIO, parts: Fitted) -> None:
    controls, fit = parts
    weights_module.save(file, controls, **({} if fit is None else {"fit": fit.text()}))


WEIGHTS = Form(".safetensors", 2**32, lambda file, limit: weights_module.load(file), weights_module.save)
FITTED = replace(WEIGHTS, load=_load_fitted, save=_save_fitted)
BACKWARD = 2  # forward passes that a backward pass is worth


def _original(spec: OriginalSpec, store: Results) -> Weights:
    if spec.first is not None:
        return weights_at(store.get(spec.own))
    made: dict[str, Any] = {"curriculum": spec.curriculum, "width": spec.width, "weighted": spec.weighted}
    return train(task_of(spec.data), spec.model, seed=spec.seed, plan=spec.plan, **made)


def _own(spec: OriginalSpec) -> tuple[Spec, ...]:
    return () if spec.first is None else (spec.own,)


def _retrained(spec: RetrainedSpec, store: Results) -> Weights:
    task = task_of(spec.data, spec.forget)
    made: dict[str, Any] = {"init": spec.init, "width": spec.width, "weighted": spec.weighted}
    return train(task, spec.model, seed=spec.seed, plan=spec.plan, split="retain", **made)


def _untrained(spec: UntrainedSpec, store: Results) -> Weights:
    task = task_of(spec.data)
    return random_twin(network_for(task, spec.model, spec.seed, width=spec.width), task, spec.seed, spec.weighted)


def _unlearned(spec: UnlearnedSpec, store: Results) -> Endpoint:
    return unlearn(
        weights_at(loaded(store, spec.origin)),
        task_of(spec.data, spec.forget),
        spec.method,
        seed=spec.seed,
        curriculum=spec.curriculum,
        optimizer=spec.optimizer,
        settings=spec.settings,
        weighted=spec.weighted,
    )


def _endpoint(spec: UnlearnedSpec, parts: Sequence[Weights], store: Results) -> Endpoint:
    origin = weights_at(store.get(spec.origin))
    made = spec.method, spec.curriculum, spec.optimizer, spec.seed, spec.settings
    return Endpoint(parts[0], origin, fingerprint(spec.data.task(spec.forget)), *made, store.seconds(spec))


def _curve(spec: CurveSpec, store: Results) -> Curve:
    start, end, task = loaded(store, spec.start), loaded(store, spec.end), task_of(spec.data, spec.forget)
    recipe = replace(RECIPES[spec.recipe], weighted=spec.start.weighted)
    made = {"kind": spec.kind, "control_points": spec.control_points, "recipe": recipe, "plan": spec.plan}
    objective = {"method": spec.method, "settings": spec.settings} if spec.method else {}
    given: dict[str, Any] = {"seed": spec.seed, **made, **objective}
    if not isinstance(spec.start, UnlearnedSpec) and spec.origin is not None:
        given["origin"] = loaded(store, spec.origin)
    return fit_curve(start, end, task, **given)


def _between(spec: CurveSpec, parts: Fitted, store: Results) -> Curve:
    start, end = (weights_at(store.get(one)) for one in (spec.start, spec.end))
    return Curve(spec.kind, (start, *parts[0], end), parts[1])


def _is_curve(spec: CurveSpec, parts: Fitted) -> str:
    controls, fit = parts
    if fit is not None and spec.plan is not None and fit.steps != spec.plan.steps:
        return f"the record of its fit is of {fit.steps} steps, not {spec.plan.steps}"
    return _fits(spec, controls)


def _trajectory(spec: TrajectorySpec, store: Results) -> Trajectory:
    one = spec.endpoint
    asked: dict[str, Any] = {
        "curriculum": one.curriculum,
        "optimizer": one.optimizer,
        "settings": one.settings,
        "steps": spec.steps,
        "weighted": one.weighted,
    }
    origin, task = weights_at(loaded(store, one.origin)), task_of(one.data, one.forget)
    return trajectory(origin, task, one.method, seed=one.seed, **asked)


def _load_snapshots(file: BinaryIO, limit: int) -> Trajectory:  # noqa: ARG001
    data = file.read()
    points = weights_module.load(io.BytesIO(data))
    return Trajectory("chain", tuple(points), steps=tuple(map(int, weights_module.header(data)["steps"].split())))


def _save_snapshots(file: BinaryIO, found: Trajectory) -> None:
    weights_module.save(file, found.points, steps=" ".join(map(str, found.steps)))


def _is_trajectory(spec: TrajectorySpec, found: Trajectory) -> str:
    if found.steps != spec.steps:
        return f"its snapshots are of the steps {found.steps}, not {spec.steps}"
    return _fits(spec, found.points)


def _aligned(spec: AlignedSpec, store: Results) -> Alignment:
    to, model = (weights_at(loaded(store, one)) for one in (spec.to, spec.model))
    return align(to, model, spec.by, task=task_of(spec.to.data, spec.forget))


def _renumbered(spec: AlignedSpec, orders: Mapping[str, np.ndarray], store: Results) -> Alignment:
    permutations = {unit: torch.from_numpy(order.astype(np.int64)) for unit, order in orders.items()}
    return Alignment(lambda: weights_at(store.get(spec.model)), permutations)  # read without the model: who moved


def _is_aligned(spec: AlignedSpec, orders: Mapping[str, np.ndarray]) -> str:
    wrong = [unit for unit, order in orders.items() if not np.array_equal(np.sort(order), np.arange(np.size(order)))]
    return f"{wrong[0]} is no order of channels" if wrong else "" if orders else "it holds no orders"


def _matching(description: Mapping[str, Any], flops: float) -> float:
    # Two forward passes of the rows compared; products of weights are worth some fifty examples.
    return flops * (2 * ROWS if description["by"] == "activations" else 50)


def _fits(spec: Spec, found: Sequence[Weights]) -> str:
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


def _steps(description: Mapping[str, Any], flops: float) -> float:
    plan = description.get("plan") or (description.get("settings") or {}).get("plan")
    if not plan or description.get("first") is not None:
        return flops * BN_SIZE
    batch = plan["batch_size"] + (plan["forget_batch_size"] if description["spec"] in ("Unlearned", "Path") else 0)
    return flops * plan["steps"] * batch * (1 + BACKWARD)


def _bytes(description: Mapping[str, Any]) -> float:
    return 4 * cost(description)[1] * max(1, description.get("control_points", 1))


def _name(spec: Spec, inner: Callable[[Spec], str]) -> str:
    return f"{kind_of(spec)} {spec.model}, seed {spec.seed} ({key(spec)})"


ORIGINAL = Kind(OriginalSpec, _own, _original, _fits, _name, _steps, _bytes, WEIGHTS, lambda found: [weights_at(found)])
MODELS = (
    ORIGINAL,
    replace(ORIGINAL, spec=RetrainedSpec, parents=lambda spec: (), compute=_retrained),
    replace(ORIGINAL, spec=UntrainedSpec, parents=lambda spec: (), compute=_untrained),
    replace(
        ORIGINAL,
        spec=UnlearnedSpec,
        parents=lambda spec: (spec.origin,),
        compute=_unlearned,
        describe=lambda s, inner: f"{s.method} x {s.curriculum} x {s.optimizer}, seed {s.seed} ({key(s)})",
        whole=_endpoint,
    ),
    replace(
        ORIGINAL,
        spec=CurveSpec,
        parents=lambda spec: (spec.start, spec.end),
        compute=_curve,
        check=_is_curve,
        describe=lambda spec, inner: f"{spec.kind} path from {inner(spec.start)} to {inner(spec.end)}",
        form=FITTED,
        parts=lambda curve: (list(curve.points[1:-1]), curve.fit),
        whole=_between,
    ),
    Kind(
        AlignedSpec,
        lambda spec: (spec.model, spec.to),
        _aligned,
        _is_aligned,
        lambda spec, inner: f"{inner(spec.model)} aligned by {spec.by} to {inner(spec.to)}",
        _matching,
        lambda d: 1_500,
        ARRAYS,
        lambda found: {unit: order.cpu().numpy().astype(np.int32) for unit, order in found.permutations.items()},
        _renumbered,
    ),
    Kind(
        TrajectorySpec,
        lambda spec: (spec.endpoint.origin,),
        _trajectory,
        _is_trajectory,
        lambda spec, inner: f"Trajectory of {inner(spec.endpoint)}",
        lambda d, flops: _steps(d["endpoint"], flops) + flops * BN_SIZE * len(d["steps"]),
        lambda d: 4.0 * cost(d)[1] * len(d["steps"]),
        replace(WEIGHTS, load=_load_snapshots, save=_save_snapshots),
    ),
)
