"""The room `method_pairs`: its routes, its claims' tests, its tables and figures on made-up walks."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from made_conditions import PAIRS, made
from made_figures_of_conditions import (
    METHODS,
    SEEDS,
    agreement,
    cues,
    figure,
    one as one_of_figures_of_conditions,
    paired,
    pairs_of as pairs_of_of_figures_of_conditions,
)
from made_specs import labels, leaves as leaves_of_specs, pairs_of
from made_worlds import METHODS as MADE, Shape, World, walk as walk_of_world
from synthetic import controls

from mcutils.engine.conditions import CONDITIONS
from mcutils.engine.specs import UnlearnedSpec, kind_of
from mcutils.engine.study import study
from mcutils.measures.drawing import label
from mcutils.measures.originals import simultaneous, student
from mcutils.measures.similarity import SIMILARITIES
from mcutils.paper import method_pairs
from mcutils.paper.registry import EXPERIMENTS, ROUTES
from mcutils.paper.tables import end_names
from mcutils.paper.trials import cells_of


@pytest.mark.parametrize("methods", [["npo"], ["npo", "scrub"], ["bad_teacher", "npo", "scrub"]])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_reader_can_ask_for_a_few_methods(name, methods, smoke):
    few = study("smoke", store=str(smoke.store.folder), fresh=True, methods=methods)
    if name != "05_methods" or len(methods) > 1:
        assert EXPERIMENTS[name](few)


def test_all_pairs_of_methods_are_walked_in_every_method_condition(laptop):
    routes = [r for r in method_pairs.methods(laptop) if not r.control]
    pairs, plain = set(combinations(laptop.preset.fit, 2)), [r for r in routes if r.form == ""]
    every = [r for r in plain if r.kind == "linear" and not r.full]
    assert set(labels(every, "method", "other")) == pairs and len(pairs) == 15
    count = labels(every, "condition")
    assert count.pop(("method",)) == 8 * 15 and pairs_of(r for r in every if r.condition == "method") == {
        (o, 42, 87) for o in range(8)
    }
    assert count == {(c,): 3 * 15 for c in CONDITIONS if c.startswith("method_")}
    some = set(method_pairs.sampled(laptop))
    assert len(some) == 6 and some <= pairs
    taken = Counter(m for pair in some for m in pair)
    assert set(taken) == set(laptop.preset.fit) and max(taken.values()) <= 3
    full = [r for r in routes if r.full]
    assert labels(full, "kind", "points") == {("linear", 0): 18, ("bezier", 0): 18}
    curves = [r for r in plain if r.kind == "bezier" and not r.full]
    assert labels(curves, "condition", "points") == {("method", 11): 8 * 6}
    assert labels([r for r in routes if r.form], "form", "kind", "original") == {
        (method_pairs.CUE, "linear", o): 15 for o in range(4)
    }


def test_models_that_are_compared_are_of_one_original(laptop):
    found = method_pairs.alike(laptop)
    assert [getattr(m, "method", kind_of(m)) for m in found.models] == [
        *laptop.preset.fit,
        laptop.preset.fit[0],
        "Retrained",
        "Original",
    ]
    assert {m.origin for m in found.models if isinstance(m, UnlearnedSpec)} == {found.origin} == {laptop.original()}


def test_cues_are_planted_in_what_is_forgotten_and_nowhere_else(laptop):
    found = method_pairs.cued(laptop)
    assert set(found) == {(m, part) for m in laptop.preset.fit for part in ("forgetting", "retraining")}
    (data,) = leaves_of_specs(found.values())
    assert data.cue == 0.1 == laptop.preset.forget and data.checksum == laptop.data.checksum
    for (method, part), use in found.items():
        assert use.forget >= data.cue and kind_of(use) == "CueUse"
        ends = use.model.start, use.model.end
        expected = {"forgetting": ("Original", "Unlearned"), "retraining": ("Unlearned", "Retrained")}[part]
        assert tuple(map(kind_of, ends)) == expected
        assert ends[part == "forgetting"].method == method
    assert {r.form for name in ROUTES for r in ROUTES[name](laptop) if r.path.start.data.cue} == {method_pairs.CUE}


def test_the_cue_is_planted_where_the_study_forgets_unless_told_otherwise(laptop):
    def planted(found):
        return {use.model.start.data.cue for (_, part), use in found.items() if part == "forgetting"}

    smaller = replace(laptop, preset=replace(laptop.preset, forget=0.05))
    assert planted(method_pairs.cued(smaller)) == {0.05} and planted(method_pairs.cued(laptop, 0.02)) == {0.02}


def test_the_ends_of_a_condition_are_named_by_what_tells_them_apart():
    assert end_names("cl-non_cl") == ("curriculum", "none")
    assert end_names("fo-so") == ("first order", "second order")
    apart = {name for name in CONDITIONS if len(set(end_names(name))) == 2}
    assert apart == {"cl-non_cl", "fo-so", "method_cl-non_cl", "method_fo-so"}
    below, above = zip(*method_pairs.MIXED.values(), strict=True)
    assert not apart & set(below) and set(above) - {"method"} == {c for c in apart if c.startswith("method_")}


THREE = ("npo", "scrub", "salun")


def crossed(condition="method", pairs=PAIRS, **options):
    """All pairs of three methods: npo - scrub 0.05 G, npo - salun 0.2 G, scrub - salun 0.4 G of deficit."""
    sizes = dict(zip(combinations(THREE, 2), (0.05, 0.2, 0.4), strict=True))
    parts = [made(condition, 0.01, d, a, pairs, other=b, **options) for (a, b), d in sizes.items()]
    return [w for part in parts for w in part]


def test_a_pair_of_methods_has_means_intervals_and_a_count():
    walks = [*crossed(), *made("method", 0.0, 0.3, other="scrub", full=True), *controls()]
    table = method_pairs.pairs_table(walks, ["method"])
    assert table[["method", "other"]].to_records(index=False).tolist() == list(combinations(THREE, 2))
    np.testing.assert_allclose(table["deficit"], [0.05, 0.2, 0.4])
    np.testing.assert_allclose(table["barrier"], 0.01)
    assert table["connected"].tolist() == [3, 0, 0] and table["n"].tolist() == [3, 3, 3]
    shown = method_pairs.pairs_shown(table.iloc[::-1])
    assert shown.index.tolist() == ["NPO – SCRUB ×", "NPO – SalUn ×", "SCRUB – SalUn ×"]
    assert shown["connected"].tolist() == ["3 of 3", "0 of 3", "0 of 3"]
    expected = [
        np.median([w.roughness for w in crossed() if (w.method, w.other) == pair]) for pair in combinations(THREE, 2)
    ]
    assert [float(one) for one in shown["roughness"]] == pytest.approx(expected, rel=0.05)


def test_conditions_compare_over_the_seeds_that_they_share():
    walks = [*crossed(), *crossed("method_in_cl", PAIRS[:1])]
    table = method_pairs.pairs_table(walks, ["method", "method_in_cl", "method_in_so"], shared=True)
    assert len(table) == 6 and set(table["n"]) == {1}
    assert set(method_pairs.pairs_table(walks, ["method"])["n"]) == {3}
    assert len(method_pairs.pairs_table([], ["method"], shared=True)) == 0


def test_a_matrix_is_mirrored_or_has_one_direction():
    table = method_pairs.pairs_table(crossed(), ["method"])
    order = ("salun", "npo", "scrub")
    expected = np.array([[np.nan, 0.2, 0.4], [0.2, np.nan, 0.05], [0.4, 0.05, np.nan]])
    np.testing.assert_allclose(method_pairs.pair_matrix(table, "deficit", order), expected)
    one = method_pairs.pair_matrix(table, "deficit", order, mirrored=False)
    np.testing.assert_allclose(one, [[np.nan, np.nan, np.nan], [0.2, np.nan, 0.05], [0.4, np.nan, np.nan]])
    assert np.isnan(method_pairs.pair_matrix(table, "deficit", order, "method_in_cl")).all()


def test_methods_that_connect_stand_together_and_lost_ones_last():
    near, far = 0.1, 3.0
    distance = np.full((5, 5), far)
    for i, j in ((0, 3), (1, 4)):
        distance[i, j] = distance[j, i] = near
    distance[2], distance[:, 2] = np.nan, np.nan
    order, tree = method_pairs.method_order(distance, "abcde")
    assert order[-1] == "c" and {frozenset(order[:2]), frozenset(order[2:4])} == {frozenset("ad"), frozenset("be")}
    np.testing.assert_allclose(tree[:, 2], [near, near, far])
    assert method_pairs.method_order(np.full((2, 2), np.nan), "ab")[1] is None
    assert method_pairs.method_order(np.zeros((1, 1)), "a") == (["a"], None)


def lines_of_world(dip, condition="method", ends=lambda a, b: (1.2, 1.2), originals=8, spread=0.02, **labels):
    """Lines between all pairs of two methods on eight originals, whose deficits and ends are functions of the pair."""
    pairs = list(combinations(MADE, 2))
    made = World(lambda one: Shape(dip=dip(one["method"], one["other"]), ends=ends(one["method"], one["other"])),
                 spread=spread)  # fmt: skip
    given = {"kind": "linear", "condition": condition, **labels}
    return [walk_of_world(made, method=a, other=b, original=o, **given) for o in range(originals) for a, b in pairs]


def test_means_are_over_originals_and_bounds_hold_for_all_pairs_that_verdicts_read():
    """Ends of SalUn forgot too little: their pairs are averaged, crossed out and in no bound."""
    walks = lines_of_world(lambda a, b: 0.3, ends=lambda a, b: (0.3, 1.2) if "salun" in (a, b) else (1.2, 1.2))
    table = method_pairs.pairs_table(walks, ["method"]).set_index(["method", "other"])
    assert {pair for pair, read in table["read"].items() if not read} == {p for p in table.index if "salun" in p}
    kept = [w for w in walks if "salun" not in (w.method, w.other)]
    cells = cells_of(kept, lambda w: w.eps, lambda w: (w.method, w.other))
    bounds = simultaneous(cells.values, least=cells.least)
    for k, pair in enumerate(cells.contexts):
        assert table.loc[pair, "eps"] == pytest.approx(cells.values[:, k].mean())
        assert table.loc[pair, ["eps_low", "eps_high"]].tolist() == pytest.approx([bounds.low[k], bounds.high[k]])
        one = student([w.deficit for w in kept if (w.method, w.other) == pair], least=cells.least)
        assert table.loc[pair, ["deficit", "deficit_low", "deficit_high"]].tolist() == pytest.approx(list(one))
    assert "0 of 10 pairs of methods** are connected, 10 are not, and 0 are open. 5 pairs are read by no verdict" in (
        method_pairs.bounds_text(table.reset_index())
    )


def test_pairs_are_counted_as_connected_by_bounds_and_named():
    walks = lines_of_world(lambda a, b: 0.0 if {a, b} == {"npo", "scrub"} else 0.1 if a == "salun" else 0.4)
    text = method_pairs.bounds_text(method_pairs.pairs_table(walks, ["method"]))
    assert "**1 of 15 pairs of methods** are connected (NPO – SCRUB), 10 are not, and 4 are open." in text


def test_the_deepest_line_is_one_that_verdicts_read(laptop):
    walks = lines_of_world(lambda a, b: 0.5 if (a, b) == ("npo", "scrub") else 0.6 if a == "salun" else 0.1,
                           ends=lambda a, b: (0.3, 1.2) if a == "salun" else (1.2, 1.2))  # fmt: skip
    walks += lines_of_world(lambda a, b: 0.9, form=method_pairs.CUE)
    routes = [f"{w.method} {w.other} {w.form}" for w in walks]
    assert method_pairs.deepest(routes, walks) == "npo scrub "


def test_a_curve_stands_beside_the_line_of_its_ends_on_one_grid():
    made = World(lambda one: Shape(dip=0.3 if one["kind"] == "linear" else 0.02), points=31)
    pair = {"method": "npo", "other": "scrub", "condition": "method"}
    walks = [walk_of_world(made, kind=k, original=o, **pair) for o in range(4) for k in ("linear", "bezier")]
    walks += [walk_of_world(made, kind=k, original=0, full=True, **pair) for k in ("linear", "bezier")]
    walks += [walk_of_world(made, kind="bezier", original=0, **{**pair, "other": "salun"})]  # has no line
    table = method_pairs.curves_table(walks[::-1])
    assert sorted(table["original"]) == [0, 0, 1, 1, 2, 2, 3, 3] and set(table["other"]) == {"scrub"}
    for one in table.itertuples():
        (w,) = (w for w in walks if (w.original, w.kind, w.full, w.other) == (one.original, one.curve, False, "scrub"))
        assert (one.eps, one.roughness) == (w.at(11).eps, w.at(11).roughness)
    text = method_pairs.curves_text(table)
    assert text.startswith("Of 4 lines of this sample 0 satisfy MCU(0.1), of the Bézier curves between the same ends 4")
    assert "0 are joined by the line alone, 4 by the curve alone" in text and "by no verdict" not in text
    some = table.assign(read=table["original"] > 0)
    told = method_pairs.curves_text(some)
    assert told.startswith("Of 3 lines") and " 1 more pair of a line and a curve: no verdict" in told
    assert "No pair" in method_pairs.curves_text(method_pairs.curves_table(lines_of_world(lambda a, b: 0.1)))


USE = {(o, m): 0.1 * k for o in range(4) for k, m in enumerate(MADE)}


def apart(a, b):
    return abs(MADE.index(a) - MADE.index(b))


def test_what_m1_reads_is_told_by_original():
    walks = lines_of_world(lambda a, b: 0.1 * apart(a, b), form=method_pairs.CUE, originals=4, spread=0.001)
    walks += lines_of_world(lambda a, b: 0.9)  # data without a cue
    table = method_pairs.mechanisms_table(walks, USE)
    assert len(table) == 4 * 15
    np.testing.assert_allclose(table["apart"], [0.1 * apart(a, b) for a, b in table[["method", "other"]].to_numpy()])
    found = method_pairs.mechanisms_found(table, USE)
    assert found["pairs"].tolist() == [15] * 4 and (found["rho"] >= 0.9).all() and (found["held out, R²"] > 0.9).all()
    text = method_pairs.mechanisms_text(table, USE, {0: 0.2, 1: 0.3, 2: 0.5, 3: 0.9})
    assert text.startswith("3 of 4 originals rely on the cue by 0.3 or more (0.20 to 0.90 on a scale to 1).")
    assert "above 0 on 4 of 4. On 4 of 4" in text
    nothing = method_pairs.mechanisms_table(walks[60:], USE)
    assert "There is no line with a cue" in method_pairs.mechanisms_text(nothing, USE, {0: 0.4})


def test_m1_is_drawn_a_marker_for_each_original_and_without_lines_too():
    walks = lines_of_world(lambda a, b: 0.1 * apart(a, b), form=method_pairs.CUE, originals=4)
    table, own = method_pairs.mechanisms_table(walks, USE), dict.fromkeys(range(4), 0.5)
    left, right = method_pairs.mechanisms_figure(table, USE, own).axes
    assert [len(line.get_xdata()) for line in right.get_lines()] == [15] * 4
    assert [line.get_xdata()[0] for line in left.get_lines()[:4]] == [0.5] * 4
    assert "no line" in method_pairs.mechanisms_figure(table.iloc[:0], USE, own).axes[1].get_title()


def test_the_full_walks_are_held_against_the_coarse_ones():
    coarse = crossed(pairs=PAIRS[:1])
    full = [*made("method", 0.03, 0.05, "npo", PAIRS[:1], other="scrub", full=True)]
    full += made("method", 0.01, 0.09, "npo", PAIRS[:1], other="salun", full=True)
    cued = made("method", 0.9, 0.9, "npo", PAIRS[:1], other="scrub", form=method_pairs.CUE)  # other data: not compared
    text = method_pairs.full_text([*coarse, *full, *cued])
    assert "0.0200 G in the barrier and 0.1100 G in the deficit at most, and 1 of 2 are connected" in text
    assert "No pair" in method_pairs.full_text(coarse)


def test_holm_by_hand():
    np.testing.assert_allclose(method_pairs.holm([0.01, 0.04, np.nan, 0.03]), [0.03, 0.06, np.nan, 0.06])
    np.testing.assert_allclose(method_pairs.holm([0.9, 0.8]), [1, 1])
    assert np.isnan(method_pairs.holm([np.nan])).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_step_down_rule_rejects(p):
    adjusted = method_pairs.holm(p)
    assert (adjusted >= p).all() and (adjusted <= 1).all()
    for level in (0.05, 0.3):
        rejected, order = set(), np.argsort(p)
        for rank, k in enumerate(order):
            if p[k] * (len(p) - rank) > level:
                break
            rejected.add(int(k))
        assert rejected == set(np.flatnonzero(adjusted <= level).tolist())


def alike_as(distance, extra=3):
    """Matrices of all similarities that say exactly what ``distance`` (n, n) says, with further rows."""
    n = len(distance)
    found = {}
    for name, one in SIMILARITIES.items():
        full = np.full((n + extra, n + extra), 0.5)
        full[:n, :n] = distance if one.alike == "low" else 1 - distance
        found[name] = full
    return found


def distances(n=6, seed=0):
    values = np.random.default_rng(seed).uniform(0, 1, (n, n))
    values = (values + values.T) / 2
    np.fill_diagonal(values, 0)
    return values


def test_agreement_has_the_sign_of_more_alike_better_connected():
    goal = distances()
    table = method_pairs.agreement_table(alike_as(goal), {"deficit": goal, "barrier": np.zeros((6, 6))})
    deficit, barrier = (table[table["target"] == name] for name in ("deficit", "barrier"))
    np.testing.assert_allclose(deficit["rho"], 1)
    assert (deficit["p"] < 0.05).all() and barrier["rho"].isna().all()
    np.testing.assert_allclose(deficit["p_holm"], np.minimum(6 * deficit["p"].min(), 1))
    assert method_pairs.agreement_text(table).startswith("6 comparisons are tested: 6 have p < 0.05")
    opposite = method_pairs.agreement_table(alike_as(1 - goal), {"deficit": goal})
    np.testing.assert_allclose(opposite["rho"], -1)
    assert method_pairs.agreement_text(opposite).endswith("0 after the adjustment for 6 tests.")


def test_two_methods_are_too_few_to_agree():
    assert method_pairs.agreement_table(alike_as(distances(2)), {"deficit": distances(2)})["p"].isna().all()


def test_levels_name_floor_and_ceiling():
    goal = distances(3)
    alike = alike_as(goal)
    n = 3
    for values in alike.values():
        values[0, n], values[:n, n + 1], values[:n, n + 2], values[n + 1, n + 2] = 0.9, (0.1, 0.2, 0.3), 0.4, 0.6
    table = method_pairs.levels_table(alike, ["npo", "scrub", "salun"])
    between = 1 - goal[np.triu_indices(3, 1)]
    row = table.loc["agreement"]
    assert row["methods, mean"] == pytest.approx(between.mean(), abs=5e-4)
    assert row["methods, least alike"] == pytest.approx(between.min(), abs=5e-4)
    assert table.loc["js", "methods, least alike"] == pytest.approx((1 - between).max(), abs=5e-4)
    assert row[["two seeds of NPO", "method and retrained, mean"]].tolist() == [0.9, 0.2]
    assert row[["method and original, mean", "retrained and original"]].tolist() == [0.4, 0.6]


def test_the_scatter_has_a_row_per_pair_and_similarity():
    goal = distances(3)
    table = method_pairs.scatter_table(alike_as(goal), {"deficit": goal}, THREE)
    assert len(table) == 3 * len(SIMILARITIES)
    js = table[table["similarity"] == "js"]
    np.testing.assert_allclose(js["value"], js["deficit"])
    assert js[["method", "other"]].to_records(index=False).tolist() == list(combinations(THREE, 2))


def use(reliance, accuracy=None):
    """A cue's use along a path, alike on both splits."""
    reliance = np.asarray(reliance, float)
    arrays = dict.fromkeys(("sensitivity", "pull", "accuracy_none"), reliance)
    arrays |= {"reliance": reliance, "accuracy_swapped": reliance if accuracy is None else np.asarray(accuracy)}
    return {f"{split}/{name}": values for split in ("forget", "test") for name, values in arrays.items()}


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(3, 10))
def test_the_interval_of_a_reliance_is_that_of_its_examples(right, wrong, rest, classes):
    count = right + wrong + rest
    if count == 0:
        return
    examples = np.repeat([1.0, -1 / (classes - 2), 0.0], [right, wrong, rest])
    one = use([examples.mean()], [right / count])
    table = method_pairs.cue_table({("npo", "forgetting"): one}, {"forget": count, "test": count}, classes)
    half = 1.96 * examples.std() / np.sqrt(count)
    np.testing.assert_allclose(table["high"] - table["reliance"], half, atol=1e-7)
    np.testing.assert_allclose(table["reliance"] - table["low"], half, atol=1e-7)


