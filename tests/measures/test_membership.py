"""Population attacks and ROC statistics against formulas, scikit-learn, brute force and what chance gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp, softmax
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.svm import SVC

from mcutils.errors import BadInput
from mcutils.measures import membership
from mcutils.measures.membership import auc
from mcutils.traces import Trace

LAW = settings(deadline=None, derandomize=True, max_examples=40)
LOGITS = arrays(np.float64, (6, 4), elements=st.floats(-12, 12))
LABELS = np.array([0, 1, 2, 3, 0, 1])


@LAW
@given(LOGITS)
def test_signals_are_their_formulas(z):
    p = softmax(z, axis=1)
    own = p[np.arange(6), LABELS]
    assert membership.signal("loss", z, LABELS) == pytest.approx(np.log(own), abs=1e-9)
    assert membership.signal("confidence", z, LABELS) == pytest.approx(own, abs=1e-12)
    assert membership.signal("entropy", z, LABELS) == pytest.approx(-entropy(p, axis=1), abs=1e-9)
    mentr = [
        -(1 - row[y]) * np.log(row[y]) - sum(row[k] * np.log1p(-row[k]) for k in range(4) if k != y)
        for row, y in zip(p, LABELS, strict=True)
    ]
    assert membership.signal("modified_entropy", z, LABELS) == pytest.approx(-np.array(mentr), rel=1e-6, abs=1e-9)
    phi = membership.confidence_logit(z, LABELS)
    assert phi == pytest.approx(np.log(own) - np.log1p(-own), rel=1e-4, abs=1e-6)
    others = [logsumexp(np.delete(row, y)) for row, y in zip(z, LABELS, strict=True)]
    np.testing.assert_allclose(phi, z[np.arange(6), LABELS] - others, atol=1e-12)


@LAW
@given(LOGITS, st.floats(-50, 50))
def test_signals_do_not_move_with_a_constant_and_rank_loss_as_confidence_and_phi(z, shift):
    for name in membership.SIGNALS:
        np.testing.assert_allclose(
            membership.signal(name, z, LABELS), membership.signal(name, z + shift, LABELS), atol=1e-8
        )
    order = np.argsort(membership.confidence_logit(z, LABELS))
    assert (np.diff(membership.signal("loss", z, LABELS)[order]) >= -1e-9).all()


def test_certainty_stays_finite_and_ordered():
    z = np.array([[60.0, 0.0], [300.0, 0.0], [6e4, -6e4], [-6e4, 6e4]])
    labels = np.zeros(4, int)
    phi = membership.confidence_logit(z, labels)
    np.testing.assert_allclose(phi, [60, 300, 1.2e5, -1.2e5])
    for name in membership.SIGNALS:
        assert np.isfinite(membership.signal(name, z, labels)).all(), name
    mentr = membership.signal("modified_entropy", z, labels)
    assert mentr[0] == pytest.approx(-2 * 60 * 0 - 2 * np.exp(-120.0), abs=1e-24)  # to first order in 1 - p
    assert mentr[3] < -1e5  # certainly wrong


def test_logits_that_are_not_finite_are_nan():
    z = np.array([[np.nan, 0.0], [np.inf, 0.0], [1.0, 0.0]])
    assert np.isnan(membership.confidence_logit(z, [0, 0, 0])).tolist() == [True, True, False]


@LAW
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_balanced_rows_have_equal_classes_and_leave_out_no_more_than_they_must(one, other):
    one, other = np.array(one), np.array(other)
    if not set(one) & set(other):
        with pytest.raises(BadInput, match="no class in common"):
            membership.balanced_rows(one, other)
        return
    rows, others = membership.balanced_rows(one, other, seed=3)
    assert sorted(one[rows]) == sorted(other[others]) and len(set(rows)) == len(rows)
    assert len(rows) == sum(min((one == c).sum(), (other == c).sum()) for c in range(5))


def test_a_class_that_only_members_have_is_no_membership():
    """Scores that tell the class alone: told apart as they are, at chance once classes are equally many."""
    labels, others = np.repeat([0, 1], [90, 30]), np.repeat([0, 1], [30, 90])
    assert auc(-labels.astype(float), -others.astype(float)) == pytest.approx(0.75)
    rows, kept = membership.balanced_rows(labels, others)
    assert auc(-labels[rows].astype(float), -others[kept].astype(float)) == 0.5


def brute_best(members, others):
    """Every threshold on each side; the largest share of right answers."""
    values = np.unique(np.r_[members, others])
    cuts = np.r_[-np.inf, (values[1:] + values[:-1]) / 2, np.inf]
    return max(
        max(np.mean(members >= c) + np.mean(others < c), np.mean(members < c) + np.mean(others >= c)) for c in cuts
    )


@LAW
@given(
    arrays(np.float64, 7, elements=st.integers(-3, 3)),
    arrays(np.float64, st.integers(1, 9), elements=st.integers(-3, 3)),
)
def test_the_chosen_threshold_is_a_best_one(members, others):
    threshold, above = membership._best(members, others)
    right = np.mean((members >= threshold) == above) + np.mean((others >= threshold) != above)
    assert right == pytest.approx(brute_best(members, others))


def test_cross_fitting_is_at_chance_where_nothing_is_told_and_finds_what_is_there_on_either_side():
    generator = np.random.default_rng(0)
    chance = [membership.attack_accuracy(*generator.normal(size=(2, 60)), seed=k) for k in range(150)]
    assert np.mean(chance) == pytest.approx(0.5, abs=0.012)
    low, high = generator.normal(0, 1, 500), generator.normal(3, 1, 800)
    for pair in ((low, high), (high, low)):  # 0.933 by the best threshold
        assert membership.attack_accuracy(*pair) == pytest.approx(0.933, abs=0.03)
    assert membership.attack_accuracy(np.ones(20), np.ones(20)) == 0.5
    assert membership.attack_accuracy(np.full(20, np.inf), np.zeros(20)) == 1
    assert np.isnan(membership.attack_accuracy(np.full(20, np.nan), np.zeros(20)))


def made_trace(shift, seed=0, points=2):
    generator = np.random.default_rng(seed)
    sizes = {"retain": 40, "forget": 120, "valid": 80, "test": 200}
    labels = {split: generator.integers(0, 3, n) for split, n in sizes.items()}
    logits = {split: generator.normal(size=(points, n, 3)) for split, n in sizes.items()}
    for k in range(points):
        logits["forget"][k, np.arange(120), labels["forget"]] += shift * k
    index = {split: np.arange(n) for split, n in sizes.items()}
    parts = {split: one.astype(np.float16) for split, one in logits.items()}
    return Trace(np.linspace(0, 1, points) if points > 1 else np.zeros(1), parts, labels, index, {})


@pytest.mark.parametrize(("shift", "sign"), [(2.0, 1), (-2.0, -1)])
def test_along_a_trace_members_are_found_with_their_direction(shift, sign):
    found = membership.population_attacks(made_trace(shift))
    assert set(found) == {f"{s}/{k}" for s in membership.SIGNALS for k in ("auc", "tpr", "accuracy")}
    assert all(one.shape == (2,) for one in found.values())
    for name in ("loss", "confidence", "modified_entropy"):
        start, end = found[f"{name}/auc"]
        assert abs(start - 0.5) < 0.12 and sign * (end - 0.5) > 0.25
    assert found["loss/accuracy"][1] > 0.65
    assert found["loss/auc"] == pytest.approx(found["confidence/auc"])
    again = membership.population_attacks(made_trace(shift))
    assert all(np.array_equal(found[k], again[k]) for k in found)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: membership.signal("los", np.zeros((2, 3)), np.zeros(2, int)), "unknown signal"),
        (lambda: membership.signal("loss", np.zeros((2, 3)), np.zeros(3, int)), "logits must be"),
        (lambda: membership.signal("loss", np.zeros((2, 1)), np.zeros(2, int)), "two classes"),
        (lambda: membership.signal("loss", np.zeros((2, 3)), np.array([0, 3])), "from 0 to 2"),
        (lambda: membership.confidence_logit(np.zeros((2, 3), int), np.zeros(2, int)), "logits must be"),
        (lambda: membership.attack_accuracy(np.zeros(3), np.zeros(30)), "folds"),
        (lambda: membership.attack_accuracy(np.zeros(3), np.zeros(3), folds=1), "folds"),
        (lambda: membership.balanced_rows([0.5], [1]), "whole numbers"),
        (lambda: membership.population_attacks(made_trace(0), others="ood"), "unknown split"),
        (lambda: membership.population_attacks(np.zeros(3)), "must be a trace"),
    ],
)
def test_bad_input_is_one_sentence(call, said):
    with pytest.raises(BadInput, match=said):
        call()


# Few distinct values, so that ties are the rule.
SCORES = arrays(np.float64, st.integers(1, 12), elements=st.integers(-3, 3))


def labelled(members, others):
    return np.r_[np.ones(len(members)), np.zeros(len(others))], np.r_[members, others]


@LAW
@given(SCORES, SCORES)
def test_ties_and_all_it_is_scikit_learn_s(members, others):
    label, score = labelled(members, others)
    assert membership.auc(members, others) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert membership.auc(members, others) == pytest.approx(
        (members[:, None] > others).mean() + (members[:, None] == others).mean() / 2
    )
    fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    for allowed in (0.0, 0.01, 0.25, 0.5):
        assert membership.tpr_at(members, others, allowed) == pytest.approx(
            tpr[fpr <= allowed + 1e-12].max(), abs=1e-12
        )


@LAW
@given(SCORES, SCORES)
def test_laws_of_exchange_sign_and_order(members, others):
    area = membership.auc(members, others)
    assert area + membership.auc(others, members) == pytest.approx(1)
    assert area == pytest.approx(1 - membership.auc(-members, -others))
    assert area == pytest.approx(membership.auc(np.exp(members), np.exp(others)))  # ranks alone count
    assert membership.tpr_at(members, others, 0.1) <= membership.tpr_at(members, others, 0.5)


def test_leading_axes_are_kept_and_a_nan_spoils_its_own_row_only():
    generator = np.random.default_rng(0)
    members, others = generator.normal(size=(2, 3, 7)), generator.normal(size=(2, 3, 5))
    members[0, 1, 2] = np.nan
    for one in (membership.auc, membership.tpr_at):
        found = one(members, others)
        assert found.shape == (2, 3) and np.isnan(found[0, 1]) and np.isfinite(found).sum() == 5
        assert found[1, 2] == one(members[1, 2], others[1, 2])


def test_scores_without_end_are_ranked_like_others():
    assert membership.auc([np.inf, 1.0], [-np.inf, 1.0]) == 0.875


@pytest.mark.parametrize("call", [membership.auc, membership.tpr_at])
@pytest.mark.parametrize(
    "given_", [([], [1.0]), ([1.0], []), ("ab", [1.0]), (np.ones((2, 3)), np.ones(3)), (None, [1.0])]
)
def test_what_is_no_pair_of_sides_is_refused(call, given_):
    with pytest.raises(BadInput, match="scores"):
        call(*given_)


def test_a_rate_of_all_is_refused():
    with pytest.raises(BadInput, match="fpr must be a share"):
        membership.tpr_at([1.0], [0.0], 1.0)


CLASSES = 4


def drawn(n, seed, sharp=1.0, right=0.0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, n)
    logits = sharp * generator.normal(size=(n, CLASSES))
    logits[np.arange(n), labels] += right
    return logits.astype(np.float32), labels


MEMBERS, OTHERS, TARGETS = drawn(60, 0, 1, 4), drawn(60, 1, 1, 2), drawn(50, 2, 1, 3)


def their_features(logits, labels):
    """As in the public code, whole columns and all."""
    p, y = torch.softmax(torch.from_numpy(logits), -1), torch.from_numpy(labels)
    log_p = torch.where(p > 0, p.log(), torch.tensor(1e-30).log())
    changed, changed_log = p.clone(), log_p.clone()
    changed[:, y] = (1 - p)[:, y]
    changed_log[:, y] = log_p[:, y]
    return {
        "correctness": (p.argmax(1) == y).float()[:, None],
        "confidence": p.gather(1, y[:, None]),
        "entropy": -torch.where(p > 0, p * p.log(), torch.zeros(1)).sum(-1)[:, None],
        "m_entropy": -(changed * changed_log).sum(-1)[:, None],
        "prob": p,
    }


@pytest.mark.parametrize("name", membership.FEATURES)
def test_features_are_the_published_ones(name):
    for logits, labels in (MEMBERS, (np.float32([[200, 0, -200, 0]] * 3), np.array([0, 1, 1]))):
        theirs = their_features(logits, labels)[name].numpy()
        assert membership.feature(name, logits, labels).shape == theirs.shape
        np.testing.assert_allclose(membership.feature(name, logits, labels), theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", membership.FEATURES)
def test_the_attack_is_theirs(name):
    parts = [their_features(*one)[name].numpy() for one in (MEMBERS, OTHERS, TARGETS)]
    fitted = SVC(C=3, gamma="auto", kernel="rbf").fit(np.concatenate(parts[:2]), np.repeat([1, 0], 60))
    assert membership.svc_attack(MEMBERS, OTHERS, TARGETS, name) == pytest.approx(
        1 - fitted.predict(parts[2]).mean(), abs=0.021
    )


def test_their_m_entropy_is_not_the_modified_entropy_and_knows_no_label_of_its_row():
    logits, labels = MEMBERS
    theirs = membership.feature("m_entropy", logits, labels)[:, 0]
    ours = -membership.signal("modified_entropy", logits, labels)
    assert np.abs(theirs - ours).min() > 0.01
    moved = np.roll(labels, 1)  # the same labels on other rows
    np.testing.assert_array_equal(theirs, membership.feature("m_entropy", logits, moved)[:, 0])
    assert not np.allclose(ours, -membership.signal("modified_entropy", logits, moved))


VALUES = arrays(np.float64, st.integers(1, 8), elements=st.integers(0, 5))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(VALUES, VALUES, VALUES)
def test_the_twin_s_threshold_is_the_best_of_all(own, other, asked):
    def pair(p):  # logits of two classes whose confidence rises with the value
        return np.c_[p / 2, -p / 2], np.zeros(len(p), int)

    share = membership.threshold_attack(pair(own), pair(other), pair(asked))
    cuts = np.arange(-0.5, 6)
    right = [(own >= c).sum() + (other < c).sum() for c in cuts]
    shares = {float((asked < c).mean()) for c, n in zip(cuts, right, strict=True) if n == max(right)}
    assert any(share == pytest.approx(one) for one in shares)


def test_members_below_are_found_by_features_that_fall():
    assert membership.threshold_attack(MEMBERS, OTHERS, MEMBERS, "entropy") < membership.threshold_attack(
        MEMBERS, OTHERS, OTHERS, "entropy"
    )
    assert (
        membership.threshold_attack(MEMBERS, OTHERS, MEMBERS)
        < 0.5
        < membership.threshold_attack(MEMBERS, OTHERS, OTHERS)
    )


def test_along_a_trace_each_point_is_its_own_attack():
    parts = {"retain": MEMBERS, "test": OTHERS, "forget": TARGETS, "valid": OTHERS}
    logits = {
        split: np.stack([z, z * 0.5, np.where(np.arange(len(z))[:, None], z, np.nan)])
        for split, (z, _) in parts.items()
    }
    labels = {split: y for split, (_, y) in parts.items()}
    index = {split: np.arange(len(y)) for split, y in labels.items()}
    trace = Trace(np.array([0.0, 0.5, 1.0]), logits, labels, index, {})
    for attack in (membership.svc_attack, membership.threshold_attack):
        found = membership.svc_along(trace, attack=attack)
        assert found[0] == attack(MEMBERS, OTHERS, TARGETS) and np.isnan(found[2])


def test_bad_input_of_the_svc_attack_is_one_sentence():
    with pytest.raises(BadInput, match="unknown feature"):
        membership.svc_attack(MEMBERS, OTHERS, TARGETS, "loss")
    with pytest.raises(BadInput, match="one dimension"):
        membership.threshold_attack(MEMBERS, OTHERS, TARGETS, "prob")
    with pytest.raises(BadInput, match="finite"):
        membership.feature("prob", np.full((2, 3), np.nan), np.zeros(2, int))
    with pytest.raises(BadInput, match="one model"):
        membership.feature("prob", np.zeros((2, 2, 3)), np.zeros(2, int))
