"""Tables: what the tables of several rooms share; walks in, a number with its interval, text or a DataFrame out.

Losses are in units of the gap G. The smallest eps of MCU(eps), ``eps``, is the larger of barrier and deficit. Means
have intervals over original models, see `over_originals`. Controls are told by `verdicts.controls_text`, and what the
gate leaves out by `verdicts.gate_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.conditions import CONDITIONS
from ..measures.along import excess
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import Interval
from ..measures.originals import student
from ..measures.profiles import Profile
from .judging import sound
from .trials import ERROR, over_originals
from .walks import Walk

if TYPE_CHECKING:
    from pandas import DataFrame as Table
else:
    Table = Any  # pandas takes a second to import

MEASURES = ("barrier", "deficit", "eps")
GEOMETRY = ("distance", "cosine", "moved_start", "length")


def frame(rows, columns: Sequence[str] | None = None, index: str | Sequence[str] | None = None) -> Table:
    """A DataFrame of these rows, or of columns by name, with some of its columns as index."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=None if columns is None else list(columns))
    return table if index is None else table.set_index(index if isinstance(index, str) else list(index))


def stacked(parts: Sequence[Table]) -> Table:
    """Tables below each other, of which the empty ones only give the columns."""
    import pandas as pd

    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def over(part: Table, name: str, by: str = "original") -> Interval:
    """Mean over originals, a row's ``by``, of a column's means within them, with Student's interval."""
    return student(part.groupby(by)[name].mean(), least=ERROR)


def counted(number: int, one: str, more: str = "") -> str:
    """A number and its noun: ``1 original``, ``8 originals``; ``more`` is the plural where an s does not make it."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def models_table(profiles: Mapping[str, Profile]) -> Table:
    """Accuracy in % on the four splits and forget loss in nats, one row per named model."""
    rows = []
    for name, one in profiles.items():
        known = {f"{s} acc. %": 100 * one.metric(f"accuracy_{s}")[0] for s in ("retain", "forget", "valid", "test")}
        rows.append({"model": name, **known, "forget loss": one.metric("loss_forget")[0]})
    return frame(rows, index="model").round(2)


def paths_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """One row per walk: its labels, barrier, deficit, eps in G, whether MCU(eps) holds, how far apart its ends are."""
    rows = []
    for w in walks:
        labels = w.condition, w.name, w.kind, w.original, w.start, w.end, w.pair, w.size, w.control
        unseen = w.profile.connectivity.measures.get("barrier_test", np.nan)  # where no test images were traced
        measures = w.barrier, w.deficit, w.eps, unseen / w.profile.gap
        geometry = (w.profile.geometry.get(name, np.nan) for name in GEOMETRY)
        rows.append((*labels, *measures, w.connected(eps), bool(w.profile.collapsed), *geometry))
    columns = "condition method curve original start end pair size control barrier deficit eps test_barrier".split()
    return frame(rows, [*columns, "connected", "collapsed", *GEOMETRY])


def excess_table(walks: Sequence[Walk]) -> Table:
    """One row per walk and t: retain and forget loss minus their chords, in units of G."""
    columns = ["condition", "method", "curve", "pair", "t", "retain_excess", "forget_excess"]
    parts = [frame([], columns)]
    for w in walks:
        t, curves = w.profile.t, w.profile.connectivity.curves
        over = {f"{s}_excess": excess(curves[f"loss_{s}"], t) / w.profile.gap for s in ("retain", "forget")}
        labels = {"condition": w.condition, "method": w.name, "curve": w.kind, "pair": w.pair}
        parts.append(frame({**labels, "t": t, **over}))
    return stacked(parts)


def levels_table(walks: Sequence[Walk]) -> Table:
    """Loss of retrained models minus the chord, in units of G: mean, low and high by condition, method, split and t.

    The mean is over walks and retrained models, low and high are the lowest and the highest of them. Walks whose
    profiles keep no levels are left out (`walks.levelled` adds them).
    """
    t, parts = np.linspace(0, 1, 11), [frame([], ["condition", "method", "split", "t", "mean", "low", "high"])]
    for (condition, name), part in grouped([w for w in walks if w.profile.levels], "condition", "name").items():
        for split in ("retain", "forget"):
            over = []
            for w in part:
                loss, level = w.profile.connectivity.curves[f"loss_{split}"], w.profile.levels[f"loss_{split}"]
                over.append((level[:, None] - ((1 - t) * loss[0] + t * loss[-1])) / w.profile.gap)  # (R, T)
            mean, every = np.mean([one.mean(axis=0) for one in over], axis=0), np.concatenate(over)
            labels = {"condition": condition, "method": name, "split": split, "t": t, "mean": mean}
            parts.append(frame({**labels, "low": every.min(axis=0), "high": every.max(axis=0)}))
    return stacked(parts)


def floor_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How many sound walks satisfy MCU(eps) by their chords, and how many more beside the retrained models' level.

    The walks have levels, see `walks.levelled`.
    """
    ours = sound(walks)
    chord, floor = (sum(w.connected(eps, reading) for w in ours) for reading in ("chord", "floor"))
    return (
        f"{chord} of {len(ours)} paths satisfy MCU({eps:g}) by their chords; {floor - chord} more leave their chord by "
        f"over {eps:g} G and yet stay within {eps:g} G of what models that never saw the forget set have (reading "
        f"`floor`)."
    )


