"""Every figure's panels by the numbers in their artists: the right quantity, of the right rows, in the right panel.

The tables are made up so that all numbers in them differ: a swap of measure, split, level, sign or order shows.
"""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mcutils.measures import drawing as plots
from mcutils.measures.originals import student
from mcutils.measures.planes import Plane
from mcutils.measures.profiles import Profile
from mcutils.measures.similarity import SIMILARITIES
from mcutils.paper import panels as metric_plots
from mcutils.paper.curriculum_and_order import PLACES, changes_figure, conditions_figure, crossing_figure
from mcutils.paper.curve_fitting import (
    FIT_STYLES,
    FITS,
    PATHS,
    fits_figure,
    gains_figure,
    shares_figure,
    surplus_figure,
)
from mcutils.paper.endpoints import endpoints_figure
from mcutils.paper.forget_size import sizes_figure
from mcutils.paper.ledger import UNITS, VERDICT_STYLES, forest_figure
from mcutils.paper.method_pairs import (
    MIXED,
    agreement_figure,
    curves_figure,
    matrices_figure,
    matrix_figure,
    mechanisms_figure,
    reliance_figure,
)
from mcutils.paper.metrics_along import (
    APART,
    SAME,
    SHAPE_TITLES,
    best_figure,
    correlation_figure,
    metrics_figure,
    shapes_figure,
)
from mcutils.paper.progress_and_retraining import (
    INITS,
    PAIRS,
    apart_figure,
    bends_figure,
    planes_figure,
    progress_figure,
    retraining_figure,
    ways_figure,
)
from mcutils.paper.quickstart import hero_figure, path_figure
from mcutils.paper.seeds import barrier_figure, mcu_sweep_figure, seeds_figure
from mcutils.paper.trials import ERROR
from mcutils.paper.walks import TWINNED
from mcutils.teaching import toy

METHODS, KINDS, EPS = ["npo", "scrub"], ["linear", "bezier"], 0.25
T = np.linspace(0, 1, 5)
MARKS = {"linear": "o", "bezier": "s"}


@pytest.fixture(autouse=True)
def _not_laid_out(monkeypatch):
    monkeypatch.setattr(plots, "settle", lambda fig: None)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def frame(rng, numbers, repeat=1, **labels):
    """Every combination of labels, ``repeat`` times, with columns of numbers between 0.01 and 1 that all differ."""
    rows = [one for one in product(*labels.values()) for _ in range(repeat)]
    table = pd.DataFrame(rows, columns=list(labels))
    values = (1 + rng.permutation(len(rows) * len(numbers)).reshape(len(rows), -1)) / (len(rows) * len(numbers))
    return table.assign(**dict(zip(numbers, values.T, strict=True)))


def intervals(rng, estimate="estimate", **labels):
    """Means with intervals that are not symmetric."""
    table = frame(rng, [estimate, "down", "up"], **labels)
    return table.assign(low=table[estimate] - 0.3 * table["down"], high=table[estimate] + 0.5 * table["up"])


def one_row(found, **labels):
    """A table of one mean with its interval, cut at 0 as figures of what cannot be negative cut it."""
    mean, low, high = found
    return pd.DataFrame([{"estimate": mean, "low": max(low, 0.0), "high": high, **labels}])


def single(line):
    return len(line.get_xdata()) == 1


def points(ax):
    """Small dots without a line: (x, y) of all of them, row by row."""
    lines = [v for v in ax.get_lines() if v.get_marker() == "o" and v.get_markersize() <= 3 and v.get_ls() == "None"]
    return [(np.asarray(v.get_xdata()), np.asarray(v.get_ydata())) for v in lines]


def means(ax):
    """(height, x, marker) of each mean, and the ends of the bar at its height, from the top down."""
    bars = [v for v in ax.get_lines() if v.get_marker() == "None" and v.get_solid_capstyle() == "butt"]
    bars = {round(float(v.get_ydata()[0]), 6): tuple(v.get_xdata()) for v in bars if np.ptp(v.get_ydata()) == 0}
    marks = [v for v in ax.get_lines() if single(v) and v.get_markersize() > 3 and np.isfinite(v.get_xdata()[0])]
    found = sorted((round(float(v.get_ydata()[0]), 6), float(v.get_xdata()[0]), v.get_marker()) for v in marks)
    return [(y, x, marker, *bars[y]) for y, x, marker in found]


def check_rows(ax, tables, dots=None, marker=None):
    """The means and intervals of an axis, from the top down, are those of the one-row tables in order."""
    rows = means(ax)
    assert len(rows) == len(tables)
    for (_, x, drawn, low, high), one in zip(rows, tables, strict=True):
        assert (x, low, high) == pytest.approx(tuple(one.iloc[0][["estimate", "low", "high"]])), one
        if marker:
            assert drawn == marker(one.iloc[0])
    if dots is not None:
        for (x, _), values in zip(points(ax), dots, strict=True):
            np.testing.assert_allclose(np.sort(x), np.sort(values))
    heights = [y for y, *_ in rows]
    assert heights == sorted(heights) and len(set(heights)) == len(heights)


def band(collection, t):
    """Lower and upper edge at t of what `fill_between` drew."""
    x, y = np.concatenate([path.vertices for path in collection.get_paths()]).T
    at = [y[np.isclose(x, one)] for one in t]
    return np.array([[v.min() for v in at], [v.max() for v in at]])


def labelled(ax, text):
    return [v for v in ax.get_lines() if v.get_label() == text]


def ticks(ax, axis="y"):
    return [t.get_text() for t in getattr(ax, f"get_{axis}ticklabels")()]


