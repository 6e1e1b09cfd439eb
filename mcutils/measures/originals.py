"""Intervals and statistics whose unit is the original model: few independent draws, many contexts on each; arrays in.

A number per original, from all that hangs on it, is independent of the next; what hangs on one original is not.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from ..errors import BadInput

LEVEL = 0.95
LEAST = 4  # originals below which nothing is decided
EXACT = 12  # originals up to which all changes of sign are taken
DRAWS = 4096  # changes of sign beyond that


class Interval(NamedTuple):
    """An estimate with the two ends of its interval."""

    estimate: float
    low: float
    high: float


def percentile_interval(estimate: float, replicates: np.ndarray, level: float = LEVEL) -> Interval:
    """Percentile interval that always contains the estimate; degenerate when there are no replicates."""
    draws, alpha = replicates[np.isfinite(replicates)], (1 - level) / 2
    if len(draws) == 0:
        return Interval(float(estimate), float(estimate), float(estimate))
    low, high = np.quantile(draws, [alpha, 1 - alpha])
    return Interval(float(estimate), float(np.fmin(low, estimate)), float(np.fmax(high, estimate)))


def wilson(share: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of a proportion seen in n trials, n not necessarily whole (Wilson 1927)."""
    from scipy.special import ndtri

    z2 = ndtri((1 + level) / 2) ** 2
    centre, half = share + z2 / (2 * n), np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    return max(0.0, float((centre - half) / (1 + z2 / n))), min(1.0, float((centre + half) / (1 + z2 / n)))


