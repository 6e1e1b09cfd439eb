"""Figures of how conditions differ: curricula, second order, pairs of methods, sizes of the forget set.

One function per figure, tables of `condition_tables` in, a matplotlib Figure out, in the style of `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from .condition_tables import MEASURES, SPAN, directed, pair_matrix
from .measures.connectivity import TOLERANCE
from .measures.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    VERMILLION,
    check_columns,
    check_some,
    chord_and_tolerance,
    colour_of,
    entry,
    excess_panels,
    finish,
    finish_excess,
    interval_row,
    kinds_of,
    label,
    marker_of,
    marks_of,
    name_rows,
    panel_grid,
    style,
    where,
    widen,
)
from .measures.similarity import SIMILARITIES
from .verdicts import CHANGE

# Conditions in words; colours and markers by their place in a figure, the reference (two seeds) grey and first.
SHOWN = {
    "random": "two seeds",
    "random_in_cl": "both with curriculum",
    "random_in_so": "both second order",
    "cl-non_cl": "curriculum – none",
    "fo-so": "first – second order",
    "method": "both plain",
    "method_in_cl": "both with\ncurriculum",
    "method_in_so": "both second\norder",
    "method_cl-non_cl": "row with\ncurriculum",
    "method_fo-so": "column second\norder",
}
# The same where nothing has rows and columns.
PLAIN = {"method_cl-non_cl": "first with\ncurriculum", "method_fo-so": "other one\nsecond order"}
PLACES = ((GREY, "o"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"))
HEADINGS = {"barrier": "retain barrier", "deficit": "forget deficit", "eps": "smallest eps"}
ALIKE = {"js": "JS divergence (bits)", "cka": "CKA", "cka_unbiased": "CKA, unbiased"}
NUMBERS = 9  # methods up to which a cell has room for its number
COOL, WARM = ("#08306B", "#2A6FB0", "#9CC7E6", "#EAF3FA"), ("#FDEBD6", "#F5A65B", "#C4500A", "#6B2100")
EMPTY = "#ECECEC"
DOTTED = (0, (1, 1.2))
# Rows of several markers each: slighter than those of one.
_spread_row = partial(interval_row, below=0.09, dot=2.6, faint=0.55, line=1.4, mark=5, edge=0.6, over=3)
LEAST = 0.01  # G: an axis that is linear to the tolerance shows no more than this of nothing


def conditions_figure(table, summary, conditions: Sequence[str], *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier and forget deficit of each condition side by side: a row per method, a row of panels per curve.

    Args:
        table: `condition_table`, the pairs.
        summary: `condition_summary`, means and intervals.
        conditions: in the order of the markers, the reference first.
        threshold: tolerance in G; the axes are linear up to it and logarithmic beyond.
        title: over the figure.
    """
    check_columns(table, ("condition", "method", "curve", "barrier", "deficit"))
    methods, kinds = list(dict.fromkeys(table["method"])), kinds_of(table)
    with style():
        fig, axes = panel_grid(len(kinds), 2, 1.0 + len(kinds) * (0.5 + 0.4 * len(methods)), sharey=True, sharex="col")
        for row, kind in zip(axes, kinds, strict=True):
            for ax, measure in zip(row, ("barrier", "deficit"), strict=True):
                for y, method in enumerate(methods):
                    for k, condition in enumerate(conditions):
                        height = y + 0.26 * (k - (len(conditions) - 1) / 2)
                        here = {"condition": condition, "method": method, "curve": kind}
                        pairs, found = where(table, **here)[measure], where(summary, **here, measure=measure)
                        _spread_row(ax, height, pairs, found, *PLACES[k])
                _bands(ax, len(methods))
                ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
                ax.set_title(f"{label(kind)}: {HEADINGS[measure]}")
                ax.grid(axis="y", visible=False)
        for ax, measure in zip(axes[-1], ("barrier", "deficit"), strict=True):
            _signed_log(ax, np.r_[table[measure], where(summary, measure=measure)["high"]], threshold)
            ax.set_xlabel(f"{HEADINGS[measure]} (G): linear to {threshold:g}, then log")
        name_rows(axes[0, 0], methods)
        keys = [entry(m, c, SHOWN.get(n, n), ls="-") for n, (c, m) in zip(conditions, PLACES, strict=False)]
        finish(fig, axes[0, 0], title, [*keys, entry("o", GREY, "one pair", ms=3)])
    return fig


