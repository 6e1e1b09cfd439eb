"""Defences against relearning: their edits by hand, their rewards in closed form, and how far they go."""

import math

import pytest
import torch
from torch import nn

from mcutils.curves import fit_curve
from mcutils.errors import BadInput
from mcutils.objectives import Batch, Step
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.defences import (
    barrier_reward,
    distance_reward,
    weight_attenuation,
    weight_distortion,
    weight_dropout,
)
from mcutils.unlearning.endpoints import unlearn
from mcutils.unlearning.methods import DEFENCES, METHODS
from mcutils.weights import Net, distance, weights_of


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_edits_by_hand(theta, tiny):
    halved = weight_attenuation(theta, tiny, rng())
    assert all(torch.equal(halved[name], value / 2) for name, value in theta.params.items())
    moved = weight_distortion(theta, tiny, rng(1), spread=0.5)
    noise = torch.cat([(moved[name] - value).flatten() for name, value in theta.params.items()])
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05) and abs(float(noise.mean())) < 0.05
    assert all(torch.equal(value, weight_distortion(theta, tiny, rng(1), spread=0.5)[n]) for n, value in moved.items())
    dropped = weight_dropout(theta, tiny, rng(2), dropped=0.25)
    zero = torch.cat([(dropped[n] == 0).flatten() for n, value in theta.params.items() if value.ndim > 1])
    assert float(zero.double().mean()) == pytest.approx(0.25, abs=0.03)
    assert all(((dropped[n] == v) | (dropped[n] == 0)).all() for n, v in theta.params.items())
    for call, bad in ((weight_dropout, {"dropped": 1.0}), (weight_distortion, {"spread": -1.0})):
        with pytest.raises(BadInput):
            call(theta, tiny, rng(), **bad)


@pytest.fixture
def linear():
    """A linear model in float64, another place as its origin, and a step."""
    weights = weights_of(nn.Linear(3, 2).double())
    net = Net(weights.net, {name: value.clone().requires_grad_() for name, value in weights.params.items()}, {})
    draw = lambda n, seed: Batch(  # noqa: E731
        torch.randn(n, 3, generator=rng(seed), dtype=torch.float64), torch.arange(n) % 2, torch.arange(n)
    )
    anchor = {name: value + 0.1 * (k + 1) for k, (name, value) in enumerate(weights.params.items())}
    return net, Step(draw(5, 1), draw(3, 2), anchor=anchor)


def test_the_distance_is_the_root_mean_square(linear):
    net, step = linear
    fit, far = distance_reward(net, step, reward=2.0)
    assert far.weight == -2 and far.losses.item() == pytest.approx(math.sqrt((6 * 0.1**2 + 2 * 0.2**2) / 8))
    assert fit.losses.shape == (5,)
    (gradient,) = torch.autograd.grad(far.losses, [net.params["weight"]])
    assert torch.allclose(gradient, torch.full((2, 3), -0.1 / 8 / far.losses.item(), dtype=torch.float64))
    here = Step(step.retain, None, anchor={name: value.detach() for name, value in net.params.items()})
    (still,) = torch.autograd.grad(distance_reward(net, here)[1].losses, [net.params["weight"]])
    assert torch.equal(still, torch.zeros_like(still)), "at the original weights there is no direction, and no nan"


def test_the_barrier_is_the_loss_halfway(linear):
    net, step = linear
    _, between = barrier_reward(net, step, reward=0.5)
    middle = {name: (value + step.anchor[name]) / 2 for name, value in net.params.items()}
    x, y = (torch.cat([getattr(b, part) for b in (step.retain, step.forget)]) for part in "xy")
    loss = nn.functional.cross_entropy(x @ middle["weight"].T + middle["bias"], y)
    assert between.weight == -0.5 and between.losses.item() == pytest.approx(loss.item())
    got, expected = (torch.autograd.grad(v, [net.params["bias"]])[0] for v in (between.losses, loss))
    assert torch.allclose(got, expected)
    capped = barrier_reward(net, step, most=0.1)[1].losses
    assert capped.item() == pytest.approx(0.1)
    assert not torch.autograd.grad(capped, [net.params["bias"]])[0].any(), "beyond the most there is nothing to gain"
    with pytest.raises(BadInput, match="original weights"):
        distance_reward(net, Step(step.retain, None))


def test_they_go_farther_than_finetuning_does(theta, tiny):
    plan = MethodSettings(Plan(lr=1e-2, steps=15, batch_size=64))
    ends = {name: unlearn(theta, tiny, name, seed=0, settings=plan).weights for name in ("finetune", *DEFENCES)}
    apart = {name: distance(end, theta) for name, end in ends.items()}
    for name in ("weight_attenuation", "weight_dropout", "distance_reward"):
        assert apart[name] > apart["finetune"], name
    assert set(DEFENCES) <= set(METHODS)


def test_a_defence_needs_the_original_model(theta, tiny):
    plan = Plan(lr=1e-3, steps=1, batch_size=32, forget_batch_size=8)
    settings = MethodSettings(plan)
    with pytest.raises(BadInput, match="needs the original model"):
        fit_curve(theta, theta, tiny, seed=0, method="barrier_reward", settings=settings, plan=plan)
    made = fit_curve(theta, theta, tiny, seed=0, method="barrier_reward", settings=settings, plan=plan, origin=theta)
    assert made.fit is not None
