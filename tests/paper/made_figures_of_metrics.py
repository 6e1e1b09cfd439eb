"""Walks with metrics, fits and retrained models to draw, and what stands in a figure."""

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
from matplotlib.text import Text
from synthetic import RING, SEEDS, fit, walk

from mcutils.measures.intervals import Interval
from mcutils.measures.metrics import METRICS
from mcutils.measures.planes import Plane
from mcutils.measures.profiles import Profile
from mcutils.paper.claims import judge
from mcutils.paper.curve_fitting import (
    FITS,
    failures,
    failures_figure,
    fits_figure,
    fits_table,
    outcomes_figure,
    outcomes_table,
    surplus_figure,
    surplus_table,
)
from mcutils.paper.ledger import forest_figure, forest_table
from mcutils.paper.metrics_along import (
    DISTINCT,
    best_figure,
    best_summary,
    best_table,
    correlation_figure,
    correlations,
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
    bends_figure,
    bends_summary,
    bends_table,
    planes_figure,
    progress_figure,
    progress_table,
    retraining_figure,
    retraining_table,
)
from mcutils.paper.tables import means
from mcutils.paper.walks import RETRAINED

METHODS = (
    "gradient_ascent", "random_labels", "bad_teacher", "salun", "gradient_difference", "npo", "scrub", "l1_sparse"
)  # fmt: skip
T = np.linspace(0, 1, 31)
GAPS = {"zrf": 0.5, "loss_test": 0.3, "accuracy_forget": 1.0}
LEVELS = [dict.fromkeys(METRICS, 0.1 * k) | {"zrf": 50.0 + k} for k in range(1, 5)]  # ZRF is far off every path


