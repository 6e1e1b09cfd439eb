"""08: what the conclusions owe to the way a curve is fitted (C12, C13, C23, C24)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..curves import RECIPES
from ..engine.specs import Spec
from ..engine.study import Study
from ..fits import FEWEST, Fit
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREY, LIGHT, PURPLE, VERMILLION, entry, finish, label, panel_grid, where
from ..measures.originals import share, simultaneous, student
from . import tables
from .admission import shown
from .claims import CLAIMS, spread
from .declared import c1, c13, c21
from .judging import pair_of, sound
from .panels import decades, dot_entry, dots_row, signed_log, tolerance_line
from .room import Room
from .tables import Table, counted, frame, rounded, stacked
from .trials import ERROR, Finding
from .verdicts import found_text
from .walks import (
    COARSE,
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

FAILED = 0.1  # by which a fit's smallest eps exceeds the line's when it has failed (C12, C13)
# Objectives of a fit that is not the method's own: retain loss only, and retain minus clipped forget loss.
OBJECTIVES = {"retain only": "finetune", "retain - forget": "gradient_difference"}
CHOICES = tuple(name for name in RECIPES if name not in ("corrected", "authors"))
KEPT, REFRESHED = ", BatchNorm kept", ", BatchNorm refreshed"
REFIT = "corrected, another seed"
# Fits by the statistics of BatchNorm along the path, so that what is compared is read alike.
GROUPS = {
    "BatchNorm refreshed on D_r": ("line", "corrected", REFIT, *OBJECTIVES, "authors" + REFRESHED),
    "BatchNorm of the start kept": ("line" + KEPT, "corrected" + KEPT, "authors"),
    "single choices of the authors' recipe, refreshed": tuple(name.replace("_", " ") for name in CHOICES),
}
CHOICE_FITS = list(GROUPS.values())[-1]
FITS = tuple(name for names in GROUPS.values() for name in names)
FEW = "corrected, the same pairs"  # as those that single choices of the recipe were tried with
LINES = dict.fromkeys(FITS, "line") | dict.fromkeys(
    list(GROUPS.values())[1], "line" + KEPT
)  # that a fit is held against
PATHS = ("line", "corrected", "better of the two")
CHANGED = ("retain only", "authors" + REFRESHED, "authors", "corrected" + KEPT)  # fits whose verdicts may be others
# How rows of fits are drawn: lines, curves, and the authors' own way.
FIT_STYLES = dict.fromkeys(("line", "line" + KEPT), (BLUE, "o"))
FIT_STYLES |= dict.fromkeys(("authors", "authors" + REFRESHED), (PURPLE, "D"))


# What is walked


def fits(study: Study) -> list[Route]:
    """Ways to fit a Bezier curve between the same pairs: objective, recipe, single choices of the recipe, BatchNorm.

    Another seed of the corrected fit says how much of a change is chance. The bad teacher has more pairs, by the
    authors' recipe only, since three cannot tell a share above one half (C12). Where originals have a forget set each,
    the authors' curve is also read with refreshed BatchNorm, the walks of 02 stand for line and curve, the second
    objective is left out, and single choices and the corrected curve's BatchNorm are tried on `SOME` of them.
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


def fit_name(walk: Labels) -> str:
    """What a path is called beside others between the same ends: one of `FITS`, or that and its kind."""
    if walk.kind == "linear":
        return "line" + (KEPT if walk.batchnorm == "none" else "")
    name = walk.objective or walk.recipe.replace("_", " ") or "corrected"
    name += ", another seed" if walk.refit else ""
    name += {"none": KEPT, "retain": REFRESHED}.get(walk.batchnorm, "")
    return name if walk.kind == "bezier" else f"{name} {walk.kind}"


def two_seeds(walks: Sequence[Walk]) -> list[Walk]:
    """The sound walks between two seeds of one method, on the grid that all of them have, each once."""
    return [w.at(COARSE) for w in sound(walks, condition="random", form="", full=False) if not w.size]


