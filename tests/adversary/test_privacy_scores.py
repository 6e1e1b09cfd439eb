"""Attempts to make privacy scores say something where nothing is to be told."""

import numpy as np
import pytest

from mcutils.measures import forgetting_quality as fq, membership, shadow_pool as sp
from mcutils.measures.rmia import rmia
from mcutils.measures.roc import auc, balanced_accuracy

MODELS, EXAMPLES = 16, 300


def chance(seed):
    """Models that know nothing of who is in which, and examples of very different difficulty."""
    rng = np.random.default_rng(seed)
    phi = rng.normal(2, 3, EXAMPLES) + rng.normal(size=(MODELS, EXAMPLES))
    held = rng.permuted(np.tile(np.repeat([True, False], MODELS // 2)[:, None], EXAMPLES), axis=0)
    return phi, held


def test_a_model_s_own_shadow_tells_what_is_not_there_and_is_left_out():
    own, left = [], []
    for seed in range(5):
        phi, held = chance(seed)
        scores = np.array([sp.lira_online(one, phi, held) for one in phi])  # each within the laws that judge it
        own.append(sp.over_models(auc, scores, held))
        left.append(sp.over_models(auc, sp.left_out(phi, held), held))
    assert np.mean(own) > 0.54 and np.mean(left) == pytest.approx(0.5, abs=0.012)


def test_members_dealt_anew_leave_nothing():
    phi, held = chance(0)
    strong = phi + 2 * held
    dealt = np.random.default_rng(1).permuted(held, axis=0)
    assert sp.over_models(auc, sp.left_out(strong, held), held) > 0.85
    found = sp.audit(strong, dealt)
    assert found["auc"].low < 0.5 < found["auc"].high


def test_identical_models_are_not_told_apart():
    phi = np.tile(chance(0)[0][0], (MODELS, 1))
    held = chance(0)[1]
    found = sp.audit(phi, held)
    assert all(found[name].estimate == 0.5 for name in ("auc", "accuracy"))
    assert (fq.epsilons(phi, phi) == 0).all() and np.abs(fq.klom(phi, phi)).max() == 0
    p = 1 / (1 + np.exp(-phi[0]))
    score = rmia(p, p[None], p, p[None])
    assert auc(score[:150], score[150:]) == pytest.approx(0.5, abs=0.08)


def test_a_threshold_chosen_on_what_it_judges_is_told_from_one_that_is_not():
    rng = np.random.default_rng(0)
    pairs = [rng.normal(size=(2, 40)) for _ in range(60)]
    assert np.mean([balanced_accuracy(*pair) for pair in pairs]) > 0.56
    assert np.mean([membership.attack_accuracy(*pair) for pair in pairs]) == pytest.approx(0.5, abs=0.025)


def test_epsilon_of_one_law_is_not_read_as_a_difference_without_its_null():
    """With 32 models epsilon is far from 0 though both samples are of one law: its null says how far."""
    models = np.random.default_rng(0).normal(size=(64, 60))
    same, null = fq.epsilons(models[:32], models[32:]), fq.epsilons(*fq.null_split(models))
    assert np.median(same) > 0.5 and np.median(same) == pytest.approx(np.median(null), abs=0.2)
