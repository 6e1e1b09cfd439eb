"""Optimisers against transcriptions in numpy; Sophia's curvature against the exact Gauss-Newton diagonal."""

import itertools
import math

import numpy as np
import pytest
import torch

from mcutils.descent import resampled_loss
from mcutils.errors import BadInput
from mcutils.objectives import Batch, Step
from mcutils.optimizers import OPTIMIZERS, make_optimizer, sophia_g

STEPS, SHAPES = 20, ((3, 2), (4,))


def fresh(seed=0):
    """Start values and a stream of gradients, as arrays; some gradients are zero."""
    rng = np.random.default_rng(seed)
    start = [rng.normal(size=s) for s in SHAPES]
    gradients = [[rng.normal(size=s) * 10.0 ** rng.integers(-3, 2) for s in SHAPES] for _ in range(STEPS)]
    gradients[3][1][:] = 0
    return start, gradients


def run(optimizer_of, gradients, start, curvatures=None):
    """Parameters after each step."""
    params = [torch.tensor(v, requires_grad=True) for v in start]
    optimizer = optimizer_of(params)
    for number, gs in enumerate(gradients):
        if curvatures and number in curvatures:
            values, terms = curvatures[number]
            optimizer.update_curvature([torch.tensor(v) for v in values], terms)
        for p, g in zip(params, gs, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        yield [p.detach().numpy().copy() for p in params]


def compare(got, expected, rtol=1e-11):
    for a, b in zip(got, expected, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-14)


def adamw_by_hand(start, gradients, lr, decay, betas, eps=1e-8):
    theta, m, v = [x.copy() for x in start], [0 * x for x in start], [0 * x for x in start]
    for k, gs in enumerate(gradients, 1):
        for i, g in enumerate(gs):
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            v[i] = betas[1] * v[i] + (1 - betas[1]) * g**2
            hat_m, hat_v = m[i] / (1 - betas[0] ** k), v[i] / (1 - betas[1] ** k)
            theta[i] = (1 - lr * decay) * theta[i] - lr * hat_m / (np.sqrt(hat_v) + eps)
        yield [x.copy() for x in theta]


def sgd_by_hand(start, gradients, lr, decay, momentum):
    theta, b = [x.copy() for x in start], [0 * x for x in start]
    for gs in gradients:
        for i, g in enumerate(gs):
            b[i] = momentum * b[i] + g + decay * theta[i]
            theta[i] = theta[i] - lr * b[i]
        yield [x.copy() for x in theta]


def sophia_by_hand(start, gradients, curvatures, lr, decay, betas, rho):
    theta, m, h = [x.copy() for x in start], [0 * x for x in start], [0 * x for x in start]
    bs = 1
    for k, gs in enumerate(gradients):
        if k in curvatures:
            values, bs = curvatures[k]
            h = [betas[1] * x + (1 - betas[1]) * c**2 for x, c in zip(h, values, strict=True)]
        for i, g in enumerate(gs):
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            ratio = np.minimum(np.abs(m[i]) / (rho * bs * h[i] + 1e-15), 1)
            theta[i] = theta[i] - lr * decay * theta[i]
            theta[i] = theta[i] - lr * np.sign(m[i]) * ratio
        yield [x.copy() for x in theta]


def soul_by_hand(start, gradients, lr, decay, betas, rho, bs):
    theta, m, h = [x.copy() for x in start], [0 * x for x in start], [0 * x for x in start]
    for gs in gradients:
        for i, g in enumerate(gs):
            h[i] = betas[1] * h[i] + (1 - betas[1]) * g**2
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g  # a second time, with the same gradient
            theta[i] = theta[i] * (1 - lr * decay)
            theta[i] = theta[i] - lr * np.sign(m[i]) * np.minimum(np.abs(m[i]) / (rho * bs * h[i] + 1e-15), 1)
        yield [x.copy() for x in theta]


# First order


@pytest.mark.parametrize("options", [{}, {"betas": (0.8, 0.95)}])
def test_adamw(options):
    start, gradients = fresh()
    got = list(run(lambda p: make_optimizer("adamw", p, 0.01, 0.1, **options), gradients, start))
    compare(got, adamw_by_hand(start, gradients, 0.01, 0.1, options.get("betas", (0.9, 0.999))))
    compare(got, run(lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, **options), gradients, start))


@pytest.mark.parametrize("options", [{}, {"momentum": 0.0}, {"momentum": 0.5}])
def test_sgd(options):
    start, gradients = fresh(1)
    momentum = options.get("momentum", 0.9)
    got = list(run(lambda p: make_optimizer("sgd", p, 0.01, 0.1, **options), gradients, start))
    compare(got, sgd_by_hand(start, gradients, 0.01, 0.1, momentum))
    compare(got, run(lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1, momentum=momentum), gradients, start))


# Sophia's update


