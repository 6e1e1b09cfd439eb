"""07: how every other metric goes along a connected path, and its best inner point (C9, C10, C11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..engine.specs import Spec
from ..engine.study import Study
from ..errors import BadInput
from ..measures import drawing
from ..measures.along import excess, excess_variation, roughness
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREY, LIGHT, entry, finish, label, panel_grid, where
from ..measures.intervals import LEVEL, percentile_interval, widened
from ..measures.metrics import METRICS
from . import judging
from .claims import CLAIMS, Verdict, spread
from .curriculum_and_order import curriculum, second_order
from .judging import controls_hold, judge_mean, judge_share, judged, nothing_found, sound, usable
from .panels import DASHED, SERIES, decades, dot_entry, dots_row, settle_below
from .room import Room
from .seeds import seeds
from .tables import Table, frame, grouped, means, stacked
from .walks import Walk, profiles, references

COPIES = ("UA", "RA", "TA")  # other names of accuracies: they would count one pattern twice
# One metric of each quantity, for C9: others are functions or variants of these, and near-copies raise any mean of rho
DISTINCT = ("accuracy_retain", "accuracy_forget", "accuracy_test", "zrf", "js_retrained_forget", "js_retrained_test")
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
SINGULAR = {"losses": "loss", "accuracies": "accuracy"}
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


def metric_curves(walk: Walk) -> Table:
    """One row per compared metric and t of one walk: value, excess over the chord, and that in units of its range.

    The range is largest minus smallest value along the path; a metric that does not vary has a scaled excess of nan.
    """
    parts, t = [], walk.profile.t
    for name, kind in kinds().items():
        values = walk.profile.metric(name)
        over, width = excess(values, t), np.ptp(values)
        scaled = over / width if width > 10.0**-DIGITS else np.full(len(t), np.nan)
        columns = {"kind": kind, "metric": name, "t": t, "value": values, "excess": over, "scaled": scaled}
        parts.append(frame(columns))
    return stacked(parts)


def rank_correlations(walk: Walk, names: Sequence[str] = ()) -> np.ndarray:
    """Spearman's rho (M, M) of the excesses over the chord, inner points only, of every two metrics.

    By default of all `compared`. nan where a metric does not vary or is not finite, and on the diagonal.
    """
    curves = {name: excess(walk.profile.metric(name), walk.profile.t)[1:-1] for name in names or compared()}
    known = {name: np.round(c, DIGITS) if np.isfinite(c).all() else np.nan for name, c in curves.items()}
    found = frame(known).corr("spearman").to_numpy(copy=True)
    np.fill_diagonal(found, np.nan)
    return found


def correlations(walks: Sequence[Walk]) -> tuple[np.ndarray, np.ndarray]:
    """Means over walks of rho and of |rho| (M, M) between `compared` metrics; nan where no walk has a value."""
    every = np.array([rank_correlations(w) for w in walks]).reshape(-1, len(compared()), len(compared()))
    signed, strength = (np.ma.masked_invalid(v).mean(axis=0).filled(np.nan) for v in (every, np.abs(every)))
    return signed, strength


def chance_correlation(points: int, draws: int = 4000) -> float:
    """Mean |rho| of two unrelated orders of so many points: what C9's statistic would be without any pattern."""
    rng = np.random.default_rng(0)
    if points < 2:
        return float("nan")
    order = rng.permuted(np.tile(np.arange(points, dtype=np.float64), (draws, 1)), axis=1)
    centred = np.arange(points) - (points - 1) / 2
    return float(np.abs((order - order.mean(axis=1, keepdims=True)) @ centred / (centred @ centred)).mean())


def shapes_table(walks: Sequence[Walk], gaps: Mapping[str, float]) -> Table:
    """One row per walk and compared metric: how far it ranges and how it wavers.

    ``range``: largest minus smallest value, in units of its original-to-retrained gap; nan where that gap is not told
    from chance. ``variation``: total variation minus net change, ``roughness``: root mean square of the second
    derivative in t (`along.roughness`), both in units of the range along the path; nan where nothing varies.
    """
    rows = []
    for w in walks:
        for name, kind in kinds().items():
            values = w.profile.metric(name)
            width = np.ptp(values)
            unit = width if width > 10.0**-DIGITS else np.nan
            shape = width / gaps.get(name, np.nan), excess_variation(values) / unit
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
        rows.append((one.method, gain, f"{one.better} of {one.n}"))
    return frame(rows, ["method", "gain, points of %", "paths that gain"], "method")


# Figures


def metric_label(name: str) -> str:
    """A metric's name as it stands in figures."""
    for start, word in SHORT.items():
        if name.startswith(start):
            return word + name.removeprefix(start)
    return WORDS.get(name, name.replace("_", " "))


