"""15: all claims judged together, and what their verdicts survive."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..engine.study import Study
from ..errors import BadInput, number
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREEN, GREY, VERMILLION, entry, panel_grid, where
from ..measures.intervals import LEVEL
from .claims import CLAIMS, Verdict, effect_text
from .judging import controls_hold, nothing_found
from .panels import settle_below
from .progress_and_retraining import OTHER, retraining_control
from .registry import EXPERIMENTS, ROUTES, TESTS, verdict_of
from .tables import Table, found_text, frame
from .walks import APART, RETRAINED, TWINNED, Walk, walk_all

# Claims whose support must go when profiles are shuffled among labels; the others read no label, or ask for differences
# between walks, which a shuffle makes.
SHUFFLED_AWAY = ("C2", "C4", "C5", "C6", "C16")
# Claims by the unit of their effect: effects of one unit share a scale.
UNITS = {
    "Share of pairs, paths or contexts": ("C1", "C7", "C8", "C11", "C12", "C13", "C16", "C21"),
    "Share of pairs, beyond another seed's share": ("C23", "C24"),
    "Change of the deficit (C4) or of the smallest eps, in G": ("C4", "C5", "C6"),
    "Share of variance (C2); mean size of a rank correlation (C9)": ("C2", "C9"),
    "Distance or range, in units of the metric's own change or gap": ("C15", "C10"),
}
OTHER_UNIT = "In the claim's own unit"
_SHARES, _BEYOND, _, _SIZES, _ = UNITS
WHOLE = {_SHARES: (0.0, 1.0), _BEYOND: (-1.0, 1.0), _SIZES: (0.0, 1.0)}  # all that such an effect can be
SUPPORTING = "#DCEFE7"
VERDICT_STYLES = {"supported": (GREEN, "o"), "contradicted": (VERMILLION, "s"), "undecided": (GREY, "D")}


# Tables


def gather(study: Study) -> dict[str, list[Walk]]:
    """The walks of all experiments of `registry.ROUTES`, computed together."""
    routes = {name: made(study) for name, made in ROUTES.items()}
    walks = iter(walk_all(study, [route for part in routes.values() for route in part]))
    return {name: [next(walks) for _ in part] for name, part in routes.items()}


def judge_all(
    walked: Mapping[str, Sequence[Walk]], gaps: Mapping[str, float], level: float = LEVEL, eps: float = TOLERANCE
) -> list[Verdict]:
    """The verdict of every claim of `registry.TESTS` whose experiments are given, in the order of the claims.

    A claim for which no walk is left is undecided, with nothing measured.

    ``walked`` has the walks of each experiment, as `gather`; for ``gaps``, ``level`` and ``eps`` see `room.verdict_by`.
    """
    found, eps = [], number("the tolerance epsilon", eps, 0)
    for claim in (name for name in CLAIMS if name in TESTS):
        names, _ = TESTS[claim]
        if set(names) <= set(walked):
            walks = [w for name in names for w in walked[name]]
            try:
                found.append(verdict_of(claim, walks, eps, gaps=gaps, level=level))
            except BadInput:  # no walk of the claim's kind is left, for example because all ends collapsed
                found.append(nothing_found(claim))
    return found


def shuffled(walked: Mapping[str, Sequence[Walk]], seed: int = 0) -> dict[str, list[Walk]]:
    """The same walks with their profiles drawn among each other: labels no longer say what was walked.

    Within each experiment profiles change places among walks of one kind of curve and number of points, whatever their
    other labels; lines to retrained models only among those whose retrained model began alike. The
    controls of other experiments keep theirs, so that what is lost is not lost by a failed control.
    """
    rng, found = np.random.default_rng(seed), {}
    for name, walks in walked.items():
        found[name] = list(walks)
        places: dict[tuple, list[int]] = {}
        for k, w in enumerate(walks):
            if w.control in ("", RETRAINED):
                places.setdefault((w.kind, len(w.profile.t), w.init), []).append(k)
        for rows in places.values():
            for k, other in zip(rows, rng.permutation(rows), strict=True):
                found[name][k] = replace(walks[k], profile=walks[other].profile)
    return found


def shuffled_table(judged: Sequence[Verdict], again: Sequence[Verdict]) -> Table:
    """Verdicts of `SHUFFLED_AWAY` on the walks as they are, and with their profiles shuffled."""
    both = [pair for pair in zip(judged, again, strict=True) if pair[0].claim in SHUFFLED_AWAY]
    rows = [(one.claim, found_text(one), found_text(other)) for one, other in both]
    return frame(rows, ["claim", "as walked", "shuffled"], "claim")


def ledger_table(rows: Sequence[Mapping]) -> Table:
    """The rows of a ledger to be read, without the claims that were not run."""
    names = {"n_pairs": "pairs", "n_seeds": "seeds"}
    run = [row | {"effect [95 %]": effect_text(row)} for row in map(dict, rows) if row["verdict"] != "not run"]
    columns = ["id", "claim", "statistic", "threshold", "effect [95 %]", *names, "verdict"]
    return frame(run, columns, "id").rename(columns=names)


def strict_level(judged: Sequence[Verdict]) -> float:
    """The level of intervals that hold together for all claims judged: 1 - 0.05 / their number (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, len(judged))