def gated(walks: Sequence[Walk]) -> list[Walk]:
    """Of `two_seeds` all fits of the pairs whose line, with refreshed BatchNorm, verdicts may read; all without any.

    With BatchNorm kept the end of a path is another model, which loses what it should keep: the gate lets none of these
    paths into a verdict, and still they can be shown beside the others.
    """
    every = two_seeds(walks)
    lines, _ = shown([w for w in every if fit_name(w) == "line"])
    pairs = {pair_of(w) for w in lines}
    return [w for w in every if pair_of(w) in pairs] if pairs else every


def beside(walks: Sequence[Walk], *fits: str, read: bool = True) -> list[tuple[Walk, ...]]:
    """Sound walks of one pair by several fits, each a name of `FITS`; pairs that lack one are left out.

    Those that verdicts may read, or all where there are none; with ``read`` False those that are `gated`.
    """
    found = {(pair_of(w), fit_name(w)): w for w in (shown(two_seeds(walks))[0] if read else gated(walks))}
    pairs = dict.fromkeys(pair for pair, _ in found)
    return [tuple(found[pair, fit] for fit in fits) for pair in pairs if all((pair, fit) in found for fit in fits)]


# Tables


def fits_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """One row per `gated` walk: its fit, barrier, deficit and eps in G, and what it costs in nats.

    ``read`` says whether a verdict may read it. ``nats`` is the smallest tolerance with MCU, the loss that must be
    given away to connect; ``floor`` is whether the reading beside the retrained models connects, nan without levels.
    """
    rows = []
    for w in gated(walks):
        floor = float(w.connected(eps, "floor")) if w.profile.levels else np.nan
        found = w.barrier, w.deficit, w.eps, w.connected(eps), floor, w.eps * w.profile.gap, w.roughness
        rows.append((w.method, fit_name(w), w.kind, w.original, w.pair, *found, shown([w])[1]))
    columns = "method fit curve original pair barrier deficit eps connected floor nats roughness read".split()
    return frame(rows, columns)


def shares_table(table: Table) -> Table:
    """Per fit of a `fits_table`, by `GROUPS`: the share of pairs it connects, with its interval over originals.

    Columns group, fit, methods, originals, pairs, read, joined, share, low, high, floor: ``read`` is how many of the
    pairs a verdict may read, ``joined`` and ``floor`` how many the chord and the floor connect (`readings.READINGS`).
    Choices that few pairs were tried with come after `FEW`, the corrected fit of the same pairs.
    """
    parts = {(group, fit): table[table["fit"] == fit] for group, fits in GROUPS.items() for fit in fits}
    tried = table[table["fit"].isin(CHOICE_FITS)]
    own = table[(table["fit"] == "corrected") & table["pair"].isin(tried["pair"])]
    last = list(GROUPS)[-1]
    few = own[own["method"].isin(tried["method"])] if len(tried) else own.iloc[:0]
    rows = []
    for (group, fit), part in [*_before(parts, last), ((last, FEW), few), *_of(parts, last)]:
        if len(part):
            each = part.groupby(["original", "method"])["connected"].mean().groupby("original").mean()
            counts = [part["method"].nunique(), part["original"].nunique(), len(part)]
            counts += [int(part["read"].sum()), int(part["connected"].sum())]
            rows.append((group, fit, *counts, *share(each.to_numpy(float)), part["floor"].sum(min_count=1)))
    return frame(rows, "group fit methods originals pairs read joined share low high floor".split())


def _before(parts: dict, last: str) -> list:
    return [one for one in parts.items() if one[0][0] != last]


def _of(parts: dict, last: str) -> list:
    return [one for one in parts.items() if one[0][0] == last]


