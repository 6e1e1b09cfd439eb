"""How a number per original model and context becomes a word; see docs/protocol.md.

A declared test makes *cells*: a number for each original (row) and context (column: a method, a pair of methods, ...).
All else is the same for every claim: intervals over originals, the null, what decides and what does not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from ..errors import BadInput
from ..measures.along import excess
from ..measures.originals import LEAST, LEVEL, Bounds, Interval, redrawn, share, simultaneous, smallest_effect, student
from ..measures.outcomes import MATCHED, area

Table = Any  # a pandas.DataFrame
ERROR = 0.005  # the smallest standard error believed in, in G: what rounding and the grid of t do
MISSING = 0.5  # share of the cells (original, context) that may be absent
DRAWS = 200  # bootstrap draws of originals behind `Result.flips`
NULL = 500  # draws of a null
SPLITS = 3  # pairs of halves of the originals on which every row is judged again
RANKED = 0.02  # the smallest standard error of a rank correlation believed in
LENGTHS = np.geomspace(1e-3, 1e3, 241)  # of correlation in t, that are tried


@dataclass(frozen=True, eq=False)
class Cells:
    """Numbers (n, m) of n originals and m contexts; nan where an original lacks a context.

    ``least``: the smallest standard error of a mean to believe in, in their units.
    """

    values: np.ndarray
    originals: tuple[int, ...]
    contexts: tuple[Hashable, ...]
    least: float = ERROR

    def blocks(self) -> list[Hashable]:
        """The block of each context: the first part of its name, such as the method of (method, kind)."""
        return [name[0] if isinstance(name, tuple) else name for name in self.contexts]

    def parts(self) -> list[Hashable]:
        """What a verdict must stand without: each block, and each other part of a context's name, such as the kind."""
        tails = [name[1:] if isinstance(name, tuple) else () for name in self.contexts]
        found = [list(dict.fromkeys(part)) for part in (self.blocks(), *zip(*tails, strict=False))]
        return [name for part in found if len(part) > 1 for name in part]

    def without(self, part: Hashable) -> Cells:
        """The same without the contexts that have a part in their names."""
        names = [name if isinstance(name, tuple) else (name,) for name in self.contexts]
        kept = [k for k, name in enumerate(names) if part not in name]
        return replace(self, values=self.values[:, kept], contexts=tuple(self.contexts[k] for k in kept))


@dataclass(frozen=True)
class Result:
    """What a test found: the effect with its interval over originals, the word, and what stands beside it.

    ``null``: the statistic under the null that the protocol names, None where it has none. ``least``: the smallest
    effect that so many originals find with a power of 0.8. ``notes``: why it is undecided, contexts that carry it,
    paths left out. ``unit``: what is counted, where it is not originals. ``again`` draws originals, with replacement,
    and says of each draw whether its word is another.
    """

    effect: Interval
    verdict: str
    n_originals: int
    n_cells: int
    null: Interval | None = None
    least: float = float("nan")
    p: float | None = None
    notes: tuple[str, ...] = ()
    unit: str = "originals"
    carried: tuple[str, ...] = ()
    again: Callable[[], list[bool]] = field(default=list, repr=False, compare=False)

    @cached_property
    def flips(self) -> float:
        """Share of bootstrap draws of the originals with another word; nan where none is drawn."""
        return float(np.mean(found)) if (found := self.again()) else float("nan")


@dataclass(frozen=True)
class Rule:
    """When an effect supports: ``above`` or ``below`` the threshold, or ``outside`` [-threshold, threshold]."""

    direction: str
    threshold: float

    def __post_init__(self) -> None:
        if self.direction not in ("above", "below", "outside"):
            raise BadInput(f"a rule's direction must be above, below or outside, got {self.direction!r}.")

    def word(self, found: Interval) -> str:
        """``supported``, ``contradicted`` or ``undecided``, by the interval alone."""
        edge, (effect, low, high) = self.threshold, found
        if not np.isfinite((effect, low, high)).all():
            return "undecided"
        yes, no = {
            "above": (low > edge, high < edge),
            "below": (high < edge, low > edge),
            "outside": (low > edge or high < -edge, -edge < low and high < edge),
        }[self.direction]
        return "supported" if yes else "contradicted" if no else "undecided"

    def beyond(self, found: Interval, null: Interval) -> bool:
        """Whether an effect that supports lies, with its whole interval, beyond what the null reaches."""
        above, below = found.low > null.high, found.high < null.low
        return {"above": above, "below": below, "outside": above if found.estimate > 0 else below}[self.direction]


