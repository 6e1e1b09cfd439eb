"""How hard an example is: memorisation from a pool of models, and proxies that one model's training gives.

Memorisation is the probability of being right because the example was learned (Feldman & Zhang 2020). A pool of 32
models gives it with a standard error of up to 0.18, enough for terciles and too little for single examples. Proxies are
those of RUM's code (Zhao et al. 2024): what training shows of an example, and EL2N.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..data.tasks import Task
from ..errors import BadInput, seed_of
from ..networks import Model, check_task, network_for
from ..objectives import Batch
from ..settings import MethodSettings, Plan
from ..trajectories import Trajectory, trajectory
from ..unlearning.endpoints import reference
from ..weights import Weights, check_weights
from .along import floats
from .metrics import log_softmax

TERCILES = ("low", "mid", "high")


def memorisation(right: np.ndarray, held: np.ndarray) -> np.ndarray:
    """P[right | trained on it] - P[right | not] (N,), from ``right`` and ``held`` (M, N) bool of M models.

    nan where no model, or each of them, was trained on the example. Source: Feldman & Zhang 2020, equation 1.
    """
    right, held = _pool(right, held)
    inside, outside = held.sum(axis=0), (~held).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return (right & held).sum(axis=0) / inside - (right & ~held).sum(axis=0) / outside


def _pool(right: Any, held: Any) -> tuple[np.ndarray, np.ndarray]:
    right, held = np.asarray(right), np.asarray(held)
    if right.ndim != 2 or right.shape != held.shape or right.dtype != bool or held.dtype != bool or not right.size:
        raise BadInput(
            f"right and held must be True or False for (models, examples), got {right.dtype} of shape {right.shape} and"
            f" {held.dtype} of shape {held.shape}."
        )
    return right, held


def terciles(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """0, 1 or 2 (N,) for the lowest, middle and highest third by rank; of equal scores the first counts as lower.

    -1 where a score is nan; the others are shared out among three groups of equal size, the first taking what is left.
    """
    s = floats("scores", scores)
    if s.ndim != 1 or not len(s):
        raise BadInput(f"scores must be numbers (N,), one or more, got an array of shape {s.shape}.")
    found = np.full(len(s), -1)
    known = np.flatnonzero(~np.isnan(s))
    for group, part in enumerate(np.array_split(known[np.argsort(s[known], kind="stable")], 3)):
        found[part] = group
    return found


def learning_path(
    task: Task, model: Model = "convnet", *, seed: int, plan: Plan, weighted: bool = False, **options: Any
) -> Trajectory:
    """The models that training passes through, at the start and after each epoch: bit by bit the run of `train`.

    Arguments are those of `training.train`; its ``split`` is ``train``. Its end is what `train` returns.
    """
    start = network_for(check_task(task), model, seed_of(seed), **options)
    each = max(1, len(task.index["train"]) // plan.batch_size)
    steps = sorted({*range(0, plan.steps, each), plan.steps})
    made: dict[str, Any] = {"settings": MethodSettings(plan), "weighted": weighted}
    return trajectory(start, task, "train", seed=seed, steps=steps, **made)


def learning_events(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """What an example showed over E epochs of training, from logits (E, N, K): low is hard and memorised, (N,) each.

    ``confidence``: mean p_y (the proxy of the C-score); ``max``: mean max p; ``certainty``: mean negative entropy in
    nats; ``correctness``: share of epochs in which it is right; ``learned``: share of epochs left when it is right for
    good, 0 if it never is. Sources: Jiang et al. 2021; RUM's ``memorization_proxy``.
    """
    log_p, y = _seen(logits, labels)
    p = np.exp(log_p)
    own = np.take_along_axis(p, y[None, :, None], axis=-1)[..., 0]
    right = log_p.argmax(axis=-1) == y
    kept = np.cumprod(right[::-1], axis=0).sum(axis=0)
    entropy = -np.where(p > 0, p * log_p, 0.0).sum(axis=-1)
    return {
        "confidence": own.mean(axis=0),
        "max": p.max(axis=-1).mean(axis=0),
        "certainty": -entropy.mean(axis=0),
        "correctness": right.mean(axis=0),
        "learned": kept / len(right),
    }


def el2n(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``|p - onehot(y)|_2`` (N,), the mean over E models or early epochs of logits (E, N, K): high is hard.

    Source: Paul et al. 2021.
    """
    log_p, y = _seen(logits, labels)
    return np.linalg.norm(np.exp(log_p) - np.eye(log_p.shape[-1])[y], axis=-1).mean(axis=0)


def _seen(logits: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    values, y = floats("logits", logits), np.asarray(labels)
    if values.ndim != 3 or y.shape != values.shape[1:2] or y.dtype.kind not in "iu" or not values.size:
        raise BadInput(
            f"logits must be (epochs, examples, classes) with a label each, got {values.shape} and {y.dtype} {y.shape}."
        )
    if y.min() < 0 or y.max() >= values.shape[2]:
        raise BadInput(f"labels must lie from 0 to {values.shape[2] - 1}, got {y.min()} to {y.max()}.")
    return log_softmax(values), y


def logits_on(weights: Weights, task: Task, rows: Tensor) -> np.ndarray:
    """Logits (N, K) float64 of a model on rows of a task, which need belong to no split."""
    batch = Batch(None, task.y[rows], rows)  # type: ignore[arg-type]
    return reference(check_weights(weights), task, rows)(batch).double().cpu().numpy()
