"""The visual abstract: two models, two paths, the two conditions, and which of the paths keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREY, VERMILLION, colour_of, label, panel_grid
from ..measures.profiles import Profile

RULES = {
    "retain": ("kept data: loss may not rise", r"$L_r(\phi(t)) \leq$ chord $+\ \varepsilon\,G$"),
    "forget": ("forgotten data: loss may not dip", r"$L_f(\phi(t)) \geq$ chord $-\ \varepsilon\,G$"),
}
SIDES = {"retain": "barrier_retain", "forget": "deficit_forget"}
HOLDS, BREAKS = "✓", "✗"
BEND = 0.62  # height of the drawn curve's control point above the line between the two ends


def verdicts(found: Mapping[str, Profile], eps: float = TOLERANCE) -> dict[str, dict[str, bool]]:
    """Kind of path -> split -> whether its loss stays within eps G of its chord on the side where it must."""
    return {
        kind: {split: bool(one.connectivity[name] <= eps * one.gap) for split, name in SIDES.items()}
        for kind, one in found.items()
    }


@drawing.style()
def abstract_figure(
    found: Mapping[str, Profile], *, eps: float = TOLERANCE, method: str = "", ends: Sequence[str] = ()
):
    """What is asked, drawn, and what was found of one pair of models, in ticks and crosses.

    Args:
        found: kind of path -> profile between the same two ends.
        eps: tolerance in G.
        method: what the two models were unlearned by.
        ends: names of the two models, at t = 0 and t = 1.
    """
    drawing.check_some(found, "profiles")
    fig, axes = panel_grid(1, 2, 2.9, gridspec_kw={"width_ratios": [1, 1.25]})
    _space(axes[0, 0], tuple(found), ends or ("t = 0", "t = 1"))
    _table(axes[0, 1], verdicts(found, eps), eps, method)
    return fig


def _space(ax, kinds: Sequence[str], ends: Sequence[str]) -> None:
    """A drawing of weight space: the original, two models that unlearned, and the paths between these."""
    t = np.linspace(0, 1, 101)
    ax.set_axis_off()
    ax.set_xlim(-0.38, 1.38)
    ax.set_ylim(-0.95, 0.62)
    for x in (0.0, 1.0):
        arrow = {"arrowstyle": "->", "color": GREY, "lw": 1.2, "shrinkA": 7, "shrinkB": 7}
        ax.annotate("", (x, 0), (0.5, -0.72), arrowprops=arrow)
    for kind in kinds:
        height = 0.0 if kind == "linear" else 2 * BEND * t * (1 - t)
        ax.plot(t, height + 0 * t, color=colour_of(kind), lw=2.4, zorder=2)
        word = {"ha": "center", "fontsize": 9, "color": colour_of(kind)}
        ax.text(0.5, (0.05 if kind == "linear" else BEND / 2 + 0.05), label(kind), va="bottom", **word)
    ax.plot([0, 1], [0, 0], "o", color=BLACK, ms=9, zorder=3)
    ax.plot(0.5, -0.72, "*", color=BLACK, ms=14, zorder=3)
    for x, name, side in zip((-0.07, 1.07), ends, ("right", "left"), strict=True):
        ax.text(x, 0.0, f"{name}\nunlearned", ha=side, va="center", fontsize=8.5)
    ax.text(0.5, -0.83, "original model", ha="center", va="top", fontsize=8.5)
    ax.text(0.5, -0.4, "unlearn,\ntwice", ha="center", va="center", fontsize=8.5, color=GREY)
    ax.set_title("Is there a path between them?")


def _table(ax, kept: Mapping[str, Mapping[str, bool]], eps: float, method: str) -> None:
    """A row for each condition, a column for each path, a tick where it holds."""
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(-1.0, 3)
    places = dict(zip(kept, np.linspace(0.7, 0.94, len(kept)) if len(kept) > 1 else [0.82], strict=True))
    ax.set_title(f"Found of {label(method)}, this pair" if method else "Found of this pair")
    for kind, x in places.items():
        ax.text(x, 2.55, label(kind), ha="center", va="center", color=colour_of(kind), fontweight="bold")
    for y, (split, (words, formula)) in zip((1.6, 0.5), RULES.items(), strict=True):
        ax.text(0, y + 0.17, words, va="center", fontweight="bold")
        ax.text(0, y - 0.22, formula, va="center", color=GREY, fontsize=8.5)
        for kind, x in places.items():
            _mark(ax, x, y, kept[kind][split])
    ax.axhline(-0.12, color=GREY, lw=0.8)
    ax.text(0, -0.55, f"MCU({eps:g}): both, for every t", va="center", fontweight="bold")
    for kind, x in places.items():
        _mark(ax, x, -0.55, all(kept[kind].values()))


def _mark(ax, x: float, y: float, holds: bool) -> None:
    """A tick or a cross: told apart by shape, not by colour alone."""
    colour = drawing.GREEN if holds else VERMILLION
    ax.text(x, y, HOLDS if holds else BREAKS, ha="center", va="center", fontsize=17, color=colour)
