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
from ..measures.drawing import BLACK, GREEN, GREY, LIGHT, VERMILLION, entry, panel_grid
from ..measures.intervals import LEVEL, Interval
from .claims import CLAIMS, Verdict, effect_text
from .judging import controls_hold, nothing_found
from .panels import settle_below, symlog
from .progress_and_retraining import OTHER, retraining_control
from .registry import EXPERIMENTS, ROUTES, TESTS, verdict_of
from .tables import Table, found_text, frame
from .walks import APART, RETRAINED, TWINNED, Walk, walk_all

# Claims whose support must go when profiles are shuffled among labels; the others read no label, or ask for differences
# between walks, which a shuffle makes.
SHUFFLED_AWAY = ("C2", "C4", "C5", "C6", "C16")
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


def beyond(claim_id: str, interval: Sequence[float]) -> Interval:
    """An effect with its interval as distance beyond the claim's threshold, positive where it supports the claim.

    In units of the threshold, or, where that is 0, of half the interval's width. For a difference whose sign is not
    claimed it is the distance of its absolute value.
    """
    claim = CLAIMS[claim_id]
    value, low, high = interval
    if claim.direction == "outside":
        low, high = 0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high))
        value = abs(value)
    unit = abs(claim.threshold) or (high - low) / 2 or 1.0
    ends = [(v - claim.threshold) / unit for v in (value, low, high)]
    return Interval(-ends[0], -ends[2], -ends[1]) if claim.direction == "below" else Interval(*ends)


def forest_table(judged: Sequence[Verdict], strict: Sequence[Verdict]) -> Table:
    """One row per claim judged, for the forest figure: `beyond` of its interval and of the corrected one, and words.

    Columns claim, statement, verdict, survives, x, low, high, wide_low, wide_high, effect (text), threshold (text).
    """
    level, rows = strict_level(judged), []
    for one, other in zip(judged, strict, strict=True):
        claim = CLAIMS[one.claim]
        x, wide = (beyond(one.claim, _interval(one.effect, v.low, v.high)) for v in (one, other))
        sign = {"above": ">", "below": "<", "outside": "beyond ±", "explained": ">"}[claim.direction]
        words = effect_text(vars(one), 2, "nothing to measure"), f"{sign} {claim.threshold:g}"
        row = one.claim, claim.statement, one.verdict, survives(one, other, level)
        rows.append((*row, *x, wide.low, wide.high, *words))
    return frame(rows, "claim statement verdict survives x low high wide_low wide_high effect threshold".split())


def _interval(*values: float | None) -> Interval:
    return Interval(*(np.nan if value is None else value for value in values))


# Figures


@drawing.style()
def forest_figure(table, *, level: float | None = None, title: str = ""):
    """Every claim judged: how far its effect lies beyond its threshold, on the side that supports it or on the other.

    ``table`` is a `forest_table`; ``level`` is that of the corrected intervals, drawn thin, for the legend.
    """
    drawing.check_columns(table, ("claim", "statement", "verdict", "x", "low", "high", "effect", "threshold"))
    fig, axes = panel_grid(1, 1, 1.5 + 0.42 * len(table))
    ax = axes[0, 0]
    for y, one in enumerate(table.itertuples()):
        _forest_row(ax, y, one)
    ends = table[["low", "high"]].to_numpy(float)
    ends = ends[np.isfinite(ends)]
    limits = 1.3 * min(ends.min(initial=-1), -1), 1.3 * max(ends.max(initial=1), 1)
    ticks = [v for v in (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100) if limits[0] <= v <= limits[1]]
    symlog(ax, "x", 1.0, limits, ticks, [f"{v:+d}" if v else "0" for v in ticks])
    ax.axvspan(limits[0], 0, color=LIGHT, alpha=0.5, lw=0, zorder=0)
    ax.axvline(0, color=BLACK, lw=1.2)
    ax.set_xlabel("distance of the effect beyond its threshold, in thresholds\n(grey: the side that contradicts)")
    ax.set_yticks(range(len(table)), [_statement(one) for one in table.itertuples()])
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    heading = "effect [95 %]\n(threshold)"
    ax.text(1.02, -0.7, heading, transform=ax.get_yaxis_transform(), fontsize=8, va="bottom", fontweight="bold")
    keys = [entry(marker, colour, word, ls="-", lw=3) for word, (colour, marker) in VERDICT_STYLES.items()]
    thin = "thin: corrected" + ("" if level is None else f" ({100 * level:.1f} %)")
    keys.append(entry("", GREY, thin, ls="-", lw=0.8))
    if (~table["survives"] & table["verdict"].isin(("supported", "contradicted"))).any():
        keys.append(_hollow())
    fig.legend(handles=keys, loc="outside lower center", ncols=3)
    return settle_below(fig, title)


def _forest_row(ax, y: int, one) -> None:
    colour, marker = VERDICT_STYLES[one.verdict]
    if np.isfinite(one.x):
        ax.plot([one.wide_low, one.wide_high], [y, y], color=colour, lw=0.8)
        ax.plot([one.low, one.high], [y, y], color=colour, lw=3.0, solid_capstyle="butt")
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