def test_paths(rng):
    names = [f"{q}_{s}" for s in ("retain", "forget", "test") for q in ("loss", "accuracy")]
    draw = lambda: dict(zip(names, rng.uniform(0.1, 0.9, (6, 5)), strict=True))  # noqa: E731
    curves = {kind: SimpleNamespace(t=T, curves=draw(), bands={}) for kind in KINDS}
    for one in curves.values():
        one.bands = {
            n: np.stack([v - rng.uniform(0, 0.05, 5), v + rng.uniform(0, 0.1, 5)]) for n, v in one.curves.items()
        }
    retrained = {n: rng.uniform(0, 1, 3) for n in names}
    original = {n: rng.uniform() for n in names}
    fig = path_figure(curves, retrained=retrained, original=original, ends=("a", "b"))
    for ax, name in zip(fig.axes, names, strict=True):
        assert ax.get_ylabel().startswith(" ".join(reversed(name.split("_"))))
        for k, (kind, one) in enumerate(curves.items()):
            (line,) = labelled(ax, f"{plots.label(kind)}, 95 % band")
            np.testing.assert_array_equal(line.get_xydata().T, [T, one.curves[name]])
            np.testing.assert_allclose(band(ax.collections[k], T), one.bands[name])
            ends = labelled(ax, "chord")[k].get_ydata()
            np.testing.assert_allclose(ends, one.curves[name][0] + T * (one.curves[name][-1] - one.curves[name][0]))
        (level,), values = labelled(ax, "retrained models, range"), retrained[name]
        np.testing.assert_allclose(level.get_ydata(), [values.mean()] * 2)
        edges = band(ax.collections[len(curves)], [-0.02, 1.02])
        np.testing.assert_allclose(edges, [[values.min()] * 2, [values.max()] * 2])
        assert labelled(ax, "original model")[0].get_ydata()[0] == original[name]
    assert ticks(fig.axes[-1], "x")[0].endswith("a") and ticks(fig.axes[-1], "x")[-1].endswith("b")


