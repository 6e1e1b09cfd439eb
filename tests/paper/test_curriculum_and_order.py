"""The room `curriculum_and_order`: its routes, its tables and figures on made-up walks."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from made_conditions import admissible, with_arrays
from made_figures_of_conditions import CROSSED, METHODS as METHODS_of_figures_of_conditions, crossing, figure
from made_worlds import Shape, World, controlled, walk as made_walk, world
from matplotlib.text import Text
from shorter import settings_in
from synthetic import controls

from mcutils.engine.study import study
from mcutils.errors import BadInput
from mcutils.measures.drawing import label
from mcutils.measures.originals import student
from mcutils.paper.admission import reasons
from mcutils.paper.curriculum_and_order import (
    PARTNER,
    PLACES,
    TUNED,
    along_table,
    answer_text,
    changes_figure,
    changes_shown,
    changes_table,
    changes_text,
    closed,
    condition_summary,
    condition_table,
    conditions_figure,
    counted_text,
    crossing_figure,
    curriculum,
    effect_of,
    ends_table,
    failing_across,
    plain_walks,
    roughest,
    second_order,
    thinned_text,
    trained_table,
    variants_table,
)
from mcutils.paper.declared import c5, shift
from mcutils.paper.panels import FAILING
from mcutils.paper.trial_ledger import judge_room
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


METHODS = ("npo", "scrub")
LOST = (0.2, 0.2)  # ends that did not forget


def left_out(condition="random"):
    """Walks that every table must leave out: controls, other forms, walks traced once more at all points, asides."""
    others = ({"form": "superloss_authors"}, {"full": True}, {"form": "second pair"})
    return [*controls(), *(w for other in others for w in admissible(condition, 7.0, 7.0, **other))]


def test_conditions_have_a_row_per_walk_and_say_whether_verdicts_read_it():
    walks = [*admissible("cl-non_cl", 0.2, 0.05), *admissible("random", 0.0, 0.1, points=31)]
    walks += admissible("cl-non_cl", 0.0, 0.3, "scrub", ends=LOST)
    table = condition_table([*walks, *left_out("cl-non_cl")], ("random", "cl-non_cl"))
    assert table["condition"].tolist() == ["random"] * 3 + ["cl-non_cl"] * 6
    assert table["pair"].tolist()[:3] == ["0: 42-87", "1: 42-87", "2: 42-87"]
    np.testing.assert_allclose(table["eps"], [0.1] * 3 + [0.2] * 3 + [0.3] * 3)
    assert table["read"].tolist() == [True] * 6 + [False] * 3
    assert "read" not in condition_table([replace(w, control="") for w in controls()], ("random",))


def test_the_summary_holds_means_over_originals_of_what_is_read():
    walks = []
    for method, kind in product(METHODS, ("linear", "bezier")):
        walks += admissible("random", (0.1, 0.2, 0.3), 0.05, method, kind)
    walks += [replace(w, original=w.original + 3) for w in admissible("random", 5.0, 0.0, "scrub", "bezier", LOST)]
    found = condition_summary([*walks, *left_out()], ("random", "fo-so"))
    assert len(found) == 2 * 2 * 3 and set(found["n"]) == {3}
    row = found[(found["method"] == "scrub") & (found["curve"] == "bezier") & (found["measure"] == "barrier")].iloc[0]
    mean, _, high = student([0.1, 0.2, 0.3])
    assert tuple(row[["estimate", "low", "high"]]) == pytest.approx((mean, 0.0, high))


@pytest.mark.parametrize(
    ("change", "word"),
    [(-0.3, "helps"), (-0.05, "helps"), (-0.049, "neither"), (0.0, "neither"), (0.05, "harms"), (np.nan, "neither")],
)
def test_a_change_helps_or_harms_from_a_twentieth_on(change, word):
    assert effect_of(change) == word


def test_changes_are_paired_and_clear_only_if_the_interval_agrees():
    walks = [*admissible("random", 0.0, (0.1, 0.2, 0.3)), *admissible("cl-non_cl", 0.0, (0.3, 0.4, 0.5))]
    walks += [*admissible("random", 0.0, 0.2, "scrub"), *admissible("cl-non_cl", 0.0, (0.0, 0.2, 0.6), "scrub")]
    walks += left_out("cl-non_cl")
    found = changes_table(walks, ["cl-non_cl"]).set_index("method")
    assert found.loc["npo", "change"] == pytest.approx(0.2) and found.loc["npo", "low"] > 0.17
    assert (found.loc["npo", "effect"], bool(found.loc["npo", "clear"]), found.loc["npo", "n"]) == ("harms", True, 3)
    assert found.loc["scrub", "change"] == pytest.approx(0.2 / 3)
    assert (found.loc["scrub", "effect"], bool(found.loc["scrub", "clear"])) == ("harms", False)
    assert changes_text(found.reset_index()) == (
        "- `cl-non_cl`, 2 contexts of one method and curve: helps in 0, harms in 2 (1 of them by the whole interval), "
        "neither in 0."
    )
    told = "rises by 0.05 G or more on **4 of 6 paths** and falls by as much on 1."
    assert counted_text(walks, ["cl-non_cl"]).startswith("- curriculum – none (`cl-non_cl`)")
    assert counted_text(walks, ["cl-non_cl"]).endswith(told)


def test_the_gate_reads_a_walk_at_all_its_points_and_tables_at_as_many_as_the_others():
    """A step between two of eleven points looks like noise there, not on the fine grid."""
    walks = admissible("random", 0.0, 0.2, points=31)
    retain = walks[0].profile.connectivity.curves["loss_retain"].copy()
    retain[13:17] += 0.3 * walks[0].profile.gap * np.array([0.8, 1.0, 0.7, 0.3])
    walks[0] = with_arrays(walks[0], curve__loss_retain=retain)
    assert reasons(walks[0].at(11)) and not reasons(walks[0])
    table = condition_table(walks, ("random",))
    assert table["read"].all() and plain_walks(walks, ("random",)) == walks
    assert table["barrier"][0] == pytest.approx(walks[0].at(11).barrier) != pytest.approx(walks[0].barrier, abs=1e-3)
    assert condition_summary(walks, ("random",))["n"].tolist() == [3, 3, 3]


def test_ends_that_fail_the_gate_have_no_change():
    walks = [*admissible("random", 0.0, 0.1), *admissible("fo-so", 0.0, 0.4, ends=(1.2, 0.2))]
    assert changes_table(walks, ["fo-so"]).empty and failing_across(walks, "fo-so") == ["npo"]
    assert failing_across(walks, "random") == []


def test_the_mean_change_is_the_effect_of_c5_and_e4():
    walks = world(
        controlled(lambda labels: Shape(dip=0.1 * (labels["condition"] != "random"))), ("random", "cl-non_cl")
    )
    found = changes_table(walks, ["cl-non_cl"])
    assert found["change"].mean() == pytest.approx(c5(walks).effect.estimate)
    inside = [replace(w, condition="random_in_cl") if w.condition == "cl-non_cl" else w for w in walks]
    assert changes_table(inside, ["random_in_cl"])["change"].mean() == pytest.approx(
        shift(inside, "random_in_cl").effect.estimate
    )
    names = [one.row.name for one in judge_room({"03_curriculum": inside}, ("C5", "E4"))]
    assert names == ["C5", "E4 curriculum"]


def test_a_pair_without_its_counterpart_has_no_change():
    walks = [*admissible("random")[:2], *admissible("fo-so", 0.2), *admissible("fo-so", 0.2, method="scrub")]
    found = changes_table(walks, ["fo-so"])
    assert found["method"].tolist() == ["npo"] and found["n"].tolist() == [2]


def test_changes_are_shown_beside_what_they_are_changes_of():
    walks = [*admissible("random", 0.0, 0.1), *admissible("fo-so", 0.0, (0.2, 0.3, 0.4))]
    shown = changes_shown([*walks, *left_out("fo-so")], "fo-so").loc[("npo", "linear")]
    assert (shown["eps, random"], shown["eps, fo-so"], shown["change"]) == ("0.100", "0.300", "0.200 [-0.048, 0.448]")
    assert shown["effect"] == "harms?" and shown["originals"] == 3
    rough = [np.median([w.roughness for w in walks if w.condition == c]) for c in ("random", "fo-so")]
    assert [float(text) for text in shown["roughness"].split(" to ")] == pytest.approx(rough, rel=0.05)
    assert rough == pytest.approx([0.8**2, 2.4**2], rel=0.01)  # parabolas


def test_no_walk_at_all_gives_empty_tables_and_words():
    walks = controls()
    assert len(condition_table(walks, ("random",))) == len(condition_summary(walks, ("random",))) == 0
    assert len(changes_shown(walks, "fo-so")) == len(ends_table(walks, "fo-so")) == 0
    assert len(along_table(walks, ("random",))) == len(variants_table(walks, "fo-so")) == 0
    assert "No pair" in changes_text(changes_table(walks, ["fo-so"]))
    assert thinned_text(walks) == "All walks have no points."
    assert "Verdicts read no line across" in answer_text([], walks, "fo-so")


def test_the_ends_are_compared_with_those_of_two_seeds():
    near = admissible("random", points=31)
    far = [with_arrays(w, geometry__distance=6.0) for w in admissible("cl-non_cl", ends=(0.4, 1.5))]
    row = ends_table([*near, *far, *left_out("cl-non_cl")], "cl-non_cl").loc["npo"]
    assert (row["read"], row["curriculum: forgot, G"], row["none: forgot, G"]) == ("0 of 3", "0.40", "1.50")
    level = np.mean([100 * w.profile.connectivity.curves["accuracy_forget"][0] for w in far])
    assert row["curriculum: forget %"] == f"{level:.1f}"
    assert (row["distance"], row["of two seeds'"]) == ("6.00", "2.00 [2.00, 2.00]")
    assert (row["cosine"], row["cosine, two seeds"]) == ("0.250", "0.250")
    np.testing.assert_allclose(closed(far), (0.4, 1.5), atol=1e-9)


def crossing_walks():
    """Of NPO one line in three has a barrier across, of SCRUB two dip, of SalUn no end forgot; two seeds dip once."""
    walks = [*admissible("random", 0.0, (0.0, 0.0, 0.25)), *admissible("random", method="scrub")]
    walks += [*admissible("cl-non_cl", (0.0, 0.02, 0.3)), *admissible("cl-non_cl", 0.0, (0.05, 0.15, 0.6), "scrub")]
    walks += admissible("cl-non_cl", 0.0, 0.9, "salun", ends=LOST)
    return [*walks, *admissible("cl-non_cl", 9.0, kind="bezier")[:1], *left_out("cl-non_cl")]


def test_the_answer_counts_the_lines_that_are_read_by_every_reading(laptop):
    """Retrained models stand at 1 G and the ends at 1.2 G, so only a dip of more than 0.3 G goes 0.1 G below both."""
    routes = [r for r in curriculum(laptop) if r.method in ("npo", "scrub", "salun")]
    expected, found, so = answer_text(routes, crossing_walks(), "cl-non_cl").split("\n\n")
    assert expected.startswith("**Expected.** If the curriculum leads into another basin")
    assert "A retain barrier of more than 0.1 G stands on 1 of 6 lines across and on 0 of 6" in found
    assert "deficit of more than 0.1 G on 2 and 1, 1 of the 2 across with a loss that far below" in found
    assert "3 of 6 and 5 of 6 by the chord, 4 of 6 and 6 of 6 by the floor, 3 of 6 and 5 of 6 beyond the" in found
    assert "In 1 of 2 contexts" in found and "G² between two seeds." in found
    assert so.startswith("**So.** Retain barriers across: NPO (1 of 3).") and "learning rates" not in so
    assert so.endswith("Lines across that no verdict reads, and that nothing here counts: SalUn (3).")
    wider = answer_text(routes, crossing_walks(), "cl-non_cl", 0.5)
    assert (
        "on 0 of 6 lines across" in wider
        and "No line across has a retain barrier above 0.5 G: nothing here says that the curriculum" in wider
    )


def test_other_learning_rates_of_the_two_ends_are_named(eight):
    walks = [*admissible("random"), *admissible("cl-non_cl"), *admissible("fo-so")]
    assert "The learning rates of the two ends differ in NPO (1 and 0.25): there the optimiser" in answer_text(
        second_order(eight), walks, "fo-so"
    )
    assert "learning rates" not in answer_text(curriculum(eight), walks, "cl-non_cl")


def test_other_forms_stand_below_the_lines_of_the_same_originals():
    walks = [*admissible("random", 0.0, 0.1, points=31), *admissible("fo-so", 0.0, (0.2, 0.2, 0.5))]
    walks += admissible("fo-so", 0.0, 0.4, form="soul")[:2]
    walks += admissible("fo-so", 0.0, 0.6, ends=(1.2, 0.4), form=PARTNER)[:2]
    walks += [*admissible("random", method="scrub"), *admissible("fo-so", method="scrub")]
    walks += [*admissible("fo-so", kind="bezier"), *admissible("fo-so", 9.0, form="trained with sophia_g")]
    found = variants_table([*walks, *admissible("fo-so", 0.0, 0.2, full=True, points=31)], "fo-so")
    assert list(found.index) == [("npo", "as judged"), ("npo", "soul"), ("npo", "at its partner's rate")]
    assert found["eps"].tolist() == ["0.200", "0.400", "0.600"]  # of the two originals that all forms have
    assert [v.split()[0] for v in found["change"]] == ["0.100", "0.300", "0.500"]
    assert found["forgot, G"].tolist() == ["1.20", "1.20", "0.40"]
    assert found["read"].tolist() == ["2 of 2", "2 of 2", "0 of 2"]
    assert float(found["roughness"].iloc[1]) == pytest.approx((8 * 0.4) ** 2, rel=0.05)
    more = [*admissible("random"), *admissible("cl-non_cl"), *admissible("cl-non_cl", form=TUNED)]
    tuned = variants_table(more, "cl-non_cl")
    assert tuned.index.get_level_values("form").tolist() == ["as judged", "at a rate tuned for it"]


def test_what_coarse_reading_costs_is_told():
    fine, coarse = admissible("random", 0.0, 0.4, points=31), admissible("random", method="scrub")
    early = fine[0].profile.connectivity.curves["loss_forget"].copy()
    early[14] -= 0.05 * fine[0].profile.gap  # between two points of eleven
    fine[0] = with_arrays(fine[0], curve__loss_forget=early)
    lost = fine[0].eps - fine[0].at(11).eps
    text = thinned_text([*fine, *coarse])
    assert "3 walks have 31 points and 3 have 11" in text and f"falls by {lost:.3f} G at most" in text and lost > 0.03
    assert thinned_text(fine) == "All walks have 31 points."


def test_excesses_along_the_path_keep_originals_apart_and_stand_at_the_same_t():
    walks = [*admissible("random", 0.2, 0.4, points=31), *admissible("fo-so", 0.1), *left_out()]
    table = along_table(walks, ("random", "fo-so"))
    assert table["pair"].unique().tolist() == ["0: 42-87", "1: 42-87", "2: 42-87"]
    assert table["t"].nunique() == 11
    one = table[(table["pair"] == "1: 42-87") & (table["condition"] == "random")]
    bow = 4 * one["t"] * (1 - one["t"])
    np.testing.assert_allclose(one["retain_excess"], 0.2 * bow, atol=1e-12)
    np.testing.assert_allclose(one["forget_excess"], -0.4 * bow, atol=1e-12)


def test_the_explorer_begins_on_the_roughest_path_that_is_read_and_finely_traced():
    walks = [*admissible("fo-so", 0.0, (0.1, 0.4, 0.2), full=True, points=31), *admissible("fo-so", 0.0, 0.9)]
    walks += admissible("fo-so", 2.0, method="scrub", ends=LOST, full=True, points=31)
    routes = [replace(w) for w in walks]
    assert roughest(routes, walks, "fo-so") is routes[1]


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
    assert len(thick) == 2 and len(thin) == 2 * 3  # originals
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
        yield study("laptop", store=store, fresh=True, methods=methods, quickstart_method="npo")


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


def test_presets_without_draws_have_no_second_row(smoke):
    assert not {TUNED, PARTNER} & {r.form for routes in (curriculum, second_order) for r in routes(smoke)}


def test_walks_at_a_tuned_rate_are_in_no_statistic_of_the_first_row():
    walks = [*admissible("random"), *admissible("cl-non_cl", 0.0, 0.3)]
    more = admissible("cl-non_cl", 5.0, form=TUNED)
    assert changes_table([*walks, *more], ["cl-non_cl"]).equals(changes_table(walks, ["cl-non_cl"]))
    assert along_table([*walks, *more], ["cl-non_cl"]).equals(along_table(walks, ["cl-non_cl"]))


def test_paths_that_fail_the_gate_are_crosses_and_their_method_is_marked():
    walks = [*admissible("random"), *admissible("cl-non_cl", 0.3, 0.2, ends=LOST)]
    shown = ("random", "cl-non_cl")
    table, summary = condition_table(walks, shown), condition_summary(walks, shown)
    fig = conditions_figure(table, summary, shown, failing=failing_across(walks, "cl-non_cl"))
    crosses = [line for line in fig.axes[0].get_lines() if line.get_marker() == "x" and len(line.get_xdata())]
    np.testing.assert_allclose(crosses[0].get_xdata(), [0.3] * 3)
    marked = {"an end fails the gate", f"NPO {FAILING}", f"{FAILING} none passes the gate"}
    assert len(crosses) == 1 and marked <= set(texts(fig))
    fig = crossing_figure(along_table(walks, shown), "cl-non_cl", failing=["npo"])
    assert f"NPO {FAILING}" in texts(fig)
