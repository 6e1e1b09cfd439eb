"""07: how every other metric goes along a connected path, and its best inner point (C9, C10, C11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from ..engine.specs import Spec
from ..engine.study import Study
from ..errors import BadInput
from ..measures import drawing
from ..measures.along import excess, excess_variation, roughness
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREY, LIGHT, PURPLE, VERMILLION, entry, finish, label, panel_grid, where
from ..measures.intervals import Interval
from ..measures.metrics import METRICS
from ..measures.originals import simultaneous, student
from ..measures.profiles import HALVED
from . import tables
from .admission import unlearned_ends
from .claims import spread
from .curriculum_and_order import curriculum, second_order
from .declared import DIGITS, SMALL, best_inner, by_method, by_method_and_kind, fine, pattern, wide
from .judging import sound, usable
from .method_pairs import methods
from .panels import DASHED, SHOWN, decades, dot_entry, dots_row, settle_below
from .room import Room
from .seeds import seeds
from .tables import Table, floor_text, frame, grouped, stacked
from .trials import cells_of, row_means
from .walks import TWINNED, Route, Walk, all_levels, profiles, references

COPIES = ("UA", "RA", "TA")  # other names of accuracies: they would count one pattern twice
# One metric of each quantity, for C9: others are functions or variants of these, and near-copies raise any mean of rho
DISTINCT = HALVED
DRAWN = (
    "loss_retain",
    *DISTINCT[:3],
    "loss_forget",
    *DISTINCT[3:],
)  # of one path, in two rows
LEAST_GAP = 0.05  # of a metric, original to retrained, above which it tells them apart
SPREADS = 5  # of the retrained models, that a metric's gap must exceed to tell the original from them
FAR = 2.0  # ranges of a metric along a path, at which its retrained models are named rather than drawn
SAME, APART = "two seeds of one method", "ends that differ in more"
SHORT = {
    "loss_": "loss, ",
    "accuracy_": "accuracy, ",
    "js_retrained_": "JS, ",
    "kl_retrained_": "KL, ",
    "activation_distance_": "L2, ",
    "agreement_": "agreement, ",
}
WORDS = {"zrf": "ZRF", "zrf_elementwise": "ZRF, by element", "zrf_noise": "ZRF, noise"}
SHAPE_TITLES = {
    "range": "Range beyond the ends\n(in its own gap)",
    "variation": "Excess variation\n(in its range)",
    "roughness": "Roughness\n(in its range)",
}
Read = Callable[[tuple[float, float]], float]  # of what `pattern` gives
DIFFER = 0.1  # of mean |rho|, by which patterns must differ (C9)
WIDE = 0.2  # of a metric's gap, C10's threshold
ENDS = SHOWN | {"method": "two methods"}  # what tells the ends of a path apart


# The paths


def routes_along(study: Study) -> dict[str, list[Route]]:
    """The paths that earlier rooms walk at all points, and their controls, by experiment."""
    rooms = {"02_seeds": seeds, "03_curriculum": curriculum, "04_second_order": second_order, "05_methods": methods}
    return {name: [r for r in made(study) if r.control or not r.points] for name, made in rooms.items()}


def joined(walks: Sequence[Walk], eps: float = TOLERANCE) -> list[Walk]:
    """The walks between unlearned models that C9 to C11 read: admitted, MCU(eps), traced finely with all metrics.

    Where no verdict may read any, as at coarse presets, the sound ones that satisfy MCU(eps) and have most points.
    """
    found = fine([w for w in walks if w.profile.levels], "chord", eps)
    if found:
        return found
    ours = [w for w in sound(walks) if "score/test" in w.profile.arrays and unlearned_ends(w) == (0, 1)]
    full = max((len(w.profile.t) for w in ours), default=0)
    return [w for w in ours if len(w.profile.t) == full and w.connected(eps)]


def group_of(walk: Walk) -> str:
    """Whether the ends differ in their seed alone (`SAME`) or also in method, curriculum or order (`APART`)."""
    return SAME if walk.condition.startswith("random") else APART


def telling_gaps(original: Mapping[str, float], retrained: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metrics whose original-to-retrained gap exceeds `SPREADS` spreads of the retrained models, with that gap."""
    found = {}
    for name in METRICS:
        values = np.array([one[name] for one in retrained])
        gap = abs(original[name] - values.mean())
        if name not in (*COPIES, "loss_retain", "loss_forget") and gap > SPREADS * values.std(ddof=1) > 0:
            found[name] = float(gap)
    return found


