"""The one loop: masks, schedules, divergence, determinism; batches; training of original models."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mcutils import descent, training
from mcutils.descent import SCHEDULES, Diverged, batches, descend, generator, resampled_loss
from mcutils.errors import BadInput
from mcutils.models.vision import build
from mcutils.objectives import Batch, Step
from mcutils.optimizers import OPTIMIZERS
from mcutils.settings import Plan, train_plan
from mcutils.training import train
from mcutils.weights import Net, module_of, refresh_batchnorm

FOREVER = range(10**9)


def leaves(seed=0):
    rng = torch.Generator().manual_seed(seed)
    draw = lambda *s: torch.randn(*s, generator=rng, dtype=torch.float64)  # noqa: E731
    return {"matrix": draw(4, 3), "vector": draw(5), "scalar": draw(())}


def quadratic(variables):
    return lambda step: sum(((v - 1) ** 2).sum() for v in variables.values())


def fake_curvature(variables):
    return lambda step: (sum((v * (k + 1)).sum() for k, v in enumerate(variables.values())), 8)


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a) and a.keys() == b.keys()


def accuracy(weights, task, split):
    return (module_of(weights)(task.inputs(split)).argmax(1) == task.labels(split)).float().mean().item()


# descend


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descend_goes_down_and_reports_every_loss(name):
    v = leaves()
    start = {k: x.clone() for k, x in v.items()}
    seen = []
    options = (("terms", 1),) if name == "soul" else ()
    plan = Plan(optimizer=name, lr=0.02, steps=60, options=options)
    told = {"curvature_at": fake_curvature(v), "progress": lambda *a: seen.append(a)}
    history = descend(v, FOREVER, quadratic(v), plan, **told)
    assert len(history) == 60 and history[0] == pytest.approx(quadratic(start)(None).item())
    assert quadratic(v)(None).item() < 0.7 * history[0]
    assert seen == list(enumerate(history))
    assert not any(x.requires_grad or x.grad is not None for x in v.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descend_is_bit_identical_on_a_rerun(name):
    ends = []
    for _ in range(2):
        v = leaves()
        plan = Plan(optimizer=name, lr=0.05, steps=25, weight_decay=0.1, clip=1.0)
        history = descend(v, FOREVER, quadratic(v), plan, curvature_at=fake_curvature(v))
        ends.append((v, history))
    assert same(ends[0][0], ends[1][0]) and ends[0][1] == ends[1][1]


def test_descend_takes_no_step_more_than_planned():
    v, steps = leaves(), iter(range(100))
    assert len(descend(v, steps, quadratic(v), Plan(steps=7))) == 7
    assert next(steps) == 7
    before = {k: x.clone() for k, x in v.items()}
    assert descend(v, steps, quadratic(v), Plan(steps=0)) == [] and same(v, before)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_masked_coordinates_are_bit_identical(name, clip):
    v = leaves(1)
    start = {k: x.clone() for k, x in v.items()}
    rng = torch.Generator().manual_seed(2)
    mask = {k: torch.rand(x.shape, generator=rng) < 0.5 for k, x in v.items()}
    mask["scalar"] = torch.tensor(False)
    plan = Plan(optimizer=name, lr=0.05, steps=50, weight_decay=0.3, clip=clip)
    descend(v, FOREVER, quadratic(v), plan, curvature_at=fake_curvature(v), mask=mask)
    for k, m in mask.items():
        assert torch.equal(v[k][~m], start[k][~m])
        assert (v[k][m] != start[k][m]).all()


def test_the_free_coordinates_ignore_the_masked_ones():
    # the clipped norm must not count gradients that the mask removes
    plan = Plan(optimizer="sgd", lr=0.1, steps=5, clip=0.2, weight_decay=0.1)
    both = {"a": torch.zeros(3, dtype=torch.float64), "b": torch.full((3,), 9.0, dtype=torch.float64)}
    alone = {"a": torch.zeros(3, dtype=torch.float64)}
    mask = {"a": torch.ones(3, dtype=torch.bool), "b": torch.zeros(3, dtype=torch.bool)}
    descend(both, FOREVER, quadratic(both), plan, mask=mask)
    descend(alone, FOREVER, quadratic(alone), plan)
    assert torch.equal(both["a"], alone["a"])


def test_the_gradient_norm_is_clipped():
    v = {"a": torch.zeros(2, 2, dtype=torch.float64), "b": torch.zeros(3, dtype=torch.float64)}
    slope = {"a": torch.full_like(v["a"], 3.0), "b": torch.full_like(v["b"], -4.0)}
    norm = math.sqrt(4 * 9 + 3 * 16)
    plan = Plan(optimizer="sgd", lr=1.0, steps=1, clip=0.5, options=(("momentum", 0.0),))
    descend(v, FOREVER, lambda step: sum((v[k] * slope[k]).sum() for k in v), plan)
    for k in v:
        np.testing.assert_allclose(v[k], -0.5 / norm * slope[k], rtol=1e-5)


def test_a_variable_outside_the_loss_only_decays():
    v = {"used": torch.ones(2, 2, dtype=torch.float64), "unused": torch.ones(2, dtype=torch.float64)}
    plan = Plan(lr=0.1, steps=3, weight_decay=0.5)
    descend(v, FOREVER, lambda step: v["used"].square().sum(), plan)
    np.testing.assert_allclose(v["unused"], 0.95**3, rtol=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_raises(bad):
    v = leaves()
    losses = iter([1.0, 1.0, bad])
    with pytest.raises(Diverged, match=r"step 3 of 9 \(lr 0\.125\)"):
        descend(v, FOREVER, lambda step: v["vector"].sum() * 0 + next(losses), Plan(lr=0.125, steps=9))


def test_a_tensor_that_is_not_finite_raises():
    # the loss stays finite; its gradient 0 * inf does not
    v = {"root": torch.zeros(2, dtype=torch.float64)}
    with pytest.raises(Diverged, match="root holds NaN or infinity after 1 steps"):
        descend(v, FOREVER, lambda step: (v["root"] * 0).sqrt().sum(), Plan(steps=1))


def test_gradient_ascent_to_infinity_raises():
    v = {"x": torch.ones(2, 1, dtype=torch.float64)}
    with pytest.raises(Diverged):
        descend(v, FOREVER, lambda step: -v["x"].pow(4).sum(), Plan(optimizer="sgd", lr=1.0, steps=100))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_uses_the_scheduled_learning_rate(schedule):
    v, steps, lr = {"m": torch.zeros(1, 1, dtype=torch.float64)}, 10, 0.3
    plan = Plan(optimizer="sgd", lr=lr, steps=steps, schedule=schedule, options=(("momentum", 0.0),))
    positions = []
    descend(v, FOREVER, lambda step: positions.append(v["m"].item()) or v["m"].sum(), plan)
    rates = -np.diff([*positions, v["m"].item()])
    np.testing.assert_allclose(rates, [lr * SCHEDULES[schedule](k / steps) for k in range(steps)], rtol=1e-12)


def test_schedules_have_the_stated_shape():
    grid = [k / 1000 for k in range(1001)]
    shape = {name: np.array([f(p) for p in grid]) for name, f in SCHEDULES.items()}
    p = np.array(grid)
    assert (shape["constant"] == 1).all()
    np.testing.assert_allclose(shape["linear"], 1 - p)
    np.testing.assert_allclose(shape["cosine"], np.cos(np.pi * p / 2) ** 2, atol=1e-12)
    cycle = shape["one_cycle"]
    assert cycle[0] == pytest.approx(0.04) and cycle.argmax() == 300 and cycle[300] == pytest.approx(1)
    assert cycle[[150, 650, -1]] == pytest.approx([0.52, 0.5005, 1e-3])
    assert (np.diff(cycle[:301]) > 0).all() and (np.diff(cycle[300:]) < 0).all() and np.abs(np.diff(cycle)).max() < 0.01


def test_the_learning_rate_factor_touches_matrices_only():
    ones = lambda *s: torch.ones(*s, dtype=torch.float64)  # noqa: E731
    v = {"bias": ones(3), "matrix": ones(2, 2), "kernel": ones(2, 1, 3, 3), "gain": ones(4)}
    plan = Plan(optimizer="sgd", lr=0.1, steps=2, options=(("momentum", 0.0),))
    descend(v, iter([0.5, 0.25]), lambda step: sum(x.sum() for x in v.values()), plan, lr_factor=lambda step: step)
    for x in v.values():
        moved = 0.1 * (0.5 + 0.25) if x.ndim > 1 else 0.1 * 2
        np.testing.assert_allclose(x, 1 - moved, rtol=1e-12)


@pytest.mark.parametrize("interval", [1, 4, 10])
def test_curvature_is_asked_for_at_multiples_of_the_interval(interval):
    v, asked, number = leaves(), [], iter(range(10**6))

    def curvature(step):
        asked.append(step)
        return fake_curvature(v)(step)

    plan = Plan(optimizer="sophia_g", lr=0.01, steps=23, options=(("interval", interval),))
    descend(v, number, quadratic(v), plan, curvature_at=curvature)
    assert asked == list(range(0, 23, interval))


def test_curvature_reaches_the_right_tensors():
    # groups reorder the tensors (matrices first): each h must still be its own tensor's squared gradient
    v = {"bias": torch.ones(3, dtype=torch.float64), "matrix": torch.ones(2, 2, dtype=torch.float64)}
    start = {k: x.clone() for k, x in v.items()}
    slope = {"bias": 5.0, "matrix": 50.0}
    options = (("betas", (0.5, 0.0)), ("rho", 1.0))
    plan = Plan(optimizer="sophia_g", lr=0.1, steps=1, options=options)
    curvature = lambda step: (sum(slope[k] * x.sum() for k, x in v.items()), 1)  # noqa: E731
    descend(v, FOREVER, lambda step: 2 * sum(x.sum() for x in v.values()), plan, curvature_at=curvature)
    for k in v:  # m = 1, h = slope^2
        np.testing.assert_allclose(v[k], start[k] - 0.1 / slope[k] ** 2, rtol=1e-12)


@pytest.mark.parametrize("name", ["adamw", "sgd", "soul"])
def test_other_optimizers_do_not_ask_for_curvature(name):
    v = leaves()
    asked = lambda step: pytest.fail("asked")  # noqa: E731
    descend(v, FOREVER, quadratic(v), Plan(optimizer=name, steps=3), curvature_at=asked)


# Batches and generators


@pytest.mark.parametrize("size", [7, 16, 22])
def test_batches_cover_each_pass_once_and_drop_the_tail(tiny, size):
    rows = tiny.index["forget"]
    stream = batches(tiny, rows, size, generator(0, "forget"))
    per_pass, orders = len(rows) // size, []
    for _ in range(3):
        chunks = [next(stream) for _ in range(per_pass)]
        seen = torch.cat([b.index for b in chunks]).tolist()
        assert len(seen) == len(set(seen)) == per_pass * size and set(seen) <= set(rows.tolist())
        for b in chunks:
            assert len(b.y) == size and torch.equal(b.x, tiny.x[b.index]) and torch.equal(b.y, tiny.y[b.index])
        orders.append(tuple(seen))
    assert len(set(orders)) == 3  # every pass is shuffled anew


def test_a_set_smaller_than_a_batch_is_one_batch(tiny):
    b = next(batches(tiny, tiny.index["forget"], 1000, generator(0, "x")))
    assert sorted(b.index.tolist()) == sorted(tiny.index["forget"].tolist())


def test_batches_of_an_empty_set_are_refused(tiny):
    with pytest.raises(BadInput, match="empty split"):
        next(batches(tiny, torch.empty(0, dtype=torch.int64), 4, generator(0, "x")))


def test_batches_follow_their_generator(tiny):
    seeds = ((1, "a"), (1, "a"), (2, "a"), (1, "b"))
    first = [next(batches(tiny, tiny.index["retain"], 16, generator(*s))).index for s in seeds]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2]) and not torch.equal(first[0], first[3])


def test_generators_leave_the_global_one_alone():
    state = torch.random.get_rng_state()
    draws = {tuple(torch.randint(10**6, (4,), generator=generator(s, p)).tolist()) for s in range(5) for p in "abc"}
    assert len(draws) == 15 and torch.equal(state, torch.random.get_rng_state())


def test_resampled_loss_counts_each_example_once(tiny, tiny_net):
    net = Net(tiny_net, dict(tiny_net.named_parameters()), dict(tiny_net.named_buffers()))
    draw = lambda rows: Batch(tiny.x[rows].double(), tiny.y[rows], rows)  # noqa: E731
    retain, forget = draw(tiny.index["retain"][:6]), draw(tiny.index["forget"][:3])
    for step, terms in ((Step(retain, forget), 9), (Step(retain, None), 6), (Step(None, forget), 3)):
        torch.manual_seed(1)
        loss, n = resampled_loss(net, step)
        torch.manual_seed(1)
        total = 0.0
        for batch in (step.retain, step.forget):
            if batch is not None:
                p = net(batch.x).detach().softmax(1)
                drawn = torch.multinomial(p, 1)[:, 0]
                total -= p[torch.arange(len(p)), drawn].log().sum().item()
        assert n == terms and loss.item() == pytest.approx(total / terms, rel=1e-12)
        assert loss.requires_grad is True


# Training


@pytest.fixture(scope="module")
def quick():
    return Plan(lr=1e-2, steps=6, batch_size=32, schedule="one_cycle", weight_decay=5e-4)


def test_training_is_bit_identical_per_seed_and_leaves_the_global_generator_alone(tiny, quick):
    state = torch.random.get_rng_state()
    a, b, c = (train(tiny, "convnet", seed=s, plan=quick, width=2) for s in (3, 3, 4))
    assert torch.equal(state, torch.random.get_rng_state())
    assert same(a.params, b.params) and same(a.buffers, b.buffers)
    assert all(not torch.equal(a.params[k], c.params[k]) for k in a.params if a.params[k].ndim > 1)


def test_initial_weights_can_have_a_seed_of_their_own(tiny):
    still, moving = Plan(steps=0), Plan(steps=3, batch_size=16)
    none, five, six = (train(tiny, "convnet", seed=5, init=i, plan=still, width=4).params for i in (None, 5, 6))
    assert same(none, five) and not same(five, six)
    # The order of batches stays that of the seed: from the same weights, another seed goes elsewhere.
    one, other = (train(tiny, "convnet", seed=seed, init=6, plan=moving, width=4) for seed in (5, 7))
    assert not same(one.params, other.params)


def test_training_starts_from_the_named_network(tiny):
    weights = train(tiny, "convnet", seed=5, plan=Plan(steps=0), width=3)
    expected = build("convnet", 1, 10, seed=5, width=3)
    assert same(dict(weights.params), {k: p.detach() for k, p in expected.named_parameters()})
    assert weights.model == "convnet"


def test_training_learns(theta, task):
    assert accuracy(theta, task, "retain") > 0.98 and accuracy(theta, task, "forget") > 0.95
    assert accuracy(theta, task, "test") > 0.9


def test_batchnorm_statistics_are_those_of_the_bn_rows(theta, task):
    again = refresh_batchnorm(theta, task.inputs("bn"))
    assert same(dict(theta.buffers), dict(again.buffers))
    other = refresh_batchnorm(theta, task.inputs("forget"))
    assert not same(dict(theta.buffers), dict(other.buffers))


def test_training_sees_its_split_only(tiny, quick, monkeypatch):
    seen, original = {}, batches

    def spy(task, rows, size, rng):
        for batch in original(task, rows, size, rng):
            seen.setdefault("rows", set()).update(batch.index.tolist())
            yield batch

    monkeypatch.setattr(training, "batches", spy)
    for split in ("train", "retain"):
        seen.clear()
        train(tiny, "convnet", seed=0, plan=quick, split=split, width=2)
        assert seen["rows"] <= set(tiny.index[split].tolist())
    assert not seen["rows"] & set(tiny.index["forget"].tolist())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_works_with_every_optimizer(tiny, name):
    plan = Plan(optimizer=name, lr=1e-3, steps=12, batch_size=32)
    weights = train(tiny, "convnet_gn", seed=0, plan=plan, width=2)
    assert all(torch.isfinite(p).all() for p in weights.params.values())


def test_a_module_of_the_user_is_trained_as_it_stands(tiny):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    before = {k: p.detach().clone() for k, p in module.named_parameters()}
    weights = train(tiny, module, seed=0, plan=Plan(lr=1e-2, steps=40, batch_size=32))
    assert same(before, {k: p.detach() for k, p in module.named_parameters()})
    assert not torch.equal(weights.params["1.weight"], before["1.weight"])
    assert accuracy(weights, tiny, "retain") > 0.8
    untouched = train(tiny, module, seed=0, plan=Plan(steps=0))
    assert torch.equal(untouched.params["1.weight"], before["1.weight"])


def test_the_default_plan_is_the_tuned_one(tiny, monkeypatch):
    used = []
    monkeypatch.setattr(descent, "descend", lambda *a, **k: used.append(a[3]))
    train(tiny, "convnet", seed=0, width=2)
    assert used == [train_plan("digits.convnet")]


@pytest.mark.parametrize("name", ["none", "superloss"])
def test_a_curriculum_weighs_the_examples_of_each_batch(tiny, name):
    """One step of gradient descent without momentum is that of the weighed mean, recomputed from the start."""
    from scipy.special import lambertw

    plan = Plan(optimizer="sgd", lr=0.5, steps=1, batch_size=48, options=(("momentum", 0.0),))
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).double()
    task = replace(tiny, x=tiny.x.double())
    found = train(task, module, seed=3, plan=plan, curriculum=name)
    batch = next(batches(task, task.index["train"], 48, generator(3, "retain")))
    weight, bias = (p.detach().clone().requires_grad_(True) for p in (module[1].weight, module[1].bias))
    logits = batch.x.flatten(1) @ weight.T + bias
    losses = logits.logsumexp(1) - logits.gather(1, batch.y[:, None])[:, 0]
    ratio = (losses.detach().numpy() - math.log(10)) / 1.0
    easy = ratio <= -2 / math.e  # where the bound of SuperLoss holds
    s = np.where(easy, math.e, np.exp(-lambertw(np.where(easy, 0, ratio) / 2).real))
    own = torch.from_numpy(s if name == "superloss" else np.ones(48))
    (own * losses).mean().backward()
    for parameter, place in ((weight, "1.weight"), (bias, "1.bias")):
        expected = parameter.detach() - 0.5 * parameter.grad
        torch.testing.assert_close(found.params[place], expected, rtol=1e-10, atol=1e-12)
    assert np.ptp(s) > 0.1  # the weights do differ


def test_the_optimizer_named_takes_the_plan_of_another(tiny, quick):
    asked = train(tiny, "convnet", seed=0, plan=quick, width=2, optimizer="sophia_g")
    planned = train(tiny, "convnet", seed=0, plan=replace(quick, optimizer="sophia_g"), width=2)
    plain = train(tiny, "convnet", seed=0, plan=quick, width=2)
    assert same(asked.params, planned.params) and not same(asked.params, plain.params)
    assert same(plain.params, train(tiny, "convnet", seed=0, plan=quick, width=2, curriculum="none").params)
    for wrong, named in ({"optimizer": "sofia"}, "optimizer 'sofia'"), ({"curriculum": "super"}, "curriculum 'super'"):
        with pytest.raises(BadInput, match=named):
            train(tiny, "convnet", seed=0, plan=quick, width=2, **wrong)


def test_progress_is_reported(tiny, quick):
    seen = []
    train(tiny, "convnet", seed=0, plan=quick, width=2, progress=lambda *a: seen.append(a))
    assert [n for n, _ in seen] == list(range(6)) and all(math.isfinite(v) for _, v in seen)
