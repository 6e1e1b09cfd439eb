"""The room `curriculum_and_order`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from made_claims import METHODS as METHODS_of_claims, SINGLE, both_ways, changed, judge, ours, twenty
from made_conditions import PAIRS, STUDENT, made, with_arrays
from made_figures_of_conditions import CROSSED, METHODS as METHODS_of_figures_of_conditions, SEEDS, crossing, figure
from made_worlds import Shape, World, walk as made_walk
from matplotlib.text import Text
from shorter import settings_in
from synthetic import RING, controls, walk

from mcutils.engine.study import study
from mcutils.errors import BadInput
from mcutils.measures.drawing import label
from mcutils.measures.originals import student
from mcutils.paper.curriculum_and_order import (
    PARTNER,
    PLACES,
    TUNED,
    along_table,
    answer_text,
    c5,
    c7,
    changes,
    changes_figure,
    changes_shown,
    changes_table,
    changes_text,
    closed,
    condition_summary,
    condition_table,
    conditions_figure,
    crossing_figure,
    curriculum,
    effect_of,
    ends_table,
    second_order,
    thinned,
    thinned_text,
    trained_table,
    variants_table,
)
from mcutils.paper.walks import SOME


def test_an_original_trained_otherwise_is_compared_with_the_plain_one_by_the_same_seeds():
    """By walks of the other room, of the plain form and of other conditions the table is not moved."""
    form, dips = "trained with superloss", {("random", "linear"): 0.1, ("cl-non_cl", "linear"): 0.4}
    dips |= {("cl-non_cl", "bezier"): 0.3, ("random", "bezier"): 0.05}

    def shape(labels):
        plain = 0.2 if labels["kind"] == "linear" else 0.02
        return Shape(dip=dips[labels["condition"], labels["kind"]] if labels["form"] == form else plain)

    fine, coarse_ = (World(shape, points=points, patterns="none", seed=points) for points in (31, 11))
    walks = []
    for original in range(3):
        for kind in ("linear", "bezier"):
            walks.append(made_walk(fine, method="npo", kind=kind, original=original, form=""))
            for condition in ("random", "cl-non_cl", "fo-so"):
                for other in ("", "tuned", "trained with sophia_g", form):
                    if (condition, kind) in dips and condition != "random" or other == form and condition != "fo-so":
                        labels = {"method": "npo", "kind": kind, "original": original, "condition": condition}
                        walks.append(made_walk(coarse_, **labels, form=other))
    table = trained_table([w for w in walks if w.form != "trained with sophia_g"], "cl-non_cl")
    places = [(ends, kind) for kind in ("linear", "bezier") for ends in (f"both {form}", f"plain, {form}")]
    assert sorted(table.index) == sorted(places) and set(table["originals"]) == {3}
    for ends, kind in places:
        condition = "random" if ends.startswith("both") else "cl-non_cl"
        ours, base = (
            [w for w in walks if (w.kind, w.condition, w.form) == place]
            for place in ((kind, condition, form), (kind, "random", ""))
        )
        found = student([a.eps - b.at(11).eps for a, b in zip(ours, base, strict=True)])
        assert table.loc[(ends, kind), "change"] == "{:.3f} [{:.3f}, {:.3f}]".format(*found)
        assert found.estimate == pytest.approx(dips[condition, kind] - (0.2 if kind == "linear" else 0.02), abs=0.06)
    assert trained_table([w for w in walks if not w.aside], "cl-non_cl").empty


def test_pairs_without_the_least_difference_decide_no_claim():
    base = [walk("npo", 0.0, 0.3, pair=p, noise=0) for p in SINGLE]
    same = [replace(w, condition="cl-non_cl") for w in base]
    found = c5([*base, *same, *controls()])
    assert (found.effect, found.low, found.high, found.verdict) == (0, -np.inf, np.inf, "undecided")


@pytest.mark.parametrize("true", [0.1, -0.1])
def test_a_change_at_the_edge_is_seldom_decided(true):
    """Three pairs of seeds, whose changes differ by chance: 5 % of studies may come to either conclusion.

    From the extremes of three alone it would be a quarter of them.
    """
    rng = np.random.default_rng(1)
    base = walk("npo", 0.5, noise=1e-6).profile
    decided = []
    for _ in range(300):
        walks = controls()
        for pair, change in zip(SINGLE[:3], rng.normal(true, 0.02, 3), strict=True):
            other = walk("npo", 0.5 + change, noise=1e-6).profile
            labels = {"method": "npo", "kind": "linear", "start": pair[0], "end": pair[1]}
            walks += [type(walks[0])(**labels, profile=base)]
            walks += [type(walks[0])(**labels, profile=other, condition="cl-non_cl")]
        decided.append(c5(walks).verdict != "undecided")
    assert 0.005 < np.mean(decided) < 0.08


@pytest.mark.parametrize("claim", ["C5", "C6"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [(0.3, "supported"), (-0.3, "supported"), (0.0, "contradicted"), (0.1, "undecided"), (-0.1, "undecided")],
)
def test_a_change_of_eps_is_that_beside_the_same_two_seeds(claim, change, expected):
    condition = {"C5": "cl-non_cl", "C6": "fo-so"}[claim]
    found = judge(claim, changed(change, condition))
    assert found.effect == pytest.approx(change, abs=1e-12)
    assert (found.verdict, found.n_pairs, found.n_seeds) == (expected, len(METHODS_of_claims) * len(RING) * 2, 5)


@pytest.mark.parametrize(("claim", "condition"), [("C5", "cl-non_cl"), ("C6", "fo-so")])
def test_changes_are_between_walks_of_one_pair_and_curve_and_nothing_else(claim, condition):
    walks, values = changed(0.3, condition), changes(changed(0.3, condition), condition)
    assert all(v == pytest.approx(0.3) for _, v, _ in values)
    for w, value, replicates in values:
        np.testing.assert_allclose(replicates, value, atol=0.01)
        assert (w.condition, replicates.shape) == (condition, (60,))
    others = [replace(w, form="soul") for w in ours(changed(0.9, condition, base=0.0))]
    others += [walk("npo", 5.0, pair=(1, 2), condition=condition), walk("npo", 5.0, pair=(1, 2), kind="bezier")]
    others += ours(changed(0.7, "random_in_cl")) + [walk("npo", float("nan"), pair=RING[0], condition=condition)]
    for mixed_up in (
        walks + others[:-1],
        others[:-1] + walks,
        others[-2::-1] + walks[::-1],
        walks[::-1] + others[-2::-1],
    ):
        assert judge(claim, mixed_up).effect == pytest.approx(0.3)
    lost = judge(claim, walks + others[-1:])
    assert (lost.effect, lost.n_pairs) == (pytest.approx(0.3), len(values) - 1)


def test_c7_is_the_rarer_of_help_and_harm():
    """Of six methods two are helped, one is harmed, one changes too little, and two are not changed."""
    effect = dict(zip(METHODS_of_claims, (-0.2, -0.06, 0.2, 0.04, 0.0, 0.0), strict=True))
    walks = both_ways(lambda m, k, p: effect[m], kinds=("linear", "bezier"))
    found = judge("C7", walks)
    assert found.effect == pytest.approx(1 / 6)
    assert (found.n_pairs, found.n_seeds) == (6 * 2 * 2 * 5, 5)
    mirrored = judge("C7", both_ways(lambda m, k, p: -effect[m], kinds=("linear", "bezier")))
    assert mirrored.effect == found.effect
    assert judge("C7", both_ways(lambda m, k, p: 0.0)).effect == 0


def test_c7_takes_the_mean_over_the_pairs_of_a_context():
    """One pair of five rises by 0.3 in every method, which is 0.06 on average."""
    rises = judge("C7", both_ways(lambda m, k, p: (0.3 if m == "npo" else -0.3) if p == RING[0] else 0.0))
    assert rises.effect == pytest.approx(1 / 6)
    below = judge("C7", both_ways(lambda m, k, p: (0.2 if m == "npo" else -0.3) if p == RING[0] else 0.0))
    assert below.effect == 0


def test_c7_needs_only_one_of_the_two_conditions():
    half = changed(lambda m, k, p: 0.2 if METHODS_of_claims.index(m) % 2 else -0.2, "fo-so", kinds=("linear",))
    found = judge("C7", half)
    assert (found.effect, found.n_pairs) == (0.5, len(METHODS_of_claims) * len(RING))


def test_c7_counts_the_contexts_of_one_method_as_one():
    """Curves and conditions of a method have its endpoints in common: four of each are not four times the evidence."""
    methods = twenty(count=8)
    change = lambda m, k, p: 0.2 if int(m[1:]) % 2 else -0.2  # noqa: E731
    once = judge("C7", changed(change, "fo-so", methods=methods, kinds=("linear",)))
    more = judge("C7", both_ways(change, methods=methods, kinds=("linear", "bezier")))
    assert once.effect == more.effect == 0.5
    assert more.high - more.low > 0.8 * (once.high - once.low)


METHODS = ("npo", "scrub")


def one_of_each(condition="random"):
    """Walks that every table must leave out: controls, a collapsed one, a variant."""
    lost = made(condition, 9.0, 9.0, collapsed=("t = 0: chance",))
    return [*controls(), *lost, *made(condition, 7.0, 7.0, form="superloss_authors")]


def test_conditions_have_a_row_per_sound_walk_without_controls_and_variants():
    walks = [*made("cl-non_cl", 0.2, 0.05), *made("random", 0.0, 0.1), *one_of_each("cl-non_cl")]
    table = condition_table(walks, ("random", "cl-non_cl"))
    assert table["condition"].tolist() == ["random"] * 3 + ["cl-non_cl"] * 3
    assert table["pair"].tolist()[:3] == ["0: 42-87", "0: 21-100", "1: 42-87"]
    np.testing.assert_allclose(table["eps"], [0.1] * 3 + [0.2] * 3)
    assert table["connected"].tolist() == [True] * 3 + [False] * 3


def test_the_summary_holds_means_with_intervals_per_context():
    walks = []
    for method, kind in product(METHODS, ("linear", "bezier")):
        walks += made("random", (0.1, 0.2, 0.3), 0.05, method=method, kind=kind)
    found = condition_summary([*walks, *one_of_each()], ("random", "fo-so"))
    assert len(found) == 2 * 2 * 3 and set(found["n"]) == {3}
    row = found[(found["method"] == "scrub") & (found["curve"] == "bezier") & (found["measure"] == "barrier")].iloc[0]
    assert row["estimate"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == pytest.approx((0.0, 0.2 + 0.1 * STUDENT))


@pytest.mark.parametrize(
    ("change", "word"),
    [(-0.3, "helps"), (-0.05, "helps"), (-0.049, "neither"), (0.0, "neither"), (0.05, "harms"), (np.nan, "neither")],
)
def test_a_change_helps_or_harms_from_a_twentieth_on(change, word):
    assert effect_of(change) == word


def test_changes_are_paired_and_clear_only_if_the_interval_agrees():
    walks = [*made("random", 0.0, (0.1, 0.2, 0.3)), *made("cl-non_cl", 0.0, (0.3, 0.4, 0.5))]
    walks += [*made("random", 0.0, 0.2, method="scrub"), *made("cl-non_cl", 0.0, (0.0, 0.2, 0.6), method="scrub")]
    found = changes_table([*walks, *one_of_each("cl-non_cl")], ["cl-non_cl"]).set_index("method")
    assert found.loc["npo", "change"] == pytest.approx(0.2) and found.loc["npo", "low"] > 0.19
    assert (found.loc["npo", "effect"], bool(found.loc["npo", "clear"])) == ("harms", True)
    assert found.loc["scrub", "change"] == pytest.approx(0.2 / 3)
    assert (found.loc["scrub", "effect"], bool(found.loc["scrub", "clear"])) == ("harms", False)
    assert changes_text(found.reset_index()) == (
        "- `cl-non_cl`, 2 contexts of one method and curve: helps in 0 (0 of them by the whole interval), harms in 2 "
        "(1 of them by the whole interval), neither in 0 (0 of them by the whole interval)."
    )


def test_the_mean_change_is_the_effect_of_c5_and_the_rarer_side_that_of_c7():
    walks = controls()
    for k, (method, kind) in enumerate(product(METHODS, ("linear", "bezier"))):
        walks += made("random", 0.0, 0.2, method, kind=kind)
        walks += made("cl-non_cl", 0.0, 0.1 + 0.1 * k, method, kind=kind)
    found = changes_table(walks, ["cl-non_cl"])
    assert found["change"].mean() == pytest.approx(c5(walks).effect)
    counts = found["effect"].value_counts()
    assert min(counts["helps"], counts["harms"]) / len(found) == c7(walks).effect == 0.25


def test_a_pair_without_its_counterpart_has_no_change():
    walks = [*made("random", pairs=PAIRS[:2]), *made("fo-so", 0.2), *made("fo-so", 0.2, method="scrub")]
    found = changes_table(walks, ["fo-so"])
    assert found["method"].tolist() == ["npo"] and found["n"].tolist() == [2]


def test_changes_are_shown_beside_what_they_are_changes_of():
    walks = [*made("random", 0.0, 0.1, noise=0), *made("fo-so", 0.0, (0.2, 0.3, 0.4), noise=0)]
    shown = changes_shown(walks, "fo-so").loc[("npo", "linear")]
    assert shown["eps, random"] == "0.100 [0.100, 0.100]"
    assert shown["eps, fo-so"] == "0.300 [0.052, 0.548]" and shown["change"] == "0.200 [-0.048, 0.448]"
    assert shown["effect"] == "harms?" and shown["pairs"] == 3
    rough = [np.median([w.roughness for w in walks if w.condition == c]) for c in ("random", "fo-so")]
    assert [float(text) for text in shown["roughness"].split(" to ")] == pytest.approx(rough, rel=0.05)


def test_no_walk_at_all_gives_empty_tables_and_words():
    walks = controls()
    assert len(condition_table(walks, ("random",))) == len(condition_summary(walks, ("random",))) == 0
    assert len(changes_shown(walks, "fo-so")) == len(ends_table(walks, "fo-so")) == 0
    assert len(along_table(walks, ("random",))) == len(variants_table(walks, "fo-so")) == 0
    assert "No pair" in changes_text(changes_table(walks, ["fo-so"]))
    assert thinned_text(walks) == "All walks have no points."


def test_the_ends_are_compared_with_those_of_two_seeds():
    near, far = made("random"), [with_arrays(w, geometry__distance=6.0) for w in made("cl-non_cl")]
    row = ends_table([*near, *far, *one_of_each("cl-non_cl")], "cl-non_cl").loc["npo"]
    assert (row["curriculum: forget %"], row["none: forget %"]) == ("90.0", "85.0")
    assert (row["curriculum: test %"], row["none: test %"]) == ("90.0", "85.0")
    assert (row["distance"], row["of two seeds'"]) == ("6.00", "2.00 [2.00, 2.00]")
    assert (row["cosine"], row["cosine, two seeds"]) == ("0.250", "0.250")
    assert "curriculum: forgot, G" not in row
    known = [levelled(w, forget=(1.2, 1.4)) for w in (*near, *far)]  # the ends' losses are 0.2 and 0.3, G is 2
    row = ends_table(known, "cl-non_cl").loc["npo"]
    assert (row["curriculum: forgot, G"], row["none: forgot, G"]) == ("0.45", "0.50")


def levelled(one, forget=(0.1, 0.2), retain=(0.1, 0.1)):
    """The walk beside the levels of two retrained models."""
    levels = {"loss_retain": retain, "loss_forget": forget, "accuracy_retain": (1, 1), "accuracy_forget": (0.9, 0.9)}
    return replace(one, profile=one.profile.with_levels({name: np.array(v, float) for name, v in levels.items()}))


def test_how_much_an_end_forgot_is_told_in_g():
    walks = [levelled(w, forget=(1.2, 1.4)) for w in made("cl-non_cl")]
    np.testing.assert_allclose(closed(walks), [1 - 1.1 / 2, 1 - 1.0 / 2])


def crossing_walks():
    """NPO crosses with a barrier on one pair of three, SCRUB with deficits alone, two seeds with one deficit of six."""
    walks = [*made("random", 0.0, (0.0, 0.0, 0.3)), *made("random", method="scrub")]
    walks += [*made("cl-non_cl", (0.0, 0.02, 0.3)), *made("cl-non_cl", 0.0, (0.1, 0.2, 0.6), method="scrub")]
    walks += [*made("cl-non_cl", 9.0, kind="bezier", pairs=PAIRS[:1]), *one_of_each("cl-non_cl")]
    return walks


def test_the_answer_counts_lines_beside_two_seeds_and_beside_the_retrained_models(laptop):
    """The lowest losses of SCRUB are 0.05, -0.15 and -0.95; the level is -0.3, and G is 2."""
    routes = [r for r in curriculum(laptop) if r.method in ("npo", "scrub", "salun")]
    walks = [levelled(w, forget=(-0.2, -0.4)) for w in crossing_walks()]
    expected, found, so = answer_text(routes, walks, "cl-non_cl").split("\n\n")
    assert expected.startswith("**Expected.** If the curriculum leads into another basin")
    assert "0.1 G stands on 1 of 6 lines across and on 0 of 6" in found and "over 0.1 G on 2 and 1." in found
    assert "In 1 of 2 contexts" in found and "in 0 it falls so" in found
    assert "Of the 2 lines across with a deficit 1 fall that far below the level" in found
    assert so.startswith("**So.** Retain barriers across: NPO (1 of 3).") and "forgot less" not in so
    assert "learning rates" not in so  # SalUn has two, but was not walked
    wider = answer_text(routes, walks, "cl-non_cl", 0.5)
    assert "on 0 of 6 lines across" in wider and "No line across has a retain barrier." in wider


def test_ends_that_hardly_unlearned_and_other_learning_rates_are_named(laptop):
    routes = curriculum(laptop)
    walks = [levelled(w, forget=(-0.2, -0.4)) for w in (*made("random"), *made("cl-non_cl", 0.0, 0.4))]
    few = [levelled(w, (1.3, 1.3)) for w in (*made("random", method="salun"), *made("cl-non_cl", method="salun"))]
    so = answer_text(routes, [*walks, *few], "cl-non_cl").split("\n\n")[-1]
    assert "differ in SalUn (0.008 and 0.004): there the curriculum" in so
    assert "Ends that forgot less than half of G: SalUn (with curriculum, 0.45 G)." in so
    assert "is 0.400 [" in so and "with them 0.200 [" in so
    order = [replace(w, condition="fo-so") if w.condition != "random" else w for w in (*walks, *few)]
    assert "learning rates" not in answer_text(second_order(laptop), order, "fo-so"), "of two optimisers do not compare"


def test_variants_stand_below_the_lines_of_their_own_method():
    walks = [*made("random", 0.0, 0.1), *made("fo-so", 0.0, 0.2), *made("fo-so", 0.0, 0.4, form="soul")]
    walks += [*made("random", method="scrub"), *made("fo-so", kind="bezier")]
    found = variants_table(walks, "fo-so")
    assert list(found.index) == [("npo", "random", "as above"), ("npo", "fo-so", "as above"), ("npo", "fo-so", "soul")]
    assert [v.split()[0] for v in found["eps"]] == ["0.100", "0.200", "0.400"]
    forms = [w for w in walks if w.method == "npo" and w.form]
    assert float(found["roughness"].iloc[-1]) == pytest.approx(forms[0].roughness, rel=0.05)


def test_a_walk_can_be_read_at_fewer_of_its_points():
    one = walk("npo", 0.2, 0.4)
    assert thinned(one, 5) == pytest.approx((0.2, 0.4))
    assert thinned(one, 3) == pytest.approx((0.2, 0.4))
    assert thinned(one, 2) == pytest.approx((0.0, 0.0))


def test_what_coarse_reading_costs_is_told():
    gap = 2.0
    early = 0.2 - gap * np.array([0, 0.4, 0.3, 0, 0])  # its dip of 0.4 G is at t = 0.25, where three points see nothing
    fine = with_arrays(walk("npo", 0.0, 0.4, gap=gap), curve__loss_forget=early)
    coarse = walk("npo", pair=(21, 100))
    kept = {n: v[::2] for n, v in coarse.profile.arrays.items() if n.startswith("curve/")}
    coarse = with_arrays(coarse, t=coarse.profile.t[::2], **{n.replace("/", "__"): v for n, v in kept.items()})
    text = thinned_text([fine, coarse])
    assert "1 walks have 5 points and 1 have 3" in text and "falls by 0.100 G at most" in text
    assert thinned_text([fine]) == "All walks have 5 points."


def test_excesses_along_the_path_keep_pairs_of_two_originals_apart():
    table = along_table([*made("random", 0.2, 0.4), *one_of_each()], ("random",))
    assert table["pair"].unique().tolist() == ["0: 42-87", "0: 21-100", "1: 42-87"]
    one = table[table["pair"] == "1: 42-87"]
    np.testing.assert_allclose(one["retain_excess"], [0, 0.1, 0.2, 0.1, 0], atol=1e-12)
    np.testing.assert_allclose(one["forget_excess"], [0, -0.2, -0.4, -0.2, 0], atol=1e-12)


def texts(fig):
    return [item.get_text() for item in fig.findobj(Text)]


def test_nothing_to_draw_is_one_clear_sentence():
    with pytest.raises(BadInput, match="there are no rows to draw"):
        conditions_figure(condition_table([], CROSSED), condition_summary([], CROSSED), CROSSED)
    with pytest.raises(BadInput, match="no walks of fo-so"):
        crossing_figure(along_table(crossing(METHODS_of_figures_of_conditions[:1]), ("random",)), "fo-so")
    with pytest.raises(BadInput, match="lacks the columns low, high"):
        changes_figure(
            changes_table(crossing(METHODS_of_figures_of_conditions[:1]), CROSSED[1:]).drop(columns=["low", "high"])
        )


def test_every_pair_mean_and_interval_of_every_condition_is_drawn():
    fig = figure("conditions")
    assert len(fig.axes) == 4
    ax = fig.axes[1]  # deficits of lines
    dots = [
        x for line in ax.get_lines() if line.get_marker() == "o" and line.get_markersize() < 3 for x in line.get_xdata()
    ]
    rows = condition_table(crossing(), CROSSED)
    np.testing.assert_allclose(sorted(dots), sorted(rows[rows["curve"] == "linear"]["deficit"]))
    summary = condition_summary(crossing(), CROSSED).query("curve == 'linear' and measure == 'deficit'")
    for (_, marker), condition in zip(PLACES, CROSSED, strict=False):
        means = [line for line in ax.get_lines() if line.get_marker() == marker and line.get_markersize() == 5]
        expected = summary[summary["condition"] == condition]["estimate"]
        np.testing.assert_allclose([float(line.get_xdata()[0]) for line in means], expected)
    assert {"two seeds", "both with curriculum", "curriculum – none", "one pair"} <= set(texts(fig))
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == [label(m) for m in METHODS_of_figures_of_conditions]


def test_changes_show_their_sign_and_what_counts_as_neither():
    fig = figure("changes")
    assert len(fig.axes) == 2
    low, high = fig.axes[0].get_xlim()
    found = changes_table(crossing(), CROSSED[1:])
    assert low < found["low"].min() < 0 < found["high"].max() < high
    assert any("−0.1" == text for text in texts(fig)) and "neither (within 0.05 G)" in texts(fig)
    spans = [p for p in fig.axes[0].patches if np.isclose(p.get_width(), 0.1)]
    assert spans and np.isclose(spans[0].get_x(), -0.05)


def test_the_crossing_is_solid_and_two_seeds_are_dotted():
    fig = figure("paths")
    assert sum(ax.axison for ax in fig.axes) == 2 * len(METHODS_of_figures_of_conditions)
    ax = fig.axes[0]  # forget loss of the first method
    thick = [line for line in ax.get_lines() if line.get_linewidth() == 2.2]
    thin = [line for line in ax.get_lines() if line.get_linewidth() == 0.7]
    assert len(thick) == 2 and len(thin) == 2 * len(SEEDS)
    along = along_table(crossing(), ("random", "cl-non_cl")).query(
        "method == @METHODS_of_figures_of_conditions[0] and curve == 'linear'"
    )
    for condition, wanted in (
        ("cl-non_cl", thick[0]),
        ("random", next(v for v in ax.get_lines() if v.get_lw() == 1.6)),
    ):
        mean = along[along["condition"] == condition].groupby("t")["forget_excess"].mean()
        np.testing.assert_allclose(wanted.get_ydata(), mean)


EIGHT = """
[methods.npo]
lr = 1.0
optimizers.sophia_g.lr = 0.25
curricula.superloss.lr_scale = 1
[methods.scrub]
lr = 2.0
optimizers.sophia_g.lr = 2.0
curricula.superloss.lr_scale = 0.5
"""


@pytest.fixture
def eight(tmp_path, monkeypatch):
    """The study `eight` with two methods and made-up settings."""
    store, methods = str(tmp_path / "store"), ["npo", "scrub"]
    with settings_in(tmp_path, monkeypatch, EIGHT):
        yield study("eight", store=store, fresh=True, methods=methods, quickstart_method="npo")


@pytest.mark.parametrize(
    ("routes", "condition", "method", "rates"),
    [
        (curriculum, "cl-non_cl", "scrub", (TUNED, 2.0, 2.0, 1.0)),
        (second_order, "fo-so", "npo", (PARTNER, 1.0, 0.25, 1.0)),
    ],
)
def test_a_second_row_has_the_other_rate_where_it_is_another(eight, routes, condition, method, rates):
    """Of the curriculum the tuned one, of second order the partner's, where that is the exception."""
    name, usual, *changed = rates
    found = [r for r in routes(eight) if r.condition == condition]
    first, second = ([r for r in found if r.form == form] for form in ("", name))
    assert {r.method for r in first} == {"npo", "scrub"} and {r.method for r in second} == {method}
    assert {r.original for r in second} == set(range(SOME)) and len(second) == SOME
    assert {r.points for r in second} == {11} and {(r.points, r.full) for r in first} == {(11, False), (0, True)}
    for row, rate in zip((first, second), changed, strict=True):
        for r in (r for r in row if r.method == method):
            ends = [r.path.start, r.path.end]
            other = [e.settings.plan.lr for e in ends if (e.curriculum, e.optimizer) != ("none", "adamw")]
            plain = [e.settings.plan.lr for e in ends if (e.curriculum, e.optimizer) == ("none", "adamw")]
            assert other == [rate] and plain == [usual]
    # No path is walked twice on one grid under two labels: copies would decide nothing.
    paths = [(r.path, r.full) for r in found]
    assert len(set(paths)) == len(paths)
    inside = [r for r in routes(eight) if r.condition.startswith("random_in") and r.method == method]
    assert inside and all(e.settings.plan.lr == changed[0] for r in inside for e in (r.path.start, r.path.end))


def test_presets_without_draws_have_no_second_row(laptop):
    assert not {TUNED, PARTNER} & {r.form for routes in (curriculum, second_order) for r in routes(laptop)}


def test_walks_at_a_tuned_rate_are_in_no_statistic_of_the_first_row():
    walks = changed(0.3, "cl-non_cl")
    more = [replace(w, form=TUNED, profile=walk("npo", 5.0).profile) for w in walks if w.condition == "cl-non_cl"]
    assert c5([*walks, *more]).effect == c5(walks).effect == pytest.approx(0.3)
