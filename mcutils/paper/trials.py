"""Trials: how a number per original model and context becomes a verdict; see docs/protocol.md.

A claim's test makes *cells*: a number for each original (row) and context (column: a method, a pair of methods, ...).
All else is the same for every claim: intervals over originals, the null, what decides and what does not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import BadInput
from ..measures.intervals import LEVEL, Interval
from ..measures.originals import LEAST, Bounds, redrawn, share, simultaneous, smallest_effect, student
from .walks import Walk

ERROR = 0.005  # the smallest standard error believed in, in G: what rounding and the grid of t do
MISSING = 0.5  # share of the cells (original, context) that may be absent
DRAWS = 200  # bootstrap draws of originals behind `Finding.flips`


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
class Finding:
    """What a trial found: the effect with its interval over originals, the word, and what stands beside it.

    ``null``: the statistic under the null that the protocol names, None where it has none. ``least``: the smallest
    effect that so many originals find with a power of 0.8. ``flips``: share of bootstrap draws of the originals with
    another word. ``notes``: why it is undecided, contexts that carry it, paths left out. ``unit``: what is
    counted, where it is not originals.
    """

    effect: Interval
    verdict: str
    n_originals: int
    n_cells: int
    null: Interval | None = None
    least: float = float("nan")
    flips: float = float("nan")
    p: float | None = None
    notes: tuple[str, ...] = ()
    unit: str = "originals"
    carried: tuple[str, ...] = ()


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


def cells_of(walks: Iterable[Walk], value: Callable[[Walk], float], context: Callable[[Walk], Hashable]) -> Cells:
    """Cells of a number per walk: the mean over the walks of an original and context."""
    found: dict[tuple[int, Hashable], list[float]] = {}
    for walk in walks:
        found.setdefault((walk.original, context(walk)), []).append(float(value(walk)))
    return table_of({place: float(np.mean(numbers)) for place, numbers in found.items()})


def table_of(numbers: Mapping[Any, float]) -> Cells:
    """Cells of a number for each (original, context)."""
    originals = tuple(sorted({original for original, _ in numbers}))
    contexts = tuple(dict.fromkeys(name for _, name in numbers))
    values = np.full((len(originals), len(contexts)), np.nan)
    for (original, name), number in numbers.items():
        values[originals.index(original), contexts.index(name)] = number
    return Cells(values, originals, contexts)


def over_originals(
    walks: Iterable[Walk], value: Callable[[Walk], float], *, shares: bool = False, level: float = LEVEL
) -> Interval:
    """The mean over originals of a number per walk, first averaged within methods (or pairs of them) and originals.

    With `originals.student`'s interval, or, for numbers that are shares, that of `originals.share`.
    """
    cells = cells_of(walks, value, lambda walk: walk.label)
    rows = row_means(cells.values)
    return share(rows, level) if shares else student(rows, level, cells.least)


def row_means(values: np.ndarray, middle: Callable[..., Any] = np.mean) -> np.ndarray:
    """The middle (n,) of each original's finite cells; nan for an original without any."""
    return np.array([middle(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in values])


def mean_trial(
    cells: Cells,
    rule: Rule,
    *,
    null: np.ndarray | None = None,
    shares: bool = False,
    middle: Callable[..., Any] = np.mean,
    refused: Sequence[str] = (),
    level: float = LEVEL,
    draws: int | None = None,
) -> Finding:
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
        draws: bootstrap draws of the originals, for `Finding.flips`; `DRAWS` if None.
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
    carried_by = _carried(cells, rule, middle)
    reach = None if null is None else reach_of(null, level)
    if reach is not None and word == "supported" and not rule.beyond(found, reach):
        notes.append(f"its null reaches {reach.low:.3g} to {reach.high:.3g}")
    word = "undecided" if notes else word
    again = redrawn(rows, lambda each: rule.word(interval(each)), _draws(draws) if count >= LEAST else 0)
    flipped = float(np.mean([one != rule.word(found) for one in again])) if again else float("nan")
    return Finding(
        found, word, count, int(np.isfinite(cells.values).sum()), reach, smallest_effect(rows, level), flipped, None,
        tuple(notes), carried=carried_by,
    )  # fmt: skip


def _carried(cells: Cells, rule: Rule, middle: Callable[..., Any]) -> tuple[str, ...]:
    """Parts of the contexts without which the mean itself, with no interval about it, has another word."""

    def word(one: Cells) -> str:
        rows = row_means(one.values, middle)
        mean = float(rows[np.isfinite(rows)].mean()) if np.isfinite(rows).any() else np.nan
        return rule.word(Interval(mean, mean, mean))

    return tuple(str(name) for name in cells.parts() if word(cells.without(name)) != word(cells))


RANKED = 0.02  # the smallest standard error of a rank correlation believed in


def rank_trial(
    left: Mapping[int, Mapping[Hashable, float]],
    right: Mapping[int, Mapping[Hashable, float]],
    rule: Rule,
    refused: Sequence[str] = (),
    level: float = LEVEL,
    draws: int = 500,
) -> Finding:
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
    cells = replace(table_of(found), least=RANKED)
    return mean_trial(cells, rule, null=null, refused=refused, level=level)


def _draws(given: int | None) -> int:
    return DRAWS if given is None else given


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


def some_trial(
    cells: Cells,
    below: float | None,
    above: float | None,
    *,
    none: float | None = None,
    refused: Sequence[str] = (),
    level: float = LEVEL,
    draws: int | None = None,
) -> Finding:
    """Judge whether some contexts lie below one number and some above another, by bounds that hold for all at once.

    Supported if a simultaneous bound lies on the claimed side for each of the two that is given; contradicted if the
    bounds of all contexts exclude one of them. The effect is the mean of the context that lies farthest on the side
    that is less well supported, with its simultaneous bounds.

    Args:
        cells: the numbers.
        below, above: beyond which some contexts must lie; None for a claim about one side.
        none: for a claim of one side, the number that all bounds must stay short of to contradict it (by default the
            same as supports it).
        refused, level, draws: as in `mean_trial`.
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
    first, word = word, "undecided" if notes else word
    again = redrawn(cells.values, lambda values: judged(values)[0], _draws(draws) if known.any() else 0)
    flipped = float(np.mean([one != first for one in again])) if again else float("nan")
    n = int(np.isfinite(cells.values).any(axis=1).sum())
    return Finding(
        found, word, n, int(np.isfinite(cells.values).sum()), None, float("nan"), flipped, None, tuple(notes)
    )


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


def exchanged(cells: Cells, draws: int = 500, seed: int = 0) -> np.ndarray:
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