def cells(table: Table, value: Any, context: str | Sequence[str], least: float = ERROR) -> Cells:
    """Cells of a column, or of values in the table's order: the mean over the rows of an original and context.

    ``context``: a column, or several, whose values together name a context.
    """
    names = [context] if isinstance(context, str) else list(context)
    numbers = table[value] if isinstance(value, str) else value
    found: dict[tuple[Any, Hashable], list[float]] = {}
    places = zip(table.original, *(table[name] for name in names), strict=True)
    for (original, *place), number in zip(places, numbers, strict=True):
        found.setdefault((original, place[0] if isinstance(context, str) else tuple(place)), []).append(float(number))
    return cells_of({place: float(np.mean(row)) for place, row in found.items()}, least)


def cells_of(numbers: Mapping[Any, float], least: float = ERROR) -> Cells:
    """Cells of a number for each (original, context)."""
    originals = tuple(sorted({original for original, _ in numbers}))
    contexts = tuple(dict.fromkeys(name for _, name in numbers))
    values = np.full((len(originals), len(contexts)), np.nan)
    for (original, name), number in numbers.items():
        values[originals.index(original), contexts.index(name)] = number
    return Cells(values, originals, contexts, least)


def row_means(values: np.ndarray, middle: Callable[..., Any] = np.mean) -> np.ndarray:
    """The middle (n,) of each original's finite cells; nan for an original without any."""
    return np.array([middle(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in values])


def mean_test(
    cells: Cells,
    rule: Rule,
    *,
    null: np.ndarray | None = None,
    shares: bool = False,
    middle: Callable[..., Any] = np.mean,
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Result:
    """Judge the mean over originals of the middle over contexts.

    Undecided whatever the interval says with fewer than `LEAST` originals, where a control failed or copies were found,
    more than `MISSING` of the cells are absent, where leaving one part of the contexts out (a method, a kind of curve)
    changes the word, and where the null reaches the interval.

    Args:
        cells: the numbers.
        rule: of the claim.
        null: (R,) draws of the statistic under the null, if it has one.
        shares: whether each number is a share, so that intervals stay in [0, 1].
        middle: of an original's contexts.
        refused: why nothing may be decided: failed controls, copies.
        level: of the interval.
    """

    def interval(each: np.ndarray) -> Interval:
        return share(each, level) if shares else student(each, level, cells.least)

    rows = row_means(cells.values, middle)
    found = interval(rows)
    count = int(np.isfinite(rows).sum())
    word, notes = rule.word(found), list(refused)
    if count < LEAST:
        notes.append(f"{count} originals are left, and fewer than {LEAST} decide nothing")
    missing = 1 - np.isfinite(cells.values).mean() if cells.values.size else 0.0
    if missing > MISSING:
        notes.append(f"{100 * missing:.0f} % of the cells are missing")
    if word != "undecided":
        carried = [
            name for name in cells.parts() if rule.word(interval(row_means(cells.without(name).values, middle))) != word
        ]
        notes += [f"without {name} the verdict would be another" for name in carried]
    reach = None if null is None else reach_of(null, level)
    if reach is not None and word == "supported" and not rule.beyond(found, reach):
        notes.append(f"its null reaches {reach.low:.3g} to {reach.high:.3g}")

    def again() -> list[bool]:
        return redrawn(rows, lambda each: rule.word(interval(each)) != rule.word(found), DRAWS * (count >= LEAST))

    return Result(
        found, "undecided" if notes else word, count, int(np.isfinite(cells.values).sum()), reach,
        smallest_effect(rows, level), None, tuple(notes), carried=_carried(cells, rule, middle), again=again,
    )  # fmt: skip


def _carried(cells: Cells, rule: Rule, middle: Callable[..., Any]) -> tuple[str, ...]:
    """Parts of the contexts without which the mean itself, with no interval about it, has another word."""

    def word(one: Cells) -> str:
        rows = row_means(one.values, middle)
        mean = float(rows[np.isfinite(rows)].mean()) if np.isfinite(rows).any() else np.nan
        return rule.word(Interval(mean, mean, mean))

    return tuple(str(name) for name in cells.parts() if word(cells.without(name)) != word(cells))


def rank_test(
    left: Mapping[int, Mapping[Hashable, float]],
    right: Mapping[int, Mapping[Hashable, float]],
    rule: Rule,
    refused: Sequence[str] = (),
    level: float = LEVEL,
    draws: int = 500,
) -> Result:
    """Judge the mean over originals of Spearman's correlation, within an original, of two numbers of the same contexts.

    The null is one of the two permuted within each original. An original with fewer than four contexts that have both
    numbers, or with a constant number, is left out.

    Args:
        left, right: original -> context -> number; nan for none.
        rule: of the claim. refused: why nothing may be decided. level: of the interval. draws: of the null.
    """
    from scipy.stats import rankdata

    rows = {}
    for original, row in left.items():
        other = right.get(original, {})
        names = [name for name in row if np.isfinite(row[name]) and np.isfinite(other.get(name, np.nan))]
        both = np.array([[row[name], other[name]] for name in names]).reshape(-1, 2).T
        if len(names) > 3 and (np.ptp(both, axis=1) > 0).all():
            ranks = rankdata(both, axis=1)
            ranks -= ranks.mean(axis=1, keepdims=True)
            rows[original] = ranks / np.linalg.norm(ranks, axis=1, keepdims=True)
    found: dict[tuple[int, Hashable], float] = {(o, "rho"): float(x @ y) for o, (x, y) in rows.items()}
    rng = np.random.default_rng(0)
    permuted = [rng.permuted(np.tile(y, (draws, 1)), axis=1) @ x for x, y in rows.values()]
    null = np.mean(permuted, axis=0) if permuted else np.array([np.nan])
    cells = replace(cells_of(found), least=RANKED)
    return mean_test(cells, rule, null=null, refused=refused, level=level)


def reach_of(draws: np.ndarray, level: float = LEVEL) -> Interval:
    """What a null reaches: the median of its finite draws (R,) and their central range; all there is without any."""
    kept = np.asarray(draws, dtype=np.float64)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return Interval(np.nan, -np.inf, np.inf)
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.median(kept)), float(low), float(high))


