"""Ensembles of models along a path, or of any models: of their predictions, and of their weights.

An ensemble of predictions is a `Trace` of one point whose logits are the logarithm of the members' mean probability, so
every metric of a trace is one of an ensemble. Of weights there is little to choose: the mean over t of a line is its
midpoint, whatever symmetric grid of t, and that of a quadratic Bezier curve (a + m + b) / 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..curves import CURVES, Curve, check_buffers
from ..data.tasks import Task
from ..errors import BadInput, choose, flag, instance, whole
from ..networks import check_task, finished
from ..traces import Trace, check_same_examples
from ..weights import Weights, mix, module_of
from .along import check_grid, floats
from .metrics import accuracy, check_trace, log_probabilities, mean_loss, predictions, probabilities

SIZES = (2, 3, 5, 9, 31)  # numbers of members that the notebook compares
PLACEMENTS = ("uniform", "inner", "validation")
PLACES = {"uniform": (0.0, 1.0), "inner": (0.25, 0.75)}  # the ends of equally spaced members
BINS = 15  # of the calibration error


def uniform(t: Sequence[float] | np.ndarray, size: int, low: float = 0.0, high: float = 1.0) -> tuple[int, ...]:
    """The ``size`` points of a grid t (T,) nearest to equally spaced places from ``low`` to ``high``, both included.

    Only points within [low, high] are taken; of two equally near the one nearer to its own end of the path, so that a
    symmetric grid gives symmetric points. One member stands in the middle. Raises `BadInput` where the grid has not
    that many different points there.
    """
    t, size = check_grid(t), whole("size", size, 1)
    inside = np.flatnonzero((t >= low - 1e-9) & (t <= high + 1e-9))
    found = []
    for place in np.linspace(low, high, size) if size > 1 else [(low + high) / 2]:
        near = np.round(np.abs(t[inside] - place), 12)
        nearest = inside[near == near.min()] if len(inside) else np.zeros(0, dtype=int)
        found += [int(nearest[0 if place <= 0.5 else -1])] if len(nearest) else []
    if len(set(found)) < size:
        raise BadInput(f"a grid of {len(t)} points has not {size} different ones in [{low:g}, {high:g}].")
    return tuple(found)


def possible(t: Sequence[float] | np.ndarray, size: int, placement: str) -> bool:
    """Whether a grid t (T,) has members of this number and placement."""
    try:
        if choose("placement", placement, PLACEMENTS) != "validation":
            uniform(t, size, *PLACES[placement])
        return size <= len(check_grid(t))
    except BadInput:
        return False


def chosen(trace: Trace, size: int, split: str = "valid") -> tuple[int, ...]:
    """Points of a trace picked one by one, each the one that lowers the ensemble's mean loss on ``split`` most.

    No point is taken twice, and of equal ones the first; in the order of t. Source: forward selection of Caruana et al.
    2004, here without replacement.
    """
    size = whole("size", size, 1, len(check_trace(trace).t))
    if size == len(trace.t):
        return tuple(range(size))
    found: list[int] = []
    for _ in range(size):
        left = [k for k in range(len(trace.t)) if k not in found]
        losses = [mean_loss(ensemble(trace.only([split]), [*found, k]), split)[0] for k in left]
        found.append(left[int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))])
    return tuple(sorted(found))


def members(trace: Trace, size: int, placement: str = "uniform") -> tuple[int, ...]:
    """Which ``size`` points of a path's trace an ensemble takes.

    ``uniform``: equally spaced from end to end; ``inner``: the same over t from 1/4 to 3/4; ``validation``: `chosen`.
    """
    choose("placement", placement, PLACEMENTS)
    if placement == "validation":
        return chosen(trace, size)
    return uniform(check_trace(trace).t, size, *PLACES[placement])


def together(models: Sequence[Trace]) -> Trace:
    """Traces of several models, or of points of several paths, one after the other: (sum of T, N, K), t from 0 to 1.

    Raises `BadInput` for none, or for traces on different examples; splits are those that all hold.
    """
    models = list(instance("the models", models, (list, tuple), "a list of traces"))
    if not models:
        raise BadInput("an ensemble needs a model or more, got an empty list of traces.")
    first = check_trace(models[0])
    held = [split for split in first.logits if all(split in check_trace(one).logits for one in models)]
    for one in models[1:]:
        check_same_examples(first.only(held), one.only(held))
    logits = {split: np.concatenate([np.asarray(one.logits[split]) for one in models]) for split in held}
    count = sum(len(one.t) for one in models)
    return replace(first.only(held), t=np.linspace(0, 1, count) if count > 1 else np.zeros(1), logits=logits)


def ensemble(trace: Trace | Sequence[Trace], which: Sequence[int] | None = None) -> Trace:
    """The ensemble of some points of a trace (all where None), or of several models: a trace of one model.

    Its logits (1, N, K), float32, are ``log mean_k p_k``, the logarithm of the mean of the members' probabilities; a
    member that is not finite makes those examples nan. Raises `BadInput` for no member, or points that there are not.
    """
    trace = trace if isinstance(trace, Trace) else together(trace)
    points = len(check_trace(trace).t)
    picked = list(range(points)) if which is None else [whole("a member", k, 0, points - 1) for k in which]
    if not picked:
        raise BadInput("an ensemble needs a member or more, got none.")
    logits = {}
    for split in trace.logits:
        part = replace(trace, t=trace.t[picked], logits={split: np.asarray(trace.logits[split])[picked]})
        mean = _log_mean(log_probabilities(part, split))
        logits[split] = mean[None].astype(np.float32)
    meta = {**trace.meta, "kind": "ensemble", "members": " ".join(map(str, picked))}
    return replace(trace, t=np.zeros(1), logits=logits, meta=meta)


def _log_mean(log_p: np.ndarray) -> np.ndarray:
    """Logarithm of the mean over the first axis of what the logarithms (K, ...) are of."""
    with np.errstate(invalid="ignore"):
        return np.logaddexp.reduce(log_p, axis=0) - np.log(len(log_p))


def better_end(trace: Trace, split: str = "valid") -> int:
    """The point, 0 or T - 1, of the end with the lower mean loss on ``split``; the start where they are equal."""
    start, end = mean_loss(check_trace(trace), split)[[0, -1]]
    return len(trace.t) - 1 if end < start or np.isnan(start) else 0


def calibration_error(trace: Trace, split: str, bins: int = BINS) -> np.ndarray:
    """Expected calibration error (T,): ``sum_b n_b / N |accuracy_b - mean confidence_b|``.

    Confidence is the largest probability, in ``bins`` equal bins of (0, 1], each closed above. nan where a logit is not
    finite. Sources: Naeini et al. 2015; Guo et al. 2017 (15 bins).
    """
    bins = whole("bins", bins, 1)
    p, right = probabilities(trace, split), predictions(trace, split) == np.asarray(trace.labels[split])
    confidence = p.max(axis=-1)
    found = np.full(len(p), np.nan)
    for k in range(len(p)):
        if np.isfinite(confidence[k]).all():
            place = np.clip(np.ceil(confidence[k] * bins).astype(int) - 1, 0, bins - 1)
            gap = np.bincount(place, right[k] - confidence[k], bins)
            found[k] = np.abs(gap).sum() / len(place)
    return found


def disagreement(trace: Trace, split: str) -> float:
    """Mean over pairs of points of the share of examples that they put in different classes; nan for one point."""
    classes = predictions(trace, split)
    i, j = np.triu_indices(len(classes), 1)
    return float((classes[i] != classes[j]).mean()) if len(i) else np.nan


def ambiguity(trace: Trace, split: str) -> dict[str, float]:
    """How much an ensemble of all points gains by their differences: members' mean, gain and the ensemble's own value.

    For both ``members - gain = ensemble`` holds exactly and the gain is never negative:

    - ``brier``: ``sum_c (p_c - [c = y])^2``; the gain is the members' variance ``mean_k |p_k - mean p|^2`` (Krogh &
      Vedelsby 1995);
    - ``loss``: cross-entropy in nats; the gain is Jensen's gap ``log mean_k p_k(y) - mean_k log p_k(y)``.
    """
    log_p, labels = log_probabilities(trace, split), np.asarray(trace.labels[split])
    p, truth = np.exp(log_p), np.eye(log_p.shape[-1])[labels]
    mean = p.mean(axis=0)
    own = np.take_along_axis(log_p, labels[None, :, None], axis=-1)[..., 0]
    whole_loss = _log_mean(own)
    found = {
        "brier/members": ((p - truth) ** 2).sum(axis=-1).mean(),
        "brier/gain": ((p - mean) ** 2).sum(axis=-1).mean(),
        "brier/ensemble": ((mean - truth) ** 2).sum(axis=-1).mean(),
        "loss/members": -own.mean(),
        "loss/gain": (whole_loss - own.mean(axis=0)).mean(),
        "loss/ensemble": -whole_loss.mean(),
    }
    return {name: float(value) for name, value in found.items()}


def scores(trace: Trace) -> dict[str, np.ndarray]:
    """Accuracy, mean loss and calibration error (T,) on every split of a trace, by names such as ``accuracy/test``."""
    kinds = {"accuracy": accuracy, "loss": mean_loss, "calibration": calibration_error}
    return {f"{name}/{split}": of(trace, split) for split in check_trace(trace).logits for name, of in kinds.items()}


def mean_coefficients(
    kind: str, points: int, t: Sequence[float] | np.ndarray | None = None, weights: Sequence[float] | None = None
) -> np.ndarray:
    """Coefficients (points,) of the mean of a curve's points over a grid ``t``, or over all of [0, 1] where None.

    Over [0, 1]: 1/2 and 1/2 on a line, 1/(m + 1) each on a Bezier curve of degree m, and 1/m with 1/(2m) for both ends
    on a chain of m pieces. ``weights`` (T,), which sum to 1, weigh the grid. Raises `BadInput` for an unknown curve.
    """
    curve = CURVES[choose("curve", kind, CURVES)]
    points = whole("points", points, 2)
    if t is None:
        if weights is not None:
            raise BadInput("weights are those of a grid of t: give t too.")
        curve(points, 0.0)
        ends = np.isin(np.arange(points), (0, points - 1))
        return np.full(points, 1 / points) if kind == "bezier" else np.where(ends, 0.5, 1.0) / (points - 1)
    rows = np.array([curve(points, float(one)) for one in floats("t", t)])
    share = np.full(len(rows), 1 / len(rows)) if weights is None else floats("weights", weights)
    if share.shape != (len(rows),) or abs(share.sum() - 1) > 1e-9:
        raise BadInput(
            f"weights of {len(rows)} points must be as many and sum to 1, got {share.shape} {share.sum():g}."
        )
    return share @ rows


def mean_weights(
    curve: Curve, task: Task, t: Sequence[float] | np.ndarray | None = None, *, weighted: bool = False
) -> Weights:
    """The ensemble of weights along a curve: the mean of phi(t) over a grid ``t`` or over [0, 1] (`mean_coefficients`).

    BatchNorm statistics are those of retain data (``weighted`` as in `weights.refresh_batchnorm`), other buffers the
    start's. Raises `BadInput` where other buffers differ between the ends and change the logits.
    """
    instance("curve", curve, Curve, "a Curve"), check_task(task), flag("weighted", weighted)
    coefficients = mean_coefficients(curve.kind, len(curve.points), t).tolist()
    start = curve.points[0]
    check_buffers(curve.points, module_of(start), task.inputs("bn"))
    made = {**mix(coefficients, [one.params for one in curve.points]), **curve.still}
    return finished(start, made, task, weighted)
