"""Similarities: brute-force references, laws of CKA, activations read by hand, matrices with known answers."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from synthetic import trace
from torch import nn

import mcutils as mc
from mcutils.errors import BadInput
from mcutils.measures.similarity import (
    SIMILARITIES,
    cka,
    cka_unbiased,
    features,
    matrix,
)
from mcutils.models.vision import build
from mcutils.weights import weights_of

BY_NEED = {n: [s for s in SIMILARITIES.values() if s.needs == n] for n in ("traces", "features", "weights")}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def predicting(classes, labels, points=1):
    """A trace of a model that predicts ``classes`` on a test split with such labels."""
    logits = np.tile(4.0 * np.eye(4)[classes], (points, 1, 1)).astype(np.float16)
    index = {"test": np.arange(len(labels))}
    t = np.linspace(0, 1, points) if points > 1 else np.zeros(1)
    return replace(trace(), t=t, logits={"test": logits}, labels={"test": np.array(labels)}, index=index)


def test_predictions_counted_by_hand():
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    a = predicting([0, 0, 1, 1, 1, 1, 0, 2], labels)
    b = predicting([0, 1, 1, 2, 1, 0, 0, 1], labels)
    assert SIMILARITIES["agreement"](a, b) == 4 / 8
    assert SIMILARITIES["shared_errors"](a, b) == 2 / 6  # the third and the seventh, of those from the second on
    right = predicting(labels, labels)
    assert np.isnan(SIMILARITIES["shared_errors"](right, right))
    assert SIMILARITIES["shared_errors"](a, right) == 0
    lost = replace(a, logits={"test": np.full_like(a.logits["test"], np.nan)})
    assert SIMILARITIES["agreement"](lost, lost) == SIMILARITIES["shared_errors"](lost, lost) == 0


@pytest.mark.parametrize("split", ["retain", "forget", "test"])
def test_js_is_the_square_of_scipys_distance(split):
    a, b = trace(seed=1), trace(seed=2, right=0.5)
    p, q = (softmax(one.logits[split][0].astype(float), axis=1) for one in (a, b))
    expected = (jensenshannon(p, q, base=2, axis=1) ** 2).mean()
    assert SIMILARITIES["js"](a, b, split=split) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("one", BY_NEED["traces"], ids=lambda s: s.name)
def test_two_traces(one):
    a, b = trace(seed=1, right=0.8), trace(seed=2, right=0.5)
    assert one(a, b, split="forget") == one(b, a, split="forget")
    best = 1.0 if one.alike == "high" else 0.0
    assert one(a, a, split="forget") == pytest.approx(best, abs=1e-12)
    assert abs(one(a, b, split="forget") - best) > 0.01
    for call, message in (
        (lambda: one(a, trace(points=3)), "one model .T = 1., got 3 points"),
        (lambda: one(a, b, split="train"), "unknown split 'train': choose one of retain, forget, valid, test"),
        (lambda: one(a, replace(b, index={**b.index, "test": b.index["test"] + 1})), "different test examples"),
    ):
        with pytest.raises(BadInput, match=message):
            call()


def gram_cka(x, y):
    """Linear CKA from n x n Gram matrices and the centring matrix."""
    x, y = x.numpy(), y.numpy()
    h = np.eye(len(x)) - 1 / len(x)
    hsic = lambda u, v: np.trace(u @ u.T @ h @ v @ v.T @ h)  # noqa: E731
    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def u_statistic(x, y):
    """Unbiased HSIC as the mean of its kernel over all ordered quadruples of different examples."""
    k, m = (x @ x.T).numpy(), (y @ y.T).numpy()
    terms = [k[t, u] * (m[t, u] + m[v, w] - 2 * m[t, v]) for t, u, v, w in permutations(range(len(x)), 4)]
    return np.mean(terms)


def gram_cka_unbiased(x, y):
    return u_statistic(x, y) / np.sqrt(u_statistic(x, x) * u_statistic(y, y))


@pytest.mark.parametrize("n, d1, d2", [(4, 3, 5), (7, 4, 2), (8, 20, 30)])
@pytest.mark.parametrize("ours, reference", [(cka, gram_cka), (cka_unbiased, gram_cka_unbiased)])
def test_cka_by_brute_force(ours, reference, n, d1, d2):
    x, y = draw(n, d1, seed=1) + 3, draw(n, d2, seed=2) - 1
    y[:, 0] += x[:, 0] ** 2
    assert ours(x, y) == pytest.approx(reference(x, y), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("one", BY_NEED["features"], ids=lambda s: s.name)
@settings(deadline=None, max_examples=20)
@given(st.integers(4, 30), st.integers(1, 8), st.integers(1, 8), st.integers(0, 10**6), st.floats(0.01, 100))
def test_laws_of_cka(one, n, d1, d2, seed, scale):
    x, y = draw(n, d1, seed=seed), draw(n, d2, seed=seed + 1)
    turn = torch.linalg.qr(draw(d1, d1, seed=seed + 2))[0]
    value = one(x, y)
    assert value == pytest.approx(one(y, x), abs=1e-9) and value <= 1 + 1e-9
    assert one(x, x) == pytest.approx(1)
    assert one(scale * x @ turn + draw(1, d1, seed=seed + 3), y) == pytest.approx(value, abs=1e-7)


def test_only_the_biased_cka_grows_with_the_width():
    found = {name: [] for name in ("cka", "cka_unbiased")}
    for k in range(40):
        x, y = draw(20, 100, seed=2 * k), draw(20, 100, seed=2 * k + 1)
        for name, values in found.items():
            values.append(SIMILARITIES[name](x, y))
    spread = np.std(found["cka_unbiased"]) / np.sqrt(40)
    assert np.mean(found["cka"]) > 0.7 and abs(np.mean(found["cka_unbiased"])) < 4 * spread < 0.1


@pytest.mark.parametrize("one", BY_NEED["features"], ids=lambda s: s.name)
def test_features_that_do_not_vary_or_fit(one):
    assert np.isnan(one(torch.full((49, 3), 0.3, dtype=torch.float64), draw(49, 2)))
    for x, y in ((draw(5, 2), draw(6, 2)), (draw(5), draw(5)), (draw(1, 2), draw(1, 2))):
        with pytest.raises(BadInput, match=r"features must be \(n, d\) of the same n >= \d examples"):
            one(x, y)


def test_task_vector_cosine(theta):
    cosine = SIMILARITIES["task_vector_cosine"]
    add = lambda c, w: replace(theta, params={k: v + c * w[k] for k, v in theta.params.items()})  # noqa: E731
    zero = {k: torch.zeros_like(v) for k, v in theta.params.items()}
    east, north = dict(zero), dict(zero)
    east["0.weight"], north["1.bias"] = torch.ones_like(zero["0.weight"]), torch.ones_like(zero["1.bias"])
    assert cosine(add(1, east), add(2, east), origin=theta) == pytest.approx(1)
    assert cosine(add(1, east), add(-1, east), origin=theta) == pytest.approx(-1)
    assert cosine(add(1, east), add(1, north), origin=theta) == pytest.approx(0, abs=1e-9)
    assert np.isnan(cosine(theta, add(1, east), origin=theta))
    with pytest.raises(BadInput, match="different architectures"):
        cosine(theta, weights_of(build("convnet", 1, 10, 0, width=2)), origin=theta)


def test_activations_read_by_hand(task, theta):
    rows = task.index["train"][:300]  # more than two batches
    shifted = replace(theta, buffers={k: v + 1 if v.is_floating_point() else v for k, v in theta.buffers.items()})
    for weights in (theta, shifted):
        found = features(weights, task, rows)
        assert list(found) == ["3", "6", "9", "14"]
        value = task.x[rows]
        net = build("convnet", 1, 10, seed=0, width=4)
        net.load_state_dict({**weights.params, **weights.buffers})
        with torch.no_grad():
            for name, layer in net.eval().named_children():
                if name in found:
                    pooled = value.mean((2, 3)) if value.ndim == 4 else value
                    torch.testing.assert_close(found[name], pooled, rtol=1e-4, atol=1e-5)
                value = layer(value)
        assert found["14"].shape == (300, 16)
    assert list(features(theta, task, rows[:5], ["9", "1"])) == ["9", "1"]
    assert cka(features(theta, task, rows)["3"], features(shifted, task, rows)["3"]) < 0.999


class Residual(nn.Module):
    """Registered in another order than called; two layers read one tensor; the activations work in place."""

    def __init__(self):
        super().__init__()
        self.head, self.unused = nn.Linear(4, 10), nn.Linear(2, 2)
        self.side, self.conv2, self.conv1 = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(1, 3, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.conv2(x) + self.side(x)
        return self.head(self.relu(x).mean((2, 3)))


def summed(net, x):
    """What the second call of the activation reads: its input before it works in place."""
    x = net.conv1(x).relu()
    return (net.conv2(x) + net.side(x)).mean((2, 3))


def test_the_rule_follows_the_calls(tiny):
    weights, rows = weights_of(Residual()), torch.arange(6)
    found = features(weights, tiny, rows)
    assert list(found) == ["conv2", "head"]
    net = Residual()
    net.load_state_dict(dict(weights.params))
    with torch.no_grad():
        torch.testing.assert_close(found["conv2"], net.conv1(tiny.x[rows]).relu().mean((2, 3)))
        torch.testing.assert_close(features(weights, tiny, rows, ["relu"])["relu"], summed(net, tiny.x[rows]))
    with pytest.raises(BadInput, match="a Residual never calls its layer 'unused'"):
        features(weights, tiny, rows, ["unused"])
    with pytest.raises(BadInput, match="unknown layer 'conv3': choose one of head, unused"):
        features(weights, tiny, rows, ["conv3"])


def test_a_layer_that_works_in_place_is_read_before_it(tiny):
    weights = weights_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(inplace=True), nn.Linear(8, 10)))
    found = features(weights, tiny, torch.arange(6), ["2", "3"])
    expected = tiny.x[:6].flatten(1) @ weights.params["1.weight"].T + weights.params["1.bias"]
    torch.testing.assert_close(found["2"], expected)
    torch.testing.assert_close(found["3"], expected.relu())


class Tokens(nn.Module):
    """Rows of an image as tokens: linear layers on (B, L, D)."""

    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.mix, self.head = nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 6), nn.Linear(6, 10)

    def forward(self, x):
        return self.head(self.mix(self.norm(self.embed(x[:, 0]))).mean(1))


def test_tokens_are_averaged(tiny):
    weights, rows = weights_of(Tokens()), torch.arange(6)
    found = features(weights, tiny, rows, ["norm", "mix", "head"])
    assert list(features(weights, tiny, rows)) == ["mix", "head"]
    assert {name: tuple(v.shape) for name, v in found.items()} == dict.fromkeys(found, (6, 6))
    embedded = tiny.x[:6, 0] @ weights.params["embed.weight"].T + weights.params["embed.bias"]
    torch.testing.assert_close(found["norm"], embedded.mean(1))
    with pytest.raises(BadInput, match="a Sequential calls no convolution or linear layer after its first"):
        features(weights_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 10))), tiny, rows)


def test_every_similarity_says_what_it_is():
    for name, one in SIMILARITIES.items():
        assert one.name == name and one.alike in ("high", "low") and one.needs in BY_NEED
        assert one.formula and one.source and one.unit and one.function.__doc__


def test_matrix_calls_each_pair_once():
    calls = []
    found = matrix("abc", lambda a, b: calls.append(a + b) or float(len(calls)))
    assert calls == ["aa", "ab", "ac", "bb", "bc", "cc"]
    assert found.tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]


class Named(nn.Module):
    """A network of examples by name."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x["values"])))


def test_features_of_examples_by_name():
    x = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    module, rows = Named(), torch.arange(299, 0, -2)
    task = mc.task({"values": x}, (x[:, 0] > 0).long())
    (found,) = features(weights_of(module), task, rows).values()
    expected = torch.relu(module.first(task.x["values"][rows])).detach()
    assert len(rows) > 128 and torch.allclose(found, expected, atol=1e-6)