def changes_figure(table, *, edge: float = CHANGE, linear: float = TOLERANCE, title: str = ""):
    """Change of the smallest eps against ``random`` over the same pairs: a row per method, a panel per condition.

    Args:
        table: `changes_table`.
        edge: change in G that counts as help (left) or harm (right); between them is shaded.
        linear: the axis is linear up to it and logarithmic beyond, on both sides.
        title: over the figure.
    """
    check_columns(table, ("condition", "method", "curve", "change", "low", "high"))
    methods, conditions, kinds = (list(dict.fromkeys(table[c])) for c in ("method", "condition", "curve"))
    kinds = kinds_of(table)
    with style():
        fig, axes = panel_grid(1, len(conditions), 1.3 + 0.34 * len(methods), sharey=True, sharex=True)
        for ax, condition in zip(axes[0], conditions, strict=True):
            for y, method in enumerate(methods):
                for j, kind in enumerate(kinds):
                    found = where(table, condition=condition, method=method, curve=kind)
                    found = found.rename(columns={"change": "estimate"})
                    height = y + 0.34 * (j - (len(kinds) - 1) / 2)
                    _spread_row(ax, height, (), found, colour_of(kind), marker_of(kind))
            _bands(ax, len(methods))
            ax.axvspan(-edge, edge, color=LIGHT, lw=0, zorder=0.5, label=f"neither (within {edge:g} G)")
            ax.axvline(0, color=BLACK, lw=0.8)
            ax.set_title(SHOWN.get(condition, condition))
            ax.set_xlabel("← helps      change of smallest eps (G)      harms →", fontsize=8)
            ax.grid(axis="y", visible=False)
        _signed_log(axes[0, 0], table[["change", "low", "high"]].to_numpy(float), linear)
        name_rows(axes[0, 0], methods)
        keys = [entry(marker_of(k), colour_of(k), f"{label(k)}: mean, 95 % interval", ls="-") for k in kinds]
        finish(fig, axes[0, 0], title, keys)
    return fig


def crossing_figure(table, across: str, *, eps: float = TOLERANCE, columns: int = 4, title: str = ""):
    """Excess over the chord along t where the condition is crossed, with the mean of two seeds; two panels per method.

    Args:
        table: `along_table` of the condition and of ``random``.
        across: the condition drawn thick, its pairs thin; of ``random`` only the mean, dotted.
        eps: tolerance in G, shaded; retain loss should stay below its upper and forget loss above its lower edge.
        columns: methods side by side.
        title: over the figure.
    """
    check_columns(table, ("condition", "method", "pair", "curve", "t", "retain_excess", "forget_excess"))
    ours, base = where(table, condition=across), where(table, condition="random")
    check_some(ours, f"walks of {across}")
    methods = list(dict.fromkeys(ours["method"]))
    with style():
        fig, panels = excess_panels(methods, columns)
        for ax, method, split, _ in panels:
            _along_panel(ax, where(ours, method=method), where(base, method=method), f"{split}_excess", eps)
        dotted = entry("", GREY, "two seeds, mean", ls=DOTTED)
        keys = [entry(marker_of(kind), colour_of(kind), label(kind), ls="-") for kind in kinds_of(ours)]
        finish_excess(fig, title, [*keys, dotted])
    return fig