def survives(first: Verdict, strict: Verdict, level: float) -> bool:
    """Whether a decided verdict stands at the corrected level, where a p that supports must lie below 1 - level."""
    small = strict.p is None or strict.verdict != "supported" or strict.p < 1 - level
    return first.verdict in ("supported", "contradicted") and strict.verdict == first.verdict and small


def corrected_table(judged: Sequence[Verdict], strict: Sequence[Verdict]) -> Table:
    """Each claim's verdict, its interval at the corrected level, the permutation p where it has one, what survives."""
    level, rows = strict_level(judged), []
    for one, other in zip(judged, strict, strict=True):
        p = "" if one.p is None or np.isnan(one.p) else f"{one.p:.2g}"
        row = {"claim": one.claim, "verdict": one.verdict, "p": p}
        row["corrected interval"] = effect_text(vars(other))
        decided = one.verdict in ("supported", "contradicted")
        row["survives"] = ("yes" if survives(one, other, level) else "no") if decided else "-"
        rows.append(row)
    return frame(rows, index="claim")


def controls_table(walked: Mapping[str, Sequence[Walk]]) -> Table:
    """Per experiment: its controls, whether they held, and how many of its walks were left out for a collapsed end."""
    rows = []
    for name, walks in walked.items():
        retrained = [w for w in walks if w.control == RETRAINED]
        apart = [w.barrier for w in retrained if w.init == OTHER] or [w.barrier for w in walks if w.control == APART]
        twins, ours = [w.eps for w in walks if w.control == TWINNED], [w for w in walks if not w.control]
        held = retraining_control(walks) if retrained else controls_hold(walks)
        least, most = (f"{pick(values):.3f}" if values else "-" for pick, values in ((min, apart), (max, twins)))
        lost = sum(bool(w.profile.collapsed) for w in ours)
        rows.append((name, least, len(apart), most, len(twins), "yes" if held else "NO", len(ours), lost))
    columns = ["experiment", "other initialisation: smallest barrier", "pairs", "fine-tuned twin: largest eps"]
    return frame(rows, [*columns, "twins", "held", "walks", "collapsed"], "experiment")


def replication_table(rows: Sequence[Mapping], other: Sequence[Mapping]) -> Table:
    """The claims that two ledgers judged: effect and verdict in each, whether the verdicts are the same.

    ``inside`` says whether the other's effect lies in this ledger's interval.
    """
    there, shown = {row["id"]: row for row in other if row["verdict"] != "not run"}, []
    for row in rows:
        if row["verdict"] != "not run" and row["id"] in there:
            again = there[row["id"]]
            texts = [effect_text(one) for one in (row, again)]
            known = "-" not in texts
            inside = ("yes" if row["low"] <= again["effect"] <= row["high"] else "no") if known else "-"
            same = "yes" if row["verdict"] == again["verdict"] else "NO"
            shown.append((row["id"], texts[0], texts[1], inside, row["verdict"], again["verdict"], same))
    columns = ["id", "effect here", "effect there", "inside", "verdict here", "verdict there", "same"]
    return frame(shown, columns, "id")


def not_run_table(rows: Sequence[Mapping]) -> Table:
    """The claims that were not run, and why: their notebook is not among the experiments, or no test is registered."""
    shown = []
    for row in rows:
        if row["verdict"] == "not run":
            names = row["notebook"].split(", ")
            absent = [name for name in names if name not in EXPERIMENTS]
            why = f"{', '.join(absent)} does not exist yet" if absent else f"{', '.join(names)} registers no test of it"
            shown.append((row["id"], row["claim"], why))
    return frame(shown, ["id", "claim", "why"], "id")