@drawing.style()
def metrics_figure(table, losses, *, eps: float | None = None, title: str = ""):
    """Every metric's excess over its chord along one path, in units of its range there, a panel per kind.

    ``table`` is `metric_curves`, ``losses`` a `tables.excess_table` of the path, for a panel that shows whether it is
    connected, and ``eps`` the tolerance in units of G there.
    """
    drawing.check_columns(table, ("kind", "metric", "t", "scaled"))
    drawing.check_columns(losses, ("t", "retain_excess", "forget_excess"))
    names = list(dict.fromkeys(table["kind"]))
    rows = -(-(len(names) + 1) // 2)
    fig, axes = panel_grid(rows, 2, 1.0 + 1.75 * rows, sharex=True)
    _joined_panel(axes.flat[0], losses, eps)
    for ax, kind in zip(list(axes.flat)[1:], names, strict=False):
        _kind_panel(ax, kind, where(table, kind=kind))
    for ax in list(axes.flat)[len(names) + 1 :]:
        ax.set_axis_off()
    for ax in list(axes.flat)[max(0, len(names) - 1) : len(names) + 1]:
        ax.set_xlabel("t")
        ax.tick_params(labelbottom=True)
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return settle_below(fig, title)


def _kind_panel(ax, kind: str, part) -> None:
    """The excesses of one kind of metrics, in units of their ranges."""
    for (colour, marker), metric in zip(SERIES, dict.fromkeys(part["metric"]), strict=False):
        one, text = where(part, metric=metric), metric_label(metric)
        text = text.removeprefix(f"{SINGULAR.get(kind, kind)}, ").removesuffix(f", {kind.split()[-1]}")
        line = {"color": colour, "marker": marker, "markevery": max(1, (len(one) - 1) // 6), "ms": 3.4}
        if np.isfinite(one["scaled"]).all():
            ax.plot(one["t"], one["scaled"], label=text, **line)
        else:
            ax.plot([], [], label=f"{text} (flat)", **line)
    ax.axhline(0, color=GREY, lw=1.0, ls=DASHED, zorder=1)
    ax.set_ylim(-1.08, 1.08)
    ax.set_title(kind.capitalize() if kind.islower() else kind)
    ax.set_ylabel("excess / range")
    _legend_beside(ax)


def _legend_beside(ax) -> None:
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, handlelength=1.4, borderaxespad=0.3)


def _joined_panel(ax, losses, eps: float | None) -> None:
    """Retain and forget loss minus their chords, with the tolerance."""
    for (colour, marker), split in zip(SERIES, ("retain", "forget"), strict=False):
        every = max(1, (len(losses) - 1) // 6)
        line = {"color": colour, "marker": marker, "markevery": every, "ms": 3.4}
        ax.plot(losses["t"], losses[f"{split}_excess"], label=split, **line)
        if eps is not None:
            limit, word = (eps, "at most") if split == "retain" else (-eps, "at least")
            ax.axhline(limit, color=colour, lw=1.0, ls=":", zorder=1, label=f"{word} {limit:+g}")
    ax.axhline(0, color=GREY, lw=1.0, ls=DASHED, zorder=1, label="chord")
    drawing.widen(ax, 2.6 * (eps or 0.1))
    ax.set_title("The two losses of MCU")
    ax.set_ylabel("excess (G)")
    _legend_beside(ax)


@drawing.style()
def correlation_figure(names: Sequence[str], signed: np.ndarray, strength: np.ndarray, *, title: str = ""):
    """Heat map of how metrics' curves agree: mean rho below the diagonal, mean |rho| above it.

    ``signed`` and ``strength`` are the `correlations` (M, M) of M metrics; nan stays grey.
    """
    import matplotlib.pyplot as plt

    drawing.check_some(names, "metrics")
    count = len(names)
    if np.shape(signed) != (count, count) or np.shape(strength) != (count, count):
        raise BadInput(f"{count} metrics need matrices of {count} x {count}, got {np.shape(signed)}.")
    shown = np.where(np.tri(count, k=-1, dtype=bool), signed, strength)
    np.fill_diagonal(shown, np.nan)
    fig, axes = panel_grid(1, 1, 1.9 + 0.27 * count)
    ax = axes[0, 0]
    colours = plt.get_cmap("RdBu_r").with_extremes(bad=LIGHT)
    image = ax.imshow(np.ma.masked_invalid(shown), cmap=colours, vmin=-1, vmax=1, aspect="auto")
    ax.plot([-0.5, count - 0.5], [-0.5, count - 0.5], color=BLACK, lw=0.8)
    ax.set_xticks(range(count), [metric_label(n) for n in names], rotation=90)
    ax.set_yticks(range(count), [metric_label(n) for n in names])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = fig.colorbar(image, ax=ax, fraction=0.035, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_label("rank correlation of the excesses over the chord")
    bar.outline.set_visible(False)
    words = "below the diagonal: mean of ρ over paths; above: mean of |ρ|, which C9 averages; grey: no value"
    return settle_below(fig, title, words)


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
    return [*profiles(study, [*seeds(study), *curriculum(study), *second_order(study)]), *references(study)]


ROOMS = (Room("07_metrics_along_the_path", None, _walked, {"C9": c9, "C10": c10, "C11": c11}, WALKED),)
