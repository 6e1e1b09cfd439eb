"""Numbers along a curve: chord, excess, barrier, deficit, MCU(eps), smoothness and dips of values v(t); arrays only.

For values v(t) on a grid from t = 0 to t = 1 the chord is c(t) = (1 - t) v(0) + t v(1), and every curve is compared
with its chord: the retain loss should not rise above it, the forget loss should not fall below it. Value arrays are
(T, ...), the curve first, so that a whole set of bootstrap replicates is one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadInput, choose, flag, number, shown

SIDES = ("sub", "super")  # dips of v, or of -v: bumps of v
WEIGHTS = ("none", "volume", "landscaper")


def chord(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Straight line (T, ...) between the first and last values, on a grid t (T,) from 0 to 1."""
    values, t = on_grid(values, t)
    t = t.reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(invalid="ignore"):
        return (1 - t) * values[:1] + t * values[-1:]


def excess(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """values - chord (T, ...); exactly 0 at both ends."""
    with np.errstate(invalid="ignore"):
        return floats("values", values) - chord(values, t)


def barrier(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Barrier max_t [v(t) - c(t)] (...): 0 for a convex curve, and never negative since the ends count."""
    return excess(values, t).max(axis=0)


def forget_deficit(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Deficit max_t [c(t) - v(t)] (...): how far a forget loss falls below its chord."""
    return (0.0 - excess(values, t)).max(axis=0)


def surplus(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Mean of the positive part of the excess, int max(0, v - c) dt (...), by the trapezoid rule."""
    above = np.maximum(excess(values, t), 0)
    return np.tensordot(np.diff(check_grid(t)), (above[1:] + above[:-1]) / 2, axes=1)


def rounding(values: np.ndarray) -> np.ndarray:
    """What rounding may add to a difference between a curve (T, ...) and its chord: 1e-12 of its largest value."""
    return 1e-12 * np.abs(values).max(axis=0, initial=0.0)


def mcu_literal(retain: np.ndarray, forget: np.ndarray, t: np.ndarray, tol: float = 0.0) -> np.ndarray:
    """Whether the paper's two inequalities hold at every t: L_r <= c_r + tol and L_f >= c_f - tol (...).

    `rounding` is always forgiven, so that an exactly straight curve passes; a curve that is not finite never does.
    """
    retain, forget = floats("retain", retain), floats("forget", forget)
    tol = number("tol", tol, 0)
    slack_retain, slack_forget = tol + rounding(retain), tol + rounding(forget)
    holds = (barrier(retain, t) <= slack_retain) & (forget_deficit(forget, t) <= slack_forget)
    return holds & np.isfinite(slack_retain) & np.isfinite(slack_forget)


def mcu(retain_barrier, forget_deficit, eps_retain, eps_forget) -> np.ndarray:
    """MCU(eps): retain barrier <= eps_retain and forget deficit <= eps_forget; a nan never connects."""
    retain = floats("retain_barrier", retain_barrier) <= _tolerance("eps_retain", eps_retain)
    return retain & (floats("forget_deficit", forget_deficit) <= _tolerance("eps_forget", eps_forget))


def excess_variation(values: np.ndarray) -> np.ndarray:
    """Total variation minus net change, sum |v_i+1 - v_i| - |v_T - v_1| (...): 0 for a monotone curve."""
    values = _curve(values)
    return np.maximum(np.abs(np.diff(values, axis=0)).sum(axis=0) - np.abs(values[-1] - values[0]), 0)


def roughness(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Mean squared second difference (...) per squared grid step, so that grids of different T compare.

    mean_i [(s_i+1 - s_i) / h_i]^2 with slopes s_i = (v_i - v_i-1) / (t_i - t_i-1) and
    h_i = (t_i+1 - t_i-1) / 2, which tends to the mean of v''(t)^2. 0 for two points.
    """
    values, t = on_grid(values, t)
    if len(t) < 3:
        return np.zeros(values.shape[1:])
    shape = (-1, *[1] * (values.ndim - 1))
    slope = np.diff(values, axis=0) / np.diff(t).reshape(shape)
    return ((np.diff(slope, axis=0) / ((t[2:] - t[:-2]) / 2).reshape(shape)) ** 2).mean(axis=0)


def sign_changes(values: np.ndarray, noise: float | np.ndarray = 0.0) -> np.ndarray:
    """Number of turning points (...) of a curve, ignoring swings of at most ``noise``.

    A turn is counted when the curve comes back from its latest extreme by more than ``noise``; the first
    direction is set by the first move larger than ``noise``.
    """
    values, noise = _curve(values), floats("noise", noise)
    if (noise < 0).any():  # that of a curve that is not finite is nan
        raise BadInput(f"noise must be at least 0, got {shown(noise)}.")
    low, high = values[0].copy(), values[0].copy()
    direction, turns = np.zeros(values.shape[1:], dtype=int), np.zeros(values.shape[1:], dtype=int)
    for v in values[1:]:
        low, high = np.minimum(low, v), np.maximum(high, v)
        up, down = (v - low > noise) & (direction <= 0), (high - v > noise) & (direction >= 0)
        turns += (up & (direction < 0)) | (down & (direction > 0))
        direction = np.where(up, 1, np.where(down, -1, direction))
        low, high = np.where(up | down, v, low), np.where(up | down, v, high)
    return turns


def two_sided(values: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Largest distance to the retrained model, max_t |v(t) - level| (...), in the units of the values."""
    return np.abs(_curve(values) - floats("level", level)).max(axis=0)


def check_grid(t) -> np.ndarray:
    """Return t as float64 (T,), or raise BadInput unless it increases from 0 to 1."""
    t = floats("t", t)
    if t.ndim != 1 or len(t) < 2 or t[0] != 0 or t[-1] != 1 or not (np.diff(t) > 0).all():
        given = " ".join(np.array2string(t, threshold=6, precision=3).split())
        raise BadInput(f"t must be at least two increasing values from 0 to 1; given {given}.")
    return t


def check_gap(gap):
    """Return the gap, or raise BadInput unless it is positive and finite."""
    values = floats("the gap", gap)
    if not (np.isfinite(values).all() and (values > 0).all()):
        given = " ".join(str(gap).split())
        raise BadInput(f"the gap L_f(retrained) - L_f(original) must be positive, or nothing is forgotten: {given}.")
    return gap


def floats(name: str, values) -> np.ndarray:
    """Real numbers as a float64 array, or raise BadInput; True and False are none."""
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "iuf":
        raise BadInput(f"{name} must be real numbers, got {shown(values)}.")
    return found.astype(np.float64)


def _curve(values) -> np.ndarray:
    values = floats("values", values)
    if values.ndim == 0 or len(values) == 0:
        raise BadInput(f"values must hold a point of a curve or more along the first axis, got shape {values.shape}.")
    return values


def on_grid(values, t) -> tuple[np.ndarray, np.ndarray]:
    values, t = _curve(values), check_grid(t)
    if len(values) != len(t):
        raise BadInput(f"values have {len(values)} points along the curve and t has {len(t)}; they must be equal.")
    return values, t


def _tolerance(name: str, eps) -> np.ndarray:
    """A tolerance, numbers of at least 0, as an array, or raise BadInput."""
    found = floats(name, eps)
    if not (found >= 0).all():
        raise BadInput(f"{name} must be at least 0, got {shown(eps)}.")
    return found


@dataclass(frozen=True)
class Dip:
    """A local minimum of a path's values and the maxima that bound it.

    The components of {t : v(t) <= level} are born at local minima and merge at local maxima as the level rises. Of two
    that merge the one with the higher minimum ends there (the elder rule), and the lowest never ends. ``place`` and
    ``saddle`` are points of the grid; ``depth`` = v(saddle) - v(place) where its component ends (else None, infinity).
    ``first`` is the height from the minimum to where its component first meets another, elder or not; ``volume`` the
    share of points whose way down ends in it.
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

    It is half of `excess_variation` but for an end term: with m the least value,
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