def telling(study: Study) -> dict[int, dict[str, float]]:
    """`telling_gaps` above `LEAST_GAP` of each original model, which the declared test of C10 reads, by original."""
    found = {original: telling_gaps(*known) for original, known in all_levels(study).items()}
    return {o: {name: gap for name, gap in gaps.items() if gap > LEAST_GAP} for o, gaps in found.items()}


# Tables


def kinds() -> dict[str, str]:
    """What each metric looks at, kind by kind and in the registry's order; other names of accuracies are left out."""
    found = {}
    for name, metric in METRICS.items():
        if name not in COPIES:
            found[name] = {"loss": "losses", "accuracy": "accuracies"}.get(name.split("_")[0], "scores")
            if "retrained" in metric.references:
                found[name] = f"to the retrained model, {metric.splits[0]}"
    order = list(dict.fromkeys(("losses", "accuracies", "scores", *found.values())))
    return dict(sorted(found.items(), key=lambda one: order.index(one[1])))


def compared() -> list[str]:
    """The metrics whose curves are compared, kind by kind."""
    return list(kinds())


def joined_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Per condition and curve: paths between sound ends, those that satisfy MCU(eps), and those of them compared.

    A path that several experiments hold counts once. Compared are `joined`.
    """
    kept = {id(w) for w in joined(walks, eps)}
    rows = []
    for (condition, curve), part in grouped(sound(walks), "condition", "kind").items():
        words, connected = ENDS.get(condition, condition).replace("\n", " "), sum(w.connected(eps) for w in part)
        rows.append((words, label(curve), len(part), connected, sum(id(w) in kept for w in part)))
    columns = ["ends", "path", "paths", f"MCU({eps:g})", "compared"]
    return frame(rows, columns, ["ends", "path"])


def patterns_table(walks: Sequence[Walk]) -> Table:
    """What C9 reads of compared walks, for `SAME`, `APART` and all: means over originals with their intervals.

    Mean |rho| of a metric with itself and with another metric, on the other half of the examples (`declared.pattern`).
    """
    rows = []
    for name in (SAME, APART, "all"):
        part = [w for w in walks if name in ("all", group_of(w))]
        if not part:
            continue
        read: list[Read] = [itemgetter(0), itemgetter(1), lambda pair: pair[0] - pair[1]]
        rows.append((name, len(part), *(spread(_over(part, one), 2) for one in read)))
    return frame(rows, ["ends", "paths", "with itself", "with another metric", "difference"], "ends")


def _over(walks: Sequence[Walk], read: Read) -> Interval:
    """The mean over originals, as C9 takes it, of what is read of each walk's `pattern`, with Student's interval."""
    cells = cells_of(walks, lambda w: read(w.once("pattern", lambda: pattern(w))), by_method_and_kind)
    return student(row_means(cells.values), least=cells.least)


def shown_walk(walks: Sequence[Walk], eps: float = TOLERANCE) -> tuple[Walk, str]:
    """A path to draw and what it stands for: of the compared paths the one whose patterns differ as the median does.

    Where nothing is connected it is the sound walk with the smallest eps. Raises `BadInput` without any sound walk.
    """
    ours = [w for w in joined(walks, eps) if np.isfinite(pattern(w)).all()]
    if ours:
        middle = np.argsort([np.subtract(*pattern(w)) for w in ours], kind="stable")[(len(ours) - 1) // 2]
        return ours[middle], f"the median of {len(ours)} connected paths by how far its metrics differ"
    ours = [w for w in usable(walks) if np.isfinite(w.eps) and "score/test" in w.profile.arrays]
    if not ours:
        raise BadInput("no walk between sound endpoints is left to draw.")
    return min(ours, key=lambda w: w.eps), f"no path satisfies MCU({eps:g}); this one comes nearest"


def shown_route(routes: Sequence[Route], walks: Sequence[Walk], eps: float = TOLERANCE) -> Route:
    """The route of `shown_walk`."""
    chosen, _ = shown_walk(walks, eps)
    return next(route for route, w in zip(routes, walks, strict=True) if w is chosen)


def metric_curves(walk: Walk, names: Sequence[str] = DRAWN) -> Table:
    """One row per metric and t of one walk: value and excess over the chord; by default of what is drawn."""
    parts, t = [], walk.profile.t
    for name in names:
        values = walk.profile.metric(name)
        parts.append(frame({"metric": name, "curve": walk.kind, "t": t, "value": values, "excess": excess(values, t)}))
    return stacked(parts)


def retrained_levels(retrained: Sequence[Mapping[str, float]], names: Sequence[str] = DRAWN) -> dict[str, np.ndarray]:
    """Values of the retrained models by metric; of those that compare with the first of them, of the others only."""
    skip = {name: int("retrained" in METRICS[name].references) for name in names}
    return {name: np.array([one[name] for one in retrained[skip[name] :]]) for name in names}


def path_title(walk: Walk) -> str:
    """What a drawn path is, and its own values of what C9 reads."""
    condition = ENDS.get(walk.condition, walk.condition).replace("\n", " ")
    first, second = f"original {walk.original}, {label(walk.method)}", f" – {label(walk.other)}" if walk.other else ""
    text = f"{first}{second}, {condition}, {label(walk.kind)}"
    if "half/0/zrf" not in walk.profile.arrays:
        return text
    own, other = pattern(walk)
    return f"{text}\nmean |ρ| of a metric with itself {own:.2f}, with the others {other:.2f}"


def halves(walks: Sequence[Walk]) -> np.ndarray:
    """Mean |rho| (M, M) over walks of one metric's excess on one half of the examples and another's on the other half.

    Of `DISTINCT`, as `declared.pattern` takes it; the diagonal is a metric with itself. nan where nothing varies.
    """
    names = ("0", "1")
    found = []
    for w in walks:
        rows = [[excess(w.profile.arrays[f"half/{k}/{n}"], w.profile.t)[1:-1] for n in DISTINCT] for k in names]
        unit = _unit_ranks(np.array(rows))
        rho = np.abs(unit[0] @ unit[1].T)
        found.append((rho + rho.T) / 2)
    every = np.array(found).reshape(-1, len(DISTINCT), len(DISTINCT))
    return np.ma.masked_invalid(every).mean(axis=0).filled(np.nan)


def _unit_ranks(values: np.ndarray) -> np.ndarray:
    """Centred ranks along the last axis, of length one; nan where a row does not vary or is not finite."""
    values = np.round(np.asarray(values, dtype=np.float64), DIGITS)
    values[~np.isfinite(values).all(axis=-1)] = 0.0  # without ranks, as what does not vary
    shape = values.shape
    ranks = frame(values.reshape(-1, shape[-1])).rank(axis=1).to_numpy().reshape(shape) - (shape[-1] + 1) / 2
    size = np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
    return np.divide(ranks, size, out=np.full(shape, np.nan), where=size > 0)


def crossed(walks: Sequence[Walk], names: Sequence[str] = DISTINCT) -> np.ndarray:
    """|rho| (M, M, P, P) of one metric's excess on one path and another's on another, P paths of as many points.

    At [a, b, p, q] that of metric a on path p and metric b on path q, so that [a, b, p, p] is of one path; nan where a
    metric does not vary or is not finite.
    """
    if not walks:
        return np.empty((len(names), len(names), 0, 0))
    values = np.array([[excess(w.profile.metric(name), w.profile.t)[1:-1] for name in names] for w in walks])
    unit = _unit_ranks(values)
    return np.abs(np.einsum("pat,qbt->abpq", unit, unit))


def unrelated(walks: Sequence[Walk], names: Sequence[str] = DISTINCT) -> np.ndarray:
    """Mean |rho| (M, M) of metrics over all pairs of different paths: what two metrics of unrelated paths give."""
    apart = crossed(walks, names)[:, :, ~np.eye(len(walks), dtype=bool)]
    return np.ma.masked_invalid(apart).mean(axis=-1).filled(np.nan)


def calibration_text(walks: Sequence[Walk]) -> str:
    """C9's numbers beside those of metrics of unrelated paths, in a sentence."""
    if len(walks) < 2:
        return "Fewer than two connected paths: there is no other path to take a metric from."
    found, apart, off = halves(walks), unrelated(walks), ~np.eye(len(DISTINCT), dtype=bool)
    itself, other, chance = (float(np.nanmean(one)) for one in (np.diag(found), found[off], apart[off]))
    near = "about as much as" if abs(other - chance) < 0.1 else "more than" if other > chance else "less than"
    return (
        f"On one path a metric agrees with itself on other examples by a mean |ρ| of **{itself:.2f}**, with another "
        f"metric by **{other:.2f}** (means over {len(walks)} paths). Two metrics of two unrelated paths have "
        f"{chance:.2f}: smooth curves of few bends rise and fall together whatever they measure. Different metrics of "
        f"one path agree {near} those."
    )


