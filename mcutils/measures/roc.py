"""How well scores tell members from others: area under the ROC curve, what it gives at few false alarms, intervals.

A score is larger the more an example looks like a member. Scores (..., m) of members and (..., n) of others may have
equal leading axes, for instance t along a curve; a row that holds a nan gives nan.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import BadInput, seed_of, share, whole
from .intervals import LEVEL, Interval, percentile_interval, wilson

FALSE_ALARMS = 0.01  # the false positive rate at which the true one is told


def sides(members, others) -> tuple[np.ndarray, np.ndarray]:
    """Scores of both sides as float64 (..., m) and (..., n), or `BadInput`."""
    found = [np.atleast_1d(np.asarray(one)) for one in (members, others)]
    if any(one.dtype.kind not in "fiub" for one in found):
        raise BadInput("scores of members and of others must be arrays of real numbers.")
    shapes = [one.shape for one in found]
    if 0 in shapes[0] + shapes[1] or shapes[0][:-1] != shapes[1][:-1]:
        raise BadInput(f"scores must be (..., m) and (..., n) with m, n >= 1 and equal leading axes, got {shapes}.")
    return found[0].astype(np.float64), found[1].astype(np.float64)


def auc(members, others) -> np.ndarray:
    """Area under the ROC curve: how often a member scores above another example, ties counting half.

    AUC = P(s > s') + P(s = s') / 2 = (sum of the members' ranks - m (m + 1) / 2) / (m n), with mid-ranks.

    Args:
        members, others: (..., m) and (..., n).

    Returns:
        (...) float64; below 1/2 where members look less like members than others do.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.

    >>> float(auc([0.9, 0.5], [0.5, 0.1]))
    0.875
    """
    members, others = sides(members, others)
    return np.asarray(_placements(np.sort(members), others).mean(axis=-1))  # in order they are placed twice as fast


def _placements(members: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each member (..., m), the share of others below it, ties counting half."""
    rows = zip(members.reshape(-1, members.shape[-1]), others.reshape(-1, others.shape[-1]), strict=True)
    found = np.empty((members[..., 0].size, members.shape[-1]))
    for k, (own, other) in enumerate(rows):
        ordered = np.sort(other)
        below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
        found[k] = np.nan if np.isnan(own).any() or np.isnan(other).any() else below / (2 * len(other))
    return found.reshape(members.shape)


def auc_interval(members, others, level: float = LEVEL) -> Interval:
    """AUC with DeLong's interval over examples, cut to [0, 1].

    With V_i the share of others below member i and W_j the share of members above other j (ties half),
    var = s^2(V) / m + s^2(W) / n. At an area of 0 or 1 that is 0: there, Wilson's interval for min(m, n) is taken.

    Args:
        members, others: (m,) and (n,), at least two each.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988).
    """
    from scipy.special import ndtri

    members, others = sides(members, others)
    if members.ndim > 1 or min(len(members), len(others)) < 2:
        raise BadInput(f"DeLong's interval needs two scores a side, got {members.shape} and {others.shape}.")
    above, below = _placements(members, others), 1 - _placements(others, members)
    found = float(above.mean())
    if found in (0.0, 1.0):
        return Interval(found, *wilson(found, min(len(members), len(others)), level))
    half = ndtri((1 + level) / 2) * np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    return Interval(found, *np.clip([found - half, found + half], 0.0, 1.0).tolist())


def tpr_at(members, others, fpr: float = FALSE_ALARMS) -> np.ndarray:
    """Largest share of members found by a threshold that calls at most a share ``fpr`` of others members.

    TPR(fpr) = max_c P(s >= c) over thresholds c with P(s' >= c) <= fpr; nothing is interpolated, so that with fewer
    than 1 / fpr others it is the share of members above all of them.

    Args:
        members, others: (..., m) and (..., n). fpr: allowed false positive rate.

    Source: Carlini et al., LiRA, S&P 2022 (arXiv 2112.03570).

    >>> float(tpr_at([3, 2, 1, 0], [2.5, 0.5, -1, -2], 0.25))
    0.75
    """
    members, others = sides(members, others)
    allowed = int(share("fpr", fpr, zero=True) * others.shape[-1] + 1e-9)
    bar = -np.sort(-others, axis=-1)[..., allowed, None]
    bad = np.isnan(members).any(axis=-1) | np.isnan(others).any(axis=-1)
    return np.where(bad, np.nan, (members > bar).mean(axis=-1))


def balanced_accuracy(members, others) -> np.ndarray:
    """Balanced accuracy of the best threshold: 1/2 + max_c [TPR(c) - FPR(c)] / 2, chosen on the same examples.

    That choice makes it exceed 1/2 where nothing can be told: `membership.attack_accuracy` chooses on other examples.

    Args:
        members, others: (..., m) and (..., n).

    Source: Yeom et al. 2018 (membership advantage); Youden 1950.
    """
    members, others = sides(members, others)
    values = np.concatenate([members, others], axis=-1)
    step = np.concatenate(
        [np.full(members.shape, 1 / members.shape[-1]), np.full(others.shape, -1 / others.shape[-1])], -1
    )
    order = np.argsort(-values, axis=-1)
    values, gain = np.take_along_axis(values, order, -1), np.take_along_axis(step, order, -1).cumsum(axis=-1)
    last = np.ones(values.shape, dtype=bool)  # of equal values: a threshold takes all of them or none
    last[..., :-1] = values[..., :-1] != values[..., 1:]
    best = np.where(last, gain, 0.0).max(axis=-1, initial=0.0)
    return np.where(np.isnan(values).any(axis=-1), np.nan, 0.5 + best / 2)


def bootstrap_interval(
    statistic: Callable, members, others, *, draws: int = 1000, level: float = LEVEL, seed: int = 0
) -> Interval:
    """A statistic of both sides with a percentile bootstrap interval over examples, each side drawn by itself.

    For `tpr_at` and `balanced_accuracy`, which have no simple variance. Examples of one model only: another model, or
    another forget set, varies more.

    Args:
        statistic: ``(members, others) -> number``. members, others: (m,) and (n,). draws: resamples.

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    members, others = sides(members, others)
    if members.ndim > 1:
        raise BadInput(f"a bootstrap is of one model's scores (m,), got {members.shape}.")
    generator = np.random.default_rng(seed_of(seed))
    found = [
        float(statistic(generator.choice(members, len(members)), generator.choice(others, len(others))))
        for _ in range(whole("draws", draws, 1, 100_000))
    ]
    return percentile_interval(float(statistic(members, others)), np.array(found), level)