def forest_table(judged: Sequence[Verdict], strict: Sequence[Verdict]) -> Table:
    """One row per claim judged, for the forest figure: its effect, its interval and the corrected one, and words.

    Columns claim, statement, verdict, survives, unit (a key of `UNITS`), x, low, high, wide_low, wide_high, edge (the
    threshold), direction, effect (text), threshold (text).
    """
    level, rows = strict_level(judged), []
    for one, other in zip(judged, strict, strict=True):
        claim = CLAIMS[one.claim]
        numbers = (np.nan if v is None else v for v in (one.effect, one.low, one.high, other.low, other.high))
        sign = {"above": ">", "below": "<", "outside": "beyond ±", "explained": ">"}[claim.direction]
        words = effect_text(vars(one), 2, "nothing to measure"), f"{sign} {claim.threshold:g}"
        unit = next((unit for unit, claims in UNITS.items() if one.claim in claims), OTHER_UNIT)
        row = one.claim, claim.statement, one.verdict, survives(one, other, level), unit
        rows.append((*row, *numbers, claim.threshold, claim.direction, *words))
    columns = "claim statement verdict survives unit x low high wide_low wide_high edge direction effect threshold"
    return frame(rows, columns.split())


# Figures


@drawing.style()
def forest_figure(table, *, level: float | None = None, title: str = ""):
    """Every claim judged, in panels by the unit of its effect, each on a scale of its own, with the side that supports.

    ``table`` is a `forest_table`; ``level`` is that of the corrected intervals, drawn thin, for the legend.
    """
    drawing.check_columns(table, ("claim", "statement", "verdict", "unit", "x", "low", "high", "edge", "direction"))
    units = [unit for unit in (*UNITS, OTHER_UNIT) if unit in set(table["unit"])]
    parts = [where(table, unit=unit) for unit in units]
    heights = {"height_ratios": [len(part) + 0.3 for part in parts]}
    fig, axes = panel_grid(len(units), 1, 1.0 + 0.43 * len(table) + 0.55 * len(units), gridspec_kw=heights)
    for ax, unit, part in zip(axes[:, 0], units, parts, strict=True):
        _forest_panel(ax, part, unit)
    heading = "effect [95 %]\n(supported if)"
    top = axes[0, 0]
    top.text(1.02, -0.62, heading, transform=top.get_yaxis_transform(), fontsize=8, va="bottom", fontweight="bold")
    keys = [entry(marker, colour, word, ls="-", lw=3) for word, (colour, marker) in VERDICT_STYLES.items()]
    thin = "thin: corrected" + ("" if level is None else f" ({100 * level:.1f} %)")
    keys += [entry("", GREY, thin, ls="-", lw=0.8), entry("s", SUPPORTING, "side that supports", ms=8)]
    if (~table["survives"] & table["verdict"].isin(("supported", "contradicted"))).any():
        keys.append(_hollow())
    fig.legend(handles=keys, loc="outside lower center", ncols=3)
    return settle_below(fig, title)


def _forest_panel(ax, part, unit: str) -> None:
    """The claims of one unit."""
    low, high = _reach(part, unit)
    for y, one in enumerate(part.itertuples()):
        sides = {"above": [(one.edge, high)], "explained": [(one.edge, high)], "below": [(low, one.edge)]}
        for start, end in sides.get(one.direction, [(low, -one.edge), (one.edge, high)]):
            ax.fill_between([start, end], y - 0.36, y + 0.36, color=SUPPORTING, lw=0, zorder=0)
        for edge in (-one.edge, one.edge) if one.direction == "outside" else (one.edge,):
            ax.plot([edge, edge], [y - 0.36, y + 0.36], color=BLACK, lw=1.4, zorder=1)
        _forest_row(ax, y, one, (low, high))
    ax.set_xlim(low, high)
    ax.set_ylim(len(part) - 0.45, -0.55)
    ax.set_yticks(range(len(part)), [_statement(one) for one in part.itertuples()])
    ax.set_title(unit, loc="left", fontsize=9, fontweight="bold")
    ax.grid(axis="y", visible=False)


def _reach(part, unit: str) -> tuple[float, float]:
    """The ends of a panel's axis: all that can be of a share, otherwise all that was found."""
    if unit in WHOLE:
        least, most = WHOLE[unit]
    else:
        ends = part[["x", "low", "high", "wide_low", "wide_high", "edge"]].to_numpy(float)
        ends = ends[np.isfinite(ends)]
        least, most = (
            min(ends.min(), -part["edge"].max() if (part["direction"] == "outside").any() else 0.0),
            ends.max(),
        )
    pad = 0.03 * (most - least)
    return least - pad, most + pad


def _forest_row(ax, y: int, one, reach: tuple[float, float]) -> None:
    """A claim; an interval without an end is drawn to that of the axis, whose ends are ``reach``."""
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
    return "\n".join(textwrap.wrap(f"{one.claim}  {one.statement}", 48, max_lines=3, placeholder=" …"))


def _hollow():
    key = entry("o", "white", "hollow: lost when corrected", ms=6)
    key.set(markeredgecolor=GREY, markeredgewidth=1.4)
    return key
