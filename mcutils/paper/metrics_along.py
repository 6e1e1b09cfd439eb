"""07: how every other metric goes along a connected path, and its best inner point (C9, C10, C11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ..engine.specs import Spec
from ..engine.study import Study
from ..errors import BadInput
from ..measures import drawing
from ..measures.along import excess, excess_variation, roughness
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREY, LIGHT, PURPLE, entry, finish, label, panel_grid, where
from ..measures.intervals import LEVEL, percentile_interval, widened
from ..measures.metrics import METRICS
from . import judging, tables
from .claims import CLAIMS, Verdict, spread
from .curriculum_and_order import curriculum, second_order
from .judging import controls_hold, judge_mean, judge_share, judged, nothing_found, sound, usable
from .method_pairs import methods
from .panels import DASHED, SERIES, SHOWN, decades, dot_entry, dots_row, settle_below
from .room import Room
from .seeds import seeds
from .tables import Table, floor_text, frame, grouped, means, stacked
from .walks import Walk, levels, profiles, references

COPIES = ("UA", "RA", "TA")  # other names of accuracies: they would count one pattern twice
# One metric of each quantity, for C9: others are functions or variants of these, and near-copies raise any mean of rho
DISTINCT = ("accuracy_retain", "accuracy_forget", "accuracy_test", "zrf", "js_retrained_forget", "js_retrained_test")
DRAWN = (
    "loss_retain",
    *DISTINCT[:3],
    "loss_forget",
    *DISTINCT[3:],
)  # of one path, in two rows
LEAST_GAP = 0.05  # of a metric, original to retrained, above which it tells them apart
NEAR = 0.1  # of mean |rho|, within which two means of it are called alike
FAR = 2.0  # ranges of a metric along a path, at which its retrained models are named rather than drawn
DIGITS = 9  # to which a metric's excess is rounded before it is ranked, so that rounding makes no ranks
BEST = ["method", "other", "condition", "curve", "pair", "node_a", "node_b", "t", "end", "inner", "gain"]
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
    "range": "Range\n(in its own gap)",
    "variation": "Excess variation\n(in its range)",
    "roughness": "Roughness\n(in its range)",
}


# The tests of the claims


def joined(walks: Sequence[Walk], eps: float = TOLERANCE) -> list[Walk]:
    """The sound walks that satisfy MCU(eps) and were traced finely enough to compare metrics along them."""
    found = [w for w in sound(walks) if "score/test" in w.profile.arrays]
    full = max((len(w.profile.t) for w in found), default=0)
    return [w for w in found if len(w.profile.t) == full and w.connected(eps)]


def pattern_correlation(walk: Walk) -> float:
    """Mean |Spearman rho| of the excesses over the chord of every two of `DISTINCT` that vary on a path, or nan."""
    found = np.abs(rank_correlations(walk, DISTINCT)[np.triu_indices(len(DISTINCT), 1)])
    return float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else np.nan


def c9(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C9: mean |rank correlation| of two distinct metrics' excesses over the chord along one MCU(eps) path."""
    kept = joined(walks, eps)
    return judge_mean("C9", kept, [pattern_correlation(w) for w in kept], None, level, controls_hold(walks))


