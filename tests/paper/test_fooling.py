"""Walks that say nothing: each is what its name says, and the tests' words about it are counted as they should be."""

from dataclasses import replace

import numpy as np
import pytest
from made_worlds import Shape, controlled, world
from synthetic import walk

from mcutils.measures.intervals import Interval
from mcutils.measures.metrics import METRICS
from mcutils.paper import fooling, trials
from mcutils.paper.admission import copies, reasons, splits_are
from mcutils.paper.fooling import IDLE, NAMES, ONE, SWAPPED, TWICE, fooled, fooling_table, fooling_text, metric_scales
from mcutils.paper.trial_ledger import ROWS
from mcutils.paper.trials import Finding
from mcutils.paper.verdicts import Judged

SCALES = dict.fromkeys(METRICS, 1.0) | {"zrf": 10.0, "accuracy_forget": 0.5}
LONG = np.linspace(0, 1, 2001)
BY_NAME = {row.name: row for row in ROWS}


def long(**options):
    """A walk of many points, so that noise has the spread that it should have."""
    rng = np.random.default_rng(0)
    names = ("zrf", "accuracy_forget", "loss_forget", "loss_retain", "js_retrained_test")
    metrics = {name: rng.normal(size=len(LONG)) for name in names}
    scores = [rng.normal(size=len(LONG)) for _ in range(2)]
    return walk("npo", 0.3, 0.4, t=LONG, metrics=metrics, scores=scores, gap=2.0, **options)


@pytest.fixture(scope="module")
def walked():
    """Dips that differ by method, on four originals."""
    shape = controlled(lambda labels: Shape(dip=0.3 * (labels["method"] == "npo")))
    return {"02_seeds": world(shape, ("random",), originals=4)}


def test_scales_are_distances_from_the_original_to_the_mean_of_the_retrained_models():
    found = metric_scales({"zrf": 0.2, "UA": 3.0}, [{"zrf": 0.5, "UA": 1.0}, {"zrf": 0.7, "UA": 2.0}])
    assert found == {"zrf": pytest.approx(0.4), "UA": pytest.approx(1.5)}


def test_noise_is_white_about_the_chord_in_units_of_the_gap():
    before = long()
    one = fooling.noisy(before, 0.05, np.random.default_rng(1), SCALES)
    units = {"curve/loss_retain": 2.0, "metric/loss_forget": 2.0, "metric/zrf": 10.0, "score/test": 0.5}
    for name, unit in units.items():
        old, new = before.profile.arrays[name], one.profile.arrays[name]
        assert (new[0], new[-1]) == (old[0], old[-1])
        over = new - ((1 - LONG) * old[0] + LONG * old[-1])
        assert over.std() == pytest.approx(0.05 * unit, rel=0.1)
        assert abs(np.corrcoef(over[:-1], over[1:])[0, 1]) < 0.1
    over = {s: one.profile.arrays[f"curve/loss_{s}"] - 0.2 - 0.1 * LONG for s in ("retain", "forget")}
    assert one.barrier == pytest.approx(over["retain"].max() / 2.0)
    assert one.deficit == pytest.approx(-over["forget"].min() / 2.0)
    assert (before.barrier, before.deficit) == (pytest.approx(0.3), pytest.approx(0.4))  # as it was


def test_noise_is_another_on_each_half_and_bands_follow_their_curve(walked):
    before = walked["02_seeds"][0]
    one = fooling.noisy(before, 0.2, np.random.default_rng(1), SCALES)
    halves = [one.profile.arrays[f"half/{half}/zrf"] for half in (0, 1)]
    assert abs(np.corrcoef(*halves)[0, 1]) < 0.6
    widths = [np.diff(w.profile.arrays["band/loss_forget"], axis=0) for w in (before, one)]
    np.testing.assert_allclose(*widths)
    middle = one.profile.arrays["band/loss_forget"].mean(axis=0)
    np.testing.assert_allclose(middle, one.profile.arrays["curve/loss_forget"])


def test_controls_keep_their_numbers_and_labels(walked):
    kept = [w for w in walked["02_seeds"] if w.control]
    for name, made in fooling.attacks(walked, SCALES).items():
        if name != SWAPPED:
            assert [w for w in made()["02_seeds"] if w.control] == kept, name


def test_copies_have_names_that_nobody_drew_and_the_same_numbers(walked):
    walks = [w for w in walked["02_seeds"] if not w.control]
    made = fooling.twice(walked)["02_seeds"]
    again = made[len(walked["02_seeds"]) :]
    assert [w.profile for w in again] == [w.profile for w in walks]
    assert not {n for w in again for n in w.nodes} & {n for w in walks for n in w.nodes}
    assert copies(made) and not copies(walked["02_seeds"])


def test_one_original_stands_for_many(walked):
    made = fooling.one_original(walked)["02_seeds"]
    ours = [w for w in made if not w.control]
    assert {w.original for w in ours} == set(range(NAMES)) and len({id(w.profile) for w in ours}) == len(ours) / NAMES
    assert copies(made)


