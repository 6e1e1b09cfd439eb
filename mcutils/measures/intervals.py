"""Intervals: bootstrap over seeds and examples together, shares of pairs, variance explained; arrays in."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from ..errors import BadInput

LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate with the two ends of its interval."""

    estimate: float
    low: float
    high: float


def percentile_interval(estimate: float, replicates: np.ndarray, level: float = LEVEL, units: int = 1) -> Interval:
    """Percentile interval that always contains the estimate; degenerate when there are no replicates.

    With two ``units`` or more its percentiles are widened for so few, see `bootstrap_mean`.
    """
    draws, alpha = replicates[np.isfinite(replicates)], (1 - level) / 2
    if len(draws) == 0:
        return Interval(float(estimate), float(estimate), float(estimate))
    if units > 1:
        from scipy.special import ndtr, stdtrit  # scipy.stats takes a second to import

        alpha = float(ndtr(np.sqrt(units / (units - 1)) * stdtrit(units - 1, alpha)))
    low, high = np.quantile(draws, [alpha, 1 - alpha])
    return Interval(float(estimate), float(np.fmin(low, estimate)), float(np.fmax(high, estimate)))


def bootstrap_mean(values, replicates=None, *, level: float = LEVEL, **drawn) -> Interval:
    """Mean of n units with a two-level bootstrap interval: over units, and over examples.

    Each draw resamples the units and picks one example replicate that all of them share.

    - ``clusters`` (the original model behind each unit): clusters are drawn first, then the units inside.
      With two or three clusters no interval deserves much trust.
    - ``nodes`` (the two endpoints, when units are pairs): the endpoints are drawn, and a pair counts as often
      as the product of their counts, since pairs that share an endpoint are not independent. Where none is
      shared the pairs themselves are drawn.
    - The percentiles are widened for few units as a t interval is (Hesterberg 2015, "expanded percentile"):
      alpha / 2 becomes Phi(-sqrt(m / (m - 1)) t_{m-1, 1 - alpha / 2}), m being the number of units, or of
      distinct endpoints if that is smaller.

    Args:
        values: (n,) one number per unit.
        replicates: (n, B) the same numbers under B resamples of the examples, or None.
        level: of the interval.
        drawn: ``clusters`` (n,) labels, ``nodes`` (n, 2) labels of endpoints, ``n_boot`` (2000), ``seed`` (0).

    Returns:
        Interval(estimate, low, high). One unit: the interval over examples. Constant values without
        replicates: a degenerate interval. Units that are not finite are dropped; if none is left all three
        are nan.
    """
    mean, draws, units = _draws(values, replicates, **drawn)
    return percentile_interval(mean, draws, level, units)


def fraction_interval(hits, replicates=None, *, clusters=None, nodes=None, level: float = LEVEL, **drawn) -> Interval:
    """Share of units that hit, with a Wilson interval on the effective number of units.

    n_eff = p (1 - p) / var, var being the variance of `bootstrap_mean`'s draws, so that clusters, shared endpoints and
    examples count as they do there; n_eff is at most the number of units, or of distinct endpoints if that is smaller.
    When all units agree the bootstrap sees no variation between them: then n_eff is that number (with clusters but no
    nodes, the number of clusters), and the interval is joined with the one over examples.

    Args: as for `bootstrap_mean`, with hits (n,) and replicates (n, B) true or false.
    """
    hits = np.atleast_1d(np.asarray(hits, dtype=np.float64))
    if not np.isin(hits, (0, 1)).all():
        raise BadInput("hits must be true or false, one per unit.")
    p, draws, n = _draws(hits, replicates, clusters, nodes, **drawn)
    if len(draws) == 0:
        return Interval(np.nan, np.nan, np.nan)
    if not 0 < p < 1:
        groups = len(set(np.asarray(clusters).tolist())) if clusters is not None and nodes is None else 1
        found, n = percentile_interval(p, draws, level), groups if groups > 1 else n
        low, high = wilson(p, n, level)
        return Interval(p, float(np.fmin(low, found.low)), float(np.fmax(high, found.high)))
    if draws.var() > 0:
        n = min(n, max(1.0, p * (1 - p) / draws.var()))
    return Interval(p, *wilson(p, n, level))


