"""15: all declared rows judged together, what their verdicts survive, and what would decide the open ones."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.planning import seconds_of
from ..engine.runs import missing
from ..engine.specs import Spec, plain
from ..engine.store import Store
from ..engine.study import Study
from ..errors import BadInput
from ..measures import drawing
from ..measures.drawing import BLACK, GREEN, GREY, VERMILLION, entry, panel_grid, where
from ..measures.intervals import LEVEL
from . import (
    between_models,
    difficulty,
    ensembles_and_relearning,
    graded_sets,
    method_pairs,
    metrics_along,
    privacy,
)
from .archives import original_of
from .claims import CLAIMS, effect_text, first_design, interval_text, spread
from .panels import settle_below
from .registry import EXPERIMENTS, PRICED_APART, ROUTES
from .tables import Table, frame
from .trial_ledger import BETWEEN, CUED, DIFFICULTY, ENSEMBLES, PAIRS, PRIVACY, needed
from .verdicts import DECIDED, NOT_RUN, READ, Judged, controls_text, found_text, reason_text
from .walks import Walk, walk_all

SHARED = {CUED: PAIRS}  # experiments of rows whose walks are another notebook's
# Units of PROTOCOL whose effects share a panel, and how it is called; any other unit has a panel of its own.
UNITS = {
    "Share of methods, originals or paths": ("share of methods", "share of originals", "share of paths"),
    "Share of verdicts, beyond another seed's share": ("share of verdicts",),
    "Smallest eps, or its change, in G": ("G",),
    "Change of the deficit, in units of what was forgotten": ("what was forgotten",),
    "Share of variance": ("share of variance",),
    "Rank correlation": ("rank correlation",),
}
_SHARES, _BEYOND, *_, _VARIANCE, _RHO = UNITS
# All that such an effect can be.
WHOLE = {_SHARES: (0.0, 1.0), _BEYOND: (-1.0, 1.0), _VARIANCE: (-0.2, 1.0), _RHO: (-1.0, 1.0)}
SUPPORTING = "#DCEFE7"
WIDTH, LINES = 48, 3  # of a sentence beside the forest
VERDICT_STYLES = {"supported": (GREEN, "o"), "contradicted": (VERMILLION, "s"), "undecided": (GREY, "D")}


# What is judged


def gather(study: Study) -> dict[str, list[Walk]]:
    """The walks of all experiments of `registry.ROUTES`, computed together."""
    routes = {name: made(study) for name, made in ROUTES.items()}
    walks = iter(walk_all(study, [route for part in routes.values() for route in part]))
    return {name: [next(walks) for _ in part] for name, part in routes.items()}


def beside(study: Study) -> dict[str, Any]:
    """What rows need beside walks, as `trial_ledger.judge_declared` takes it: gaps of metrics, and use of the cue."""
    use, reliance = method_pairs.cue_measures(study)
    return {"gaps": metrics_along.telling(study), "use": use, "reliance": reliance}


@dataclass(frozen=True)
class Apart:
    """What is priced apart (`python -m mcutils run NAME`): what it needs, and how rows get their walks and numbers.

    ``given`` is the name of the numbers among the arguments of `trial_ledger.judge_declared`.
    """

    given: str
    needs: Callable[[Study], Sequence[Spec]]
    gather: Callable[[Study], tuple[list[Walk], Any]]


# experiment -> the same; names as in `registry.PRICED_APART`
APART = {
    BETWEEN: Apart("distances", between_models.needs, between_models.walk_lines),
    PRIVACY: Apart(PRIVACY, privacy.needs, privacy.gather),
    ENSEMBLES: Apart(ENSEMBLES, ensembles_and_relearning.needs, ensembles_and_relearning.gather),
    DIFFICULTY: Apart(DIFFICULTY, graded_sets.needs, difficulty.gather),
}


def apart(study: Study) -> tuple[dict[str, list[Walk]], dict[str, Any]]:
    """The walks of what is priced apart, by experiment, and the numbers beside them; without what the store lacks.

    Nothing of it is computed. N1 there is only where originals have a forget set each.
    """
    walked: dict[str, list[Walk]] = {}
    given: dict[str, Any] = {}
    for name, one in APART.items():
        if name == BETWEEN and not study.preset.originals:
            continue
        if all(spec in study.store for spec in one.needs(study)):
            walked[name], given[one.given] = one.gather(study)
    return walked, given


# Tables


def ledger_table(judged: Sequence[Judged]) -> Table:
    """The rows that were run: effect, null, smallest effect with a power of 0.8, originals, the verdict by reading."""
    rows = []
    for one in judged:
        if (first := one.first) is not None:
            null = "-" if first.null is None else interval_text(first.null, 2)
            words = {reading: found.verdict for reading, found in one.found.items()}
            rows.append(
                {"row": one.row.name, "claim": CLAIMS[one.row.id].statement, "unit": one.row.told["unit"]}
                | {"threshold": threshold_text(one), "effect [95 %]": interval_text(first.effect)}
                | {"null": null, "least": _short(first.least), "originals": first.n_originals, "cells": first.n_cells}
                | {"p": "" if first.p is None else f"{first.p:.2g}"}
                | {reading: words.get(reading, "") for reading in READ}
            )
    return frame(rows, index="row" if rows else None)


def threshold_text(one: Judged) -> str:
    """The threshold of a row as it is declared; where the effect is told minus that, 0 stands first."""
    told = one.row.told["threshold"].replace("+-", "±")
    return f"0, that is eps of {told}" if told == "0.1" and tuple(one.row.told["edges"]) == (0.0,) else told


def _short(value: float) -> str:
    return "-" if not np.isfinite(value) else f"{value:.2g}"


def flips_table(judged: Sequence[Judged]) -> Table:
    """The rows whose verdict hangs on the reading: what each reading finds."""
    rows = [
        (one.row.name, *(found_text(one.found[reading]) if reading in one.found else "" for reading in READ))
        for one in judged
        if one.flipped
    ]
    return frame(rows, ["row", *READ], "row")


def corrected_table(judged: Sequence[Judged]) -> Table:
    """Each row's verdict, and what is left of it by an interval that holds for all rows together."""
    rows = []
    for one in judged:
        if one.first is not None and one.corrected is not None:
            survives = "-" if one.verdict not in DECIDED else "yes" if stands(one) else "no"
            interval = interval_text(one.corrected.effect)
            rows.append((one.row.name, one.verdict, interval, one.corrected.verdict, survives))
    return frame(rows, ["row", "verdict", "corrected interval", "corrected verdict", "survives"], "row")


