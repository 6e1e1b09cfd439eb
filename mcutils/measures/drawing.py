"""Drawing: the style, colours, panels and legends that all figures share, and files of the same bytes.

Tables are pandas DataFrames in long form. Accuracies are fractions (drawn in %), losses in nats, tolerances in units of
the gap G = L_f(retrained) - L_f(original). Beyond means and ranges no figure computes anything.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..files import write_file
from .along import excess
from .metrics import SCORES, gap_to_retrained

# Okabe & Ito: told apart with any colour vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT = "#767676", "#DDDDDD"
BAND = {"facecolor": LIGHT, "edgecolor": "#AAAAAA", "lw": 1.0, "zorder": 0}

# Kinds of curve differ in marker too, for prints without colour.
COLOURS = {"linear": BLUE, "bezier": VERMILLION, "chain": GREEN}
MARKERS = {"linear": "o", "bezier": "s", "chain": "^"}
NAMES = {
    "bezier": "Bézier",
    "retrain": "retrained",
    "finetune": "fine-tuning",
    "npo": "NPO",
    "scrub": "SCRUB",
    "salun": "SalUn",
    "l1_sparse": "L1-sparse",
}
HEADINGS = {
    "UA": "UA (%)\n1 - forget acc.",
    "RA": "RA (%)\nretain acc.",
    "TA": "TA (%)\ntest acc.",
    "MIA": "MIA (%)\nattack",
    "gap": "average gap\n(% points)",
    "seconds": "seconds\n(log scale)",
}
DPI = 150
WIDTH = 7.6  # inches: a notebook's column, and a page's with a margin
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so figures look the same everywhere
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.6,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "svg.hashsalt": "mcutils",
    "svg.fonttype": "path",
}


@contextmanager
def style():
    """Draw in the companion's style, ``with style(): ...``; the caller's own comes back afterwards."""
    import matplotlib.pyplot as plt

    _own_fonts()
    with plt.style.context(["default", STYLE]):
        yield


def _own_fonts() -> None:
    """Let matplotlib find its own DejaVu Sans before a system's, whose glyphs may have other names in an svg."""
    from matplotlib import font_manager, get_data_path

    known, own = font_manager.fontManager.ttflist, str(Path(get_data_path()) / "fonts" / "ttf")
    if not known[0].fname.startswith(own):
        for path in sorted(Path(own).glob("DejaVuSans*.ttf")):
            font_manager.fontManager.addfont(path)
        known.sort(key=lambda font: not font.fname.startswith(own))


def save(fig, name: str, folder: str | Path) -> tuple[Path, Path]:
    """Write <folder>/<name>.png (150 dpi) and .svg, the same bytes for the same figure; return both paths.

    Raises BadInput if the folder cannot be written.
    """
    png, svg = Path(folder) / f"{name}.png", Path(folder) / f"{name}.svg"
    for path, kind in ((png, "png"), (svg, "svg")):
        write_file(path, encoded(fig, kind))
    return png, svg


def encoded(fig, kind: str = "png", dpi: int = DPI) -> bytes:
    """A figure as the bytes of a png or svg file: the same for the same figure."""
    # No date, program or version in the files; the style fixes the svg's ids.
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format=kind, dpi=dpi, metadata=metadata[kind])
    return buffer.getvalue()


def label(name: str) -> str:
    """Name of a method or kind of curve as it stands in figures."""
    return NAMES.get(name, str(name).replace("_", " "))


