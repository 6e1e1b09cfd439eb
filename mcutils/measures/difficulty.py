"""How hard examples and forget sets are: memorisation and its proxies, graded sets, entanglement, coherence.

Memorisation is the probability of being right because the example was learned (Feldman & Zhang 2020). A pool of 32
models gives it with a standard error of up to 0.18, enough for terciles and too little for single examples. Proxies are
those of RUM's code (Zhao et al. 2024): what training shows of an example, and EL2N.

Coherence is how far the gradients of single examples point the same way, within D_r and D_f and between. Chang & Khanna
2026 (arXiv 2602.02986) predict that what is memorised or noisy, and so incoherent, is *easier* to unlearn: the opposite
sign to RUM's "more memorised is harder". The mean cosine is this companion's reading of what they call alignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.tasks import Task, take
from ..errors import BadInput, seed_of, whole
from ..networks import Model, check_task, network_for
from ..objectives import Batch, cross_entropy
from ..settings import MethodSettings, Plan
from ..trajectories import Trajectory, trajectory
from ..unlearning.endpoints import reference
from ..weights import Weights, check_weights, net_of, trainable
from .along import floats
from .metrics import log_softmax
from .similarity import penultimate

TERCILES = ("low", "mid", "high")
EXAMPLES = 256  # of each side, for coherence
Vectors = Tensor | np.ndarray


def memorisation(right: np.ndarray, held: np.ndarray) -> np.ndarray:
    """P[right | trained on it] - P[right | not] (N,), from ``right`` and ``held`` (M, N) bool of M models.

    nan where no model, or each of them, was trained on the example. Source: Feldman & Zhang 2020, equation 1.
    """
    right, held = np.asarray(right), np.asarray(held)
    if right.ndim != 2 or right.shape != held.shape or right.dtype != bool or held.dtype != bool or not right.size:
        given = f"{right.dtype} of shape {right.shape} and {held.dtype} of shape {held.shape}"
        raise BadInput(f"right and held must be True or False for (models, examples), got {given}.")
    inside, outside = held.sum(axis=0), (~held).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return (right & held).sum(axis=0) / inside - (right & ~held).sum(axis=0) / outside


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
    return trajectory(start, task, "train", seed=seed, steps=steps, settings=MethodSettings(plan), weighted=weighted)


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


def graded_rows(
    rows: Sequence[int] | Vectors, scores: Sequence[float] | np.ndarray, size: int
) -> dict[str, np.ndarray]:
    """Forget sets of one size, ``low``, ``mid`` and ``high``: the ``size`` most typical rows of each tercile.

    The lowest scores, those nearest to the median, and the highest; of equal scores the first rows. A score that is nan
    belongs to none. Raises `BadInput` where a tercile has fewer. After RUM (Zhao et al. 2024): three sets of one size,
    chosen by memorisation.
    """
    where, s, size = np.asarray(rows), floats("scores", scores), whole("size", size, 1)
    if where.ndim != 1 or where.shape != s.shape:
        raise BadInput(f"a score is needed for each of the rows, got {s.shape} and {where.shape}.")
    group, found = terciles(s), {}
    for k, name in enumerate(TERCILES):
        own = np.flatnonzero(group == k)
        if len(own) < size:
            raise BadInput(f"the {name} tercile has {len(own)} examples, got a size of {size}.")
        order = (s[own], np.abs(s[own] - np.nanmedian(s)), -s[own])[k]
        found[name] = where[own[np.argsort(order, kind="stable")[:size]]]
    return found


def entanglement(retain: Vectors, forget: Vectors) -> float:
    """log ES, how entangled two sets of features (n, d) and (m, d) are: high where D_f lies within D_r, and hard.

    ``ES = [mean |h_r - mu_r|^2 + mean |h_f - mu_f|^2] / [(|mu_r - mu|^2 + |mu_f - mu|^2) / 2]``, spread within over
    distance between, with mu = (mu_r + mu_f) / 2. Random sets have nearly equal means, so that ES explodes and only its
    logarithm can be averaged; infinity where the means are the same, nan where nothing varies either. Source: RUM (Zhao
    et al. 2024), whose code takes means of batch means; these are of all examples.
    """
    r, f = (floats("features", np.asarray(v)) for v in (retain, forget))
    if r.ndim != 2 or f.ndim != 2 or r.shape[1] != f.shape[1] or not (len(r) and len(f)):
        raise BadInput(f"features must be (n, d) and (m, d) of as many dimensions, got {r.shape} and {f.shape}.")
    if not (np.isfinite(r).all() and np.isfinite(f).all()):
        raise BadInput("features must be finite: some are nan or infinite.")
    within = sum(((v - v.mean(axis=0)) ** 2).sum(axis=1).mean() for v in (r, f))
    between = ((r.mean(axis=0) - f.mean(axis=0)) ** 2).sum() / 4  # both means lie as far from their middle
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log(np.float64(within)) - np.log(np.float64(between)))


def entanglement_of(theta: Weights, task: Task, rows: int = 1000) -> float:
    """`entanglement` of the penultimate features of a model on ``rows`` retain (`retain_eval`) and forget examples."""
    rows = whole("rows", rows, 1)
    retain, forget = (penultimate(theta, task, task.rows(split)[:rows]) for split in ("retain_eval", "forget"))
    return entanglement(retain, forget)


@dataclass(frozen=True)
class Coherence:
    """Mean cosines between gradients of two examples: both of D_r, both of D_f, or one of each (``between``)."""

    retain: float
    forget: float
    between: float


def gradients(theta: Weights, task: Task, rows: Tensor) -> Tensor:
    """Gradients (n, P) of the cross-entropy of single examples, in evaluation mode, over what is not frozen."""
    net = net_of(check_weights(theta))
    leaves = [value.requires_grad_(True) for value in trainable(theta, net.params).values()]
    if not leaves or len(rows) == 0:
        raise BadInput(f"gradients are of an example or more and of weights that may move, got {len(rows)} examples.")
    found = []
    for row in torch.as_tensor(rows).split(1):
        loss = cross_entropy(net(take(task.x, row)), task.y[row]).sum()
        parts = torch.autograd.grad(loss, leaves, materialize_grads=True)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


def mean_cosine(a: Tensor, b: Tensor | None = None) -> float:
    """Mean cosine over all pairs of different rows of ``a`` (n, P), or of rows of ``a`` and of ``b`` (m, P).

    With unit vectors u: (|sum u|^2 - n) / (n (n - 1)), or mean u . mean v. A row of zeros has no direction and is left
    out; nan with fewer than two rows (or one of each).
    """
    units = []
    for given in (a,) if b is None else (a, b):
        v = torch.as_tensor(given)
        if v.ndim != 2:
            raise BadInput(f"gradients must be (n, P), got shape {tuple(v.shape)}.")
        norms = v.double().norm(dim=1, keepdim=True)
        units.append((v.double() / norms)[norms[:, 0] > 0])
    if b is None:
        (u,), n = units, len(units[0])
        return float((u.sum(0).square().sum() - n) / (n * (n - 1))) if n > 1 else float("nan")
    u, w = units
    return float(u.mean(0) @ w.mean(0)) if len(u) and len(w) else float("nan")


def coherence(theta: Weights, task: Task, examples: int = EXAMPLES) -> Coherence:
    """Coherence of a model's gradients on the first ``examples`` of ``retain_eval`` and of D_f, both in random order.

    256 of each take n P floats, 125 MB at 61,000 parameters, and about as many backward passes.
    """
    examples = whole("examples", examples, 2)
    sides = [gradients(theta, check_task(task), task.rows(split)[:examples]) for split in ("retain_eval", "forget")]
    return Coherence(mean_cosine(sides[0]), mean_cosine(sides[1]), mean_cosine(*sides))