EXAMPLES = {"forget": 900, "test": 2000}


def test_the_cue_is_followed_from_original_over_unlearned_to_retrained():
    found = {("npo", "forgetting"): use([0.9, 0.95, 0.2]), ("npo", "retraining"): use([0.2, 0.1, 0.0])}
    found |= {("scrub", "forgetting"): use([0.9, 0.85, 0.8]), ("scrub", "retraining"): use([0.8, 0.4, 0.0])}
    table = method_pairs.cue_table(found, EXAMPLES, 10)
    one = table[(table["method"] == "npo") & (table["split"] == "test")]
    assert one["x"].tolist() == [0, 0.5, 1, 1, 1.5, 2]
    shown = method_pairs.cue_shown(table)
    assert shown.index.tolist() == ["original", "retrained", "npo", "scrub"]
    assert shown.loc["npo", "forget images"].startswith("0.200 [0.174, 0.226]")
    text = method_pairs.cue_text(table)
    assert "is 0.900 in the original and 0.000 in the retrained" in text
    assert "1 of 2 unlearned models are nearer the retrained one: NPO." in text
    assert "0 of 2 methods pass a point" in text
    found["npo", "forgetting"] = use([0.9, 0.96, 0.2])
    assert "1 of 2 methods pass a point" in method_pairs.cue_text(method_pairs.cue_table(found, EXAMPLES, 10))


