"""Figures of conditions, pairs of methods and sizes: what is drawn, and that it can be read."""

from dataclasses import replace
from functools import cache
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import walk

from mcutils import condition_plots as plots
from mcutils import condition_tables as tables
from mcutils.errors import BadInput
from mcutils.measures import drawing as basic
from mcutils.measures.similarity import SIMILARITIES

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
        one(m, 0.02 * k, 0.1 * k * (1 if kind == "linear" else -0.5) * j + 0.3, seeds, kind, condition=c)
        for k, m in enumerate(methods)
        for j, c in enumerate(CROSSED)
        for kind in ("linear", "bezier")
        for seeds in SEEDS
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
    return tables.cue_table(found, {"forget": 900, "test": 2000}, 10)


def sized(methods=METHODS[-4:-1]):
    return [
        one(m, 0.01, 0.1 + size, seeds, kind, variant=f"{size:g}")
        for m in methods
        for kind in ("linear", "bezier")
        for size in (0.02, 0.06, 0.1)
        for seeds in SEEDS
    ]


def conditions(methods=METHODS):
    walks = crossing(methods)
    rows, summary = tables.condition_table(walks, CROSSED), tables.condition_summary(walks, CROSSED)
    return plots.conditions_figure(rows, summary, CROSSED, title="Curriculum")


def changes(methods=METHODS):
    return plots.changes_figure(tables.changes_table(crossing(methods), CROSSED[1:]))


def paths(methods=METHODS):
    return plots.crossing_figure(tables.along_table(crossing(methods), ("random", "cl-non_cl")), "cl-non_cl")


@cache
def pairs_of(count):
    methods = METHODS[:count]
    pairs = tables.pairs_table(paired(methods), PAIRED)
    return pairs, *tables.method_order(tables.pair_matrix(pairs, "eps", methods), methods)


def matrix(count=8):
    return plots.matrix_figure(*pairs_of(count))


def matrices(count=8):
    pairs, order, _ = pairs_of(count)
    return plots.matrices_figure(pairs, order, PAIRED)


def curves(methods=METHODS):
    return plots.curves_figure(tables.curves_table(paired(methods)))


def agreement(count=8):
    targets = {m: tables.pair_matrix(pairs_of(count)[0], m, METHODS[:count]) for m in ("barrier", "deficit")}
    found, methods = alike(count), METHODS[:count]
    tests, levels = tables.agreement_table(found, targets), tables.levels_table(found, methods)
    return plots.agreement_figure(tables.scatter_table(found, targets, methods), tests, levels)


def reliance(methods=METHODS):
    return plots.reliance_figure(cues(methods))


def sizes(methods=METHODS[-4:-1]):
    walks = sized(methods)
    return plots.sizes_figure(tables.size_pairs(walks), tables.size_summary(walks), tables.size_fits(walks))


FIGURES = {f.__name__: f for f in (conditions, changes, paths, matrix, matrices, curves, agreement, reliance, sizes)}


@cache
def figure(name):
    return FIGURES[name]()


def texts(fig):
    return [item.get_text() for item in fig.findobj(Text)]


