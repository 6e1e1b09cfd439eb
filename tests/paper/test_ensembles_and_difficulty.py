"""The needs and the declared tests of 12 on made numbers: the word, the null, and attacks on them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from made_worlds import Shape, World, walk
from sklearn.datasets import make_blobs

from mcutils.data.scenarios import Scenario
from mcutils.engine.specs import OriginalSpec
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.measures.probes import probe, recall
from mcutils.paper import difficulty, graded_sets
from mcutils.paper.registry import PRICED_APART
from mcutils.paper.trials import Rule, rank_trial

METHODS = ("npo", "scrub", "l1_sparse")
PLACES = [(o, m) for o in range(8) for m in METHODS]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


# What is computed


def test_a_model_trained_before_its_labels_were_changed_is_another(eight):
    relabelled = eight.under(Scenario("mislabelled"))
    assert relabelled.original(0).first is None
    with pytest.raises(BadInput, match="leave first out"):
        OriginalSpec(relabelled.data, "convnet", 16, 0, eight.original(0).plan, first=0)


def test_it_is_priced_apart():
    assert PRICED_APART["difficulty"] is graded_sets.needs


def noisy(mean, spread, places=PLACES, seed=0):
    rng = np.random.default_rng(seed)
    return {place: mean + spread * rng.normal() for place in places}


# C20, N3


def pairs_of(rho, seed=0, n=22):
    """For each original two rows of numbers with such a correlation."""
    rng = np.random.default_rng(seed)
    left, right = {}, {}
    for original in range(8):
        x = rng.normal(size=n)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n)
        left[original], right[original] = dict(enumerate(x)), dict(enumerate(y))
    return left, right


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
