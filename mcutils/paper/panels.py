"""Panels: what the figures of several rooms share, in the style of `drawing`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..measures.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    RowLook,
    entry,
    interval_row,
    settle,
)

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
SERIES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"), (BLACK, "v"))
SERIES += ((ORANGE, "P"), (SKY, "X"), (GREY, "*"))


def shade_rows(ax, rows: int) -> None:
    """A faint background behind every second row, so that several markers read as one method's."""
    for y in range(1, rows, 2):
        ax.axhspan(y - 0.5, y + 0.5, color="#F4F4F4", lw=0, zorder=0)


def signed_log(ax, values, linear: float, axis: str = "x", few: bool = False, share: float = 1.2) -> None:
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


def dots_row(ax, height: float, values, found, colour: str, marker: str, below: float = 0.22) -> None:
    """A row of `drawing.interval_row` with larger markers where these are slight."""
    size = 5 if marker in "osD" else 7.5
    interval_row(ax, height, values, found, colour, marker, RowLook(below, faint=0.45, mark=size, edge=0.6))


def decades(ax, values: np.ndarray, linear: float, least: float = 1.3, inner: Sequence[float] = ()) -> None:
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


def dot_entry(colour: str, text: str):
    """A legend entry for single values."""
    key = entry("o", colour, text, ms=3)
    key.set(alpha=0.45, markeredgewidth=0)
    return key


def settle_below(fig, title: str, words: str = "") -> None:
    """As `drawing.finish`, for a figure with a line of words, or nothing, in place of a common legend."""
    if words:
        fig.supxlabel(words, fontsize=8.5)
    if title:
        fig.suptitle(title, fontsize=10.5, fontweight="bold")
    settle(fig)