def test_models_that_never_unlearned_fail_the_gate_and_exchanged_splits_their_control(walked):
    idle, swapped = fooling.idle(walked)["02_seeds"], fooling.swapped(walked)["02_seeds"]
    assert all("did not forget" in reasons(w)[0] for w in idle if not w.control)
    assert splits_are(swapped) and not splits_are(walked["02_seeds"])
    before, after = walked["02_seeds"][0].profile, swapped[0].profile
    np.testing.assert_array_equal(before.arrays["curve/loss_retain"], after.arrays["curve/loss_forget"])
    assert before.original["accuracy_forget"] == after.original["accuracy_retain"]


def test_a_shuffle_keeps_labels_and_moves_profiles_within_their_original_and_kind(walked):
    made = fooling.shuffled(walked, 1)["02_seeds"]
    assert [replace(w, profile=None) for w in made] == [replace(w, profile=None) for w in walked["02_seeds"]]
    for original in range(4):
        for kind in ("linear", "bezier"):
            groups = [sorted(id(w.profile) for w in part if (w.original, w.kind) == (original, kind))
                      for part in (made, walked["02_seeds"])]  # fmt: skip
            assert groups[0] == groups[1]
    moved = [a.profile is not b.profile for a, b in zip(made, walked["02_seeds"], strict=True)]
    assert np.mean(moved) > 0.5
    places = [[id(w.profile) for w in fooling.shuffled(walked, seed)["02_seeds"]] for seed in (1, 2)]
    assert places[0] != places[1]


def judged(name, effect, word):
    return Judged(BY_NAME[name], {"chord": Finding(Interval(effect, effect, effect), word, 8, 48)})


YES, NO, OPEN = (judged("C1", e, w) for e, w in ((0.9, "supported"), (0.1, "contradicted"), (0.5, "undecided")))


@pytest.mark.parametrize(
    ("attack", "found", "expected"),
    [
        ("noise, 0.2 G", NO, True),
        ("noise, 0.2 G", OPEN, False),
        ("noise, 0.02 G", YES, False),  # a flat path at a tolerance of 0.1 G
        ("noise, 0.02 G", judged("C5", 0.0, "contradicted"), False),
        ("noise, 0.02 G", judged("C5", 0.0, "supported"), True),
        (ONE, YES, True),
        (TWICE, OPEN, False),
        (IDLE, NO, True),
        (SWAPPED, judged("C15", 0.2, "supported"), False),
        ("shuffle 1", YES, False),  # C1 compares no labels
        ("shuffle 1", judged("C5", 0.3, "supported"), True),
        ("shuffle 1", judged("C5", 0.0, "contradicted"), False),
    ],
)
def test_fooled_is_decided_on_nothing(attack, found, expected):
    assert fooled(attack, found) == expected


def test_the_table_and_the_words_say_who_was_fooled():
    honest = {"C1": OPEN, "C5": judged("C5", 0.9, "supported")}
    found = {
        "noise, 0.2 G": {"C1": NO, "C5": judged("C5", 0.5, "undecided")},
        TWICE: {"C1": OPEN},
        ONE: {"C1": judged("C1", np.nan, "undecided")},
        "shuffle 1": {"C1": YES, "C5": judged("C5", 0.1, "supported")},
        "shuffle 2": {"C1": YES, "C5": judged("C5", 0.5, "undecided")},
    }
    table = fooling_table(honest, found)
    assert table.loc["C1"].to_list() == ["undecided", "contradicted*, 0.10", "undecided, 0.50", "-", "supported 2"]
    assert table.loc["C5"].to_list() == ["supported", "undecided, 0.50", "-", "-", "supported 1*"]
    assert table.columns[-1] == "shuffled, of 2"
    text = fooling_text({**found, IDLE: {}, SWAPPED: {}})
    assert text.startswith("**2 of 2 rows are fooled**")
    assert "by white noise: 1 of 2 (C1)" in text and "counted twice: 0 of 2 (none)" in text
    assert f"under {NAMES} names: 0 of 2" in text and "among labels: 1 of 2 (C5)" in text


def test_attacks_are_judged_by_the_declared_tests_and_fool_none_of_them(walked, monkeypatch):
    monkeypatch.setattr(trials, "DRAWS", 0)
    gaps = dict.fromkeys(range(NAMES), {"zrf": 0.05})
    honest = fooling.judged_by_chord(walked, gaps=gaps)
    assert list(honest) == ["C1", "C2 deficit", "C2 roughness", "C21"]
    assert all(list(one.found) == ["chord"] for one in honest.values())
    found = fooling.attacked(walked, SCALES, gaps=gaps)
    assert list(found) == [
        *(f"noise, {v:g} G" for v in fooling.NOISE), TWICE, ONE, IDLE, SWAPPED, *(f"shuffle {k}" for k in range(1, 5)),
    ]  # fmt: skip
    assert fooling.fooled_by(found) == []
    text = fooling.answer_text(list(honest.values()), ["C1"], found)
    assert "Of 4 rows judged:" in text and "survive the correction for many rows (C1)" in text
    assert text.count("**Expected.**") == text.count("**Found.**") == text.count("**So.**") == 1
