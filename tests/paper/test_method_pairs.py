"""The room `method_pairs`: its routes, its claims' tests, its tables and figures on made-up walks."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from made_claims import judge, mixed, ours, study as study_of_claims
from made_conditions import PAIRS, made
from made_figures_of_conditions import (
    METHODS,
    PAIRED,
    SEEDS,
    agreement,
    cues,
    figure,
    one as one_of_figures_of_conditions,
    paired,
    pairs_of as pairs_of_of_figures_of_conditions,
)
from made_specs import THREE as THREE_of_specs, labels, leaves as leaves_of_specs, pairs_of
from synthetic import controls

from mcutils.engine.conditions import CONDITIONS
from mcutils.engine.specs import UnlearnedSpec, kind_of
from mcutils.engine.study import study
from mcutils.measures.drawing import label
from mcutils.measures.similarity import SIMILARITIES
from mcutils.paper import method_pairs
from mcutils.paper.registry import EXPERIMENTS, ROUTES
from mcutils.paper.tables import end_names


@pytest.mark.parametrize("methods", [["npo"], ["npo", "scrub"], ["bad_teacher", "npo", "scrub"]])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_reader_can_ask_for_a_few_methods(name, methods, smoke):
    few = study("smoke", store=str(smoke.store.folder), fresh=True, methods=methods)
    if name != "05_methods" or len(methods) > 1:
        assert EXPERIMENTS[name](few)


def test_all_pairs_of_methods_are_walked_in_every_method_condition(laptop):
    routes = [r for r in method_pairs.methods(laptop) if not r.control]
    pairs = set(combinations(laptop.preset.methods, 2))
    every = [r for r in routes if r.kind == "linear" and not r.full]
    assert set(labels(every, "method", "other")) == pairs
    count = labels(every, "condition")
    assert count.pop(("method",)) == 3 * 28 and pairs_of(r for r in every if r.condition == "method") == THREE_of_specs
    assert count == {(c,): 28 for c in CONDITIONS if c.startswith("method_")}
    some = set(method_pairs.sampled(laptop))
    assert len(some) == 6 and some <= pairs
    taken = Counter(m for pair in some for m in pair)
    assert set(taken) == set(laptop.preset.methods) and max(taken.values()) - min(taken.values()) <= 1
    full = [r for r in routes if r.full]
    assert labels(full, "kind", "points") == {("linear", 0): 6, ("bezier", 0): 6}
    assert {r.points for r in routes if not r.full} == {11}


def test_models_that_are_compared_are_of_one_original(laptop):
    found = method_pairs.alike(laptop)
    assert [getattr(m, "method", kind_of(m)) for m in found.models] == [
        *laptop.preset.methods,
        laptop.preset.methods[0],
        "Retrained",
        "Original",
    ]
    assert {m.origin for m in found.models if isinstance(m, UnlearnedSpec)} == {found.origin} == {laptop.original()}


def test_cues_are_planted_in_what_is_forgotten_and_nowhere_else(laptop):
    found = method_pairs.cued(laptop)
    assert set(found) == {(m, part) for m in laptop.preset.methods for part in ("forgetting", "retraining")}
    (data,) = leaves_of_specs(found.values())
    assert data.cue == 0.1 == laptop.preset.forget and data.checksum == laptop.data.checksum
    for (method, part), use in found.items():
        assert use.forget >= data.cue and kind_of(use) == "CueUse"
        ends = use.model.start, use.model.end
        expected = {"forgetting": ("Original", "Unlearned"), "retraining": ("Unlearned", "Retrained")}[part]
        assert tuple(map(kind_of, ends)) == expected
        assert ends[part == "forgetting"].method == method
    assert not any(data.cue for name in ROUTES for data in leaves_of_specs(r.path for r in ROUTES[name](laptop)))


def test_the_cue_is_planted_where_the_study_forgets_unless_told_otherwise(laptop):
    def planted(found):
        return {use.model.start.data.cue for (_, part), use in found.items() if part == "forgetting"}

    smaller = replace(laptop, preset=replace(laptop.preset, forget=0.05))
    assert planted(method_pairs.cued(smaller)) == {0.05} and planted(method_pairs.cued(laptop, 0.02)) == {0.02}


def test_c8_is_the_rarer_of_connected_and_not():
    """Two of six methods are apart from all others: 9 of 15 pairs, so 6 connect."""
    for barrier, expected in ((("npo", "scrub"), 6 / 15), (("npo",), 5 / 15), ((), 0)):
        found = judge("C8", mixed(lambda a, b, some=barrier: a in some or b in some))
        assert found.effect == pytest.approx(expected)
        assert (found.n_pairs, found.n_seeds) == (45, 6)
        assert 0 <= found.low <= found.effect <= found.high <= 0.5


def test_c8_looks_at_lines_between_plain_methods():
    walks = mixed(lambda a, b: a == "npo")
    others = [replace(w, **c) for w in ours(mixed(lambda a, b: True)) for c in ({"kind": "bezier"}, {"full": True})]
    others += [replace(w, condition="method_in_cl") for w in ours(mixed(lambda a, b: True))]
    assert judge("C8", walks + others + study_of_claims(0.9, held=[])) == judge("C8", walks)


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
    assert (table["eps_low"] <= table["eps"]).all() and (table["eps"] <= table["eps_high"]).all()
    shown = method_pairs.pairs_shown(table.iloc[::-1])
    assert shown.index.tolist() == ["npo - scrub", "npo - salun", "scrub - salun"]
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


def test_a_curve_stands_beside_the_line_of_its_own_walk():
    walks = [*crossed(pairs=PAIRS[:1]), *crossed(pairs=PAIRS[:1], full=True)]
    walks += made("method", 0.0, 0.02, "npo", PAIRS[:1], "bezier", "salun", full=True)
    walks += made("method", 0.0, 0.3, "npo", PAIRS[:1], "bezier", "scrub", full=True)
    walks += [*crossed("method_in_cl", PAIRS[:1])]
    walks += made("method_in_cl", 0.0, 0.02, "npo", PAIRS[:1], "bezier", "scrub")
    walks += made("method_in_so", 0.0, 0.02, "npo", PAIRS[:1], "bezier", "scrub")  # has no line
    table = method_pairs.curves_table(walks[::-1])
    assert table["condition"].tolist() == ["method"] * 4 + ["method_in_cl"] * 2
    assert table["curve"].tolist() == ["linear", "bezier"] * 3
    assert ((table["low"] <= table["eps"]) & (table["eps"] <= table["high"])).all()

    def rough(condition, kind):
        full = condition == "method"
        ours = [w for w in walks if (w.condition, w.kind, w.full) == (condition, kind, full)]
        curved = {w.other for w in walks if w.condition == condition and w.kind == "bezier"}
        return np.median([w.roughness for w in ours if w.method == "npo" and w.other in curved])

    assert method_pairs.curves_text(table).splitlines() == [
        "- `method`, 2 pairs: joined by both 0, by the line only 1, by the quadratic curve only 1, by neither 0; "
        f"median roughness {rough('method', 'linear'):.2g} and {rough('method', 'bezier'):.0f} G^2.",
        "- `method_in_cl`, 1 pairs: joined by both 1, by the line only 0, by the quadratic curve only 0, by neither 0; "
        f"median roughness {rough('method_in_cl', 'linear'):.2g} and {rough('method_in_cl', 'bezier'):.0f} G^2.",
    ]
    assert "No pair" in method_pairs.curves_text(method_pairs.curves_table(crossed()))


def test_the_full_walks_are_held_against_the_coarse_ones():
    coarse = crossed(pairs=PAIRS[:1])
    full = [*made("method", 0.03, 0.05, "npo", PAIRS[:1], other="scrub", full=True)]
    full += made("method", 0.01, 0.09, "npo", PAIRS[:1], other="salun", full=True)
    text = method_pairs.full_text([*coarse, *full])
    assert "0.0200 G in the barrier and 0.1100 G in the deficit at most, and 1 verdicts" in text
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
    assert row[["two seeds of npo", "method and retrained, mean"]].tolist() == [0.9, 0.2]
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
        for d, s in zip((0.08, 0.1), SEEDS, strict=False)
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
    assert len(fig.axes) == len(PAIRED)
    table = method_pairs.curves_table(paired()).query("condition == 'method'")
    for kind, marker in (("linear", "o"), ("bezier", "s")):
        means = [v for v in fig.axes[0].get_lines() if v.get_marker() == marker and v.get_markersize() == 5]
        np.testing.assert_allclose([float(v.get_xdata()[0]) for v in means], table[table["curve"] == kind]["eps"])


def test_what_was_not_tested_is_said_so():
    assert "barrier: not tested" in agreement(2).axes[0].get_title()


def test_noise_about_no_use_of_the_cue_is_not_magnified():
    table = cues(METHODS[:2])
    flat = table.assign(reliance=0.001 * table["reliance"], low=-0.001, high=0.001)
    low, high = method_pairs.reliance_figure(flat).axes[0].get_ylim()
    assert high - low >= 0.3


def levelled(one, forget):
    """The walk beside the level of retrained models."""
    levels = {"loss_retain": (0.1,), "loss_forget": (forget,), "accuracy_retain": (1.0,), "accuracy_forget": (0.9,)}
    return replace(one, profile=one.profile.with_levels({name: np.array(v) for name, v in levels.items()}))


def answer(level, reliance=0.9, eps=0.1):
    """Nine lines: three connect, and the others dip to -0.15 and -0.55, by 0.4 and 0.8 nats; G is 2."""
    walks = [levelled(w, level) for w in (*crossed(), *crossed(full=True), *crossed("method_in_cl"))]
    pairs, goal = method_pairs.pairs_table(walks, ["method"]), distances()
    cue = method_pairs.cue_table(
        {("npo", "forgetting"): use([reliance, 0.1]), ("npo", "retraining"): use([0.1, 0])}, EXAMPLES, 10
    )
    return method_pairs.answer_text(
        walks, pairs, method_pairs.agreement_table(alike_as(goal), {"deficit": goal}), cue, eps
    )


def test_the_answer_counts_dips_by_the_chord_the_retrained_models_and_the_lower_end():
    expected, found, so = answer(5.0).split("\n\n")
    assert expected.startswith("**Expected.**") and "3 of 9 lines between two methods satisfy MCU(0.1);" in found
    assert "beside the retrained models, 3 do. Of 6 lines" in found and "alone 6 fall below" in found
    assert "6 of them that far below both ends as well." in found
    assert so == "**So.** Lines join some methods and not others, so there is a contrast to read."
    assert "models, 6 do. Of 6 lines that fail by the deficit alone 3 fall below" in answer(-0.2)
    assert "models, 9 do. Of 6 lines that fail by the deficit alone 0 fall below" in answer(-0.5)


def test_the_answer_says_what_has_no_contrast_and_which_cue_is_hardly_followed():
    assert "no contrast" in answer(5.0, eps=0.001) and "0 of 9 lines" in answer(5.0, eps=0.001)
    weak = answer(5.0, reliance=0.07)
    assert "cue is 0.070 on a scale to 1" in weak and "hardly follows the cue" in weak
    assert "6 of 6 comparisons with measures without a path agree: agreement with the deficit" in weak