def path_figure(
    curves: Mapping[str, Any],
    *,
    retrained: Mapping[str, Sequence[float]] | None = None,
    original: Mapping[str, float] | None = None,
    splits: Sequence[str] = ("retain", "forget", "test"),
    ends: tuple[str, str] = ("start", "end"),
    title: str = "",
):
    """Loss and accuracy along curves: a row per split, a line and 95 % band per curve, chords dashed.

    Args:
        curves: kind of curve -> `Connectivity`, or anything with ``t`` (T,) and mappings ``curves`` and
            ``bands`` that hold loss_<split> and accuracy_<split> as (T,) and (2, T).
        retrained: loss_<split>, accuracy_<split> -> values of the retrained models, drawn as their range.
        original: the same names -> value of the model before unlearning.
        splits: the rows.
        ends: what stands at t = 0 and at t = 1.
        title: over the figure.
    """
    check_some(curves, "curves")
    retrained, original = retrained or {}, original or {}
    with style():
        fig, axes = panel_grid(len(splits), 2, 0.9 + 1.75 * len(splits), sharex=True)
        for row, split in zip(axes, splits, strict=True):
            for ax, quantity, unit in zip(row, ("loss", "accuracy"), ("nats", "%"), strict=True):
                name = f"{quantity}_{split}"
                _path_panel(ax, name, curves, retrained.get(name), original.get(name))
                ax.set_ylabel(f"{split} {quantity} ({unit})")
        for ax in axes[-1]:
            ax.set_xlim(-0.02, 1.02)
            names = [f"0\n{ends[0]}", "0.25", "0.5\nt", "0.75", f"1\n{ends[1]}"]
            ax.set_xticks([0, 0.25, 0.5, 0.75, 1], names)
        finish(fig, axes[0, 0], title)
    return fig


def _path_panel(ax, name: str, curves: Mapping[str, Any], retrained, original) -> None:
    chords: list[np.ndarray] = []
    for kind, one in curves.items():
        t, values, colour = np.asarray(one.t), np.asarray(one.curves[name]), colour_of(kind)
        text, marks = f"{label(kind)}, 95 % band", marks_of(kind, len(t), 6)
        ax.fill_between(t, *one.bands[name], color=colour, alpha=0.18, lw=0)
        ax.plot(t, values, color=colour, zorder=3, label=text, **marks)
        straight = values - excess(values, t)
        if not any(np.allclose(straight, other) for other in chords):
            chords.append(straight)
    # One chord for all curves that share their endpoints.
    for straight in chords:
        ax.plot(t, straight, color=GREY, lw=1.0, ls=(0, (4, 3)), zorder=2, label="chord")
    if retrained is not None:
        text = "retrained models (range)" if np.size(retrained) > 1 else "retrained model"
        ax.axhspan(np.min(retrained), np.max(retrained), -0.1, 1.1, label=text, **BAND)
    if original is not None:
        ax.axhline(original, color=BLACK, lw=1.0, ls=":", zorder=1, label="original model")
    if name.startswith("accuracy"):
        widen(ax, 0.02)
        percent_ticks(ax.yaxis)
        ax.set_ylim(top=min(ax.get_ylim()[1], 1.004))
    else:
        widen(ax, 0.04)


