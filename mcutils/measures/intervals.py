"""Intervals: bootstrap over seeds and examples together, shares of pairs, variance explained; arrays in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEVEL = 0.95


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


def difference(one: Interval, other: Interval) -> Interval:
    """The interval of p - q from those of two shares, by Newcombe's hybrid score, which takes them as independent.

    low = p - q - sqrt((p - p_low)^2 + (q_high - q)^2), and high likewise. Two shares of the same pairs mostly vary
    together; then it is too wide, never too narrow. Source: Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    middle = one.estimate - other.estimate
    down = np.hypot(one.estimate - one.low, other.high - other.estimate)
    up = np.hypot(one.high - one.estimate, other.estimate - other.low)
    return Interval(middle, float(max(middle - down, -1.0)), float(min(middle + up, 1.0)))
