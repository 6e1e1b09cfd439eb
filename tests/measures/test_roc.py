"""ROC statistics against scikit-learn, brute force, closed forms, and laws."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import ndtr
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score, roc_curve

from mcutils.errors import BadInput
from mcutils.measures import roc

LAW = settings(deadline=None, derandomize=True, max_examples=40)
# Few distinct values, so that ties are the rule.
SCORES = arrays(np.float64, st.integers(1, 12), elements=st.integers(-3, 3))


def labelled(members, others):
    return np.r_[np.ones(len(members)), np.zeros(len(others))], np.r_[members, others]


@LAW
@given(SCORES, SCORES)
def test_ties_and_all_it_is_scikit_learn_s(members, others):
    label, score = labelled(members, others)
    assert roc.auc(members, others) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert roc.auc(members, others) == pytest.approx(
        (members[:, None] > others).mean() + (members[:, None] == others).mean() / 2
    )
    fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    assert roc.balanced_accuracy(members, others) == pytest.approx(0.5 + (tpr - fpr).max() / 2, abs=1e-12)
    for allowed in (0.0, 0.01, 0.25, 0.5):
        assert roc.tpr_at(members, others, allowed) == pytest.approx(tpr[fpr <= allowed + 1e-12].max(), abs=1e-12)


@LAW
@given(SCORES, SCORES)
def test_laws_of_exchange_sign_and_order(members, others):
    area = roc.auc(members, others)
    assert area + roc.auc(others, members) == pytest.approx(1)
    assert area == pytest.approx(1 - roc.auc(-members, -others))
    assert area == pytest.approx(roc.auc(np.exp(members), np.exp(others)))  # ranks alone count
    assert 0.5 <= roc.balanced_accuracy(members, others) <= 1
    assert roc.tpr_at(members, others, 0.1) <= roc.tpr_at(members, others, 0.5)
    assert 2 * roc.balanced_accuracy(members, others) - 1 >= abs(2 * area - 1) / 2 - 1e-12 or area < 0.5


def test_leading_axes_are_kept_and_a_nan_spoils_its_own_row_only():
    generator = np.random.default_rng(0)
    members, others = generator.normal(size=(2, 3, 7)), generator.normal(size=(2, 3, 5))
    members[0, 1, 2] = np.nan
    for one in (roc.auc, roc.tpr_at, roc.balanced_accuracy):
        found = one(members, others)
        assert found.shape == (2, 3) and np.isnan(found[0, 1]) and np.isfinite(found).sum() == 5
        assert found[1, 2] == one(members[1, 2], others[1, 2])


def test_scores_without_end_are_ranked_like_others():
    assert roc.auc([np.inf, 1.0], [-np.inf, 1.0]) == 0.875


def test_delong_s_interval_is_that_of_its_structural_components():
    members, others = np.array([0.2, 0.4, 0.4, 0.9]), np.array([0.1, 0.4, 0.3])
    wins = (members[:, None] > others) + (members[:, None] == others) / 2
    variance = wins.mean(1).var(ddof=1) / 4 + wins.mean(0).var(ddof=1) / 3
    found = roc.auc_interval(members, others)
    assert found.estimate == pytest.approx(wins.mean())
    assert found.low == pytest.approx(wins.mean() - 1.959963984540054 * variance**0.5)
    assert found.high == 1.0  # cut


def test_delong_s_interval_covers_a_known_area():
    generator, hits = np.random.default_rng(0), 0
    for _ in range(300):
        members, others = generator.normal(1, 1, 60), generator.normal(0, 1, 80)
        _, low, high = roc.auc_interval(members, others)
        hits += low <= ndtr(1 / np.sqrt(2)) <= high
    assert 0.90 <= hits / 300 <= 0.985


def test_separated_scores_leave_an_interval_of_some_width():
    found = roc.auc_interval(np.arange(20) + 100.0, np.arange(30.0))
    assert found.estimate == found.high == 1 and 0.8 < found.low < 0.9


def test_the_bootstrap_covers_and_is_the_same_each_time():
    generator = np.random.default_rng(1)
    members, others = generator.normal(1, 1, 300), generator.normal(0, 1, 300)
    one, two = (roc.bootstrap_interval(roc.auc, members, others, draws=200) for _ in range(2))
    assert one == two and one.low < ndtr(1 / np.sqrt(2)) < one.high
    exact = roc.auc_interval(members, others)
    assert one.high - one.low == pytest.approx(exact.high - exact.low, rel=0.25)
    u = mannwhitneyu(members, others).statistic / 90_000
    assert one.estimate == pytest.approx(u)


@pytest.mark.parametrize("call", [roc.auc, roc.tpr_at, roc.balanced_accuracy, roc.auc_interval])
@pytest.mark.parametrize(
    "given_", [([], [1.0]), ([1.0], []), ("ab", [1.0]), (np.ones((2, 3)), np.ones(3)), (None, [1.0])]
)
def test_what_is_no_pair_of_sides_is_refused(call, given_):
    with pytest.raises(BadInput, match="scores"):
        call(*given_)


def test_bad_rates_and_shapes_are_refused():
    with pytest.raises(BadInput, match="fpr must be a share"):
        roc.tpr_at([1.0], [0.0], 1.0)
    with pytest.raises(BadInput, match="two scores a side"):
        roc.auc_interval([1.0], [0.0, 1.0])
    with pytest.raises(BadInput, match="one model's"):
        roc.bootstrap_interval(roc.auc, np.ones((2, 2)), np.ones((2, 2)))
