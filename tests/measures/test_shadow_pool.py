"""U-LiRA against densities of scipy and leave-one-out by hand, RMIA against all pairs, and what chance gives."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from mcutils.errors import BadInput
from mcutils.measures import shadow_pool as sp
from mcutils.measures.shadow_pool import rmia, rmia_along
from mcutils.traces import Trace


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
        (lambda: rmia([0.5], [0.5], [0.5], [[0.5]]), r"\(R, N\)"),
        (lambda: rmia([0.5], [[0.5]], [0.5], [[0.5], [0.5]]), r"\(R, N\)"),
        (lambda: rmia([0.5, 0.5], [[0.5]], [0.5], [[0.5]]), r"\(R, N\)"),
        (lambda: rmia([1.5], [[0.5]], [0.5], [[0.5]]), "probabilities"),
        (lambda: rmia([0.5], [[0.5]], [0.5], [[0.5]], a=2), "a must be"),
        (lambda: rmia(np.ones((2, 1)), [[0.5]], np.ones((3, 1)), [[0.5]]), "leading axes"),
        (lambda: rmia_along(made(0), made(1)), "in a list"),
        (lambda: rmia_along(made(0), [made(1, 0, 3)]), "one model"),
    ],
)
def test_bad_input_is_one_sentence(call, said):
    with pytest.raises(BadInput, match=said):
        call()


LAW = settings(deadline=None, derandomize=True, max_examples=40)
P = st.integers(0, 8).map(lambda k: k / 8)  # ties are common


def pairs(own, out, z_own, z_out, a, gamma=1.0):
    """Every x against every z."""
    ratio = [x / (((1 + a) * out[:, k].mean() + 1 - a) / 2) for k, x in enumerate(own)]
    z_ratio = [z / (((1 + a) * z_out[:, k].mean() + 1 - a) / 2) for k, z in enumerate(z_own)]
    return [np.mean([r > gamma * z for z in z_ratio]) for r in ratio]


@LAW
@given(
    arrays(float, 5, elements=P), arrays(float, (3, 5), elements=P), arrays(float, 4, elements=P),
    arrays(float, (3, 4), elements=P), st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.5, 1.0, 2.0]),
)  # fmt: skip
def test_it_is_the_share_of_pairs(own, out, z_own, z_out, a, gamma):
    assert rmia(own, out, z_own, z_out, a=a, gamma=gamma).tolist() == pairs(own, out, z_own, z_out, a, gamma)


@LAW
@given(arrays(float, 5, elements=P), st.floats(0.1, 0.9))
def test_more_confidence_is_never_less_of_a_member(own, a):
    out, z_own, z_out = np.full((2, 5), 0.5), np.linspace(0.1, 0.9, 7), np.full((2, 7), 0.5)
    found = rmia(own, out, z_own, z_out, a=a)
    assert (np.diff(found[np.argsort(own)]) >= 0).all() and ((0 <= found) & (found <= 1)).all()


def test_leading_axes_are_audited_each_by_itself_and_nan_spoils_its_own():
    generator = np.random.default_rng(0)
    own, z_own = generator.random((3, 6)), generator.random((3, 5))
    out, z_out = generator.random((2, 6)), generator.random((2, 5))
    own[1, 2] = np.nan
    z_own[2, 0] = np.nan
    found = rmia(own, out, z_own, z_out)
    np.testing.assert_array_equal(found[0], rmia(own[0], out, z_own[0], z_out))
    assert np.isnan(found[1]).tolist() == [False, False, True, False, False, False] and np.isnan(found[2]).all()


def made(seed, raised=0.0, points=1):
    """A model of three classes whose forget examples are more confident by ``raised`` at the end."""
    labels = {s: np.random.default_rng(7).integers(0, 3, n) for s, n in SIZES.items()}
    generator = np.random.default_rng(seed)
    hard = {s: np.random.default_rng(8).normal(size=n) for s, n in SIZES.items()}  # of the examples, in every model
    logits = {s: generator.normal(scale=0.5, size=(points, n, 3)) for s, n in SIZES.items()}
    for split, z in logits.items():
        for k in range(points):
            extra = raised * k / max(points - 1, 1) if split == "forget" else 0.0
            z[k, np.arange(SIZES[split]), labels[split]] += 1 + 2 * hard[split] + extra
    t = np.linspace(0, 1, points) if points > 1 else np.zeros(1)
    return Trace(t, logits, labels, {s: np.arange(n) for s, n in SIZES.items()}, {})


SIZES = {"retain": 30, "forget": 150, "valid": 150, "test": 150}


def test_along_a_trace_members_rise_above_what_retrained_models_score():
    references = [made(seed) for seed in range(4)]
    found = rmia_along(made(9, 1.5, 3), references)["auc"]
    others = [[one for one in references if one is not audited] for audited in references]
    null = np.array([rmia_along(*pair)["auc"][0] for pair in zip(references, others, strict=True)])
    assert found.shape == (3,) and np.abs(null - 0.5).max() < 0.12 and abs(found[0] - 0.5) < 0.12
    assert found[2] > found[1] > null.max()