def test_the_hero(rng):
    held = {}
    for kind in KINDS:
        arrays = {"t": T, "gap": np.float64(0.5), "collapsed": np.array([], dtype=np.str_)}
        for name in ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget"):
            arrays[f"curve/{name}"] = rng.uniform(0.2, 0.9, 5)
        arrays["curve/loss_forget"][[0, -1]] = 0.6, 0.7  # the paths share their ends
        arrays["curve/loss_retain"][[0, -1]] = 0.3, 0.2
        held[kind] = Profile(arrays)
    held["bezier"].arrays["curve/loss_forget"][3] = 0.1
    levels = {n: rng.uniform(0.1, 0.3, 3) for n in ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")}
    held = {kind: one.with_levels(levels) for kind, one in held.items()}
    fig = hero_figure(held, eps=EPS, ends=("a", "b"))
    for ax, (split, first, last) in zip(fig.axes, (("retain", 0.3, 0.2), ("forget", 0.6, 0.7)), strict=True):
        straight = first + T * (last - first)
        for kind, one in held.items():
            (line,) = labelled(ax, plots.label(kind))
            over = (one.arrays[f"curve/loss_{split}"] - straight) / 0.5
            np.testing.assert_allclose(line.get_xydata(), np.c_[T, over], atol=1e-12)
            assert line.get_marker() == MARKS[kind] and line.get_color() == plots.COLOURS[kind]
        level = (levels[f"loss_{split}"][:, None] - straight) / 0.5
        (mean,) = labelled(ax, "retrained models, range")
        np.testing.assert_allclose(mean.get_ydata(), level.mean(axis=0))
        np.testing.assert_allclose(band(ax.collections[0], T), [level.min(axis=0), level.max(axis=0)])
        box, (low, high) = ax.patches[0].get_bbox(), ax.get_ylim()
        assert (box.y0, box.y1) == ((EPS, high) if split == "retain" else (low, -EPS))
        assert ax.get_title().startswith(split) and ax.get_yscale() == "symlog"
    assert fig.axes[0].get_ylim() == fig.axes[1].get_ylim()
    (note,) = fig.axes[1].texts
    depth = (0.6 + 0.1 * T[3] - 0.1) / 0.5
    assert note.xy == pytest.approx((T[3], -depth)) and f"dips {depth:.2f} G below its chord" in note.get_text()
    apart = (0.1 - levels["loss_forget"].mean()) / 0.5
    assert (
        f"{'still above' if apart > 0 else 'and below'} retrained models' mean by {abs(apart):.2f} G" in note.get_text()
    )
    assert ticks(fig.axes[0], "x")[0].endswith("a") and ticks(fig.axes[0], "x")[-1].endswith("b")
    rising = {"linear": Profile({**held["linear"].arrays, "curve/loss_forget": np.array([0.6, 1, 1, 1, 0.7])})}
    assert not hero_figure(rising).axes[1].texts  # without a dip nothing is named


def test_endpoints(rng):
    columns = ["UA", "RA", "TA", "seconds"]
    table = frame(rng, columns, 3, method=["scrub", "retrain", "original", "npo"])
    goal = table[table["method"] == "retrain"][columns[:3]].mean()
    table["gap"] = (table[columns[:3]] - goal).abs().mean(axis=1)
    fig = endpoints_figure(table.drop(columns="gap"))
    order = sorted(METHODS, key=lambda m: table[table["method"] == m]["gap"].mean())
    gaps = table.groupby("method")["gap"].mean()
    rows = list(gaps.sort_values().index)
    assert [one for one in rows if one in METHODS] == order
    assert [v.get_xdata()[0] for v in fig.axes[3].get_lines() if v.get_ls() == ":"] == [gaps["original"]]
    assert ticks(fig.axes[0]) == [plots.label(m) for m in rows]
    for ax, column in zip(fig.axes, ("UA", "RA", "TA", "gap", "seconds"), strict=True):
        assert column in ax.get_title() or column == "gap" and "average gap" in ax.get_title()
        for y, method in enumerate(rows):
            values = table[table["method"] == method][column].to_numpy()
            drawn = [v for v in ax.get_lines() if v.get_ls() != ":"]
            ours = [v for v in drawn if y == v.get_ydata()[0] and len(v.get_xdata()) == len(v.get_ydata())]
            spread, seeds, mean = ours
            assert tuple(spread.get_xdata()) == pytest.approx((values.min(), values.max()))
            np.testing.assert_allclose(seeds.get_xdata(), values)
            assert mean.get_xdata()[0] == pytest.approx(values.mean())
        box = ax.patches[0].get_bbox()
        values = table[table["method"] == "retrain"][column]
        assert (box.x0, box.x1) == pytest.approx((values.min(), values.max()))


def along(rng, **labels):
    excess = ["retain_excess", "forget_excess"]
    table = frame(rng, excess, pair=["a", "b"], method=METHODS, curve=KINDS, t=T, **labels)
    return table.assign(forget_excess=-table["forget_excess"])


def check_excess(fig, table, thick, levels):
    for ax, (split, method) in zip(fig.axes, product(("forget", "retain"), METHODS), strict=True):
        part, column = table[table["method"] == method], f"{split}_excess"
        for kind in KINDS:
            one = part[part["curve"] == kind]
            thin = [v for v in ax.get_lines() if v.get_lw() == 0.7 and v.get_color() == plots.COLOURS[kind]]
            for line, (_, pair) in zip(thin, one.groupby("pair", sort=False), strict=True):
                np.testing.assert_array_equal(line.get_xydata(), pair[["t", column]])
            (mean,) = [v for v in ax.get_lines() if v.get_lw() == thick and v.get_color() == plots.COLOURS[kind]]
            np.testing.assert_allclose(mean.get_ydata(), one.groupby("t")[column].mean())
        edge = EPS if split == "retain" else -EPS
        assert [v.get_ydata()[0] for v in ax.get_lines() if v.get_lw() == 0.8] == [edge]
        assert labelled(ax, "chord")[0].get_ydata()[0] == 0
        box, (low, high) = ax.patches[0].get_bbox(), ax.get_ylim()
        assert (box.y0, box.y1) == ((edge, high) if split == "retain" else (low, edge))  # the forbidden side
        level = plots.where(levels, method=method, split=split)
        (line,) = labelled(ax, "retrained models, range")
        np.testing.assert_array_equal(line.get_xydata(), level[["t", "mean"]])
        np.testing.assert_allclose(band(ax.collections[0], T), level[["low", "high"]].to_numpy().T)
        if ax in fig.axes[::2]:
            assert ax.get_ylabel().startswith(split)
    assert len({ax.get_ylim() for ax in fig.axes}) == 1 and {ax.get_yscale() for ax in fig.axes} == {"symlog"}
    assert fig.axes[0].get_ylim()[0] < levels["low"].min() and levels["high"].max() < fig.axes[0].get_ylim()[1]
    assert [ax.get_title() for ax in fig.axes[:2]] == [plots.label(m) for m in METHODS]


def retrained_levels(rng, **labels):
    table = frame(rng, ["mean", "down", "up"], method=METHODS, split=["retain", "forget"], t=T, **labels)
    return table.assign(mean=2 * table["mean"] - 1).assign(
        low=lambda one: one["mean"] - one["down"], high=lambda one: one["mean"] + one["up"]
    )


def test_seeds(rng):
    table, levels = along(rng), retrained_levels(rng)
    check_excess(seeds_figure(table, levels, eps=EPS), table, 2.2, levels)


def test_barriers(rng):
    table = frame(rng, ["barrier", "deficit"], 3, method=METHODS, curve=KINDS)
    summary = intervals(rng, method=METHODS, curve=KINDS, measure=["deficit", "barrier"])
    fig = barrier_figure(table, summary, threshold=EPS)
    for ax, measure in zip(fig.axes, ("barrier", "deficit"), strict=True):
        assert measure in ax.get_title().lower()
        where = [{"method": m, "curve": k} for m in METHODS for k in KINDS]
        rows = [plots.where(summary, measure=measure, **one) for one in where]
        check_rows(ax, rows, [plots.where(table, **one)[measure] for one in where], lambda one: MARKS[one["curve"]])
        assert labelled(ax, f"tolerance ({EPS:g} G)")[0].get_xdata()[0] == EPS
    assert ticks(fig.axes[0]) == [plots.label(m) for m in METHODS]
    lonely = barrier_figure(table, summary.assign(low=0.0, high=np.inf))
    bars = [v for v in lonely.axes[0].get_lines() if v.get_solid_capstyle() == "butt"]
    assert not bars  # one pair has a mean and no interval


def test_sweeps(rng):
    eps = [0.0, 0.1, 0.3]
    table = intervals(rng, "fraction", method=METHODS, curve=KINDS, eps=eps)
    marked = mcu_sweep_figure(table, failing=METHODS[:1])
    assert ["†" in ax.get_title() for ax in marked.axes[:2]] == [True, False]
    fig = mcu_sweep_figure(table, threshold=EPS)
    for ax, method in zip(fig.axes, METHODS, strict=True):
        assert ax.get_title() == plots.label(method)
        for k, kind in enumerate(KINDS):
            one = plots.where(table, method=method, curve=kind)
            (line,) = labelled(ax, f"{plots.label(kind)}, 95 % interval")
            np.testing.assert_array_equal(line.get_xydata(), one[["eps", "fraction"]])
            assert line.get_drawstyle() == "steps-post"
            ys = np.unique(ax.collections[k].get_paths()[0].vertices[:, 1].round(9))
            np.testing.assert_allclose(ys, np.unique(one[["low", "high"]].to_numpy().round(9)))
        assert labelled(ax, f"tolerance ({EPS:g} G)")[0].get_xdata()[0] == EPS


CONDITIONS = ("random", "random_in_cl", "cl-non_cl")


def test_conditions(rng):
    labels = {"condition": CONDITIONS, "method": METHODS, "curve": KINDS}
    table = frame(rng, ["barrier", "deficit", "eps"], 3, **labels)
    summary = intervals(rng, measure=["eps", "deficit", "barrier"], **labels)
    fig = conditions_figure(table, summary, CONDITIONS, threshold=EPS)
    for ax, (kind, measure) in zip(fig.axes, product(KINDS, ("barrier", "deficit")), strict=True):
        assert ax.get_title() == f"{plots.label(kind)}: {metric_plots.HEADINGS[measure]}"
        where = [{"condition": c, "method": m, "curve": kind} for m in METHODS for c in CONDITIONS]
        marker = lambda one: PLACES[CONDITIONS.index(one["condition"])][1]  # noqa: E731
        dots = [plots.where(table, **one)[measure] for one in where]
        check_rows(ax, [plots.where(summary, measure=measure, **one) for one in where], dots, marker)
    assert ticks(fig.axes[0]) == [plots.label(m) for m in METHODS]


def test_changes(rng):
    table = intervals(rng, "change", condition=CONDITIONS[1:], method=METHODS, curve=KINDS)
    fig = changes_figure(table, edge=0.07)
    renamed = table.rename(columns={"change": "estimate"})
    for ax, condition in zip(fig.axes, CONDITIONS[1:], strict=True):
        assert ax.get_title() == metric_plots.SHOWN[condition]
        rows = [plots.where(renamed, condition=condition, method=m, curve=k) for m in METHODS for k in KINDS]
        check_rows(ax, rows, marker=lambda one: MARKS[one["curve"]])
        box = next(p for p in ax.patches if "neither" in p.get_label()).get_bbox()
        assert (box.x0, box.x1) == (-0.07, 0.07)


def test_crossings(rng):
    table = along(rng, condition=["random", "cl-non_cl"])
    levels = retrained_levels(rng, condition=["random", "cl-non_cl"])
    fig = crossing_figure(table, "cl-non_cl", levels, eps=EPS)
    across = {"condition": "cl-non_cl"}
    check_excess(fig, plots.where(table, **across), 2.2, plots.where(levels, **across))
    for ax, (split, method) in zip(fig.axes, product(("forget", "retain"), METHODS), strict=True):
        for kind in KINDS:
            (dotted,) = [v for v in ax.get_lines() if v.get_lw() == 1.6 and v.get_color() == plots.COLOURS[kind]]
            base = plots.where(table, condition="random", method=method, curve=kind)
            np.testing.assert_allclose(dotted.get_ydata(), base.groupby("t")[f"{split}_excess"].mean())


def method_pairs(rng, conditions):
    """Rows of a `pairs_table` for three methods."""
    names = [f"{m}{end}" for m in ("barrier", "deficit", "eps") for end in ("", "_low", "_high")]
    ends = [("npo", "scrub"), ("npo", "salun"), ("scrub", "salun")]
    table = frame(rng, names, condition=conditions, ends=ends)
    table[["method", "other"]] = table["ends"].to_list()
    return table.assign(connected=[3, 1, 0] * len(conditions), n=3, read=True)


ORDER = ["salun", "npo", "scrub"]


def cells(table, measure, mirrored=True):
    found = np.full((3, 3), np.nan)
    for one in table.itertuples():
        i, j = ORDER.index(one.method), ORDER.index(one.other)
        found[i, j] = getattr(one, measure)
        if mirrored:
            found[j, i] = found[i, j]
    return found


def test_a_matrix(rng):
    table = method_pairs(rng, ["method"])
    table[["barrier_low", "barrier_high"]] = [(0.1, 0.2), (0.1, 0.6), (0.3, 0.6)]  # below, across, above
    table[["deficit_low", "deficit_high"]] = [(0.3, 0.6), (0.1, 0.2), (0.1, 0.6)]
    fig = matrix_figure(table, ORDER, None, threshold=EPS)
    for ax, measure in zip(fig.axes, ("barrier", "deficit"), strict=False):
        assert ax.get_title() == f"{metric_plots.HEADINGS[measure]} (G)"
        values, low, high = (cells(table, f"{measure}{end}") for end in ("", "_low", "_high"))
        np.testing.assert_array_equal(ax.images[0].get_array().filled(np.nan), values)
        for text in ax.texts:
            x, y = map(int, text.get_position())
            shown, crosses = text.get_text(), low[y, x] <= EPS < high[y, x]
            assert float(shown.removesuffix("?")) == pytest.approx(values[y, x], abs=0.051)
            assert shown.endswith("?") == crosses
        assert ticks(ax, "x") == ticks(fig.axes[0]) == [plots.label(m) for m in ORDER]


def test_matrices(rng):
    table = method_pairs(rng, list(dict.fromkeys(c for pair in MIXED.values() for c in pair)))
    fig = matrices_figure(table, ORDER, threshold=EPS)
    row, column = np.indices((3, 3))
    for ax, (title, conditions) in zip(fig.axes, MIXED.items(), strict=False):
        eps, barrier = (
            [cells(plots.where(table, condition=c), measure) for c in conditions] for measure in ("eps", "barrier")
        )
        expected = np.where(row > column, *eps)  # both ends alike below the diagonal
        np.testing.assert_array_equal(ax.images[0].get_array().filled(np.nan), expected)
        written = {tuple(map(int, text.get_position())): text.get_text() for text in ax.texts}
        assert len(written) == 6
        for (x, y), text in written.items():
            assert float(text) == pytest.approx(expected[y, x], abs=0.051)
        (marks,) = labelled(ax, f"retain barrier over {EPS:g} G")
        y, x = np.nonzero(np.where(row > column, *barrier) > EPS)
        np.testing.assert_allclose(marks.get_xydata(), np.c_[x + 0.34, y - 0.34])
        assert ax.get_title() == title and ticks(ax, "x") == [plots.label(m) for m in ORDER]
    np.testing.assert_array_equal(
        cells(plots.where(table, condition="method"), "eps"), fig.axes[0].images[0].get_array().filled(np.nan)
    )


def test_lines_and_curves_of_method_pairs(rng):
    table = frame(rng, ["eps"], 1, ends=[("npo", "scrub"), ("npo", "salun")], original=[0, 1, 2, 3], curve=KINDS)
    table[["method", "other"]] = table["ends"].to_list()
    table["read"] = (table["original"] > 0) | (table["other"] == "scrub")  # one dot of each row of the second is hollow
    (ax,) = curves_figure(table.drop(columns="ends"), threshold=EPS).axes
    rows = [plots.where(table, other=o, curve=k, read=True) for o in ("scrub", "salun") for k in KINDS]
    check_rows(ax, [one_row(student(part["eps"], least=ERROR), curve=part["curve"].iloc[0]) for part in rows],
               marker=lambda one: MARKS[one["curve"]])  # fmt: skip
    hollow = [v for v in ax.get_lines() if v.get_markerfacecolor() == "white" and len(v.get_xdata())]
    lost = [plots.where(table, curve=k, read=False)["eps"].item() for k in KINDS]
    assert [float(v.get_xdata()[0]) for v in hollow if len(v.get_xdata()) == 1] == lost
    assert ticks(ax) == ["NPO – SCRUB", "NPO – SalUn"]


def test_the_use_of_a_cue_and_deficits(rng):
    names, originals = ["npo", "scrub", "salun"], [0, 1]
    use = {(o, m): float(v) for (o, m), v in zip(product(originals, names), rng.uniform(0, 1, 6), strict=True)}
    own = {0: 0.4, 1: 0.7}
    table = frame(rng, ["apart", "deficit"], 3, original=originals)
    table["method"], table["other"] = ["npo", "npo", "scrub"] * 2, ["scrub", "salun", "salun"] * 2
    left, right = mechanisms_figure(table, use, own).axes
    for original in originals:
        (line,) = labelled(left, f"original {original}")
        assert list(line.get_xdata()) == [own[original], *(use[original, m] for m in names)]
        part = plots.where(table, original=original)
        np.testing.assert_array_equal(right.get_lines()[original].get_xydata(), part[["apart", "deficit"]])
    assert ticks(left) == ["the original itself", *map(plots.label, names)]


def test_similarities(rng):
    names = list(SIMILARITIES)[:3]
    table = frame(rng, ["value", "barrier", "deficit"], 4, similarity=names)
    tests = frame(rng, ["rho", "p", "p_holm"], similarity=names, target=["barrier", "deficit"])
    columns = ["two seeds of npo", "method and original, mean", "method and retrained, mean"]
    levels = pd.DataFrame(rng.uniform(0, 1, (3, 3)), columns=columns, index=names)
    fig = agreement_figure(table, tests, levels, threshold=EPS)
    for ax, name in zip(fig.axes, names, strict=False):
        part = plots.where(table, similarity=name)
        for measure, text in (("barrier", "retain barrier"), ("deficit", "forget deficit")):
            np.testing.assert_array_equal(labelled(ax, text)[0].get_xydata(), part[["value", measure]])
            one = plots.where(tests, similarity=name, target=measure).iloc[0]
            assert f"{measure}: ρ {one['rho']:.2f}, p {one['p']:.2g}, adjusted {one['p_holm']:.2g}" in ax.get_title()
        assert labelled(ax, "two seeds of one method")[0].get_xdata()[0] == levels.loc[name, columns[0]]
        assert labelled(ax, "a method and retraining")[0].get_xdata()[0] == levels.loc[name, columns[2]]
        alike = SIMILARITIES[name].alike == "high"
        assert ax.get_xlabel() == ("more alike →" if alike else "← more alike")


def test_reliance(rng):
    table = intervals(rng, "reliance", method=METHODS, split=["test", "forget"], x=[0.0, 0.5, 1.0, 2.0])
    fig = reliance_figure(table)
    for ax, method in zip(fig.axes, METHODS, strict=True):
        assert ax.get_title() == plots.label(method)
        for k, split in enumerate(("forget", "test")):
            part = plots.where(table, method=method, split=split)
            (line,) = labelled(ax, f"{split} images, 95 % band")
            np.testing.assert_array_equal(line.get_xydata(), part[["x", "reliance"]])
            np.testing.assert_allclose(band(ax.collections[k], part["x"]), part[["low", "high"]].T)
        end = plots.where(table, method=method, split="forget", x=2.0)["reliance"].item()
        assert labelled(ax, "retrained model, forget images")[0].get_ydata()[0] == end
    assert ticks(fig.axes[0], "x") == ["original", "unlearned", "retrained"]


def test_sizes(rng):
    sizes = [0.02, 0.1]
    table = frame(rng, ["G", "relative", "roughness"], 1, method=METHODS, original=[0, 1, 2], size=sizes)
    fig = sizes_figure(table)
    for k, method in enumerate(METHODS):
        top, bottom = fig.axes[k], fig.axes[2 + k]
        assert top.get_title() == plots.label(method)
        series = [(top, "G", -0.15, plots.GREY), (top, "relative", 0.15, plots.GREEN)]
        for ax, column, shift, colour in [*series, (bottom, "roughness", 0.0, plots.BLUE)]:
            for size in sizes:
                values = plots.where(table, method=method, size=size)[column]
                at = [
                    v for v in ax.get_lines() if len(v.get_xdata()) and np.allclose(v.get_xdata(), 100 * size + shift)
                ]
                dots, mean = (next(v for v in at if (v.get_markersize() == 3) == small) for small in (True, False))
                assert dots.get_color() == colour
                np.testing.assert_array_equal(dots.get_ydata(), values)
                assert mean.get_ydata()[0] == pytest.approx(values.mean())
        ends = [c.get_segments()[0] for c in top.collections]
        found = {(round(float(x), 3), low, high) for (x, low), (_, high) in ends}
        least = {"G": -0.15, "relative": 0.15}
        for (column, shift), size in product(least.items(), sizes):
            _, low, high = student(plots.where(table, method=method, size=size)[column], least=ERROR)
            (one,) = [v for v in found if v[0] == round(100 * size + shift, 3)]
            assert one[1:] == pytest.approx((max(low, 0), high))
    assert [fig.axes[k].get_ylabel().split()[0] for k in (0, 2)] == ["forget", "roughness"]
    assert fig.axes[2].get_yscale() == "log"


def test_metrics(rng):
    names = ["loss_retain", "zrf", "loss_forget", "accuracy_test"]
    table = frame(rng, ["value", "excess"], metric=names, curve=["bezier"], t=T)
    levels = {name: rng.uniform(0, 1, 3) for name in names}
    fig = metrics_figure(table, levels, gap=0.5, eps=EPS)
    for ax, name in zip(fig.axes, names, strict=True):
        part, split = plots.where(table, metric=name), name.removeprefix("loss_")
        scale = 0.5 if split in ("retain", "forget") else None
        (line,), (chord,) = labelled(ax, "this path"), labelled(ax, "chord")
        straight = (part["value"] - part["excess"]).to_numpy()
        shown = part["excess"] / scale if scale else part["value"]
        np.testing.assert_allclose(line.get_xydata().T, [T, shown])
        assert (line.get_color(), line.get_marker()) == (plots.COLOURS["bezier"], "s")
        np.testing.assert_allclose(chord.get_ydata(), 0 * T if scale else straight, atol=1e-12)
        beside = (levels[name][:, None] - straight) / scale if scale else np.repeat(levels[name][:, None], len(T), 1)
        (middle,) = labelled(ax, "retrained models, range")
        np.testing.assert_allclose(middle.get_ydata(), beside.mean(axis=0))
        low, high = ax.get_ylim()
        np.testing.assert_allclose(band(ax.collections[0], T), [beside.min(axis=0), beside.max(axis=0)])
        assert low <= min(shown.min(), beside.min()) and max(shown.max(), beside.max()) <= high
        if scale:
            (box,) = (p.get_bbox() for p in ax.patches if p.get_label() == f"breaks MCU({EPS:g})")
            assert (box.y0, box.y1) == pytest.approx((EPS, high) if split == "retain" else (low, -EPS))
            assert ax.get_title() == f"{split} loss"
    assert [ax.get_title() for ax in fig.axes[1::2]] == ["ZRF", "accuracy, test"]


def test_correlations(rng):
    own, apart = rng.uniform(0, 1, (2, 3, 3))
    apart[2, 0] = np.nan
    left, right = correlation_figure(["zrf", "loss_test", "overall"], own, apart).axes
    shown, other = left.images[0].get_array(), right.images[0].get_array()
    np.testing.assert_array_equal(shown, own)
    assert other[0, 1] == apart[0, 1] and other.mask[2, 0]
    off = ~np.eye(3, dtype=bool)
    assert f"itself {np.diag(own).mean():.2f}, with another {own[off].mean():.2f}" in left.get_title()
    assert f"with another {np.nanmean(apart[off]):.2f}" in right.get_title()
    assert ticks(left) == ticks(left, "x") == ["ZRF", "loss, test", "overall"]


def test_shapes(rng):
    shapes, metrics, groups = list(SHAPE_TITLES), ["zrf", "loss_test"], [SAME, APART, TWINNED]
    table = frame(rng, shapes, 3, metric=metrics, group=groups)
    summary = intervals(rng, metric=metrics, group=groups, measure=shapes[::-1])
    fig = shapes_figure(table, summary)
    for ax, shape in zip(fig.axes, shapes, strict=True):
        assert shape in ax.get_title().lower()
        where = [{"metric": m, "group": g} for m in metrics for g in groups]
        marker = lambda one: dict(zip(groups, "osD", strict=True))[one["group"]]  # noqa: E731
        dots = [plots.where(table, **one)[shape] for one in where]
        found = [plots.where(summary, measure=shape, **one) for one in where]
        check_rows(ax, [one.assign(low=one["low"].clip(lower=0)) for one in found], dots, marker)
    assert ticks(fig.axes[0]) == ["ZRF", "loss, test"]
    assert labelled(fig.axes[0], "C10's threshold, for the median metric (0.2)")[0].get_xdata()[0] == 0.2


def test_best_points(rng):
    names, groups = ["npo", "npo - scrub"], {"npo": SAME, "npo - scrub": APART}
    table = frame(rng, ["end", "inner", "gain"], 3, method=names)
    table["group"] = table["method"].map(groups)
    summary = intervals(rng, method=names)
    left, right = best_figure(table, summary).axes
    for name in names:
        part = plots.where(table, method=name)
        np.testing.assert_array_equal(labelled(left, groups[name])[0].get_xydata(), part[["end", "inner"]])
    percent = summary.copy()
    percent[["estimate", "low", "high"]] *= 100
    dots = [100 * plots.where(table, method=m)["gain"] for m in names]
    check_rows(right, [plots.where(percent, method=m) for m in names], dots)
    assert ticks(right) == ["NPO", "NPO – SCRUB"]


def test_fits(rng):
    fits = list(FITS)
    table = frame(rng, ["eps", "barrier"], 3, method=METHODS, fit=fits)
    summary = intervals(rng, method=METHODS, fit=fits[::-1])
    fig = fits_figure(table, summary, fits=fits, threshold=EPS)
    for ax, method in zip(fig.axes, METHODS, strict=True):
        assert ax.get_title() == plots.label(method)
        where = [{"method": method, "fit": f} for f in fits]
        marker = lambda one: FIT_STYLES.get(one["fit"], ("", "s"))[1]  # noqa: E731
        dots = [plots.where(table, **one)["eps"] for one in where]
        found = [plots.where(summary, **one) for one in where]
        check_rows(ax, [one.assign(low=one["low"].clip(lower=0)) for one in found], dots, marker)
        assert labelled(ax, f"tolerance ({EPS:g} G)")[0].get_xdata()[0] == EPS
    assert ticks(fig.axes[0]) == fits


def test_shares(rng):
    fits = {"line": "one", "corrected": "one", "authors": "two", "normal t": "three"}
    table = intervals(rng, "share", fit=list(fits)).assign(pairs=[24, 24, 26, 9], originals=8)
    table = table.assign(group=list(fits.values()), joined=[8, 15, 0, 7], floor=[20, np.nan, 1, 8], read=[24, 3, 0, 9])
    (ax,) = shares_figure(table, eps=EPS).axes
    bars = [v for v in ax.get_lines() if v.get_solid_capstyle() == "butt" and len(v.get_xdata()) == 2]
    marks = [v for v in ax.get_lines() if single(v)]
    heights = [1, 2, 4, 6]  # below the headings of their groups
    for y, bar, one in zip(heights, bars, table.itertuples(), strict=False):
        np.testing.assert_array_equal(bar.get_xydata(), [(one.low, y), (one.high, y)])
        hollow, filled = [v for v in marks if v.get_ydata()[0] == y]
        np.testing.assert_allclose([hollow.get_xdata()[0], filled.get_xdata()[0]], [one.floor / one.pairs, one.share])
        assert hollow.get_markerfacecolor() == "white" != filled.get_markerfacecolor()
        marker = {"line": "o", "authors": "D"}.get(one.fit, "s")
        assert (hollow.get_marker(), filled.get_marker()) == (marker, marker)
    words = [text.get_text() for text in ax.texts]
    assert words == ["one", "8 (20) of 24", "15 of 24", "two", "0 (1) of 26 ×", "three", "7 (8) of 9", "chord (floor)"]
    assert ticks(ax) == ["", "line", "corrected", "", "authors", "", "normal t"] and f"MCU({EPS:g})" in ax.get_xlabel()


def test_gains(rng):
    table = frame(rng, ["gain", "refit"], 3, method=METHODS).assign(original=[0, 1, 2] * 2)
    summary = intervals(rng, method=METHODS, what=["refit", "gain"])
    (ax,) = gains_figure(table, summary).axes
    where = [(m, what) for m in METHODS for what in ("gain", "refit")]
    dots = [plots.where(table, method=m)[what] for m, what in where]
    marker = lambda one: {"gain": "s", "refit": "D"}[one["what"]]  # noqa: E731
    check_rows(ax, [plots.where(summary, method=m, what=what) for m, what in where], dots, marker)
    assert ticks(ax) == [plots.label(m) for m in METHODS]


def test_surplus(rng):
    table = frame(rng, ["nats", "pair"], 3, method=METHODS, path=PATHS)
    summary = intervals(rng, method=METHODS, path=PATHS[::-1])
    (ax,) = surplus_figure(table, summary, unit=0.7).axes
    where = [{"method": m, "path": p} for m in METHODS for p in PATHS]
    marker = lambda one: dict(zip(PATHS, "osD", strict=True))[one["path"]]  # noqa: E731
    dots = [plots.where(table, **one)["nats"] for one in where]
    check_rows(ax, [plots.where(summary, **one) for one in where], dots, marker)
    assert labelled(ax, "0.1 G")[0].get_xdata()[0] == pytest.approx(0.07)


def test_models_trained_apart(rng):
    kinds = ["two originals", "two retrained models"]
    table = frame(rng, ["line", "curve", "ratio"], 1, what=kinds, original=[0, 1, 2, 3])
    left, right = apart_figure(table, threshold=EPS).axes
    for ax, names in ((left, ("line", "curve")), (right, ("ratio",))):
        parts = [(plots.where(table, what=what), name) for what in kinds for name in names]
        rows = [one_row(student(part[name], least=ERROR), name=name) for part, name in parts]
        marker = lambda one: {"line": "o", "curve": "s", "ratio": "D"}[one["name"]]  # noqa: E731
        check_rows(ax, rows, [part[name] for part, name in parts], marker)
    assert ticks(left) == kinds and labelled(right, "a tenth (M0)")[0].get_xdata()[0] == 0.1


def test_progress(rng):
    table = frame(rng, ["loss"], method=METHODS, original=[0, 1], seed=[42], t=T)
    levels = intervals(rng, "mean", method=METHODS)
    fig = progress_figure(table, levels)
    for ax, method in zip(fig.axes, METHODS, strict=True):
        assert ax.get_title() == plots.label(method)
        part = plots.where(table, method=method)
        (mean,) = labelled(ax, "mean, originals thin")
        np.testing.assert_allclose(mean.get_ydata(), part.groupby("t")["loss"].mean())
        (level,), one = labelled(ax, "retrained models' loss"), plots.where(levels, method=method).iloc[0]
        assert list(level.get_ydata()) == [one["mean"]] * 2
        np.testing.assert_allclose(band(ax.collections[0], [0, 1])[:, 0], one[["low", "high"]].astype(float))
        thin = [v for v in ax.get_lines() if v.get_lw() == 0.7]
        for line, (_, one) in zip(thin, part.groupby("original"), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), one[["t", "loss"]])