def originals_needed(
    found: Interval, n: int, edges: Sequence[float], level: float = LEVEL, most: int = 200
) -> int | None:
    """The least number of originals whose interval about the same mean, with the same spread, clears every edge.

    The smallest m > n with t_{m-1} s / sqrt(m) < |mean - edge|, the spread s that of the interval at hand:
    s = half sqrt(n) / t_{n-1}, of its half towards the nearest edge. None for more than ``most``, or without an
    interval.
    """
    from scipy.special import stdtrit

    near = min(edges, key=lambda edge: abs(found.estimate - edge))
    far, half = abs(found.estimate - near), found.high - found.estimate
    if near < found.estimate:
        half = found.estimate - found.low
    if n < 2 or not np.isfinite([far, half]).all():
        return None
    counts = np.arange(n + 1, most + 1)
    scale = half * np.sqrt(n) / stdtrit(n - 1, (1 + level) / 2)
    enough = counts[stdtrit(counts - 1, (1 + level) / 2) * scale / np.sqrt(counts) < far]
    return int(enough[0]) if len(enough) else None


def some_test(
    cells: Cells,
    below: float | None,
    above: float | None,
    *,
    none: float | None = None,
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Result:
    """Judge whether some contexts lie below one number and some above another, by bounds that hold for all at once.

    Supported if a simultaneous bound lies on the claimed side for each of the two that is given; contradicted if the
    bounds of all contexts exclude one of them. The effect is the mean of the context that lies farthest on the side
    that is less well supported, with its simultaneous bounds.

    Args:
        cells: the numbers.
        below, above: beyond which some contexts must lie; None for a claim about one side.
        none: for a claim of one side, the number that all bounds must stay short of to contradict it (by default the
            same as supports it).
        refused, level: as in `mean_test`.
    """
    if below is None and above is None:
        raise BadInput("a claim that some contexts differ needs a number that some lie below, or above.")

    def judged(values: np.ndarray) -> tuple[str, Interval]:
        bounds = simultaneous(values, level, cells.least)
        sides = [(1, above, none)] if above is not None else []
        sides += [(-1, below, none)] if below is not None else []
        return _some(bounds, sides)

    word, found = judged(cells.values)
    known = np.isfinite(cells.values).sum(axis=0) >= LEAST
    notes = list(refused)
    if not known.any():
        notes.append(f"no context has {LEAST} originals, and fewer decide nothing")
    counts = int(np.isfinite(cells.values).any(axis=1).sum()), int(np.isfinite(cells.values).sum())

    def again() -> list[bool]:
        return redrawn(cells.values, lambda values: judged(values)[0] != word, DRAWS * bool(known.any()))

    return Result(found, "undecided" if notes else word, *counts, notes=tuple(notes), again=again)


def _some(bounds: Bounds, sides: Sequence[tuple[int, float, float | None]]) -> tuple[str, Interval]:
    """The word of a claim that some contexts lie beyond a number on each side, and the interval it hangs on."""
    found, words = [], []
    known = np.isfinite(bounds.low)
    if not known.any():
        return "undecided", Interval(np.nan, np.nan, np.nan)
    for sign, edge, none in sides:
        mean, low, high = (sign * part[known] for part in (bounds.mean, bounds.low, bounds.high))
        if sign < 0:
            low, high = high, low
        limit = sign * (edge if none is None else none)
        k = int(np.argmax(low))
        words.append("yes" if low[k] > sign * edge else "no" if (high < limit).all() else "open")
        ends = mean[k], *((low[k], high[k])[::sign])
        found.append((low[k] - sign * edge, Interval(*(float(sign * v) for v in ends))))
    word = "supported" if set(words) == {"yes"} else "contradicted" if "no" in words else "undecided"
    return word, min(found, key=lambda one: one[0])[1]


def exchanged(cells: Cells, draws: int = NULL, seed: int = 0) -> np.ndarray:
    """Means over originals (R,) when the two sides of every difference are exchanged at random.

    All cells of a block change sign together on an original: they share endpoints, as line and curve of a method do.
    """
    blocks = cells.blocks()
    names = list(dict.fromkeys(blocks))
    places = [names.index(name) for name in blocks]
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), (draws, len(cells.originals), len(names)))[..., places]
    there = np.isfinite(cells.values)
    sums, counts = (signs * np.where(there, cells.values, 0)).sum(axis=2), there.sum(axis=1)
    return np.asarray((sums[:, counts > 0] / counts[counts > 0]).mean(axis=1))


