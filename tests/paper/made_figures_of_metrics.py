"""Walks with metrics, fits and retrained models to draw, and what stands in a figure."""

from dataclasses import replace
from functools import cache

import numpy as np
from made_worlds import METHODS, PARTS, Shape, World, controlled, walk
from matplotlib.text import Text

from mcutils.fits import recorded
from mcutils.measures.intervals import Interval
from mcutils.measures.planes import Plane
from mcutils.measures.profiles import Profile
from mcutils.paper.curve_fitting import (
    convergence_figure,
    fits_figure,
    fits_means,
    fits_table,
    gains_figure,
    gains_summary,
    gains_table,
    shares_figure,
    shares_table,
    surplus_figure,
    surplus_means,
    surplus_table,
)
from mcutils.paper.ledger import forest_figure, forest_table
from mcutils.paper.metrics_along import (
    DISTINCT,
    DRAWN,
    best_figure,
    best_summary,
    best_table,
    correlation_figure,
    halves,
    joined,
    metric_curves,
    metrics_figure,
    path_title,
    retrained_levels,
    shapes_figure,
    shapes_summary,
    shapes_table,
    unrelated,
)
from mcutils.paper.progress_and_retraining import (
    CURVES,
    ORIGINALS,
    OTHER,
    PAIRS,
    apart_figure,
    apart_table,
    bends_figure,
    bends_summary,
    bends_table,
    planes_figure,
    progress_figure,
    progress_levels,
    progress_table,
    retraining_figure,
    retraining_table,
    way_table,
    ways_figure,
)
from mcutils.paper.trial_ledger import ROWS
from mcutils.paper.trials import Finding
from mcutils.paper.verdicts import Judged
from mcutils.paper.walks import TWINNED, Labels

ORIGINALS_MADE = 4
GAPS = {o: {"js_retrained_forget": 0.05, "zrf": 0.06, "accuracy_forget": 0.1} for o in range(ORIGINALS_MADE)}
LEVELS = [dict.fromkeys(DRAWN, 0.1 * k) | {"zrf": 50.0 + k} for k in range(1, 5)]  # ZRF is far off every path
CHOICES = ("normal_t", "original_start", "copied_gradient")


def made(shape, parts, originals=ORIGINALS_MADE):
    """Walks with these labels on every original."""
    bench = World(controlled(shape))
    return [walk(bench, original=o, **labels) for o in range(originals) for labels in parts]


@cache
def along():
    """Connected walks between two seeds and between two methods, and fine-tuned twins."""
    parts = [*PARTS["random"], *PARTS["method"][:3], {"method": "npo", "kind": "linear", "control": TWINNED}]
    return made(lambda one: Shape(gain=0.02 if one["method"] == "npo" else 0.0), parts)


@cache
def fitted():
    """Walks of every fit; choices of the recipe with three methods, the bad teacher's curves far off."""
    few = [{"method": m, "kind": "bezier", "recipe": r} for m in METHODS[:3] for r in CHOICES]
    lines = [one for one in PARTS["fits"] if not (one["kind"] == "linear" and one.get("recipe"))]

    def shape(one):
        k = METHODS.index(one["method"])
        rise = (
            3.0 if one.get("recipe") == "authors" and k == 5 else 0.2 * bool(one.get("recipe") or one.get("batchnorm"))
        )
        return Shape(rise=rise, dip=0.1 * k if one["kind"] == "linear" else 0.5 - 0.1 * k)

    return made(shape, [*PARTS["random"], *lines, *few])


@cache
def progressed():
    """Lines to forgetting and on to retraining, and paths between models trained apart."""
    parts = list(PARTS["progress"])
    parts += [one | {"init": OTHER} for one in parts if one["condition"] == "retraining"]
    ends = (("original", ORIGINALS, ""), ("retrain", PAIRS, OTHER), ("npo", CURVES, OTHER))
    for method, condition, init in ends:
        for kind, objective in (("linear", ""), ("bezier", ""), *([("bezier", "retain only")] * (condition == CURVES))):
            labels = {"method": method, "kind": kind, "objective": objective, "condition": condition, "init": init}
            parts.append(labels)

    def shape(one):
        if one["condition"] in (ORIGINALS, PAIRS, CURVES):
            return Shape(rise=5.0 if one["kind"] == "linear" else 0.3)
        if one["condition"] == "retraining":
            return Shape(rise=0.02 if one["init"] != OTHER else 5.0, dip=0.1 * METHODS.index(one["method"]))
        return Shape(step=0.6)

    return made(shape, parts)