def endpoints_figure(
    table,
    *,
    scores: Sequence[str] = SCORES,
    reference: str = "retrain",
    last: Sequence[str] = ("original",),
    title: str = "",
):
    """Every method against the retrained model: UA, RA, TA, their average gap to it, and seconds.

    Args:
        table: one row per endpoint, columns method, UA, RA, TA (fractions), seconds; others are ignored.
        scores: columns in place of UA, RA, TA.
        reference: method of the retrained models, drawn as a grey range; an endpoint's gap is the mean over
            scores of |score - mean score of the retrained models|.
        last: methods put below the others, which are sorted by mean gap, the smallest on top.
        title: over the figure.
    """
    check_columns(table, ("method", *scores, "seconds"))
    goal = where(table, method=reference)
    if len(goal) == 0:
        raise BadInput(f"the table has no rows of {reference!r}, with which the other methods are compared.")
    found = {name: table[name].to_numpy(float) for name in scores}
    table = table.assign(gap=gap_to_retrained(found, {name: goal[name].mean() for name in scores}, scores))
    ranked = table.groupby("method", sort=False)["gap"].mean().sort_values(kind="stable").index
    place = {reference: -1, **{m: 1 + k for k, m in enumerate(last)}}
    methods = sorted(ranked, key=lambda m: place.get(m, 0))
    columns = (*scores, "gap", "seconds")
    with style():
        fig, axes = panel_grid(1, len(columns), 1.1 + 0.3 * len(methods), sharey=True)
        for ax, column in zip(axes[0], columns, strict=True):
            for y, method in enumerate(methods):
                values = where(table, method=method)[column].to_numpy(float)
                values = values[np.isfinite(values)]
                colour = BLACK if method == reference else GREY if method in last else BLUE
                if len(values):
                    ax.plot([values.min(), values.max()], [y, y], color=colour, lw=1.0)
                    ax.plot(values, np.full(len(values), y), "|", color=colour, ms=9, mew=1.0)
                    ax.plot(values.mean(), y, "o", color=colour, ms=5.5, mec="white", mew=0.7, zorder=3)
                if method == reference:
                    text = "retrained models (range)"
                    ax.axvspan(values.min(), values.max(), -0.1, 1.1, label=text, **BAND)
            if column == "seconds":
                ax.set_xscale("log")
                _log_ticks(ax.xaxis)
            else:
                widen(ax, 0.02, "x")
                percent_ticks(ax.xaxis, 3)
            if column == "gap":
                ax.set_xlim(left=0)
            ax.set_title(HEADINGS.get(column, column), fontsize=8.5)
            ax.grid(axis="y", visible=False)
        name_rows(axes[0, 0], methods)
        seeds = entry("|", BLUE, "seeds and their range", ls="-", lw=1.0, ms=9)
        finish(fig, axes[0, 0], title, [entry("o", BLUE, "mean"), seeds])
    return fig


def seeds_figure(table, *, eps: float | None = None, share: bool = True, columns: int = 4, title: str = ""):
    """Excess over the chord along t, every pair thin and the mean thick, two panels per method.

    Args:
        table: one row per pair, curve and t, columns method, pair, curve, t, forget_excess, retain_excess,
            the last two being loss minus chord in units of the gap G.
        eps: tolerance in units of G, shaded; MCU(eps) asks the forget line to stay above the shade's lower
            edge and the retain line below its upper edge, both drawn.
        share: one vertical scale for all methods, so that heights compare.
        columns: methods side by side.
        title: over the figure.
    """
    check_columns(table, ("method", "pair", "curve", "t", "forget_excess", "retain_excess"))
    methods = list(dict.fromkeys(table["method"]))
    with style():
        fig, panels = excess_panels(methods, columns)
        for ax, method, split, first in panels:
            _excess_panel(ax, where(table, method=method), f"{split}_excess", eps)
            if share:
                ax.set_ylim(_limits(table[f"{split}_excess"], eps))
                ax.tick_params(labelleft=first)
        finish_excess(fig, title)
    return fig


