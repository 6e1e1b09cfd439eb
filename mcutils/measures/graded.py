"""Forget sets of graded difficulty: by scores of examples, and how entangled a set is with what is retained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.tasks import Task
from ..errors import BadInput, whole
from ..weights import Weights
from .along import floats
from .difficulty import TERCILES, terciles
from .similarity import features

Vectors = Tensor | np.ndarray


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
    seen = []
    for split in ("retain_eval", "forget"):
        found = features(theta, task, task.rows(split)[:rows])
        seen.append(found[list(found)[-1]])
    return entanglement(*(torch.as_tensor(one).double().numpy() for one in seen))
