"""Figures of metrics along a path, of ways to fit a curve, of progress and retraining, and of all claims.

One function per figure, as in `plots`: a table of `metric_tables` or arrays in, a matplotlib Figure out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from .claims import VERDICTS
from .errors import BadInput
from .measures.drawing import (
    BAND,
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    check_columns,
    check_some,
    entry,
    finish,
    interval_row,
    label,
    name_rows,
    panel_grid,
    percent_ticks,
    settle,
    style,
    where,
    widen,
)
from .measures.planes import Plane
from .metric_tables import INITS, OUTCOMES, PATHS, QUANTITIES, RETRAINED

# Lines that share a panel differ in colour and marker.
SERIES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"), (BLACK, "v"))
SERIES += ((ORANGE, "P"), (SKY, "X"), (GREY, "*"))
# How rows of fits are drawn: lines, curves, and the authors' own way.
FIT_STYLES = {"line": (BLUE, "o"), "line, BatchNorm kept": (BLUE, "o"), "authors": (PURPLE, "D")}
VERDICT_STYLES = {"supported": (GREEN, "o"), "contradicted": (VERMILLION, "s"), "undecided": (GREY, "D")}
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


def metric_label(name: str) -> str:
    """A metric's name as it stands in figures."""
    for start, word in SHORT.items():
        if name.startswith(start):
            return word + name.removeprefix(start)
    return WORDS.get(name, name.replace("_", " "))


# Metrics along a path


