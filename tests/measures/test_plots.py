"""Plots: what is drawn stands where the table says, intervals are scipy's, one legend, files of the same bytes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy import stats

from mcutils.measures import plots
from mcutils.measures.drawing import BLUE, COLOURS, GREEN, GREY, MARKERS, VERMILLION, label
from mcutils.measures.originals import LEVEL

RNG = np.random.default_rng(0)
NAN = float("nan")


def numbers(methods=("npo", "salun"), originals=4, **columns):
    """A table with two rows an original and method, with a value that is larger for later methods."""
    rows = [(m, o, k + 0.1 * o + 0.01 * s) for k, m in enumerate(methods) for o in range(originals) for s in (0, 1)]
    return pd.DataFrame(rows, columns=["method", "original", "value"]).assign(**columns)


def paths(kinds=("linear", "bezier"), originals=2, points=5):
    """Points of a path of each kind on each original: excess = the place of the kind plus that of the original."""
    t = np.linspace(0, 1, points)
    return pd.concat(
        pd.DataFrame({"kind": kind, "path": f"{kind}{o}", "original": o, "t": t, "excess": 10 * k + o + t})
        for k, kind in enumerate(kinds)
        for o in range(originals)
    )


def by_scipy(values):
    """Student's interval of the mean, by scipy."""
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    return [np.mean(values), low, high]


def drawn(ax):
    """(x, y, marker, colour) of every line with points."""
    found = [(list(one.get_xdata()), list(one.get_ydata()), one.get_marker(), one.get_color()) for one in ax.lines]
    return [one for one in found if len(one[0])]


def at(ax, marker):
    """Points of all lines with this marker."""
    return [(x, y) for xs, ys, one, _ in drawn(ax) if one == marker for x, y in zip(xs, ys, strict=True)]


def ticks(axis):
    return [one.get_text() for one in axis.get_ticklabels()]


# Intervals


@pytest.mark.parametrize("by", [(), "method", ["method"], ["method", "kind"]])
def test_the_interval_is_student_s_of_the_means_of_originals(by):
    table = numbers().assign(value=RNG.normal(size=16), kind="linear")
    found = plots.interval(table, "value", by, least=0)
    assert list(found.columns) == ["estimate", "low", "high", "n"]
    parts = [table] if not by else [table[table.method == m] for m in ("npo", "salun")]
    for (_, row), part in zip(found.iterrows(), parts, strict=True):
        each = [part.value[part.original == o].mean() for o in range(4)]
        assert list(row[["estimate", "low", "high"]]) == pytest.approx(by_scipy(each)) and row.n == 4
    if by:
        assert found.index.names == ([by] if isinstance(by, str) else by)
        assert [one if isinstance(one, str) else one[0] for one in found.index] == ["npo", "salun"]


def test_nan_is_no_observation_and_an_original_of_nothing_else_is_none():
    table = numbers(["npo"]).assign(value=[1.0, 3.0, NAN, 5.0, NAN, NAN, 7.0, 7.0])
    row = plots.interval(table, "value", least=0).iloc[0]
    assert list(row[:3]) == pytest.approx(by_scipy([2.0, 5.0, 7.0])) and row.n == 3
    shifted = plots.interval(table.rename(columns={"original": "run"}), "value", unit="run", least=0).iloc[0]
    assert list(shifted) == list(row)


@pytest.mark.parametrize(("rows", "n", "mean"), [([], 0, NAN), ([2.0, 4.0], 1, 3.0)])
def test_no_original_and_one_original_have_no_bounds(rows, n, mean):
    row = plots.interval(pd.DataFrame({"value": rows, "original": 0}), "value").iloc[0]
    assert row.n == n and row.estimate == pytest.approx(mean, nan_ok=True)
    assert not np.isfinite([row.low, row.high]).any()


def test_an_interval_is_no_narrower_than_the_least_standard_error_allows():
    row = plots.interval(numbers(["npo"]).assign(value=1.0), "value").iloc[0]
    assert (row.high - row.low) / 2 == pytest.approx(stats.t.ppf((1 + LEVEL) / 2, 3) * plots.ERROR)