def shapes_table(walks: Sequence[Walk], gaps: Mapping[int, Mapping[str, float]]) -> Table:
    """One row per walk and metric that tells original from retrained there: how it ranges and wavers along the path.

    ``range``: largest minus smallest value beyond the difference of the ends, in units of the metric's gap, of which
    C10 takes the median over metrics. ``variation``: total variation minus net change, ``roughness``: root mean square
    of the second derivative in t (`along.roughness`), both in units of the range along the path; nan where nothing
    varies. ``group`` is `group_of`, or the control's name.
    """
    rows = []
    for w in walks:
        for name in (one for one in kinds() if one in gaps.get(w.original, {})):
            values = w.profile.metric(name)
            width, ends = np.ptp(values), abs(values[-1] - values[0])
            unit = width if width > 10.0**-DIGITS else np.nan
            shape = (width - ends) / gaps[w.original][name], excess_variation(values) / unit
            bend = np.sqrt(roughness(values, w.profile.t)) / unit
            rows.append((name, w.control or group_of(w), w.original, w.label, w.kind, *shape, bend))
    return frame(rows, ["metric", "group", "original", "method", "curve", *SHAPE_TITLES])


def shapes_summary(table: Table) -> Table:
    """Mean over originals with Student's interval of each column of a `shapes_table`, per metric and group."""
    rows = []
    for (metric, group), part in table.groupby(["metric", "group"], sort=False):
        for shape in SHAPE_TITLES:
            rows.append((metric, group, shape, *student(part.groupby("original")[shape].mean())))
    return frame(rows, ["metric", "group", "measure", "estimate", "low", "high"])