def stands(one: Judged) -> bool:
    """Whether a decided verdict is the same at the corrected level."""
    return one.verdict in DECIDED and one.corrected is not None and one.corrected.verdict == one.verdict


def strict_level(judged: Sequence[Judged], level: float = LEVEL) -> float:
    """The level of the corrected intervals: 1 - (1 - level) / number of rows judged (Bonferroni)."""
    return 1 - (1 - level) / max(1, sum(bool(one.found) for one in judged))


def firmness_table(judged: Sequence[Judged]) -> Table:
    """How firmly each verdict stands: shares of bootstrap draws of the originals, and of halves, with another word.

    ``opposite``: the share of halves with the opposite word. Four originals decide less than eight: a half that is
    undecided is no contradiction.
    """
    rows = [
        (one.row.name, one.verdict, one.first.n_originals, *map(_percent, (one.first.flips, *one.halves)))
        for one in judged
        if one.first is not None
    ]
    return frame(rows, ["row", "verdict", "originals", "bootstrap flips", "halves differ", "halves opposite"], "row")


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.0f} %"


def undecided_table(judged: Sequence[Judged], seconds: Mapping[str, float]) -> Table:
    """The undecided rows: why, how many originals would decide them (`trial_ledger.needed`), and at which cost.

    ``seconds``: row -> CPU seconds that one more original costs its experiments, see `seconds_of_original`.
    """
    rows = []
    for one in judged:
        if one.first is None or one.verdict != "undecided":
            continue
        count, each = needed(one), seconds.get(one.row.name, math.nan)
        more = math.nan if count is None else count - one.first.n_originals
        hours = "-" if not np.isfinite(more * each) else f"{more * each / 3600:.1f}"
        carried = [f"without {name} its mean lies elsewhere" for name in one.first.carried[:1]]
        why = (
            "; ".join([reason_text(note) for note in one.first.notes[:3]] or carried)
            or "its interval holds the threshold"
        )
        effect = interval_text(one.first.effect)
        rows.append((one.row.name, effect, threshold_text(one), why, _count(count), hours))
    columns = ["row", "effect [95 %]", "threshold", "why", "originals that would decide", "CPU hours for them"]
    return frame(rows, columns, "row")


