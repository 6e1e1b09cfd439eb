"""Difficulty: memorisation by a loop, proxies by hand, training's own path, graded sets, coherence and outcomes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from synthetic import trace

from mcutils.errors import BadInput
from mcutils.measures.along import excess_variation
from mcutils.measures.difficulty import (
    coherence,
    el2n,
    entanglement,
    entanglement_of,
    graded_rows,
    gradients,
    learning_events,
    learning_path,
    logits_on,
    mean_cosine,
    memorisation,
    terciles,
)
from mcutils.measures.metrics import mean_loss, per_example_loss
from mcutils.measures.outcomes import (
    OUTCOMES,
    missed,
    steps_to_retrained,
    variation_by_example,
)
from mcutils.settings import Plan
from mcutils.training import train
from mcutils.weights import module_of

LAWS = settings(deadline=None, derandomize=True, max_examples=12)
PLAN = Plan(lr=1e-2, steps=7, batch_size=64, schedule="one_cycle")


@pytest.fixture(scope="module")
def small(tiny):
    return train(tiny, "convnet", seed=3, plan=PLAN, width=2)


@LAWS
@given(st.integers(0, 2**32 - 1))
def test_memorisation_is_the_difference_of_two_shares(seed):
    rng = np.random.default_rng(seed)
    right, held = rng.random((9, 6)) < 0.6, rng.random((9, 6)) < 0.5
    held[:, 0], held[:, 1] = True, False
    found = memorisation(right, held)
    for i in range(6):
        inside, outside = right[held[:, i], i], right[~held[:, i], i]
        if len(inside) and len(outside):
            assert found[i] == pytest.approx(inside.mean() - outside.mean())
        else:
            assert np.isnan(found[i])
    swapped = memorisation(right, ~held)
    assert np.allclose(swapped, -found, equal_nan=True)


def test_what_is_right_only_where_it_was_learned_is_memorised():
    held = np.arange(32)[:, None] < 16
    assert memorisation(held, held) == [1]
    for bad in ((held, held[:3]), (held.astype(float), held), (held[:, 0], held[:, 0])):
        with pytest.raises(BadInput, match="True or False"):
            memorisation(*bad)


@LAWS
@given(st.lists(st.one_of(st.integers(-3, 3), st.just(np.nan)), min_size=1, max_size=12))
def test_terciles_are_equal_in_size_and_in_order(scores):
    s = np.array(scores, dtype=float)
    group = terciles(s)
    assert ((group == -1) == np.isnan(s)).all()
    sizes = [(group == k).sum() for k in range(3)]
    assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)
    for k in range(2):
        low, high = s[group == k], s[group > k]
        assert not len(low) or not len(high) or low.max() <= high.min()


def test_learning_events_and_el2n_by_hand():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(5, 4, 3)), np.array([0, 1, 2, 1])
    p = softmax(logits, axis=-1)
    found = learning_events(logits, y)
    assert np.allclose(found["confidence"], np.mean([[p[e, i, y[i]] for i in range(4)] for e in range(5)], axis=0))
    assert np.allclose(found["max"], p.max(-1).mean(0))
    assert np.allclose(found["certainty"], -entropy(p, axis=-1).mean(0))
    assert np.allclose(found["correctness"], (p.argmax(-1) == y).mean(0))
    for i in range(4):
        right = (p[:, i].argmax(-1) == y[i]).tolist()
        last = max([e + 1 for e, one in enumerate(right) if not one], default=0)
        assert found["learned"][i] == (5 - last) / 5
    norms = [[np.linalg.norm(p[e, i] - np.eye(3)[y[i]]) for i in range(4)] for e in range(5)]
    assert np.allclose(el2n(logits, y), np.mean(norms, axis=0))
    sure = 900.0 * np.eye(3)[y][None]
    assert np.allclose(el2n(sure, y), 0) and np.allclose(el2n(sure[:, :, [1, 2, 0]], y), np.sqrt(2))
    assert np.allclose(learning_events(sure, y)["certainty"], 0)
    for bad in ((logits[0], y), (logits, y[:2]), (logits, y + 1), (logits, y.astype(float))):
        with pytest.raises(BadInput):
            el2n(*bad)


def test_the_path_of_training_ends_where_training_does(tiny, small):
    path = learning_path(tiny, "convnet", seed=3, plan=PLAN, width=2)
    assert path.steps == (0, 3, 6, 7)
    for name, value in {**small.params, **small.buffers}.items():
        assert torch.equal(value, {**path.points[-1].params, **path.points[-1].buffers}[name]), name
    rows = tiny.rows("train")[:5]
    events = learning_events(np.stack([logits_on(one, tiny, rows) for one in path.points]), tiny.y[rows].numpy())
    assert all(values.shape == (5,) for values in events.values())


def test_graded_sets_are_the_ends_and_the_middle():
    scores = np.array([5, 1, 9, 3, 7, 2, 8, 4, 6], dtype=float)
    found = graded_rows(np.arange(9) + 100, scores, 2)
    assert {name: sorted(scores[rows - 100]) for name, rows in found.items()} == {
        "low": [1, 2], "mid": [4, 5], "high": [8, 9],
    }  # fmt: skip
    with pytest.raises(BadInput, match="tercile has 3"):
        graded_rows(np.arange(9), scores, 4)
    with pytest.raises(BadInput, match="a score is needed"):
        graded_rows(np.arange(8), scores, 1)


@LAWS
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-5, 5))
def test_entanglement_by_loops_and_whatever_the_scale(seed, scale, shift):
    rng = np.random.default_rng(seed)
    r, f = rng.normal(size=(6, 3)), rng.normal(1, 2, size=(4, 3))
    m, n = r.mean(0), f.mean(0)
    mu = (m + n) / 2
    within = np.mean([((h - m) ** 2).sum() for h in r]) + np.mean([((h - n) ** 2).sum() for h in f])
    expected = np.log(within / ((((m - mu) ** 2).sum() + ((n - mu) ** 2).sum()) / 2))
    assert entanglement(r, f) == pytest.approx(expected) == pytest.approx(entanglement(f, r))
    assert entanglement(scale * r + shift, scale * f + shift) == pytest.approx(expected, abs=1e-6)


def test_sets_apart_are_less_entangled(tiny, small):
    r = np.random.default_rng(0).normal(size=(50, 4))
    assert entanglement(r, r + 9) < entanglement(r, r + 1) < entanglement(r, r) == np.inf
    assert np.isnan(entanglement(np.ones((3, 2)), np.ones((3, 2))))
    assert np.isfinite(entanglement_of(small, tiny, 20))
    for bad in ((r, r[:, :2]), (r[0], r), (r, r * np.nan)):
        with pytest.raises(BadInput, match="features must"):
            entanglement(*bad)


@LAWS
@given(st.integers(0, 2**32 - 1))
def test_mean_cosines_are_those_of_all_pairs(seed):
    a, b = (np.random.default_rng([seed, k]).normal(size=(4 + k, 3)) for k in range(2))

    def cosine(u, v):
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    pairs = [cosine(a[i], a[j]) for i in range(4) for j in range(i)]
    assert mean_cosine(torch.from_numpy(a)) == pytest.approx(np.mean(pairs))
    both = [cosine(u, v) for u in a for v in b]
    assert mean_cosine(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(np.mean(both))
    zeros = torch.cat([torch.from_numpy(a), torch.zeros(2, 3, dtype=torch.float64)])
    assert mean_cosine(zeros) == pytest.approx(np.mean(pairs))


def test_coherence_is_of_single_examples(tiny, small):
    rows = tiny.rows("forget")[:3]
    found = gradients(small, tiny, rows)
    module = module_of(small).requires_grad_(True)
    for k, row in enumerate(rows):
        module.zero_grad()
        torch.nn.functional.cross_entropy(module(tiny.x[row : row + 1]), tiny.y[row : row + 1]).backward()
        assert torch.allclose(found[k], torch.cat([p.grad.flatten() for p in module.parameters()]), atol=1e-6)
    both = coherence(small, tiny, 6)
    assert both.forget == pytest.approx(mean_cosine(gradients(small, tiny, tiny.rows("forget")[:6])))
    assert all(-1 <= one <= 1 for one in (both.retain, both.forget, both.between))
    copies = replace(tiny, index={**tiny.index, "forget": tiny.rows("forget")[[0, 0, 0]]})
    assert coherence(small, copies, 3).forget == pytest.approx(1, abs=1e-6)
    assert np.isnan(mean_cosine(torch.zeros(3, 2))) and np.isnan(mean_cosine(torch.ones(1, 2)))
    for call, bad in ((gradients, rows[:0]), (coherence, 1)):
        with pytest.raises(BadInput):
            call(small, tiny, bad)
    with pytest.raises(BadInput, match="gradients must be"):
        mean_cosine(torch.ones(3))


def test_outcomes_are_nothing_for_the_retrained_model_itself():
    models = [trace(right=0.7, seed=k) for k in range(2)]
    assert missed(models[0], models[:1]) == 0
    far = trace(right={"retain": 0.9, "forget": 0.2, "valid": 0.9, "test": 0.5}, seed=3)
    by_hand = 1 - (1 - 0.5) * (1 - 0.2) * (1 - 0.2)
    assert missed(far, models) == pytest.approx(by_hand)
    way = trace(4, right=0.9, margin=0.1, seed=1)
    logits = {split: np.array(v, dtype=np.float64) for split, v in way.logits.items()}
    for k in range(4):
        logits["forget"][k] = (3 - 2 * k) * np.eye(4)[way.labels["forget"]]
    way = replace(way, logits=logits, meta={"steps": "0 10 20 30"})
    level = replace(models[0], logits={**models[0].logits, "forget": logits["forget"][2:3]})
    assert steps_to_retrained(way, [level]) == pytest.approx(20)
    with pytest.raises(BadInput, match="one model"):
        missed(way, models)
    with pytest.raises(BadInput, match="got none"):
        missed(far, [])
    assert len(OUTCOMES) == 4


def test_wiggles_of_examples_are_at_least_those_of_their_mean():
    path = trace(7, right=0.6, margin=1.0, seed=3)
    each = variation_by_example(path)
    assert each.shape == (40,)
    losses = per_example_loss(path, "forget")[:, 7]
    assert each[7] == pytest.approx(abs(np.diff(losses)).sum() - abs(losses[-1] - losses[0]))
    closed = replace(path, logits={**path.logits, "forget": path.logits["forget"][[0, 1, 2, 3, 4, 5, 0]]})
    assert variation_by_example(closed).mean() >= excess_variation(mean_loss(closed, "forget")) > 0