def test_bends(rng):
    measures = ["steepest", "chord", "quadratic"]
    table = frame(rng, measures, 3, method=METHODS)
    summary = intervals(rng, method=METHODS, measure=measures)
    left, right = bends_figure(table, summary).axes
    for ax, shown in ((left, ("quadratic", "chord")), (right, ("steepest",))):
        where = [(m, measure) for m in METHODS for measure in shown]
        marker = lambda one: {"quadratic": "s", "chord": "o", "steepest": "D"}[one["measure"]]  # noqa: E731
        dots = [plots.where(table, method=m)[measure] for m, measure in where]
        check_rows(ax, [plots.where(summary, method=m, measure=measure) for m, measure in where], dots, marker)
    assert labelled(left, "threshold of C15, for the quadratic (0.1)")[0].get_xdata()[0] == 0.1
    assert labelled(left, "a quadratic from its own chord (0.25)")[0].get_xdata()[0] == 0.25


def test_the_optimisers_own_way(rng):
    table = frame(rng, ["loss_retain", "loss_forget"], 1, method=METHODS, t=T)
    table["best"] = [k in (2, 7) for k in range(len(table))]
    fig = ways_figure(table, [])
    for column, method in enumerate(METHODS):
        part = plots.where(table, method=method)
        for ax, split in zip((fig.axes[column], fig.axes[2 + column]), ("forget", "retain"), strict=True):
            (own,) = labelled(ax, "optimiser's own way, snapshots")
            np.testing.assert_array_equal(own.get_xydata(), part[["t", f"loss_{split}"]])
            (best,) = labelled(ax, "best snapshot by validation")
            np.testing.assert_array_equal(best.get_xydata(), part[part["best"]][["t", f"loss_{split}"]])
    assert [fig.axes[k].get_ylabel() for k in (0, 2)] == ["forget loss (nats)", "retain loss (nats)"]