class Bounds(NamedTuple):
    """Means (m,) of contexts over originals, and bounds (m,) that hold for all of them together."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def student(values, level: float = LEVEL, least: float = 0.0) -> Interval:
    """Mean over originals with Student's interval, m +- t_{n-1} s / sqrt(n).

    Of values (n,), one per original; what is not finite is left out. ``least`` is the smallest standard error to
    believe in. Fewer than two originals know no bounds: -inf and inf; none at all: three nan. Source: Student,
    Biometrika 6 (1908).

    >>> [round(v, 3) for v in student([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    from scipy.special import stdtrit

    kept = _finite(values)
    if len(kept) < 2:
        return Interval(*(kept[0], -np.inf, np.inf)) if len(kept) else Interval(np.nan, np.nan, np.nan)
    half = stdtrit(len(kept) - 1, (1 + level) / 2) * max(kept.std(ddof=1) / np.sqrt(len(kept)), least)
    return Interval(float(kept.mean()), float(kept.mean() - half), float(kept.mean() + half))


def share(values, level: float = LEVEL) -> Interval:
    """Mean over originals of a share, with `student`'s interval joined with Wilson's for as many trials as originals.

    Of values (n,), a share in [0, 1] per original; nan is left out. So agreement of all originals never gives an
    interval without width.

    >>> [round(v, 3) for v in share([1.0] * 8)]
    [1.0, 0.676, 1.0]
    """
    kept = _finite(values)
    if ((kept < 0) | (kept > 1)).any():
        raise BadInput(f"a share lies between 0 and 1, got {kept[(kept < 0) | (kept > 1)][0]:g}.")
    mean, low, high = student(kept, level)
    if not len(kept):
        return Interval(mean, low, high)
    least, most = wilson(mean, len(kept), level)
    return Interval(mean, max(0.0, min(low, least)), min(1.0, max(high, most)))


def simultaneous(values, level: float = LEVEL, least: float = 0.0) -> Bounds:
    """Bounds that hold for the means of all contexts at once: mean_j +- c se_j.

    c is the (1 + level) / 2 quantile of max_j |t_j| when the residuals of whole originals change sign at random (all
    2^n changes where n <= `EXACT`), so that contexts of one original stay together: Westfall and Young's max-t with
    the wild bootstrap. One-sided bounds each hold with probability (1 + level) / 2.

    Args:
        values: (n, m) a number per original and context; nan where an original lacks a context.
        level: of the two-sided bounds.
        least: the smallest standard error to believe in.

    Returns:
        Bounds; a context with fewer than `LEAST` originals has bounds -inf and inf.

    Source: Westfall and Young, Resampling-based multiple testing (1993); Mammen, Annals of Statistics 21 (1993).
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2:
        raise BadInput(f"values must be of shape (originals, contexts), got {values.shape}.")
    there = np.isfinite(values)
    count = there.sum(axis=0)
    known = count >= LEAST
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there, values, 0).sum(axis=0) / count
    residuals = np.where(there, values - mean, 0)
    error = _error((residuals**2).sum(axis=0), 0.0, count)
    low, high = np.full(len(mean), -np.inf), np.full(len(mean), np.inf)
    varies = known & (error > 0)
    critical = 0.0
    if varies.any():
        part, n = residuals[:, varies], count[varies]
        middle = flips(len(values)) @ part / n
        spread = _error((part**2).sum(axis=0), middle, n)
        with np.errstate(invalid="ignore", divide="ignore"):
            largest = np.nan_to_num(middle / spread, posinf=np.inf, neginf=-np.inf).max(axis=1)
        # The changes of sign are symmetric: the largest of t and of -t have one law.
        rank = min(int(np.ceil((1 + level) / 2 * (len(largest) + 1))), len(largest))
        critical = float(np.sort(largest)[rank - 1])
    half = critical * np.maximum(error, least)
    low[known], high[known] = (mean - half)[known], (mean + half)[known]
    return Bounds(mean, low, high)


def _error(squares: np.ndarray, mean: np.ndarray | float, count: np.ndarray) -> np.ndarray:
    """Standard errors of means, from the sums of the squared values."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.maximum(squares / count - mean**2, 0) / (count - 1))


@lru_cache(maxsize=4)
def flips(n: int, seed: int = 0) -> np.ndarray:
    """Changes of sign (R, n) of n originals: all 2^n where n <= `EXACT`, else `DRAWS` of them with their opposites."""
    if n <= EXACT:
        found = np.array(list(product((1.0, -1.0), repeat=n)))
    else:
        half = np.random.default_rng(seed).choice((1.0, -1.0), (DRAWS // 2, n))
        found = np.concatenate([half, -half])
    found.flags.writeable = False
    return found


def smallest_effect(values, level: float = LEVEL, power: float = 0.8) -> float:
    """The smallest distance of a mean from its threshold that as many originals with this spread decide.

    The d at which Student's interval, centred where the mean is, lies beyond the threshold with probability ``power``:
    P(T' > t_{n-1}) = power, T' noncentral with d sqrt(n) / s. nan for fewer than two originals, 0 without spread.

    >>> round(smallest_effect([0.0, 1.0, 2.0, 3.0]), 2)
    2.75
    """
    from scipy.optimize import brentq
    from scipy.special import nctdtr, stdtrit

    kept = _finite(values)
    if len(kept) < 2:
        return float("nan")
    n, spread = len(kept), kept.std(ddof=1)
    critical = float(stdtrit(n - 1, (1 + level) / 2))

    def beyond(d: float) -> float:
        return float(1 - nctdtr(n - 1, d, critical) - power)

    most = critical
    while beyond(most) < 0:
        most *= 2
    return float(brentq(beyond, 0.0, most) * spread / np.sqrt(n)) if np.isfinite(beyond(most)) else float("nan")


def neumann_ratio(values, floor: float = 0.0) -> float:
    """Von Neumann's ratio of a series: mean squared successive difference over its variance.

    2 T / (T - 1) on average for white noise, near 0 for a smooth curve on a fine grid (T,); 0 for a series without
    spread or one whose range is at most ``floor``. Source: von Neumann, Annals of Mathematical Statistics 12 (1941).

    >>> neumann_ratio([0.0, 1.0, 0.0, 1.0]), neumann_ratio([1.0, 1.0, 1.0])
    (4.0, 0.0)
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 3 or not np.isfinite(values).all() or np.ptp(values) <= floor or values.var() == 0:
        return 0.0
    return float((np.diff(values) ** 2).mean() / values.var())


def redrawn(values, statistic, draws: int = 400, seed: int = 0) -> list:
    """A statistic of bootstrap draws of the originals: of rows of (n, ...) values drawn with replacement."""
    values, rng = np.asarray(values), np.random.default_rng(seed)
    return [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(draws)]


def _finite(values) -> np.ndarray:
    kept = np.atleast_1d(np.asarray(values, dtype=np.float64))
    return kept[np.isfinite(kept)]