@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.9), "rho": 0.3}])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_sophia_g(options, scale):
    # small curvature: all coordinates clipped; large curvature: none
    start, gradients = fresh(2)
    rng = np.random.default_rng(3)
    curvatures = {k: ([scale * rng.normal(size=s) for s in SHAPES], 128 if k < 10 else 64) for k in range(0, STEPS, 5)}
    values = options.get("betas", (0.965, 0.99)), options.get("rho", 0.04)
    got = list(run(lambda p: make_optimizer("sophia_g", p, 0.01, 0.1, **options), gradients, start, curvatures))
    compare(got, sophia_by_hand(start, gradients, curvatures, 0.01, 0.1, *values))


def test_sophia_g_one_step_by_numbers():
    # m = 0.5 g; h = 0.5 c^2; ratios 0.5|g| / (0.1 * 4 * 0.5 c^2) = 2.5|g|/c^2, clipped at 1
    p = torch.tensor([1.0, 1.0, -2.0, 5.0], dtype=torch.float64, requires_grad=True)
    optimizer = sophia_g([p], lr=0.1, weight_decay=0.5, betas=(0.5, 0.5), rho=0.1)
    optimizer.update_curvature([torch.tensor([5.0, 1.0, 0.0, 2.0], dtype=torch.float64)], terms=4)
    p.grad = torch.tensor([2.0, 3.0, -1e-12, 0.0], dtype=torch.float64)
    optimizer.step()
    expected = [0.95 - 0.1 * 0.2, 0.95 - 0.1, -1.9 + 0.1, 5 * 0.95]
    np.testing.assert_allclose(p.detach(), expected, rtol=1e-12)


def test_sophia_g_never_moves_further_than_the_learning_rate():
    start, gradients = fresh(4)
    curvatures = {0: ([np.full(s, 1e-6) for s in SHAPES], 8)}
    before, clipped = start, 0
    for after in run(lambda p: sophia_g(p, lr=0.02, weight_decay=0), gradients, start, curvatures):
        for a, b in zip(after, before, strict=True):
            assert np.abs(a - b).max() <= 0.02 * (1 + 1e-12)
            clipped += np.isclose(np.abs(a - b), 0.02).sum()
        before = after
    assert clipped > 100


@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.7), "rho": 0.2, "terms": 16}])
def test_soul(options):
    start, gradients = fresh(5)
    values = options.get("betas", (0.9, 0.95)), options.get("rho", 0.04), options.get("terms", 5120)
    got = list(run(lambda p: make_optimizer("soul", p, 0.01, 0.1, **options), gradients, start))
    assert len(got) == 20
    compare(got, soul_by_hand(start, gradients, 0.01, 0.1, *values))


def test_soul_first_step_is_gated_by_the_gradient_itself():
    # m = 0.19 g after the double update and h = 0.05 g^2: a step of lr * 0.19 / (0.04 * 5120 * 0.05 |g|)
    p = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer("soul", [p], 0.1, 0.0)
    p.grad = torch.tensor([2.0, 1e-4], dtype=torch.float64)
    optimizer.step()
    np.testing.assert_allclose(p.detach(), [1 - 0.1 * 0.19 / (0.04 * 5120 * 0.05 * 2), 0.9], rtol=1e-12)


# Sophia's curvature

N_CLASSES, FEATURES = 3, 2


class SoftmaxLinear:
    def __init__(self, seed):
        rng = torch.Generator().manual_seed(seed)
        draw = lambda *s: torch.randn(*s, generator=rng, dtype=torch.float64)  # noqa: E731
        self.weight, self.bias = draw(N_CLASSES, FEATURES).requires_grad_(), draw(N_CLASSES).requires_grad_()
        self.x = draw(3, FEATURES)

    def __call__(self, x):
        return x @ self.weight.T + self.bias

    def step(self, parts):
        batches = [Batch(x, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x))) for x in parts]
        return Step(*(batches + [None])[:2], generator=torch.Generator().manual_seed(0))

    def probabilities(self):
        return self(self.x).detach().softmax(1).numpy()


