"""Weight edits against closed forms, and their laws; rewards of defences in closed form, and how far they go."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mcutils.curves import fit_curve
from mcutils.descent import generator
from mcutils.engine.extensions import register
from mcutils.errors import BadInput
from mcutils.objectives import Batch, Step
from mcutils.plugins import forget
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.edits import (
    barrier_reward,
    distance_reward,
    squared_gradients,
    ssd,
    weight_attenuation,
    weight_distortion,
    weight_dropout,
)
from mcutils.unlearning.endpoints import unlearn
from mcutils.unlearning.methods import DEFENCES, METHODS
from mcutils.weights import Net, distance, refresh_batchnorm, weights_of

RNG = generator(0, "edit")


@pytest.fixture(scope="module")
def linear(tiny):
    """A linear softmax model in float64 with its task, whose gradients have a closed form."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    return weights_of(net), replace(tiny, x=tiny.x.double())


def by_hand(theta, task, rows, size):
    """Mean over batches of the squared batch-mean gradient: (p - onehot) x' for weights, p - onehot for biases."""
    w, b = theta.params["1.weight"], theta.params["1.bias"]
    squares = [torch.zeros_like(w), torch.zeros_like(b)]
    chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
    for chunk in chunks:
        x = task.x[chunk].flatten(1)
        error = (x @ w.T + b).softmax(1) - torch.eye(10).double()[task.y[chunk]]
        for total, g in zip(squares, (error.T @ x / len(chunk), error.mean(0)), strict=True):
            total += g**2
    return {n: s / len(chunks) for n, s in zip(("1.weight", "1.bias"), squares, strict=True)}


@pytest.mark.parametrize("size", [1, 7, 128])
def test_importance_equals_the_closed_form(linear, size):
    theta, task = linear
    found = squared_gradients(theta, task, task.rows("forget"), batch_size=size)
    for name, value in by_hand(theta, task, task.rows("forget"), size).items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-15)


def test_the_batch_size_is_part_of_the_published_form_but_not_of_the_form_per_example(linear):
    theta, task = linear
    rows = task.rows("forget")
    by_batch = [squared_gradients(theta, task, rows, batch_size=size)["1.weight"] for size in (1, 8)]
    assert not torch.allclose(*by_batch)
    apart = squared_gradients(theta, task, rows, batch_size=8, per_example=True)["1.weight"]
    torch.testing.assert_close(apart, by_batch[0], rtol=0, atol=0)


def test_ssd_equals_a_loop_over_scalars(linear):
    theta, task = linear
    everything, forgotten = (by_hand(theta, task, task.rows(s), 16) for s in ("train", "forget"))
    found = ssd(theta, task, RNG, alpha=1.5, beta=0.8, batch_size=16)
    changed = 0
    for name, p in theta.params.items():
        for i in range(p.numel()):
            d, f, before = (float(v[name].reshape(-1)[i]) for v in (everything, forgotten, theta.params))
            expected = before * min(1.0, 0.8 * d / f) if f > 1.5 * d else before
            assert float(found[name].reshape(-1)[i]) == pytest.approx(expected, rel=1e-10, abs=1e-14)
            changed += expected != before
    assert 20 < changed < 600


def test_what_is_not_dampened_stays_bit_for_bit_and_theta_is_left_as_it_is(theta, task):
    before = {name: p.clone() for name, p in theta.params.items()}
    same = ssd(theta, task, RNG, alpha=1e12)
    assert all(torch.equal(same[n], before[n]) for n in before)
    none = ssd(theta, task, RNG, alpha=0.0, beta=0.0)
    assert all(torch.isfinite(v).all() for v in none.values()) and any((v == 0).any() for v in none.values())
    assert all(torch.equal(theta.params[n], before[n]) for n in before)


def test_dampening_only_shrinks(theta, task):
    found = ssd(theta, task, RNG, alpha=1.0, beta=5.0)
    for name, p in theta.params.items():
        assert (found[name].abs() <= p.abs()).all() and (found[name] * p >= 0).all()


@pytest.mark.parametrize(
    "bad", [{"alpha": -1}, {"alpha": "ten"}, {"beta": float("nan")}, {"batch_size": 0}, {"per_example": 1}]
)
def test_bad_options_are_refused(theta, task, bad):
    with pytest.raises(BadInput, match=next(iter(bad))):
        ssd(theta, task, RNG, **bad)


