"""LiRA and U-LiRA against densities of scipy, leave-one-out by hand, and what chance gives."""

import numpy as np
import pytest
from scipy.stats import norm

from mcutils.errors import BadInput
from mcutils.measures import shadow_pool as sp


def halves(models, examples, seed=0):
    """Each example in half of the models, at random."""
    generator = np.random.default_rng(seed)
    return generator.permuted(np.repeat([True, False], models // 2)[:, None] * np.ones((1, examples), bool), axis=0)


def drawn(models=16, examples=60, effect=0.0, seed=0):
    generator = np.random.default_rng(seed)
    held = halves(models, examples, seed + 1)
    return generator.normal(2, 3, examples) + generator.normal(size=(models, examples)) + effect * held, held


def test_a_model_left_out_is_scored_by_the_others_with_equally_many_of_each():
    phi, held = drawn(8, 20, effect=0.5)
    found = sp.left_out(phi, held, variance="each")
    for j in range(8):
        for k in range(20):
            order = [i % 8 for i in range(j + 1, j + 8)]
            with_it, without = ([i for i in order if held[i, k] == side] for side in (True, False))
            m = min(len(with_it), len(without))
            assert m == 3 and j not in with_it + without
            laws = [(phi[rows[:m], k].mean(), phi[rows[:m], k].std(ddof=1)) for rows in (with_it, without)]
            expected = norm.logpdf(phi[j, k], *laws[0]) - norm.logpdf(phi[j, k], *laws[1])
            assert found[j, k] == pytest.approx(expected, abs=1e-9)


def test_pools_that_share_who_held_what_are_scored_at_once():
    phi, held = drawn(8, 20)
    other = drawn(8, 20, seed=9)[0]
    for variance in sp.VARIANCES:
        both = sp.left_out(np.stack([phi, other]), held, variance=variance)
        for one, alone in zip(both, (phi, other), strict=True):
            np.testing.assert_allclose(one, sp.left_out(alone, held, variance=variance), atol=1e-9)


def test_laws_far_from_zero_lose_nothing():
    phi, held = drawn(8, 20)
    near, far = (sp.left_out(phi + shift, held, variance="each") for shift in (0.0, 1e6))
    np.testing.assert_allclose(near, far, rtol=1e-5, atol=1e-5)


def test_at_chance_equal_laws_give_one_half_and_unequal_ones_less():
    """The reason for ``even``: with one model left out its own law is one short."""
    even, uneven = [], []
    for seed in range(60):
        phi, held = drawn(8, 200, seed=seed)
        for found, how in ((even, True), (uneven, False)):
            scores = sp.left_out(phi, held, even=how)
            found.append(sp.over_models(sp.right_calls, scores, held))
    sem = np.std(even) / 60**0.5
    assert abs(np.mean(even) - 0.5) < 4 * sem < 0.01
    assert np.mean(uneven) < 0.5 - 0.01


def test_holders_are_the_models_of_each_example_in_their_order():
    phi, held = drawn(8, 20)
    for side in (True, False):
        found = sp.holders(phi, held, side)
        assert found.shape == (4, 20)
        for k in range(20):
            np.testing.assert_array_equal(found[:, k], phi[held[:, k] == side, k])
    held[0] = ~held[0]
    with pytest.raises(BadInput, match="equally many models, got 3 to 5"):
        sp.holders(phi, held)


def test_the_attack_finds_what_unlearning_left_and_nothing_where_nothing_is():
    """Two unit normals one apart: AUC 0.760, accuracy 0.691; laws fitted on seven models each cost some of it."""
    found = {}
    for effect in (1.0, 0.0):
        phi, held = drawn(16, 200, effect=effect)
        scores = sp.left_out(phi, held)
        found[effect] = {name: sp.over_models(one, scores, held) for name, one in sp.STATISTICS.items()}
    assert 0.70 < found[1.0]["auc"] < 0.76 and 0.63 < found[1.0]["accuracy"] < 0.70 and found[1.0]["tpr"] > 0.02
    assert abs(found[0.0]["auc"] - 0.5) < 0.04


@pytest.mark.parametrize("variance", sp.VARIANCES)
def test_laws_without_width_stay_finite(variance):
    held = halves(8, 5)
    assert np.isfinite(sp.left_out(np.ones((8, 5)), held, variance=variance)).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sp.left_out(np.zeros((4, 3)), np.zeros((4, 3))), "True or False"),
        (lambda: sp.left_out(np.zeros((4, 3)), np.zeros((4, 2), bool)), "True or False"),
        (lambda: sp.left_out(np.full((4, 3), np.nan), np.zeros((4, 3), bool)), "collapsed"),
        (lambda: sp.left_out(np.zeros((4, 3)), np.eye(4, 3, dtype=bool)), "2 models"),
        (lambda: sp.left_out(*drawn(), variance="own"), "unknown variance"),
        (lambda: sp.holders(np.zeros((1, 4, 3)), np.zeros((4, 3), bool)), "one pool"),
        (lambda: sp.over_models(sp.auc, np.zeros((2, 2)), np.ones((2, 2), bool)), "nothing can be told"),
    ],
)
def test_bad_input_is_one_sentence(call, said):
    with pytest.raises(BadInput, match=said):
        call()
