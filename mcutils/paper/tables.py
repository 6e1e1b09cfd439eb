"""Tables: what the tables of several rooms share; walks in, a number with its interval, text or a DataFrame out.

Losses are in units of the gap G. The smallest eps of MCU(eps), ``eps``, is the larger of barrier and deficit. Means
over pairs of seeds have intervals over pairs and evaluated examples together, see `mean_over`. Controls and walks whose
ends collapsed are left out of every table; `controls_text` counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.conditions import CONDITIONS
from ..measures.along import excess
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import Interval, mean_interval
from ..measures.profiles import Profile
from .claims import CLAIMS, Verdict, effect_text
from .judging import controls_hold, nodes_of, sound, units_of
from .walks import APART, TWINNED, Walk

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


def walks_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What the walks of methods show, in a few sentences: counts of connected paths, line against curve."""
    table = paths_table([w for w in walks if not w.control], eps)
    flat = table[table["barrier"] <= eps]
    kept = int((~flat["connected"]).sum())
    parts = [f"{len(flat)} of {len(table)} paths have no retain barrier; {kept} of these fail by the deficit alone."]
    for curve, part in table.groupby("curve", sort=False):
        joined = int(part["connected"].sum())
        parts.append(f"On the {curve} paths {joined} of {len(part)} pairs satisfy MCU({eps:g}).")
    return " ".join(parts)


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


def dips_text(walks: Sequence[Walk], retrained: Sequence[Mapping[str, float]], eps: float = TOLERANCE) -> str:
    """How low the forget loss falls on paths that only the deficit keeps from MCU(eps), in a sentence.

    A dip below the chord is knowledge regained only where it ends below what models that never saw the images have.
    ``retrained`` are metrics of retrained models, of which ``loss_forget`` is read.
    """
    ours = [w for w in walks if not w.control and w.barrier <= eps and not w.connected(eps)]
    if not ours:
        return f"No path fails MCU({eps:g}) by the deficit alone."
    level = float(np.mean([one["loss_forget"] for one in retrained]))
    losses = [w.profile.metric("loss_forget") for w in ours]
    above = sum(loss.min() >= level for loss in losses)
    edges = [min(level, loss[0], loss[-1]) - eps * w.profile.gap for w, loss in zip(ours, losses, strict=True)]
    below = sum(loss.min() < edge for loss, edge in zip(losses, edges, strict=True))
    return (
        f"On {above} of the {len(ours)} paths that only the deficit keeps from MCU({eps:g}) the forget loss stays "
        f"above that of the retrained models ({level:.2f} nats) at every t; on {below} it falls below that and below "
        f"both ends by more than {eps:g} G."
    )


def answer_text(expected: str, found: str, so: str) -> str:
    """What was expected, what was found and what follows, a paragraph each, in Markdown."""
    return f"**Expected.** {expected}\n\n**Found.** {found}\n\n**So.** {so}"


def verdicts_text(verdicts: Sequence[Verdict], eps: float = TOLERANCE) -> str:
    """Verdicts as a Markdown list: the claim, its verdict, effect with 95 % interval, and the rule fixed beforehand."""
    lines = []
    for v in verdicts:
        claim = CLAIMS[v.claim]
        found = "nothing to measure"
        if v.effect is not None and np.isfinite(v.effect):
            p = "" if v.p is None else f", p = {v.p:.2g}"
            found = f"{v.effect:.3f} [{v.low:.3f}, {v.high:.3f}]{p}; {v.n_pairs} paths, {v.n_seeds} seeds"
        lines.append(
            f"- **{v.claim}, {v.verdict}.** {claim.statement} *Statistic:* {claim.measured(eps)}. *Found:* {found}. "
            f"*Rule:* {claim.rule}."
        )
    if eps != TOLERANCE and any(CLAIMS[v.claim].measured(eps) != CLAIMS[v.claim].statistic for v in verdicts):
        lines.append(
            f"\nThe tolerance fixed before the runs is {TOLERANCE:g} G; at {eps:g} G this is not the ledger's verdict."
        )
    return "\n".join(lines)