def telling_gaps(original: Mapping[str, float], retrained: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metrics whose original-to-retrained gap exceeds five times the retrained models' spread, with that gap.

    Five is one over the threshold of C10: a range that exceeds it then also exceeds what seeds do to the metric.
    """
    found, least = {}, 1 / CLAIMS["C10"].threshold
    for name in METRICS:
        values = np.array([one[name] for one in retrained])
        gap = abs(original[name] - values.mean())
        if name not in (*COPIES, "loss_retain", "loss_forget") and gap > least * values.std(ddof=1) > 0:
            found[name] = float(gap)
    return found


def telling(study: Study) -> dict[int, dict[str, float]]:
    """`telling_gaps` above `LEAST_GAP` of each original model, which the declared test of C10 reads, by original."""
    found = {original: telling_gaps(*levels(study, original)) for original in study.originals}
    return {o: {name: gap for name, gap in gaps.items() if gap > LEAST_GAP} for o, gaps in found.items()}


def widest_range(walk: Walk, gaps: Mapping[str, float]) -> float:
    """Widest range of a metric along a path, in units of its original-to-retrained gap."""
    return max(float(np.ptp(walk.profile.metric(name))) / gap for name, gap in gaps.items())


def c10(walks: Sequence[Walk], gaps: Mapping[str, float], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C10: median over MCU(eps) paths of the widest metric range, in units of its original-to-retrained gap."""
    kept = joined(walks, eps)
    if not kept or not gaps:
        return nothing_found("C10")
    values = np.array([widest_range(w, gaps) for w in kept])
    nodes, rng = judging.nodes_of(kept), np.random.default_rng(0)
    names = np.unique(nodes)
    redrawn: list[float] = []
    while len(redrawn) < 2000:
        times = dict(zip(*np.unique(rng.choice(names, len(names)), return_counts=True), strict=True))
        weights = [times.get(a, 0) * times.get(b, 0) for a, b in nodes]
        if sum(weights):
            redrawn.append(np.median(np.repeat(values, weights)))
    found = percentile_interval(float(np.median(values)), np.array(redrawn), level)
    found = widened(found, values, judging.units_of(kept), level, (0.0, np.inf), np.median)
    return judged("C10", judging.decisive(found, (0.0, np.inf)), kept, controls_hold(walks))


def best_inner(walk: Walk) -> tuple[float, float]:
    """The inner t that is closest to retraining on the examples to choose by, and how much closer it is than the better
    end on the examples to test on."""
    choose, test = (walk.profile.arrays[f"score/{part}"] for part in ("choose", "test"))
    k = 1 + int(np.argmax(choose[1:-1]))
    return float(walk.profile.t[k]), float(test[k] - max(test[0], test[-1]))


def c11(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C11: share of MCU(eps) paths whose inner point, chosen on validation, beats both ends on test."""
    kept = joined(walks, eps)
    return judge_share("C11", kept, [best_inner(w)[1] > 0 for w in kept], None, level, controls_hold(walks))


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

    A path that several experiments hold counts once. Compared are `metrics_along.joined`, traced at all points.
    """
    kept = {id(w) for w in joined(walks, eps)}
    rows = []
    for (condition, curve), part in grouped(sound(walks), "condition", "kind").items():
        connected = sum(w.connected(eps) for w in part)
        rows.append((condition, curve, len(part), connected, sum(id(w) in kept for w in part)))
    columns = ["condition", "curve", "paths", f"MCU({eps:g})", "compared"]
    return frame(rows, columns, ["condition", "curve"])


def shown_walk(walks: Sequence[Walk], eps: float = TOLERANCE) -> tuple[Walk, str]:
    """A path to draw and what it stands for: of the compared paths the one whose patterns agree as the median does.

    Where nothing is connected it is the sound walk with the smallest eps. Raises `BadInput` without any sound walk.
    """
    ours = [w for w in joined(walks, eps) if np.isfinite(pattern_correlation(w))]
    if ours:
        agreement = np.array([pattern_correlation(w) for w in ours])
        middle = np.argsort(agreement, kind="stable")[(len(ours) - 1) // 2]
        return ours[middle], f"the median of {len(ours)} connected paths by how far its metrics agree"
    ours = [w for w in usable(walks) if np.isfinite(w.eps)]
    if not ours:
        raise BadInput("no walk between sound endpoints is left to draw.")
    return min(ours, key=lambda w: w.eps), f"no path satisfies MCU({eps:g}); this one comes nearest"


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
    """What a drawn path is, and its own value of C9's statistic."""
    condition = SHOWN.get(walk.condition, walk.condition)
    names = f"{label(walk.method)}, {condition}, {label(walk.kind)}, seeds {walk.start} and {walk.end}"
    return f"{names}: mean |ρ| of the six {pattern_correlation(walk):.2f}"


def rank_correlations(walk: Walk, names: Sequence[str] = ()) -> np.ndarray:
    """Spearman's rho (M, M) of the excesses over the chord, inner points only, of every two metrics.

    By default of all `compared`. nan where a metric does not vary or is not finite, and on the diagonal.
    """
    curves = {name: excess(walk.profile.metric(name), walk.profile.t)[1:-1] for name in names or compared()}
    known = {name: np.round(c, DIGITS) if np.isfinite(c).all() else np.nan for name, c in curves.items()}
    found = frame(known).corr("spearman").to_numpy(copy=True)
    np.fill_diagonal(found, np.nan)
    return found


def correlations(walks: Sequence[Walk], names: Sequence[str] = DISTINCT) -> tuple[np.ndarray, np.ndarray]:
    """Means over walks of rho and of |rho| (M, M) between metrics; nan where no walk has a value."""
    every = np.array([rank_correlations(w, names) for w in walks]).reshape(-1, len(names), len(names))
    signed, strength = (np.ma.masked_invalid(v).mean(axis=0).filled(np.nan) for v in (every, np.abs(every)))
    return signed, strength


def crossed(walks: Sequence[Walk], names: Sequence[str] = DISTINCT) -> np.ndarray:
    """|rho| (M, M, P, P) of one metric's excess on one path and another's on another, P paths of as many points.

    At [a, b, p, q] that of metric a on path p and metric b on path q, so that [a, b, p, p] is of one path; nan where a
    metric does not vary or is not finite.
    """
    if not walks:
        return np.empty((len(names), len(names), 0, 0))
    values = np.array([[excess(w.profile.metric(name), w.profile.t)[1:-1] for name in names] for w in walks])
    values, shape = np.round(values, DIGITS), values.shape
    values[~np.isfinite(values).all(axis=-1)] = 0.0  # without ranks, as what does not vary
    ranks = frame(values.reshape(-1, shape[-1])).rank(axis=1).to_numpy().reshape(shape) - (shape[-1] + 1) / 2
    size = np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
    unit = np.divide(ranks, size, out=np.full(shape, np.nan), where=size > 0)
    return np.abs(np.einsum("pat,qbt->abpq", unit, unit))


def unrelated(walks: Sequence[Walk], names: Sequence[str] = DISTINCT) -> np.ndarray:
    """Mean |rho| (M, M) of two metrics over all pairs of different paths: what two metrics of unrelated paths give."""
    apart = crossed(walks, names)[:, :, ~np.eye(len(walks), dtype=bool)]
    found = np.ma.masked_invalid(apart).mean(axis=-1).filled(np.nan)
    np.fill_diagonal(found, np.nan)
    return found


def exchanged_correlations(walks: Sequence[Walk], draws: int = 200, seed: int = 0) -> np.ndarray:
    """C9's statistic (draws,) where each metric of a path is another path's: each metric's paths are drawn anew.

    A mean over paths of the mean |rho| of two of `DISTINCT`, as `c9` has it.
    """
    every, rng, count = crossed(walks), np.random.default_rng(seed), len(walks)
    found = []
    for _ in range(draws if count else 0):
        rows = [rng.permutation(count) for _ in DISTINCT]
        pairs = [every[a, b, rows[a], rows[b]] for a, b in combinations(range(len(DISTINCT)), 2)]
        per_path = np.ma.masked_invalid(pairs).mean(axis=0).filled(np.nan)
        found.append(np.nanmean(per_path) if np.isfinite(per_path).any() else np.nan)
    return np.array(found)


def calibration_text(walks: Sequence[Walk], draws: int = 200) -> str:
    """C9's number beside that of metrics of unrelated paths and of random orders, and what its threshold is worth."""
    own = [v for w in walks if np.isfinite(v := pattern_correlation(w))]
    if len(own) < 2:
        return "Fewer than two connected paths: there is no other path to take a metric from."
    null, edge = exchanged_correlations(walks, draws), CLAIMS["C9"].threshold
    side = "below" if edge < null.mean() else "above"
    points = len(walks[0].profile.t) - 2
    return (
        f"Mean |ρ| of two of the six metrics on one path: **{np.mean(own):.3f}** ({len(own)} paths). The same where "
        f"each metric of a path is taken from another path: **{null.mean():.3f}** (standard deviation {null.std():.3f} "
        f"over {draws} draws). Smooth curves of few bends rise and fall together whatever they measure; orders at "
        f"random would have {chance_correlation(points):.2f}. **C9's threshold of {edge:g} lies {side} what unrelated "
        f"paths give: it was not calibrated.** What the metrics of one path have in common is the difference, "
        f"{np.mean(own) - null.mean():+.3f}."
    )


def chance_correlation(points: int, draws: int = 4000) -> float:
    """Mean |rho| of two unrelated orders of so many points: what C9's statistic would be without any pattern."""
    rng = np.random.default_rng(0)
    if points < 2:
        return float("nan")
    order = rng.permuted(np.tile(np.arange(points, dtype=np.float64), (draws, 1)), axis=1)
    centred = np.arange(points) - (points - 1) / 2
    return float(np.abs((order - order.mean(axis=1, keepdims=True)) @ centred / (centred @ centred)).mean())


def shapes_table(walks: Sequence[Walk], gaps: Mapping[str, float]) -> Table:
    """One row per walk and metric whose original-to-retrained gap is told from chance: its range and how it wavers.

    ``range``: largest minus smallest value, in units of that gap. ``variation``: total variation minus net change,
    ``roughness``: root mean square of the second derivative in t (`along.roughness`), both in units of the range along
    the path; nan where nothing varies.
    """
    rows = []
    for w in walks:
        for name, kind in kinds().items():
            if name not in gaps:
                continue
            values = w.profile.metric(name)
            width = np.ptp(values)
            unit = width if width > 10.0**-DIGITS else np.nan
            shape = width / gaps[name], excess_variation(values) / unit
            bend = np.sqrt(roughness(values, w.profile.t)) / unit
            rows.append((kind, name, w.method, w.kind, w.pair, *w.nodes, *shape, bend))
    return frame(rows, ["kind", "metric", "method", "curve", "pair", "node_a", "node_b", *SHAPE_TITLES])


def shapes_summary(table: Table) -> Table:
    """Mean and interval over paths of each column of a `shapes_table`, per metric."""
    return stacked([means(table, shape, ["metric"]).assign(measure=shape) for shape in SHAPE_TITLES])


def metric_summary(original: Mapping[str, float], retrained: Sequence[Mapping[str, float]], summary: Table) -> Table:
    """Per metric: original and retrained models' values, the gap where it is told from chance, and its shapes."""
    gaps = telling_gaps(original, retrained)
    cells = {(one.metric, one.measure): one for one in summary.itertuples()}
    rows = []
    for name, kind in kinds().items():
        values = np.array([one[name] for one in retrained])
        row = {"kind": kind, "metric": name, "original": f"{original[name]:.3f}"}
        row["retrained"] = f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
        row["gap"] = f"{gaps[name]:.3f}" if name in gaps else "-"
        for shape in SHAPE_TITLES:
            one = cells.get((name, shape))
            row[shape] = spread((one.estimate, one.low, one.high), 2) if one is not None and one.n else "-"
        rows.append(row)
    return frame(rows, index=["kind", "metric"])


def widest_table(walks: Sequence[Walk], gaps: Mapping[str, float]) -> Table:
    """Per metric with a told gap: the gap, the median range over paths, on how many paths it is the widest (C10)."""
    import pandas as pd

    ranges = {name: [np.ptp(w.profile.metric(name)) / gap for w in walks] for name, gap in gaps.items()}
    table = pd.DataFrame(ranges, index=range(len(walks)), columns=list(gaps), dtype=float)
    widest = table.idxmax(axis=1) if len(table) and len(gaps) else pd.Series(dtype=object)
    counts = [int((widest == name).sum()) for name in gaps]
    found = {"gap": list(gaps.values()), "median range": table.median().to_list(), "widest on": counts}
    order = np.argsort([-v for v in found["median range"]], kind="stable")
    return pd.DataFrame(found, index=pd.Index(list(gaps), name="metric")).iloc[order].round(3)


def widest_text(walks: Sequence[Walk], gaps: Mapping[str, float]) -> str:
    """C10's statistic, and the same from metrics of the forget set alone, whose gaps are what there is to forget."""
    if not walks or not gaps:
        return "No connected path, or no metric whose gap is told from chance: there is no range to give."
    told = {name: gap for name, gap in gaps.items() if "forget" in METRICS[name].splits}
    parts = [f"Median over {len(walks)} connected paths of the widest range of {len(gaps)} metrics: "]
    parts.append(f"**{np.median([widest_range(w, gaps) for w in walks]):.2f}** of its gap")
    if told:
        only = np.median([widest_range(w, told) for w in walks])
        parts.append(f"; of the {len(told)} that read the forget set alone or with others: **{only:.2f}**")
    return "".join(parts) + "."


def best_table(walks: Sequence[Walk]) -> Table:
    """One row per path: the inner t chosen on one half of the examples and the closeness there on the other (C11).

    Closeness is 1 minus the mean distance of three accuracies to the retrained models' (`profiles.closeness`). ``end``
    is that of the better end, ``inner`` that of the chosen point, both on test examples, ``gain`` their difference.
    """
    rows = []
    for w in walks:
        t, gain = best_inner(w)
        end = float(max(w.profile.arrays["score/test"][[0, -1]]))
        rows.append((w.method, w.other, w.condition, w.kind, w.pair, *w.nodes, t, end, end + gain, gain))
    return frame(rows, BEST)


def best_summary(table: Table) -> Table:
    """Per method: mean gain of the chosen inner point in points of %, its interval, and how many paths gain."""
    found = means(table, "gain", ["method"], (-np.inf, np.inf), estimate="gain")
    better = (table["gain"] > 0).groupby(table["method"], sort=False).sum()
    return found.assign(better=better.to_numpy(int))


def best_text(table: Table) -> str:
    """How many chosen inner points beat both ends, and where they lie, in a sentence."""
    if not len(table):
        return "No connected path: there is no inner point to choose."
    better, share = int((table["gain"] > 0).sum()), 100 * table["t"].between(0.25, 0.75).mean()
    return (
        f"{better} of {len(table)} chosen inner points are closer to retraining than both ends; "
        f"{share:.0f} % of the chosen t lie between 0.25 and 0.75."
    )


def best_shown(summary: Table) -> Table:
    """A `best_summary` to be read: gains in points of %."""
    rows = []
    for one in summary.itertuples():
        gain = spread([100 * v for v in (one.gain, one.low, one.high)], 2)
        rows.append((label(one.method), gain, f"{one.better} of {one.n}"))
    return frame(rows, ["method", "gain, points of %", "paths that gain"], "method")


def answer_text(
    walks: Sequence[Walk], gaps: Mapping[str, float], best: Table, *, eps: float = TOLERANCE, draws: int = 200
) -> str:
    """What was expected of metrics along connected paths, what was found, and what follows, in Markdown.

    ``walks`` are all that were walked, with levels; ``gaps`` are `telling_gaps`, ``best`` is the `best_table`.
    """
    kept, edge = joined(walks, eps), CLAIMS["C10"].threshold
    expected = (
        "Were all metrics one quantity, |ρ| would be near 1; were a path a set of equal models, none would range."
    )
    if not kept:
        return tables.answer_text(expected, "No connected path to compare.", "Nothing can be said.")
    own = np.array([v for w in kept if np.isfinite(v := pattern_correlation(w))] or [np.nan]).mean()
    wide = sum(widest_range(w, gaps) > edge for w in kept) if gaps else 0
    better = int((best["gain"] > 0).sum())
    apart = exchanged_correlations(kept, draws).mean()
    near = "hardly more than" if abs(own - apart) < NEAR else "more than" if own > apart else "less than"
    found = (
        f"Two metrics of one path have a mean |ρ| of {own:.2f}, two of unrelated paths {apart:.2f}. On {wide} of "
        f"{len(kept)} connected paths some metric ranges over more than {edge:g} of its gap, the difference of the two "
        f"ends included. On {better} of {len(best)} the chosen inner point beats both ends. {floor_text(walks, eps)}"
    )
    so = (
        f"Metrics of one path agree {near} those of unrelated paths. Low loss along a path does not make its models "
        f"equal, and a better model inside is found on some paths only. Which paths count hangs on the reading."
    )
    return tables.answer_text(expected, found, so)


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
def correlation_figure(names: Sequence[str], signed: np.ndarray, strength: np.ndarray, apart: np.ndarray, *, title=""):
    """How metrics' curves agree, in numbers: mean rho below and mean |rho| above the diagonal, of one path and of two.

    ``signed`` and ``strength`` are the `correlations` (M, M) of M metrics, ``apart`` is what `unrelated` paths give;
    nan stays grey.
    """
    drawing.check_some(names, "metrics")
    count = len(names)
    for one in (signed, strength, apart):
        if np.shape(one) != (count, count):
            raise BadInput(f"{count} metrics need matrices of {count} x {count}, got {np.shape(one)}.")
    upper, lower = np.triu(np.ones((count, count), dtype=bool), 1), np.tri(count, k=-1, dtype=bool)
    fig, axes = panel_grid(1, 2, 1.9 + 0.38 * count, sharey=True)
    left, right = axes[0]
    for ax, sizes, heading in (
        (left, strength, "On one path: ρ below, |ρ| above"),
        (right, apart, "On unrelated paths: |ρ|"),
    ):
        _matrix(ax, np.where(upper, sizes, np.where(lower & (ax is left), signed, np.nan)))
        known = sizes[upper & np.isfinite(sizes)]
        ax.set_title(f"{heading}, mean {known.mean():.2f}" if len(known) else heading, fontsize=9)
        ax.set_xticks(range(count), [metric_label(n) for n in names], rotation=90)
    axes[0, 0].set_yticks(range(count), [metric_label(n) for n in names])
    return settle_below(fig, title)


def _matrix(ax, shown: np.ndarray) -> None:
    """A heat map of numbers from -1 to 1, written into their cells."""
    import matplotlib.pyplot as plt

    colours = plt.get_cmap("RdBu_r").with_extremes(bad=LIGHT)
    ax.imshow(np.ma.masked_invalid(shown), cmap=colours, vmin=-1, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(shown):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.65 else BLACK
            ax.text(x, y, f"{value:.2f}".replace("-", "−"), ha="center", va="center", fontsize=8, color=colour)
    ax.plot([-0.5, len(shown) - 0.5], [-0.5, len(shown) - 0.5], color=BLACK, lw=0.8)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


@drawing.style()
def shapes_figure(table, summary, *, threshold: float | None = None, title: str = ""):
    """How far each metric ranges along connected paths and how it wavers: paths, mean and interval, a row per metric.

    ``table`` is a `shapes_table`, ``summary`` its `shapes_summary`; ``threshold`` is that of C10, in units of the gap.
    """
    drawing.check_columns(table, ("kind", "metric", *SHAPE_TITLES))
    drawing.check_columns(summary, ("metric", "measure", "estimate", "low", "high"))
    kinds = dict(zip(table["metric"], table["kind"], strict=True))
    names = list(kinds)
    fig, axes = panel_grid(1, 3, 1.5 + 0.24 * len(names), sharey=True)
    for ax, (measure, heading) in zip(axes[0], SHAPE_TITLES.items(), strict=True):
        for y, name in enumerate(names):
            values = where(table, metric=name)[measure].to_numpy(float)
            found = where(summary, metric=name, measure=measure)
            dots_row(ax, y, values, found, BLUE, "o")
        ends = np.r_[table[measure].to_numpy(float), where(summary, measure=measure)["high"].to_numpy(float)]
        linear = {"range": 1.0, "variation": 1.0, "roughness": 10.0}[measure]
        decades(ax, ends, linear, inner=(0.5,))
        ax.set_xlabel(f"linear to {linear:g}, then log")
        for y in range(1, len(names)):
            ax.axhline(y - 0.5, color=GREY, lw=0.6 if kinds[names[y]] != kinds[names[y - 1]] else 0, zorder=0)
        ax.set_title(heading)
        ax.grid(axis="y", visible=False)
    if threshold is not None:
        text = f"threshold of C10, for the widest metric ({threshold:g})"
        axes[0, 0].axvline(threshold, color=BLACK, lw=1.0, ls="--", label=text)
    drawing.name_rows(axes[0, 0], [metric_label(n) for n in names])
    keys = [entry("o", BLUE, "mean over paths, 95 % interval", ls="-"), dot_entry(BLUE, "one path")]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def best_figure(table, summary, *, title: str = ""):
    """Whether an inner point, chosen on other examples, lies closer to retraining than both ends (C11).

    ``table`` is a `best_table`, ``summary`` its `best_summary`.
    """
    drawing.check_columns(table, ("method", "curve", "end", "inner", "gain"))
    drawing.check_columns(summary, ("method", "gain", "low", "high"))
    methods = list(summary["method"])
    fig, axes = panel_grid(1, 2, max(3.4, 1.4 + 0.32 * len(methods)))
    left, right = axes[0]
    for k, method in enumerate(methods):
        one, (colour, marker) = where(table, method=method), SERIES[k % len(SERIES)]
        left.plot(one["end"], one["inner"], marker, color=colour, ms=5, alpha=0.8, mew=0, label=label(method))
    values = np.r_[table["end"], table["inner"]]
    edge = values.min() - 0.05 * (np.ptp(values) or 0.02), values.max() + 0.05 * (np.ptp(values) or 0.02)
    left.plot(edge, edge, color=GREY, lw=1.0, ls=DASHED, zorder=1)
    left.set(xlim=edge, ylim=edge, xlabel="closeness to retraining at the better end (%)")
    left.set_ylabel("at the chosen inner point (%)")
    left.set_title("Test examples; above the line the inner point wins", fontsize=8.5)
    for axis in (left.xaxis, left.yaxis):
        drawing.percent_ticks(axis)
    for y, method in enumerate(methods):
        found = where(summary, method=method).rename(columns={"gain": "estimate"})
        found = found.assign(**{c: 100 * found[c] for c in ("estimate", "low", "high")})
        colour, marker = SERIES[y % len(SERIES)]
        dots_row(right, y, 100 * where(table, method=method)["gain"].to_numpy(float), found, colour, marker)
    right.axvline(0, color=BLACK, lw=1.0)
    right.set_title("Gain over the better end")
    right.set_xlabel("points of %; mean, 95 % interval, paths")
    right.grid(axis="y", visible=False)
    drawing.name_rows(right, methods)
    return finish(fig, left, title)


# The paths that earlier rooms walk, at all points
WALKED = ("02_seeds", "03_curriculum", "04_second_order")


def _walked(study: Study) -> list[Spec]:
    routes = [*seeds(study), *curriculum(study), *second_order(study)]
    if study.preset.originals:  # paths between methods too, and of all only what is walked at all points
        routes = [r for r in (*routes, *methods(study)) if not r.points]
    return [*profiles(study, routes), *references(study)]


ROOMS = (Room("07_metrics_along_the_path", None, _walked, {"C9": c9, "C10": c10, "C11": c11}, WALKED),)
