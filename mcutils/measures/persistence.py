"""Persistence of values along a path: which dips are how deep, by a union-find over the points of the grid.

The components of {t : v(t) <= level} are born at local minima and merge at local maxima as the level rises. Of two that
merge the one with the higher minimum ends there (the elder rule). A dip of the forget loss is a dip of v; a bump of the
retain loss is a dip of -v, so ``side = "super"`` looks at {t : v(t) >= level}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadInput, choose, flag, number
from .along import floats

SIDES = ("sub", "super")
WEIGHTS = ("none", "volume", "landscaper")


@dataclass(frozen=True)
class Dip:
    """A local minimum of a path's values and the maxima that bound it.

    ``place`` and ``saddle`` are points of the grid, ``depth`` = v(saddle) - v(place) at the point where its component
    ends by the elder rule (None and infinity for the lowest one, which never ends). ``first`` is the height from the
    minimum to where its component first meets another, elder or not; ``volume`` the share of points whose way down ends
    in it.
    """

    place: int
    saddle: int | None
    depth: float
    first: float
    volume: float


def dips(values: Sequence[float] | np.ndarray, side: str = "sub") -> list[Dip]:
    """Every local minimum of values (T,) along a path (of -v for ``side = "super"``), in the order of t.

    Points that follow each other with equal values are one. A path with one minimum has one dip, of infinite depth.

    Raises:
        BadInput: values that are not (T,) finite numbers, an unknown side.

    >>> [(one.place, one.depth) for one in dips([3, 1, 2, 0, 4])]
    [(1, 1.0), (3, inf)]
    """
    v = _finite(values) * (1.0 if choose("side", side, SIDES) == "sub" else -1.0)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(v) != 0]))
    sizes = np.diff([*starts, len(v)])
    runs = v[starts]
    root = list(range(len(runs)))  # of each run, the lowest run of its component

    def lowest(k: int) -> int:
        while root[k] != k:
            k = root[k]
        return k

    ended: dict[int, tuple[int | None, float]] = {}
    first: dict[int, float] = {}
    seen: set[int] = set()
    for k in np.argsort(runs, kind="stable").tolist():
        around = sorted({lowest(n) for n in (k - 1, k + 1) if n in seen}, key=lambda n: runs[n])
        seen.add(k)
        if not around:
            continue
        root[k] = around[0]
        for one in around if len(around) == 2 else ():
            first.setdefault(one, float(runs[k] - runs[one]))
        for younger in around[1:]:
            root[younger], ended[younger] = around[0], (int(starts[k]), float(runs[k] - runs[younger]))
    basins = _basins(runs)
    minima = [k for k in range(len(runs)) if basins[k] == k]
    volume = {k: float(sizes[basins == k].sum() / len(v)) for k in minima}
    return [Dip(int(starts[k]), *ended.get(k, (None, np.inf)), first.get(k, np.inf), volume[k]) for k in minima]


def _basins(runs: np.ndarray) -> np.ndarray:
    """For each of some unequal neighbours the minimum that steepest descent leads to; a maximum goes down the steeper
    side, of equal ones to the left."""
    ends = np.concatenate([[np.inf], runs, [np.inf]])
    left, right = ends[:-2], ends[2:]
    step = np.where(np.minimum(left, right) >= runs, 0, np.where(left <= right, -1, 1))
    found = np.arange(len(runs))
    for k in np.argsort(runs, kind="stable").tolist():
        found[k] = k if step[k] == 0 else found[k + step[k]]
    return found


def depths(values: Sequence[float] | np.ndarray, side: str = "sub", noise: float = 0.0) -> np.ndarray:
    """Depths (D,) of the dips that end, largest first, in the units of the values; only those above ``noise``."""
    noise = number("noise", noise, 0)
    found = sorted((one.depth for one in dips(values, side) if np.isfinite(one.depth)), reverse=True)
    return np.array([one for one in found if one > noise])


def total_persistence(values: Sequence[float] | np.ndarray, side: str = "sub", noise: float = 0.0) -> float:
    """Sum of `depths`; nan for values that are not finite.

    It is half of `along.excess_variation` but for an end term: with m the least value,
    ``excess_variation / 2 = total persistence + min(v_1, v_T) - m``, and for ``super`` with M the largest one
    ``total persistence + M - max(v_1, v_T)``. (Carry the ends on to the largest value: the variation of the longer path
    is twice the sum of all depths, the lowest dip's being M - m.)
    """
    return float(depths(values, side, noise).sum()) if _is_finite(values) else np.nan


def smad(
    values: Sequence[float] | np.ndarray, side: str = "sub", *, normalised: bool = False, weights: str = "none"
) -> float:
    """Saddle-minimum average distance: the mean over minima of the height to where each first meets another.

    ``normalised`` divides by max v - min v. ``weights``: ``volume`` is the mean weighted by the share of points in each
    basin, which sum to 1; ``landscaper`` the sum of these products over the *number* of minima, as that package has it:
    it falls as minima are added, whatever their heights. 0 where there is one minimum, nan where a value is not finite.
    Sources: Landscaper (Vis4SciML), ``LossLandscape.smad``, on the edges of the sublevel merge tree.
    """
    choose("weights of smad", weights, WEIGHTS)
    flag("normalised", normalised)
    if not _is_finite(values):
        return np.nan
    found = [one for one in dips(values, side) if np.isfinite(one.first)]
    if not found:
        return 0.0
    heights, volumes = (np.array([getattr(one, name) for one in found]) for name in ("first", "volume"))
    if normalised:
        heights = heights / np.ptp(_finite(values))
    if weights == "none":
        return float(heights.mean())
    return float(heights @ volumes / (len(found) if weights == "landscaper" else 1))


def _is_finite(values: Sequence[float] | np.ndarray) -> bool:
    return bool(np.isfinite(floats("values", values)).all())


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    found = floats("values", values)
    if found.ndim != 1 or len(found) == 0 or not np.isfinite(found).all():
        raise BadInput(f"values must be finite numbers (T,), one or more, got an array of shape {found.shape}.")
    return found