def _count(number: int | None) -> str:
    return "no number would" if number is None else str(number)


def seconds_of_original(study: Study, judged: Sequence[Judged], original: int = 1) -> dict[str, float]:
    """CPU seconds that one more original model costs the experiments of each row, by recorded run times.

    All that hangs on ``original`` there is counted, as if nothing were stored; nan where no run time is known, or where
    nothing hangs on it.
    """
    empty, takes = Store(study.store.folder / "none", []), seconds_of(study.store)
    made, costs = {**EXPERIMENTS, **PRICED_APART}, dict[str, dict[Spec, float]]()

    def cost(name: str) -> dict[Spec, float]:
        if name not in costs:
            wanted = between_models.ORIGINALS[0] if name == BETWEEN else original
            try:
                own = [spec for spec in made[name](study) if original_of(spec) == wanted]
            except BadInput:  # it needs originals with a forget set each
                own = []
            costs[name] = {spec: takes(plain(spec)) for spec in missing(own, empty)}
        return costs[name]

    found = {}
    for one in judged:
        names = [SHARED.get(name, name) for name in one.row.on]
        together = {spec: seconds for name in names for spec, seconds in cost(name).items()}
        found[one.row.name] = sum(together.values()) if together else math.nan
    return found


def controls_list(walked: Mapping[str, Sequence[Walk]]) -> str:
    """The controls of every experiment, in Markdown; experiments of which the same is told stand together."""
    told: dict[str, list[str]] = {}
    for name, walks in walked.items():
        if walks:
            told.setdefault(controls_text(walks), []).append(f"`{name}`")
    return "\n".join(f"- {', '.join(names)}. {text}" for text, names in told.items())


def before_table(judged: Sequence[Judged]) -> Table:
    """Each claim's verdict by the older tests, on results of one original (`claims.first_design`), beside the new ones.

    Claims that neither judged are left out.
    """
    try:
        old = first_design()
    except BadInput:
        old = {}
    rows = []
    for claim in CLAIMS:
        ones = [one for one in judged if one.row.id == claim and one.found]
        before = old.get(claim, {}).get("verdict", NOT_RUN)
        if not ones and before == NOT_RUN:
            continue
        row = old.get(claim, {})
        effect = " ".join([before, _old_effect(row)]).strip()
        now = "; ".join(
            f"{one.row.measure or 'now'}: {one.verdict}" if one.row.measure else one.verdict for one in ones
        )
        rows.append((claim, CLAIMS[claim].statement, effect, now or NOT_RUN))
    return frame(rows, ["id", "claim", "first design", "this design"], "id")


def _old_effect(row: Mapping[str, str]) -> str:
    if not row.get("effect"):
        return ""
    return spread([float(row[name]) for name in ("effect", "low", "high")], 2)