def test_retraining(rng):
    names, (same, other) = [*METHODS, PAIRS], INITS
    table = frame(rng, ["barrier", "deficit"], 1, method=names[::-1], original=[0, 1, 2], init=list(INITS))
    fig = retraining_figure(table, threshold=EPS)
    rows = ["scrub", "npo", PAIRS]
    for ax, (init, measure) in zip(fig.axes, ((same, "barrier"), (same, "deficit"), (other, "barrier")), strict=True):
        assert ("original's" in ax.get_title()) == (init == same) and measure in ax.get_title().lower()
        dots = [plots.where(table, method=m, init=init)[measure] for m in rows]
        marker = lambda one: "D" if one["name"] == PAIRS else "o"  # noqa: E731
        found = [one_row(student(v, least=ERROR), name=m) for m, v in zip(rows, dots, strict=True)]
        check_rows(ax, found, dots, marker)
        base, box = dots[-1], ax.patches[0].get_bbox()
        assert (box.x0, box.x1) == pytest.approx((base.min(), base.max()))
        assert labelled(ax, f"tolerance ({EPS:g} G)")[0].get_xdata()[0] == EPS


def test_planes(rng):
    made = {}
    for k, method in enumerate(METHODS):
        values = {
            f"loss_{s}": rng.uniform(0.1, 1 + k + 3 * j, (4, 5)) for j, s in enumerate(("retain", "forget", "test"))
        }
        at = {name: rng.uniform(0.3, 0.9, 3) for name in values}
        made[method] = Plane(np.arange(5.0), np.arange(4.0), values, rng.uniform(0, 3, (3, 2)), at, {})
    fig = planes_figure(made)
    for ax, (method, split) in zip(fig.axes, product(METHODS, ("retain", "forget")), strict=False):
        one = made[method]
        assert ax.get_title() == f"{plots.label(method)}: {split} loss"
        filled, goal = [v for v in ax.collections if hasattr(v, "levels")]
        assert (filled.zmin, filled.zmax) == pytest.approx(
            (one.values[f"loss_{split}"].min(), one.values[f"loss_{split}"].max())
        )
        assert list(goal.levels) == pytest.approx([one.at_models[f"loss_{split}"][2]])
        for name, place in zip(("original", "unlearned", "retrained"), one.models, strict=True):
            np.testing.assert_array_equal(labelled(ax, name)[0].get_xydata(), [place])
    assert [ax.get_ylabel() for ax in fig.axes[4:]] == ["retain loss (nats)", "forget loss (nats)"]


