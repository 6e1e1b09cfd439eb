"""Panels: what the figures of several rooms share, in the style of `drawing`.

Every figure takes a ``title`` that stands over it, and most a ``threshold``: the tolerance in units of G, up to which
axes are linear, and logarithmic beyond.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import numpy as np

from ..measures import drawing
from ..measures.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, RowLook, entry, interval_row
from .tables import frame, over

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
HEADINGS = {"barrier": "retain barrier", "deficit": "forget deficit", "eps": "smallest eps"}
# Rows of several markers each: slighter than those of one.
spread_row = partial(interval_row, look=RowLook(0.09, dot=2.6, faint=0.55, line=1.4, mark=5, edge=0.6, over=3))
LEAST = 0.01  # G: an axis that is linear to the tolerance shows no more than this of nothing
# Lines that share a panel differ in colour and marker.
SERIES = tuple(zip((BLUE, VERMILLION, GREEN, PURPLE, BLACK, ORANGE, SKY, GREY), "os^DvPX*", strict=True))
COLUMNS = 4  # panels side by side
DASHED = (0, (4, 3))
FAILING = "†"  # beside a method of which no model, or no pair of models, passes the endpoint gate


def shade_rows(ax, rows: int) -> None:
    """A faint background behind every second row in place of lines, so that several markers read as one method's."""
    ax.grid(axis="y", visible=False)
    for y in range(1, rows, 2):
        ax.axhspan(y - 0.5, y + 0.5, color="#F4F4F4", lw=0, zorder=0)


def mark_failing(ax, methods: Sequence[str], failing: Collection[str]) -> None:
    """Mark the rows, named by `drawing.name_rows`, of methods whose ends fail the endpoint gate."""
    names = [f"{drawing.label(m)} {FAILING}" if m in failing else drawing.label(m) for m in methods]
    ax.set_yticks(range(len(methods)), names)


def failing_entries(failing: Collection[str]) -> list:
    """The legend entry that says what the mark of failing methods means; none where none fails."""
    return [entry("", GREY, f"{FAILING} none passes the gate")] if failing else []


