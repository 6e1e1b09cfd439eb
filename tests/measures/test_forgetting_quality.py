"""Epsilon against all attacks and the published grid; KLoM against scipy and closed forms; IAM against its formula."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy, gumbel_r

from mcutils.errors import BadInput
from mcutils.measures import forgetting_quality as fq
from mcutils.measures.forgetting_quality import completeness, iam_signal

LAW = settings(deadline=None, derandomize=True, max_examples=40)
DRAWS = arrays(np.float64, (6, 1), elements=st.integers(-4, 4))


def rates_to_epsilon(fnr, fpr, delta=1e-5):
    if fnr == fpr == 0:
        return np.inf
    if fnr == 0 or fpr == 0:
        return np.nan
    with np.errstate(invalid="ignore"):
        return np.nanmax([np.log(1 - delta - fpr) - np.log(fnr), np.log(1 - delta - fnr) - np.log(fpr), 0.0])


def one_by_one(unlearned, retrained, cuts=None):
    """Every threshold and every pair of them between the values."""
    ranges = np.ptp(unlearned), np.ptp(retrained)
    if max(ranges) == 0:
        return 0.0 if unlearned[0] == retrained[0] else 50.0
    if min(ranges) / max(ranges) < 0.01:
        return 50.0
    up = np.median(retrained) > np.median(unlearned)
    pos, neg = (retrained, unlearned) if up else (unlearned, retrained)
    cuts = np.r_[np.unique(np.r_[pos, neg]) - 0.25, 100.0]
    found = [rates_to_epsilon((pos < c).mean(), (neg >= c).mean()) for c in cuts]
    inner, outer = (neg, pos) if np.ptp(pos) >= np.ptp(neg) else (pos, neg)
    for left in cuts:
        for right in cuts[cuts > left]:
            inside = [((left <= one) & (one < right)).mean() for one in (inner, outer)]
            found.append(rates_to_epsilon(1 - inside[0], inside[1]))
    found = [one for one in found if not np.isnan(one)]
    return min(max(found, default=0.0), 50.0)


@LAW
@given(DRAWS, DRAWS)
def test_epsilon_is_the_largest_of_all_attacks(unlearned, retrained):
    expected = one_by_one(unlearned[:, 0], retrained[:, 0])
    assert fq.epsilons(unlearned, retrained)[0] == pytest.approx(expected, abs=1e-9)


@LAW
@given(arrays(np.float64, (9, 5), elements=st.integers(-4, 4)), st.integers(2, 7), st.integers(1, 400))
def test_epsilons_of_many_examples_are_those_of_each(draws, size, room):
    """Laws of different sizes, however many examples are tried at once."""
    unlearned, retrained = draws[:size], draws[size:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fq, "ROOM", room)
        found = fq.epsilons(unlearned, retrained)
    expected = [one_by_one(a, b) for a, b in zip(unlearned.T, retrained.T, strict=True)]
    assert found == pytest.approx(expected, abs=1e-9)


def published_single(pos, neg):
    """One threshold on the published grid of 1/100."""
    both = np.r_[pos, neg]
    grid = np.linspace(both.min(), both.max(), int(np.ceil(np.ptp(both) * 100)))
    found = [rates_to_epsilon((pos < c).mean(), (neg >= c).mean()) for c in grid]
    return min(np.nanmax(found), 50.0)


def test_epsilon_is_at_least_that_of_the_published_grid():
    generator = np.random.default_rng(0)
    unlearned, retrained = generator.normal(1, 1, (32, 20)), generator.normal(0, 1, (32, 20))
    found = fq.epsilons(unlearned, retrained)
    for k in range(20):
        pair = unlearned[:, k], retrained[:, k]
        up = np.median(pair[1]) > np.median(pair[0])
        assert found[k] >= published_single(*(pair[::-1] if up else pair)) - 1e-9
    assert (found[found < fq.CAP] <= fq.largest_epsilon(32) + 1e-9).all()


def test_laws_apart_and_laws_of_no_width_are_capped_and_equal_ones_are_not():
    generator = np.random.default_rng(1)
    one = generator.normal(size=(16, 3))
    assert (fq.epsilons(one + 100, one) == 50).all() and (fq.epsilons(one * 1e-4, one) == 50).all()
    assert fq.epsilons(np.ones((4, 2)), np.ones((4, 2))).tolist() == [0, 0]
    assert (fq.epsilons(one, one) < 1).all() and (fq.epsilons(-one + 5, one[::-1]) > 0).all()
    peaked = np.r_[np.linspace(-0.2, 0.2, 15), 3.0][:, None]  # in the middle of the other: two thresholds find it
    wide = np.linspace(-3, 3, 16)[:, None]
    assert fq.epsilons(peaked, wide)[0] > np.log(8)


def test_the_largest_epsilon_is_reached_by_one_error_of_each_kind():
    pos, neg = np.r_[0.0, np.arange(10, 25)][:, None], np.r_[11.0, np.arange(-25, -10)][:, None]
    assert fq.epsilons(pos, neg)[0] == pytest.approx(fq.largest_epsilon(16)) == pytest.approx(np.log(15), abs=1e-4)


def test_points_are_the_published_bins():
    """32 models: ceil(ln 31) = 4, so eight bins."""
    found = fq.points_of([0, 0.49, 0.5, 0.99, 1.0, 3.49, 3.5, 3.99, 4.0, 50], 32)
    assert found.tolist() == [1, 1, 0.5, 0.5, 0.25, 2**-6, 2**-7, 2**-7, 0, 0]


def test_the_score_is_points_times_what_was_kept():
    generator = np.random.default_rng(2)
    unlearned, retrained = generator.normal(size=(2, 32, 40))
    found = fq.forgetting_quality(unlearned, retrained, retain_ratio=0.9, test_ratio=0.5)
    points = fq.points_of(fq.epsilons(unlearned, retrained), 32).mean()
    assert found.points == pytest.approx(points) and found.score == pytest.approx(points * 0.45)
    assert found.largest == fq.largest_epsilon(32) and found.capped == 0 and found.median_epsilon > 0
    far = fq.forgetting_quality(unlearned + 50, retrained)
    assert (far.score, far.capped) == (0, 1)


def test_the_null_is_two_halves_without_a_model_in_common():
    models = np.arange(9.0)[:, None]
    one, other = fq.null_split(models, seed=3)
    assert len(one) == len(other) == 4 and not set(one[:, 0]) & set(other[:, 0])
    assert not np.array_equal(one, fq.null_split(models, seed=4)[0])


def published_klom(p, q, bins=20, floor=1e-5):
    """By the index of each value's bin, in which the largest value has none."""
    p, q = np.clip(p, -100, 100), np.clip(q, -100, 100)
    low, high = min(p.min(), q.min()), max(p.max(), q.max())
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    shares = []
    for one in (p, q):
        place = np.digitize(one, edges)
        counts = np.array([(place == k).sum() for k in range(1, bins + 1)])
        shares.append(counts / max(counts.sum(), 1))
    seen = shares[0] > 0
    return (shares[0][seen] * np.log(shares[0][seen] / np.maximum(shares[1][seen], floor))).sum()


