"""08: what the conclusions owe to the way a curve is fitted (C12, C13, C23, C24)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..curves import RECIPES
from ..engine.study import Study
from ..errors import choose
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import (
    BLACK,
    BLUE,
    GREY,
    LIGHT,
    PURPLE,
    VERMILLION,
    check_columns,
    entry,
    finish,
    label,
    name_rows,
    panel_grid,
    style,
    where,
)
from ..measures.intervals import LEVEL, difference, percentile_interval, share_interval
from .claims import CLAIMS, Verdict, judge
from .judging import (
    FAILED,
    controls_hold,
    counts_of,
    judge_share,
    nothing_found,
    pair_of,
    share_over,
    smaller_of,
    usable,
    worst,
)
from .panels import SERIES, decades, dot_entry, dots_row
from .room import Room, verdict_by
from .seeds import c1, c21
from .tables import found_text, grouped, pair_with_original, spread
from .walks import Route, Walk, alone, coarse, condition_routes, controls, independent, ring_pairs

if TYPE_CHECKING:
    import pandas as pd

# Objectives of a fit that is not the method's own: retain loss only, and retain minus clipped forget loss.
OBJECTIVES = {"retain only": "finetune", "retain - forget": "gradient_difference"}
VARIANTS = tuple(name for name in RECIPES if name not in ("corrected", "authors"))
FITS = {
    ("own", "linear"): "line",
    ("no BatchNorm refresh", "linear"): "line, BatchNorm kept",
    ("own", "bezier"): "corrected",
    ("refit", "bezier"): "corrected, another seed",
    ("no BatchNorm refresh", "bezier"): "BatchNorm kept",
    ("retain only", "bezier"): "retain only",
    ("retain - forget", "bezier"): "retain - forget",
    ("authors", "bezier"): "authors",
    ("normal_t", "bezier"): "normal t",
    ("original_start", "bezier"): "original start",
    ("copied_gradient", "bezier"): "copied gradient",
}
OUTCOMES = ("both", "line only", "curve only", "neither")
PATHS = ("line", "corrected", "better of the two")
# How rows of fits are drawn: lines, curves, and the authors' own way.
FIT_STYLES = {"line": (BLUE, "o"), "line, BatchNorm kept": (BLUE, "o"), "authors": (PURPLE, "D")}


# What is walked


def fits(study: Study) -> list[Route]:
    """Ways to fit a Bezier curve between the same pairs: objective, recipe, single choices of the recipe, BatchNorm.

    Another seed of the corrected fit says how much of a change is chance. Bad teaching has more pairs, by the authors'
    recipe only, since three cannot tell a share above one half (C12).
    """
    routes, some = [], set(study.preset.methods[-4:-1])
    contexts, pairs, points = alone(study.preset.methods), independent(study.seeds), coarse(study)
    for route in condition_routes(study, "random", contexts, pairs, points=points):
        routes += [replace(route, variant="own"), replace(route, variant="no BatchNorm refresh", batchnorm="none")]
        if route.kind == "linear":
            continue
        ends = route.path.start, route.path.end
        routes.append(replace(route, path=study.path(*ends, "bezier", seed=1), variant="refit"))
        for variant, objective in OBJECTIVES.items():
            routes.append(replace(route, path=study.path(*ends, "bezier", objective=objective), variant=variant))
        for recipe in ("authors", *(VARIANTS if route.method in some else ())):
            routes.append(replace(route, path=study.path(*ends, "bezier", recipe), variant=recipe))
    more = [pair for pair in ring_pairs(study) if pair not in pairs]
    taught = alone([name for name in study.preset.methods if name == "bad_teacher"])
    for route in condition_routes(study, "random", taught, more, points=points):
        ends, variant = (route.path.start, route.path.end), "own" if route.kind == "linear" else "authors"
        path = route.path if route.kind == "linear" else study.path(*ends, "bezier", "authors")
        routes.append(replace(route, path=path, variant=variant))
    return routes + controls(study)


# The tests of the claims


def beside(walks: Sequence[Walk], *curves: tuple[str, str]) -> list[tuple[Walk, ...]]:
    """Sound walks of one pair by several curves, each given as (variant, kind); pairs that lack one are left out."""
    found = {}
    for w in usable(walks):
        found[pair_of(w), w.variant, w.kind] = w
    pairs = dict.fromkeys(pair for pair, _, _ in found)
    rows = [tuple(found.get((pair, *which)) for which in curves) for pair in pairs]
    return [row for row in rows if all(w is not None for w in row)]


def c12(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C12: share of bad-teacher fits by the authors' recipe whose smallest eps exceeds that of the line by 0.1."""
    both = [(a, b) for a, b in beside(walks, ("authors", "bezier"), ("own", "linear")) if a.method == "bad_teacher"]
    hits = [a.eps > b.eps + FAILED for a, b in both]
    replicates = np.array([worst(a) > worst(b) + FAILED for a, b in both], dtype=float)
    return judge_share("C12", [a for a, _ in both], hits, replicates, level, controls_hold(walks))