def shapes_shown(table: Table, gaps: Mapping[int, Mapping[str, float]]) -> Table:
    """Per metric of a `shapes_table`: on how many originals it tells, its median gap, and its range by group."""
    summary, rows = shapes_summary(table), []
    for name in dict.fromkeys(table["metric"]):
        known = [one[name] for one in gaps.values() if name in one]
        row = {"metric": metric_label(name), "tells on": f"{len(known)} of {len(gaps)}"}
        row["gap"] = f"{np.median(known):.3f}"
        for group in dict.fromkeys(table["group"]):
            one = where(summary, metric=name, group=group, measure="range")
            row[f"range, {group}"] = spread(one[["estimate", "low", "high"]].iloc[0], 2) if len(one) else "-"
        rows.append(row)
    return frame(rows, index="metric") if rows else frame([], ["metric", "tells on", "gap"], "metric")


def wide_text(walks: Sequence[Walk], gaps: Mapping[int, Mapping[str, float]], twins: Sequence[Walk]) -> str:
    """C10's number on connected paths and on fine-tuned twins, in a sentence."""
    kept, held = ([w for w in some if gaps.get(w.original)] for some in (walks, twins))
    if not kept:
        return "No connected path, or no metric that tells original from retrained: there is no range to give."
    found, still = (np.array([wide(w, gaps[w.original]) for w in some]) for some in (kept, held))
    beside = f", on fine-tuned twins {np.median(still):.2f}" if len(still) else ""
    return (
        f"On **{int((found > WIDE).sum())} of {len(kept)}** connected paths the median metric ranges over more than "
        f"{WIDE:g} of its gap beyond the difference of the ends; the median path has {np.median(found):.2f}{beside}."
    )


