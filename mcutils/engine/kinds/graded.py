"""Kinds of notebook 12: what training showed of examples, what a model says of a set, probes, outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from ..costs import data_of, evaluated
from ..specs import HardnessSpec, LearningSpec, OutcomeSpec, ProbeSpec
from .along import REPLICATES, SMALL
from .models import BACKWARD
from .record import Kind, Results, loaded, shaped, task_of

EARLY = 5  # epochs that EL2N is the mean of
EVENTS = ("confidence", "max", "certainty", "correctness", "learned")
HARDNESS = ("retain", "forget", "between", "entanglement")
# By name what is told along a line, and as levels of models beside it.
BESIDE = {f"{what}_{s}": of for what, of in (("loss", mean_loss), ("accuracy", accuracy)) for s in ("retain", "forget")}
FITTING = 50  # forward passes of all examples that fitting a probe is worth, about


def _learning(spec: LearningSpec, store: Results) -> dict[str, np.ndarray]:
    """``rows`` (N,) of the pool in order; by example `learning_events` over all epochs, `el2n` over the first."""
    one = spec.model.own
    if one.curriculum != "none":
        raise BadInput(f"learning is recorded without a curriculum, got {one.curriculum!r}.")
    task = task_of(one.data)
    way = learning_path(task, one.model, seed=one.seed, plan=one.plan, weighted=one.weighted, width=one.width)
    rows = task.index["train"].sort().values
    seen = np.stack([logits_on(point, task, rows) for point in way.points[1:]])
    labels = task.y[rows].cpu().numpy()
    found = {**learning_events(seen, labels), "el2n": el2n(seen[:EARLY], labels)}
    return {"rows": rows.cpu().numpy(), **{name: values.astype(np.float32) for name, values in found.items()}}


def _is_learning(spec: LearningSpec, found: Mapping[str, Any]) -> str:
    return shaped(found, dict.fromkeys(("rows", *EVENTS, "el2n"), np.shape(found.get("rows", ()))[:1]))


def _pooled(description: Mapping[str, Any]) -> int:
    """Examples of the training pool; of data that are not built in those that a trace evaluates."""
    data = data_of(description)
    if data["dataset"] not in SHAPES:
        return evaluated(data, 0.1)
    train = int(data["train_size"]) or SHAPES[data["dataset"]][0]
    return train - round(VALID_FRACTION * train)


def _learning_work(description: Mapping[str, Any], flops: float) -> float:
    plan, pool = description["model"]["plan"], _pooled(description)
    epochs = plan["steps"] / max(1, pool // plan["batch_size"])
    return flops * (plan["steps"] * plan["batch_size"] * (1 + BACKWARD) + epochs * (pool + BN_SIZE))


def _hardness(spec: HardnessSpec, store: Results) -> dict[str, np.ndarray]:
    """Mean cosines of gradients within D_r (``retain``), within D_f (``forget``), ``between``, and ``entanglement``."""
    task, model = task_of(spec.model.data, spec.forget), weights_at(loaded(store, spec.model))
    told = coherence(model, task, spec.examples)
    found = {name: getattr(told, name) for name in HARDNESS[:3]}
    return {name: np.float64(v) for name, v in {**found, HARDNESS[3]: entanglement_of(model, task, spec.rows)}.items()}


def _probed(spec: ProbeSpec, store: Results) -> Iterator[Weights]:
    """The models that are probed; points of a path with BatchNorm statistics of their own."""
    model = loaded(store, spec.model)
    if not isinstance(model, Curve):
        yield weights_at(model)
        return
    task = task_of(spec.model.data, spec.forget)
    for t in np.linspace(0, 1, spec.points).tolist():
        yield finished(model.points[0], model.at(t).params, task, spec.weighted)


def _recalls(spec: ProbeSpec, store: Results) -> dict[str, np.ndarray]:
    """``recall`` (points,) of the class."""
    task = task_of(spec.model.data, spec.forget)
    return {"recall": np.array([recall(one, task, spec.label, spec.rows) for one in _probed(spec, store)])}


def _outcome(spec: OutcomeSpec, store: Results) -> dict[str, np.ndarray]:
    """``js`` and ``curve/<loss | accuracy>_<split>`` (T,) along the line; of its start ``missed``, ``steps``, ``area``;
    ``rows`` and ``variation`` (N,); ``original/...`` () and ``level/...`` (R,), losses and accuracies of the models
    beside it; ``t``, and ``collapsed`` as profiles have it."""
    _of_one_start(spec)
    line, original, *retrained = (store.get(one) for one in (spec.trace, spec.original, *spec.retrained))
    start = Trace(line.t[:1], {s: v[:1] for s, v in line.logits.items()}, line.labels, line.index, line.meta)
    js = [METRICS["js_retrained_forget"](line, references={"retrained": one}) for one in retrained]
    attacked, *controls = (store.get(one) for one in (spec.attacked, *spec.controls))
    learned = np.mean([one["accuracy/forget"] for one in controls], axis=0)
    curves = {f"curve/{name}": of(line, name.partition("_")[2]) for name, of in BESIDE.items()}
    levels = {f"level/{name}": values for name, values in levels_of(retrained).items()}
    return {
        **{"t": line.t, "collapsed": np.array(collapsed(line), dtype=np.str_), **curves, **levels},
        **{f"original/{name}": values[0] for name, values in levels_of([original]).items()},
        "js": np.mean(js, axis=0),
        "missed": np.float64(missed(start, retrained)),
        "steps": np.float64(steps_to_retrained(store.get(spec.way), retrained)),
        "area": np.float64(area(attacked["steps"], attacked["accuracy/forget"], learned)),
        "rows": line.index["forget"],
        "variation": variation_by_example(line).astype(np.float32),
    }


def _of_one_start(spec: OutcomeSpec) -> None:
    """Raise `BadInput` unless way and attack are of the start of the line, and retrained models attacked alike."""
    start = getattr(spec.trace.model, "start", None)
    if start is None or any(one != start for one in (getattr(spec.way.model, "endpoint", None), spec.attacked.model)):
        raise BadInput("outcomes are of the start of one line: of the way to it and of an attack on it.")
    if {(one.attack, one.training) for one in spec.controls} != {(spec.attacked.attack, spec.attacked.training)}:
        raise BadInput("the attack on retrained models is the one on the unlearned model: the two differ.")


def _is_outcome(spec: OutcomeSpec, found: Mapping[str, Any]) -> str:
    along, each = (spec.trace.points,), np.shape(found.get("rows", ()))[:1]
    wanted: dict[str, tuple[int, ...]] = {"t": along, "js": along, "missed": (), "steps": (), "area": ()}
    wanted |= dict.fromkeys(("rows", "variation"), each)
    for name in BESIDE:
        wanted |= {f"curve/{name}": along, f"original/{name}": (), f"level/{name}": (len(spec.retrained),)}
    return shaped(found, wanted)


def _named(what: str, of: str = "model") -> Any:
    return lambda spec, inner: f"{what} of {inner(getattr(spec, of))}"


GRADED = (
    Kind(
        LearningSpec,
        lambda spec: (),
        _learning,
        _is_learning,
        _named("LearningOf"),
        _learning_work,
        lambda d: 28.0 * _pooled(d),
    ),
    Kind(
        HardnessSpec,
        lambda spec: (spec.model,),
        _hardness,
        lambda spec, found: shaped(found, dict.fromkeys(HARDNESS, ())),
        _named("HardnessOf"),
        # A gradient of one example costs what calling the network costs, whatever its size.
        lambda d, flops: 2 * (d["examples"] * (REPLICATES + flops * (1 + BACKWARD)) + flops * d["rows"]),
        lambda d: SMALL / 10,
    ),
    Kind(
        ProbeSpec,
        lambda spec: (spec.model,),
        _recalls,
        lambda spec, found: shaped(found, {"recall": (spec.points,)}, "f"),
        _named("ProbeOf"),
        lambda d, flops: flops * d["points"] * (2 * d["rows"] * FITTING + BN_SIZE),
        lambda d: SMALL / 10,
    ),
    Kind(
        OutcomeSpec,
        lambda spec: (spec.trace, spec.way, spec.original, *spec.retrained, spec.attacked, *spec.controls),
        _outcome,
        _is_outcome,
        _named("OutcomeOf", "trace"),
        lambda d, flops: REPLICATES * d["trace"]["points"],
        lambda d: SMALL / 2 + 8 * evaluated(data_of(d), d["trace"]["forget"], ("forget",)),
    ),
)