def _along_panel(ax, ours, base, column: str, eps: float) -> None:
    for kind in kinds_of(ours):
        colour, rows = colour_of(kind), where(ours, curve=kind)
        for _, one in rows.groupby("pair", sort=False):
            ax.plot(one["t"], one[column], color=colour, lw=0.7, alpha=0.45)
        two = where(base, curve=kind).groupby("t")[column].mean()
        ax.plot(two.index, two, color=colour, lw=1.6, ls=DOTTED, zorder=2.5)
        mean = rows.groupby("t")[column].mean()
        ax.plot(mean.index, mean, color=colour, lw=2.2, zorder=2.4, **marks_of(kind, len(mean), 4))
    chord_and_tolerance(ax, column, eps)


def _bands(ax, rows: int) -> None:
    """A faint background behind every second row, so that several markers read as one method's."""
    for y in range(1, rows, 2):
        ax.axhspan(y - 0.5, y + 0.5, color="#F4F4F4", lw=0, zorder=0)


def _signed_log(ax, values, linear: float, axis: str = "x", few: bool = False, share: float = 1.2) -> None:
    """An axis of G: linear to the tolerance and logarithmic beyond, on both sides where values are negative.

    ``few`` labels powers of ten only, as long axes do anyway; ``share`` is the linear part's length in decades.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    high, low = max(2 * linear, 1.3 * values.max(initial=0)), 1.3 * values.min(initial=0)
    low = min(low, -2 * linear) if low < -LEAST else -0.06 * linear
    steps = [a * 10.0**b for b in range(-4, 6) for a in (1, 2, 5)]
    if few or max(high, -low) > 100 * linear or low < -linear:
        steps = [10.0**b for b in range(-4, 6)]
    inner = [] if few or share < 1 or max(high, -low) > 10 * linear else [linear / 2]
    beyond = [*inner, linear, *(k for k in steps if k > 1.6 * linear)]
    ticks = [0, *(k for k in beyond if k <= high), *(-k for k in beyond if -k >= low)]
    getattr(ax, f"set_{axis}scale")("symlog", linthresh=linear, linscale=share)
    getattr(ax, f"set_{axis}lim")(low, high)
    getattr(ax, f"set_{axis}ticks")(ticks, [f"{k:g}".replace("-", "−") for k in ticks])
    ax.minorticks_off()


# Pairs of methods


def tolerance_norm(top: float, threshold: float = TOLERANCE):
    """Colours of values in G: the cool half linear to the tolerance, the warm half logarithmic on to ``top``."""
    from matplotlib.colors import FuncNorm

    span = np.log(max(top, 2 * threshold) / threshold)

    def forward(values):
        values = np.maximum(np.asarray(values, dtype=np.float64), 0)
        beyond = 0.5 + 0.5 * np.log(np.maximum(values, threshold) / threshold) / span
        return np.where(values <= threshold, 0.5 * values / threshold, beyond)

    def inverse(values):
        values = np.asarray(values, dtype=np.float64)
        return np.where(values <= 0.5, 2 * threshold * values, threshold * np.exp(np.clip(2 * values - 1, 0, 1) * span))

    return FuncNorm((forward, inverse), vmin=0, vmax=max(top, 2 * threshold))


def tolerance_map():
    """Dark to light blue below the tolerance, light to dark orange above: a step that any colour vision sees."""
    from matplotlib.colors import LinearSegmentedColormap

    half = np.linspace(0, 0.5, len(COOL)), np.linspace(0.5, 1, len(WARM))
    stops = [*zip(half[0], COOL, strict=True), *zip(half[1], WARM, strict=True)]
    return LinearSegmentedColormap.from_list("tolerance", stops, N=512).with_extremes(bad="#FFFFFF00")


def matrix_figure(pairs, methods: Sequence[str], tree, *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier and forget deficit between any two methods as two heat maps, and the tree that orders them.

    Args:
        pairs: `pairs_table`, of which the condition ``method`` is drawn.
        methods: rows and columns, in the order of the tree.
        tree: linkage over the first methods, see `method_order`; None leaves the dendrogram empty.
        threshold: tolerance in G, where the colours change and the tree is marked.
        title: over the figure.
    """
    check_columns(pairs, ("condition", "method", "other", "barrier", "deficit", "eps"))
    top = _top(pairs)
    with style():
        ratios = {"width_ratios": [1, 1, 0.5]}
        fig, axes = panel_grid(1, 3, 2.1 + 0.32 * len(methods), gridspec_kw=ratios)
        for ax, measure in zip(axes[0], ("barrier", "deficit"), strict=False):
            image = _heat(ax, pair_matrix(pairs, measure, methods), top, threshold)
            if len(methods) <= NUMBERS:
                _numbers(ax, pairs, measure, methods, image, threshold)
            ax.set_title(f"{HEADINGS[measure]} (G)")
            _names(ax, methods, first=measure == "barrier")
        _dendrogram(axes[0, 2], tree, len(methods), threshold)
        _colour_bar(fig, image, axes[0, :2], top, threshold)
        numbers = [entry("$?$", BLACK, "its 95 % interval crosses the tolerance")] if len(methods) <= NUMBERS else []
        finish(fig, axes[0, 0], title, [*numbers, _empty("not walked")])
    return fig


