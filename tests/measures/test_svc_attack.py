"""The SalUn family's attack against the published formulas in torch, and its twin against brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.svm import SVC

from mcutils.errors import BadInput
from mcutils.measures import membership, svc_attack as svc
from mcutils.traces import Trace

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


@pytest.mark.parametrize("name", svc.FEATURES)
def test_features_are_the_published_ones(name):
    for logits, labels in (MEMBERS, (np.float32([[200, 0, -200, 0]] * 3), np.array([0, 1, 1]))):
        theirs = their_features(logits, labels)[name].numpy()
        assert svc.feature(name, logits, labels).shape == theirs.shape
        np.testing.assert_allclose(svc.feature(name, logits, labels), theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", svc.FEATURES)
def test_the_attack_is_theirs(name):
    parts = [their_features(*one)[name].numpy() for one in (MEMBERS, OTHERS, TARGETS)]
    fitted = SVC(C=3, gamma="auto", kernel="rbf").fit(np.concatenate(parts[:2]), np.repeat([1, 0], 60))
    assert svc.svc_attack(MEMBERS, OTHERS, TARGETS, name) == pytest.approx(
        1 - fitted.predict(parts[2]).mean(), abs=0.021
    )


def test_their_m_entropy_is_not_the_modified_entropy_and_knows_no_label_of_its_row():
    logits, labels = MEMBERS
    theirs = svc.feature("m_entropy", logits, labels)[:, 0]
    ours = -membership.signal("modified_entropy", logits, labels)
    assert np.abs(theirs - ours).min() > 0.01
    moved = np.roll(labels, 1)  # the same labels on other rows
    np.testing.assert_array_equal(theirs, svc.feature("m_entropy", logits, moved)[:, 0])
    assert not np.allclose(ours, -membership.signal("modified_entropy", logits, moved))


VALUES = arrays(np.float64, st.integers(1, 8), elements=st.integers(0, 5))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(VALUES, VALUES, VALUES)
def test_the_twin_s_threshold_is_the_best_of_all(own, other, asked):
    def pair(p):  # logits of two classes whose confidence rises with the value
        return np.c_[p / 2, -p / 2], np.zeros(len(p), int)

    share = svc.threshold_attack(pair(own), pair(other), pair(asked))
    cuts = np.arange(-0.5, 6)
    right = [(own >= c).sum() + (other < c).sum() for c in cuts]
    shares = {float((asked < c).mean()) for c, n in zip(cuts, right, strict=True) if n == max(right)}
    assert any(share == pytest.approx(one) for one in shares)


def test_members_below_are_found_by_features_that_fall():
    assert svc.threshold_attack(MEMBERS, OTHERS, MEMBERS, "entropy") < svc.threshold_attack(
        MEMBERS, OTHERS, OTHERS, "entropy"
    )
    assert svc.threshold_attack(MEMBERS, OTHERS, MEMBERS) < 0.5 < svc.threshold_attack(MEMBERS, OTHERS, OTHERS)


def test_along_a_trace_each_point_is_its_own_attack():
    parts = {"retain": MEMBERS, "test": OTHERS, "forget": TARGETS, "valid": OTHERS}
    logits = {
        split: np.stack([z, z * 0.5, np.where(np.arange(len(z))[:, None], z, np.nan)])
        for split, (z, _) in parts.items()
    }
    labels = {split: y for split, (_, y) in parts.items()}
    index = {split: np.arange(len(y)) for split, y in labels.items()}
    trace = Trace(np.array([0.0, 0.5, 1.0]), logits, labels, index, {})
    for attack in (svc.svc_attack, svc.threshold_attack):
        found = svc.svc_along(trace, attack=attack)
        assert found[0] == attack(MEMBERS, OTHERS, TARGETS) and np.isnan(found[2])


def test_bad_input_is_one_sentence():
    with pytest.raises(BadInput, match="unknown feature"):
        svc.svc_attack(MEMBERS, OTHERS, TARGETS, "loss")
    with pytest.raises(BadInput, match="one dimension"):
        svc.threshold_attack(MEMBERS, OTHERS, TARGETS, "prob")
    with pytest.raises(BadInput, match="finite"):
        svc.feature("prob", np.full((2, 3), np.nan), np.zeros(2, int))
    with pytest.raises(BadInput, match="one model"):
        svc.feature("prob", np.zeros((2, 2, 3)), np.zeros(2, int))
