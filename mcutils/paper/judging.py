"""Judging: which walks a claim's test takes, their intervals, and how an effect becomes a verdict.

Pairs that share an endpoint are resampled by their endpoints; replicates over examples are shared by all walks of a
draw. Every interval is at least as wide as Student's over pairs of seeds, so that one pair never decides a claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..measures.connectivity import TOLERANCE
from ..measures.intervals import LEVEL, Interval, mean_interval, share_interval
from .claims import Verdict, judge
from .walks import APART, TWINNED, Walk, labels_of

CHANGE = 0.05  # of the smallest eps, in units of G, that counts as help or harm (C7)
FAILED = 0.1  # by which a fit's smallest eps exceeds the line's when it has failed (C12)
ROUNDING = 1e-9  # width up to which an interval has none
NOTHING = Interval(np.nan, np.nan, np.nan)


def usable(walks: Sequence[Walk], **labels: str | bool) -> list[Walk]:
    """The walks of methods with these labels, without controls and without those whose ends collapsed; maybe none."""
    kept = [w for w in walks if not w.control and not w.profile.collapsed]
    return [w for w in kept if all(getattr(w, name) == value for name, value in labels.items())]


def sound(walks: Sequence[Walk], **labels: str | bool) -> list[Walk]:
    """As `usable`, but a walk that several experiments hold comes once."""
    return list({_labels(w): w for w in usable(walks, **labels)}.values())


def _labels(walk: Walk) -> tuple:
    return walk.once("labels", lambda: tuple(labels_of(walk).values()))


def controls_hold(walks: Sequence[Walk], eps: float = TOLERANCE) -> bool:
    """Whether every path between different initialisations has a retain barrier and every fine-tuned twin has none."""
    apart, twins = ([w for w in walks if w.control == one and not w.profile.collapsed] for one in (APART, TWINNED))
    if not apart or not twins:
        return False
    return all(w.barrier > eps for w in apart) and all(w.connected(eps) for w in twins)


def nodes_of(walks: Iterable[Walk]) -> np.ndarray:
    """Names of each walk's two random draws (n, 2): original model and unlearning seed."""
    return np.array([w.nodes for w in walks])


def pair_of(walk: Walk) -> tuple:
    """What two walks of one pair of endpoints' draws have in common, whatever their condition and curve."""
    return walk.method, walk.other, walk.original, walk.start, walk.end


def judged(claim: str, found: Interval, walks: Sequence[Walk], ok: bool, p: float | None = None) -> Verdict:
    """The verdict of a claim on what was found over these walks, if any; ``ok`` says whether the controls held."""
    if not walks:
        return nothing_found(claim)
    return judge(claim, found, n_pairs=len(walks), n_seeds=len(np.unique(nodes_of(walks))), p=p, controls_ok=ok)


def nothing_found(claim: str) -> Verdict:
    """The verdict where no walk is of the kind that the claim is about."""
    return judge(claim, NOTHING, n_pairs=0, n_seeds=0, p=np.nan, controls_ok=False)


def units_of(walks: Iterable[Walk]) -> list[tuple]:
    """Each walk's pair of seeds, whatever its method: the unit of Student's interval."""
    return [(w.original, w.start, w.end) for w in walks]


def decisive(found: Interval, within: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
    """The interval to judge by: units without the least difference say nothing of others, so it is the whole range."""
    return found if found.high - found.low > ROUNDING else Interval(found.estimate, *within)


def share_over(walks: Sequence[Walk], hits, replicates=None, level: float = LEVEL, **drawn) -> Interval:
    """Share of walks that hit with its interval (`intervals.share_interval`) over their endpoints and examples."""
    if not walks:
        return NOTHING
    replicates = None if replicates is None else np.array(replicates, dtype=float)
    return share_interval(hits, replicates, units=units_of(walks), level=level, **(drawn or {"nodes": nodes_of(walks)}))


def judge_share(claim: str, walks: Sequence[Walk], hits, replicates, level: float, ok: bool) -> Verdict:
    """Judge a share of walks that hit."""
    return judged(claim, share_over(walks, hits, replicates, level), walks, ok)


def judge_mean(claim: str, walks: Sequence[Walk], values, replicates, level: float, ok: bool, **drawn) -> Verdict:
    """Judge the mean over walks of a number, where it is finite."""
    values = np.array(values, dtype=np.float64)
    kept = np.flatnonzero(np.isfinite(values)).tolist()
    walks, values = [walks[k] for k in kept], values[kept]
    if not walks:
        return nothing_found(claim)
    again = None if replicates is None else np.array(replicates)[kept]
    drawn = {name: labels[kept] for name, labels in drawn.items()} or {"nodes": nodes_of(walks)}
    found = mean_interval(values, again, units=units_of(walks), level=level, **drawn)
    return judged(claim, decisive(found), walks, ok)


def smaller_of(*found: Interval) -> Interval:
    """The interval of the smallest of several numbers, from theirs."""
    least = min(one.estimate for one in found)
    return Interval(least, min(one.low for one in found), max(one.high for one in found if not one.estimate > least))


def redraw_mean(group: Sequence[tuple[Walk, float, np.ndarray]], seed: int = 0) -> np.ndarray:
    """Replicates of a context's mean change: its pairs redrawn, one resample of the examples each time."""
    values = np.array([r for _, _, r in group])
    rows = np.random.default_rng(seed).integers(0, len(group), (values.shape[1], len(group)))
    return values[rows, np.arange(values.shape[1])[:, None]].mean(axis=1)