@pytest.mark.parametrize(
    "draw",
    [
        lambda t: plots.interval(t, "none"),
        lambda t: plots.interval(t, "value", "none"),
        lambda t: plots.strip(t, "none"),
        lambda t: plots.along(t, value="none"),
        lambda t: plots.matrix(t, "none", row="method", column="method"),
        lambda t: plots.forest(t, name="none"),
        lambda t: plots.scatter(t, "value", "none"),
        lambda t: plots.share(t, "none"),
        lambda t: plots.counts(t, "none", stack="original"),
        lambda t: plots.specification(t, choices=["none"]),
        lambda t: plots.multiples(plots.strip, t, "none", value="value"),
    ],
)
def test_a_column_that_is_not_there_is_refused(draw):
    with pytest.raises((KeyError, AttributeError), match="none|t|kind|effect"):
        draw(numbers())


# Strip


def test_a_strip_has_each_number_and_the_mean_with_its_interval():
    table = numbers(originals=3)
    ax = plots.strip(table, "value")
    assert ticks(ax.yaxis) == [label("npo"), label("salun")] and ax.get_ylim() == (1.5, -0.5)
    for y, name in enumerate(("npo", "salun")):
        part = table[table.method == name]
        dots, line, mean = (one for one in drawn(ax) if abs(one[1][0] - y) < 0.3)
        assert sorted(dots[0]) == sorted(part.value)
        estimate, low, high = plots.interval(part, "value").iloc[0][:3]
        assert line[0] == pytest.approx([low, high]) and mean[0] == pytest.approx([estimate])
        assert line[1] == [y, y] and mean[1] == [y]


def test_what_is_not_included_is_a_cross_and_moves_no_mean_and_a_row_of_nothing_else_has_a_dagger():
    table = numbers(originals=3)
    table["included"] = (table.method == "npo") & (table.original > 0)
    ax = plots.strip(table, "value", edge=0.5, band=0.25)
    assert ticks(ax.yaxis) == [label("npo"), f"{label('salun')} †"]
    crosses = sorted(x for x, _ in at(ax, "x"))
    assert crosses == pytest.approx(sorted(table.value[~table.included]))
    means = {y: x for x, y in at(ax, "o") if y == int(y)}
    assert means == pytest.approx({0: table.value[table.included].mean(), 1: table.value[6:].mean()})
    assert [0.5, 0.5] in [one[0] for one in drawn(ax)] and [0, 0] in [one[0] for one in drawn(ax)]
    (band,) = [one for one in ax.patches if to_hex(one.get_facecolor()).upper() == "#DDDDDD"]
    assert (band.get_x(), band.get_width()) == (-0.25, 0.5)


def test_groups_stand_side_by_side_in_a_row_and_have_their_names():
    table = pd.concat([numbers(originals=2, kind="bezier"), numbers(originals=2, kind="linear")])
    ax = plots.strip(table, "value", group="kind", order=["salun", "npo"], names=str.upper)
    assert ticks(ax.yaxis) == ["SALUN", "NPO"]
    names = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    assert set(names) == {"LINEAR", "BEZIER"}
    for kind in ("linear", "bezier"):
        assert names[kind.upper()].get_marker() == MARKERS[kind] and names[kind.upper()].get_color() == COLOURS[kind]
        heights = sorted({y for _, y in at(ax, MARKERS[kind]) if (10 * y) % 10 in (2.0, 8.0)})
        assert heights == pytest.approx([-0.2, 0.8] if kind == "linear" else [0.2, 1.2])


