"""IAM's completeness against the published formula with scipy's Gumbel law, and its ends."""

import numpy as np
import pytest
from scipy.stats import gumbel_r

from mcutils.errors import BadInput
from mcutils.measures.iam import completeness, iam_signal


def published(audited, original, unseen, steps, shared):
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
    np.testing.assert_allclose(found, published(audited, original, unseen, steps, shared), atol=1e-12)


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


def test_bad_input_is_one_sentence():
    for parts in (([1.0], [1.0], [1.0]), ([1.0], [1.0, 2.0], [[1.0, 2.0]]), ([1.0], [1.0], np.zeros((0, 1)))):
        with pytest.raises(BadInput, match="IAM needs"):
            completeness(*parts)
    with pytest.raises(BadInput, match="steps"):
        completeness([1.0], [1.0], [[1.0]], steps=1)
    with pytest.raises(BadInput, match="from 0 to 1"):
        iam_signal([1.5])