def test_a_cue_that_the_original_does_not_use_tells_nothing():
    found = {("npo", "forgetting"): use([0.02, 0.01, 0.0]), ("npo", "retraining"): use([0.0, 0.01, 0.01])}
    assert "does not use the cue here" in method_pairs.cue_text(method_pairs.cue_table(found, EXAMPLES, 10))


@pytest.mark.parametrize("top", [0.05, 0.7, 30.0])
def test_colours_are_cool_below_the_tolerance_and_warm_above(top):
    norm, colours = method_pairs.tolerance_norm(top), method_pairs.tolerance_map()
    values = np.linspace(0, max(top, 0.2), 400)
    placed = np.asarray(norm(values))
    assert (np.diff(placed) > 0).all() and placed[0] == 0 and placed[-1] == pytest.approx(1)
    assert norm(0.1) == pytest.approx(0.5) and norm(0.05) == pytest.approx(0.25)
    np.testing.assert_allclose(norm.inverse(placed), values, atol=1e-9)
    red, _, blue, _ = colours(placed).T
    assert (blue > red)[values < 0.099].all() and (red > blue)[values > 0.101].all()


def test_lightness_falls_away_from_the_tolerance_on_both_sides():
    """So a print without colour still shows how far from the tolerance a cell is, and the numbers which way."""
    red, green, blue, _ = method_pairs.tolerance_map()(np.linspace(0, 1, 101)).T
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(light[:50]) > 0).all() and (np.diff(light[51:]) < 0).all()