def test_empty_tables_are_empty_panels():
    none = numbers(kind="linear", path="a", t=0.0, other="npo").head(0)
    empty = none.assign(effect=0.0, low=0.0, high=0.0, estimate=0.0, row="", verdict="")
    made = [
        plots.strip(none, "value", group="kind"), plots.along(none, value="value"), plots.losses(none),
        plots.matrix(none, "value"), plots.forest(empty), plots.scatter(none, "value", "t", group="kind"),
        plots.counts(none, "value", stack="kind"), *plots.specification(empty, choices=["kind"]),
        *plots.multiples(plots.strip, none, "kind", value="value")[1].flat,
    ]  # fmt: skip
    for ax in made:
        assert not [xs for xs, *_ in drawn(ax) if xs != [0, 1]] and not ax.texts[1:] and not ax.patches
    ax = plots.share(none, "value", group="kind")
    assert not ax.lines and ax.get_ylim() == (-0.02, 1.02)


# Along paths


def test_along_has_every_path_and_the_mean_of_each_group():
    ax = plots.along(paths(), forbid=(11, True), ylabel="excess (G)")
    lines = {one.get_label(): one for one in ax.lines}
    thin = [one for one in ax.lines if one.get_linewidth() == 0.8 and len(one.get_xdata()) == 5]
    t = np.linspace(0, 1, 5)
    assert sorted(one.get_ydata()[0] for one in thin) == [0, 1, 10, 11]
    for k, kind in enumerate(("linear", "bezier")):
        mean = lines[label(kind)]
        assert list(mean.get_ydata()) == pytest.approx(10 * k + 0.5 + t) and list(mean.get_xdata()) == list(t)
        assert (mean.get_color(), mean.get_marker()) == (COLOURS[kind], MARKERS[kind])
    assert "chord" in lines and (ax.get_xlabel(), ax.get_ylabel()) == ("t", "excess (G)")
    (hatched,) = [one for one in ax.patches if one.get_hatch()]
    assert hatched.get_y() == 11 and hatched.get_height() == 1e3 and ax.get_ylim()[1] > 11
    assert hatched.get_label() == "breaks MCU(11)"


def test_the_mean_is_taken_only_where_all_paths_have_a_point():
    table = pd.concat([paths(["linear"], 1, 5), paths(["linear"], 2, 3)[lambda one: one.original == 1]])
    (mean,) = [one for one in plots.along(table).lines if one.get_linewidth() == 2.2]
    assert list(mean.get_xdata()) == [0, 0.5, 1] and list(mean.get_ydata()) == pytest.approx([0.5, 1, 1.5])


def test_losses_have_their_band_their_chord_and_the_levels_beside():
    t = np.linspace(0, 1, 5)
    one = pd.DataFrame({"kind": "linear", "t": t, "value": t**2 + 1, "error": 0.1})
    other = pd.DataFrame({"kind": "bezier", "t": t, "value": 3 - t, "error": NAN})
    ax = plots.losses(pd.concat([one, other]).sample(frac=1, random_state=0), levels={"original": 0.5, "retrained": 4})
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["linear"].get_ydata()) == pytest.approx(t**2 + 1)
    assert list(lines[label("bezier")].get_ydata()) == pytest.approx(3 - t)
    chords = [list(line.get_ydata()) for line in ax.lines if line.get_label() == "chord"]
    assert sorted(chords) == [[1, 2], [3, 2]]
    assert [lines[name].get_ydata()[0] for name in ("original", "retrained")] == [0.5, 4]
    (band,) = ax.collections
    assert band.get_datalim(ax.transData).extents == pytest.approx([0, 1 - 0.196, 1, 2 + 0.196])


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_scale_is_linear_below_and_logarithmic_beyond(axis):
    ax = plots.figure()[1][0, 0]
    getattr(ax, f"set_{axis}lim")(-2, 30)
    plots.scaled(ax, axis, None)
    assert getattr(ax, f"get_{axis}scale")() == "linear"
    plots.scaled(ax, axis, 0.1)
    part = getattr(ax, f"{axis}axis")
    assert getattr(ax, f"get_{axis}scale")() == "symlog" and part.get_transform().linthresh == 0.1
    places = {v: text for v, text in zip(part.get_ticklocs(), ticks(part), strict=True) if -2 <= v <= 30}
    assert sorted(places) == pytest.approx([-1, -0.1, 0, 0.1, 1, 10])
    assert [places[v] for v in sorted(places)] == ["-1", "-0.1", "0", "0.1", "1", "10"]