def named(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_two_methods_saves_to_the_same_bytes_twice(name, tmp_path):
    few = 2 if name in ("matrix", "matrices", "agreement") else METHODS[:2]
    drawn = [FIGURES[name](few) for _ in range(2)]
    assert all(isinstance(fig, Figure) for fig in drawn)
    files = [basic.save(fig, name, tmp_path / str(k)) for k, fig in enumerate(drawn)]
    assert [a.read_bytes() for a in files[0]] == [b.read_bytes() for b in files[1]]


@pytest.mark.parametrize("name", FIGURES)
def test_parts_stay_inside_without_overlap_and_text_is_large_enough(name):
    fig = figure(name)
    fig.dpi = basic.DPI
    assert all(item.get_fontsize() >= 7.5 for item in fig.findobj(Text) if item.get_text())
    inside = fig.bbox.padded(2)
    for part in [*(ax for ax in fig.axes if ax.axison), *fig.legends]:
        (x0, y0), (x1, y1) = part.get_tightbbox().get_points()
        assert inside.contains(x0, y0) and inside.contains(x1, y1), part
    legend = fig.legends[0].get_window_extent()
    boxes = [ax.get_tightbbox().padded(-1) for ax in fig.axes if ax.axison]
    for k, box in enumerate(boxes):
        assert not box.overlaps(legend)
        assert not any(box.overlaps(other) for other in boxes[:k])
    fig.dpi = basic.STYLE["figure.dpi"]


def test_nothing_to_draw_is_one_clear_sentence():
    with pytest.raises(BadInput, match="there are no rows to draw"):
        plots.conditions_figure(tables.condition_table([], CROSSED), tables.condition_summary([], CROSSED), CROSSED)
    with pytest.raises(BadInput, match="no walks of fo-so"):
        plots.crossing_figure(tables.along_table(crossing(METHODS[:1]), ("random",)), "fo-so")
    with pytest.raises(BadInput, match="lacks the columns low, high"):
        plots.changes_figure(tables.changes_table(crossing(METHODS[:1]), CROSSED[1:]).drop(columns=["low", "high"]))


# Conditions


def test_every_pair_mean_and_interval_of_every_condition_is_drawn():
    fig = figure("conditions")
    assert len(fig.axes) == 4
    ax = fig.axes[1]  # deficits of lines
    dots = [
        x for line in ax.get_lines() if line.get_marker() == "o" and line.get_markersize() < 3 for x in line.get_xdata()
    ]
    rows = tables.condition_table(crossing(), CROSSED)
    np.testing.assert_allclose(sorted(dots), sorted(rows[rows["curve"] == "linear"]["deficit"]))
    summary = tables.condition_summary(crossing(), CROSSED).query("curve == 'linear' and measure == 'deficit'")
    for (_, marker), condition in zip(plots.PLACES, CROSSED, strict=False):
        means = [line for line in ax.get_lines() if line.get_marker() == marker and line.get_markersize() == 5]
        expected = summary[summary["condition"] == condition]["estimate"]
        np.testing.assert_allclose([float(line.get_xdata()[0]) for line in means], expected)
    assert {"two seeds", "both with curriculum", "curriculum – none", "one pair"} <= set(texts(fig))
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == [basic.label(m) for m in METHODS]


def test_the_tolerance_is_a_tick_and_a_line():
    ax = figure("conditions").axes[2]
    assert 0.1 in ax.get_xticks() and list(named(ax)["tolerance (0.1 G)"].get_xdata()) == [0.1, 0.1]


def test_changes_show_their_sign_and_what_counts_as_neither():
    fig = figure("changes")
    assert len(fig.axes) == 2
    low, high = fig.axes[0].get_xlim()
    found = tables.changes_table(crossing(), CROSSED[1:])
    assert low < found["low"].min() < 0 < found["high"].max() < high
    assert any("−0.1" == text for text in texts(fig)) and "neither (within 0.05 G)" in texts(fig)
    spans = [p for p in fig.axes[0].patches if np.isclose(p.get_width(), 0.1)]
    assert spans and np.isclose(spans[0].get_x(), -0.05)


def test_the_crossing_is_solid_and_two_seeds_are_dotted():
    fig = figure("paths")
    assert sum(ax.axison for ax in fig.axes) == 2 * len(METHODS)
    ax = fig.axes[0]  # forget loss of the first method
    thick = [line for line in ax.get_lines() if line.get_linewidth() == 2.2]
    thin = [line for line in ax.get_lines() if line.get_linewidth() == 0.7]
    assert len(thick) == 2 and len(thin) == 2 * len(SEEDS)
    along = tables.along_table(crossing(), ("random", "cl-non_cl")).query("method == @METHODS[0] and curve == 'linear'")
    for condition, wanted in (
        ("cl-non_cl", thick[0]),
        ("random", next(v for v in ax.get_lines() if v.get_lw() == 1.6)),
    ):
        mean = along[along["condition"] == condition].groupby("t")["forget_excess"].mean()
        np.testing.assert_allclose(wanted.get_ydata(), mean)


# Pairs of methods


@pytest.mark.parametrize("top", [0.05, 0.7, 30.0])
def test_colours_are_cool_below_the_tolerance_and_warm_above(top):
    norm, colours = plots.tolerance_norm(top), plots.tolerance_map()
    values = np.linspace(0, max(top, 0.2), 400)
    placed = np.asarray(norm(values))
    assert (np.diff(placed) > 0).all() and placed[0] == 0 and placed[-1] == pytest.approx(1)
    assert norm(0.1) == pytest.approx(0.5) and norm(0.05) == pytest.approx(0.25)
    np.testing.assert_allclose(norm.inverse(placed), values, atol=1e-9)
    red, _, blue, _ = colours(placed).T
    assert (blue > red)[values < 0.099].all() and (red > blue)[values > 0.101].all()


def test_lightness_falls_away_from_the_tolerance_on_both_sides():
    """So a print without colour still shows how far from the tolerance a cell is, and the numbers which way."""
    red, green, blue, _ = plots.tolerance_map()(np.linspace(0, 1, 101)).T
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(light[:50]) > 0).all() and (np.diff(light[51:]) < 0).all()