def test_the_matrix_holds_the_values_in_the_order_of_the_tree():
    fig = figure("matrix")
    pairs, order, tree = pairs_of_of_figures_of_conditions(8)
    barrier, deficit, drawn, bar = fig.axes
    for ax, measure in ((barrier, "barrier"), (deficit, "deficit")):
        shown = ax.images[0].get_array().filled(np.nan)
        np.testing.assert_allclose(shown, method_pairs.pair_matrix(pairs, measure, order))
        assert len(ax.texts) == 8 * 7
    assert [t.get_text() for t in barrier.get_yticklabels()] == [label(m) for m in order]
    branches = [line for line in drawn.get_lines() if len(line.get_xdata()) == 4]
    assert len(branches) == 7
    assert max(max(b.get_xdata()) for b in branches) == pytest.approx(tree[-1, 2])
    leaves = sorted(y for b in branches for x, y in zip(b.get_xdata(), b.get_ydata(), strict=True) if x == 0)
    np.testing.assert_allclose(leaves, range(8))  # level with the rows
    assert 0.1 in bar.get_xticks()


def test_a_number_whose_interval_crosses_the_tolerance_has_a_question_mark():
    walks = [
        one_of_figures_of_conditions("npo", 0.0, d, s, other="scrub", condition="method")
        for d, s in zip((0.08, 0.1), (SEEDS[0], SEEDS[2]), strict=True)
    ]
    pairs = method_pairs.pairs_table(walks, ["method"])
    ax = method_pairs.matrix_figure(pairs, ["npo", "scrub"], None).axes
    assert [t.get_text() for t in ax[1].texts] == [".09?", ".09?"] and [t.get_text() for t in ax[0].texts] == ["0", "0"]
    assert not ax[2].axison