@LAW
@given(
    arrays(np.float64, (7, 1), elements=st.floats(-120, 120)), arrays(np.float64, (7, 1), elements=st.floats(-120, 120))
)
def test_klom_is_the_published_one_where_asked(unlearned, retrained):
    found = fq.klom(unlearned, retrained, published=True)[0]
    assert found == pytest.approx(published_klom(unlearned[:, 0], retrained[:, 0]), abs=1e-9)


def test_klom_keeps_the_largest_value_and_is_scipy_s_entropy():
    p, q = np.array([0.0, 0, 1, 1, 2, 10])[:, None], np.array([0.0, 1, 1, 2, 2, 9])[:, None]
    counts = [np.histogram(one, np.linspace(0, 10, 5))[0] for one in (p, q)]
    assert counts[0].sum() == 6 and (counts[1][counts[0] > 0] > 0).all()
    assert fq.klom(p, q, bins=4)[0] == pytest.approx(entropy(*counts))
    assert fq.klom(p, q, bins=4)[0] != fq.klom(p, q, bins=4, published=True)[0]


def test_klom_of_equals_is_zero_and_grows_with_distance():
    one = np.random.default_rng(0).normal(size=(64, 5))
    assert np.abs(fq.klom(one, one)).max() < 1e-12 and np.abs(fq.klom_normal(one, one)).max() < 1e-12
    assert np.abs(fq.klom(np.ones((4, 2)), np.ones((4, 2)))).max() == 0
    near, far = fq.klom_normal(one + 0.5, one), fq.klom_normal(one + 2, one)
    assert (0 < near).all() and (near < far).all()