def excess_panels(methods: Sequence[str], columns: int):
    """A figure with a forget panel over a retain panel per method; (axes, method, split, first in its row) of each."""
    columns = min(columns, len(methods))
    blocks = -(-len(methods) // columns)
    fig, axes = panel_grid(2 * blocks, columns, 1.0 + 2.6 * blocks, sharex=True)
    panels = []
    for row, split in enumerate(("forget", "retain")):
        for k, ax in enumerate(axes[row::2].flat):
            if k >= len(methods):
                ax.set_axis_off()
                continue
            if split == "forget":
                ax.set_title(label(methods[k]))
            else:
                ax.set_xlabel("t")
                ax.tick_params(labelbottom=True)
            if k % columns == 0:
                ax.set_ylabel(f"{split} loss\nminus chord (G)", fontsize=8.5)
            panels.append((ax, methods[k], split, k % columns == 0))
    return fig, panels


def finish_excess(fig, title: str, first: Sequence = ()) -> None:
    """As `finish`, for panels over t from `excess_panels`."""
    fig.axes[0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    finish(fig, fig.axes[0], title, first)


def chord_and_tolerance(ax, column: str, eps: float | None) -> None:
    """The chord, and the tolerance with the edge that MCU(eps) asks this split's loss not to cross."""
    ax.axhline(0, color=GREY, lw=1.0, ls=(0, (4, 3)), zorder=1, label="chord")
    if eps is not None:
        ax.axhspan(-eps, eps, color=LIGHT, lw=0, zorder=0, label=f"tolerance ({eps:g} G)")
        ax.axhline(eps if column == "retain_excess" else -eps, color=BLACK, lw=0.8, zorder=1)


def _excess_panel(ax, part, column: str, eps: float | None) -> None:
    for kind in kinds_of(part):
        rows = where(part, curve=kind)
        for _, one in rows.groupby("pair", sort=False):
            ax.plot(one["t"], one[column], color=colour_of(kind), lw=0.7, alpha=0.45)
        mean, text = rows.groupby("t")[column].mean(), f"{label(kind)}: mean, pairs thin"
        ax.plot(mean.index, mean, color=colour_of(kind), lw=2.2, label=text, **marks_of(kind, len(mean), 4))
    chord_and_tolerance(ax, column, eps)


def _limits(values, eps: float | None) -> tuple[float, float]:
    """A vertical range with all finite values, the chord and the tolerance."""
    values = np.append(values, [0.0, -1.25 * (eps or 0), 1.25 * (eps or 0)])
    low, high = values[np.isfinite(values)].min(), values[np.isfinite(values)].max()
    pad = 0.06 * (high - low) or 0.05
    return low - pad, high + pad


def barrier_figure(table, summary, *, threshold: float | None = None, title: str = ""):
    """Retain barrier and forget deficit: pairs, mean and interval in a row per method, controls last.

    Args:
        table: one row per pair and curve, columns method, curve, barrier, deficit (units of the gap G) and,
            optionally, role ("method" or "control").
        summary: columns method, curve, measure ("barrier" or "deficit"), estimate, low, high (`tables.paths_means`);
            an interval without end, as that of one pair, is not drawn.
        threshold: tolerance in units of G. The axis is linear up to it (0.1 if None) and logarithmic beyond.
        title: over the figure.
    """
    check_columns(table, ("method", "curve", "barrier", "deficit"))
    check_columns(summary, ("method", "curve", "measure", "estimate", "low", "high"))
    controls = set(where(table, role="control")["method"]) if "role" in table else set()
    methods = sorted(dict.fromkeys(table["method"]), key=lambda m: m in controls)
    kinds, linear = kinds_of(table), threshold or 0.1
    headings = {
        "barrier": "Retain barrier: rise of the retain loss",
        "deficit": "Forget deficit: dip of the forget loss",
    }
    with style():
        fig, axes = panel_grid(1, 2, 1.3 + 0.4 * len(methods), sharey=True)
        for ax, (measure, heading) in zip(axes[0], headings.items(), strict=True):
            for y, method in enumerate(methods):
                present = [kind for kind in kinds if len(where(table, method=method, curve=kind))]
                for j, kind in enumerate(present):
                    height = y - 0.05 + 0.4 * (j - (len(present) - 1) / 2)
                    values = where(table, method=method, curve=kind)[measure]
                    found = where(summary, method=method, curve=kind, measure=measure)
                    interval_row(ax, height, values, found, colour_of(kind), marker_of(kind))
            ax.axhline(len(methods) - len(controls) - 0.5, color=GREY, lw=0.8 if controls else 0)
            if threshold is not None:
                ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
            _symlog(ax, np.r_[table[measure], where(summary, measure=measure)["high"]], linear)
            ax.set_title(heading)
            ax.set_xlabel(f"units of G: linear to {linear:g}, then log")
            ax.grid(axis="y", visible=False)
        name_rows(axes[0, 0], methods)
        keys = [entry(marker_of(k), colour_of(k), f"{label(k)}: mean, 95 % interval", ls="-") for k in kinds]
        finish(fig, axes[0, 0], title, [*keys, entry("o", GREY, "one pair", ms=3)])
    return fig


def interval_row(
    ax,
    height: float,
    values,
    found,
    colour: str,
    marker: str,
    *,
    below=0.12,
    dot=3.0,
    faint=0.5,
    line=1.6,
    mark=5.5,
    edge=0.7,
    over=2.0,
) -> None:
    """Single values as small dots just below a row, and over them their mean with its interval.

    Args:
        values: the dots; those that are not finite are left out.
        found: rows with estimate, low and high; what is not finite, as the interval of one pair, is left out.
        below, dot, faint: how far down the dots are, their size and opacity.
        line, mark, edge, over: width of the interval, size and edge of the mean's marker, and where in depth they lie.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    ax.plot(values, np.full(len(values), height + below), "o", color=colour, ms=dot, alpha=faint, mew=0)
    for one in found.itertuples():
        ends = [one.low, one.high]
        if np.isfinite(ends).all():
            ax.plot(ends, [height, height], color=colour, lw=line, solid_capstyle="butt", zorder=over)
        if np.isfinite(one.estimate):
            ax.plot(one.estimate, height, marker, color=colour, ms=mark, mec="white", mew=edge, zorder=4)


def _symlog(ax, values: np.ndarray, linear: float) -> None:
    values = values[np.isfinite(values)]
    top = max(2 * linear, 1.3 * values.max(initial=0))
    steps = [a * 10.0**b for b in range(-4, 6) for a in (1, 2, 5)]
    ticks = [0, linear / 2, linear, *(k for k in steps if 1.6 * linear < k <= top)]
    ax.set_xscale("symlog", linthresh=linear, linscale=1.5)
    ax.set_xlim(-0.06 * linear, top)
    ax.set_xticks(ticks, [f"{k:g}" for k in ticks])
    ax.minorticks_off()


def mcu_sweep_figure(table, *, threshold: float | None = None, columns: int = 4, title: str = ""):
    """Share of connected pairs against the tolerance, with its interval, a panel per method.

    Args:
        table: one row per method, curve and eps, columns method, curve, eps (units of G), fraction, low, high
            (`tables.sweep_table`).
        threshold: tolerance to mark.
        columns: panels side by side.
        title: over the figure.
    """
    check_columns(table, ("method", "curve", "eps", "fraction", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    columns = min(columns, len(methods))
    rows = -(-len(methods) // columns)
    with style():
        fig, axes = panel_grid(rows, columns, 1.0 + 1.5 * rows, sharex=True, sharey=True)
        for k, ax in enumerate(axes.flat):
            if k >= len(methods):
                ax.set_axis_off()
                continue
            for kind in kinds_of(where(table, method=methods[k])):
                one, colour = where(table, method=methods[k], curve=kind).sort_values("eps"), colour_of(kind)
                eps, text, marks = one["eps"], f"{label(kind)}, 95 % interval", marks_of(kind, len(one), 5)
                ax.fill_between(eps, one["low"], one["high"], step="post", color=colour, alpha=0.14, lw=0)
                ax.step(eps, one["fraction"], where="post", color=colour, label=text, zorder=3, **marks)
            if threshold is not None:
                text = f"tolerance ({threshold:g} G)"
                ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", zorder=2, label=text)
            ax.set_title(label(methods[k]))
            ax.set_ylim(-0.04, 1.04)
            ax.set_yticks([0, 0.5, 1], ["0", "50", "100"])
            if k + columns >= len(methods):
                ax.set_xlabel("tolerance eps (G)")
                ax.tick_params(labelbottom=True)
            if k % columns == 0:
                ax.set_ylabel("connected pairs (%)")
        finish(fig, axes[0, 0], title)
    return fig


def check_columns(table, columns: Sequence[str]) -> None:
    """Raise BadInput unless the table has rows and these columns."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise BadInput(f"the table lacks the columns {', '.join(missing)}; it needs {', '.join(columns)}.")
    check_some(table, "rows")


def check_some(items, what: str) -> None:
    """Raise BadInput if there is nothing to draw."""
    if len(items) == 0:
        raise BadInput(f"there are no {what} to draw.")


def panel_grid(rows: int, columns: int, height: float, **options):
    """A figure of notebook width with rows x columns of panels: (figure, axes)."""
    import matplotlib.pyplot as plt

    # Made by pyplot, so that notebooks know how to show it; closed, so that they do not show it twice.
    size = (WIDTH, height)
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    fig.get_layout_engine().set(w_pad=0.07, h_pad=0.05)
    plt.close(fig)
    return fig, axes


def finish(fig, ax, title: str, first: Sequence = ()) -> None:
    """Add one legend below the panels, from ``first`` and what ``ax`` has labelled, and a title; lay out."""
    handles, texts = ax.get_legend_handles_labels()
    keys = {h.get_label(): h for h in first} | dict(zip(texts, handles, strict=True))
    columns = len(keys) if len(keys) <= 5 else 4
    fig.legend([*keys.values()], [*keys], loc="outside lower center", ncols=columns)
    if title:
        fig.suptitle(title, fontsize=10.5, fontweight="bold")
    settle(fig)


def settle(fig) -> None:
    """Lay out a figure once and for all, so that every later drawing is the same.

    The layout moves a little each time it is solved, and depends on the resolution: text is not quite as wide in a file
    as on screen. The file's is taken.
    """
    shown, fig.dpi = fig.dpi, DPI
    for _ in range(3):
        fig.get_layout_engine().execute(fig)
    fig.set_layout_engine("none")
    fig.dpi = shown


def entry(marker: str, colour: str, text: str, *, ls: str = "", lw: float = 1.6, ms: float = 5.5):
    """A legend entry."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker=marker, ls=ls, lw=lw, ms=ms, label=text)


def where(table, **equal):
    """Rows of a table whose columns have these values."""
    keep = np.ones(len(table), dtype=bool)
    for column, value in equal.items():
        keep &= (table[column] == value).to_numpy()
    return table[keep]


def kinds_of(table) -> list[str]:
    """Kinds of curve in a table, the known ones first and in their usual order."""
    present = list(dict.fromkeys(table["curve"]))
    return [kind for kind in COLOURS if kind in present] + [kind for kind in present if kind not in COLOURS]


def colour_of(kind: str) -> str:
    """Colour of a kind of curve, the same in every figure."""
    return COLOURS.get(kind, PURPLE)


def marker_of(kind: str) -> str:
    """Marker of a kind of curve, the same in every figure."""
    return MARKERS.get(kind, "D")


def marks_of(kind: str, points: int, steps: int) -> dict:
    """Markers on every so many points of a line, both ends included where the numbers allow."""
    return {"marker": marker_of(kind), "markersize": 3.4, "markevery": max(1, (points - 1) // steps)}


def name_rows(ax, methods: Sequence[str]) -> None:
    """Name the rows, the first on top."""
    ax.set_yticks(range(len(methods)), [label(m) for m in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)


def widen(ax, least: float, axis: str = "y") -> None:
    """Keep an axis from magnifying noise: at least ``least`` from end to end."""
    low, high = getattr(ax, f"get_{axis}lim")()
    if high - low < least:
        middle = (low + high) / 2
        getattr(ax, f"set_{axis}lim")(middle - least / 2, middle + least / 2)


def percent_ticks(axis, bins: int = 4) -> None:
    """Tick labels of fractions in %, the unit standing in the axis label."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(bins))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.6g}"))


def _log_ticks(axis) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10, subs=(1, 3), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
