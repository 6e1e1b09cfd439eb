"""Tables to draw, and what stands in a figure."""

from functools import cache
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd

from mcutils.paper import seeds
from mcutils.paper.endpoints import endpoints_figure
from mcutils.paper.quickstart import path_figure

METHODS = ["finetune", "gradient_ascent", "gradient_difference", "npo", "scrub", "salun", "bad_teacher"]
T = np.linspace(0, 1, 11)


def curves():
    """A rising and a falling curve per split, with bands, as `Connectivity` holds them."""
    found = {}
    for kind, depth in (("linear", 1.0), ("bezier", 0.3)):
        values = {}
        for split, start in (("retain", 0.05), ("forget", 0.3), ("test", 0.4)):
            values[f"loss_{split}"] = start + 0.02 * T + 0.1 * depth * T * (1 - T)
            values[f"accuracy_{split}"] = 0.95 - start / 5 - 0.05 * depth * T * (1 - T)
        bands = {name: np.stack([v - 0.01, v + 0.01]) for name, v in values.items()}
        found[kind] = SimpleNamespace(t=T, curves=values, bands=bands)
    return found


def levels(value):
    return {f"{q}_{s}": value for q in ("loss", "accuracy") for s in ("retain", "forget", "test")}


def endpoints():
    generator = np.random.default_rng(0)
    rows = [
        (m, s, 0.05 + 0.02 * k + 0.003 * generator.normal(), 0.99 - 0.005 * k, 0.88 - 0.004 * k, 2.0 + k)
        for k, m in enumerate(METHODS)
        for s in (42, 87, 21)
    ]
    rows += [("retrain", s, 0.13 + 0.001 * s, 0.998, 0.88, 60.0) for s in range(3)]
    rows += [("original", 0, 0.001, 0.998, 0.878, 61.0)]
    return pd.DataFrame(rows, columns=["method", "seed", "UA", "RA", "TA", "seconds"])


def pairs(methods=METHODS):
    generator = np.random.default_rng(1)
    rows = [
        (m, kind, 0.02 * k * generator.random(), 0.3 * generator.random(), "", 0, a, b)
        for k, m in enumerate(methods)
        for a, b in combinations((42, 87, 21), 2)
        for kind in ("bezier", "linear")
    ]
    rows += [("different initialisation", "linear", 4 + 0.1 * k, 0.2, "control", k, 1, 2) for k in range(3)]
    rows += [("fine-tuned twin", "linear", 0.001 * k, 0.002, "control", k, 1, 2) for k in range(3)]
    return pd.DataFrame(rows, columns=["method", "curve", "barrier", "deficit", "control", "original", "start", "end"])


def along(methods=METHODS):
    parts = []
    for one in pairs(methods).query("control == ''").itertuples():
        shape = 4 * T * (1 - T)
        columns = {"t": T, "retain_excess": one.barrier * shape, "forget_excess": -one.deficit * shape}
        parts.append(pd.DataFrame(columns).assign(method=one.method, pair=f"{one.start}-{one.end}", curve=one.curve))
    return pd.concat(parts)


def means(table):
    """Means of `pairs` with an interval of its own for every method, curve and measure."""
    rows = []
    for k, ((method, curve), part) in enumerate(table.groupby(["method", "curve"], sort=False)):
        for m in ("barrier", "deficit"):
            rows.append((method, curve, m, part[m].mean(), part[m].mean() - 0.01 * k, part[m].mean() + 0.02 * k + 0.03))
    return pd.DataFrame(rows, columns=["method", "curve", "measure", "estimate", "low", "high"])


def barrier_figure(table, **options):
    return seeds.barrier_figure(table, means(table), **options)


def sweep():
    """Shares that grow with eps, each method and curve with its own."""
    return pd.DataFrame(
        [
            (m, kind, e, share, share - 0.05 - 0.005 * k, share + 0.03 + 0.005 * k)
            for k, m in enumerate(METHODS)
            for kind in ("bezier", "linear")
            for e, share in zip(
                (0, 0.1, 0.2, 0.4), np.linspace(0.1 * k, 0.9 - 0.2 * (kind == "linear"), 4), strict=True
            )
        ],
        columns=["method", "curve", "eps", "fraction", "low", "high"],
    )


def variance():
    """Components that differ by stage, method and curve; one method without a second draw, and one below 0."""
    rows = []
    stages = ("original", "forget set", "unlearning seeds", "fit")
    for measure, kind in seeds.SPLIT_UP:
        for k, method in enumerate((*seeds.SPLIT, "mean")):
            for j, stage in enumerate(stages[: 3 + (kind == "bezier")]):
                variance = 0.01 * (j + 1) + 0.002 * k - 0.05 * (method == "npo" and j == 1)
                rows.append((measure, kind, method, stage, variance, variance - 0.02, variance + 0.03))
    return pd.DataFrame(rows, columns=["measure", "curve", "method", "component", "variance", "low", "high"])


FIGURES = {
    "variance": lambda: seeds.variance_figure(variance(), title="What varies"),
    "path": lambda: path_figure(
        curves(), retrained=levels([0.5, 0.6]), original=levels(0.9), ends=("seed 42", "seed 87"), title="NPO"
    ),
    "endpoints": lambda: endpoints_figure(endpoints(), title="All methods"),
    "seeds": lambda: seeds.seeds_figure(along(), eps=0.1),
    "barrier": lambda: barrier_figure(pairs(), threshold=0.1),
    "sweep": lambda: seeds.mcu_sweep_figure(sweep(), threshold=0.1),
}


@cache
def figure(name):
    return FIGURES[name]()
