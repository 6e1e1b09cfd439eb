"""How well scores tell members from others: area under the ROC curve, and what it gives at few false alarms.

A score is larger the more an example looks like a member. Scores (..., m) of members and (..., n) of others may have
equal leading axes, for instance t along a curve; a row that holds a nan gives nan.
"""

from __future__ import annotations

import numpy as np

from ..errors import BadInput, share

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