def matrices_figure(
    pairs, methods: Sequence[str], conditions: Sequence[str], *, threshold: float = TOLERANCE, title: str = ""
):
    """Heat maps of retain barrier and forget deficit, a column of panels per condition, all in one order of methods.

    Args:
        pairs: `pairs_table`; a dot marks pairs of which every seed pair satisfies MCU(threshold).
        methods: rows and columns.
        conditions: columns of panels; where the ends differ in more than the method, a row is the first end's method.
        threshold: tolerance in G, where the colours change.
        title: over the figure.
    """
    check_columns(pairs, ("condition", "method", "other", "barrier", "deficit", "connected", "n"))
    top = _top(pairs)
    joined = pairs.assign(joined=(pairs["connected"] == pairs["n"]).astype(float))
    with style():
        fig, axes = panel_grid(2, len(conditions), 2.6 + 0.27 * len(methods), sharex=True, sharey=True)
        fig.get_layout_engine().set(w_pad=0.03)
        for row, measure in zip(axes, ("barrier", "deficit"), strict=True):
            for ax, condition in zip(row, conditions, strict=True):
                both = not directed(condition)
                values = pair_matrix(pairs, measure, methods, condition, both)
                image = _heat(ax, values, top, threshold)
                y, x = np.nonzero(pair_matrix(joined, "joined", methods, condition, both) == 1)
                ax.plot(
                    x, y, "o", color="white", mec=BLACK, mew=0.6, ms=3.2, ls="", label=f"satisfies MCU({threshold:g})"
                )
                if measure == "barrier":
                    ax.set_title(SHOWN.get(condition, condition), fontsize=8.5)
                _names(ax, methods, first=ax is row[0], below=measure == "deficit")
            row[0].set_ylabel(HEADINGS[measure])
        _colour_bar(fig, image, axes, top, threshold)
        finish(fig, axes[0, 0], title, [_empty("not walked")])
    return fig


def _top(pairs) -> float:
    values = pairs[["barrier", "deficit"]].to_numpy(float)
    return float(values[np.isfinite(values)].max(initial=0))


def _heat(ax, values, top: float, threshold: float):
    ax.set_facecolor(EMPTY)
    image = ax.imshow(values, cmap=tolerance_map(), norm=tolerance_norm(top, threshold), aspect="equal")
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(length=0)
    size = len(values)
    ax.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=1.0)
    ax.tick_params(which="minor", length=0)
    return image


def _names(ax, methods: Sequence[str], first: bool = True, below: bool = True) -> None:
    ax.set_xticks(range(len(methods)), [label(m) for m in methods], rotation=90, fontsize=8)
    ax.set_yticks(range(len(methods)), [label(m) for m in methods], fontsize=8)
    ax.tick_params(labelleft=first, labelbottom=below)