BEST = ["method", "group", "original", "condition", "curve", "t", "end", "inner", "gain"]


def best_table(walks: Sequence[Walk]) -> Table:
    """One row per path: the inner t chosen on one half of the examples and the closeness there on the other (C11).

    Closeness is 1 minus the mean distance of three accuracies to the retrained models' (`profiles.closeness`). ``end``
    is that of the better end, ``inner`` that of the chosen point, both on test examples, ``gain`` their difference.
    """
    rows = []
    for w in walks:
        t, gain = best_inner(w)
        end = float(max(w.profile.arrays["score/test"][[0, -1]]))
        rows.append((w.label, group_of(w), w.original, w.condition, w.kind, t, end, end + gain, gain))
    return frame(rows, BEST)


def best_summary(walks: Sequence[Walk]) -> Table:
    """Per method (or pair of them): mean gain over originals, with bounds that hold for all at once (C11)."""
    cells = cells_of(walks, lambda w: best_inner(w)[1], by_method)
    bounds = simultaneous(cells.values, least=SMALL / 10)
    rows = [(name, bounds.mean[k], bounds.low[k], bounds.high[k]) for k, name in enumerate(cells.contexts)]
    return frame(rows, ["method", "estimate", "low", "high"])


def best_text(table: Table, summary: Table) -> str:
    """How many chosen inner points beat both ends, for how many methods surely, and where they lie, in a sentence."""
    if not len(table):
        return "No connected path: there is no inner point to choose."
    better, share = int((table["gain"] > 0).sum()), 100 * table["t"].between(0.25, 0.75).mean()
    sure = [label_of(name) for name in summary["method"][summary["low"] > 0]]
    named = f" ({', '.join(sure)})" if sure else ""
    return (
        f"**{better} of {len(table)}** chosen inner points are closer to retraining than both ends; {share:.0f} % of "
        f"the chosen t lie between 0.25 and 0.75. By bounds for all at once there is a gain for {len(sure)} of "
        f"{len(summary)} methods or pairs of them{named}; the mean gain is {100 * table['gain'].mean():+.2f} points."
    )


def label_of(name: str) -> str:
    """A method's name, or both of a pair's, as it stands in figures."""
    return " – ".join(label(one) for one in name.split(" - "))


def answer_text(walks: Sequence[Walk], gaps: Mapping[int, Mapping[str, float]], eps: float = TOLERANCE) -> str:
    """What was expected of metrics along connected paths, what was found, and what follows, in Markdown.

    ``walks`` are all that were walked, ``gaps`` are those of `telling`.
    """
    kept = joined(walks, eps)
    expected = (
        "Were all metrics one quantity, a metric would agree with another as it does with itself; were a path a set of "
        "equal models, none would range, and no point inside would be better."
    )
    if not kept:
        return tables.answer_text(expected, "No connected path to compare.", "Nothing can be said.")
    twins = [w for w in walks if w.control == TWINNED]
    parts = [calibration_text(kept), wide_text(kept, gaps, twins), best_text(best_table(kept), best_summary(kept))]
    levelled = [w for w in walks if w.profile.levels]
    parts += [floor_text(levelled, eps)] if levelled else []
    apart = _over(kept, lambda pair: pair[0] - pair[1])
    if apart.low > DIFFER:
        so = "Metrics of one path go ways of their own: each agrees better with itself than with others. "
    elif apart.high < DIFFER:
        so = "A metric agrees with another nearly as well as with itself on other images. "
    else:
        so = "Whether metrics of one path go ways of their own is not told by these originals. "
    so += (
        "Low loss along a path does not say by itself that its models are equal. Whether one of them is better than "
        "both ends has to be asked of examples that it was not chosen by."
    )
    return tables.answer_text(expected, " ".join(parts), so)