def wilson(share: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of a proportion seen in n trials, n not necessarily whole (Wilson 1927)."""
    from scipy.special import ndtri

    z2 = ndtri((1 + level) / 2) ** 2
    centre, half = share + z2 / (2 * n), np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    return max(0.0, float((centre - half) / (1 + z2 / n))), min(1.0, float((centre + half) / (1 + z2 / n)))


class Share(NamedTuple):
    """Share of variance explained by groups, and its permutation p-value."""

    eta2: float
    p: float


def share_explained(values, groups, *, nodes=None, n_perm: int = 2000, seed: int = 0) -> Share:
    """Share of the variance that groups explain, eta^2 = SS_between / SS_total, with a permutation test.

    p = (1 + #{permuted eta^2 >= observed}) / (1 + n_perm). Pairs that share an endpoint are not exchangeable,
    so with ``nodes`` (n, 2) the test, not eta^2, uses a set of pairs without common endpoints in each group.

    Returns:
        Share(eta2, p); (0, 1) for constant values or one group, (nan, nan) without finite values.
    """
    values = np.asarray(values, dtype=np.float64)
    keep = np.isfinite(values)
    nodes = _labels(nodes, values, keep, 2)
    values, groups = values[keep], np.unique(np.asarray(groups)[keep], return_inverse=True)[1]
    if len(values) == 0:
        return Share(np.nan, np.nan)
    eta2 = float(_eta2(values[None], groups)[0])
    if nodes is not None:
        chosen = disjoint_pairs(nodes, groups, seed)
        values, groups = values[chosen], groups[chosen]
    if np.ptp(values) == 0 or np.ptp(groups) == 0:
        return Share(eta2, 1.0)
    observed = float(_eta2(values[None], groups)[0])
    permuted = np.random.default_rng(seed).permuted(np.tile(values, (n_perm, 1)), axis=1)
    return Share(eta2, float((1 + (_eta2(permuted, groups) >= observed - 1e-12).sum()) / (1 + n_perm)))


def disjoint_pairs(nodes, groups=None, seed: int = 0) -> np.ndarray:
    """Rows (m,) of nodes (n, 2), no two of one group sharing an endpoint: a random maximal set, in order."""
    nodes = np.asarray(nodes)
    groups = np.zeros(len(nodes), int) if groups is None else np.asarray(groups)
    used: set[tuple[Hashable, Hashable]] = set()
    chosen: list[int] = []
    for row in np.random.default_rng(seed).permutation(len(nodes)):
        ends = {(groups[row], end) for end in nodes[row].tolist()}
        if not ends & used:
            used |= ends
            chosen.append(row)
    return np.sort(np.array(chosen, dtype=int))


def _labels(labels, values: np.ndarray, keep: np.ndarray, *columns: int) -> np.ndarray | None:
    if labels is None:
        return None
    labels, shape = np.asarray(labels), (len(values), *columns)
    if labels.shape != shape:
        raise BadInput(f"labels must have shape {shape}, one row per value; given {labels.shape}.")
    return labels[keep]


def _draws(
    values, replicates, clusters=None, nodes=None, n_boot: int = 2000, seed: int = 0
) -> tuple[float, np.ndarray, int]:
    """Mean of the finite units, its bootstrap draws (n_boot,), and the number of independent units."""
    values = np.atleast_1d(np.asarray(values, dtype=np.float64))
    keep = np.isfinite(values)
    if replicates is not None:
        replicates = np.asarray(replicates, dtype=np.float64)
        if replicates.ndim != 2 or len(replicates) != len(values):
            raise BadInput(f"replicates must be (n, B) with n = {len(values)}; given {replicates.shape}.")
        keep &= np.isfinite(replicates).all(axis=1)
        replicates = replicates[keep]
    clusters, nodes = _labels(clusters, values, keep), _labels(nodes, values, keep, 2)
    values = values[keep]
    if len(values) == 0:
        return np.nan, np.empty(0), 1
    generator = np.random.default_rng(seed)
    weights, units = _unit_weights(len(values), clusters, nodes, n_boot, generator)
    if replicates is None or replicates.shape[1] == 0:
        return float(values.mean()), weights @ values, units
    # One resample of the examples for all units of a draw: they were evaluated on the same examples.
    chosen = generator.integers(0, replicates.shape[1], n_boot)
    return float(values.mean()), np.einsum("bn,nb->b", weights, replicates[:, chosen]), units


def _unit_weights(n: int, clusters, nodes, n_boot: int, generator) -> tuple[np.ndarray, int]:
    """Bootstrap weights (n_boot, n), rows summing to 1, and the number of independent units."""
    clusters = np.zeros(n, int) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    members = [np.flatnonzero(clusters == c) for c in range(clusters.max() + 1)]
    draws = _counts(len(members), n_boot, generator)
    weights, m = np.zeros((n_boot, n)), 0
    for rows, times in zip(members, draws.T, strict=True):
        if nodes is None:
            inside, size = _counts(len(rows), n_boot, generator), len(rows)
        else:
            inside, size = _pair_counts(nodes[rows], n_boot, generator)
        # A cluster keeps its share of the units however often each unit was drawn inside it.
        weights[:, rows] = inside / inside.sum(axis=1, keepdims=True) * len(rows) * times[:, None]
        m += size
    return weights / weights.sum(axis=1, keepdims=True), m


def _counts(n: int, n_boot: int, generator) -> np.ndarray:
    return generator.multinomial(n, np.full(n, 1 / n), size=n_boot).astype(np.float64)


def _pair_counts(nodes: np.ndarray, n_boot: int, generator) -> tuple[np.ndarray, int]:
    """Counts (n_boot, n) of pairs when their endpoints are resampled, and the number of independent units."""
    labels, ends = np.unique(nodes, return_inverse=True)
    if len(labels) == nodes.size:
        return _counts(len(nodes), n_boot, generator), len(nodes)
    ends = ends.reshape(nodes.shape)
    counts = np.zeros((n_boot, len(nodes)))
    empty = np.ones(n_boot, dtype=bool)
    # A draw in which no pair survives (one endpoint drawn throughout) says nothing about pairs: draw again.
    while empty.any():
        times = _counts(len(labels), int(empty.sum()), generator)
        counts[empty] = times[:, ends[:, 0]] * times[:, ends[:, 1]]
        empty = counts.sum(axis=1) == 0
    return counts, min(len(labels), len(nodes))


def _eta2(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """eta^2 of each row of values (R, n)."""
    member = (groups[:, None] == np.arange(groups.max() + 1)).astype(np.float64)
    centred = values - values.mean(axis=1, keepdims=True)
    between = ((centred @ member) ** 2 / member.sum(axis=0)).sum(axis=1)
    total = (centred**2).sum(axis=1)
    # Rounding of a constant row leaves about 1e-32 of variance.
    flat = total <= 1e-24 * np.maximum((values**2).sum(axis=1), 1e-300)
    return np.where(flat, 0.0, between / np.where(flat, 1.0, total))


def difference(one: Interval, other: Interval) -> Interval:
    """The interval of p - q from those of two shares, by Newcombe's hybrid score, which takes them as independent.

    low = p - q - sqrt((p - p_low)^2 + (q_high - q)^2), and high likewise. Two shares of the same pairs mostly vary
    together; then it is too wide, never too narrow. Source: Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    middle = one.estimate - other.estimate
    down = np.hypot(one.estimate - one.low, other.high - other.estimate)
    up = np.hypot(one.high - one.estimate, other.estimate - other.low)
    return Interval(middle, float(max(middle - down, -1.0)), float(min(middle + up, 1.0)))