def metrics_figure(table, losses, *, eps: float | None = None, title: str = ""):
    """Every metric's excess over its chord along one path, in units of its range there, a panel per kind.

    Args:
        table: `metric_tables.metric_curves`: columns kind, metric, t, scaled.
        losses: columns t, retain_excess, forget_excess (units of G), for a panel that shows whether it is connected.
        eps: tolerance in units of G, shaded in that panel.
        title: over the figure.
    """
    check_columns(table, ("kind", "metric", "t", "scaled"))
    check_columns(losses, ("t", "retain_excess", "forget_excess"))
    names = list(dict.fromkeys(table["kind"]))
    with style():
        fig, axes = panel_grid(-(-(len(names) + 1) // 2), 2, 1.0 + 1.75 * -(-(len(names) + 1) // 2), sharex=True)
        _joined_panel(axes.flat[0], losses, eps)
        for ax, kind in zip(list(axes.flat)[1:], names, strict=False):
            part = where(table, kind=kind)
            for (colour, marker), metric in zip(SERIES, dict.fromkeys(part["metric"]), strict=False):
                one = where(part, metric=metric)
                text = (
                    metric_label(metric)
                    .removeprefix(f"{SINGULAR.get(kind, kind)}, ")
                    .removesuffix(f", {kind.split()[-1]}")
                )
                line = {"color": colour, "marker": marker, "markevery": max(1, (len(one) - 1) // 6), "ms": 3.4}
                if np.isfinite(one["scaled"]).all():
                    ax.plot(one["t"], one["scaled"], label=text, **line)
                else:
                    ax.plot([], [], label=f"{text} (flat)", **line)
            ax.axhline(0, color=GREY, lw=1.0, ls=(0, (4, 3)), zorder=1)
            ax.set_ylim(-1.08, 1.08)
            ax.set_title(kind.capitalize() if kind.islower() else kind)
            ax.set_ylabel("excess / range")
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, handlelength=1.4, borderaxespad=0.3)
        for ax in list(axes.flat)[len(names) + 1 :]:
            ax.set_axis_off()
        for ax in list(axes.flat)[max(0, len(names) - 1) : len(names) + 1]:
            ax.set_xlabel("t")
            ax.tick_params(labelbottom=True)
        axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        _settle(fig, title)
    return fig


def _joined_panel(ax, losses, eps: float | None) -> None:
    """Retain and forget loss minus their chords, with the tolerance."""
    for (colour, marker), split in zip(SERIES, ("retain", "forget"), strict=False):
        every = max(1, (len(losses) - 1) // 6)
        line = {"color": colour, "marker": marker, "markevery": every, "ms": 3.4}
        ax.plot(losses["t"], losses[f"{split}_excess"], label=split, **line)
        if eps is not None:
            limit, word = (eps, "at most") if split == "retain" else (-eps, "at least")
            ax.axhline(limit, color=colour, lw=1.0, ls=":", zorder=1, label=f"{word} {limit:+g}")
    ax.axhline(0, color=GREY, lw=1.0, ls=(0, (4, 3)), zorder=1, label="chord")
    widen(ax, 2.6 * (eps or 0.1))
    ax.set_title("The two losses of MCU")
    ax.set_ylabel("excess (G)")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, handlelength=1.4, borderaxespad=0.3)


def correlation_figure(names: Sequence[str], signed: np.ndarray, strength: np.ndarray, *, title: str = ""):
    """Heat map of how metrics' curves agree: mean rho below the diagonal, mean |rho| above it.

    Args:
        names: M metrics.
        signed, strength: `metric_tables.correlations` (M, M); nan stays grey.
        title: over the figure.
    """
    import matplotlib.pyplot as plt

    check_some(names, "metrics")
    count = len(names)
    if np.shape(signed) != (count, count) or np.shape(strength) != (count, count):
        raise BadInput(f"{count} metrics need matrices of {count} x {count}, got {np.shape(signed)}.")
    shown = np.where(np.tri(count, k=-1, dtype=bool), signed, strength)
    np.fill_diagonal(shown, np.nan)
    with style():
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
        _settle(fig, title, words)
    return fig


SHAPE_TITLES = {
    "range": "Range\n(in its own gap)",
    "variation": "Excess variation\n(in its range)",
    "roughness": "Roughness\n(in its range)",
}


def shapes_figure(table, summary, *, threshold: float | None = None, title: str = ""):
    """How far each metric ranges along connected paths and how it wavers: paths, mean and interval, a row per metric.

    Args:
        table: `metric_tables.shapes_table`; summary: `metric_tables.shapes_summary` of it.
        threshold: of C10, in units of the gap, marked in the first panel.
        title: over the figure.
    """
    check_columns(table, ("kind", "metric", *SHAPE_TITLES))
    check_columns(summary, ("metric", "measure", "estimate", "low", "high"))
    kinds = dict(zip(table["metric"], table["kind"], strict=True))
    names = list(kinds)
    with style():
        fig, axes = panel_grid(1, 3, 1.5 + 0.24 * len(names), sharey=True)
        for ax, (measure, heading) in zip(axes[0], SHAPE_TITLES.items(), strict=True):
            for y, name in enumerate(names):
                values = where(table, metric=name)[measure].to_numpy(float)
                found = where(summary, metric=name, measure=measure)
                _dots(ax, y, values, found, BLUE, "o")
            ends = np.r_[table[measure].to_numpy(float), where(summary, measure=measure)["high"].to_numpy(float)]
            linear = {"range": 1.0, "variation": 1.0, "roughness": 10.0}[measure]
            _decades(ax, ends, linear, inner=(0.5,))
            ax.set_xlabel(f"linear to {linear:g}, then log")
            for y in range(1, len(names)):
                ax.axhline(y - 0.5, color=GREY, lw=0.6 if kinds[names[y]] != kinds[names[y - 1]] else 0, zorder=0)
            ax.set_title(heading)
            ax.grid(axis="y", visible=False)
        if threshold is not None:
            text = f"threshold of C10, for the widest metric ({threshold:g})"
            axes[0, 0].axvline(threshold, color=BLACK, lw=1.0, ls="--", label=text)
        axes[0, 0].set_yticks(range(len(names)), [metric_label(n) for n in names])
        axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
        keys = [entry("o", BLUE, "mean over paths, 95 % interval", ls="-"), _dot(BLUE, "one path")]
        finish(fig, axes[0, 0], title, keys)
    return fig


def best_figure(table, summary, *, title: str = ""):
    """Whether an inner point, chosen on other examples, lies closer to retraining than both ends (C11).

    Args:
        table: `metric_tables.best_table`: columns method, curve, end, inner, gain; a row per path.
        summary: `metric_tables.best_summary`: columns method, gain, low, high.
        title: over the figure.
    """
    check_columns(table, ("method", "curve", "end", "inner", "gain"))
    check_columns(summary, ("method", "gain", "low", "high"))
    methods = list(summary["method"])
    with style():
        fig, axes = panel_grid(1, 2, max(3.4, 1.4 + 0.32 * len(methods)))
        left, right = axes[0]
        for k, method in enumerate(methods):
            one, (colour, marker) = where(table, method=method), SERIES[k % len(SERIES)]
            left.plot(one["end"], one["inner"], marker, color=colour, ms=5, alpha=0.8, mew=0, label=label(method))
        values = np.r_[table["end"], table["inner"]]
        edge = values.min() - 0.05 * (np.ptp(values) or 0.02), values.max() + 0.05 * (np.ptp(values) or 0.02)
        left.plot(edge, edge, color=GREY, lw=1.0, ls=(0, (4, 3)), zorder=1)
        left.set(xlim=edge, ylim=edge, xlabel="closeness to retraining at the better end (%)")
        left.set_ylabel("at the chosen inner point (%)")
        left.set_title("Test examples; above the line the inner point wins", fontsize=8.5)
        for axis in (left.xaxis, left.yaxis):
            percent_ticks(axis)
        for y, method in enumerate(methods):
            found = where(summary, method=method).rename(columns={"gain": "estimate"})
            found = found.assign(**{c: 100 * found[c] for c in ("estimate", "low", "high")})
            colour, marker = SERIES[y % len(SERIES)]
            _dots(right, y, 100 * where(table, method=method)["gain"].to_numpy(float), found, colour, marker)
        right.axvline(0, color=BLACK, lw=1.0)
        right.set_title("Gain over the better end")
        right.set_xlabel("points of %; mean, 95 % interval, paths")
        right.grid(axis="y", visible=False)
        name_rows(right, methods)
        finish(fig, left, title)
    return fig


# Ways to fit a curve


def fits_figure(table, summary, *, fits: Sequence[str], threshold: float = 0.1, columns: int = 4, title: str = ""):
    """Smallest eps of MCU(eps) for each way to fit, pairs, mean and interval, a panel per method.

    Args:
        table: `metric_tables.fits_table`: columns method, fit, eps.
        summary: columns method, fit, estimate, low, high.
        fits: the rows, those that occur.
        threshold: tolerance in units of G.
        columns: panels side by side.
        title: over the figure.
    """
    check_columns(table, ("method", "fit", "eps"))
    check_columns(summary, ("method", "fit", "estimate", "low", "high"))
    methods, present = list(dict.fromkeys(table["method"])), set(table["fit"])
    fits, columns = [f for f in fits if f in present], min(columns, len(methods))
    rows = -(-len(methods) // columns)
    with style():
        fig, axes = panel_grid(rows, columns, 1.0 + rows * (0.6 + 0.2 * len(fits)), sharex=True, sharey=True)
        for k, ax in enumerate(axes.flat):
            if k >= len(methods):
                ax.set_axis_off()
                continue
            for y, fit in enumerate(fits):
                found = where(summary, method=methods[k], fit=fit)
                colour, marker = FIT_STYLES.get(fit, (VERMILLION, "s"))
                _dots(ax, y, where(table, method=methods[k], fit=fit)["eps"].to_numpy(float), found, colour, marker)
            ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
            ax.axhline(sum(f.startswith("line") for f in fits) - 0.5, color=GREY, lw=0.6)
            ax.set_title(label(methods[k]))
            ax.grid(axis="y", visible=False)
            if k + columns >= len(methods):
                ax.set_xlabel("smallest eps (G)")
                ax.tick_params(labelbottom=True)
        _decades(axes[0, 0], np.r_[table["eps"], summary["high"]], threshold, least=3)
        axes[0, 0].set_yticks(range(len(fits)), fits)
        axes[0, 0].set_ylim(len(fits) - 0.5, -0.5)
        keys = [entry("o", BLUE, "line", ls="-"), entry("s", VERMILLION, "curve: mean, 95 % interval", ls="-")]
        keys += [entry("D", PURPLE, "authors' recipe", ls="-"), _dot(GREY, "one pair")]
        finish(fig, axes[0, 0], title, keys)
    return fig


def failures_figure(cells, totals, *, methods: Sequence[str], title: str = ""):
    """Share of quadratic fits that fail beside the line, per method and fit, and over all methods with an interval.

    Args:
        cells, totals: `metric_tables.failures`: (method, fit, failed, n), and (fit, share, low, high, failed, n).
        methods: the rows.
        title: over the figure.
    """
    check_columns(cells, ("method", "fit", "failed", "n"))
    check_columns(totals, ("fit", "share", "low", "high"))
    fits = list(totals["fit"])
    shares = np.full((len(methods), len(fits)), np.nan)
    with style():
        heights = [0.3 * len(methods), 1.5]
        options = {"sharex": True, "gridspec_kw": {"height_ratios": heights}}
        fig, axes = panel_grid(2, 1, 1.6 + sum(heights), **options)
        top, bottom = axes[:, 0]
        for one in cells.itertuples():
            if one.method in methods:
                i, j = methods.index(one.method), fits.index(one.fit)
                shares[i, j] = one.failed / one.n
                colour = "white" if shares[i, j] > 0.6 else BLACK
                top.text(j, i, f"{one.failed} of {one.n}", ha="center", va="center", fontsize=8, color=colour)
        top.pcolormesh(
            np.arange(len(fits) + 1) - 0.5,
            np.arange(len(methods) + 1) - 0.5,
            np.ma.masked_invalid(shares),
            cmap="Blues",
            vmin=0,
            vmax=1.1,
            edgecolors="white",
            lw=1,
        )
        name_rows(top, list(methods))
        top.grid(False)
        top.spines[:].set_visible(False)
        top.tick_params(length=0, labelbottom=False)
        top.set_title("Fits whose smallest eps exceeds the line's by 0.1 G; empty: not walked")
        for x, one in enumerate(totals.itertuples()):
            bottom.plot([x, x], [one.low, one.high], color=VERMILLION, lw=1.6)
            bottom.plot(x, one.share, "s", color=VERMILLION, ms=5.5, mec="white", mew=0.7)
        bottom.set_ylim(-0.05, 1.05)
        bottom.set_yticks([0, 0.5, 1], ["0", "50", "100"])
        bottom.set_ylabel("fails, of all\npairs (%)")
        bottom.set_xticks(range(len(fits)), [f.replace(" ", "\n", 1) for f in fits])
        bottom.set_xlim(-0.5, len(fits) - 0.5)
        bottom.grid(axis="x", visible=False)
        finish(fig, bottom, title, [entry("s", VERMILLION, "share of all pairs, 95 % interval", ls="-")])
    return fig


def outcomes_figure(table, *, threshold: float = 0.1, title: str = ""):
    """Line against curve between the same ends: smallest eps of both, with the quadrants of MCU, a panel per fit.

    Args:
        table: `metric_tables.outcomes_table`: columns fit, method, line, curve, outcome.
        threshold: tolerance in units of G.
        title: over the figure.
    """
    check_columns(table, ("fit", "method", "line", "curve", "outcome"))
    fits, methods = list(dict.fromkeys(table["fit"])), list(dict.fromkeys(table["method"]))
    with style():
        fig, axes = panel_grid(1, len(fits), 4.3, sharex=True, sharey=True)
        for ax, fit in zip(axes[0], fits, strict=True):
            part = where(table, fit=fit)
            for k, method in enumerate(methods):
                one, (colour, marker) = where(part, method=method), SERIES[k % len(SERIES)]
                ax.plot(one["line"], one["curve"], marker, color=colour, ms=6, alpha=0.85, mec="white", mew=0.5)
            ax.axhline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
            ax.axvline(threshold, color=BLACK, lw=1.0, ls="--")
            ax.set_xlabel("smallest eps of the line (G)")
            ax.set_title(f"Curve: {fit}")
            for word, right, above in zip(OUTCOMES, (0, 0, 1, 1), (0, 1, 0, 1), strict=True):
                text = f"{word}: {int((part['outcome'] == word).sum())}"
                place = {"xy": (0.98 if right else 0.02, 0.98 if above else 0.02), "ha": "right" if right else "left"}
                place |= {"va": "top" if above else "bottom", "xycoords": "axes fraction"}
                ax.annotate(text, fontsize=8.5, color=GREY, fontweight="bold", zorder=1, **place)
        axes[0, 0].set_ylabel("smallest eps of the curve (G)")
        values = np.r_[table["line"], table["curve"]]
        _decades(axes[0, 0], values, threshold, least=3)
        axes[0, 0].set_yscale("symlog", linthresh=threshold, linscale=1.0)
        low, high = axes[0, 0].get_xlim()
        axes[0, 0].set_ylim(low - 0.3 * threshold, 2.5 * high)  # room for the words in the corners
        axes[0, 0].set_yticks(axes[0, 0].get_xticks(), [t.get_text() for t in axes[0, 0].get_xticklabels()])
        axes[0, 0].minorticks_off()
        keys = [entry(m, c, label(name)) for name, (c, m) in zip(methods, _cycled(len(methods)), strict=True)]
        finish(fig, axes[0, 0], title, keys)
    return fig


def surplus_figure(table, summary, *, unit: float | None = None, title: str = ""):
    """Loss that must be given away to connect two models, in nats: on the line, on the curve, on the better of them.

    Args:
        table: `metric_tables.surplus_table`: columns method, path, nats.
        summary: columns method, path, estimate, low, high.
        unit: G in nats, marked as ``0.1 G``.
        title: over the figure.
    """
    check_columns(table, ("method", "path", "nats"))
    check_columns(summary, ("method", "path", "estimate", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    styles = dict(zip(PATHS, ((BLUE, "o"), (VERMILLION, "s"), (BLACK, "D")), strict=True))
    with style():
        fig, axes = panel_grid(1, 1, 1.3 + 0.48 * len(methods))
        ax = axes[0, 0]
        for y, method in enumerate(methods):
            for j, (path, (colour, marker)) in enumerate(styles.items()):
                values = where(table, method=method, path=path)["nats"].to_numpy(float)
                _dots(ax, y + 0.27 * (j - 1), values, where(summary, method=method, path=path), colour, marker, 0.1)
        if unit is not None:
            ax.axvline(0.1 * unit, color=BLACK, lw=1.0, ls="--", label="0.1 G")
        linear = 10.0 ** np.floor(np.log10(0.1 * (unit or 1)))
        _decades(ax, np.r_[table["nats"], summary["high"]], linear)
        ax.set_xlabel("smallest tolerance at which MCU holds (nats): mean, 95 % interval, pairs")
        ax.grid(axis="y", visible=False)
        name_rows(ax, methods)
        for y in range(1, len(methods)):
            ax.axhline(y - 0.5, color=LIGHT, lw=0.8, zorder=0)
        keys = [entry(m, c, "curve" if path == "corrected" else path, ls="-") for path, (c, m) in styles.items()]
        finish(fig, ax, title, keys)
    return fig


# Progress and retraining


def progress_figure(table, *, columns: int = 4, title: str = ""):
    """How much of the change from the original to the unlearned model is made at t, a panel per method.

    Args:
        table: `metric_tables.progress_table`: columns method, seed, t, loss, accuracy (shares of the change).
        columns: panels side by side.
        title: over the figure.
    """
    check_columns(table, ("method", "seed", "t", *QUANTITIES))
    methods = list(dict.fromkeys(table["method"]))
    columns = min(columns, len(methods))
    rows = -(-len(methods) // columns)
    with style():
        fig, axes = panel_grid(rows, columns, 1.0 + 1.75 * rows, sharex=True, sharey=True)
        for k, ax in enumerate(axes.flat):
            if k >= len(methods):
                ax.set_axis_off()
                continue
            part = where(table, method=methods[k])
            for quantity, (colour, marker) in zip(QUANTITIES, SERIES, strict=False):
                for _, one in part.groupby("seed", sort=False):
                    ax.plot(one["t"], one[quantity], color=colour, lw=0.7, alpha=0.5)
                mean = part.groupby("t")[quantity].mean()
                marks = {"marker": marker, "markevery": max(1, (len(mean) - 1) // 5), "ms": 3.4}
                text = f"forget {quantity}: mean, seeds thin"
                ax.plot(mean.index, mean, color=colour, lw=2.0, label=text, **marks)
            ax.plot([0, 1], [0, 1], color=GREY, lw=1.0, ls=(0, (4, 3)), zorder=1, label="chord")
            ax.set_title(label(methods[k]))
            if k + columns >= len(methods):
                ax.set_xlabel("t")
                ax.tick_params(labelbottom=True)
            if k % columns == 0:
                ax.set_ylabel("share of the change")
        axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        # An accuracy that hardly changes swings far in units of its change: it may leave the panel.
        values = table[list(QUANTITIES)].to_numpy(float)
        low, high = np.nanmin(values, initial=0), np.nanmax(values, initial=1)
        axes[0, 0].set_ylim(max(low, -1.0) - 0.08, min(high, 2.0) + 0.08)
        finish(fig, axes[0, 0], title)
    return fig


def bends_figure(table, summary, *, threshold: float | None = None, title: str = ""):
    """How far forgetting is from linear in t and where it is steepest: seeds, mean and interval, a row per method.

    Args:
        table: `metric_tables.bends_table`; summary: `metric_tables.bends_summary` of it.
        threshold: of C15, in units of the change.
        title: over the figure.
    """
    check_columns(table, ("method", "quantity", "deviation", "steepest"))
    check_columns(summary, ("method", "quantity", "measure", "estimate", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    titles = {"deviation": "Largest distance from the chord", "steepest": "Where the steepest step is"}
    with style():
        fig, axes = panel_grid(1, 2, 1.4 + 0.4 * len(methods), sharey=True)
        for ax, (measure, heading) in zip(axes[0], titles.items(), strict=True):
            for y, method in enumerate(methods):
                for j, (quantity, (colour, marker)) in enumerate(zip(QUANTITIES, SERIES, strict=False)):
                    values = where(table, method=method, quantity=quantity)[measure].to_numpy(float)
                    found = where(summary, method=method, quantity=quantity, measure=measure)
                    _dots(ax, y + 0.36 * (j - 0.5), values, found, colour, marker, 0.13)
            ax.set_title(heading)
            ax.grid(axis="y", visible=False)
        ends = np.r_[table["deviation"], where(summary, measure="deviation")["high"]]
        _decades(axes[0, 0], ends, 1.0, inner=(0.25, 0.5, 0.75))
        if threshold is not None:
            text = f"threshold of C15, loss ({threshold:g})"
            axes[0, 0].axvline(threshold, color=BLACK, lw=1.0, ls="--", label=text)
        axes[0, 0].set_xlabel("in units of the change: mean, 95 % interval")
        axes[0, 1].set(xlim=(-0.03, 1.03), xlabel="t: mean, 95 % interval")
        name_rows(axes[0, 0], methods)
        keys = [entry(m, c, f"forget {q}", ls="-") for q, (c, m) in zip(QUANTITIES, SERIES)]  # noqa: B905
        finish(fig, axes[0, 0], title, [*keys, _dot(GREY, "one seed")])
    return fig


def retraining_figure(table, summary, *, margin: float | None = None, title: str = ""):
    """Retain barrier between unlearned and retrained models beside that between two retrained models.

    Args:
        table: `metric_tables.retraining_table`: columns method, init, barrier (G).
        summary: columns method, init, estimate, low, high.
        margin: what C16 asks above the retrained pairs' mean, in G; drawn where they began as the original did.
        title: over the figure.
    """
    check_columns(table, ("method", "init", "barrier"))
    check_columns(summary, ("method", "init", "estimate", "low", "high"))
    methods = [m for m in dict.fromkeys(table["method"]) if m != RETRAINED]
    methods += [RETRAINED] if RETRAINED in set(table["method"]) else []
    titles = {
        "same init": "Retrained from the original's\ninitial weights",
        "other init": "Retrained from other\ninitial weights",
    }
    with style():
        fig, axes = panel_grid(1, 2, 1.5 + 0.33 * len(methods), sharey=True)
        for ax, (init, heading) in zip(axes[0], titles.items(), strict=True):
            part, found = where(table, init=init), where(summary, init=init)
            for y, method in enumerate(methods):
                colour, marker = (BLACK, "D") if method == RETRAINED else (BLUE, "o")
                values = where(part, method=method)["barrier"].to_numpy(float)
                _dots(ax, y, values, where(found, method=method), colour, marker)
            base, asked = where(part, method=RETRAINED)["barrier"], np.nan
            if len(base):
                text = "two retrained models (range)"
                ax.axvspan(base.min(), base.max(), label=text, **BAND)
                if margin is not None and init == INITS[0]:
                    words, asked = f"their mean + {margin:g} G: C16", base.mean() + margin
                    ax.axvline(asked, color=BLACK, lw=1.0, ls="--", label=words)
            _decades(ax, np.r_[part["barrier"], found["high"], asked], 0.1, inner=(0.5,))
            ax.axhline(len(methods) - 1.5, color=GREY, lw=0.8 if RETRAINED in methods else 0)
            ax.set_title(heading)
            ax.set_xlabel("retain barrier (G): linear to 0.1, then log")
            ax.grid(axis="y", visible=False)
        name_rows(axes[0, 0], methods)
        keys = [entry("o", BLUE, "mean, 95 % interval", ls="-"), _dot(BLUE, "one line")]
        finish(fig, axes[0, 0], title, keys)
    return fig


MODELS = (("original", "o"), ("unlearned", "s"), ("retrained", "D"))


def planes_figure(planes: Mapping[str, Plane], *, title: str = ""):
    """Retain and forget loss on the plane through the original, an unlearned and a retrained model, a row per method.

    Straight paths between the models are drawn; levels are logarithmic and the same for all rows of a column. The
    dashed contour is the retrained model's own loss.
    """
    check_some(planes, "planes")
    with style():
        fig, axes = panel_grid(len(planes), 2, 0.9 + 2.35 * len(planes))
        for column, split in enumerate(("retain", "forget")):
            name = f"loss_{split}"
            levels = _levels([one.values[name] for one in planes.values()])
            for row, (method, one) in enumerate(planes.items()):
                ax = axes[row, column]
                shown = np.clip(one.values[name], levels[0], levels[-1])
                filled = ax.contourf(one.x, one.y, shown, levels=levels, norm=_log(levels), cmap="cividis")
                goal = float(one.at_models[name][2])
                if levels[0] < goal < levels[-1]:
                    ax.contour(one.x, one.y, shown, levels=[goal], colors="white", linewidths=1.0, linestyles="--")
                ends = one.models[[0, 1, 2, 0]]
                ax.plot(ends[:, 0], ends[:, 1], color="white", lw=2.4, zorder=2)
                ax.plot(ends[:, 0], ends[:, 1], color=BLACK, lw=0.9, zorder=3)
                for (x, y), (text, marker) in zip(one.models, MODELS, strict=True):
                    look = {"color": VERMILLION, "mec": "white", "mew": 1.0, "ms": 8, "ls": ""}
                    ax.plot(x, y, marker, zorder=4, label=text, **look)
                ax.set_title(f"{label(method)}: {split} loss")
                ax.grid(False)
                ax.set_xlabel("distance in weight space" if row == len(planes) - 1 else "")
                ax.set_ylabel("distance" if column == 0 else "")
            bar = fig.colorbar(filled, ax=list(axes[:, column]), fraction=0.05, pad=0.02, shrink=0.8)
            bar.set_ticks(levels[::2], labels=[f"{float(f'{v:.2g}'):g}" for v in levels[::2]])
            bar.ax.minorticks_off()
            bar.set_label(f"{split} loss (nats)")
        keys = [entry("", GREY, "loss of the retrained model", ls="--", lw=1.0)]
        finish(fig, axes[0, 0], title, keys)
    return fig


def _levels(values: Sequence[np.ndarray], count: int = 13) -> np.ndarray:
    """Logarithmic contour levels over the finite values, at least a factor of 1.1 apart from end to end."""
    found = np.concatenate([v[np.isfinite(v)].ravel() for v in values])
    low = max(1e-4, found.min(initial=1.0))
    return np.geomspace(low, max(1.1 * low, found.max(initial=low)), count)


def _log(levels: np.ndarray):
    from matplotlib.colors import LogNorm

    return LogNorm(levels[0], levels[-1])


# All claims


def forest_figure(table, *, level: float | None = None, title: str = ""):
    """Every claim judged: how far its effect lies beyond its threshold, on the side that supports it or on the other.

    Args:
        table: `metric_tables.forest_table`; a row per claim.
        level: of the corrected intervals, drawn thin, for the legend.
        title: over the figure.
    """
    check_columns(table, ("claim", "statement", "verdict", "x", "low", "high", "effect", "threshold"))
    with style():
        fig, axes = panel_grid(1, 1, 1.5 + 0.42 * len(table))
        ax = axes[0, 0]
        for y, one in enumerate(table.itertuples()):
            colour, marker = VERDICT_STYLES[one.verdict]
            if np.isfinite(one.x):
                ax.plot([one.wide_low, one.wide_high], [y, y], color=colour, lw=0.8)
                ax.plot([one.low, one.high], [y, y], color=colour, lw=3.0, solid_capstyle="butt")
                filled = colour if one.survives or one.verdict == "undecided" else "white"
                ax.plot(one.x, y, marker, color=filled, mec=colour, mew=1.4, ms=7, zorder=4)
            words = f"{one.effect}\n({one.threshold})"
            ax.text(1.02, y, words, transform=ax.get_yaxis_transform(), fontsize=8, va="center", color=BLACK)
        ends = table[["low", "high"]].to_numpy(float)
        ends = ends[np.isfinite(ends)]
        ax.set_xscale("symlog", linthresh=1.0, linscale=1.0)
        ax.set_xlim(1.3 * min(ends.min(initial=-1), -1), 1.3 * max(ends.max(initial=1), 1))
        ticks = [v for v in (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100) if ax.get_xlim()[0] <= v <= ax.get_xlim()[1]]
        ax.set_xticks(ticks, [f"{v:+d}" if v else "0" for v in ticks])
        ax.minorticks_off()
        ax.axvspan(ax.get_xlim()[0], 0, color=LIGHT, alpha=0.5, lw=0, zorder=0)
        ax.axvline(0, color=BLACK, lw=1.2)
        ax.set_xlabel("distance of the effect beyond its threshold, in thresholds\n(grey: the side that contradicts)")
        ax.set_yticks(range(len(table)), [_statement(one) for one in table.itertuples()])
        ax.set_ylim(len(table) - 0.4, -0.6)
        ax.grid(axis="y", visible=False)
        heading = "effect [95 %]\n(threshold)"
        ax.text(1.02, -0.7, heading, transform=ax.get_yaxis_transform(), fontsize=8, va="bottom", fontweight="bold")
        keys = [entry(VERDICT_STYLES[v][1], VERDICT_STYLES[v][0], v, ls="-", lw=3) for v in VERDICTS if v != "not run"]
        thin = "thin: corrected" + ("" if level is None else f" ({100 * level:.1f} %)")
        keys.append(entry("", GREY, thin, ls="-", lw=0.8))
        if (~table["survives"] & table["verdict"].isin(("supported", "contradicted"))).any():
            keys.append(_hollow())
        fig.legend(handles=keys, loc="outside lower center", ncols=3)
        _settle(fig, title)
    return fig


def _statement(one) -> str:
    return "\n".join(textwrap.wrap(f"{one.claim}  {one.statement}", 48, max_lines=3, placeholder=" …"))


def _hollow():
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], color="white", mec=GREY, mew=1.4, marker="o", ls="", ms=6, label="hollow: lost when corrected"
    )


# Parts


def _dots(ax, height: float, values, found, colour: str, marker: str, below: float = 0.22) -> None:
    """A row of `drawing.interval_row` with larger markers where these are slight."""
    size = 5 if marker in "osD" else 7.5
    interval_row(ax, height, values, found, colour, marker, below=below, faint=0.45, mark=size, edge=0.6)


def _decades(ax, values: np.ndarray, linear: float, least: float = 1.3, inner: Sequence[float] = ()) -> None:
    """A horizontal axis from 0, linear up to ``linear`` and logarithmic beyond, with a tick per decade.

    It goes at least to ``least`` times ``linear``; ``inner`` adds ticks at shares of ``linear``.
    """
    values = np.asarray(values, dtype=float)
    top = max(least * linear, 1.4 * values[np.isfinite(values)].max(initial=0))
    ticks = [
        0,
        *(k * linear for k in inner),
        linear,
        *(k for k in 10.0 ** np.arange(-4, 6) if 1.01 * linear < k <= top),
    ]
    if ticks[-1] == linear:  # no decade in sight
        ticks += [k * linear for k in (2, 5) if k * linear <= top]
    ax.set_xscale("symlog", linthresh=linear, linscale=1.0)
    ax.set_xlim(-0.1 * linear, top)
    ax.set_xticks(ticks, [f"{k:.3g}" for k in ticks])
    ax.minorticks_off()


def _dot(colour: str, text: str):
    """A legend entry for single values."""
    key = entry("o", colour, text, ms=3)
    key.set(alpha=0.45, markeredgewidth=0)
    return key


def _cycled(count: int) -> list[tuple[str, str]]:
    return [SERIES[k % len(SERIES)] for k in range(count)]


def _settle(fig, title: str, words: str = "") -> None:
    """As `drawing.finish`, for a figure with a line of words, or nothing, in place of a common legend."""
    if words:
        fig.supxlabel(words, fontsize=8.5)
    if title:
        fig.suptitle(title, fontsize=10.5, fontweight="bold")
    settle(fig)