def test_the_forest(rng):
    table = intervals(rng, "x", row=["C1", "C4", "C12", "C9", "C5"])
    table = table.assign(wide_low=table["low"] - 0.2, wide_high=table["high"] + 0.1, survives=[True] + 4 * [False])
    words = {
        "statement": list("abcde"),
        "verdict": ["supported", "contradicted", "undecided", "supported", "undecided"],
    }
    shares, _, gaps, _, _, sizes = UNITS
    words |= {
        "unit": [shares, gaps, shares, sizes, gaps],
        "direction": ["above", "outside", "above", "below", "outside"],
    }
    edges = [(0.5,), (-0.1, 0.1), (0.25,), (0.6,), (-0.15, 0.15)]
    table = table.assign(**words, edges=edges, effect=list("ABCDE"), threshold=list("vwxyz"))
    axes = forest_figure(table, level=0.99).axes
    assert [ax.get_title(loc="left") for ax in axes] == [shares, gaps, sizes]
    for ax, unit in zip(axes, (shares, gaps, sizes), strict=True):
        part, texts = plots.where(table, unit=unit), ax.texts[-sum(table["unit"] == unit) :]
        low, high = ax.get_xlim()
        thin, thick = ([v for v in ax.get_lines() if v.get_lw() == width] for width in (0.8, 3.0))
        marks = [v for v in ax.get_lines() if single(v)]
        edges = {tuple(v.get_xdata()): v.get_ydata().mean() for v in ax.get_lines() if v.get_lw() == 1.4}
        green = [(c.get_paths()[0].vertices[:, 0].min(), c.get_paths()[0].vertices[:, 0].max()) for c in ax.collections]
        expected = []
        for y, one in enumerate(part.itertuples()):
            np.testing.assert_array_equal(thin[y].get_xydata(), [(one.wide_low, y), (one.wide_high, y)])
            np.testing.assert_array_equal(thick[y].get_xydata(), [(one.low, y), (one.high, y)])
            np.testing.assert_array_equal(marks[y].get_xydata(), [(one.x, y)])
            colour, marker = VERDICT_STYLES[one.verdict]
            assert (marks[y].get_marker(), thick[y].get_color()) == (marker, colour)
            assert all(edges[edge, edge] == y for edge in one.edges)
            first, last = min(one.edges), max(one.edges)
            expected += {"above": [(first, high)], "below": [(low, last)]}.get(
                one.direction, [(low, first), (last, high)]
            )
            shown = [t for t in ax.texts if t.get_text() == f"{one.effect}\n({one.threshold})"]
            assert [t.get_position()[1] for t in shown] == [y] and len(texts)
        np.testing.assert_allclose(green, expected)
        assert ticks(ax) == [f"{one.row}  {one.statement}" for one in part.itertuples()]
    assert axes[0].get_xlim()[0] < 0 and axes[0].get_xlim()[1] > 1  # all that a share can be
    (ax,) = forest_figure(table[table["row"] == "C4"].assign(low=-np.inf, high=np.inf, wide_low=np.nan)).axes
    (thick,) = [v for v in ax.get_lines() if v.get_lw() == 3.0]
    assert tuple(thick.get_xdata()) == ax.get_xlim()  # what has no end reaches to the edge


