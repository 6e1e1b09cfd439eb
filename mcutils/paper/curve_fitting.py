"""08: what the conclusions owe to the way a curve is fitted (C12, C13, C23, C24)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np

from ..curves import RECIPES
from ..engine.study import Study
from ..errors import number
from ..fits import TOLERANCE as REST, Fit
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREY, LIGHT, PURPLE, VERMILLION, entry, finish, label, panel_grid, where
from ..measures.intervals import LEVEL, difference, percentile_interval, share_interval
from . import tables
from .claims import CLAIMS, Verdict, spread
from .judging import FAILED, controls_hold, judge_share, judged, pair_of, share_over, smaller_of, usable
from .panels import SERIES, decades, dot_entry, dots_row, method_panels, tolerance_line
from .room import Room, verdict_by
from .seeds import c1, c21
from .tables import Table, found_text, frame, stacked
from .walks import (
    SOME,
    Labels,
    Route,
    Walk,
    alone,
    coarse,
    condition_routes,
    controls,
    fit_records,
    independent_pairs,
    references,
    ring_pairs,
)

# Objectives of a fit that is not the method's own: retain loss only, and retain minus clipped forget loss.
OBJECTIVES = {"retain only": "finetune", "retain - forget": "gradient_difference"}
CHOICES = tuple(name for name in RECIPES if name not in ("corrected", "authors"))
FITS = (
    "line",
    "line, BatchNorm kept",
    "corrected",
    "corrected, another seed",
    "BatchNorm kept",
    *OBJECTIVES,
    "authors",
)
CHOICE_FITS = tuple(name.replace("_", " ") for name in CHOICES)
FITS += CHOICE_FITS
FEW = "corrected, the same methods"  # as those that single choices of the recipe were tried with
OUTCOMES = ("both", "line only", "curve only", "neither")
PATHS = ("line", "corrected", "better of the two")
# How rows of fits are drawn: lines, curves, and the authors' own way.
FIT_STYLES = {"line": (BLUE, "o"), "line, BatchNorm kept": (BLUE, "o"), "authors": (PURPLE, "D")}


# What is walked


def fits(study: Study) -> list[Route]:
    """Ways to fit a Bezier curve between the same pairs: objective, recipe, single choices of the recipe, BatchNorm.

    Another seed of the corrected fit says how much of a change is chance. Bad teaching has more pairs, by the authors'
    recipe only, since three cannot tell a share above one half (C12). Where originals have a forget set each, the
    authors' curve is also read with refreshed BatchNorm, the walks of 02 stand for line and curve, the second objective
    is left out, and single choices and the corrected curve's BatchNorm are tried on `SOME` of them.
    """
    routes, some, each = [], set(study.preset.methods[-4:-1]), bool(study.preset.originals)
    contexts, pairs, points = alone(study.preset.fit), independent_pairs(study), coarse(study)
    for route in condition_routes(study, "random", contexts, pairs, points=points):
        routes.append(replace(route, points=0) if each else route)
        if not each or route.kind == "linear" or route.original < SOME:
            routes.append(replace(route, batchnorm="none"))
        if route.kind == "linear":
            continue
        ends = route.path.start, route.path.end
        routes.append(replace(route, path=study.path(*ends, "bezier", seed=1), refit=True))
        tried = route.method in some and (not each or route.original < SOME)
        for name, objective in list(OBJECTIVES.items())[: 1 if each else None]:
            routes.append(replace(route, path=study.path(*ends, "bezier", objective=objective), objective=name))
        for recipe in ("authors", *(CHOICES if tried else ())):
            routes.append(replace(route, path=study.path(*ends, "bezier", recipe), recipe=recipe))
            if each and recipe == "authors":
                routes.append(replace(routes[-1], batchnorm="retain"))
    more = [pair for pair in ring_pairs(study) if pair not in pairs]
    taught = alone([name for name in study.preset.methods if name == "bad_teacher"])
    for route in condition_routes(study, "random", taught, more, points=points):
        path = study.path(route.path.start, route.path.end, "bezier", "authors")
        routes.append(route if route.kind == "linear" else replace(route, path=path, recipe="authors"))
    return routes + controls(study)


# The tests of the claims


def fit_name(walk: Labels) -> str:
    """What a path is called beside others between the same ends: one of `FITS`, or its recipe and kind."""
    kept = walk.batchnorm == "none"
    if walk.kind == "linear":
        return "line, BatchNorm kept" if kept else "line"
    name = "BatchNorm kept" if kept else walk.objective or walk.recipe.replace("_", " ") or "corrected"
    name += ", another seed" if walk.refit else ", BatchNorm refreshed" if walk.batchnorm == "retain" else ""
    return name if walk.kind == "bezier" else f"{name} {walk.kind}"


def beside(walks: Sequence[Walk], *fits: str) -> list[tuple[Walk, ...]]:
    """Sound walks of one pair by several fits, each a name of `FITS`; pairs that lack one are left out."""
    found = {(pair_of(w), fit_name(w)): w for w in usable(walks)}
    pairs = dict.fromkeys(pair for pair, _ in found)
    return [tuple(found[pair, fit] for fit in fits) for pair in pairs if all((pair, fit) in found for fit in fits)]


def c12(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C12: share of bad-teaching fits by the authors' recipe whose smallest eps exceeds that of the line by 0.1."""
    both = [(a, b) for a, b in beside(walks, "authors", "line") if a.method == "bad_teacher"]
    hits = [a.eps > b.eps + FAILED for a, b in both]
    replicates = [a.replicates("eps") > b.replicates("eps") + FAILED for a, b in both]
    return judge_share("C12", [a for a, _ in both], hits, replicates, level, controls_hold(walks))


