"""11, relearning: what is asked for, the tests of C18 and N2, and tables and figures of made numbers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_eleven import Planted, attacked, eleven
from scipy.stats import spearmanr

from mcutils.engine.specs import MetricSpec, RegainedSpec
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.measures.along import barrier
from mcutils.paper import relearning as room
from mcutils.paper.ensembles import joined
from mcutils.unlearning.methods import DEFENCES

METHODS = ("npo", "scrub", "l1_sparse")
PLACES = [(o, m) for o in range(8) for m in METHODS]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


@pytest.fixture(scope="module")
def made():
    walks, found = eleven(Planted(area=-0.05, rho=-0.9))
    return joined(walks), found.relearned


# What is computed


def test_every_point_is_attacked_and_the_same_attack_is_made_on_retrained_models(eight):
    found, fit = room.asked(eight), len(eight.preset.fit)
    assert set(found) | {"names"} == set(room.Relearned.__dataclass_fields__)
    line = found["lines"][3, "npo"]
    assert [one.place for one in line.models] == list(range(11)) and line.together == (0, 5, 10)
    assert len({one.seed for one in line.models}) == 11, "each member has batches of its own"
    assert all(one.attack == room.MAIN and one.weighted for one in line.models)
    copies = found["copies"][3, "npo"].models
    assert {one.place for one in copies} == {5} and len({one.seed for one in copies}) == 3 and copies[0] in line.models
    assert Counter(len(one.models) for one in found["members"].values()) == dict.fromkeys((2, 3, 5), 8 * fit)
    assert all(set(one.models) <= set(found["lines"][at[:2]].models) for at, one in found["members"].items())
    assert {one.models[1].model.init for one in found["retrained"].values()} == set(range(8))
    attacks = {
        one.attack
        for group in found.values()
        for s in group.values()
        if isinstance(s, RegainedSpec)
        for one in s.models
    }
    assert attacks == set(room.settings()) and len(attacks) == 12 + 2
    long = [k for k, attack in enumerate(room.settings()) if attack.epochs]
    assert {(o, k) for o, k in found["grid"] if k in long} == {(0, k) for k in long}
    assert {one.model.kind for s in found["weights"].values() for one in s.models} == {"bezier"}


def test_predictors_are_of_the_models_that_are_attacked(eight):
    found = room.asked(eight)
    names = list(room.defended(eight, 0))
    assert len(names) == len(eight.preset.fit) * 2 + len(DEFENCES)
    assert len(found["forgetting"]) == 8 * len(names) and len(found["policies"]) == 2 * len(found["forgetting"])
    for k, at in enumerate(names):
        assert found["models"][2].models[k].model == found["forgetting"][(2, *at)].trace.model.end
    policies = Counter(one.trace.batchnorm for one in found["policies"].values() if isinstance(one, MetricSpec))
    assert set(policies) == {"none", "interpolated"}
    assert {one.trace.held for one in found["policies"].values()} == {("retain",)}
    assert {one.trace.batchnorm for one in found["forgetting"].values()} == {"retain"}


# C18


def line_of(*models, together):
    """A result of `RegainedSpec` of models given by (start, end, loss on validation data)."""
    steps = np.array([0, 5, 10])
    rows = np.array([np.linspace(a, b, 3) for a, b, _ in models])
    losses = np.array([[loss] * 3 for *_, loss in models])
    ours = {"together/accuracy": np.asarray(together), "together/loss": 1 - np.asarray(together)}
    return {"steps": steps, "accuracy/forget": rows, "loss/valid": losses, **ours}


def test_an_ensemble_is_held_against_the_point_that_starts_like_it():
    line = line_of((0.5, 0.9, 1), (0.5, 0.7, 0.5), (0.5, 0.9, 1), (0.6, 0.9, 1), together=[0.5, 0.7, 0.9])
    assert room.matched(line, 0.5) == 1 and room.matched(line, 0.6) == 3 and room.matched(line, 0.7) is None
    by_hand = (0.0 / 2 + 0.1 + 0.2 / 2) / 2  # trapezoids of (0, .1, .2) above the matched point
    assert room.resistance(line) == pytest.approx(by_hand)
    far = {**line, "together/accuracy": np.array([0.7, 0.7, 0.9])}
    assert np.isnan(room.resistance(line, far)) and room.resistance(far, line) == pytest.approx(by_hand)
    copied = line_of((0.5, 0.9, 1), (0.5, 0.9, 1), together=[0.5, 0.7, 0.9])
    assert room.copies_resist(copied) == pytest.approx(0)
    blind = {**line, "loss/valid": np.full((4, 3), np.nan)}
    assert room.matched(blind, 0.5) == 0, "without a loss the first of the near ones"


def noisy(mean, spread, places=PLACES, seed=0):
    rng = np.random.default_rng(seed)
    return {place: mean + spread * rng.normal() for place in places}


@pytest.mark.parametrize(("area", "word"), [(-0.05, "supported"), (0.0, "contradicted"), (0.05, "contradicted")])
def test_c18_wants_an_ensemble_that_regains_a_point_less(area, word):
    assert room.c18(noisy(area, 0.005), list(noisy(0, 0.002, range(8)).values())).verdict == word


def test_c18_of_what_copies_gain_and_of_few_matches_says_nothing():
    assert room.c18(noisy(-0.05, 0.003), [-0.06, -0.05, -0.04]).verdict == "undecided"
    rare = {place: value if place[1] == "npo" else np.nan for place, value in noisy(-0.05, 0.003).items()}
    assert "missing" in " ".join(room.c18(rare, [0.0]).notes)
    assert room.c18({}, []).verdict == "undecided"


# N2


def ranked(rho, seed=0, n=22):
    """For each original two rows of numbers with such a correlation."""
    rng = np.random.default_rng(seed)
    left, right = {}, {}
    for original in range(8):
        x = rng.normal(size=n)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n)
        left[original], right[original] = dict(enumerate(x)), dict(enumerate(y))
    return left, right


@pytest.mark.parametrize(("rho", "word"), [(-0.95, "supported"), (0.0, "contradicted"), (0.9, "contradicted")])
def test_n2_wants_a_strong_negative_correlation(rho, word):
    assert room.n2(*ranked(rho), draws=60).verdict == word


def test_the_instrument_must_find_what_was_built_to_be_disconnected():
    apart = dict.fromkeys(DEFENCES[:3], [0.5, 0.2]) | dict.fromkeys(DEFENCES[3:], [0.0, 0.05])
    assert room.disconnected(apart) == []
    (said,) = room.disconnected({**apart, DEFENCES[0]: [0.0]})
    assert DEFENCES[1] in said and said.startswith("2 of 5 defences")
    assert room.disconnected({}) and room.disconnected({**apart, DEFENCES[0]: [np.nan]})


def test_pairs_are_of_models_that_pass_the_gate_on_the_originals_asked_for(made):
    _, found = made
    left, right = room.pairs_of(found, "distance", originals=[1, 4])
    assert set(left) == set(right) == {1, 4} and set(left[1]) == set(found.names)
    gained = found.models[4]["accuracy/forget"]
    assert left[4][found.names[3]] == pytest.approx(gained[3, -1] - gained[3, 0])
    rho = spearmanr(list(left[4].values()), list(right[4].values())).statistic
    assert rho < -0.6
    none = room.Relearned(**{**found.__dict__, **room_models(Planted(forgot=0.1))})
    assert room.pairs_of(none, "distance") == ({}, {})


def room_models(planted):
    from made_eleven import models

    return models(planted, 8, 0)


def test_predictors_read_the_line_by_their_own_policy(made):
    _, found = made
    w = found.forgetting[-1]
    values = found.policies[w.original, w.method, w.start, "none"]["values"]
    expected = barrier(values, w.profile.t) / w.profile.gap
    assert room.predictor_of(found, w, "start's") == pytest.approx(expected)
    assert room.predictor_of(found, w, "refreshed") == pytest.approx(w.barrier)
    assert room.predictor_of(found, w, "distance") == w.profile.geometry["distance"]
    assert room.predictor_of(found, w, "start's", "floor") <= expected + 1e-12
    with pytest.raises(BadInput, match="predictor"):
        room.predictor_of(found, w, "none")


# The profile along the path


def test_an_inner_point_counts_as_harder_only_beyond_luck():
    rng, beyond = np.random.default_rng(0), []
    for _ in range(60):
        line = attacked(rng, 11, 0.03 + 0.004 * rng.normal(size=11))
        beyond.append(
            np.subtract(*room.harder_inside(line, attacked(rng, 3, 0.03 + 0.004 * rng.normal(size=3)), draws=400))
        )
    assert abs(np.mean(beyond)) < 3 * np.std(beyond) / np.sqrt(60), "nothing where only batches differ"
    assert room.unbiased(3) == pytest.approx(np.sqrt(np.pi) / 2)
    dip = 0.03 - 0.02 * (np.arange(11) == 5)
    gain, lucky = room.harder_inside(attacked(rng, 11, dip), attacked(rng, 3, 0.03), draws=400)
    assert gain == pytest.approx(0.02) and lucky < 0.002


# Tables, figures and words


def test_tables_hold_both_sides(made):
    places, found = made
    areas = room.areas_table(found, places)
    assert areas.shape[1] == 6 and float(areas["regained"].iloc[0]) == pytest.approx(3, abs=0.2)
    assert list(areas.index[-2:]) == [f"retrained, {name}" for name in room.INITS]
    grid = room.grid_table(found)
    assert len(grid) == 4 + 2 and grid.loc["50 forgotten", "rate 0.33"] == "+2.00 (+2.00)"
    assert grid.loc["D_r alone, 10 epochs", "rate 1"] == "-"
    table = room.matched_table(found, places)
    summary = room.matched_summary(table).set_index("members")
    assert list(summary.index) == ["2", "3", "5", "copies"] and (summary["lines"] == len(places)).all()
    assert summary.loc["3", "estimate"] == pytest.approx(-0.05, abs=0.004)
    assert abs(summary.loc["copies", "estimate"]) < 0.002
    shown = room.matched_shown(room.matched_summary(table))
    assert list(shown.index) == ["2 members", "3 members", "5 members", "orders of batches alone"]
    assert (
        shown.loc["3 members"].tolist()[0].startswith("-5.") and shown.iloc[0, 1] == f"{len(places)} of {len(places)}"
    )
    along = room.along_table(found, places)
    assert len(along) == 11 * len(places) and (along.after > along.before).all()
    assert room.inside_table(found, places)["n"].unique().tolist() == [8]
    known = room.predictors_table(found)
    assert len(known) == 8 * len(found.names) and known["counts"].all() and known["defence"].sum() == 8 * 5
    assert len(room.instrument_table(found)) == len(DEFENCES)
    rho = room.correlations_table(found)
    assert list(rho.index) == list(room.PREDICTORS.values()) and float(rho.iloc[0]["all"].split()[0]) < -0.75
    left, right = room.pairs_of(found, "distance")
    by_hand = [spearmanr(*([v for k, v in side[o].items() if k[0] not in DEFENCES] for side in (left, right)))
               for o in left]  # fmt: skip
    assert float(rho.iloc[0]["methods"].split()[0]) == pytest.approx(np.mean([one[0] for one in by_hand]), abs=0.006)


def test_words_say_what_was_found_or_that_nothing_was(made):
    places, found = made
    text = room.relearning_text(found, places)
    assert "bring back +2.9" in text and f"{len(places)} of {len(places)} lines" in text and "-5." in text
    assert "no line" in room.relearning_text(found, [])
    assert "control holds" in room.instrument_text(found)
    weak = room.Relearned(**{**found.__dict__, **room_models(Planted(barrier=0.02))})
    failed = room.instrument_text(weak)
    assert "fails its positive control" in failed and "0 of 5 defences" in failed
    assert f"Of {len(found.forgetting)} lines" in room.policies_text(found)
    far = replace(found, members={at: {**one, "together/accuracy": np.ones(6)} for at, one in found.members.items()})
    assert f"on 0 of {len(places)} lines" in room.relearning_text(far, places)


def test_figures_draw_what_tables_hold(made):
    places, found = made
    methods = list(dict.fromkeys(m for _, m in places))
    curves = room.curves_figure(room.curves_table(found, places))
    assert len([ax for ax in curves.axes if ax.get_title()]) == len(methods)
    table = room.matched_table(found, places)
    figure = room.matched_figure(table, room.matched_summary(table))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()][-1] == "orders of batches alone"
    assert len(room.along_figure(room.along_table(found, places)).axes) >= len(methods)
    assert len(room.predictors_figure(room.predictors_table(found)).axes) == len(room.PREDICTORS)
    with pytest.raises(BadInput, match="no rows"):
        room.along_figure(room.along_table(found, []))