def test_the_matrix_holds_the_values_in_the_order_of_the_tree():
    fig = figure("matrix")
    pairs, order, tree = pairs_of(8)
    barrier, deficit, drawn, bar = fig.axes
    for ax, measure in ((barrier, "barrier"), (deficit, "deficit")):
        shown = ax.images[0].get_array().filled(np.nan)
        np.testing.assert_allclose(shown, tables.pair_matrix(pairs, measure, order))
        assert len(ax.texts) == 8 * 7
    assert [t.get_text() for t in barrier.get_yticklabels()] == [basic.label(m) for m in order]
    branches = [line for line in drawn.get_lines() if len(line.get_xdata()) == 4]
    assert len(branches) == 7
    assert max(max(b.get_xdata()) for b in branches) == pytest.approx(tree[-1, 2])
    leaves = sorted(y for b in branches for x, y in zip(b.get_xdata(), b.get_ydata(), strict=True) if x == 0)
    np.testing.assert_allclose(leaves, range(8))  # level with the rows
    assert 0.1 in bar.get_xticks()


def test_a_number_whose_interval_crosses_the_tolerance_has_a_question_mark():
    walks = [one("npo", 0.0, d, s, other="scrub", condition="method") for d, s in zip((0.08, 0.1), SEEDS, strict=False)]
    pairs = tables.pairs_table(walks, ["method"])
    ax = plots.matrix_figure(pairs, ["npo", "scrub"], None).axes
    assert [t.get_text() for t in ax[1].texts] == [".09?", ".09?"] and [t.get_text() for t in ax[0].texts] == ["0", "0"]
    assert not ax[2].axison


def test_numbers_are_left_out_where_cells_are_small():
    methods = [f"m{k}" for k in range(plots.NUMBERS + 1)]
    walks = [one(a, 0.0, 0.3, other=b, condition="method") for a, b in combinations(methods, 2)]
    assert not plots.matrix_figure(tables.pairs_table(walks, ["method"]), methods, None).axes[0].texts


