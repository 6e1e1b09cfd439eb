"""RMIA against the formula over all pairs, its laws, and what it does along a trace."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from mcutils.errors import BadInput
from mcutils.measures.rmia import rmia, rmia_along
from mcutils.traces import Trace

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


@pytest.mark.parametrize(
    ("call", "said"),
    [
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
