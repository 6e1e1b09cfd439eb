"""The visual abstract: two models, two paths, the two conditions, and which of the paths keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREEN, GREY, VERMILLION, colour_of, label, panel_grid
from ..measures.profiles import Profile

RULES = {
    "retain": ("kept data: loss may not rise", r"$L_r(\phi(t)) \leq$ chord $+\ \varepsilon\,G$"),
    "forget": ("forgotten data: loss may not dip", r"$L_f(\phi(t)) \geq$ chord $-\ \varepsilon\,G$"),
}
SIDES = {"retain": "barrier_retain", "forget": "deficit_forget"}
HOLDS, BREAKS, OPEN = "✓", "✗", "?"
MARKS = {True: (HOLDS, GREEN), False: (BREAKS, VERMILLION), None: (OPEN, GREY)}
PATHS = {"linear": "line", "bezier": "Bézier curve"}  # kinds of curve in a sentence
BEND = 0.62  # height of the drawn curve's control point above the line between the two ends


def told(found: Sequence[float], edge: float) -> bool | None:
    """Whether a measure is at most ``edge``, by its whole interval; None where that crosses the edge.

    Without an interval the estimate decides, and what is not finite is never within.
    """
    estimate, low, high = found
    low, high = (estimate if np.isnan(end) else end for end in (low, high))
    return True if max(estimate, high) <= edge else None if min(estimate, low) <= edge else False


def verdicts(found: Mapping[str, Profile], eps: float = TOLERANCE) -> dict[str, dict[str, bool | None]]:
    """Kind of path -> split -> whether its loss stays within eps G of its chord on the side where it must; see `told`.

    ``both``: whether MCU(eps) holds.
    """
    kept: dict[str, dict[str, bool | None]] = {}
    for kind, one in found.items():
        kept[kind] = {split: told(one.connectivity.interval(name), eps * one.gap) for split, name in SIDES.items()}
        kept[kind]["both"] = told(one.connectivity.interval("mcu_eps"), eps)
    return kept


def mcu_text(kind: str, found: Profile, eps: float = TOLERANCE) -> str:
    """Whether MCU(eps) holds on a path, by the interval of its smallest eps over examples, in a Markdown sentence."""
    one = found.connectivity
    estimate, low, high = one.interval("mcu_eps")
    word = {True: f"MCU({eps:g}) holds", False: f"MCU({eps:g}) breaks", None: f"MCU({eps:g}) cannot be told"}
    side = "retain barrier" if one["barrier_retain"] > one["deficit_forget"] else "forget deficit"
    return (
        f"**On the {PATHS.get(kind, label(kind))} {word[told((estimate, low, high), eps)]}.** The smallest tolerance "
        f"at which it holds is {estimate:.3f} [{low:.3f}, {high:.3f}] G, set by the {side}."
    )


@drawing.style()
def abstract_figure(
    found: Mapping[str, Profile], *, eps: float = TOLERANCE, method: str = "", ends: Sequence[str] = ()
):
    """What is asked, drawn, and what was found of one pair of models, in ticks, crosses and question marks.

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


def _table(ax, kept: Mapping[str, Mapping[str, bool | None]], eps: float, method: str) -> None:
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
        _mark(ax, x, -0.55, kept[kind]["both"])
    if any(None in one.values() for one in kept.values()):
        words = f"{OPEN}: cannot be told, its 95 % interval crosses the tolerance"
        ax.text(0, -0.92, words, va="center", fontsize=7.5, color=GREY)


def _mark(ax, x: float, y: float, holds: bool | None) -> None:
    """A tick, a cross or a question mark: told apart by shape, not by colour alone."""
    word, colour = MARKS[holds]
    ax.text(x, y, word, ha="center", va="center", fontsize=17, color=colour)