def test_panels_with_one_axis_show_all_that_is_drawn_and_the_edge():
    t = np.linspace(0, 1, 5)
    _, axes = plots.figure(1, 2, 3.0, sharey=True)
    for ax, depth, above in ((axes[0, 0], -0.02, True), (axes[0, 1], -0.7, False)):
        table = pd.DataFrame({"kind": "linear", "path": 0, "t": t, "excess": 4 * depth * t * (1 - t)})
        plots.along(table, ax=ax, forbid=(0.1 if above else -0.1, above), linear=0.1)
        (hatched,) = [one for one in ax.patches if one.get_hatch()]
        assert hatched.get_y() == (0.1 if above else -0.1) and hatched.get_height() == (1e3 if above else -1e3)
    low, high = axes[0, 0].get_ylim()
    assert low < -0.7 and high > 0.1 and axes[0, 1].get_ylim() == (low, high)


# Pairs, estimates, points


def test_a_matrix_has_the_mean_of_each_pair_on_both_sides_and_is_grey_where_there_is_none():
    table = pd.DataFrame(
        [("a", "b", 0.1), ("a", "b", 0.3), ("b", "c", 0.9), ("a", "x", 5.0)], columns=["method", "other", "value"]
    )
    ax = plots.matrix(table, "value", order=["a", "b", "c"], threshold=0.2)
    cells = np.ma.filled(ax.images[0].get_array(), NAN)
    expected = [[NAN, 0.2, NAN], [0.2, NAN, 0.9], [NAN, 0.9, NAN]]
    np.testing.assert_allclose(cells, expected)
    texts = {(one.get_position()): one.get_text() for one in ax.texts}
    assert texts == {(1, 0): "0.20", (0, 1): "0.20", (2, 1): "0.90", (1, 2): "0.90"}
    assert ax.images[0].norm(0.2) == 0.5 and ax.images[0].norm(0.0) == 0  # white at the threshold, blue below
    assert to_hex(ax.get_facecolor()).upper() == plots.EMPTY and ticks(ax.xaxis) == ticks(ax.yaxis) == ["a", "b", "c"]
    free = plots.matrix(table, "value", digits=1)
    assert ticks(free.xaxis) == ["a", "b", "c", "x"]
    assert "5.0" in [one.get_text() for one in free.texts]


def test_a_forest_has_a_row_an_estimate_with_both_intervals_and_its_thresholds():
    rows = [
        ("C1", 0.5, 0.3, 0.7, 0.2, 0.8, "supported", (0.4,)),
        ("C2", 0.1, -np.inf, np.inf, NAN, NAN, "undecided", (-0.1, 0.1)),
        ("C3", NAN, NAN, NAN, NAN, NAN, "contradicted", ()),
    ]
    columns = "row effect low high corrected_low corrected_high verdict edge".split()
    table = pd.DataFrame(rows, columns=columns)
    ax = plots.forest(table, edges="edge")
    assert ticks(ax.yaxis) == ["C1", "C2", "C3"]
    marks = {y[0]: (x[0], marker, colour) for x, y, marker, colour in drawn(ax) if marker in "osD"}
    assert marks[0] == (0.5, "o", GREEN) and marks[1] == (0.1, "D", GREY) and marks[2][1:] == ("s", VERMILLION)
    level = [(xs, ys) for xs, ys, marker, _ in drawn(ax) if marker == "None" and ys[0] == ys[-1]]
    assert ([0.3, 0.7], [0, 0]) in level and ([0.2, 0.8], [0, 0]) in level
    assert not [xs for xs, ys in level if ys[0] > 0 and np.isfinite(xs).any()]
    edges = [(xs[0], ys) for xs, ys, marker, _ in drawn(ax) if marker == "None" and ys[0] != ys[-1]]
    assert edges == [(0.4, [-0.4, 0.4]), (-0.1, [0.6, 1.4]), (0.1, [0.6, 1.4])]
    plain = plots.forest(table[["row", "effect", "low", "high"]])
    assert {colour for *_, colour in drawn(plain)} == {BLUE}


