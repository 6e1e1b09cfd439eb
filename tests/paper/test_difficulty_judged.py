"""12: graded sets from a pool and from training, what is read of walks and beside them, and the rows of the ledger."""

from dataclasses import replace

import numpy as np
import pytest
from made_difficulty import FORMS, METHODS, a_class, made, told

from mcutils.data.shadows import targets
from mcutils.engine.specs import HardnessSpec, LearningSpec, OutcomeSpec, PhiSpec, ProbeSpec, RelearnSpec, key
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.paper import difficulty as room, graded_sets as sets, privacy_pool
from mcutils.paper.archives import original_of
from mcutils.paper.trial_ledger import judge_room
from mcutils.paper.verdicts import verdict_text
from mcutils.paper.walks import Walk


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


# What is computed


@pytest.fixture(scope="module")
def graded(eight):
    """Grades of the laptop's forget targets by made scores: the targets' own order, and its reverse."""
    rows = np.asarray(targets(eight.task)["forget"])
    found = sets.Targets(rows, np.linspace(0, 1, len(rows)), {"confidence": np.linspace(0, 1, len(rows))})
    return found, sets.graded(found, sets.size_of(eight))


def test_sets_are_quarters_of_the_targets_hard_on_the_high_side(eight, graded):
    found, grades = graded
    assert set(grades) == set(sets.GRADINGS) and sets.size_of(eight) == 500 and len(found.rows) == 2000
    place = {int(row): k for k, row in enumerate(found.rows)}
    for name, turned in (("memorisation", False), ("confidence", True)):
        means = [np.mean([place[int(row)] for row in grades[name][grade]]) for grade in ("low", "mid", "high")]
        assert means == sorted(means, reverse=turned), "low confidence is hard"
    made_of = sets.scenarios(grades)
    assert len(made_of) == 6 and len(made_of["memorisation", "high"].rows) == 500


def test_memorisation_is_of_the_shadows_own_answers_and_learning_the_mean_over_originals(eight, monkeypatch):
    rows = np.asarray(targets(eight.task)["forget"])
    held = np.arange(4)[:, None] % 2 == np.arange(len(rows)) % 2
    monkeypatch.setattr(sets, "held", lambda task, kind, count: held)
    right = held | (np.arange(len(rows)) < 100)
    pool = [{"right/forget_targets": one[None]} for one in right]
    every = np.sort(eight.task.index["train"].numpy())
    learned = [{"rows": every, "confidence": every * k, "el2n": every * 0.0} for k in (1.0, 3.0)]
    found = sets.targets_of(eight, pool, learned)
    assert (found.memorisation[:100] == 0).all() and (found.memorisation[100:] == 1).all()
    assert np.array_equal(found.learned["confidence"], 2.0 * rows) and (found.scores["confidence"] == -2.0 * rows).all()


def test_what_is_known_only_once_the_pool_is_stored_is_asked_for_then(eight, graded):
    first, whole = sets.needs(eight), sets.needs(eight, graded[1])
    assert set(first) < set(whole) and sets.stored_targets(eight) is None
    pool = [one for one in first if isinstance(one, PhiSpec)]
    assert {one.model.data.shadow for one in pool} == set(range(privacy_pool.SHADOWS)) and len(
        pool
    ) == privacy_pool.SHADOWS
    assert [one.model for one in first if isinstance(one, LearningSpec)] == [eight.original(o) for o in range(4)]
    fit = len(eight.preset.fit)
    outcomes = [one for one in whole if isinstance(one, OutcomeSpec)]
    assert {one.trace.model.start.method for one in outcomes} == set(sets.METHODS) <= set(eight.preset.fit)
    assert len(outcomes) == 6 * 4 * len(sets.METHODS) and sum(isinstance(one, HardnessSpec) for one in whole) == 6 * 4
    probes = [one for one in first if isinstance(one, ProbeSpec)]
    assert len(probes) == 4 * (fit + 2) and {one.points for one in probes} == {1, 3}
    assert {one.label for one in probes if one.model.data.draw == 2} == {2}


def test_what_belongs_to_an_original_is_its_shard(eight):
    assert [original_of(one) for one in sets.learning(eight)] == [0, 1, 2, 3]
    assert {original_of(one) for one in sets.class_needs(eight)} == {0, 1, 2, 3}


def test_outcomes_hold_one_line_against_models_that_never_saw_the_set(eight, graded):
    route = next(r for r in sets.graded_lines(eight, graded[1]) if r.original == 2 and r.form == "memorisation, high")
    found = sets.outcome_of(eight, route)
    start = route.path.start
    assert found.trace.model == route.path and found.way.model.endpoint == found.attacked.model == start
    assert start.origin.own == eight.original(2) and key(start.origin.own) == key(eight.original(2))
    assert {one.model.data for one in found.retrained} == {start.data} and found.original.model == start.origin
    assert [one.model for one in found.controls] == [one.model for one in found.retrained]
    assert isinstance(found.attacked, RelearnSpec) and found.trace.held == sets.READ
    assert round(start.forget, 4) == round(500 / 9000, 4) and found.trace.points == 11


def test_merged_models_have_five_retrained_ones_and_two_methods(eight):
    routes = sets.merging(eight)
    fit = len(eight.preset.fit)
    assert len(routes) == 4 * fit * (fit - 1) // 2 and {len(r.retrained) for r in routes} == {5}
    assert all(r.other and not r.form and r.condition == "method" for r in routes)
    assert sets.profile_of(eight, routes[0]).trace.held == ("retain", "forget", "valid")


