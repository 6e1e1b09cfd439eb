"""11, ensembles: what is asked for, the tests of C17, C19 and C22, and tables and figures of made numbers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_eleven import Planted, eleven

from mcutils.engine.kinds import parents
from mcutils.engine.specs import EnsembleSpec, RetrainedSpec, SharpnessSpec, UnlearnedSpec
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.measures.ensembles import PLACEMENTS
from mcutils.paper import ensembles as room
from mcutils.paper.walks import SOME

METHODS = ("npo", "scrub", "l1_sparse")
PLACES = [(o, m) for o in range(8) for m in METHODS]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


@pytest.fixture(scope="module")
def made():
    walks, found = eleven(Planted(gain=0.006, sharper=-0.3))
    return room.joined(walks), found.together


# What is computed


def test_ensembles_stand_beside_as_many_seeds_originals_and_retrained_models(eight):
    found, fit = room.asked(eight), len(eight.preset.fit)
    assert set(found) == set(room.Together.__dataclass_fields__)
    assert len(found["lines"]) == 8 * fit and all(one.placements == PLACEMENTS for one in found["lines"].values())
    assert found["lines"][0, "npo"].sizes == (1, 2, 3, 5, 9, 31)
    assert len(found["outside"]) == 2 * fit * 4 and len(found["beyond"]) == 2 * 4
    assert Counter(len(one.models) for one in found["retrained"].values()) == {2: 8, 5: SOME}
    assert {type(m.model) for one in found["retrained"].values() for m in one.models} == {RetrainedSpec}
    seeds = found["seeds"][1, "npo"].models
    assert len({one.model.seed for one in seeds}) == 5 and {one.model.origin.seed for one in seeds} == {1}
    several = found["several"]["npo"].models
    assert {one.model.origin.seed for one in several} == set(range(5)) and {one.held for one in several} == {
        ("valid", "test")
    }
    sharp = [one for one in found["sharp"].values()]
    assert len(sharp) == 8 * 3 * 3 and all(isinstance(one, SharpnessSpec) and one.weighted for one in sharp)
    assert len({one.seed for one in sharp}) == 1, "the same directions everywhere"
    for one in (*found["outside"].values(), *found["beyond"].values()):
        assert isinstance(one, EnsembleSpec) and {p.held for p in parents(one)} == {("valid", "test")}


def test_more_unlearning_seeds_are_those_that_02_has_first(eight):
    found = [one.model for one in room.seeds_together(eight, 0, "npo").models]
    assert all(isinstance(one, UnlearnedSpec) for one in found)
    assert [one.seed for one in found] == [42, 87, 21, 100, 101]


# C17, C22


def noisy(mean, spread, places=PLACES, seed=0):
    rng = np.random.default_rng(seed)
    return {place: mean + spread * rng.normal() for place in places}


@pytest.mark.parametrize(("gain", "word"), [(0.006, "supported"), (0.0, "contradicted"), (-0.01, "contradicted")])
def test_c17_wants_two_tenths_of_a_point_beyond_the_two_ends(gain, word):
    twins = list(noisy(0, 0.0005, range(8)).values())
    assert room.c17(noisy(gain, 0.002), twins).verdict == word


def test_c17_of_what_twins_have_too_says_nothing():
    found = room.c17(noisy(0.006, 0.001), [0.006, 0.007, 0.008])
    assert found.verdict == "undecided" and "its null reaches" in " ".join(found.notes)
    assert room.c17({}, []).verdict == "undecided"
    refused = room.c17(noisy(0.006, 0.001), [0.0], ["a control failed"])
    assert refused.verdict == "undecided" and "a control failed" in refused.notes


def ensembles_with(gain, placed=0.0):
    scores = {"uniform/2": 0.88, "uniform/5": 0.88 + gain, "uniform/9": 0.88 + gain, "inner/5": 0.88 + gain + placed}
    found = {f"{name}/accuracy/test": value for name, value in scores.items()}
    return {**found, "end/1/accuracy/test": 0.87, "members/uniform/2": 0, "members/uniform/9": 0}


def test_c22_by_number_and_by_place():
    made = {place: ensembles_with(value) for place, value in noisy(0.01, 0.001).items()}
    assert room.c22(made).verdict == "supported" and room.c22(made, "placement").verdict == "contradicted"
    moved = {place: ensembles_with(0.0, value) for place, value in noisy(-0.01, 0.001).items()}
    assert room.c22(moved).verdict == "contradicted" and room.c22(moved, "placement").verdict == "supported"
    assert room.gained(ensembles_with(0.01), beside="end/1") == pytest.approx(0.02)
    assert np.isnan(room.gained(ensembles_with(0.01), 3)), "a path may lack the ensemble"
    with pytest.raises(BadInput, match="number or placement"):
        room.c22(made, "size")


# C19


def rises(start, end, mean):
    return [{"both/retain": np.array([v, v]), "hessian": 20 * v} for v in (start, end, mean)]


def test_c19_compares_the_mean_with_its_ends():
    rows = rises(0.2, 0.4, 0.15)
    assert room.smoother(rows) == pytest.approx(-0.5) and room.smoother(rows, "hessian") == pytest.approx(-0.5)
    assert np.isnan(room.smoother(rises(0.0, 0.0, 0.0)))
    assert room.c19(noisy(-0.3, 0.05), [0.02, -0.03, 0.01]).verdict == "supported"
    assert room.c19(noisy(0.0, 0.03), [0.02, -0.03]).verdict == "contradicted"
    assert room.c19(noisy(-0.3, 0.05), [-0.4, 0.4]).verdict == "undecided"


def test_c19_s_null_puts_either_end_in_the_mean_s_place():
    one = room.swapped({(0, "npo"): rises(0.2, 0.4, 9.0)}, draws=200)
    assert {round(v, 9) for v in one} == {-0.5, 1.0}, "0.2 beside 0.4, or 0.4 beside 0.2; the mean is not asked"
    assert 60 < sum(v < 0 for v in one) < 140
    many = room.swapped({at: rises(0.2, 0.4, 9.0) for at in PLACES}, draws=50)
    assert np.mean(many) == pytest.approx(0.25, abs=0.1) and np.std(many) < 0.3
    assert room.swapped({}) == []
    gap = room.swapped({(0, "npo"): rises(0.2, 0.4, 9.0), (0, "scrub"): rises(0.0, 0.0, 0.0)}, draws=20)
    assert np.isfinite(gap).all(), "a line without a rise says nothing"


# Tables, figures and words


def test_changes_are_told_original_by_original_beside_two_members(made):
    places, found = made
    table = room.changes_table(found, places)
    five = table[(table.measure == "accuracy/test") & (table.placement == "uniform") & (table.members == 5)]
    assert len(five) == 8 and five.change.mean() == pytest.approx(0.006, abs=0.001)
    by_hand = [room.gained(found.lines[at]) for at in places if at[0] == 3]
    assert five[five.original == 3].change.item() == pytest.approx(np.mean(by_hand))
    assert not len(table[(table.placement == "inner") & (table.members == 31)])
    assert set(table[table.members == 5].placement) == {*PLACEMENTS, room.SEEDS, room.RETRAINED}
    summary = room.changes_summary(table)
    assert (summary.low <= summary.estimate).all() and set(summary.n) == {3, 8}


def test_scores_are_means_over_originals_and_models_of_several_have_no_forget_set(made):
    places, found = made
    table = room.scores_table(found, places)
    assert list(table.index) == [*room.NAMED.values(), room.SEEDS, room.SEVERAL, "2 retrained", room.RETRAINED]
    assert table.loc["5 points", "test %"].startswith("88.") and table.loc["both ends", "n"] == 8
    assert table.loc[room.RETRAINED, "n"] == SOME
    lone = {
        m: {k: v for k, v in one.items() if not k.endswith(("forget", "retain"))} for m, one in found.several.items()
    }
    told = room.scores_table(replace(found, several=lone), places)
    assert told.loc[room.SEVERAL, "D_f %"] == told.loc[room.SEVERAL, "D_r %"] == "-"
    none = room.scores_table(found, [])
    assert len(none) == len(table) and (none.loc["5 points"][:-1] == "-").all()


def test_images_from_outside_are_counted_for_each_set(made):
    table = room.outside_table(made[1])
    assert list(table.index) == ["better end", "mean of the weights (t = 1/2)", "both ends", "5 points", room.RETRAINED]
    assert table.shape[1] == 8 and np.isfinite(table.to_numpy(float)).all()


def test_sharpness_is_told_per_method_and_of_all(made):
    places, found = made
    table = room.sharp_table(found, places)
    assert len(table) == len(places) * len(room.RISES)
    whole = room.sharp_summary(table).query("method == 'all' and measure == 'both/retain'")
    assert whole.estimate.item() == pytest.approx(-0.3, abs=0.05) and whole.high.item() < -0.2
    assert "-0.3" in room.sharp_text(table) and "no line" in room.sharp_text(room.sharp_table(found, []))
    assert room.sharp_shown(room.sharp_summary(table)).shape[1] == 3
    alone = table[table["method"] == table["method"].iloc[0]]
    assert room.several(room.sharp_summary(table))[-1] == "all" and len(room.several(room.sharp_summary(alone))) == 1
    assert "+0.60" in room.ensembles_text(found, places) and "no line" in room.ensembles_text(found, [])


def test_figures_draw_what_tables_hold(made):
    places, found = made
    table = room.changes_table(found, places)
    figure = room.changes_figure(table, room.changes_summary(table))
    assert [ax.get_title() for ax in figure.axes] == list(room.CHANGES.values())
    sharp = room.sharp_table(found, places)
    figure = room.sharp_figure(sharp, room.sharp_summary(sharp))
    assert [ax.get_title() for ax in figure.axes] == list(room.RISES.values())
    with pytest.raises(BadInput, match="no rows"):
        room.sharp_figure(room.sharp_table(found, []), room.sharp_summary(sharp))