def test_a_scatter_has_the_points_of_each_group_and_the_mean_rank_correlation():
    table = pd.DataFrame(RNG.normal(size=(30, 2)), columns=["x", "y"]).assign(original=np.arange(30) % 3)
    table.loc[0, "y"] = NAN
    ax = plots.scatter(table, "x", "y", group="original", names=lambda one: f"original {one}")
    for o, line in enumerate(ax.lines):
        part = table[table.original == o]
        assert list(line.get_xdata()) == list(part.x) and line.get_label() == f"original {o}"
    known = table.dropna()
    rho = [stats.spearmanr(part.x, part.y)[0] for _, part in known.groupby("original")]
    mean, low, high = by_scipy(rho)
    assert ax.texts[0].get_text() == f"rank correlation {mean:.2f} [{low:.2f}, {high:.2f}]"
    single = plots.scatter(table[table.original == 1], "x", "y")
    assert single.texts[0].get_text() == f"rank correlation {rho[1]:.2f}"
    assert plots.scatter(table.head(3), "x", "y").texts[0].get_text() == ""
    assert not plots.scatter(table, "x", "y", rank=False).texts


def test_a_share_steps_at_each_number_and_counts_those_that_are_numbers():
    table = pd.DataFrame({"eps": [0.0, 0.2, NAN, 0.2, 9.0], "kind": ["linear"] * 4 + ["bezier"]})
    ax = plots.share(table, "eps", group="kind", edge=0.15)
    first, second = ax.lines[:2]
    assert (first.get_label(), second.get_label()) == ("linear (3)", f"{label('bezier')} (1)")
    x, y = first.get_data()
    for eps, share in ((0.0, 1 / 3), (0.1975, 1 / 3), (0.2025, 1), (0.5, 1)):
        assert y[np.flatnonzero(np.isclose(x, eps))[0]] == pytest.approx(share), eps
    assert not second.get_ydata().any() and list(ax.lines[2].get_xdata()) == [0.15, 0.15]


def test_a_specification_curve_is_in_order_and_shows_which_choice_each_estimate_is_of():
    table = pd.DataFrame(
        [(0.3, "chord", "line"), (0.1, "floor", "line"), (0.2, "chord", "curve")],
        columns=["estimate", "reading", "fit"],
    )
    table = table.assign(low=table.estimate - 0.05, high=table.estimate + 0.05)
    upper, lower = plots.specification(table, choices=["reading", "fit"])
    (marks,) = [one for one in upper.lines if one.get_marker() == "o"]
    assert list(marks.get_ydata()) == [0.1, 0.2, 0.3]
    ends = [[one[0][1], one[1][1]] for one in upper.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[0.05, 0.15], [0.15, 0.25], [0.25, 0.35]])
    assert ticks(lower.yaxis) == ["reading: chord", "reading: floor", "fit: line", "fit: curve"]
    assert [list(one.get_xdata()) for one in lower.lines] == [[1, 2], [0], [0, 2], [1]]


def test_a_plane_has_its_models_and_its_losses_as_filled_contours():
    grid = [(x, y, 0.1 + x + 2 * y) for x in (0, 1, 2) for y in (0, 1)]
    table = pd.DataFrame(grid, columns=["x", "y", "loss"]).sample(frac=1, random_state=0)
    points = pd.DataFrame([(0, 0, "original", "*"), (2, 1, "retrained", "s")], columns=["x", "y", "name", "marker"])
    ax = plots.plane(table, "loss", points, levels=5)
    (contours,) = [one for one in ax.collections if hasattr(one, "levels")]
    np.testing.assert_allclose(contours.levels, np.geomspace(0.1, 4.1, 5))
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 2), (0, 1))
    marks = [(one.get_label(), one.get_marker(), one.get_xdata()[0]) for one in ax.lines]
    assert marks == [("original", "*", 0), ("retrained", "s", 2)]