def share_by_context(values: np.ndarray) -> float:
    """Share of the variance within originals that contexts explain, corrected for chance: epsilon squared.

    With y_ij minus its original's mean, (SS_contexts - df_contexts MS_rest) / SS_total; about 0 under the null.

    Args:
        values: (n, m) without gaps.

    Source: Kelley, Proceedings of the National Academy of Sciences 21 (1935).
    """
    return float(_shares(np.asarray(values)[None])[0]) if min(values.shape) > 1 else float("nan")


def _shares(values: np.ndarray) -> np.ndarray:
    """`share_by_context` of each of (R, n, m) values."""
    n, m = values.shape[1:]
    centred = values - values.mean(axis=2, keepdims=True)
    total = (centred**2).sum(axis=(1, 2))
    between = n * (centred.mean(axis=1) ** 2).sum(axis=1)
    rest = (total - between) / ((n - 1) * (m - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (between - (m - 1) * rest) / total, 0.0)


def explained_test(cells: Cells, alpha: float, least: float, refused: Sequence[str], level: float = LEVEL) -> Result:
    """Whether contexts explain variance within originals: permuted within originals, and a jackknifed interval.

    Supported if p < alpha, contradicted if the interval lies below ``least``; contexts that an original lacks are left
    out.
    """
    whole = np.isfinite(cells.values).all(axis=0)
    values, notes = cells.values[:, whole], list(refused)
    n = len(values)
    if n < LEAST or whole.sum() < 2:
        notes.append(f"{n} originals and {int(whole.sum())} contexts in all of them decide nothing")
        nothing = Interval(np.nan, np.nan, np.nan)
        return Result(nothing, "undecided", n, int(values.size), notes=tuple(notes))
    share = share_by_context(values)
    rng = np.random.default_rng(0)
    drawn = _shares(rng.permuted(np.tile(values, (4 * NULL, 1, 1)), axis=2))
    p = float((1 + (drawn >= share - 1e-12).sum()) / (1 + len(drawn)))
    without = np.array([share_by_context(np.delete(values, k, axis=0)) for k in range(n)])
    found = student(n * share - (n - 1) * without, level)
    found = Interval(share, max(found.low, -1.0), min(found.high, 1.0))
    word = "supported" if p < alpha else "contradicted" if found.high < least else "undecided"
    null = reach_of(drawn, level)
    return Result(found, "undecided" if notes else word, n, int(values.size), null, p=p, notes=tuple(notes))


def change_over(sizes: Sequence[float], values: Any) -> Any:
    """Change (...) of a straight fit from the smallest to the largest size, of values (..., sizes)."""
    middle = np.asarray(sizes) - np.mean(sizes)
    return np.asarray(values) @ middle / (middle @ middle) * (max(sizes) - min(sizes))


def permuted_sizes(series: Mapping[tuple[int, str], Any], draws: int = NULL) -> np.ndarray:
    """Mean changes (R,) over originals when sizes are permuted within each (original, method)'s series.

    ``series``: (original, method) -> a Series of numbers by size.
    """
    rng, drawn = np.random.default_rng(0), {}
    for place, row in series.items():
        drawn[place] = change_over(row.index, rng.permuted(np.tile(row.to_numpy(), (draws, 1)), axis=1))
    sums = [[drawn[place] for place in series if place[0] == original] for original in {o for o, _ in series}]
    return np.mean([np.mean(one, axis=0) for one in sums], axis=0) if sums else np.array([np.nan])


def best_quadratic(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The quadratics in t through both ends of values (..., T) that are nearest to them by least squares."""
    chord = values[..., :1] + (values[..., -1:] - values[..., :1]) * t
    bend = t * (1 - t)
    return chord + ((values - chord) @ bend / (bend @ bend))[..., None] * bend


def far_from_quadratic(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Largest distance (...) of values (..., T) from their best quadratic, in units of the change from end to end.

    With s(t) the share of the change made by t, max |s - t - q t (1 - t)| for the q of least squares; nan without
    change.
    """
    change = np.abs(values[..., -1] - values[..., 0])
    far = np.abs(values - best_quadratic(values, t)).max(axis=-1)
    there = np.isfinite(change) & (change > 0)
    return np.where(there, far / np.where(there, change, 1.0), np.nan)


def excess_variance(sd: np.ndarray, t: np.ndarray, k: int, length: float) -> float:
    """Variance at point k of the excess over the chord of noise with these sd (T,) and correlation exp(-|dt|/length).

    With a(t) = e(t) - (1 - t) e(0) - t e(1), a quadratic form in the covariance of e.
    """
    weights = np.zeros(len(t))
    weights[k] += 1
    weights[0] -= 1 - t[k]
    weights[-1] -= t[k]
    return float(weights @ _covariance(sd, t, length) @ weights)


def _covariance(sd: np.ndarray, t: np.ndarray, length: float) -> np.ndarray:
    return sd[:, None] * sd * np.exp(-np.abs(t[:, None] - t) / length)


def examples_noise(path: Any, along: Table) -> np.ndarray | None:
    """Covariance (T, T) in nats^2 of the noise that the examples put on a path's forget loss; None where none is kept.

    Each point's standard error over examples is kept, and the variance of the largest distance from the chord, which
    says how far points vary together: of the correlations exp(-|dt|/length) the one with this variance of the excess
    at the point where the loss is farthest from its chord, or independence where no length has so large a one.

    Args:
        path: a row of `paths`. along: its rows of `along`, of the forget loss.
    """
    if not (np.isfinite(path.two_sided_error) and np.isfinite(along.error).all()):
        return None
    sd, t = along.error.to_numpy(dtype=np.float64), along.t.to_numpy()
    k = int(np.abs(excess(along.value.to_numpy(), t))[1:-1].argmax()) + 1
    found = np.array([excess_variance(sd, t, k, length) for length in LENGTHS])
    enough = np.flatnonzero(found >= (path.two_sided_error * path.gap) ** 2)
    return _covariance(sd, t, float(LENGTHS[enough[-1] if len(enough) else 0]))


def quadratics_with_noise(path: Any, along: Table, rng: np.random.Generator, draws: int = NULL) -> np.ndarray:
    """Draws (R,) of `far_from_quadratic` of a path's best quadratic with the examples' noise on it; nan without any."""
    noise, t = examples_noise(path, along), along.t.to_numpy()
    if noise is None:
        return np.full(draws, np.nan)
    values, vectors = np.linalg.eigh(noise)
    root = vectors * np.sqrt(np.maximum(values, 0))
    smooth = best_quadratic(along.value.to_numpy(), t)
    return far_from_quadratic(smooth + rng.normal(size=(draws, len(t))) @ root.T, t)


def mean_of_draws(drawn: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """The mean over originals of the means (R,) over each one's walks, of (original, draws); one nan where none is."""
    kept = [(original, one) for original, one in drawn if np.isfinite(one).all()]
    if not kept:
        return np.array([np.nan])
    rows = [[one for other, one in kept if other == original] for original in sorted({o for o, _ in kept})]
    return np.asarray(np.mean([np.mean(row, axis=0) for row in rows], axis=0))


def others_in_place(levels: Sequence[float], margin: float, draws: int, seed: int = 0) -> np.ndarray:
    """Shares (R,) of originals on which the number of another one exceeds their own by more than a margin.

    ``levels``: one finite number per original; each draw gives every original that of another at random.
    """
    known, rng = np.asarray(levels, dtype=np.float64), np.random.default_rng(seed)
    n = len(known)
    if n < 2:
        return np.array([np.nan])
    other = (np.arange(n) + rng.integers(1, n, (draws, n))) % n
    return np.asarray((known[other] > known + margin).mean(axis=1))


def _methods(row: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({method for pair in row for method in pair})


def rank_correlations(row: Mapping[tuple[str, str], float], use: Mapping[str, float], orders: Any = None) -> np.ndarray:
    """Spearman's rho (R,) of deficits of pairs with differences in use, under each order (R, m) of the methods.

    By default under their own; nan where either does not vary.
    """
    from scipy.stats import rankdata

    names = _methods(row)
    used = np.array([use[name] for name in names])[np.arange(len(names))[None] if orders is None else orders]
    first, second = ([names.index(pair[k]) for pair in row] for k in (0, 1))
    far = rankdata(np.abs(used[:, first] - used[:, second]), axis=1)
    level = rankdata(list(row.values()))
    far, level = far - far.mean(axis=1, keepdims=True), level - level.mean()
    size = np.sqrt((far**2).sum(axis=1) * (level @ level))
    return np.where(size > 0, far @ level / np.where(size > 0, size, 1.0), np.nan)


def held_out(row: Mapping[tuple[str, str], float], use: Mapping[str, float]) -> float:
    """R^2 of the deficits of pairs with a method that the straight fit on the other pairs did not see.

    1 - sum (d - fit)^2 / sum (d - mean of the other pairs)^2, over the pairs of each method left out in turn.
    """
    errors, plain = [], []
    for method in _methods(row):
        inside = [(abs(use[a] - use[b]), d) for (a, b), d in row.items() if method not in (a, b)]
        outside = [(abs(use[a] - use[b]), d) for (a, b), d in row.items() if method in (a, b)]
        if len(inside) < 3 or np.ptp([x for x, _ in inside]) == 0:
            continue
        slope, offset = np.polyfit([x for x, _ in inside], [d for _, d in inside], 1)
        mean = np.mean([d for _, d in inside])
        errors += [(d - slope * x - offset) ** 2 for x, d in outside]
        plain += [(d - mean) ** 2 for _, d in outside]
    return float(1 - np.sum(errors) / np.sum(plain)) if np.sum(plain) > 0 else float("nan")


def halves(originals: Sequence[int], splits: int = SPLITS) -> list[tuple[int, ...]]:
    """Pairs of halves of the originals on which tests are run again; none with fewer than `LEAST` in a half."""
    originals = sorted(originals)
    half = len(originals) // 2
    if half < LEAST or not splits:
        return []
    chosen = [one for one in combinations(originals, half) if originals[0] in one]
    places = np.linspace(0, len(chosen) - 1, min(splits, len(chosen))).round().astype(int)
    return [part for k in places for part in (chosen[k], tuple(sorted(set(originals) - set(chosen[k]))))]


def jackknife_of(estimate: np.ndarray, without: np.ndarray, level: float = LEVEL) -> list[Interval]:
    """Estimate +- t_{M-1} sqrt((M - 1) var) by the jackknife: numbers (S,) of all models, and (M, S) without each."""
    from scipy.special import stdtrit

    count = len(without)
    half = stdtrit(count - 1, (1 + level) / 2) * np.sqrt((count - 1) * without.var(axis=0))
    return [Interval(float(x), float(x - h), float(x + h)) for x, h in zip(estimate, half, strict=True)]


def methods_apart(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Mean difference of two methods over their seeds beyond that between two seeds of one: (..., P).

    Args:
        values: (..., methods, 2), of two seeds each. pairs: (P, 2) of methods.
    """
    x, y = (values[..., pairs[:, k], :] for k in (0, 1))
    seeds = (np.abs(x[..., 0] - x[..., 1]) + np.abs(y[..., 0] - y[..., 1])) / 2
    return np.abs(x[..., :, None] - y[..., None, :]).mean(axis=(-2, -1)) - seeds


def one_against_others(shares: Sequence[Sequence[float]], draws: int = NULL) -> np.ndarray:
    """Means (R,) over originals of the number of one retrained model, drawn, minus the mean of the others."""
    rng, null = np.random.default_rng(0), []
    for _ in range(draws):
        each = []
        for row in shares:
            k = int(rng.integers(len(row)))
            each.append(row[k] - np.mean(np.delete(row, k)) if len(row) > 1 else np.nan)
        null.append(np.mean(each) if each else np.nan)
    return np.array(null)


def smoother(start: Any, end: Any, mean: Any) -> Any:
    """(rise at the mean weights - mean rise at both ends) / mean rise at both ends; nan where that is not above 0."""
    ends = (start + end) / 2
    return ((mean - ends) / ends).where(ends > 0)


def one_of_two(one: np.ndarray, other: np.ndarray, draws: int = NULL) -> np.ndarray:
    """Means (R,) over originals of cells (n, m), each drawn from one of two tables."""
    picked = np.random.default_rng(0).integers(0, 2, (draws, *one.shape)).astype(bool)
    return np.array([float(np.nanmean(row_means(np.where(pick, one, other)))) for pick in picked])


def resistance(attacked: Table, together: Table | None = None) -> float:
    """Area, in accuracy, by which an attacked ensemble lies above the single point of its line that starts like it.

    Negative where the ensemble resists better; nan where no point starts within `MATCHED` of the ensemble's accuracy.
    Of several the point with the lowest validation loss.

    Args:
        attacked: rows of `attacked` of a line: each of its points, and ends and middle together (member -1).
        together: of another ensemble; by default these three.
    """
    ours = (attacked if together is None else together).query("member == -1")
    points = attacked.query("member >= 0")
    first = points[points.step == points.step.min()].set_index("member")
    near = first[(first.accuracy_forget - ours.accuracy_forget.iloc[0]).abs() <= MATCHED + 1e-12]
    if not len(near):
        return float("nan")
    chosen = near.loss_valid.replace(np.nan, np.inf).idxmin()
    return area(ours.step, ours.accuracy_forget, points[points.member == chosen].accuracy_forget)


def copies_resist(attacked: Table) -> float:
    """The same for an ensemble of one model attacked with several orders of batches, beside the first of them."""
    ours, first = (attacked[attacked.member == k] for k in (-1, 0))
    return area(ours.step, ours.accuracy_forget, first.accuracy_forget)