def c13(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C13: the smaller of the shares of pairs with MCU(eps) on the line only and on the quadratic curve only."""
    both = beside(walks, "line", "corrected")
    kept, sides = [a for a, _ in both], []
    for first, second in ((0, 1), (1, 0)):
        hits = [p[first].connected(eps) and not p[second].connected(eps) for p in both]
        again = [(p[first].replicates("eps") <= eps) & ~(p[second].replicates("eps") <= eps) for p in both]
        sides.append(share_over(kept, hits, again, level))
    return judged("C13", smaller_of(*sides), kept, controls_hold(walks))


def _differ(claim: str, walks: Sequence[Walk], other: str, level: float, eps: float) -> Verdict:
    """Judge how much more often another fit changes a pair's verdict than another seed of the same fit does."""
    rows = beside(walks, "corrected", other, "corrected, another seed")
    kept, shares = [own for own, _, _ in rows], []
    for k in (1, 2):
        hits = [row[0].connected(eps) != row[k].connected(eps) for row in rows]
        replicates = [(row[0].replicates("eps") <= eps) != (row[k].replicates("eps") <= eps) for row in rows]
        shares.append(share_over(kept, hits, replicates, level))
    return judged(claim, difference(*shares), kept, controls_hold(walks))


def c23(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C23: share of pairs whose verdict changes when the fit minimises retain loss only, beyond a refit's share."""
    return _differ("C23", walks, "retain only", level, eps)


def c24(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C24: share of pairs whose verdict changes from the corrected to the authors' recipe, beyond a refit's share."""
    return _differ("C24", walks, "authors", level, eps)


# Tables


def fits_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """One row per walk: its fit, eps with its interval over examples, in G, and what it costs in nats.

    ``nats`` is the smallest tolerance with MCU, the loss that must be given away to connect; ``rise`` and ``dip`` are
    the mean rise of the retain loss above its chord and the mean dip of the forget loss below its own. ``floor`` is
    whether the reading beside the retrained models connects, 0 or 1, nan for a walk without levels.
    """
    rows = []
    for w in usable(walks):
        measures, again, gap = w.profile.connectivity.measures, w.replicates("eps"), w.profile.gap
        _, low, high = percentile_interval(w.eps, again)
        labels = w.method, fit_name(w), w.kind, w.pair, *w.nodes
        floor = float(w.connected(eps, "floor")) if w.profile.levels else np.nan
        found = w.barrier, w.deficit, w.eps, low, high, w.connected(eps), floor, w.eps * gap
        cost = measures["surplus_retain"], measures["shortfall_forget"]
        rows.append((*labels, *found, *cost, again <= eps, again, again * gap))
    columns = "method fit curve pair node_a node_b barrier deficit eps low high connected floor nats rise dip".split()
    return frame(rows, [*columns, "connected_again", "eps_again", "nats_again"])  # the last: replicates over examples


def fits_summary(table: Table) -> Table:
    """Per fit: pairs that it connects, the median of eps, what it costs; methods together."""
    rows = []
    for fit in [name for name in FITS if name in set(table["fit"])]:
        part = table[table["fit"] == fit]
        again = np.stack(part["connected_again"])
        share = share_interval(part["connected"], again, nodes=part[["node_a", "node_b"]].to_numpy())
        row = {"fit": fit, "methods": part["method"].nunique(), "pairs": len(part), "connected": spread(share, 2)}
        row |= {f"{name} (median)": part[name].median() for name in ("barrier", "deficit", "eps")}
        rows.append(row | {f"{name} (mean nats)": part[name].mean() for name in ("rise", "dip")})
    return frame(rows, index="fit").round(3)


def shares_table(table: Table) -> Table:
    """Per fit of a `fits_table`, lines first: the share of pairs that it connects, with its interval, and counts.

    Columns fit, methods, pairs, joined, share, low, high, floor: ``joined`` and ``floor`` are how many pairs the chord
    and the floor connect (`readings.READINGS`). Choices that few methods were tried with come after `FEW`, the
    corrected fit of the same methods.
    """
    rows, parts = [], {fit: table[table["fit"] == fit] for fit in FITS}
    tried = set(table["method"][table["fit"].isin(CHOICE_FITS)])
    own = parts["corrected"]
    parts = {fit: part for fit, part in parts.items() if fit not in CHOICE_FITS} | {
        FEW: own[own["method"].isin(tried)],
        **{fit: parts[fit] for fit in CHOICE_FITS},
    }
    for fit, part in parts.items():
        if len(part):
            again = np.stack(part["connected_again"])
            found = share_interval(part["connected"], again, nodes=part[["node_a", "node_b"]].to_numpy())
            counts = part["method"].nunique(), len(part), int(part["connected"].sum())
            rows.append((fit, *counts, *found, part["floor"].sum(min_count=1)))
    return frame(rows, ["fit", "methods", "pairs", "joined", "share", "low", "high", "floor"])


def convergence_table(fitted: Sequence[tuple[Labels, Fit]]) -> Table:
    """One row per fitted curve: how far its objective still fell at the end of its fit.

    ``fitted`` are labels and records as `walks.fitted` returns them. ``fall`` is minus `Fit.change`: the share by which
    the objective, averaged over t, is smaller in the last tenth of the steps than in the eighth; ``noise`` its standard
    error; ``loss`` its mean over the last tenth. Fits too short to tell have nan.
    """
    rows = []
    for one, fit in fitted:
        change, noise = fit.change()
        last = float(fit.averaged[fit.step > 0.9 * fit.steps].mean()) if fit.steps else np.nan
        rows.append((one.label, fit_name(one), one.condition, one.pair, fit.steps, last, -change, noise))
    return frame(rows, "method fit condition pair steps loss fall noise".split())


def convergence_summary(table: Table, most: float = REST) -> Table:
    """Per fit of a `convergence_table`: how many objectives still fell by more than ``most`` in the end.

    Columns: ``fits``; ``still fell`` and ``share``; ``clearly``, those whose fall exceeds ``most`` by two standard
    errors; ``rose`` by more than ``most``; and the median ``fall``. Fits too short to tell are left out.
    """
    most, rows = number("most", most, 0), []
    known = table[table["fall"].notna()]
    for fit in [*(one for one in FITS if one in set(known["fit"])), *sorted(set(known["fit"]) - set(FITS))]:
        part = known[known["fit"] == fit]
        fell, rose = part["fall"] > most, part["fall"] < -most
        clear = part["fall"] - 2 * part["noise"] > most
        rows.append((fit, len(part), fell.sum(), fell.mean(), clear.sum(), rose.sum(), part["fall"].median()))
    return frame(rows, ["fit", "fits", "still fell", "share", "clearly", "rose", "median fall"], "fit")


def failures(walks: Sequence[Walk]) -> tuple[Table, Table]:
    """Fits whose smallest eps exceeds that of the line between the same ends by 0.1 G, by method, and by fit alone.

    Returns:
        (method, fit, failed, n), and (fit, share, low, high, failed, n) over all methods, whose interval is over pairs
        and examples.
    """
    cells, totals = [], []
    for fit in [name for name in FITS if not name.startswith("line")]:
        both = beside(walks, fit, "line")
        hits = [a.eps > b.eps + FAILED for a, b in both]
        for method in dict.fromkeys(a.method for a, _ in both):
            ours = [hit for hit, (a, _) in zip(hits, both, strict=True) if a.method == method]
            cells.append((method, fit, sum(ours), len(ours)))
        if both:
            again = [a.replicates("eps") > b.replicates("eps") + FAILED for a, b in both]
            totals.append((fit, *share_over([a for a, _ in both], hits, again), sum(hits), len(both)))
    return frame(cells, ["method", "fit", "failed", "n"]), frame(totals, ["fit", "share", "low", "high", "failed", "n"])


def outcomes_table(
    walks: Sequence[Walk], fits: Sequence[str] = ("corrected", "authors"), eps: float = TOLERANCE
) -> Table:
    """One row per pair and fit: eps of the line and of the curve, and which of the two satisfies MCU(eps)."""
    rows = []
    for fit in fits:
        for line, curve in beside(walks, "line", fit):
            word = OUTCOMES[2 * (not line.connected(eps)) + (not curve.connected(eps))]
            rows.append((fit, line.method, line.pair, line.eps, curve.eps, word))
    return frame(rows, ["fit", "method", "pair", "line", "curve", "outcome"])


def outcomes_text(table: Table, eps: float = TOLERANCE) -> str:
    """Counts of an `outcomes_table` per fit, as a Markdown list."""
    lines = []
    for fit, part in table.groupby("fit", sort=False):
        counts = ", ".join(f"{word} {int((part['outcome'] == word).sum())}" for word in OUTCOMES)
        lines.append(f"- *{fit}*, {len(part)} pairs; MCU({eps:g}) on {counts}.")
    return "\n".join(lines) or "No pair was walked on both a line and a curve."


def disagreements_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Pairs on which the corrected and the authors' recipe disagree about MCU(eps), with eps and its interval (C24)."""
    rows = []
    for both in beside(walks, "corrected", "authors"):
        held = [w.connected(eps) for w in both]
        if held[0] != held[1]:
            cells = []
            for w in both:
                side = "barrier" if w.barrier > w.deficit else "deficit"
                cells += [spread(percentile_interval(w.eps, w.replicates("eps"))), side]
            rows.append((label(both[0].method), both[0].pair, *cells, "corrected" if held[0] else "authors"))
    columns = ["method", "pair", "eps, corrected", "set by", "eps, authors", "set by ", "connects"]
    return frame(rows, columns, ["method", "pair"])


TWO_SEEDS = {"C1": c1, "C13": c13, "C21": c21}  # tests of claims about two seeds


def recipes_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Claims about two seeds, each judged twice on the same pairs and lines: with the curves of either recipe.

    Only pairs that have the line and both curves count. Rows: claims; columns: statistic, then verdict and effect with
    the curves of the corrected and of the authors' recipe.
    """
    rows = beside(walks, "line", "corrected", "authors")
    controls = [w for w in walks if w.control]
    given = [controls + [w for row in rows for w in (row[0], replace(row[k], recipe=""))] for k in (1, 2)]
    found = []
    for claim, test in TWO_SEEDS.items():
        verdicts = [verdict_by(test, one, eps) for one in given]
        found.append((claim, CLAIMS[claim].measured(eps), *map(found_text, verdicts)))
    return frame(found, ["claim", "statistic", "corrected", "authors"], "claim")


def surplus_table(table: Table) -> Table:
    """What must be given away to connect each pair of a `fits_table`, on the line, the curve and the better of them.

    Columns method, path, pair, nats, rise, dip, node_a, node_b, nats_again; the better has the smaller ``nats``.
    """
    kept = table[table["fit"].isin(PATHS[:2])]
    whole = [part for _, part in kept.groupby(["method", "pair"], sort=False) if len(part) == 2]
    best = [part.loc[[part["nats"].idxmin()]].assign(fit=PATHS[2]) for part in whole]
    for one, part in zip(best, whole, strict=True):
        one["nats_again"] = [np.minimum(*part["nats_again"])]
    found = stacked([kept.iloc[:0], *whole, *best])
    columns = ["method", "path", "pair", "nats", "rise", "dip", "node_a", "node_b", "nats_again"]
    return found.rename(columns={"fit": "path"})[columns]


def answer_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What was expected of curves and recipes, what was found, and what follows, in Markdown; walks have levels."""
    table, (_, totals) = fits_table(walks, eps), failures(walks)

    def joined(fit: str, by: str = "connected") -> str:
        part = table[table["fit"] == fit]
        return f"{int(part[by].sum())} of {len(part)}"

    def changed(other: str) -> str:
        both = beside(walks, "corrected", other)
        return f"{sum(a.connected(eps) != b.connected(eps) for a, b in both)} of {len(both)}"

    worse = next((f"{one.failed} of {one.n}" for one in totals.itertuples() if one.fit == "corrected"), "0 of 0")
    expected = (
        "A curve that starts as the line and is fitted with the method's own objective should do no worse than the "
        "line, and the recipe should matter little."
    )
    found = (
        f"By MCU({eps:g}) the line connects {joined('line')} pairs, the corrected curve {joined('corrected')}, the "
        f"same curve with BatchNorm kept {joined('BatchNorm kept')}, the authors' recipe {joined('authors')}, the fit "
        f"without a forget term {joined('retain only')}. On {worse} pairs the corrected curve needs over {FAILED:g} G "
        f"more than the line. Another seed of the fit changes the verdict of {changed('corrected, another seed')} "
        f"pairs, the authors' recipe that of {changed('authors')}. Where only what is beyond the retrained models too "
        f"counts (reading `floor`), the line connects {joined('line', 'floor')} and the corrected curve "
        f"{joined('corrected', 'floor')}."
    )
    so = (
        "*Connected* is said of two models and of a fit: its objective, its recipe, its BatchNorm policy. A curve that "
        "is worse than the line it starts from says that the fit failed, not that there is no path. How much there is "
        "to repair hangs on the reading."
    )
    return tables.answer_text(expected, found, so)


# Figures


@drawing.style()
def shares_figure(table, *, eps: float, title: str = ""):
    """Share of pairs that each way to fit connects, with its interval, by the chord, and hollow by the floor.

    ``table`` is a `shares_table`; ``eps`` is its tolerance, for the label.
    """
    drawing.check_columns(table, ("fit", "methods", "pairs", "joined", "share", "low", "high", "floor"))
    fig, axes = panel_grid(1, 1, 1.3 + 0.28 * len(table))
    ax, most = axes[0, 0], table["methods"].max()
    for y, one in enumerate(table.itertuples()):
        colour, marker = FIT_STYLES.get(one.fit, (VERMILLION, "s"))
        ax.plot([one.low, one.high], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
        ax.plot(one.floor / one.pairs, y, marker, color="white", mec=colour, mew=1.2, ms=6, zorder=3)
        ax.plot(one.share, y, marker, color=colour, mec="white", mew=0.7, ms=7, zorder=4)
        beside = "" if np.isnan(one.floor) else f" ({one.floor:.0f})"
        words = f"{one.joined}{beside} of {one.pairs}" + ("" if one.methods == most else f", {one.methods} methods")
        ax.text(1.02, y, words, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.text(1.02, -0.75, "chord (floor)", transform=ax.get_yaxis_transform(), fontsize=8, fontweight="bold")
    lines = int(table["fit"].str.startswith("line").sum())
    for edge in (lines, int((table["methods"] == most).sum())):
        ax.axhline(edge - 0.5, color=GREY, lw=0.7 if 0 < edge < len(table) else 0)
    ax.set(xlim=(-0.03, 1.03), xlabel=f"pairs connected by MCU({eps:g}), %: share, 95 % interval")
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    ax.grid(axis="y", visible=False)
    drawing.name_rows(ax, list(table["fit"]))
    keys = [entry("o", BLUE, "line", ls="-"), entry("s", VERMILLION, "curve", ls="-")]
    keys += [entry("D", PURPLE, "authors' recipe", ls="-"), _hollow()]
    return finish(fig, ax, title, keys)


def _hollow():
    key = entry("s", "white", "hollow: by the floor, beyond chord and retrained models", ms=6)
    key.set(markeredgecolor=GREY, markeredgewidth=1.2)
    return key


@drawing.style()
def fits_figure(table, summary, *, fits: Sequence[str], threshold: float = 0.1, title: str = ""):
    """Smallest eps of MCU(eps) for each way to fit, pairs, mean and interval, a panel per method.

    ``table`` is a `fits_table`, ``summary`` its `tables.means` of eps, ``fits`` the rows, those that occur.
    """
    drawing.check_columns(table, ("method", "fit", "eps"))
    drawing.check_columns(summary, ("method", "fit", "estimate", "low", "high"))
    methods, fits = list(dict.fromkeys(table["method"])), [f for f in fits if f in set(table["fit"])]
    fig, axes, panels = method_panels(methods, 1.0, 0.6 + 0.2 * len(fits), x="smallest eps (G)")
    for ax, method in panels:
        for y, fit in enumerate(fits):
            found, look = where(summary, method=method, fit=fit), FIT_STYLES.get(fit, (VERMILLION, "s"))
            dots_row(ax, y, where(table, method=method, fit=fit)["eps"].to_numpy(float), found, *look)
        tolerance_line(ax, threshold)
        ax.axhline(sum(f.startswith("line") for f in fits) - 0.5, color=GREY, lw=0.6)
        ax.grid(axis="y", visible=False)
    decades(axes[0, 0], np.r_[table["eps"], summary["high"]], threshold, least=3)
    drawing.name_rows(axes[0, 0], fits)
    keys = [entry("o", BLUE, "line", ls="-"), entry("s", VERMILLION, "curve: mean, 95 % interval", ls="-")]
    keys += [entry("D", PURPLE, "authors' recipe", ls="-"), dot_entry(GREY, "one pair")]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def convergence_figure(table, *, most: float = REST, title: str = ""):
    """How far each fit's objective still fell at its end, a row per way to fit; dashed: ``most``.

    ``table`` is a `convergence_table`; fits too short to tell are left out.
    """
    drawing.check_columns(table, ("fit", "fall"))
    table = table[table["fall"].notna()]
    summary = convergence_summary(table, most)
    fig, axes = panel_grid(1, 1, 1.3 + 0.3 * len(summary))
    ax = axes[0, 0]
    for y, (fit, one) in enumerate(summary.iterrows()):
        values = np.sort(table["fall"][table["fit"] == fit].to_numpy(float))
        ax.plot(values, y + np.linspace(-0.25, 0.25, len(values)), ".", color=VERMILLION, ms=4, alpha=0.5)
        ax.plot(one["median fall"], y, "|", color=BLACK, ms=14, mew=1.5)
        words = f"{one['still fell']:.0f} of {one['fits']:.0f}"
        ax.text(1.02, y, words, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.text(1.02, -0.75, "still fell", transform=ax.get_yaxis_transform(), fontsize=8, fontweight="bold")
    for edge in (-most, most):
        ax.axvline(edge, color=BLACK, lw=1.0, ls="--")
    ax.set_xlabel("fall of the objective from the eighth to the last tenth of the steps, share of it")
    ax.grid(axis="y", visible=False)
    drawing.name_rows(ax, list(summary.index))
    return finish(fig, ax, title, [dot_entry(VERMILLION, "one fit"), entry("|", BLACK, "median")])


@drawing.style()
def failures_figure(cells, totals, *, methods: Sequence[str], title: str = ""):
    """Share of quadratic fits that fail beside the line, per method and fit, and over all methods with an interval.

    ``cells`` and ``totals`` are the tables of `failures`, ``methods`` the rows.
    """
    drawing.check_columns(cells, ("method", "fit", "failed", "n"))
    drawing.check_columns(totals, ("fit", "share", "low", "high"))
    fits = list(totals["fit"])
    heights = [0.3 * len(methods), 1.5]
    options = {"sharex": True, "gridspec_kw": {"height_ratios": heights}}
    fig, axes = panel_grid(2, 1, 1.6 + sum(heights), **options)
    top, bottom = axes[:, 0]
    _failure_cells(top, cells, list(methods), fits)
    for x, one in enumerate(totals.itertuples()):
        bottom.plot([x, x], [one.low, one.high], color=VERMILLION, lw=1.6)
        bottom.plot(x, one.share, "s", color=VERMILLION, ms=5.5, mec="white", mew=0.7)
    bottom.set_ylim(-0.05, 1.05)
    bottom.set_yticks([0, 0.5, 1], ["0", "50", "100"])
    bottom.set_ylabel("fails, of all\npairs (%)")
    bottom.set_xticks(range(len(fits)), [f.replace(" ", "\n", 1) for f in fits])
    bottom.set_xlim(-0.5, len(fits) - 0.5)
    bottom.grid(axis="x", visible=False)
    return finish(fig, bottom, title, [entry("s", VERMILLION, "share of all pairs, 95 % interval", ls="-")])


def _failure_cells(ax, cells, methods: list[str], fits: list[str]) -> None:
    """The shares of failed fits as a heat map with their counts."""
    shares = np.full((len(methods), len(fits)), np.nan)
    for one in cells.itertuples():
        if one.method in methods:
            i, j = methods.index(one.method), fits.index(one.fit)
            shares[i, j] = one.failed / one.n
            colour = "white" if shares[i, j] > 0.6 else BLACK
            ax.text(j, i, f"{one.failed} of {one.n}", ha="center", va="center", fontsize=8, color=colour)
    edges = np.arange(len(fits) + 1) - 0.5, np.arange(len(methods) + 1) - 0.5
    shown = np.ma.masked_invalid(shares)
    ax.pcolormesh(*edges, shown, cmap="Blues", vmin=0, vmax=1.1, edgecolors="white", lw=1)
    drawing.name_rows(ax, methods)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelbottom=False)
    ax.set_title("Fits whose smallest eps exceeds the line's by 0.1 G; empty: not walked")


@drawing.style()
def outcomes_figure(table, *, threshold: float = 0.1, title: str = ""):
    """Line against curve between the same ends: smallest eps of both, with the quadrants of MCU, a panel per fit.

    ``table`` is an `outcomes_table`.
    """
    drawing.check_columns(table, ("fit", "method", "line", "curve", "outcome"))
    fits, methods = list(dict.fromkeys(table["fit"])), list(dict.fromkeys(table["method"]))
    fig, axes = panel_grid(1, len(fits), 4.3, sharex=True, sharey=True)
    for ax, fit in zip(axes[0], fits, strict=True):
        part = where(table, fit=fit)
        for k, method in enumerate(methods):
            one, (colour, marker) = where(part, method=method), SERIES[k % len(SERIES)]
            ax.plot(one["line"], one["curve"], marker, color=colour, ms=6, alpha=0.85, mec="white", mew=0.5)
        tolerance_line(ax, threshold, level=True)
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
    decades(axes[0, 0], values, threshold, least=3)
    axes[0, 0].set_yscale("symlog", linthresh=threshold, linscale=1.0)
    low, high = axes[0, 0].get_xlim()
    axes[0, 0].set_ylim(low - 0.3 * threshold, 2.5 * high)  # room for the words in the corners
    axes[0, 0].set_yticks(axes[0, 0].get_xticks(), [t.get_text() for t in axes[0, 0].get_xticklabels()])
    axes[0, 0].minorticks_off()
    keys = [entry(m, c, label(name)) for name, (c, m) in zip(methods, cycle(SERIES), strict=False)]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def surplus_figure(table, summary, *, unit: float | None = None, title: str = ""):
    """Loss that must be given away to connect two models, in nats: on the line, on the curve, on the better of them.

    ``table`` is a `surplus_table`, ``summary`` its `tables.means` of nats; ``unit`` is G in nats, marked as ``0.1 G``.
    """
    drawing.check_columns(table, ("method", "path", "nats"))
    drawing.check_columns(summary, ("method", "path", "estimate", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    styles = dict(zip(PATHS, ((BLUE, "o"), (VERMILLION, "s"), (BLACK, "D")), strict=True))
    fig, axes = panel_grid(1, 1, 1.3 + 0.48 * len(methods))
    ax = axes[0, 0]
    for y, method in enumerate(methods):
        for j, (path, (colour, marker)) in enumerate(styles.items()):
            values = where(table, method=method, path=path)["nats"].to_numpy(float)
            dots_row(ax, y + 0.27 * (j - 1), values, where(summary, method=method, path=path), colour, marker, 0.1)
    if unit is not None:
        ax.axvline(0.1 * unit, color=BLACK, lw=1.0, ls="--", label="0.1 G")
    linear = 10.0 ** np.floor(np.log10(0.1 * (unit or 1)))
    decades(ax, np.r_[table["nats"], summary["high"]], linear)
    ax.set_xlabel("smallest tolerance at which MCU holds (nats): mean, 95 % interval, pairs")
    ax.grid(axis="y", visible=False)
    drawing.name_rows(ax, methods)
    for y in range(1, len(methods)):
        ax.axhline(y - 0.5, color=LIGHT, lw=0.8, zorder=0)
    keys = [entry(m, c, "curve" if path == "corrected" else path, ls="-") for path, (c, m) in styles.items()]
    return finish(fig, ax, title, keys)


ROOMS = (
    Room(
        "08_curve_fitting",
        fits,
        lambda study: [*references(study), *fit_records(study, fits(study))],
        tests={"C12": c12, "C13": c13, "C23": c23, "C24": c24},
    ),
)
