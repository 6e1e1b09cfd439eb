"""Examples in a dictionary of tensors, as text comes: trained, unlearned, fitted, traced and kept like images."""

import numpy as np
import pytest
import torch
from torch import nn

import mcutils as mc
from mcutils.descent import batches, generator
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.methods import METHODS
from mcutils.weights import module_of

PLAN = Plan(lr=0.02, steps=4, batch_size=16, forget_batch_size=8)


class Bag(nn.Module):
    """Mean of the embeddings under the mask, normed, then a head; the module takes the whole dictionary."""

    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(12, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        seen = x["mask"].unsqueeze(-1)
        return self.head(self.norm((self.embed(x["tokens"]) * seen).sum(1) / seen.sum(1)))


@pytest.fixture(scope="module")
def texts():
    """120 sentences of 5 tokens: the class is the remainder of the first token by 3."""
    draw = np.random.default_rng(0)
    tokens, mask = draw.integers(0, 12, (120, 5)), draw.random((120, 5)) < 0.1
    mask[:, 0] = True
    return mc.task({"tokens": tokens, "mask": mask.astype(np.float32)}, tokens[:, 0] % 3, name="sentences")


@pytest.fixture(scope="module")
def theta(texts):
    return mc.train(texts, Bag, seed=0, plan=Plan(lr=0.05, steps=150, batch_size=32))


def logits_of(weights, task, split):
    with torch.no_grad():
        return module_of(weights)(task.inputs(split)).numpy()


def test_batches_keep_the_rows_of_all_tensors_together(texts):
    batch = next(batches(texts, texts.index["retain"], 16, generator(0, "test")))
    assert set(batch.x) == {"tokens", "mask"}
    assert all(torch.equal(part, texts.x[name][batch.index]) for name, part in batch.x.items())
    assert torch.equal(batch.y, texts.y[batch.index])


def test_training_learns_the_sentences(texts, theta):
    right = logits_of(theta, texts, "retain").argmax(1) == texts.labels("retain").numpy()
    assert right.mean() > 0.85


@pytest.mark.parametrize("method", METHODS)
def test_every_method_unlearns_sentences(method, texts, theta):
    end = mc.unlearn(theta, texts, method, seed=0, settings=MethodSettings(PLAN))
    assert not np.array_equal(logits_of(end.weights, texts, "test"), logits_of(theta, texts, "test"))
    assert np.isfinite(logits_of(end.weights, texts, "test")).all()


@pytest.mark.parametrize("method", ["gradient_difference", "bad_teacher"])
def test_the_ends_of_a_fitted_curve_are_the_models(method, texts, theta):
    ends = [mc.unlearn(theta, texts, method, seed=seed, settings=MethodSettings(PLAN)) for seed in (1, 2)]
    curve = mc.fit_curve(*ends, texts, seed=0, plan=PLAN)
    found = mc.trace(curve, texts, 3, dtype="float32")
    straight = mc.trace(mc.line(*ends), texts, 3, dtype="float32")
    for k, end in ((0, ends[0]), (2, ends[1])):
        expected = logits_of(end.weights, texts, "forget")
        np.testing.assert_allclose(found.logits["forget"][k], expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found.logits["forget"][1], straight.logits["forget"][1], atol=1e-5)
    assert mc.connectivity(found, n_boot=20).t.shape == (3,)