def wavy(seed):
    """Smooth curves of all metrics, of one bend to four."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal() + rng.normal() * T + rng.normal() * np.sin(np.pi * T * rng.integers(1, 5))
        for name in METRICS
    }


def joined(methods=METHODS, pairs=RING[:3]):
    """Connected walks with all their metrics and closeness to retraining."""
    walks = []
    for k, method in enumerate(methods):
        for j, pair in enumerate(pairs):
            rng = np.random.default_rng([k, j])
            scores = [0.9 + 0.02 * k - 0.02 * (T - 0.5) ** 2 + 0.002 * rng.normal(size=31) for _ in range(2)]
            walks.append(walk(method, 0.02, 0.05, pair, t=T, metrics=wavy([k, j]), scores=scores, seed=k))
    return walks


def fits(methods=METHODS, pairs=RING[:3]):
    """Walks of every fit."""
    walks = []
    for k, method in enumerate(methods):
        for j, pair in enumerate(pairs):
            for i, name in enumerate(FITS):
                kind = "linear" if name.startswith("line") else "bezier"
                eps = float(np.random.default_rng([k, j, i]).choice([0.0, 0.03, 0.2, 1.5, 20.0]))
                one = walk(method, eps / 2, eps, pair, kind, seed=k, **fit(name))
                more = {"measure/surplus_retain": np.float64(0.1), "measure/shortfall_forget": np.float64(0.2)}
                walks.append(replace(one, profile=Profile({**one.profile.arrays, **more})))
    return walks


def progress(methods=METHODS):
    """Lines from the original to unlearned models."""
    walks = []
    for k, method in enumerate(methods):
        for j, seed in enumerate(SEEDS[:3]):
            metrics = {"loss_forget": T ** (1 + 0.3 * k) + 0.02 * j * np.sin(9 * T), "accuracy_forget": 1 - T**3}
            metrics["accuracy_forget"] = metrics["accuracy_forget"] if k else np.ones(31)
            walks.append(walk(method, pair=(seed, seed), t=T, metrics=metrics, condition="forgetting"))
    return walks


def retraining(methods=METHODS):
    """Lines to retrained models, and between them."""
    walks = []
    for init, level in (("same init", 0.02), ("other init", 5.0)):
        for k, method in enumerate(methods):
            for seed in SEEDS[:3]:
                labels = {"condition": "retraining", "init": init, "seed": k}
                walks.append(walk(method, level * (1 + k * seed % 7), 0.1, (seed, seed), **labels))
        for a, b in combinations(SEEDS[:3], 2):
            labels = {"control": RETRAINED, "condition": "retrained", "init": init}
            walks.append(walk("retrain", level * (1 + a % 2), 0.0, (a, b), **labels))
    return walks


def plane(high=5.0, size=15):
    """A plane whose losses grow from its first model outwards."""
    x, y = np.linspace(-1, 4, size), np.linspace(-0.5, 2, size)
    bowl = 0.01 + high * (x[None] ** 2 + y[:, None] ** 2) / 20
    values = {f"loss_{s}": bowl * k for k, s in enumerate(("retain", "forget", "test"), 1)}
    at = {name: np.array([0.01, 0.5, 0.8]) for name in values}
    return Plane(x, y, values, np.array([(0, 0), (0.3, 1.5), (3.2, 0)]), at, {})


def verdicts():
    """A claim supported, one contradicted, others undecided, one of which nothing was measured."""
    spans = {"C1": (0.6, 0.9), "C4": (-0.05, 0.06), "C5": (-0.4, 0.3), "C9": (0.2, 0.4), "C21": (0.03, 0.6)}
    found = {c: judge(c, Interval(np.mean(s), *s), n_pairs=30, n_seeds=5) for c, s in spans.items()}
    found["C12"] = judge("C12", Interval(*[np.nan] * 3), n_pairs=0, n_seeds=0)
    wide = {c: (s[0] - 0.15, s[1] + 0.15) for c, s in spans.items()}
    strict = {c: judge(c, Interval(np.mean(s), *s), n_pairs=30, n_seeds=5) for c, s in wide.items()} | {
        "C12": found["C12"]
    }
    return [*found.values()], [strict[c] for c in found]


@cache
def table(name):
    """Tables that several tests read."""
    walks = {"shapes": joined, "best": joined, "fits": fits, "progress": progress, "retraining": retraining}[name]()
    if name == "shapes":
        return shapes_table(walks, GAPS)
    made = {"best": best_table, "fits": fits_table, "progress": progress_table}
    return made.get(name, retraining_table)(walks)


def fits_means():
    return means(table("fits"), "eps", ["method", "fit"])


def surplus():
    made = surplus_table(table("fits"))
    return made, means(made, "nats", ["method", "path"])


def bends():
    made = bends_table(table("progress"))
    return made, bends_summary(made)


FIGURES = {
    "metrics": lambda: metrics_figure(
        metric_curves(joined()[0]), retrained_levels(LEVELS), gap=0.5, eps=0.1, title=path_title(joined()[0])
    ),
    "correlation": lambda: correlation_figure(DISTINCT, *correlations(joined()[:4]), unrelated(joined()[:4])),
    "shapes": lambda: shapes_figure(table("shapes"), shapes_summary(table("shapes")), threshold=0.2),
    "best": lambda: best_figure(table("best"), best_summary(table("best"))),
    "fits": lambda: fits_figure(table("fits"), fits_means(), fits=list(FITS)),
    "failures": lambda: failures_figure(*failures(fits()), methods=METHODS),
    "outcomes": lambda: outcomes_figure(outcomes_table(fits())),
    "surplus": lambda: surplus_figure(*surplus(), unit=0.4),
    "progress": lambda: progress_figure(table("progress")),
    "bends": lambda: bends_figure(*bends(), threshold=0.1),
    "retraining": lambda: retraining_figure(
        table("retraining"), means(table("retraining"), "barrier", ["method", "init"]), margin=0.1
    ),
    "planes": lambda: planes_figure({"npo": plane(), "scrub": plane(50.0), "salun": plane(0.1)}),
    "forest": lambda: forest_figure(forest_table(*verdicts()), level=0.99),
}


@cache
def figure(name):
    return FIGURES[name]()


def texts(fig):
    return [item.get_text() for item in fig.findobj(Text)]


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}