def _numbers(ax, pairs, measure: str, methods: Sequence[str], image, threshold: float) -> None:
    """Write each value into its cell, with a question mark where its interval crosses the tolerance."""
    values, low, high = (pair_matrix(pairs, f"{measure}{end}", methods) for end in ("", "_low", "_high"))
    for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        value = values[i, j]
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        text = f"{value:.2f}".removeprefix("0") if value < 0.995 else f"{value:.1f}"
        mark = "?" if low[i, j] <= threshold < high[i, j] else ""
        size = 8 if len(methods) < 7 else 7.5
        ax.text(
            j,
            i,
            text.replace(".00", "0") + mark,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else BLACK,
        )


def _dendrogram(ax, tree, rows: int, threshold: float) -> None:
    """A tree whose leaves stand level with the rows of the heat maps, its root on the right."""
    ax.set_ylim(rows - 0.5, -0.5)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines["left"].set_visible(False)
    ax.set_title("tree by smallest eps")
    if tree is None:
        ax.set_axis_off()
        return
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(tree, no_plot=True)
    for heights, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        ax.plot(heights, (np.array(places) - 5) / 10, color=BLACK, lw=1.1, solid_capstyle="butt")
    _signed_log(ax, tree[:, 2], threshold, share=0.6)
    ax.axvline(threshold, color=BLACK, lw=1.0, ls="--")
    ax.set_xlabel("distance (G)")


def _colour_bar(fig, image, axes, top: float, threshold: float) -> None:
    steps = [k for b in range(-1, 4) for k in (2 * 10.0**b, 5 * 10.0**b, 10 * 10.0**b)]
    ticks = [0, threshold / 2, threshold, *(k for k in steps if 1.6 * threshold < k <= max(top, 2 * threshold))]
    bar = fig.colorbar(image, ax=axes, location="bottom", fraction=0.05, pad=0.02, aspect=45, ticks=ticks)
    bar.ax.set_xticklabels([f"{k:g}" for k in ticks])
    bar.ax.minorticks_off()
    bar.ax.axvline(threshold, color=BLACK, lw=1.5)
    bar.outline.set_visible(False)
    bar.set_label(f"G; the colours change at the tolerance, {threshold:g}", fontsize=8.5)


def _empty(text: str):
    """A legend entry for the cells without a value."""
    from matplotlib.patches import Patch

    return Patch(facecolor=EMPTY, edgecolor="none", label=text)


def curves_figure(table, *, threshold: float = TOLERANCE, title: str = ""):
    """Smallest eps of line and curve for a sample of method pairs: a row per pair, a panel per condition.

    Args:
        table: `curves_table`; intervals are over examples.
        threshold: tolerance in G; the axis is linear up to it and logarithmic beyond.
        title: over the figure.
    """
    check_columns(table, ("condition", "method", "other", "curve", "eps", "low", "high"))
    conditions, kinds = list(dict.fromkeys(table["condition"])), kinds_of(table)
    pairs = list(dict.fromkeys(zip(table["method"], table["other"], strict=True)))
    with style():
        fig, axes = panel_grid(1, len(conditions), 1.7 + 0.4 * len(pairs), sharey=True, sharex=True)
        for ax, condition in zip(axes[0], conditions, strict=True):
            for y, (method, other) in enumerate(pairs):
                here = where(table, condition=condition, method=method, other=other)
                for j, kind in enumerate(kinds):
                    found = where(here, curve=kind).rename(columns={"eps": "estimate"})
                    _spread_row(ax, y + 0.26 * (j - (len(kinds) - 1) / 2), (), found, colour_of(kind), marker_of(kind))
            _bands(ax, len(pairs))
            ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
            ax.set_title(PLAIN.get(condition, SHOWN.get(condition, condition)), fontsize=8.5)
            ax.set_xlabel("smallest eps (G)", fontsize=8)
            ax.grid(axis="y", visible=False)
        _signed_log(axes[0, 0], table[["eps", "high"]].to_numpy(float), threshold, few=True)
        name_rows(axes[0, 0], [f"{label(a)} –\n{label(b)}" for a, b in pairs])
        keys = [entry(marker_of(k), colour_of(k), f"{label(k)}, 95 % interval", ls="-") for k in kinds]
        finish(fig, axes[0, 0], title, keys)
    return fig