def test_klom_between_normals_is_the_integral():
    generator = np.random.default_rng(1)
    p, q = generator.normal(0.5, 1.2, (40, 1)), generator.normal(0, 0.9, (40, 1))
    x = np.linspace(-15, 15, 200_001)
    laws = [np.exp(-(((x - one.mean()) / one.std(ddof=1)) ** 2) / 2) / one.std(ddof=1) for one in (p, q)]
    expected = np.trapezoid(laws[0] * np.log(laws[0] / laws[1]), x) / np.sqrt(2 * np.pi)
    assert fq.klom_normal(p, q)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fq.epsilons(np.zeros((3, 2)), np.zeros((3, 3))), "same examples"),
        (lambda: fq.epsilons(np.zeros(3), np.zeros(3)), "same examples"),
        (lambda: fq.klom(np.full((3, 2), np.nan), np.zeros((3, 2))), "finite"),
        (lambda: fq.klom(np.zeros((3, 2)), np.zeros((3, 2)), bins=0), "bins"),
        (lambda: fq.klom_normal(np.zeros((1, 2)), np.zeros((3, 2))), "two models"),
        (lambda: fq.null_split(np.zeros((3, 2))), "four retrained"),
        (lambda: fq.points_of([1.0], 1), "models"),
        (lambda: fq.forgetting_quality(np.zeros((3, 2)), np.zeros((3, 2)), test_ratio=-1), "test_ratio"),
        (lambda: completeness([1.0], [1.0], [1.0]), "IAM needs"),
        (lambda: completeness([1.0], [1.0, 2.0], [[1.0, 2.0]]), "IAM needs"),
        (lambda: completeness([1.0], [1.0], np.zeros((0, 1))), "IAM needs"),
        (lambda: completeness([1.0], [1.0], [[1.0]], steps=1), "steps"),
        (lambda: iam_signal([1.5]), "from 0 to 1"),
    ],
)
def test_bad_input_is_one_sentence(call, said):
    with pytest.raises(BadInput, match=said):
        call()


def published_iam(audited, original, unseen, steps, shared):
    """As in the public code: cdf of step k, weight of step k + 1."""
    alphas = np.linspace(0, 1, steps)
    between = np.stack([unseen + (original - unseen) * a for a in alphas], axis=1)  # R, steps, N
    mean, sd = between.mean(axis=0)[:-1], between.std(axis=0)[:-1]
    if shared or len(unseen) == 1:
        sd = np.repeat(between.std(axis=(0, 2))[:-1, None], len(original), axis=1)
    beta = np.sqrt(6) * sd / np.pi
    with np.errstate(over="ignore"):
        cdf = gumbel_r.cdf(audited[None], mean - beta * 0.5772, beta)
    return 1 - (alphas[1:, None] * cdf).sum(axis=0) / alphas[1:].sum()


@pytest.mark.parametrize("models", [1, 5])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("steps", [2, 7, 100])
def test_it_is_the_published_formula(models, shared, steps):
    generator = np.random.default_rng(models)
    audited, original = generator.normal(size=(2, 30))
    unseen = generator.normal(-1, 1, size=(models, 30))
    found = completeness(audited, original, unseen, steps=steps, shared=shared)
    np.testing.assert_allclose(found, published_iam(audited, original, unseen, steps, shared), atol=1e-12)


def test_it_falls_from_the_unseen_end_to_the_original_and_is_told_at_every_t():
    generator = np.random.default_rng(0)
    unseen, original = generator.normal(-2, 0.5, size=(4, 200)), generator.normal(2, 0.5, 200)
    ends = unseen.mean(axis=0), original
    path = np.stack([ends[0] + t * (ends[1] - ends[0]) for t in np.linspace(0, 1, 5)])
    found = completeness(path, original, unseen)
    assert found.shape == (5, 200) and ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found, axis=0) < 0).all()
    assert found[0].mean() > 0.75 and found[-1].mean() < 0.3


def test_the_signal_rises_from_one_end_of_confidence_to_the_other_and_stays_finite():
    p = np.r_[0.0, np.logspace(-8, 0, 40)]
    found = iam_signal(p)
    assert np.isfinite(found).all() and (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(-np.log(0.01 - np.log(1.00001)))