def test_bars_of_counts_are_stacked():
    rows = [("npo", "ok", 2), ("npo", "bad", 1), ("npo", "ok", 3), ("salun", "bad", 4)]
    ax = plots.counts(pd.DataFrame(rows, columns=["method", "word", "count"]), "count", stack="word")
    assert ticks(ax.yaxis) == [label("npo"), label("salun")]
    bars = {one.get_label(): [(bar.get_x(), bar.get_width()) for bar in one] for one in ax.containers}
    assert bars == {"ok": [(0, 5), (0, 0)], "bad": [(5, 1), (0, 4)]}


# Figures


def test_known_kinds_look_as_they_do_everywhere_and_come_first_and_all_looks_differ():
    found = plots.look(["b", "bezier", "a", "linear", "b"])
    assert list(found)[:2] == ["linear", "bezier"] and set(found) == {"a", "b", "linear", "bezier"}
    assert found["linear"] == (COLOURS["linear"], MARKERS["linear"]) and len(set(found.values())) == 4
    assert len(set(plots.look("abcdef").values())) == 6


def test_multiples_have_a_panel_a_value_on_common_axes():
    table = pd.concat(
        [paths().assign(where=name, excess=lambda one, k=k: one.excess + k) for k, name in enumerate("abcd")]
    )
    fig, axes = plots.multiples(plots.along, table, "where", title=str.upper, forbid=(40, True), ylabel="G")
    assert axes.shape == (2, 3) and [ax.get_visible() for ax in axes.flat] == [True] * 4 + [False] * 2
    assert [ax.get_title() for ax in axes.flat][:4] == list("ABCD") and len({ax.get_ylim() for ax in axes.flat}) == 1
    for k, ax in enumerate(list(axes.flat)[:4]):
        assert min(min(ys) for xs, ys, *_ in drawn(ax) if len(xs) == 5) == k
        assert [one for one in ax.patches if one.get_hatch()]
    assert [ax.get_ylabel() for ax in axes.flat[:4]] == ["G", "", "", "G"]
    _, free = plots.multiples(plots.along, table, "where", sharey=False, columns=4)
    assert len({ax.get_ylim() for ax in free.flat}) == 4


def test_a_figure_has_one_legend_with_each_name_once():
    fig, axes = plots.figure(1, 2)
    for ax in axes.flat:
        plots.along(paths(), ax=ax)
    entry = plots.entry("*", "red", "a star")
    assert plots.finish(fig, "A title", [entry, plots.entry("o", "blue", "chord")]) is fig
    (legend,) = fig.legends
    assert [one.get_text() for one in legend.get_texts()] == ["linear", label("bezier"), "chord", "a star"]
    assert fig.get_suptitle() == "A title"
    assert type(fig.get_layout_engine()).__name__ == "PlaceHolderLayoutEngine"  # laid out once, and not again
    assert not plots.finish(plots.figure()[0]).legends


def test_a_file_is_a_png_of_the_same_bytes_which_shows_itself(tmp_path):
    texts = []
    for name in ("a", "b"):
        fig, axes = plots.figure()
        plots.strip(numbers(), "value", ax=axes[0, 0])
        saved = plots.save(plots.finish(fig), "one", tmp_path / name)
        texts.append(saved.path.read_bytes())
        assert [path.name for path in (tmp_path / name).iterdir()] == ["one.png"] and repr(saved) == "one.png"
    data, how = saved._repr_png_()
    assert texts[0] == texts[1] == data and data[:8] == b"\x89PNG\r\n\x1a\n"
    assert how == {"width": round(110 * fig.get_figwidth())}


def test_names_are_words():
    assert label("gradient_ascent") == "gradient ascent" and label("npo") == "NPO"