def test_conditions_share_one_order_and_directed_ones_are_half_empty():
    fig = figure("matrices")
    pairs, order, _ = pairs_of(8)
    panels = fig.axes[:10]
    filled = [np.isfinite(ax.images[0].get_array().filled(np.nan)).sum() for ax in panels]
    assert filled == [56, 56, 56, 28, 28] * 2
    row = panels[8].images[0].get_array().filled(np.nan)  # deficit, one with a curriculum
    np.testing.assert_allclose(row, tables.pair_matrix(pairs, "deficit", order, "method_cl-non_cl", mirrored=False))
    dots = [len(ax.get_lines()[0].get_xdata()) for ax in panels[:5]]
    joined = [
        int((pairs[pairs["condition"] == c]["connected"] == pairs[pairs["condition"] == c]["n"]).sum()) for c in PAIRED
    ]
    assert dots == [2 * joined[0], 2 * joined[1], 2 * joined[2], joined[3], joined[4]] and joined[0] > 0


def test_line_and_curve_stand_in_one_row_per_pair():
    fig = figure("curves")
    assert len(fig.axes) == len(PAIRED)
    table = tables.curves_table(paired()).query("condition == 'method'")
    for kind, marker in (("linear", "o"), ("bezier", "s")):
        means = [v for v in fig.axes[0].get_lines() if v.get_marker() == marker and v.get_markersize() == 5]
        np.testing.assert_allclose([float(v.get_xdata()[0]) for v in means], table[table["curve"] == kind]["eps"])


# Similarities, cue, sizes


def test_each_similarity_has_a_panel_with_its_tests_and_levels():
    fig = figure("agreement")
    assert len(fig.axes) == len(SIMILARITIES)
    lines = named(fig.axes[0])
    assert len(lines["retain barrier"].get_xdata()) == len(lines["forget deficit"].get_xdata()) == 28
    assert {"two seeds", "to retrained", "tolerance (0.1 G)"} <= set(lines)
    assert fig.axes[0].get_title().splitlines()[0] == "agreement" and "barrier: rho" in fig.axes[0].get_title()
    assert [ax.get_xlabel() for ax in fig.axes].count("← more alike") == 1  # the divergence


def test_what_was_not_tested_is_said_so():
    assert "barrier: not tested" in agreement(2).axes[0].get_title()


def test_reliance_runs_from_the_original_to_the_retrained_model():
    fig = figure("reliance")
    lines = named(fig.axes[3])
    assert {"forget images, 95 % band", "test images, 95 % band", "cue plays no part"} <= set(lines)
    one_line = lines["forget images, 95 % band"]
    assert (one_line.get_xdata()[0], one_line.get_xdata()[-1]) == (0, 2)
    assert one_line.get_ydata()[0] == pytest.approx(0.9) and one_line.get_ydata()[-1] == pytest.approx(0)
    low, high = fig.axes[0].get_ylim()
    assert low < 0 < 0.9 < high


def test_noise_about_no_use_of_the_cue_is_not_magnified():
    table = cues(METHODS[:2])
    flat = table.assign(reliance=0.001 * table["reliance"], low=-0.001, high=0.001)
    low, high = plots.reliance_figure(flat).axes[0].get_ylim()
    assert high - low >= 0.3


def test_sizes_show_pairs_intervals_and_fit():
    fig = figure("sizes")
    assert len(fig.axes) == 9
    ax = fig.axes[0]  # deficit of the first method
    fits = tables.size_fits(sized()).query("measure == 'deficit' and method == 'gradient_difference'")
    drawn = [list(v.get_ydata()) for v in ax.get_lines() if list(v.get_xdata()) == [2, 10]]
    np.testing.assert_allclose(drawn, fits[["at_low", "at_high"]])
    dots = [v for v in ax.get_lines() if v.get_markersize() == 3 and len(v.get_xdata()) == 9]
    assert len(dots) == 2
    assert ax.get_ylim()[1] >= 0.13 and [ax.get_title() for ax in fig.axes[:3]] == [
        "gradient difference",
        "NPO",
        "SCRUB",
    ]
    assert matplotlib.colors.same_color(ax.collections[0].get_color()[0], basic.BLUE)