def test_numbers_are_left_out_where_cells_are_small():
    methods = [f"m{k}" for k in range(method_pairs.NUMBERS + 1)]
    walks = [
        one_of_figures_of_conditions(a, 0.0, 0.3, other=b, condition="method") for a, b in combinations(methods, 2)
    ]
    assert not method_pairs.matrix_figure(method_pairs.pairs_table(walks, ["method"]), methods, None).axes[0].texts


def test_conditions_share_one_order_both_ends_alike_below_the_diagonal():
    fig = figure("matrices")
    pairs, order, _ = pairs_of_of_figures_of_conditions(8)
    for ax, (below, above) in zip(fig.axes[:3], method_pairs.MIXED.values(), strict=True):
        shown = ax.images[0].get_array().filled(np.nan)
        for condition, part in ((below, np.tril), (above, np.triu)):
            expected = method_pairs.pair_matrix(pairs, "eps", order, condition)
            np.testing.assert_allclose(part(np.nan_to_num(shown)), part(np.nan_to_num(expected)))
        assert len(ax.texts) == 8 * 7 == np.isfinite(shown).sum()


def test_a_condition_that_was_not_walked_leaves_its_half_empty():
    pairs, order, _ = pairs_of_of_figures_of_conditions(4)
    fig = method_pairs.matrices_figure(pairs[pairs["condition"] != "method_fo-so"], order)
    filled = [np.isfinite(ax.images[0].get_array().filled(np.nan)).sum() for ax in fig.axes[:3]]
    assert filled == [12, 12, 6] and np.isnan(np.triu(fig.axes[2].images[0].get_array().filled(np.nan), 1)[0, 1:]).all()