def fits_summary(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Per fit: pairs connected, medians of barrier, deficit, eps and roughness, and pairs where the line is better.

    *Fails* counts the pairs on which the fit's eps exceeds by more than `FAILED` that of the line between the same ends
    that is read alike (`LINES`).
    """
    table, rows = fits_table(walks, eps), []
    for fit in [name for name in FITS if name in set(table["fit"])]:
        part, both = table[table["fit"] == fit], beside(walks, fit, LINES[fit], read=False)
        failed = sum(a.eps > b.eps + FAILED for a, b in both)
        row: dict[str, Any] = {"fit": fit, "connected": f"{int(part['connected'].sum())} of {len(part)}"}
        row["read"] = f"{int(part['read'].sum())} of {len(part)}"
        row |= {name: round(float(part[name].median()), 3) for name in ("barrier", "deficit", "eps")}
        row |= {"roughness": rounded(float(part["roughness"].median()))}
        rows.append(row | {"fails": "-" if fit == LINES[fit] else f"{failed} of {len(both)}"})
    return frame(rows, ["fit", "connected", "read", "barrier", "deficit", "eps", "roughness", "fails"], "fit")


def fits_means(table: Table) -> Table:
    """Mean of eps over originals with Student's interval, for each method and fit of a `fits_table`."""
    rows = [(*place, *student(part.groupby("original")["eps"].mean(), least=ERROR))
            for place, part in table.groupby(["method", "fit"], sort=False)]  # fmt: skip
    return frame(rows, ["method", "fit", "estimate", "low", "high"])


def gains_table(walks: Sequence[Walk]) -> Table:
    """What a curve gains on the line, and what chance does: a row per method and original, in G.

    ``gain``: eps of the line minus that of the corrected curve, C13's number; ``refit``: eps of the curve minus that of
    the same fit with another seed.
    """
    rows = [
        (line.method, line.original, line.eps - curve.eps, curve.eps - again.eps)
        for line, curve, again in beside(walks, "line", "corrected", REFIT)
    ]
    return frame(rows, ["method", "original", "gain", "refit"])


def gains_summary(table: Table) -> Table:
    """Means over originals of a `gains_table` per method: ``gain`` with bounds that hold for all methods at once.

    Those of the refits are Student's.
    """
    rows = []
    for what in ("gain", "refit"):
        wide = table.pivot_table(index="original", columns="method", values=what, sort=False)
        bounds = simultaneous(wide.to_numpy(float), least=ERROR)
        for k, method in enumerate(wide.columns):
            alone = student(wide[method], least=ERROR)
            rows.append((method, what, *((bounds.mean[k], bounds.low[k], bounds.high[k]) if what == "gain" else alone)))
    return frame(rows, ["method", "what", "estimate", "low", "high"])


def gains_text(table: Table) -> str:
    """For how many methods the curve or the line is surely the better, and what a refit changes, in a sentence."""
    if not len(table):
        return "No pair has a line, a curve and the same fit with another seed."
    found = where(gains_summary(table), what="gain")
    curve, line = (list(found["method"][side]) for side in (found["low"] > FAILED, found["high"] < -FAILED))
    gained, lost, n = int((table["gain"] > FAILED).sum()), int((table["gain"] < -FAILED).sum()), len(table)
    named = [f" ({', '.join(map(label, names))})" if names else "" for names in (curve, line)]
    return (
        f"The curve needs over {FAILED:g} G less than the line on {gained} of {n} pairs and over {FAILED:g} G more on "
        f"{lost} of {n}. By bounds for all methods at once the curve is the better for **{len(curve)} of {len(found)} "
        f"methods**{named[0]}, the line for **{len(line)} of {len(found)}**{named[1]}. Another seed of the same fit "
        f"moves eps by {table['refit'].abs().median():.3f} G in the median and by more than {FAILED:g} G on "
        f"{int((table['refit'].abs() > FAILED).sum())} of {n} pairs."
    )


def changes_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """How many verdicts MCU(eps) another way to fit changes, and how many another seed of the corrected fit (C23, C24).

    ``beyond`` is the difference of the two shares, mean over originals with Student's interval.
    """
    rows = []
    for other in CHANGED:
        found: dict[int, list[tuple[bool, bool]]] = {}
        for own, one, again in beside(walks, "corrected", other, REFIT, read="line" + KEPT != LINES[other]):
            held = [w.connected(eps) for w in (own, one, again)]
            found.setdefault(own.original, []).append((held[0] != held[1], held[0] != held[2]))
        every = [pair for pairs in found.values() for pair in pairs]
        if every:
            each = [float(np.mean([float(a) - float(b) for a, b in pairs])) for pairs in found.values()]
            counts = [f"{sum(pair[k] for pair in every)} of {len(every)}" for k in (0, 1)]
            rows.append((other, *counts, spread(student(each, least=ERROR), 2)))
    return frame(rows, ["fit", "changes", "another seed changes", "beyond (share)"], "fit")


TWO_SEEDS: dict[str, Callable[..., Finding]] = {"C1": c1, "C13": c13, "C21": c21}  # tests of claims about two seeds


def recipes_table(walks: Sequence[Walk]) -> Table:
    """Claims about two seeds, each judged twice on the same pairs and lines: with the curves of either recipe.

    Both are read with refreshed BatchNorm; only pairs that have the line and both curves count.
    """
    rows = beside(walks, "line", "corrected", "authors" + REFRESHED)
    controls = [w for w in walks if w.control]
    given = [[w for row in rows for w in (row[0], replace(row[k], recipe="", batchnorm=""))] for k in (1, 2)]
    found = []
    for claim, test in TWO_SEEDS.items():
        words = [found_text(test(controls + one)) for one in given]
        found.append((claim, CLAIMS[claim].statement, *words))
    return frame(found, ["claim", "statement", "corrected", "authors"], "claim")


def surplus_table(table: Table) -> Table:
    """What must be given away to connect each pair of a `fits_table`, on the line, the curve and the better of them.

    Columns method, path, original, pair, nats; the better has the smaller ``nats``.
    """
    kept = table[table["fit"].isin(PATHS[:2])]
    whole = [part for _, part in kept.groupby(["method", "pair"], sort=False) if len(part) == 2]
    best = [part.loc[[part["nats"].idxmin()]].assign(fit=PATHS[2]) for part in whole]
    found = stacked([kept.iloc[:0], *whole, *best])
    return found.rename(columns={"fit": "path"})[["method", "path", "original", "pair", "nats"]]


def surplus_means(table: Table) -> Table:
    """Mean over originals of a `surplus_table` with Student's interval, for each method and path."""
    rows = []
    for place, part in table.groupby(["method", "path"], sort=False):
        mean, low, high = student(part.groupby("original")["nats"].mean())
        rows.append((*place, mean, max(low, 0.0), high))
    return frame(rows, ["method", "path", "estimate", "low", "high"])


# Convergence


def convergence_table(fitted: Sequence[tuple[Labels, Fit]]) -> Table:
    """Per way to fit: how many fits had come to rest, had not, and of how many noise hides it; see `fits.Fit`.

    ``fitted`` are labels and records, as `walks.fitted` returns them; ``change`` is the median of the objective's
    relative change over the last fifth of the steps.
    """
    groups: dict[str, list[Fit]] = {}
    rows = []
    for one, fit in fitted:
        groups.setdefault(fit_name(replace(one, batchnorm="")), []).append(fit)
    for name in [one for one in FITS if one in groups]:
        ours = groups[name]
        words = [fit.converged for fit in ours]
        long = [fit.change()[0] for fit in ours if fit.steps >= FEWEST]
        steps = " to ".join(f"{v:,}" for v in sorted({min(f.steps for f in ours), max(f.steps for f in ours)}))
        row = (name, len(ours), steps, *(sum(word is what for word in words) for what in (True, False, None)))
        rows.append((*row, f"{np.median(long):+.1%}" if long else "-"))
    return frame(rows, ["fit", "fits", "steps", "converged", "not", "noise hides it", "change"], "fit")


def convergence_text(fitted: Sequence[tuple[Labels, Fit]], walks: Sequence[Walk]) -> str:
    """Whether pairs on which the curve is worse than the line had a fit that did not converge, in a sentence."""
    known = {
        (one.method, one.original): fit for one, fit in fitted if fit_name(replace(one, batchnorm="")) == "corrected"
    }
    worse = [c for line, c in beside(walks, "line", "corrected") if c.eps > line.eps + FAILED]
    rested = sum(bool(fit and fit.converged) for fit in (known.get((w.method, w.original)) for w in worse))
    if not worse:
        return "On no pair is the corrected curve worse than the line by more than a tenth of G."
    why = " There the objective itself leads away from MCU: more steps would hardly help." if rested else ""
    return (
        f"On {counted(len(worse), 'pair')} the corrected curve is worse than the line it starts from, by over "
        f"{FAILED:g} G; {rested} of these fits had come to rest.{why}"
    )


@drawing.style()
def convergence_figure(fitted: Sequence[tuple[Labels, Fit]], *, title: str = ""):
    """The objective along the corrected fit, a panel per method, a line per original: did it come to rest?

    ``fitted`` as for `convergence_table`. Each line has the luck of the draw of t taken out (`fits.Fit`); objectives
    have units of their own.
    """
    ours: dict[str, list[Fit]] = {}
    for one, fit in fitted:
        if fit_name(replace(one, batchnorm="")) == "corrected":
            ours.setdefault(one.method, []).append(fit)
    drawing.check_some(ours, "fits")
    columns = min(3, len(ours))
    fig, axes = panel_grid(-(-len(ours) // columns), columns, 0.8 + 1.7 * -(-len(ours) // columns), sharex=True)
    for ax, (method, every) in zip(axes.flat, ours.items(), strict=False):
        for fit in every:
            ax.plot(fit.step / fit.steps, fit.averaged, color=VERMILLION, lw=1.0, alpha=0.6)
        ax.axvspan(0.8, 1.0, color=LIGHT, lw=0, zorder=0)
        ax.set_title(label(method))
        ax.set_xlim(0, 1)
    for ax in list(axes.flat)[len(ours) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("share of the steps")
    for ax in axes[:, 0]:
        ax.set_ylabel("objective")
    from matplotlib.patches import Patch

    keys = [entry("", VERMILLION, "one fit, mean over t", ls="-"), Patch(color=LIGHT, label="the last fifth")]
    return finish(fig, axes[0, 0], title, keys)


def answer_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What was expected of curves and recipes, what was found, and what follows, in Markdown."""
    table = fits_table(walks, eps)

    def joined(fit: str, by: str = "connected") -> str:
        part = table[table["fit"] == fit]
        return f"{int(part[by].sum())} of {len(part)}"

    changed = changes_table(walks, eps)
    told = [
        f"{name}: {row['changes']} (another seed: {row['another seed changes']})" for name, row in changed.iterrows()
    ]
    expected = (
        "A curve that starts as the line and is fitted with the method's own objective should do no worse than the "
        "line, and the recipe should matter little."
    )
    found = (
        f"By MCU({eps:g}) and refreshed BatchNorm the line connects {joined('line')} pairs, the corrected curve "
        f"{joined('corrected')}, the fit without a forget term {joined('retain only')}, the authors' recipe "
        f"{joined('authors' + REFRESHED)}. With the start's statistics kept the line connects {joined('line' + KEPT)}, "
        f"the corrected curve {joined('corrected' + KEPT)} and the authors' {joined('authors')}. "
        f"{gains_text(gains_table(walks))} "
        f"Verdicts that change: {'; '.join(told) or 'none could be compared'}. Beside the retrained models (reading "
        f"`floor`) the line connects {joined('line', 'floor')} and the corrected curve {joined('corrected', 'floor')}."
    )
    so = (
        "*Connected* is said of two models and of a fit: its objective, its recipe, its BatchNorm policy. A curve that "
        "is worse than the line it starts from says that this fit leads elsewhere, not that there is no path. "
        "What is no larger than what another seed of the fit does is chance."
    )
    return tables.answer_text(expected, found, so)


# Figures


@drawing.style()
def shares_figure(table, *, eps: float, title: str = ""):
    """Share of pairs that each way to fit connects, with its interval, by the chord, and hollow by the floor.

    ``table`` is a `shares_table`, whose groups have a heading each; ``eps`` is its tolerance, for the label.
    """
    drawing.check_columns(table, ("group", "fit", "pairs", "read", "joined", "share", "low", "high", "floor"))
    rows: list = []
    for group, part in table.groupby("group", sort=False):
        rows += [group, *part.itertuples()]
    fig, axes = panel_grid(1, 1, 1.3 + 0.27 * len(rows))
    ax = axes[0, 0]
    for y, one in enumerate(rows):
        if isinstance(one, str):
            ax.text(-0.03, y, one, va="center", fontsize=8.5, fontweight="bold")
            ax.axhline(y - 0.5, color=GREY, lw=0.7 if y else 0)
            continue
        colour, marker = FIT_STYLES.get(one.fit, (VERMILLION, "s"))
        ax.plot([one.low, one.high], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
        ax.plot(one.floor / one.pairs, y, marker, color="white", mec=colour, mew=1.2, ms=6, zorder=3)
        ax.plot(one.share, y, marker, color=colour, mec="white", mew=0.7, ms=7, zorder=4)
        floor = "" if np.isnan(one.floor) else f" ({one.floor:.0f})"
        words = f"{one.joined}{floor} of {one.pairs}" + ("" if one.read else " ×")
        ax.text(1.02, y, words, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.text(1.02, 0, "chord (floor)", transform=ax.get_yaxis_transform(), va="center", fontsize=8, fontweight="bold")
    ax.set(xlim=(-0.04, 1.03), xlabel=f"pairs connected by MCU({eps:g}), %: mean over originals, 95 % interval")
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    ax.grid(axis="y", visible=False)
    drawing.name_rows(ax, ["" if isinstance(one, str) else one.fit for one in rows])
    for y, one in enumerate(rows):
        ax.yaxis.get_major_ticks()[y].tick1line.set_visible(not isinstance(one, str))
    keys = [entry("o", BLUE, "line", ls="-"), entry("s", VERMILLION, "curve", ls="-")]
    keys += [entry("D", PURPLE, "authors' recipe", ls="-"), _hollow()]
    if not table["read"].all():
        keys.append(entry("x", BLACK, "no verdict reads these: the end loses what it should keep"))
    return finish(fig, ax, title, keys)


def _hollow():
    key = entry("s", "white", "hollow: by the floor, beyond chord and retrained models", ms=6)
    key.set(markeredgecolor=GREY, markeredgewidth=1.2)
    return key


@drawing.style()
def fits_figure(table, summary, *, fits: Sequence[str] = FITS, threshold: float = 0.1, title: str = ""):
    """Smallest eps of MCU(eps) for each way to fit: originals, mean and interval, a panel per method.

    ``table`` is a `fits_table`, ``summary`` its `fits_means`, ``fits`` the rows, those that occur.
    """
    drawing.check_columns(table, ("method", "fit", "eps"))
    drawing.check_columns(summary, ("method", "fit", "estimate", "low", "high"))
    methods, fits = list(dict.fromkeys(table["method"])), [f for f in fits if f in set(table["fit"])]
    columns = min(3, len(methods))
    height = 0.9 + (0.6 + 0.2 * len(fits)) * -(-len(methods) // columns)
    fig, axes = panel_grid(-(-len(methods) // columns), columns, height, sharex=True, sharey=True)
    edges = [sum(f in names for f in fits for names in list(GROUPS.values())[:k]) for k in (1, 2)]
    for ax, method in zip(axes.flat, methods, strict=False):
        for y, fit in enumerate(fits):
            found, look = where(summary, method=method, fit=fit), FIT_STYLES.get(fit, (VERMILLION, "s"))
            found = found.assign(low=found["low"].clip(lower=0))
            dots_row(ax, y, where(table, method=method, fit=fit)["eps"].to_numpy(float), found, *look)
        tolerance_line(ax, threshold)
        for edge in edges:
            ax.axhline(edge - 0.5, color=GREY, lw=0.6 if 0 < edge < len(fits) else 0)
        ax.grid(axis="y", visible=False)
        ax.set_title(label(method))
    for ax in list(axes.flat)[len(methods) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("smallest eps (G)")
    decades(axes[0, 0], np.r_[table["eps"], summary["high"]], threshold, least=3)
    drawing.name_rows(axes[0, 0], fits)
    keys = [entry("o", BLUE, "line", ls="-"), entry("s", VERMILLION, "curve: mean, 95 % interval", ls="-")]
    keys += [entry("D", PURPLE, "authors' recipe", ls="-"), dot_entry(GREY, "one original")]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def gains_figure(table, summary, *, title: str = ""):
    """What the curve gains on the line, a row per method, and what another seed of the same fit changes (C13).

    ``table`` is a `gains_table`, ``summary`` its `gains_summary`.
    """
    drawing.check_columns(table, ("method", "original", "gain", "refit"))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes = panel_grid(1, 1, 1.6 + 0.46 * len(methods))
    ax, looks = axes[0, 0], {"gain": (VERMILLION, "s"), "refit": (GREY, "D")}
    for y, method in enumerate(methods):
        for j, (what, look) in enumerate(looks.items()):
            values = where(table, method=method)[what].to_numpy(float)
            dots_row(ax, y + 0.3 * (j - 0.5), values, where(summary, method=method, what=what), *look, 0.12)
    ax.axvspan(-FAILED, FAILED, color=LIGHT, lw=0, zorder=0, label=f"within {FAILED:g} G")
    ax.axvline(0, color=BLACK, lw=0.8)
    values = np.r_[table["gain"], table["refit"], summary[["low", "high"]].to_numpy(float).ravel()]
    values = np.r_[values[np.isfinite(values)], -2 * FAILED, 2 * FAILED]
    signed_log(ax, values, FAILED, share=0.8, fine=True)
    ax.set_xlabel("← line better      eps of the line minus that of the curve (G)      curve better →")
    ax.grid(axis="y", visible=False)
    drawing.name_rows(ax, methods)
    keys = [
        entry("s", VERMILLION, "curve against line, bounds for all methods at once", ls="-"),
        entry("D", GREY, "curve against its refit", ls="-"),
        dot_entry(GREY, "one original"),
    ]
    return finish(fig, ax, title, keys)


@drawing.style()
def surplus_figure(table, summary, *, unit: float | None = None, title: str = ""):
    """Loss that must be given away to connect two models, in nats: on the line, on the curve, on the better of them.

    ``table`` is a `surplus_table`, ``summary`` its `surplus_means`; ``unit`` is G in nats, marked as ``0.1 G``.
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
    ax.set_xlabel("smallest tolerance at which MCU holds (nats): originals as dots, mean and 95 % interval")
    ax.grid(axis="y", visible=False)
    drawing.name_rows(ax, methods)
    for y in range(1, len(methods)):
        ax.axhline(y - 0.5, color=LIGHT, lw=0.8, zorder=0)
    keys = [entry(m, c, "curve" if path == "corrected" else path, ls="-") for path, (c, m) in styles.items()]
    return finish(fig, ax, title, keys)


def _more(study: Study) -> list[Spec]:
    return [*references(study), *fit_records(study, fits(study))]


ROOMS = (Room("08_curve_fitting", fits, _more),)