def mean_over(walks: Sequence[Walk], values, replicates=None, least: float = -np.inf) -> Interval:
    """Mean of a number per walk with its interval (`intervals.mean_interval`) over pairs of seeds and examples.

    With one pair it reaches from ``least``, the smallest possible value, to infinity.
    """
    replicates = None if replicates is None else np.array(replicates)
    return mean_interval(values, replicates, nodes=nodes_of(walks), units=units_of(walks), within=(least, np.inf))


def mean_of(walks: Sequence[Walk], measure: str) -> Interval:
    """Mean of a measure over walks, see `mean_over`."""
    return mean_over(walks, [getattr(w, measure) for w in walks], [w.replicates(measure) for w in walks], 0.0)


def summary(walks: Iterable[Walk], *names: str, measures: Sequence[str] = MEASURES) -> Table:
    """Mean and interval of each measure over the walks that share these labels; n is the number of pairs."""
    rows = []
    for labels, part in grouped(walks, *names).items():
        rows += [(*labels, m, *mean_of(part, m), len(part)) for m in measures]
    columns = ["curve" if name == "kind" else "method" if name == "name" else name for name in names]
    return frame(rows, [*columns, "measure", "estimate", "low", "high", "n"])


def means(
    table: Table, value: str, by: Sequence[str], within: tuple[float, float] = (0.0, np.inf), estimate: str = "estimate"
) -> Table:
    """Mean and interval over pairs of a column for each group of a table; n counts the finite values.

    The table has columns node_a and node_b, and ``<value>_again`` where the values have replicates over examples.
    ``within`` is the range of what can be, ``estimate`` the name of the mean's column.
    """
    rows, again = [], f"{value}_again"
    for group, part in table.groupby(list(by), sort=False):
        values, replicates = part[value].to_numpy(float), np.stack(part[again]) if again in part else None
        found = mean_interval(values, replicates, nodes=part[["node_a", "node_b"]].to_numpy(), within=within)
        rows.append((*group, *found, int(np.isfinite(values).sum())))
    return frame(rows, [*by, estimate, "low", "high", "n"])


def grouped(walks: Iterable[Walk], *names: str) -> dict[tuple, list[Walk]]:
    """Walks by the values of these labels, in order of appearance."""
    groups: dict[tuple, list[Walk]] = {}
    for w in walks:
        groups.setdefault(tuple(getattr(w, name) for name in names), []).append(w)
    return groups


def controls_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """The controls, and how many walks are left out for a collapsed end, in Markdown."""
    rises, twins = [w.barrier for w in walks if w.control == APART], [w for w in walks if w.control == TWINNED]
    return (
        f"**Controls {held_text(controls_hold(walks, eps))}**: the retain barrier of lines between different "
        f"initialisations is {range_text(rises)} (all must exceed {eps:g} G), and "
        f"{sum(w.connected(eps) for w in twins)} of {len(twins)} fine-tuned twins satisfy MCU({eps:g}) (all must). "
        f"{collapsed_text(walks)} of what follows."
    )


def joined_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How many of these walks satisfy MCU(eps), in words."""
    return f"{sum(w.connected(eps) for w in walks)} of {len(walks)}"


def roughness_text(walks: Sequence[Walk]) -> str:
    """Median roughness of the forget loss (`walks.Walk.roughness`), in G^2, with two digits."""
    value = float(np.median([w.roughness for w in walks])) if walks else np.nan
    return "-" if np.isnan(value) else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def held_text(held: bool) -> str:
    return "held" if held else "FAILED, so that every verdict is undecided"


def range_text(barriers: Sequence[float]) -> str:
    return f"between {min(barriers):.2f} and {max(barriers):.2f} G" if barriers else "not walked"


def collapsed_text(walks: Sequence[Walk]) -> str:
    ours = [w for w in walks if not w.control]
    lost = sum(bool(w.profile.collapsed) for w in ours)
    return f"**{lost} of {len(ours)} walks have a collapsed end** and are left out"


def end_names(condition: str) -> tuple[str, str]:
    """What tells the two ends of a condition apart, beside seed and method; equal where nothing does."""
    start, end = CONDITIONS[condition].start, CONDITIONS[condition].end
    if start.curriculum != end.curriculum:
        return ("curriculum", "none") if start.curriculum else ("none", "curriculum")
    order = {True: "second order", False: "first order"}
    return order[start.second_order], order[end.second_order]


def found_text(one: Verdict) -> str:
    return f"{one.verdict}, {effect_text(vars(one), 2)}"