def signed_log(
    ax, values, linear: float, axis: str = "x", few: bool = False, share: float = 1.2, fine: bool = False
) -> None:
    """An axis of G: linear to the tolerance and logarithmic beyond, on both sides where values are negative.

    ``few`` labels powers of ten only, as long axes do anyway unless ``fine``; ``share`` is the linear part's length in
    decades.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    high, low = max(2 * linear, 1.3 * values.max(initial=0)), 1.3 * values.min(initial=0)
    low = min(low, -2 * linear) if low < -LEAST else -0.06 * linear
    powers = few or not fine and (max(high, -low) > 100 * linear or low < -linear)
    steps = [a * 10.0**b for b in range(-4, 6) for a in ((1,) if powers else (1, 2, 5))]
    inner = [] if not fine and (few or share < 1 or max(high, -low) > 10 * linear) else [linear / 2]
    beyond = [*inner, linear, *(k for k in steps if k > 1.6 * linear)]
    ticks = [0, *(k for k in beyond if k <= high), *(-k for k in beyond if -k >= low)]
    symlog(ax, axis, linear, (low, high), ticks, [f"{k:g}".replace("-", "−") for k in ticks], share)


def symlog(ax, axis: str, linear: float, limits, ticks, words: Sequence[str], share: float = 1.0) -> None:
    """An axis that is linear up to ``linear`` and logarithmic beyond, with these ticks only."""
    getattr(ax, f"set_{axis}scale")("symlog", linthresh=linear, linscale=share)
    getattr(ax, f"set_{axis}lim")(*limits)
    getattr(ax, f"set_{axis}ticks")(ticks, words)
    ax.minorticks_off()


def dots_row(ax, height: float, values, found, colour: str, marker: str, below: float = 0.22) -> None:
    """A row of `drawing.interval_row` with larger markers where these are slight."""
    size = 5 if marker in "osD" else 7.5
    interval_row(ax, height, values, found, colour, marker, RowLook(below, faint=0.45, mark=size, edge=0.6))


def originals_row(ax, height: float, part, name: str, colour: str, marker: str, below: float = 0.13) -> None:
    """A row of a figure: originals as dots, their mean and its interval, cut at 0 (`tables.over`)."""
    mean, low, high = over(part, name)
    found = frame([(mean, max(low, 0.0), high)], ["estimate", "low", "high"])
    dots_row(ax, height, part[name].to_numpy(float), found, colour, marker, below)


def decades(ax, values: np.ndarray, linear: float, least: float = 1.3, inner: Sequence[float] = ()) -> None:
    """A horizontal axis from 0, linear up to ``linear`` and logarithmic beyond, with a tick per decade.

    It goes at least to ``least`` times ``linear``; ``inner`` adds ticks at shares of ``linear``.
    """
    values = np.asarray(values, dtype=float)
    top = max(least * linear, 1.4 * values[np.isfinite(values)].max(initial=0))
    beyond = [k for k in 10.0 ** np.arange(-4, 6) if 1.01 * linear < k <= top]
    ticks = [0, *(k * linear for k in inner), linear, *beyond]
    if ticks[-1] == linear:  # no decade in sight
        ticks += [k * linear for k in (2, 5) if k * linear <= top]
    symlog(ax, "x", linear, (-0.1 * linear, top), ticks, [f"{k:.3g}" for k in ticks])


def method_panels(methods: Sequence[str], base: float, each: float, *, x: str = "", y: str = ""):
    """A figure of ``base`` inches and ``each`` more for every row of panels: (figure, axes, [(panel, method), ...]).

    ``x`` and ``y`` are the labels of the lowest and of the leftmost panels.
    """
    columns = min(COLUMNS, len(methods))
    rows = -(-len(methods) // columns)
    fig, axes = drawing.panel_grid(rows, columns, base + each * rows, sharex=True, sharey=True)
    for k, ax in enumerate(axes.flat):
        if k >= len(methods):
            ax.set_axis_off()
            continue
        ax.set_title(drawing.label(methods[k]))
        if k + columns >= len(methods):
            ax.set_xlabel(x)
            ax.tick_params(labelbottom=True)
        if k % columns == 0:
            ax.set_ylabel(y)
    return fig, axes, list(zip(axes.flat, methods, strict=False))


def excess_panels(table, levels, eps: float, failing: Collection[str] = ()):
    """A forget panel over a retain panel per method, all on one scale: (figure, [(panel, method, split), ...]).

    ``table`` is a `tables.excess_table`, of which only the range is used here; ``levels`` a `tables.levels_table` of
    the same methods, or None. Drawn are the chord, the retrained models' level beside it, and hatched what MCU(eps)
    forbids: forget loss below its chord, retain loss above it, by more than eps. The scale is linear up to there.
    Methods that are ``failing`` the endpoint gate are marked.
    """
    drawing.check_columns(table, ("method", "pair", "curve", "t", "forget_excess", "retain_excess"))
    methods = list(dict.fromkeys(table["method"]))
    columns = min(COLUMNS, len(methods))
    blocks = -(-len(methods) // columns)
    fig, axes = drawing.panel_grid(2 * blocks, columns, 1.0 + 2.7 * blocks, sharex=True, sharey=True)
    values = [table[["forget_excess", "retain_excess"]], [] if levels is None else levels[["low", "high"]]]
    seen = np.concatenate([np.ravel(one) for one in values])
    signed_log(axes[0, 0], np.append(seen, (-1.5 * eps, 1.5 * eps)), eps, "y", few=True, share=0.7)
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    panels = []
    for row, split in enumerate(("forget", "retain")):
        for k, ax in enumerate(axes[row::2].flat):
            if k >= len(methods):
                ax.set_axis_off()
                continue
            if split == "forget":
                ax.set_title(drawing.label(methods[k]) + f" {FAILING}" * (methods[k] in failing))
            else:
                ax.set_xlabel("t")
                ax.tick_params(labelbottom=True)
            if k % columns == 0:
                ax.set_ylabel(f"{split} loss\nminus chord (G)", fontsize=8.5)
            _excess_panel(
                ax, None if levels is None else drawing.where(levels, method=methods[k], split=split), split, eps
            )
            panels.append((ax, methods[k], split))
    return fig, panels


def _excess_panel(ax, level, split: str, eps: float) -> None:
    """The chord, the retrained models' level (rows of a `tables.levels_table`) and the forbidden side of a split."""
    ax.axhline(0, color=GREY, lw=1.0, ls=DASHED, zorder=1, label="chord")
    drawing.forbidden(ax, eps if split == "retain" else -eps, split == "retain", f"breaks MCU({eps:g})")
    if level is not None and len(level):
        drawing.retrained_band(ax, level["t"], level["low"], level["mean"], level["high"])


def tolerance_line(ax, threshold: float, level: bool = False) -> None:
    """The tolerance as a dashed line, upright or level, named in the legend."""
    draw = ax.axhline if level else ax.axvline
    draw(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")


def kind_entries(kinds: Sequence[str], words: str = "") -> list:
    """Legend entries for kinds of curve, with these words behind their names."""
    return [entry(drawing.marker_of(k), drawing.colour_of(k), drawing.label(k) + words, ls="-") for k in kinds]


def dot_entry(colour: str, text: str):
    """A legend entry for single values."""
    key = entry("o", colour, text, ms=3)
    key.set(alpha=0.45, markeredgewidth=0)
    return key


def settle_below(fig, title: str, words: str = ""):
    """As `drawing.finish`, for a figure with a line of words, or nothing, in place of a common legend."""
    if words:
        fig.supxlabel(words, fontsize=8.5)
    if title:
        fig.suptitle(title, fontsize=10.5, fontweight="bold")
    drawing.settle(fig)
    return fig