def gauss_newton_diagonal(net, rows):
    """Diagonal of the mean over examples of J' (diag p - p p') J, J the logits' Jacobian: (K, D) and (K,)."""
    weight, bias = np.zeros((N_CLASSES, FEATURES)), np.zeros(N_CLASSES)
    x, p = net.x.numpy(), net.probabilities()
    for i in rows:
        jacobian = np.zeros((N_CLASSES, N_CLASSES * FEATURES + N_CLASSES))
        for k in range(N_CLASSES):
            jacobian[k, k * FEATURES : (k + 1) * FEATURES] = x[i]
            jacobian[k, N_CLASSES * FEATURES + k] = 1
        matrix = jacobian.T @ (np.diag(p[i]) - np.outer(p[i], p[i])) @ jacobian
        diagonal = np.diag(matrix) / len(rows)
        weight += diagonal[: N_CLASSES * FEATURES].reshape(N_CLASSES, FEATURES)
        bias += diagonal[N_CLASSES * FEATURES :]
    return weight, bias


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("split", [(1,), (2,), (3,), (2, 1)], ids=str)
def test_sophia_g_curvature_is_the_gauss_newton_diagonal_in_expectation(split, seed, monkeypatch):
    # the expectation is exact: every possible draw of labels, weighted by its probability
    net = SoftmaxLinear(seed)
    size = sum(split)
    step, p = net.step(net.x[:size].split(list(split))), net.probabilities()
    expected = [np.zeros((N_CLASSES, FEATURES)), np.zeros(N_CLASSES)]
    for labels in itertools.product(range(N_CLASSES), repeat=size):
        queue = list(torch.tensor(labels).split(list(split)))
        seen = []

        def draw(probabilities, n, generator, queue=queue, seen=seen):
            seen.append(probabilities.numpy())
            assert n == 1 and generator is step.generator
            return queue.pop(0)[:, None]

        monkeypatch.setattr(torch, "multinomial", draw)
        optimizer = make_optimizer("sophia_g", [net.weight, net.bias], 0.1, 0.0, betas=(0.9, 0.0))
        loss, terms = resampled_loss(net, step)
        optimizer.update_curvature(torch.autograd.grad(loss, [net.weight, net.bias]), terms)
        np.testing.assert_allclose(np.concatenate(seen), p[:size], rtol=1e-12)
        assert terms == size and optimizer.terms == size
        chance = math.prod(p[i, y] for i, y in enumerate(labels))
        for total, param in zip(expected, (net.weight, net.bias), strict=True):
            total += chance * terms * optimizer.state[param]["h"].numpy()
    for got, exact in zip(expected, gauss_newton_diagonal(net, range(size)), strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-12)


def test_resampled_labels_follow_the_model_and_not_the_truth():
    # one input repeated: the bias gradient p - frequency gives the share of each drawn label
    net, n = SoftmaxLinear(2), 40_000
    step = net.step([net.x[:1].expand(n, FEATURES)])
    loss, terms = resampled_loss(net, step)
    p = net.probabilities()[0]
    shares = p - torch.autograd.grad(loss, net.bias)[0].numpy()
    assert terms == n and (p > 0.02).all()
    assert (np.abs(shares - p) < 5 * np.sqrt(p * (1 - p) / n)).all()


def test_curvature_is_an_average_over_its_updates():
    p = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = sophia_g([p], lr=1e-4, weight_decay=0, betas=(0.9, 0.75))
    expected = np.zeros(2)
    for value in ([1.0, -2.0], [0.0, 3.0], [5.0, 1.0]):
        optimizer.update_curvature([torch.tensor(value, dtype=torch.float64)], terms=3)
        expected = 0.75 * expected + 0.25 * np.square(value)
    np.testing.assert_allclose(optimizer.state[p]["h"], expected, rtol=1e-14)


# The table


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_reaches_a_minimum(name):
    target = torch.tensor([3.0, -1.0], dtype=torch.float64)
    p = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    # at 5,120 terms SOUL's gate lets it move by 1 % of the learning rate a step here
    options = {"terms": 16} if name == "soul" else {}
    optimizer = make_optimizer(name, [p], 0.05, 0.0, **options)
    for number in range(400):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - number / 400)
        if name == "sophia_g" and number % optimizer.interval == 0:
            optimizer.update_curvature([torch.full((2,), 0.5, dtype=torch.float64)], terms=4)
        p.grad = p.detach() - target
        optimizer.step()
    assert (p.detach() - target).abs().max().item() < 0.05
    assert OPTIMIZERS[name].__doc__.strip()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_groups_have_their_own_learning_rates(name):
    a, b = (torch.ones(2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = make_optimizer(name, [{"params": [a]}, {"params": [b]}], 0.1, 0.5)
    optimizer.param_groups[1]["lr"] = 0.0
    a.grad = b.grad = torch.ones(2, 2, dtype=torch.float64)
    optimizer.step()
    assert (a < 1).all() and (b == 1).all()


def test_unknown_names_and_options_name_what_is_allowed():
    p = [torch.zeros(1, requires_grad=True)]
    with pytest.raises(BadInput, match="adamw, sgd, sophia_g, soul"):
        make_optimizer("adam", p, 0.1, 0.0)
    for name, option, allowed in (
        ("adamw", "momentum", "betas"),
        ("sgd", "betas", "momentum"),
        ("sophia_g", "terms", "betas, rho, interval"),
        ("soul", "interval", "betas, rho, terms"),
    ):
        with pytest.raises(BadInput, match=f"unknown option of {name} '{option}': choose one of {allowed}"):
            make_optimizer(name, p, 0.1, 0.0, **{option: 0.5})