# Figures


def metric_label(name: str) -> str:
    """A metric's name as it stands in figures."""
    for start, word in SHORT.items():
        if name.startswith(start):
            return word + name.removeprefix(start)
    return WORDS.get(name, name.replace("_", " "))


@drawing.style()
def metrics_figure(table, levels: Mapping[str, np.ndarray], *, gap: float, eps: float, title: str = ""):
    """The two losses of MCU and the six metrics of C9 along one path, a panel each, with chords and retrained models.

    ``table`` is `metric_curves`, ``levels`` the `retrained_levels` of its metrics; ``gap`` is G in nats and ``eps`` the
    tolerance in units of it. Losses are drawn as excess over their chord in G, what MCU(eps) forbids hatched.
    """
    drawing.check_columns(table, ("metric", "curve", "t", "value", "excess"))
    names = list(dict.fromkeys(table["metric"]))
    fig, axes = panel_grid(2, -(-len(names) // 2), 4.9, sharex=True)
    for ax, name in zip(axes.flat, names, strict=False):
        split = name.removeprefix("loss_")
        draw = _metric_panel if split == name else _loss_panel
        draw(ax, where(table, metric=name), np.asarray(levels[name]), split, gap, eps)
        ax.set_xlabel("t" if ax in axes[-1] else "")
    for ax in list(axes.flat)[len(names) :]:
        ax.set_axis_off()
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return finish(fig, axes[0, 0], title, [key for ax in axes.flat for key in ax.get_legend_handles_labels()[0]])


def _loss_panel(ax, part, level: np.ndarray, split: str, gap: float, eps: float) -> None:
    """A loss minus its chord, the retrained models' beside it, and the side that is forbidden."""
    t, over = part["t"].to_numpy(), part["excess"].to_numpy() / gap
    beside = (level[:, None] - (part["value"] - part["excess"]).to_numpy()) / gap
    _curve(ax, part, t, over, np.zeros(len(t)))
    _retrained(ax, t, beside, np.r_[over, -1.5 * eps, 1.5 * eps], f"{beside.mean():+.1f} G")
    drawing.forbidden(ax, eps if split == "retain" else -eps, split == "retain", f"breaks MCU({eps:g})")
    ax.set_title(f"{split} loss")
    ax.set_ylabel("minus chord (G)")


def _metric_panel(ax, part, level: np.ndarray, name: str, *_) -> None:
    """A metric, its chord and the retrained models'."""
    t, values = part["t"].to_numpy(), part["value"].to_numpy()
    _curve(ax, part, t, values, values - part["excess"].to_numpy())
    share = name.startswith("accuracy_")
    words = f"{100 * level.mean():.1f} %" if share else f"{level.mean():.3f}"
    _retrained(ax, t, np.repeat(level[:, None], len(t), axis=1), values, words)
    ax.set_title(metric_label(name))
    ax.locator_params(axis="y", nbins=5)
    if share:
        drawing.percent_ticks(ax.yaxis)
        ax.set_ylabel("%", labelpad=0)


def _retrained(ax, t: np.ndarray, level: np.ndarray, values: np.ndarray, words: str) -> None:
    """Levels (R, T) of the retrained models, or an arrow to them where they are far from what is to be seen."""
    low, high = values.min(), values.max()
    reach = FAR * (high - low) or 0.05 * abs(high) or 0.05
    if low - reach <= level.mean() <= high + reach:
        drawing.retrained_band(ax, t, level.min(axis=0), level.mean(axis=0), level.max(axis=0))
        low, high = min(low, level.min()), max(high, level.max())
    pad = 0.08 * ((high - low) or reach)
    ax.set_ylim(low - pad, high + pad)
    if level.mean() < low - pad or level.mean() > high + pad:
        above = level.mean() > high
        ax.set_ylim(low - (pad if above else 3 * pad), high + (3 * pad if above else pad))
        place: dict[str, Any] = {"xy": (0.5, 0.98 if above else 0.02), "va": "top" if above else "bottom"}
        place |= {"ha": "center", "bbox": {"fc": "white", "ec": "none", "pad": 1}}
        text = f"{'↑' if above else '↓'} retrained {words}".replace("-", "−")
        ax.annotate(text, xycoords="axes fraction", color=PURPLE, fontsize=8, fontweight="bold", zorder=5, **place)


def _curve(ax, part, t: np.ndarray, values: np.ndarray, chord: np.ndarray) -> None:
    kind = part["curve"].iloc[0]
    ax.plot(t, chord, color=GREY, lw=1.0, ls=DASHED, zorder=2, label="chord")
    ax.plot(t, values, color=drawing.colour_of(kind), zorder=3, label="this path", **drawing.marks_of(kind, len(t), 5))


@drawing.style()
def correlation_figure(names: Sequence[str], own: np.ndarray, apart: np.ndarray, *, title=""):
    """How metrics' curves agree, in numbers: mean |rho| between two halves of the examples, on one path and on two.

    ``own`` (M, M) are `halves` of M metrics, ``apart`` is what `unrelated` paths give; nan stays grey.
    """
    drawing.check_some(names, "metrics")
    count = len(names)
    for one in (own, apart):
        if np.shape(one) != (count, count):
            raise BadInput(f"{count} metrics need matrices of {count} x {count}, got {np.shape(one)}.")
    off = ~np.eye(count, dtype=bool)
    fig, axes = panel_grid(1, 2, 1.9 + 0.38 * count, sharey=True)
    for ax, values, heading in (
        (axes[0, 0], own, "On one path, two halves of the examples"),
        (axes[0, 1], apart, "On two unrelated paths"),
    ):
        _matrix(ax, values)
        known = [part[np.isfinite(part)] for part in (np.diag(values), values[off])]
        means = [f"{part.mean():.2f}" if len(part) else "-" for part in known]
        ax.set_title(f"{heading}\nwith itself {means[0]}, with another {means[1]}", fontsize=9)
        ax.set_xticks(range(count), [metric_label(n) for n in names], rotation=90)
    axes[0, 0].set_yticks(range(count), [metric_label(n) for n in names])
    return settle_below(fig, title, "mean |ρ| of the excess over the chord, between row and column")


def _matrix(ax, shown: np.ndarray) -> None:
    """A heat map of numbers from 0 to 1, written into their cells."""
    import matplotlib.pyplot as plt

    colours = plt.get_cmap("Blues").with_extremes(bad=LIGHT)
    ax.imshow(np.ma.masked_invalid(shown), cmap=colours, vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(shown):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.65 else BLACK
            ax.text(x, y, f"{value:.2f}".replace("-", "−"), ha="center", va="center", fontsize=8, color=colour)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


@drawing.style()
def shapes_figure(table, summary, *, title: str = ""):
    """How far each metric ranges along connected paths and how it wavers: paths, mean over originals and interval.

    ``table`` is a `shapes_table`, ``summary`` its `shapes_summary`; a row per metric and in it a mark per group.
    """
    drawing.check_columns(table, ("metric", "group", *SHAPE_TITLES))
    drawing.check_columns(summary, ("metric", "group", "measure", "estimate", "low", "high"))
    looks = {SAME: (BLUE, "o"), APART: (VERMILLION, "s"), TWINNED: (GREY, "D")}
    names, groups = list(dict.fromkeys(table["metric"])), [g for g in looks if g in set(table["group"])]
    fig, axes = panel_grid(1, 3, 1.6 + 0.16 * len(names) * (1 + len(groups)), sharey=True)
    for ax, (measure, heading) in zip(axes[0], SHAPE_TITLES.items(), strict=True):
        for y, name in enumerate(names):
            for j, group in enumerate(groups):
                values = where(table, metric=name, group=group)[measure].to_numpy(float)
                found = where(summary, metric=name, group=group, measure=measure)
                found = found.assign(low=found["low"].clip(lower=0))
                dots_row(ax, y + 0.27 * (j - (len(groups) - 1) / 2), values, found, *looks[group], 0.1)
            ax.axhline(y - 0.5, color=LIGHT, lw=0.7 if y else 0, zorder=0)
        ends = np.r_[table[measure].to_numpy(float), where(summary, measure=measure)["high"].to_numpy(float)]
        linear = {"range": 1.0, "variation": 1.0, "roughness": 10.0}[measure]
        decades(ax, ends[np.isfinite(ends)], linear, inner=(0.5,))
        ax.set_xlabel(f"linear to {linear:g}, then log")
        ax.set_title(heading)
        ax.grid(axis="y", visible=False)
    text = f"C10's threshold, for the median metric ({WIDE:g})"
    axes[0, 0].axvline(WIDE, color=BLACK, lw=1.0, ls="--", label=text)
    drawing.name_rows(axes[0, 0], [metric_label(n) for n in names])
    keys = [entry(looks[g][1], looks[g][0], g, ls="-") for g in groups]
    return finish(fig, axes[0, 0], title, [*keys, dot_entry(GREY, "one path")])


@drawing.style()
def best_figure(table, summary, *, title: str = ""):
    """Whether an inner point, chosen on other examples, lies closer to retraining than both ends (C11).

    ``table`` is a `best_table`, ``summary`` its `best_summary`.
    """
    drawing.check_columns(table, ("method", "group", "end", "inner", "gain"))
    drawing.check_columns(summary, ("method", "estimate", "low", "high"))
    names, looks = list(summary["method"]), {SAME: (BLUE, "o"), APART: (VERMILLION, "s")}
    wide = {"width_ratios": [1, 1.15]}
    fig, axes = panel_grid(1, 2, max(3.4, 1.4 + 0.25 * len(names)), gridspec_kw=wide)
    left, right = axes[0]
    for group, (colour, marker) in looks.items():
        one = where(table, group=group)
        if len(one):
            left.plot(one["end"], one["inner"], marker, color=colour, ms=4.5, alpha=0.7, mew=0, label=group)
    values = np.r_[table["end"], table["inner"]]
    edge = values.min() - 0.05 * (np.ptp(values) or 0.02), values.max() + 0.05 * (np.ptp(values) or 0.02)
    left.plot(edge, edge, color=GREY, lw=1.0, ls=DASHED, zorder=1)
    left.set(xlim=edge, ylim=edge, xlabel="closeness at the better end (%)")
    left.set_ylabel("at the chosen inner point (%)")
    left.set_title("Test examples; above the line\nthe inner point wins", fontsize=9)
    for axis in (left.xaxis, left.yaxis):
        drawing.percent_ticks(axis)
    for y, name in enumerate(names):
        found, ours = where(summary, method=name), where(table, method=name)
        found = found.assign(**{c: 100 * found[c] for c in ("estimate", "low", "high")})
        look = looks[APART if " - " in name else SAME]
        dots_row(right, y, 100 * ours["gain"].to_numpy(float), found, *look)
    right.axvline(0, color=BLACK, lw=1.0)
    right.set_title("Gain over the better end,\nbounds for all rows at once", fontsize=9)
    right.set_xlabel("percentage points")
    right.grid(axis="y", visible=False)
    drawing.name_rows(right, [label_of(name) for name in names])
    return finish(fig, left, title, [dot_entry(GREY, "one path")])


def _walked(study: Study) -> list[Spec]:
    routes = [route for some in routes_along(study).values() for route in some]
    return [*profiles(study, routes), *references(study)]


ROOMS = (Room("07_metrics_along_the_path", None, _walked),)