def test_importance_needs_an_example(theta, task):
    with pytest.raises(BadInput, match="at least one example"):
        squared_gradients(theta, task, task.rows("forget")[:0])


def test_unlearning_by_an_edit_is_the_edit_and_a_refresh(theta, task):
    settings = MethodSettings(Plan(steps=0), (("alpha", 1.5), ("beta", 0.5)))
    end = unlearn(theta, task, "ssd", seed=0, settings=settings)
    edited = ssd(theta, task, RNG, alpha=1.5, beta=0.5)
    expected = refresh_batchnorm(replace(theta, params=edited), task.inputs("bn"))
    assert all(torch.equal(end.weights.params[n], expected.params[n]) for n in edited)
    assert all(torch.equal(end.weights.buffers[n], expected.buffers[n]) for n in expected.buffers)
    assert any(not torch.equal(end.weights.params[n], theta.params[n]) for n in edited) and end.losses == ()


def test_steps_on_retain_data_may_follow_an_edit(theta, tiny):
    after = [
        unlearn(theta, tiny, "ssd", seed=0, settings=MethodSettings(Plan(steps=n), (("alpha", 1.5),))) for n in (0, 3)
    ]
    assert len(after[1].losses) == 3
    assert any(not torch.equal(p, after[1].weights.params[n]) for n, p in after[0].weights.params.items())


def test_frozen_parameters_are_not_edited(theta, tiny):
    frozen = replace(theta, frozen=frozenset(list(theta.params)[:3]))
    settings = MethodSettings(Plan(steps=0), (("alpha", 0.5), ("beta", 0.1)))
    end = unlearn(frozen, tiny, "ssd", seed=0, settings=settings)
    changed = {n for n, p in end.weights.params.items() if not torch.equal(p, theta.params[n])}
    assert changed and not changed & frozen.frozen


def test_a_curve_is_fitted_from_an_edited_model_by_cross_entropy_on_retain_data(theta, tiny):
    a, b = (unlearn(theta, tiny, "ssd", seed=s, settings=MethodSettings(Plan(steps=0))) for s in (0, 1))
    curve = fit_curve(a, b, tiny, seed=0, plan=Plan(steps=2, batch_size=16))
    assert len(curve.points) == 3


def test_an_edit_of_ones_own_is_registered_like_a_method(theta, tiny):
    @register("edit")
    def halved(theta, task, generator, *, factor=0.5):
        """All weights times a factor."""
        return {name: factor * p for name, p in theta.params.items()}

    try:
        end = unlearn(theta, tiny, "halved", seed=0, settings=MethodSettings(Plan(steps=0), (("factor", 0.25),)))
        assert all(torch.equal(p, 0.25 * theta.params[n]) for n, p in end.weights.params.items())
        assert METHODS["halved"].about == "All weights times a factor."
    finally:
        forget("method", "halved")


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
def placed():
    """A linear model in float64, another place as its origin, and a step."""
    weights = weights_of(nn.Linear(3, 2).double())
    net = Net(weights.net, {name: value.clone().requires_grad_() for name, value in weights.params.items()}, {})
    draw = lambda n, seed: Batch(  # noqa: E731
        torch.randn(n, 3, generator=rng(seed), dtype=torch.float64), torch.arange(n) % 2, torch.arange(n)
    )
    anchor = {name: value + 0.1 * (k + 1) for k, (name, value) in enumerate(weights.params.items())}
    return net, Step(draw(5, 1), draw(3, 2), anchor=anchor)


def test_the_distance_is_the_root_mean_square(placed):
    net, step = placed
    fit, far = distance_reward(net, step, reward=2.0)
    assert far.weight == -2 and far.losses.item() == pytest.approx(math.sqrt((6 * 0.1**2 + 2 * 0.2**2) / 8))
    assert fit.losses.shape == (5,)
    (gradient,) = torch.autograd.grad(far.losses, [net.params["weight"]])
    assert torch.allclose(gradient, torch.full((2, 3), -0.1 / 8 / far.losses.item(), dtype=torch.float64))
    here = Step(step.retain, None, anchor={name: value.detach() for name, value in net.params.items()})
    (still,) = torch.autograd.grad(distance_reward(net, here)[1].losses, [net.params["weight"]])
    assert torch.equal(still, torch.zeros_like(still)), "at the original weights there is no direction, and no nan"


def test_the_barrier_is_the_loss_halfway(placed):
    net, step = placed
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
