"""What an attack brings back: curves over its steps, their area above a retrained model's, and a matched start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import BadInput, choose, number
from ..traces import Trace
from .along import floats
from .metrics import accuracy, check_trace, mean_loss

READ = {"accuracy": accuracy, "loss": mean_loss}
Numbers = Sequence[float] | Sequence[int] | np.ndarray
MATCHED = 0.005  # of the forget accuracy: half a point


def steps_of(trace: Trace) -> np.ndarray:
    """The steps (T,) of a traced attack, or of any trajectory; `BadInput` for another trace."""
    text = check_trace(trace).meta.get("steps", "")
    found = np.array([int(one) for one in text.split()])
    if len(found) != len(trace.t):
        raise BadInput("an attack is read step by step: give the trace of what relearn returned.")
    return found


def curve_of(trace: Trace, of: str = "accuracy", split: str = "forget") -> tuple[np.ndarray, np.ndarray]:
    """Steps (T,) and accuracy or mean loss (T,) of a split after each."""
    return steps_of(trace), READ[choose("curve of an attack", of, READ)](trace, split)


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


def steps_to(steps: Numbers, values: Numbers, level: float, direction: str = "up") -> float:
    """The first step at which values reach a level, between two by a straight line; infinity where they never do.

    ``up``: at least the level (an accuracy regained), ``down``: at most (a loss).
    """
    sign = 1.0 if choose("direction", direction, ("up", "down")) == "up" else -1.0
    s, v = _over(steps, sign * (floats("values", values) - number("level", level)))
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