def replication_table(rows: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> Table:
    """The rows that two ledgers judged: effect and verdict in each, whether the verdicts are the same.

    ``inside`` says whether the other's effect lies in this ledger's interval.
    """
    there, shown = {row["row"]: row for row in other if row["verdict"] != NOT_RUN}, []
    for row in rows:
        if row["verdict"] != NOT_RUN and row["row"] in there:
            again = there[row["row"]]
            texts = [effect_text(one) for one in (row, again)]
            known = "-" not in texts
            inside = ("yes" if row["low"] <= again["effect"] <= row["high"] else "no") if known else "-"
            same = "yes" if row["verdict"] == again["verdict"] else "NO"
            shown.append((row["row"], texts[0], texts[1], inside, row["verdict"], again["verdict"], same))
    columns = ["row", "effect here", "effect there", "inside", "verdict here", "verdict there", "same"]
    return frame(shown, columns, "row")


def not_run_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The claims that were not run, and why: what they need, no notebook yet, or walks that are not there."""
    shown = []
    for row in rows:
        if row["verdict"] == NOT_RUN:
            made = {**EXPERIMENTS, **PRICED_APART}
            absent = [name for name in row["notebook"].split(", ") if name and name not in made]
            why = f"{', '.join(absent)} does not exist yet" if absent else "its walks are not in the store"
            shown.append((row["row"], row["claim"], row["notes"] or why))
    return frame(shown, ["row", "claim", "why"], "row")


def forest_table(judged: Sequence[Judged]) -> Table:
    """One line per row judged, for the forest figure: its effect, its interval and the corrected one, and words.

    Columns row, statement, verdict, survives, unit (of the panel), x, low, high, wide_low, wide_high, edges, direction,
    effect (text), threshold (text).
    """
    rows = []
    for one in judged:
        if (first := one.first) is None:
            continue
        told, wide = one.row.told, one.corrected.effect if one.corrected else first.effect
        unit = next((title for title, units in UNITS.items() if told["unit"] in units), told["unit"])
        statement = CLAIMS[one.row.id].statement + (f" ({one.row.measure})" if one.row.measure else "")
        numbers = *first.effect, wide.low, wide.high
        words = interval_text(first.effect, 2, "nothing to measure"), threshold_text(one)
        edges = tuple(map(float, told["edges"]))
        rows.append(
            (one.row.name, statement, one.verdict, stands(one), unit, *numbers, edges, told["direction"], *words)
        )
    columns = "row statement verdict survives unit x low high wide_low wide_high edges direction effect threshold"
    return frame(rows, columns.split())


# Figures


@drawing.style()
def forest_figure(table, *, level: float | None = None, title: str = ""):
    """Every row judged, in panels by the unit of its effect, each on a scale of its own, with the side that supports.

    ``table`` is a `forest_table`; ``level`` is that of the corrected intervals, drawn thin, for the legend.
    """
    drawing.check_columns(table, ("row", "statement", "verdict", "unit", "x", "low", "high", "edges", "direction"))
    units = [unit for unit in UNITS if unit in set(table["unit"])]
    units += [unit for unit in dict.fromkeys(table["unit"]) if unit not in UNITS]
    panels = [where(table, unit=unit) for unit in units]
    heights = {"height_ratios": [len(part) + 0.3 for part in panels]}
    fig, axes = panel_grid(len(units), 1, 1.0 + 0.43 * len(table) + 0.55 * len(units), gridspec_kw=heights)
    for ax, unit, part in zip(axes[:, 0], units, panels, strict=True):
        _forest_panel(ax, part, unit)
    heading = "effect [95 %]\n(threshold)"
    top = axes[0, 0]
    top.text(1.02, -0.62, heading, transform=top.get_yaxis_transform(), fontsize=8, va="bottom", fontweight="bold")
    keys = [entry(marker, colour, word, ls="-", lw=3) for word, (colour, marker) in VERDICT_STYLES.items()]
    thin = "thin: corrected" + ("" if level is None else f" ({100 * level:.1f} %)")
    keys += [entry("", GREY, thin, ls="-", lw=0.8), entry("s", SUPPORTING, "side that supports", ms=8)]
    if (~table["survives"] & table["verdict"].isin(DECIDED)).any():
        keys.append(_hollow())
    fig.legend(handles=keys, loc="outside lower center", ncols=3)
    return settle_below(fig, title)


def _forest_panel(ax, part, unit: str) -> None:
    """The rows of one unit."""
    low, high = _reach(part, unit)
    for y, one in enumerate(part.itertuples()):
        first, last = min(one.edges), max(one.edges)
        sides = {"above": [(first, high)], "explained": [(first, high)], "below": [(low, last)]}
        for start, end in sides.get(one.direction, [(low, first), (last, high)]):
            ax.fill_between([start, end], y - 0.36, y + 0.36, color=SUPPORTING, lw=0, zorder=0)
        for edge in one.edges:
            ax.plot([edge, edge], [y - 0.36, y + 0.36], color=BLACK, lw=1.4, zorder=1)
        _forest_row(ax, y, one, (low, high))
    ax.set_xlim(low, high)
    ax.set_ylim(len(part) - 0.45, -0.55)
    ax.set_yticks(range(len(part)), [_statement(one) for one in part.itertuples()])
    ax.locator_params(axis="x", nbins=6)
    ax.set_title(unit[0].upper() + unit[1:], loc="left", fontsize=9, fontweight="bold")
    ax.grid(axis="y", visible=False)


def _reach(part, unit: str) -> tuple[float, float]:
    """The ends of a panel's axis: all that can be of a share, otherwise all that was found."""
    if unit in WHOLE:
        least, most = WHOLE[unit]
    else:
        edges = [edge for edges in part["edges"] for edge in edges]
        ends = np.append(part[["x", "low", "high", "wide_low", "wide_high"]].to_numpy(float), [*edges, 0.0])
        ends = ends[np.isfinite(ends)]
        least, most = float(ends.min()), float(ends.max())
    pad = (0.03 if unit in WHOLE else 0.15) * (most - least) or 0.1  # so that a side beyond the last edge is seen
    return least - pad, most + pad


def _forest_row(ax, y: int, one, reach: tuple[float, float]) -> None:
    """A row; an interval without an end is drawn to that of the axis, whose ends are ``reach``."""
    colour, marker = VERDICT_STYLES[one.verdict]
    if np.isfinite(one.x):
        wide, own = (
            [edge if np.isinf(end) else end for end, edge in zip(ends, reach, strict=True)]
            for ends in ((one.wide_low, one.wide_high), (one.low, one.high))
        )
        ax.plot(wide, [y, y], color=colour, lw=0.8)
        ax.plot(own, [y, y], color=colour, lw=3.0, solid_capstyle="butt")
        filled = colour if one.survives or one.verdict == "undecided" else "white"
        ax.plot(one.x, y, marker, color=filled, mec=colour, mew=1.4, ms=7, zorder=4)
    words = f"{one.effect}\n({one.threshold})"
    ax.text(1.02, y, words, transform=ax.get_yaxis_transform(), fontsize=8, va="center", color=BLACK)


def _statement(one) -> str:
    """A row's number and sentence in few lines, in which its measure is never cut off."""
    number, _, measure = one.row.partition(" ")
    told = f" ({measure})" if measure else ""
    words, end = one.statement.removesuffix(told).split(), told
    while len(lines := textwrap.wrap(f"{number}  {' '.join(words)}{end}", WIDTH)) > LINES:
        words, end = words[:-1], f" …{told}"
    return "\n".join(lines)


def _hollow():
    key = entry("o", "white", "hollow: lost when corrected", ms=6)
    key.set(markeredgecolor=GREY, markeredgewidth=1.4)
    return key