def test_it_is_refused_under_a_scenario(eight):
    with pytest.raises(BadInput, match="of a random draw of the forget set"):
        sets.needs(eight.under(sets.Scenario("class", label=1)))


# What is read


def test_wiggles_are_counted_in_what_a_pair_forgot():
    rng = np.random.default_rng(0)
    line = told(rng, 0, 1.0, 0.2)
    walk = Walk("npo", "linear", 42, 87, form=FORMS[0], profile=room.profile_of(line))
    loss = line["curve/loss_forget"]
    unit = loss[[0, -1]].mean() - line["original/loss_forget"]
    assert room.lost(walk) == pytest.approx(unit)
    variation = np.abs(np.diff(loss)).sum() - abs(loss[-1] - loss[0])
    assert room.wiggles(walk) == pytest.approx(variation / unit)
    curved = np.mean((np.diff(loss, 2) * 100) ** 2)
    assert room.wiggles(walk, "roughness") == pytest.approx(curved / unit**2)
    assert room.wiggles(walk, "persistence") == pytest.approx((loss[[0, -1]].min() - loss.min()) / unit)
    still = replace(walk, profile=room.profile_of(told(rng, 0, 1.0, 0.2, forgot=0.0)))
    assert np.isnan(room.wiggles(still))
    with pytest.raises(BadInput, match="unknown measure of smoothness 'jumps': choose one of variation"):
        room.wiggles(walk, "jumps")


def test_an_easy_set_without_a_gap_is_read_and_an_end_that_lost_what_it_should_keep_is_not():
    walks, _ = made()
    assert len(room.graded_walks(walks)) == len(walks) and room.refusals(walks) == []
    bare = [w for w in walks if not w.form.endswith("low")]
    assert room.admitted(walks) != walks and len(room.admitted(bare)) > len(room.admitted(walks)) / 2
    assert room.graded_walks(made(kept=0.9)[0]) == []


def test_sets_that_retrained_models_fit_better_are_not_what_they_are_called():
    walks, _ = made()
    turned = [
        replace(
            w,
            profile=replace(w.profile, arrays=w.profile.arrays | {"level/accuracy_forget": np.array([1.0, 1.0])}),
        )
        for w in walks
    ]
    assert len(room.sets_are(turned)) == 4 and "on original 0 retain and forget data" in room.sets_are(turned)[0]


def test_steps_that_never_arrive_are_the_most():
    walks, found = made(methods=METHODS[:2])
    at = walks[0].original, walks[0].form, walks[0].method
    outcomes = {**found.outcomes, at: {**found.outcomes[at], "steps": np.inf}}
    rows = room.outcomes_of(walks, replace(found, outcomes=outcomes), "steps")
    assert max(rows[0], key=rows[0].get) == at[1:] and np.isfinite(list(rows[0].values())).all()


# The rows of the ledger


ROWS = ("C20", "N3 coherence", "N3 memorisation")


def judged(walks, found, *ids):
    return {one.row.name: one for one in judge_room({"difficulty": walks}, ids or ROWS, difficulty=found)}


@pytest.mark.parametrize(("rho", "word"), [(0.97, "supported"), (-0.97, "supported"), (0.0, "undecided")])
def test_c20_finds_either_sign(rho, word):
    found = judged(*made(rho), "C20")["C20"]
    assert found.verdict == word and found.first.n_originals == 4
    assert np.sign(found.first.effect.estimate) == np.sign(rho) or rho == 0
    assert "Spearman" in verdict_text(found)


@pytest.mark.parametrize(("coherent", "memorised"), [(0.99, -0.99), (-0.99, 0.99)])
def test_n3_tells_coherence_from_memorisation(coherent, memorised):
    found = judged(*made(coherent=coherent, memorised=memorised), "N3")
    words = {name: one.verdict for name, one in found.items()}
    yes, no = ("coherence", "memorisation") if coherent > 0 else ("memorisation", "coherence")
    assert words == {f"N3 {yes}": "supported", f"N3 {no}": "contradicted"}


@pytest.mark.parametrize(("above", "word"), [(0.3, "supported"), (0.0, "contradicted")])
def test_n5_reads_the_lines_on_a_class_alone(above, word):
    walks, found = a_class(above)
    one = judged([*walks, *made()[0]], found, "N5")["N5"]
    assert (one.verdict, one.first.n_cells) == (word, 4 * len(METHODS))
    assert room.n5_row(walks, found, "middle").verdict == word
    assert judged(a_class(above, forgot=0.3)[0], found, "N5")["N5"].first.n_cells == 0, "what never forgot is left out"


def test_rows_of_fewer_originals_are_of_their_numbers_alone():
    walks, found = made(0.9)
    some = [w for w in walks if w.original < 2]
    one = room.c20_row(some, found)
    again = room.c20_row(some, found.within({0, 1}))
    assert (one.effect, one.notes) == (again.effect, again.notes) and one.n_originals == 2
    assert set(found.within({1}).outcomes) < set(found.outcomes)


def test_every_measure_and_outcome_has_a_sign():
    walks, found = made(0.97)
    for measure in room.SMOOTHNESS:
        assert room.c20_row(walks, found, measure).effect.estimate > 0.3
    for outcome in room.OUTCOMES:
        assert room.c20_row(walks, found, outcome=outcome).effect.estimate > 0.3
    with pytest.raises(BadInput, match="unknown predictor"):
        room.n3_row(walks, found, "size")