# Independent similarities and the cue


def agreement_figure(table, tests, levels, *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier and forget deficit of each pair of methods against how alike they are, a panel per similarity.

    Args:
        table: `scatter_table`, columns similarity, value, barrier, deficit.
        tests: `agreement_table`, whose rho and p stand in the panels.
        levels: `levels_table`; the similarity of two seeds is a dashed line, of a method and retraining a dotted one.
        threshold: tolerance in G; the axis is linear up to it and logarithmic beyond.
        title: over the figure.
    """
    check_columns(table, ("similarity", "value", "barrier", "deficit"))
    names = list(dict.fromkeys(table["similarity"]))
    looks = {"barrier": (BLUE, "o"), "deficit": (VERMILLION, "s")}
    seeds = next(column for column in levels if column.startswith("two seeds"))
    with style():
        fig, axes = panel_grid(-(-len(names) // 3), 3, 1.0 + 2.4 * -(-len(names) // 3), sharey=True)
        for ax, name in zip(axes.flat, names, strict=False):
            here = where(table, similarity=name)
            for target, (colour, marker) in looks.items():
                ax.plot(
                    here["value"], here[target], marker, color=colour, ms=4, alpha=0.7, mew=0, label=HEADINGS[target]
                )
            ax.axhline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
            ax.axvline(levels.loc[name, seeds], color=GREY, lw=1.2, ls="-", label="two seeds")
            far = levels.loc[name, "method and retrained, mean"]
            ax.axvline(far, color=GREY, lw=1.2, ls=":", label="to retrained")
            found = [_tested(row) for row in where(tests, similarity=name).itertuples()]
            ax.set_title("\n".join([ALIKE.get(name, label(name)), *found]), fontsize=8)
            high = SIMILARITIES[name].alike == "high"
            ax.set_xlabel("more alike →" if high else "← more alike", fontsize=8)
        for ax in axes[:, 0]:
            ax.set_ylabel("G")
        _signed_log(axes[0, 0], table[["barrier", "deficit"]].to_numpy(float), threshold, "y")
        for ax in list(axes.flat)[len(names) :]:
            ax.set_axis_off()
        finish(fig, axes[0, 0], title)
    return fig


def _tested(row) -> str:
    known = np.isfinite(row.rho)
    return f"{row.target}: rho {row.rho:.2f}, p {row.p:.2g}" if known else f"{row.target}: not tested"


def reliance_figure(table, *, columns: int = 4, title: str = ""):
    """Reliance on the cue along original - unlearned - retrained: a panel per method, forget and test images.

    Args:
        table: `cue_table`, columns method, split, x (0 original, 1 unlearned, 2 retrained), reliance, low, high.
        columns: panels side by side.
        title: over the figure.
    """
    check_columns(table, ("method", "split", "x", "reliance", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    columns = min(columns, len(methods))
    rows = -(-len(methods) // columns)
    looks = {"forget": (VERMILLION, "o", "-"), "test": (BLUE, "s", (0, (4, 1.5)))}
    with style():
        fig, axes = panel_grid(rows, columns, 1.1 + 1.75 * rows, sharex=True, sharey=True)
        for k, ax in enumerate(axes.flat):
            if k >= len(methods):
                ax.set_axis_off()
                continue
            for split, (colour, marker, line) in looks.items():
                one = where(table, method=methods[k], split=split).sort_values("x", kind="stable")
                steps = {"marker": marker, "ms": 3.4, "markevery": max(1, (len(one) - 1) // 8)}
                ax.fill_between(one["x"], one["low"], one["high"], color=colour, alpha=0.18, lw=0)
                ax.plot(one["x"], one["reliance"], color=colour, ls=line, label=f"{split} images, 95 % band", **steps)
            ax.axhline(0, color=BLACK, lw=0.9, ls=":", label="cue plays no part")
            ax.axvline(1, color=GREY, lw=0.9)
            ax.set_title(label(methods[k]))
            ax.tick_params(labelbottom=k + columns >= len(methods))
            if k % columns == 0:
                ax.set_ylabel("reliance")
        widen(axes[0, 0], 0.3)
        axes[0, 0].set_xlim(-0.08, 2.08)
        axes[0, 0].set_xticks([0, 1, 2], ["original", "unlearned", "retrained"], fontsize=8, rotation=30, ha="right")
        finish(fig, axes[0, 0], title)
    return fig


# Sizes of the forget set


def sizes_figure(pairs, summary, fits, *, threshold: float = TOLERANCE, title: str = ""):
    """Deficit, barrier and smallest eps against the size of the forget set: a row per measure, a column per method.

    Args:
        pairs: `size_pairs`, drawn faint.
        summary: `size_summary`, means and intervals.
        fits: `size_fits`, drawn as dashed straight lines.
        threshold: tolerance in G, shaded.
        title: over the figure.
    """
    check_columns(pairs, ("method", "curve", "size", *MEASURES))
    methods, kinds = list(dict.fromkeys(pairs["method"])), kinds_of(pairs)
    with style():
        fig, axes = panel_grid(3, len(methods), 6.4, sharex=True)
        for row, measure in zip(axes, ("deficit", "barrier", "eps"), strict=True):
            for ax, method in zip(row, methods, strict=True):
                for j, kind in enumerate(kinds):
                    here, colour = {"method": method, "curve": kind}, colour_of(kind)
                    shift = 0.12 * (2 * j - len(kinds) + 1)
                    one, dots = where(summary, **here, measure=measure).sort_values("size"), where(pairs, **here)
                    x = 100 * one["size"] + shift
                    ax.plot(100 * dots["size"] + shift, dots[measure], "o", color=colour, ms=3, alpha=0.4, mew=0)
                    known = np.isfinite(one[["low", "high"]]).all(axis=1)  # one pair has no interval
                    ax.vlines(x[known], one["low"][known], one["high"][known], color=colour, lw=1.4)
                    look = {"color": colour, "ms": 5, "mec": "white", "mew": 0.6}
                    ax.plot(x, one["estimate"], marker_of(kind), label=f"{label(kind)}, 95 %", **look)
                    for fit in where(fits, **here, measure=measure).itertuples():
                        ends = [100 * v for v in SPAN]
                        ax.plot(ends, [fit.at_low, fit.at_high], color=colour, lw=1.2, ls=(0, (4, 2)), zorder=1.5)
                ax.axhspan(0, threshold, color=LIGHT, lw=0, zorder=0, label=f"tolerance ({threshold:g} G)")
                ax.axhline(threshold, color=BLACK, lw=0.8, zorder=1)
                low, high = ax.get_ylim()
                ax.set_ylim(min(-0.03 * high, 0 if low >= 0 else low), max(high, 1.3 * threshold))
                if measure == "deficit":
                    ax.set_title(label(method))
                if measure == "eps":
                    ax.set_xlabel("forgotten (% of the pool)")
            row[0].set_ylabel(f"{HEADINGS[measure]} (G)")
        axes[0, 0].set_xticks(sorted({100 * v for v in pairs["size"]}))
        finish(
            fig,
            axes[0, 0],
            title,
            [entry("", GREY, "straight fit", ls="--", lw=1.2), entry("o", GREY, "one pair", ms=3)],
        )
    return fig