def answer_text(expected: str, found: str, so: str) -> str:
    """What was expected, what was found and what follows, a paragraph each, in Markdown."""
    return f"**Expected.** {expected}\n\n**Found.** {found}\n\n**So.** {so}"


def again_shares(profiles: Iterable[Profile]) -> dict[str, float]:
    """Of the images that both ends and all retrained models get wrong, the share (%) right at the t where most are.

    Over all images of these paths, for forget images and for test images, which no model was trained on; a split that
    no profile keeps (`known_again.shares`), or without such images, is left out.
    """
    found, kept = {}, [one.arrays for one in profiles]
    for split in ("forget", "test"):
        ours = [arrays for arrays in kept if f"metric/known_again_{split}" in arrays]
        never = sum(float(arrays[f"known/never_{split}"]) for arrays in ours)
        if never > 0:
            found[split] = 100 * sum(float(np.max(one[f"metric/known_again_{split}"])) for one in ours) / never
    return found


def summary_by_original(walks: Iterable[Walk], *names: str, measures: Sequence[str] = MEASURES) -> Table:
    """As `summary`, with the interval of `trials.over_originals`; n is the number of walks."""
    rows = []
    for labels, part in grouped(walks, *names).items():
        for m in measures:
            found = over_originals(part, attrgetter(m))
            rows.append((*labels, m, found.estimate, max(found.low, 0.0), found.high, len(part)))
    columns = ["curve" if name == "kind" else "method" if name == "name" else name for name in names]
    return frame(rows, [*columns, "measure", "estimate", "low", "high", "n"])


def grouped(walks: Iterable[Walk], *names: str) -> dict[tuple, list[Walk]]:
    """Walks by the values of these labels, in order of appearance."""
    groups: dict[tuple, list[Walk]] = {}
    for w in walks:
        groups.setdefault(tuple(getattr(w, name) for name in names), []).append(w)
    return groups


def joined_text(walks: Sequence[Walk], eps: float = TOLERANCE, reading: str = "chord") -> str:
    """How many of these walks satisfy MCU(eps) by a reading, in words."""
    return f"{sum(w.connected(eps, reading) for w in walks)} of {len(walks)}"


def roughness_text(walks: Sequence[Walk]) -> str:
    """Median roughness of the forget loss (`walks.Walk.roughness`), in G^2, with two digits."""
    return rounded(float(np.median([w.roughness for w in walks])) if walks else np.nan)


def rounded(value: float) -> str:
    """A positive number in two digits, in all of those before its point, or ``-`` where there is none."""
    return "-" if np.isnan(value) else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def range_text(barriers: Sequence[float]) -> str:
    return f"between {min(barriers):.2f} and {max(barriers):.2f} G" if barriers else "not walked"


def end_names(condition: str) -> tuple[str, str]:
    """What tells the two ends of a condition apart, beside seed and method; equal where nothing does."""
    start, end = CONDITIONS[condition].start, CONDITIONS[condition].end
    if start.curriculum != end.curriculum:
        return ("curriculum", "none") if start.curriculum else ("none", "curriculum")
    order = {True: "second order", False: "first order"}
    return order[start.second_order], order[end.second_order]
