"""Tables of conditions, pairs of methods and sizes: numbers by hand, and what they leave out."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t
from synthetic import controls, walk

from mcutils import condition_tables as tables
from mcutils.engine.conditions import CONDITIONS
from mcutils.measures.intervals import mean_interval
from mcutils.measures.profiles import ProfileOf
from mcutils.measures.similarity import SIMILARITIES
from mcutils.verdicts import c4, c5, c7, nodes_of

PAIRS = ((0, 42, 87), (0, 21, 100), (1, 42, 87))
METHODS = ("npo", "scrub")
STUDENT = t.ppf(0.975, 2) / np.sqrt(3)  # half of Student's interval of three, in standard deviations


def made(
    condition, barrier=0.0, deficit=0.0, method="npo", pairs=PAIRS, kind="linear", other="", variant="", **options
):
    """One walk per pair of seeds; numbers, or one per pair."""
    each = zip(*(np.broadcast_to(v, len(pairs)) for v in (barrier, deficit)), pairs, strict=True)
    return [
        replace(
            walk(method, b, d, pair, kind, original=o, **options), condition=condition, other=other, variant=variant
        )
        for b, d, (o, *pair) in each
    ]


def with_arrays(one, **arrays):
    """The same walk with other arrays, ``__`` standing for ``/``."""
    new = {name.replace("__", "/"): np.asarray(value) for name, value in arrays.items()}
    return replace(one, profile=ProfileOf({**one.profile.arrays, **new}))


def one_of_each(condition="random"):
    """Walks that every table must leave out: controls, a collapsed one, a variant."""
    lost = made(condition, 9.0, 9.0, collapsed=("t = 0: chance",))
    return [*controls(), *lost, *made(condition, 7.0, 7.0, variant="superloss_authors")]


# Words and means


def test_an_estimate_stands_before_its_interval_and_zero_has_no_sign():
    assert tables.spread((0.12, 0.08, 0.2)) == "0.120 [0.080, 0.200]"
    assert tables.spread((-0.0, -0.04, 0.0), 1) == "0.0 [0.0, 0.0]"


def test_a_mean_is_over_walks_and_eps_is_the_larger_measure():
    walks = made("random", (0.1, 0.2, 0.3), (0.3, 0.1, 0.1))
    assert tables.mean_of(walks, "barrier").estimate == pytest.approx(0.2)
    found = tables.mean_of(walks, "eps")
    assert found.estimate == pytest.approx((0.3 + 0.2 + 0.3) / 3)
    half = STUDENT * np.std([0.3, 0.2, 0.3], ddof=1)
    assert (found.low, found.high) == pytest.approx((0.8 / 3 - half, 0.8 / 3 + half))


def test_an_interval_is_never_narrower_than_students_and_one_pair_has_none():
    walks = made("random", noise=0)
    found = tables.mean_over(walks, [0.1, 0.2, 0.6], least=0.0)
    half = STUDENT * np.std([0.1, 0.2, 0.6], ddof=1)
    assert found == pytest.approx((0.3, 0.0, 0.3 + half)) and half > 0.3
    assert tables.mean_over(walks, [0.2, 0.2, 0.2]) == pytest.approx((0.2, 0.2, 0.2))
    noisy = np.linspace(0, 1, 101)[None]
    assert tables.mean_over(walks[:1], [0.5], noisy, least=0.0) == (0.5, 0.0, np.inf)


def test_walks_are_grouped_in_order_of_appearance():
    walks = [*made("random", method="npo"), *made("random", method="scrub")]
    assert list(tables.grouped(walks[::-1], "method", "original")) == [
        ("scrub", 1),
        ("scrub", 0),
        ("npo", 1),
        ("npo", 0),
    ]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (controls(), ["Controls held", "between 4.00 and 4.00 G", "1 of 1 fine-tuned twins"]),
        (controls(twin=0.3), ["Controls FAILED", "0 of 1 fine-tuned twins"]),
        ([], ["Controls FAILED", "not walked", "0 of 0 fine-tuned twins"]),
    ],
)
def test_the_controls_and_the_collapsed_are_counted(held, words):
    walks = [*made("random"), *made("random", collapsed=("t = 1: chance",)), *held]
    text = tables.controls_text(walks)
    assert all(word in text for word in [*words, "3 of 6 walks have a collapsed end"])


# Curricula and second order


def test_conditions_have_a_row_per_sound_walk_without_controls_and_variants():
    walks = [*made("cl-non_cl", 0.2, 0.05), *made("random", 0.0, 0.1), *one_of_each("cl-non_cl")]
    table = tables.condition_table(walks, ("random", "cl-non_cl"))
    assert table["condition"].tolist() == ["random"] * 3 + ["cl-non_cl"] * 3
    assert table["pair"].tolist()[:3] == ["0: 42-87", "0: 21-100", "1: 42-87"]
    np.testing.assert_allclose(table["eps"], [0.1] * 3 + [0.2] * 3)
    assert table["connected"].tolist() == [True] * 3 + [False] * 3


def test_the_summary_holds_means_with_intervals_per_context():
    walks = []
    for method, kind in product(METHODS, ("linear", "bezier")):
        walks += made("random", (0.1, 0.2, 0.3), 0.05, method=method, kind=kind)
    found = tables.condition_summary([*walks, *one_of_each()], ("random", "fo-so"))
    assert len(found) == 2 * 2 * 3 and set(found["n"]) == {3}
    row = found[(found["method"] == "scrub") & (found["curve"] == "bezier") & (found["measure"] == "barrier")].iloc[0]
    assert row["estimate"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == pytest.approx((0.0, 0.2 + 0.1 * STUDENT))


@pytest.mark.parametrize(
    ("change", "word"),
    [(-0.3, "helps"), (-0.05, "helps"), (-0.049, "neither"), (0.0, "neither"), (0.05, "harms"), (np.nan, "neither")],
)
def test_a_change_helps_or_harms_from_a_twentieth_on(change, word):
    assert tables.effect_of(change) == word


def test_changes_are_paired_and_clear_only_if_the_interval_agrees():
    walks = [*made("random", 0.0, (0.1, 0.2, 0.3)), *made("cl-non_cl", 0.0, (0.3, 0.4, 0.5))]
    walks += [*made("random", 0.0, 0.2, method="scrub"), *made("cl-non_cl", 0.0, (0.0, 0.2, 0.6), method="scrub")]
    found = tables.changes_table([*walks, *one_of_each("cl-non_cl")], ["cl-non_cl"]).set_index("method")
    assert found.loc["npo", "change"] == pytest.approx(0.2) and found.loc["npo", "low"] > 0.19
    assert (found.loc["npo", "effect"], bool(found.loc["npo", "clear"])) == ("harms", True)
    assert found.loc["scrub", "change"] == pytest.approx(0.2 / 3)
    assert (found.loc["scrub", "effect"], bool(found.loc["scrub", "clear"])) == ("harms", False)
    assert tables.changes_text(found.reset_index()) == (
        "- `cl-non_cl`, 2 contexts of one method and curve: helps in 0 (0 of them by the whole interval), harms in 2 "
        "(1 of them by the whole interval), neither in 0 (0 of them by the whole interval)."
    )


def test_the_mean_change_is_the_effect_of_c5_and_the_rarer_side_that_of_c7():
    walks = controls()
    for k, (method, kind) in enumerate(product(METHODS, ("linear", "bezier"))):
        walks += made("random", 0.0, 0.2, method, kind=kind)
        walks += made("cl-non_cl", 0.0, 0.1 + 0.1 * k, method, kind=kind)
    found = tables.changes_table(walks, ["cl-non_cl"])
    assert found["change"].mean() == pytest.approx(c5(walks).effect)
    counts = found["effect"].value_counts()
    assert min(counts["helps"], counts["harms"]) / len(found) == c7(walks).effect == 0.25


def test_a_pair_without_its_counterpart_has_no_change():
    walks = [*made("random", pairs=PAIRS[:2]), *made("fo-so", 0.2), *made("fo-so", 0.2, method="scrub")]
    found = tables.changes_table(walks, ["fo-so"])
    assert found["method"].tolist() == ["npo"] and found["n"].tolist() == [2]


def test_changes_are_shown_beside_what_they_are_changes_of():
    walks = [*made("random", 0.0, 0.1, noise=0), *made("fo-so", 0.0, (0.2, 0.3, 0.4), noise=0)]
    shown = tables.changes_shown(walks, "fo-so").loc[("npo", "linear")]
    assert shown["eps, random"] == "0.100 [0.100, 0.100]"
    assert shown["eps, fo-so"] == "0.300 [0.052, 0.548]" and shown["change"] == "0.200 [-0.048, 0.448]"
    assert shown["effect"] == "harms?" and shown["pairs"] == 3


def test_no_walk_at_all_gives_empty_tables_and_words():
    walks = controls()
    assert len(tables.condition_table(walks, ("random",))) == len(tables.condition_summary(walks, ("random",))) == 0
    assert len(tables.changes_shown(walks, "fo-so")) == len(tables.ends_table(walks, "fo-so")) == 0
    assert len(tables.along_table(walks, ("random",))) == len(tables.variants_table(walks, "fo-so")) == 0
    assert "No pair" in tables.changes_text(tables.changes_table(walks, ["fo-so"]))
    assert tables.thinned_text(walks) == "All walks have no points."


def test_the_ends_of_a_condition_are_named_by_what_tells_them_apart():
    assert tables.end_names("cl-non_cl") == ("curriculum", "none")
    assert tables.end_names("fo-so") == ("first order", "second order")
    apart = {name for name in CONDITIONS if tables.directed(name)}
    assert apart == {"cl-non_cl", "fo-so", "method_cl-non_cl", "method_fo-so"}


def test_the_ends_are_compared_with_those_of_two_seeds():
    near, far = made("random"), [with_arrays(w, geometry__distance=6.0) for w in made("cl-non_cl")]
    row = tables.ends_table([*near, *far, *one_of_each("cl-non_cl")], "cl-non_cl").loc["npo"]
    assert (row["curriculum: forget %"], row["none: forget %"]) == ("90.0", "85.0")
    assert (row["curriculum: test %"], row["none: test %"]) == ("90.0", "85.0")
    assert (row["distance"], row["of two seeds'"]) == ("6.00", "2.00 [2.00, 2.00]")
    assert (row["cosine"], row["cosine, two seeds"]) == ("0.250", "0.250")


def test_variants_stand_below_the_lines_of_their_own_method():
    walks = [*made("random", 0.0, 0.1), *made("fo-so", 0.0, 0.2), *made("fo-so", 0.0, 0.4, variant="soul")]
    walks += [*made("random", method="scrub"), *made("fo-so", kind="bezier")]
    found = tables.variants_table(walks, "fo-so")
    assert list(found.index) == [("npo", "random", "as above"), ("npo", "fo-so", "as above"), ("npo", "fo-so", "soul")]
    assert [v.split()[0] for v in found["eps"]] == ["0.100", "0.200", "0.400"]


def test_a_walk_can_be_read_at_fewer_of_its_points():
    one = walk("npo", 0.2, 0.4)
    assert tables.thinned(one, 5) == pytest.approx((0.2, 0.4))
    assert tables.thinned(one, 3) == pytest.approx((0.2, 0.4))
    assert tables.thinned(one, 2) == pytest.approx((0.0, 0.0))


def test_what_coarse_reading_costs_is_told():
    gap = 2.0
    early = 0.2 - gap * np.array([0, 0.4, 0.3, 0, 0])  # its dip of 0.4 G is at t = 0.25, where three points see nothing
    fine = with_arrays(walk("npo", 0.0, 0.4, gap=gap), curve__loss_forget=early)
    coarse = walk("npo", pair=(21, 100))
    kept = {n: v[::2] for n, v in coarse.profile.arrays.items() if n.startswith("curve/")}
    coarse = with_arrays(coarse, t=coarse.profile.t[::2], **{n.replace("/", "__"): v for n, v in kept.items()})
    text = tables.thinned_text([fine, coarse])
    assert "1 walks have 5 points and 1 have 3" in text and "falls by 0.100 G at most" in text
    assert tables.thinned_text([fine]) == "All walks have 5 points."


def test_excesses_along_the_path_keep_pairs_of_two_originals_apart():
    table = tables.along_table([*made("random", 0.2, 0.4), *one_of_each()], ("random",))
    assert table["pair"].unique().tolist() == ["0: 42-87", "0: 21-100", "1: 42-87"]
    one = table[table["pair"] == "1: 42-87"]
    np.testing.assert_allclose(one["retain_excess"], [0, 0.1, 0.2, 0.1, 0], atol=1e-12)
    np.testing.assert_allclose(one["forget_excess"], [0, -0.2, -0.4, -0.2, 0], atol=1e-12)


# Pairs of methods

THREE = ("npo", "scrub", "salun")


def crossed(condition="method", pairs=PAIRS, **options):
    """All pairs of three methods: npo - scrub 0.05 G, npo - salun 0.2 G, scrub - salun 0.4 G of deficit."""
    sizes = dict(zip(combinations(THREE, 2), (0.05, 0.2, 0.4), strict=True))
    parts = [made(condition, 0.01, d, a, pairs, other=b, **options) for (a, b), d in sizes.items()]
    return [w for part in parts for w in part]


def test_a_pair_of_methods_has_means_intervals_and_a_count():
    walks = [*crossed(), *made("method", 0.0, 0.3, other="scrub", variant="full"), *controls()]
    table = tables.pairs_table(walks, ["method"])
    assert table[["method", "other"]].to_records(index=False).tolist() == list(combinations(THREE, 2))
    np.testing.assert_allclose(table["deficit"], [0.05, 0.2, 0.4])
    np.testing.assert_allclose(table["barrier"], 0.01)
    assert table["connected"].tolist() == [3, 0, 0] and table["n"].tolist() == [3, 3, 3]
    assert (table["eps_low"] <= table["eps"]).all() and (table["eps"] <= table["eps_high"]).all()
    shown = tables.pairs_shown(table.iloc[::-1])
    assert shown.index.tolist() == ["npo - scrub", "npo - salun", "scrub - salun"]
    assert shown["connected"].tolist() == ["3 of 3", "0 of 3", "0 of 3"]


def test_conditions_compare_over_the_seeds_that_they_share():
    walks = [*crossed(), *crossed("method_in_cl", PAIRS[:1])]
    table = tables.pairs_table(walks, ["method", "method_in_cl", "method_in_so"], shared=True)
    assert len(table) == 6 and set(table["n"]) == {1}
    assert set(tables.pairs_table(walks, ["method"])["n"]) == {3}
    assert len(tables.pairs_table([], ["method"], shared=True)) == 0


def test_a_matrix_is_mirrored_or_has_one_direction():
    table = tables.pairs_table(crossed(), ["method"])
    order = ("salun", "npo", "scrub")
    expected = np.array([[np.nan, 0.2, 0.4], [0.2, np.nan, 0.05], [0.4, 0.05, np.nan]])
    np.testing.assert_allclose(tables.pair_matrix(table, "deficit", order), expected)
    one = tables.pair_matrix(table, "deficit", order, mirrored=False)
    np.testing.assert_allclose(one, [[np.nan, np.nan, np.nan], [0.2, np.nan, 0.05], [0.4, np.nan, np.nan]])
    assert np.isnan(tables.pair_matrix(table, "deficit", order, "method_in_cl")).all()


def test_methods_that_connect_stand_together_and_lost_ones_last():
    near, far = 0.1, 3.0
    distance = np.full((5, 5), far)
    for i, j in ((0, 3), (1, 4)):
        distance[i, j] = distance[j, i] = near
    distance[2], distance[:, 2] = np.nan, np.nan
    order, tree = tables.method_order(distance, "abcde")
    assert order[-1] == "c" and {frozenset(order[:2]), frozenset(order[2:4])} == {frozenset("ad"), frozenset("be")}
    np.testing.assert_allclose(tree[:, 2], [near, near, far])
    assert tables.method_order(np.full((2, 2), np.nan), "ab")[1] is None
    assert tables.method_order(np.zeros((1, 1)), "a") == (["a"], None)


def test_a_curve_stands_beside_the_line_of_its_own_walk():
    walks = [*crossed(pairs=PAIRS[:1]), *crossed(pairs=PAIRS[:1], variant="full")]
    walks += made("method", 0.0, 0.02, "npo", PAIRS[:1], "bezier", "salun", "full")
    walks += made("method", 0.0, 0.3, "npo", PAIRS[:1], "bezier", "scrub", "full")
    walks += [*crossed("method_in_cl", PAIRS[:1])]
    walks += made("method_in_cl", 0.0, 0.02, "npo", PAIRS[:1], "bezier", "scrub")
    walks += made("method_in_so", 0.0, 0.02, "npo", PAIRS[:1], "bezier", "scrub")  # has no line
    table = tables.curves_table(walks[::-1])
    assert table["condition"].tolist() == ["method"] * 4 + ["method_in_cl"] * 2
    assert table["curve"].tolist() == ["linear", "bezier"] * 3
    assert ((table["low"] <= table["eps"]) & (table["eps"] <= table["high"])).all()
    assert tables.curves_text(table).splitlines() == [
        "- `method`, 2 pairs: joined by both 0, by the line only 1, by the quadratic curve only 1, by neither 0.",
        "- `method_in_cl`, 1 pairs: joined by both 1, by the line only 0, by the quadratic curve only 0, by neither 0.",
    ]
    assert "No pair" in tables.curves_text(tables.curves_table(crossed()))


def test_the_full_walks_are_held_against_the_coarse_ones():
    coarse = crossed(pairs=PAIRS[:1])
    full = [*made("method", 0.03, 0.05, "npo", PAIRS[:1], other="scrub", variant="full")]
    full += made("method", 0.01, 0.09, "npo", PAIRS[:1], other="salun", variant="full")
    table = tables.full_table([*coarse, *full])
    assert table.index.tolist() == ["npo - scrub", "npo - salun"]
    assert table["same verdict"].tolist() == [True, False]
    text = tables.full_text([*coarse, *full])
    assert "0.0200 G in the barrier and 0.1100 G in the deficit at most, and 1 verdicts" in text
    assert "No pair" in tables.full_text(coarse)


# Independent similarities


def test_holm_by_hand():
    np.testing.assert_allclose(tables.holm([0.01, 0.04, np.nan, 0.03]), [0.03, 0.06, np.nan, 0.06])
    np.testing.assert_allclose(tables.holm([0.9, 0.8]), [1, 1])
    assert np.isnan(tables.holm([np.nan])).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_step_down_rule_rejects(p):
    adjusted = tables.holm(p)
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
    table = tables.agreement_table(alike_as(goal), {"deficit": goal, "barrier": np.zeros((6, 6))})
    deficit, barrier = (table[table["target"] == name] for name in ("deficit", "barrier"))
    np.testing.assert_allclose(deficit["rho"], 1)
    assert (deficit["p"] < 0.05).all() and barrier["rho"].isna().all()
    np.testing.assert_allclose(deficit["p_holm"], np.minimum(6 * deficit["p"].min(), 1))
    assert tables.agreement_text(table).startswith("6 comparisons are tested: 6 have p < 0.05")
    opposite = tables.agreement_table(alike_as(1 - goal), {"deficit": goal})
    np.testing.assert_allclose(opposite["rho"], -1)
    assert tables.agreement_text(opposite).endswith("0 after the adjustment for 6 tests.")


def test_two_methods_are_too_few_to_agree():
    assert tables.agreement_table(alike_as(distances(2)), {"deficit": distances(2)})["p"].isna().all()


def test_levels_name_floor_and_ceiling():
    goal = distances(3)
    alike = alike_as(goal)
    n = 3
    for values in alike.values():
        values[0, n], values[:n, n + 1], values[:n, n + 2], values[n + 1, n + 2] = 0.9, (0.1, 0.2, 0.3), 0.4, 0.6
    table = tables.levels_table(alike, ["npo", "scrub", "salun"])
    between = 1 - goal[np.triu_indices(3, 1)]
    row = table.loc["agreement"]
    assert row["methods, mean"] == pytest.approx(between.mean(), abs=5e-4)
    assert row["methods, least alike"] == pytest.approx(between.min(), abs=5e-4)
    assert table.loc["js", "methods, least alike"] == pytest.approx((1 - between).max(), abs=5e-4)
    assert row[["two seeds of npo", "method and retrained, mean"]].tolist() == [0.9, 0.2]
    assert row[["method and original, mean", "retrained and original"]].tolist() == [0.4, 0.6]


def test_the_scatter_has_a_row_per_pair_and_similarity():
    goal = distances(3)
    table = tables.scatter_table(alike_as(goal), {"deficit": goal}, THREE)
    assert len(table) == 3 * len(SIMILARITIES)
    js = table[table["similarity"] == "js"]
    np.testing.assert_allclose(js["value"], js["deficit"])
    assert js[["method", "other"]].to_records(index=False).tolist() == list(combinations(THREE, 2))


# The cue


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
    table = tables.cue_table({("npo", "forgetting"): one}, {"forget": count, "test": count}, classes)
    half = 1.96 * examples.std() / np.sqrt(count)
    np.testing.assert_allclose(table["high"] - table["reliance"], half, atol=1e-7)
    np.testing.assert_allclose(table["reliance"] - table["low"], half, atol=1e-7)


EXAMPLES = {"forget": 900, "test": 2000}


def test_the_cue_is_followed_from_original_over_unlearned_to_retrained():
    found = {("npo", "forgetting"): use([0.9, 0.95, 0.2]), ("npo", "retraining"): use([0.2, 0.1, 0.0])}
    found |= {("scrub", "forgetting"): use([0.9, 0.85, 0.8]), ("scrub", "retraining"): use([0.8, 0.4, 0.0])}
    table = tables.cue_table(found, EXAMPLES, 10)
    one = table[(table["method"] == "npo") & (table["split"] == "test")]
    assert one["x"].tolist() == [0, 0.5, 1, 1, 1.5, 2]
    shown = tables.cue_shown(table)
    assert shown.index.tolist() == ["original", "retrained", "npo", "scrub"]
    assert shown.loc["npo", "forget images"].startswith("0.200 [0.174, 0.226]")
    text = tables.cue_text(table)
    assert "is 0.900 in the original and 0.000 in the retrained" in text
    assert "1 of 2 unlearned models are nearer the retrained one: npo." in text
    assert "0 of 2 methods pass a point" in text
    found["npo", "forgetting"] = use([0.9, 0.96, 0.2])
    assert "1 of 2 methods pass a point" in tables.cue_text(tables.cue_table(found, EXAMPLES, 10))


def test_a_cue_that_the_original_does_not_use_tells_nothing():
    found = {("npo", "forgetting"): use([0.02, 0.01, 0.0]), ("npo", "retraining"): use([0.0, 0.01, 0.01])}
    assert "does not use the cue here" in tables.cue_text(tables.cue_table(found, EXAMPLES, 10))


# Sizes of the forget set

SIZES = (0.02, 0.04, 0.06, 0.08, 0.10)


def sized(slope=2.0, start=0.1, method="npo", kind="linear", noise=0.001):
    """Walks whose deficit is ``start + slope * size``, a tenth higher for each further pair."""
    parts = []
    for size in SIZES:
        deficits = [start + slope * size + 0.1 * k for k in range(3)]
        parts += made("random", 0.01, deficits, method, kind=kind, variant=f"{size:g}", noise=noise)
    return parts


def test_sizes_have_rows_means_and_a_sentence():
    walks = [*sized(), *sized(kind="bezier"), *controls()]
    assert len(tables.size_pairs(walks)) == 30
    found = tables.size_summary(walks)
    assert len(found) == 2 * 5 * 3
    row = found[(found["curve"] == "bezier") & (found["size"] == 0.06) & (found["measure"] == "deficit")].iloc[0]
    assert row["estimate"] == pytest.approx(0.1 + 0.12 + 0.1)
    assert tables.sizes_text(walks) == (
        "30 walks: 5 sizes, 1 methods (npo), 3 pairs of seeds, lines and curves of 5 points."
    )


def test_a_straight_line_is_fitted_exactly_and_agrees_with_c4():
    walks = [*sized(slope=2.0), *sized(slope=-1.0, start=0.5, method="scrub"), *controls()]
    fits = tables.size_fits(walks)
    deficit = fits[fits["measure"] == "deficit"].set_index("method")
    assert deficit.loc["npo", "change"] == pytest.approx(0.16) and deficit.loc["scrub", "change"] == pytest.approx(
        -0.08
    )
    assert deficit.loc["npo", ["at_low", "at_high"]].tolist() == pytest.approx([0.1 + 0.04 + 0.1, 0.1 + 0.2 + 0.1])
    assert (deficit["low"] <= deficit["change"]).all() and (deficit["change"] <= deficit["high"]).all()
    np.testing.assert_allclose(fits[fits["measure"] == "barrier"]["change"], 0, atol=1e-12)
    assert deficit["change"].mean() == pytest.approx(c4(walks).effect)
    shown = tables.fits_shown(walks)
    assert shown.loc[("npo", "linear"), "change of the deficit"].startswith("0.160 [")


def test_the_interval_of_a_fit_is_over_pairs_and_examples():
    walks = sized(noise=0.5)
    row = tables.size_fits(walks).query("measure == 'deficit'").iloc[0]
    sizes = np.array(SIZES)
    weights = (sizes - sizes.mean()) / ((sizes - sizes.mean()) ** 2).sum() * 0.08
    groups = tables.grouped(walks, "original", "start", "end").values()
    again = np.array([weights @ np.array([w.replicates("deficit") for w in group]) for group in groups])
    expected = mean_interval([0.16] * 3, again, nodes=nodes_of(group[0] for group in groups))
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_one_size_alone_has_no_fit():
    walks = [w for w in sized() if w.variant == "0.02"]
    assert len(tables.size_fits(walks)) == len(tables.fits_shown(walks)) == 0
    assert len(tables.fits_shown(controls())) == len(tables.gap_table(controls(), 1000)) == 0


def test_the_unit_is_shown_beside_what_it_measures():
    walks = [*sized(slope=0.0), *sized(slope=0.0, method="scrub", kind="bezier")]
    half = [with_arrays(w, gap=1.0) if w.variant == "0.1" else w for w in walks]
    table = tables.gap_table(half, 9000)
    assert list(table.index) == [("npo", f"{k} %") for k in (2, 4, 6, 8, 10)]
    assert table["images"].tolist() == [180, 360, 540, 720, 900]
    assert table["G, nats"].tolist() == [2.0, 2.0, 2.0, 2.0, 1.0]
    assert table["deficit, nats"].tolist() == pytest.approx([0.4] * 5)  # the same in nats whatever the unit
    assert table["forget acc. %"].tolist() == [87.5] * 5