def test_the_toy():
    land = toy.Landscape(0.4, 1.2)
    walks = {"line": toy.walk(land), "curve": toy.walk(land, (0.3, 0.9))}
    fig = toy.figure(land, walks, eps=EPS, t=0.25)
    for column, (split, sign) in enumerate((("retain", 1), ("forget", -1))):
        top, bottom = fig.axes[column], fig.axes[2 + column]
        assert top.get_title().startswith(f"{split} loss") and bottom.get_ylabel() == f"{split} loss (nats)"
        for name, one in walks.items():
            values = getattr(one, split)
            (line,) = labelled(bottom, name)
            np.testing.assert_array_equal(line.get_xydata(), np.c_[one.t, values])
            ring = [v for v in bottom.get_lines() if single(v) and v.get_markeredgecolor() == line.get_color()]
            np.testing.assert_allclose(ring[0].get_xydata(), [(0.25, np.interp(0.25, one.t, values))])
            drawn = [v for v in top.get_lines() if v.get_lw() == 2.0 and v.get_color() == line.get_color()]
            np.testing.assert_array_equal(drawn[0].get_xydata(), one.places)
        level = getattr(walks["line"], split)[0]
        (edge,) = [v for v in bottom.get_lines() if v.get_lw() == 0.8]
        np.testing.assert_allclose(edge.get_ydata(), level + sign * EPS * toy.gap(land))
        contour = [v for v in top.collections if hasattr(v, "levels")][1]
        assert list(contour.levels) == pytest.approx([level + sign * EPS * toy.gap(land)])
        on_it = np.concatenate([path.vertices for path in contour.get_paths()])
        values = getattr(toy, f"{split}_loss")(land, on_it)
        np.testing.assert_allclose(values, contour.levels[0], atol=0.01)
