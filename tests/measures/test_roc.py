"""ROC statistics against scikit-learn, brute force, closed forms, and laws."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
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
    for allowed in (0.0, 0.01, 0.25, 0.5):
        assert roc.tpr_at(members, others, allowed) == pytest.approx(tpr[fpr <= allowed + 1e-12].max(), abs=1e-12)


@LAW
@given(SCORES, SCORES)
def test_laws_of_exchange_sign_and_order(members, others):
    area = roc.auc(members, others)
    assert area + roc.auc(others, members) == pytest.approx(1)
    assert area == pytest.approx(1 - roc.auc(-members, -others))
    assert area == pytest.approx(roc.auc(np.exp(members), np.exp(others)))  # ranks alone count
    assert roc.tpr_at(members, others, 0.1) <= roc.tpr_at(members, others, 0.5)


def test_leading_axes_are_kept_and_a_nan_spoils_its_own_row_only():
    generator = np.random.default_rng(0)
    members, others = generator.normal(size=(2, 3, 7)), generator.normal(size=(2, 3, 5))
    members[0, 1, 2] = np.nan
    for one in (roc.auc, roc.tpr_at):
        found = one(members, others)
        assert found.shape == (2, 3) and np.isnan(found[0, 1]) and np.isfinite(found).sum() == 5
        assert found[1, 2] == one(members[1, 2], others[1, 2])


def test_scores_without_end_are_ranked_like_others():
    assert roc.auc([np.inf, 1.0], [-np.inf, 1.0]) == 0.875


@pytest.mark.parametrize("call", [roc.auc, roc.tpr_at])
@pytest.mark.parametrize(
    "given_", [([], [1.0]), ([1.0], []), ("ab", [1.0]), (np.ones((2, 3)), np.ones(3)), (None, [1.0])]
)
def test_what_is_no_pair_of_sides_is_refused(call, given_):
    with pytest.raises(BadInput, match="scores"):
        call(*given_)


def test_a_rate_of_all_is_refused():
    with pytest.raises(BadInput, match="fpr must be a share"):
        roc.tpr_at([1.0], [0.0], 1.0)