def ways(methods=METHODS[:3]):
    """Profiles of unlearning runs by method, and the steps of their snapshots."""
    t = np.array([0.0, 0.1, 0.4, 1.0])
    arrays = {"t": t, "metric/loss_retain": 0.02 + 0.1 * t, "metric/loss_forget": 0.01 + 0.5 * t**2}
    arrays |= {"metric/accuracy_retain": 1 - 0.02 * t, "metric/accuracy_forget": 1 - 0.15 * t}
    arrays["metric/accuracy_valid"] = 0.87 - 0.2 * t**4  # so that the third snapshot is the best
    return {name: Profile(arrays) for name in methods}, {name: (0, 1, 4, 20) for name in methods}


def records():
    """Labels and records of corrected fits, of falling and noisy objectives."""
    rng = np.random.default_rng(0)
    labels = [Labels(m, "bezier", 42, 87, original=o) for m in METHODS for o in range(ORIGINALS_MADE)]
    falls = np.exp(-np.arange(300) / 60)
    return [(one, recorded(falls + 0.1 * rng.normal(size=300), rng.uniform(size=300))) for one in labels]


def plane(high=5.0, size=15):
    """A plane whose losses grow from its first model outwards."""
    x, y = np.linspace(-1, 4, size), np.linspace(-0.5, 2, size)
    bowl = 0.01 + high * (x[None] ** 2 + y[:, None] ** 2) / 20
    values = {f"loss_{s}": bowl * k for k, s in enumerate(("retain", "forget", "test"), 1)}
    at = {name: np.array([0.01, 0.5, 0.8]) for name in values}
    return Plane(x, y, values, np.array([(0, 0), (0.3, 1.5), (3.2, 0)]), at, {})


def verdicts():
    """Rows supported, contradicted and undecided, of one of which nothing was measured; the correction takes one."""
    spans = {"C1": (0.6, 0.9), "C4": (-0.05, 0.06), "C5": (-0.4, 0.3), "C9": (0.12, 0.4), "C21": (0.03, 0.6)}
    words = {"C1": "supported", "C4": "contradicted", "C5": "undecided", "C9": "supported", "C21": "undecided"}
    rows, found = {row.name: row for row in ROWS}, []
    for name, (low, high) in spans.items():
        one = Finding(Interval((low + high) / 2, low, high), words[name], 8, 48)
        wide = Finding(Interval((low + high) / 2, low - 0.15, high + 0.15), words[name], 8, 48)
        wide = replace(wide, verdict="undecided") if name == "C9" else wide
        found.append(Judged(rows[name], {"chord": one}, wide))
    return [*found, Judged(rows["C12 refreshed"], {"chord": Finding(Interval(*[np.nan] * 3), "undecided", 0, 0)})]


def drawn_path():
    """A walk with every metric that is drawn of one path."""
    one = next(w for w in along() if not w.control)
    arrays = one.profile.arrays
    return replace(one, profile=Profile({**arrays, "metric/loss_retain": arrays["curve/loss_retain"]}))


def both(table, summary):
    return table, summary(table)


def shapes():
    return shapes_table([w for w in along() if "zrf" in GAPS[w.original]], GAPS)


FIGURES = {
    "metrics": lambda: metrics_figure(
        metric_curves(drawn_path()), retrained_levels(LEVELS), gap=0.5, eps=0.1, title=path_title(drawn_path())
    ),
    "correlation": lambda: correlation_figure(DISTINCT, halves(joined(along())), unrelated(joined(along())[:6])),
    "shapes": lambda: shapes_figure(*both(shapes(), shapes_summary)),
    "best": lambda: best_figure(best_table(joined(along())), best_summary(joined(along()))),
    "shares": lambda: shares_figure(shares_table(fits_table(fitted())), eps=0.1),
    "fits": lambda: fits_figure(*both(fits_table(fitted()), fits_means)),
    "gains": lambda: gains_figure(*both(gains_table(fitted()), gains_summary)),
    "convergence": lambda: convergence_figure(records()),
    "surplus": lambda: surplus_figure(*both(surplus_table(fits_table(fitted())), surplus_means), unit=0.4),
    "apart": lambda: apart_figure(apart_table(progressed())),
    "progress": lambda: progress_figure(progress_table(progressed()), progress_levels(progressed())),
    "bends": lambda: bends_figure(*both(bends_table(progressed()), bends_summary)),
    "ways": lambda: ways_figure(way_table(*ways()), progressed()),
    "retraining": lambda: retraining_figure(retraining_table(progressed())),
    "planes": lambda: planes_figure({"npo": plane(), "scrub": plane(50.0), "salun": plane(0.1)}),
    "forest": lambda: forest_figure(forest_table(verdicts()), level=0.99),
}


@cache
def figure(name):
    return FIGURES[name]()


def texts(fig):
    return [item.get_text() for item in fig.findobj(Text)]


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}
