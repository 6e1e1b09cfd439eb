"""What unlearning came to: what an attack brings back, outcomes that call a forget set hard, and the best snapshot.

Outcomes are named before anything is run, and high is hard in all four. ``js``: bits between predictions on D_f and
those of the retrained models; ``missed``: 1 - ToW; ``steps``: of unlearning until the forget loss reaches the retrained
level; ``area``: what an attack regains beyond what it teaches a retrained model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import BadInput, number
from ..traces import Trace
from .along import excess_variation, floats
from .metrics import accuracy, check_model, check_trace, mean_loss, per_example_loss, tow

OUTCOMES = ("js", "missed", "steps", "area")
MATCHED = 0.005  # of the forget accuracy: half a point
Numbers = Sequence[float] | Sequence[int] | np.ndarray
_SPLITS = {"UA": "forget", "RA": "retain", "TA": "test"}


def steps_of(trace: Trace) -> np.ndarray:
    """The steps (T,) of a traced attack, or of any trajectory; `BadInput` for another trace."""
    text = check_trace(trace).meta.get("steps", "")
    found = np.array([int(one) for one in text.split()])
    if len(found) != len(trace.t):
        raise BadInput("an attack is read step by step: give the trace of what relearn returned.")
    return found


def area(steps: Numbers, attacked: Numbers, retrained: Numbers | float) -> float:
    """Area between an attacked curve and the retrained model's under the same attack, over the steps: a mean height.

    ``int (attacked - retrained) ds / (s_T - s_1)`` by the trapezoid rule, in the units of the curves. With accuracies 0
    says that what the attack brings back, a model that never knew would learn as fast. ``retrained`` (T,) may be a
    number, a level. nan where a value is not finite.

    >>> area([0, 5, 10], [0.75, 1.0, 1.0], 0.5)
    0.4375
    """
    s, above = _over(steps, floats("attacked", attacked) - floats("retrained", retrained))
    return float(np.diff(s) @ (above[1:] + above[:-1]) / 2 / (s[-1] - s[0]))


def together_attacked(members: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Accuracy and mean loss (T,), in nats, of the mean prediction of attacked models, ``mean_m p_m``.

    Args:
        members: of each ``steps`` (T,), ``logits/forget`` (T, N, K) on forgotten examples that no attacker saw, and
            ``labels/forget`` (N,); looked at after the same steps, on the same examples.
    """
    if not members:
        raise BadInput("an attacked ensemble needs a member or more, got none.")
    steps, labels = (np.asarray(members[0][name]) for name in ("steps", "labels/forget"))
    same = [np.array_equal(one["steps"], steps) and np.array_equal(one["labels/forget"], labels) for one in members]
    if not all(same):
        raise BadInput("members of an attacked ensemble are looked at after the same steps, on the same examples.")
    found = []
    for one in members:
        logits = np.asarray(one["logits/forget"], dtype=np.float64)
        p = np.exp(logits - logits.max(axis=-1, keepdims=True))
        found.append(p / p.sum(axis=-1, keepdims=True))
    mean = np.mean(found, axis=0)
    truth = np.take_along_axis(mean, labels[None, :, None], axis=-1)[..., 0]
    right = (np.argmax(mean, axis=-1) == labels) & np.isfinite(truth)
    with np.errstate(divide="ignore"):
        return {"accuracy": right.mean(axis=-1), "loss": -np.log(truth).mean(axis=-1)}


def steps_to(steps: Numbers, values: Numbers, level: float) -> float:
    """The first step at which values reach at least a level, between two by a straight line; infinity if never."""
    s, v = _over(steps, floats("values", values) - number("level", level))
    there = np.flatnonzero(v >= 0)
    if not len(there):
        return np.inf
    k = int(there[0])
    if k == 0 or not np.isfinite(v[k - 1]):
        return float(s[k])
    return float(s[k - 1] + (s[k] - s[k - 1]) * -v[k - 1] / (v[k] - v[k - 1]))


def _over(steps: Numbers, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s = floats("steps", steps)
    if s.ndim != 1 or len(s) < 2 or not (np.diff(s) > 0).all() or values.shape != s.shape:
        raise BadInput(f"a curve needs two or more rising steps and as many values, got {s.shape} and {values.shape}.")
    return s, values


def missed(end: Trace, retrained: Sequence[Trace]) -> float:
    """1 - ToW: ``1 - prod (1 - |UA|) (1 - |RA|) (1 - |TA|)`` of the differences to the retrained models' means.

    0 for a retrained model's own accuracies. Source of ToW: Zhao et al. 2024 (RUM).
    """
    mine, theirs = (
        {name: np.mean([accuracy(one, split)[0] for one in models]) for name, split in _SPLITS.items()}
        for models in ([check_model(end, "the end")], _models(retrained))
    )
    return float(1 - tow(mine, theirs))


def steps_to_retrained(way: Trace, retrained: Sequence[Trace]) -> float:
    """Steps of unlearning until the forget loss is at least the retrained models' mean; infinity if it never is.

    ``way`` is the trace of a trajectory (`trajectories.trajectory`).
    """
    level = float(np.mean([mean_loss(one, "forget")[0] for one in _models(retrained)]))
    return steps_to(steps_of(way), mean_loss(way, "forget"), level)


def variation_by_example(path: Trace, split: str = "forget") -> np.ndarray:
    """Excess variation (N,) of each example's own loss along a path, in nats: what it adds to the path's wiggles.

    Wiggles of examples may cancel in the mean: between ends of equal losses the mean of these is at least the path's.
    """
    return excess_variation(per_example_loss(check_trace(path), split))


def _models(retrained: Sequence[Trace]) -> list[Trace]:
    models = [retrained] if isinstance(retrained, Trace) else list(retrained)
    if not models:
        raise BadInput("an outcome is measured beside retrained models, got none.")
    return [check_model(model, "a retrained model") for model in models]


def compromise(trace: Trace) -> np.ndarray:
    """(forget quality + utility) / 2 (T,) along a path that begins at the original model.

    Forget quality is 1 - |forget - valid|, of accuracies on D_f and on validation data: 1 where D_f looks like data
    never seen. Utility is valid over its first value, that of the original model, and may exceed 1. This companion's
    reading of what was asked of another framework in public (locuslab/open-unlearning, issue 187). Raises `BadInput`
    for a trace without forget or validation examples, or where the original gets none of these right.
    """
    for split in ("forget", "valid"):
        if split not in check_trace(trace).logits or not trace.labels[split].size:
            raise BadInput(f"a snapshot is chosen by forget and validation examples, but there are none of {split}.")
    forget, valid = (accuracy(trace, split) for split in ("forget", "valid"))
    if not valid[0]:
        raise BadInput("the first point of the trace gets no validation example right: it is no original model.")
    return (1 - np.abs(forget - valid) + valid / valid[0]) / 2


def best_snapshot(trace: Trace) -> int:
    """Which point of a traced trajectory has the best `compromise`, the earliest of equal ones, counted from 0.

    Neither test data nor a retrained model is looked at.
    """
    return int(compromise(trace).argmax())
