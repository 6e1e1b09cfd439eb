"""The needs and the declared tests of 11 and 12 on made numbers: the word, the null, and attacks on them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from made_worlds import Shape, World, walk
from sklearn.datasets import make_blobs

from mcutils.data.scenarios import Scenario
from mcutils.engine.specs import EnsembleSpec, OriginalSpec, RelearnSpec, SharpnessSpec
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.measures.probes import probe, recall
from mcutils.paper import difficulty, ensembles_and_relearning as room, graded_sets
from mcutils.paper.registry import PRICED_APART
from mcutils.paper.trials import Rule, rank_trial
from mcutils.unlearning.methods import DEFENCES

METHODS = ("npo", "scrub", "l1_sparse")
PLACES = [(o, m) for o in range(8) for m in METHODS]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


# What is computed


def test_eleven_needs_every_point_attacked_and_the_same_attack_on_retrained_models(eight):
    specs = room.needs(eight)
    fit = len(eight.preset.fit)
    kinds = Counter(type(one) for one in specs)
    assert kinds[SharpnessSpec] == 8 * 3 * 3
    ensembles = [one for one in specs if isinstance(one, EnsembleSpec)]
    assert sum(one.placements == room.PLACEMENTS for one in ensembles) == 8 * fit
    assert sum(len(one.models) == room.RETRAINED for one in ensembles) == room.SOME
    assert sum(bool(one.models[0].outside) for one in ensembles) == room.GRID * fit * 4
    attacks = [one for one in specs if isinstance(one, RelearnSpec)]
    main = [one for one in attacks if one.attack == room.MAIN]
    assert Counter(one.place for one in main if one.points == 11) == dict.fromkeys(range(11), 8 * fit) | {
        5: 8 * fit * 4
    }
    assert len({one.attack for one in attacks}) == 12 + 2
    assert {one.training for one in attacks} == {attacks[0].training} and all(one.weighted for one in attacks)
    defended = room.defended(eight)
    assert len(defended) == 8 * (fit + len(DEFENCES)) * 2
    policies = {one.trace.batchnorm for one in specs if type(one).__name__ == "MetricSpec"}
    assert policies == {"retain", "none", "interpolated"}


def test_a_model_trained_before_its_labels_were_changed_is_another(eight):
    relabelled = eight.under(Scenario("mislabelled"))
    assert relabelled.original(0).first is None
    with pytest.raises(BadInput, match="leave first out"):
        OriginalSpec(relabelled.data, "convnet", 16, 0, eight.original(0).plan, first=0)


def test_they_are_priced_apart():
    assert PRICED_APART["ensembles"] is room.needs and PRICED_APART["difficulty"] is graded_sets.needs


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
    with pytest.raises(BadInput, match="number or placement"):
        room.c22(made, "size")


# C18


def attacked(start, end, loss=1.0, n=200, seed=0, steps=(0, 5, 10)):
    """A model right on a share of forgotten examples that grows over the steps."""
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(5).integers(0, 4, n)
    logits = rng.normal(0, 0.01, (len(steps), n, 4))
    for k, share in enumerate(np.linspace(start, end, len(steps))):
        shown = np.where(np.arange(n) < round(share * n), labels, (labels + 1) % 4)
        logits[k, np.arange(n), shown] += 5
    right = (logits.argmax(-1) == labels).mean(-1)
    return {
        "steps": np.array(steps), "logits/forget": logits.astype(np.float16), "labels/forget": labels,
        "accuracy/forget": right, "loss/valid": np.full(len(steps), loss),
    }  # fmt: skip


def test_an_ensemble_is_held_against_the_point_that_starts_like_it():
    line = [
        attacked(0.5, 0.9),
        attacked(0.5, 0.7, loss=0.5),
        attacked(0.5, 0.9),
        attacked(0.6, 0.9),
        attacked(0.5, 0.9),
    ]
    assert room.matched(line, 0.5) == 1 and room.matched(line, 0.6) == 3 and room.matched(line, 0.7) is None
    assert room.together_attacked([line[0], line[2], line[4]]) == pytest.approx(line[0]["accuracy/forget"])
    by_hand = np.mean([0.0, 0.1, 0.1, 0.2])  # trapezoids of (0, .1, .2) above the matched point
    assert room.resistance(line) == pytest.approx(by_hand)
    assert room.copies_resist([line[0]] * 3) == pytest.approx(0)
    with pytest.raises(BadInput, match="same steps"):
        room.together_attacked([line[0], attacked(0.5, 0.9, steps=(0, 5, 20))])


@pytest.mark.parametrize(("area", "word"), [(-0.05, "supported"), (0.0, "contradicted"), (0.05, "contradicted")])
def test_c18_wants_an_ensemble_that_regains_a_point_less(area, word):
    assert room.c18(noisy(area, 0.005), list(noisy(0, 0.002, range(8)).values())).verdict == word


def test_c18_of_what_copies_gain_and_of_few_matches_says_nothing():
    assert room.c18(noisy(-0.05, 0.003), [-0.06, -0.05, -0.04]).verdict == "undecided"
    rare = {place: value if place[1] == "npo" else np.nan for place, value in noisy(-0.05, 0.003).items()}
    assert "missing" in " ".join(room.c18(rare, [0.0]).notes)


# C19


def test_c19_compares_the_mean_with_its_ends():
    rows = [{"both/retain": np.array([v, v]), "hessian": h} for v, h in ((0.2, 4.0), (0.4, 8.0), (0.15, 3.0))]
    assert room.smoother(rows) == pytest.approx(-0.5) and room.smoother(rows, "hessian") == pytest.approx(-0.5)
    assert np.isnan(room.smoother([{"both/retain": np.zeros(2)}] * 3))
    assert room.c19(noisy(-0.3, 0.05), [0.02, -0.03, 0.01]).verdict == "supported"
    assert room.c19(noisy(0.0, 0.03), [0.02, -0.03]).verdict == "contradicted"
    assert room.c19(noisy(-0.3, 0.05), [-0.4, 0.4]).verdict == "undecided"


# N2, C20, N3


def pairs_of(rho, seed=0, n=22):
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
    assert room.n2(*pairs_of(rho), draws=60).verdict == word


@pytest.mark.parametrize(
    ("rho", "both", "above"), [(0.9, "supported", "supported"), (-0.9, "supported", "contradicted")]
)
def test_c20_takes_either_sign_and_n3_one(rho, both, above):
    assert difficulty.c20(*pairs_of(rho)).verdict == both and difficulty.n3(*pairs_of(rho)).verdict == above


def test_correlations_of_nothing_decide_nothing():
    none = difficulty.c20(*pairs_of(0.0, n=6))
    assert none.verdict != "supported"
    left, right = pairs_of(0.9)
    flat = {original: dict.fromkeys(row, 1.0) for original, row in right.items()}
    assert rank_trial(left, flat, Rule("above", 0.3), draws=10).n_originals == 0
    few = {original: dict(list(row.items())[:3]) for original, row in right.items()}
    assert rank_trial(left, few, Rule("above", 0.3), draws=10).verdict == "undecided"


@settings(deadline=None, derandomize=True, max_examples=5)
@given(st.integers(0, 1000))
def test_correlations_do_not_depend_on_monotone_scales_or_order(seed):
    left, right = pairs_of(0.5, seed, n=8)
    one = rank_trial(left, right, Rule("above", 0.3), draws=2).effect.estimate
    bent = {o: {name: np.exp(v) for name, v in reversed(row.items())} for o, row in left.items()}
    assert rank_trial(bent, right, Rule("above", 0.3), draws=2).effect.estimate == pytest.approx(one)
    turned = {o: {name: -v for name, v in row.items()} for o, row in left.items()}
    assert rank_trial(turned, right, Rule("above", 0.3), draws=2).effect.estimate == pytest.approx(-one)


def test_the_instrument_must_find_what_was_built_to_be_disconnected():
    apart = dict.fromkeys(DEFENCES[:3], [0.5, 0.2]) | dict.fromkeys(DEFENCES[3:], [0.0, 0.05])
    assert room.disconnected(apart) == []
    (said,) = room.disconnected({**apart, DEFENCES[0]: [0.0]})
    assert DEFENCES[1] in said and "others do not" in said


# N5, N7


def test_n5_counts_what_retrained_features_do_not_have():
    beside = {o: [0.60, 0.62] for o in range(8)}
    assert difficulty.n5(noisy(0.9, 0.02), beside).verdict == "supported"
    assert difficulty.n5(noisy(0.61, 0.02), beside).verdict == "contradicted"
    assert difficulty.n5(noisy(0.9, 0.02), {o: [0.2, 0.9] for o in range(8)}).verdict == "undecided"
    with pytest.raises(BadInput, match="two retrained models"):
        difficulty.n5(noisy(0.9, 0.02), {0: [0.6]})


def test_a_probe_tells_blobs_apart_and_noise_by_chance(tiny, theta):
    x, y = make_blobs(120, 5, centers=3, cluster_std=1.0, random_state=0)
    assert (probe(x[:60], y[:60], x[60:]) == y[60:]).mean() == 1
    assert np.array_equal(probe(x[:60] * 50 + 7, y[:60], x[60:] * 50 + 7), probe(x[:60], y[:60], x[60:]))
    noise = np.random.default_rng(0).normal(size=(400, 5))
    assert abs((probe(noise[:200], np.arange(200) % 2, noise[200:]) == np.arange(200) % 2).mean() - 0.5) < 0.12
    still = np.c_[x, np.ones(len(x))]
    assert np.array_equal(probe(still[:60], y[:60], still[60:]), probe(x[:60], y[:60], x[60:]))
    assert 0 <= recall(theta, tiny, 3) <= 1
    for bad in ((x[:9], y[:8], x), (x[:9], np.zeros(9, int), x), (x * np.nan, y, x), (x, y, x[:, :2])):
        with pytest.raises(BadInput, match="a probe"):
            probe(*bad)
    with pytest.raises(BadInput, match="label"):
        recall(theta, tiny, 10)


def merged(ends, dip):
    """Lines between two methods on four originals, and distances to retrained models that fall by so much halfway."""
    t = np.linspace(0, 1, 11)
    world = World(lambda labels: Shape(ends=ends), points=11)
    lines = []
    for original in range(4):
        for other in ("scrub", "gradient_difference"):
            named = {"other": other, "kind": "linear", "condition": "method", "start": 42, "end": 87}
            lines.append(walk(world, original=original, method="npo", **named))
    rows = 0.1 + 0.02 * t - dip * 4 * t * (1 - t) + 0.01 * np.arange(5)[:, None]
    return lines, {(w.original, w.label): rows for w in lines}


@pytest.mark.parametrize(("dip", "word"), [(0.04, "supported"), (0.0, "contradicted")])
def test_n7_takes_lines_from_an_over_to_an_under_forgotten_model(dip, word):
    found = difficulty.n7(*merged((1.5, 0.8), dip))
    assert (found.verdict, found.n_cells) == (word, 8)
    for both in ((1.5, 1.4), (0.8, 0.9)):
        assert difficulty.n7(*merged(both, dip)).n_cells == 0