def c13(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C13: the smaller of the shares of pairs with MCU(eps) on the line only and on the quadratic curve only."""
    both = beside(walks, ("own", "linear"), ("own", "bezier"))
    if not both:
        return nothing_found("C13")
    kept, sides = [a for a, _ in both], []
    for first, second in ((0, 1), (1, 0)):
        hits = [p[first].connected(eps) and not p[second].connected(eps) for p in both]
        again = [(worst(p[first]) <= eps) & ~(worst(p[second]) <= eps) for p in both]
        sides.append(share_over(kept, hits, np.array(again, dtype=float), level))
    return judge("C13", *smaller_of(*sides), controls_ok=controls_hold(walks), **counts_of(kept))


def _differ(claim: str, walks: Sequence[Walk], other: tuple[str, str], level: float, eps: float) -> Verdict:
    """Judge how much more often another fit changes a pair's verdict than another seed of the same fit does."""
    rows = beside(walks, ("own", "bezier"), other, ("refit", "bezier"))
    if not rows:
        return nothing_found(claim)
    kept, shares = [own for own, _, _ in rows], []
    for k in (1, 2):
        hits = [row[0].connected(eps) != row[k].connected(eps) for row in rows]
        replicates = [(worst(row[0]) <= eps) != (worst(row[k]) <= eps) for row in rows]
        shares.append(share_over(kept, hits, np.array(replicates, dtype=float), level))
    return judge(claim, *difference(*shares), controls_ok=controls_hold(walks), **counts_of(kept))


def c23(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C23: share of pairs whose verdict changes when the fit minimises retain loss only, beyond a refit's share."""
    return _differ("C23", walks, ("retain only", "bezier"), level, eps)


def c24(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C24: share of pairs whose verdict changes from the corrected to the authors' recipe, beyond a refit's share."""
    return _differ("C24", walks, ("authors", "bezier"), level, eps)


# Tables


def fit_name(walk: Walk) -> str:
    """What a walk's path is called beside others between the same ends."""
    return FITS.get((walk.variant, walk.kind), f"{walk.variant} {walk.kind}".strip())


def fits_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """One row per walk: its fit, eps with its interval over examples, in G, and what it costs in nats.

    ``nats`` is the smallest tolerance with MCU, the loss that must be given away to connect; ``rise`` and ``dip`` are
    the mean rise of the retain loss above its chord and the mean dip of the forget loss below its own.
    """
    import pandas as pd

    rows = []
    for w in usable(walks):
        measures = w.profile.connectivity.measures
        _, low, high = percentile_interval(w.eps, worst(w))
        row = {"method": w.method, "fit": fit_name(w), "curve": w.kind, "pair": pair_with_original(w)}
        row |= {"node_a": w.nodes[0], "node_b": w.nodes[1], "barrier": w.barrier, "deficit": w.deficit, "eps": w.eps}
        row |= {"low": low, "high": high, "connected": w.connected(eps), "nats": w.eps * w.profile.gap}
        again = worst(w)
        row |= {"connected_again": again <= eps, "eps_again": again, "nats_again": again * w.profile.gap}
        rows.append(row | {"rise": measures["surplus_retain"], "dip": measures["shortfall_forget"]})
    columns = "method fit curve pair node_a node_b barrier deficit eps low high connected nats rise dip".split()
    columns += ["connected_again", "eps_again", "nats_again"]  # replicates over examples
    return pd.DataFrame(rows, columns=columns)


def fits_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per fit: pairs that it connects, the median of eps, what it costs; methods together."""
    import pandas as pd

    rows = []
    for fit in [name for name in FITS.values() if name in set(table["fit"])]:
        part = table[table["fit"] == fit]
        again = np.stack(part["connected_again"])
        share = share_interval(part["connected"], again, nodes=part[["node_a", "node_b"]].to_numpy())
        row = {"fit": fit, "methods": part["method"].nunique(), "pairs": len(part), "connected": spread(share, 2)}
        row |= {f"{name} (median)": part[name].median() for name in ("barrier", "deficit", "eps")}
        rows.append(row | {f"{name} (mean nats)": part[name].mean() for name in ("rise", "dip")})
    return pd.DataFrame(rows).set_index("fit").round(3)


def failures(walks: Sequence[Walk]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fits whose smallest eps exceeds that of the line between the same ends by 0.1 G, by method, and by fit alone.

    Returns:
        (method, fit, failed, n), and (fit, share, low, high, failed, n) over all methods, whose interval is over pairs
        and examples.
    """
    import pandas as pd

    cells, totals = [], []
    for (variant, kind), fit in FITS.items():
        both = beside(walks, (variant, kind), ("own", "linear")) if kind != "linear" else []
        hits = [a.eps > b.eps + FAILED for a, b in both]
        for (method,), part in grouped([a for a, _ in both], "method").items():
            failed = sum(hit for hit, (a, _) in zip(hits, both, strict=True) if a.method == method)
            cells.append((method, fit, failed, len(part)))
        if both:
            again = np.array([worst(a) > worst(b) + FAILED for a, b in both], dtype=float)
            found = share_over([a for a, _ in both], hits, again)
            totals.append((fit, *found, sum(hits), len(both)))
    columns = ["fit", "share", "low", "high", "failed", "n"]
    return pd.DataFrame(cells, columns=["method", "fit", "failed", "n"]), pd.DataFrame(totals, columns=columns)


def outcomes_table(
    walks: Sequence[Walk], variants: Sequence[str] = ("own", "authors"), eps: float = TOLERANCE
) -> pd.DataFrame:
    """One row per pair and fit: eps of the line and of the curve, and which of the two satisfies MCU(eps)."""
    import pandas as pd

    rows = []
    for variant in variants:
        for line, curve in beside(walks, ("own", "linear"), (variant, "bezier")):
            held = line.connected(eps), curve.connected(eps)
            word = {(True, True): "both", (True, False): "line only", (False, True): "curve only"}.get(held, "neither")
            rows.append((fit_name(curve), line.method, pair_with_original(line), line.eps, curve.eps, word))
    return pd.DataFrame(rows, columns=["fit", "method", "pair", "line", "curve", "outcome"])


def outcomes_text(table: pd.DataFrame, eps: float = TOLERANCE) -> str:
    """Counts of an `outcomes_table` per fit, as a Markdown list."""
    lines = []
    for fit, part in table.groupby("fit", sort=False):
        counts = ", ".join(f"{word} {int((part['outcome'] == word).sum())}" for word in OUTCOMES)
        lines.append(f"- *{fit}*, {len(part)} pairs; MCU({eps:g}) on {counts}.")
    return "\n".join(lines) or "No pair was walked on both a line and a curve."


def disagreements_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """Pairs on which the corrected and the authors' recipe disagree about MCU(eps), with eps and its interval (C24)."""
    import pandas as pd

    rows = []
    for own, theirs in beside(walks, ("own", "bezier"), ("authors", "bezier")):
        if own.connected(eps) != theirs.connected(eps):
            found = [spread(percentile_interval(w.eps, worst(w))) for w in (own, theirs)]
            sides = ["barrier" if w.barrier > w.deficit else "deficit" for w in (own, theirs)]
            word = "corrected" if own.connected(eps) else "authors"
            rows.append((own.method, pair_with_original(own), found[0], sides[0], found[1], sides[1], word))
    columns = ["method", "pair", "eps, corrected", "set by", "eps, authors", "set by ", "connects"]
    return pd.DataFrame(rows, columns=columns).set_index(["method", "pair"])


TWO_SEEDS = {"C1": c1, "C13": c13, "C21": c21}  # tests of claims about two seeds


def recipes_table(
    walks: Sequence[Walk], claims: Sequence[str] = ("C1", "C13", "C21"), eps: float = TOLERANCE
) -> pd.DataFrame:
    """Claims about two seeds, each judged twice on the same pairs and lines: with the curves of either recipe.

    Only pairs that have the line and both curves count. Rows: claims; columns: statistic, then verdict and effect with
    the curves of the corrected and of the authors' recipe.
    """
    import pandas as pd

    rows = beside(walks, ("own", "linear"), ("own", "bezier"), ("authors", "bezier"))
    controls = [w for w in walks if w.role == "control"]
    given = [controls + [w for row in rows for w in (row[0], replace(row[k], variant="own"))] for k in (1, 2)]
    found = []
    for claim in claims:
        judged = [verdict_by(TWO_SEEDS[choose("claim", claim, TWO_SEEDS)], one, eps) for one in given]
        found.append((claim, CLAIMS[claim].measured(eps), *map(found_text, judged)))
    return pd.DataFrame(found, columns=["claim", "statistic", "corrected", "authors"]).set_index("claim")


def surplus_table(table: pd.DataFrame) -> pd.DataFrame:
    """What must be given away to connect each pair of a `fits_table`, on the line, the curve and the better of them.

    Columns method, path, pair, nats, rise, dip, node_a, node_b, nats_again; the better has the smaller ``nats``.
    """
    import pandas as pd

    kept = table[table["fit"].isin(PATHS[:2])]
    whole = [part for _, part in kept.groupby(["method", "pair"], sort=False) if len(part) == 2]
    best = [part.loc[[part["nats"].idxmin()]].assign(fit=PATHS[2]) for part in whole]
    for one, part in zip(best, whole, strict=True):
        one["nats_again"] = [np.minimum(*part["nats_again"])]
    found = pd.concat([*whole, *best]) if whole else kept.iloc[:0]
    columns = ["method", "path", "pair", "nats", "rise", "dip", "node_a", "node_b", "nats_again"]
    return found.rename(columns={"fit": "path"})[columns]


# Figures


def fits_figure(table, summary, *, fits: Sequence[str], threshold: float = 0.1, columns: int = 4, title: str = ""):
    """Smallest eps of MCU(eps) for each way to fit, pairs, mean and interval, a panel per method.

    Args:
        table: `curve_fitting.fits_table`: columns method, fit, eps.
        summary: columns method, fit, estimate, low, high.
        fits: the rows, those that occur.
        threshold: tolerance in units of G.
        columns: panels side by side.
        title: over the figure.
    """
    check_columns(table, ("method", "fit", "eps"))
    check_columns(summary, ("method", "fit", "estimate", "low", "high"))
    methods, present = list(dict.fromkeys(table["method"])), set(table["fit"])
    fits, columns = [f for f in fits if f in present], min(columns, len(methods))
    rows = -(-len(methods) // columns)
    with style():
        fig, axes = panel_grid(rows, columns, 1.0 + rows * (0.6 + 0.2 * len(fits)), sharex=True, sharey=True)
        for k, ax in enumerate(axes.flat):
            if k >= len(methods):
                ax.set_axis_off()
                continue
            for y, fit in enumerate(fits):
                found = where(summary, method=methods[k], fit=fit)
                colour, marker = FIT_STYLES.get(fit, (VERMILLION, "s"))
                dots_row(ax, y, where(table, method=methods[k], fit=fit)["eps"].to_numpy(float), found, colour, marker)
            ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
            ax.axhline(sum(f.startswith("line") for f in fits) - 0.5, color=GREY, lw=0.6)
            ax.set_title(label(methods[k]))
            ax.grid(axis="y", visible=False)
            if k + columns >= len(methods):
                ax.set_xlabel("smallest eps (G)")
                ax.tick_params(labelbottom=True)
        decades(axes[0, 0], np.r_[table["eps"], summary["high"]], threshold, least=3)
        axes[0, 0].set_yticks(range(len(fits)), fits)
        axes[0, 0].set_ylim(len(fits) - 0.5, -0.5)
        keys = [entry("o", BLUE, "line", ls="-"), entry("s", VERMILLION, "curve: mean, 95 % interval", ls="-")]
        keys += [entry("D", PURPLE, "authors' recipe", ls="-"), dot_entry(GREY, "one pair")]
        finish(fig, axes[0, 0], title, keys)
    return fig


def failures_figure(cells, totals, *, methods: Sequence[str], title: str = ""):
    """Share of quadratic fits that fail beside the line, per method and fit, and over all methods with an interval.

    Args:
        cells, totals: `curve_fitting.failures`: (method, fit, failed, n), and (fit, share, low, high, failed, n).
        methods: the rows.
        title: over the figure.
    """
    check_columns(cells, ("method", "fit", "failed", "n"))
    check_columns(totals, ("fit", "share", "low", "high"))
    fits = list(totals["fit"])
    shares = np.full((len(methods), len(fits)), np.nan)
    with style():
        heights = [0.3 * len(methods), 1.5]
        options = {"sharex": True, "gridspec_kw": {"height_ratios": heights}}
        fig, axes = panel_grid(2, 1, 1.6 + sum(heights), **options)
        top, bottom = axes[:, 0]
        for one in cells.itertuples():
            if one.method in methods:
                i, j = methods.index(one.method), fits.index(one.fit)
                shares[i, j] = one.failed / one.n
                colour = "white" if shares[i, j] > 0.6 else BLACK
                top.text(j, i, f"{one.failed} of {one.n}", ha="center", va="center", fontsize=8, color=colour)
        top.pcolormesh(
            np.arange(len(fits) + 1) - 0.5,
            np.arange(len(methods) + 1) - 0.5,
            np.ma.masked_invalid(shares),
            cmap="Blues",
            vmin=0,
            vmax=1.1,
            edgecolors="white",
            lw=1,
        )
        name_rows(top, list(methods))
        top.grid(False)
        top.spines[:].set_visible(False)
        top.tick_params(length=0, labelbottom=False)
        top.set_title("Fits whose smallest eps exceeds the line's by 0.1 G; empty: not walked")
        for x, one in enumerate(totals.itertuples()):
            bottom.plot([x, x], [one.low, one.high], color=VERMILLION, lw=1.6)
            bottom.plot(x, one.share, "s", color=VERMILLION, ms=5.5, mec="white", mew=0.7)
        bottom.set_ylim(-0.05, 1.05)
        bottom.set_yticks([0, 0.5, 1], ["0", "50", "100"])
        bottom.set_ylabel("fails, of all\npairs (%)")
        bottom.set_xticks(range(len(fits)), [f.replace(" ", "\n", 1) for f in fits])
        bottom.set_xlim(-0.5, len(fits) - 0.5)
        bottom.grid(axis="x", visible=False)
        finish(fig, bottom, title, [entry("s", VERMILLION, "share of all pairs, 95 % interval", ls="-")])
    return fig


def outcomes_figure(table, *, threshold: float = 0.1, title: str = ""):
    """Line against curve between the same ends: smallest eps of both, with the quadrants of MCU, a panel per fit.

    Args:
        table: `curve_fitting.outcomes_table`: columns fit, method, line, curve, outcome.
        threshold: tolerance in units of G.
        title: over the figure.
    """
    check_columns(table, ("fit", "method", "line", "curve", "outcome"))
    fits, methods = list(dict.fromkeys(table["fit"])), list(dict.fromkeys(table["method"]))
    with style():
        fig, axes = panel_grid(1, len(fits), 4.3, sharex=True, sharey=True)
        for ax, fit in zip(axes[0], fits, strict=True):
            part = where(table, fit=fit)
            for k, method in enumerate(methods):
                one, (colour, marker) = where(part, method=method), SERIES[k % len(SERIES)]
                ax.plot(one["line"], one["curve"], marker, color=colour, ms=6, alpha=0.85, mec="white", mew=0.5)
            ax.axhline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
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
        keys = [entry(m, c, label(name)) for name, (c, m) in zip(methods, _cycled(len(methods)), strict=True)]
        finish(fig, axes[0, 0], title, keys)
    return fig


def surplus_figure(table, summary, *, unit: float | None = None, title: str = ""):
    """Loss that must be given away to connect two models, in nats: on the line, on the curve, on the better of them.

    Args:
        table: `curve_fitting.surplus_table`: columns method, path, nats.
        summary: columns method, path, estimate, low, high.
        unit: G in nats, marked as ``0.1 G``.
        title: over the figure.
    """
    check_columns(table, ("method", "path", "nats"))
    check_columns(summary, ("method", "path", "estimate", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    styles = dict(zip(PATHS, ((BLUE, "o"), (VERMILLION, "s"), (BLACK, "D")), strict=True))
    with style():
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
        name_rows(ax, methods)
        for y in range(1, len(methods)):
            ax.axhline(y - 0.5, color=LIGHT, lw=0.8, zorder=0)
        keys = [entry(m, c, "curve" if path == "corrected" else path, ls="-") for path, (c, m) in styles.items()]
        finish(fig, ax, title, keys)
    return fig


def _cycled(count: int) -> list[tuple[str, str]]:
    return [SERIES[k % len(SERIES)] for k in range(count)]


ROOMS = (
    Room(
        "08_curve_fitting",
        fits,
        tests={
            name: (("08_curve_fitting",), test)
            for name, test in {"C12": c12, "C13": c13, "C23": c23, "C24": c24}.items()
        },
    ),
)