def test_line_and_curve_stand_in_one_row_per_pair():
    fig = figure("curves")
    table = method_pairs.curves_table(paired())
    for kind, marker in (("linear", "o"), ("bezier", "s")):
        means = [v for v in fig.axes[0].get_lines() if v.get_marker() == marker and v.get_markersize() == 5]
        expected = table[table["curve"] == kind].groupby(["method", "other"], sort=False)["eps"].mean()
        np.testing.assert_allclose([float(v.get_xdata()[0]) for v in means], expected)


def test_what_was_not_tested_is_said_so():
    assert "barrier: not tested" in agreement(2).axes[0].get_title()


def test_noise_about_no_use_of_the_cue_is_not_magnified():
    table = cues(METHODS[:2])
    flat = table.assign(reliance=0.001 * table["reliance"], low=-0.001, high=0.001)
    low, high = method_pairs.reliance_figure(flat).axes[0].get_ylim()
    assert high - low >= 0.3


def answer(eps=0.1, rho=0.0):
    """15 pairs on eight originals: one connects, four dip below their chord alone, ten below the retrained models."""
    dips = lambda a, b: 0.0 if (a, b) == ("npo", "scrub") else 0.15 if a == "salun" else 0.6  # noqa: E731
    walks = lines_of_world(dips, spread=0.001)
    pairs, goal = method_pairs.pairs_table(walks, ["method"], eps=eps), distances()
    noise = distances(seed=1) if rho == 0 else goal
    tests = method_pairs.agreement_table(alike_as(noise), {"deficit": goal})
    return method_pairs.answer_text(walks, pairs, tests, "The cue says this.", eps)


def test_the_answer_counts_lines_pairs_and_dips_below_the_retrained_models():
    expected, found, so = answer().split("\n\n")
    assert expected.startswith("**Expected.**") and "8 of 120 lines between two methods satisfy MCU(0.1);" in found
    assert "1 of 15 pairs of methods do on every original, 14 on none." in found
    assert "Of 112 lines that fail by the deficit alone 80 fall below the retrained models' level" in found
    assert found.endswith("The cue says this.") and "0 agree after the adjustment" in found
    assert "little contrast" in so and "connection alone does not say it" in so
    assert "there is a contrast to read" in answer(eps=0.2)
    assert "6 agree after the adjustment: agreement with the deficit" in answer(rho=1.0)
