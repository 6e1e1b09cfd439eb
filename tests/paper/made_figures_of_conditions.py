"""Walks of conditions, pairs of methods and sizes to draw, and what stands in a figure."""

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
from made_conditions import admissible
from made_worlds import Shape, World, walk as walk_of_world
from synthetic import walk

from mcutils.measures.similarity import SIMILARITIES
from mcutils.paper.curriculum_and_order import (
    along_table,
    changes_figure,
    changes_table,
    condition_summary,
    condition_table,
    conditions_figure,
    crossing_figure,
)
from mcutils.paper.forget_size import points_table, sizes_figure
from mcutils.paper.method_pairs import (
    CUE,
    agreement_figure,
    agreement_table,
    cue_table,
    curves_figure,
    curves_table,
    levels_table,
    matrices_figure,
    matrix_figure,
    mechanisms_figure,
    mechanisms_table,
    method_order,
    pair_matrix,
    pairs_table,
    reliance_figure,
    scatter_table,
)

METHODS = [
    "gradient_ascent",
    "random_labels",
    "bad_teacher",
    "salun",
    "gradient_difference",
    "npo",
    "scrub",
    "l1_sparse",
]
SEEDS = ((0, 42, 87), (0, 21, 100), (1, 42, 87))
CROSSED = ("random", "random_in_cl", "cl-non_cl")
PAIRED = ("method", "method_in_cl", "method_in_so", "method_cl-non_cl", "method_fo-so")


def one(method, barrier, deficit, seeds=SEEDS[0], kind="linear", noise=0.01, **labels):
    original, *pair = seeds
    return replace(walk(method, barrier, deficit, pair, kind, original=original, noise=noise), **labels)


def crossing(methods=METHODS):
    """Curricula that harm lines and help curves, each method more than the one before."""
    return [
        one
        for k, m in enumerate(methods)
        for j, c in enumerate(CROSSED)
        for kind in ("linear", "bezier")
        for dip in [0.1 * k * (1 if kind == "linear" else -0.5) * j + 0.3]
        for one in admissible(c, 0.02 * k, dip + np.array([0, 0.02, -0.02]), m, kind)
    ]


def paired(methods=METHODS):
    """Pairs of methods whose deficit grows with their distance in the list, and curves for six of them."""
    made = []
    for c in PAIRED:
        for k, (a, b) in enumerate(combinations(methods, 2)):
            apart = methods.index(b) - methods.index(a)
            for seeds in SEEDS if c == "method" else SEEDS[:1]:
                made.append(one(a, 0.01 * k, 0.06 * apart, seeds, other=b, condition=c))
            if k < 6:
                made.append(one(a, 0.0, 0.05, kind="bezier", other=b, condition=c))
    return made


def alike(n):
    values = np.random.default_rng(0).uniform(0.5, 1, (n + 3, n + 3))
    return dict.fromkeys(SIMILARITIES, (values + values.T) / 2)


def cues(methods=METHODS):
    found = {}
    for k, m in enumerate(methods):
        middle, t = 0.1 * k, np.linspace(0, 1, 11)
        for part, r in (("forgetting", 0.9 + (middle - 0.9) * t), ("retraining", middle * (1 - t))):
            arrays = dict.fromkeys(("reliance", "accuracy_swapped", "sensitivity", "pull", "accuracy_none"), r)
            found[m, part] = {f"{s}/{n}": v for s in ("forget", "test") for n, v in arrays.items()}
    return cue_table(found, {"forget": 900, "test": 2000}, 10)


def sized(methods=METHODS[-4:-1]):
    bench = World(lambda one: Shape(dip=0.1 + one["size"]))
    places = [(m, size, o) for m in methods for size in (0.02, 0.06, 0.1) for o in range(3)]
    return [walk_of_world(bench, method=m, kind="linear", size=size, original=o) for m, size, o in places]


def conditions(methods=METHODS):
    walks = crossing(methods)
    rows, summary = condition_table(walks, CROSSED), condition_summary(walks, CROSSED)
    return conditions_figure(rows, summary, CROSSED, title="Curriculum")


def changes(methods=METHODS):
    return changes_figure(changes_table(crossing(methods), CROSSED[1:]))


def paths(methods=METHODS):
    return crossing_figure(along_table(crossing(methods), ("random", "cl-non_cl")), "cl-non_cl")


@cache
def pairs_of(count):
    methods = METHODS[:count]
    pairs = pairs_table(paired(methods), PAIRED)
    return pairs, *method_order(pair_matrix(pairs, "eps", methods), methods)


def matrix(count=8):
    return matrix_figure(*pairs_of(count))


def matrices(count=8):
    pairs, order, _ = pairs_of(count)
    return matrices_figure(pairs, order)


def curves(methods=METHODS):
    return curves_figure(curves_table(paired(methods)))


def agreement(count=8):
    targets = {m: pair_matrix(pairs_of(count)[0], m, METHODS[:count]) for m in ("barrier", "deficit")}
    found, methods = alike(count), METHODS[:count]
    tests, levels = agreement_table(found, targets), levels_table(found, methods)
    return agreement_figure(scatter_table(found, targets, methods), tests, levels)


def reliance(methods=METHODS):
    return reliance_figure(cues(methods))


def sizes(methods=METHODS[-4:-1]):
    return sizes_figure(points_table(sized(methods)))


def mechanisms(methods=METHODS[-4:-1]):
    use = {(o, m): 0.1 * k + 0.02 * o for o in range(3) for k, m in enumerate(methods)}
    bench = World(lambda one: Shape(dip=0.3 if one["other"] == methods[-1] else 0.05))
    pairs = [(o, a, b) for o in range(3) for a, b in combinations(methods, 2)]
    lines = {"kind": "linear", "condition": "method", "form": CUE}
    walks = [walk_of_world(bench, method=a, other=b, original=o, **lines) for o, a, b in pairs]
    return mechanisms_figure(mechanisms_table(walks, use), use, dict.fromkeys(range(3), 0.5))


FIGURES = {
    f.__name__: f
    for f in (conditions, changes, paths, matrix, matrices, curves, agreement, reliance, mechanisms, sizes)
}


@cache
def figure(name):
    return FIGURES[name]()
