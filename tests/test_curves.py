"""Curves: identities at any degree, the gradient of control points, recipes, and the fit of any module."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.stats import kstest, norm, uniform
from synthetic import Tied, dropping
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from mcutils import descent
from mcutils.curves import CURVES, RECIPES, Aim, Curve, Recipe, draw_t, fit_curve, geometry, line, points_at, points_of
from mcutils.descent import batches, generator
from mcutils.errors import BadInput
from mcutils.measures.metrics import mean_loss
from mcutils.models.vision import build
from mcutils.objectives import Step
from mcutils.settings import MethodSettings, Plan, curve_plan, independent_plan, method_settings
from mcutils.traces import trace
from mcutils.training import train
from mcutils.unlearning.endpoints import unlearn
from mcutils.unlearning.methods import saliency_mask
from mcutils.weights import distance, flatten, memory_format, module_of, weights_of

KINDS = [("linear", 2), *(("bezier", n) for n in range(2, 7)), *(("chain", n) for n in range(2, 7))]


def convnet(seed, name="convnet", width=2, dtype=torch.float64):
    """Untrained weights with scales and shifts of the norms moved away from one and zero."""
    net = build(name, 1, 10, seed, width=width).to(dtype)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn(p.shape, generator=rng, dtype=p.dtype)
    return weights_of(net, name)


def curve_of(kind, points, **options):
    return Curve(kind, tuple(convnet(seed, **options) for seed in range(points)))


def same(a, b):
    return all(torch.equal(a.params[k], b.params[k]) for k in a.params) and all(
        torch.equal(a.buffers[k], b.buffers[k]) for k in a.buffers
    )


@pytest.fixture(scope="module")
def double(tiny):
    """The tiny task in float64."""
    return replace(tiny, x=tiny.x.double())


# identities


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "points"), KINDS)
def test_ends_are_exact(kind, points, dtype):
    curve = curve_of(kind, points, dtype=dtype)
    assert same(curve.at(0), curve.points[0]) and same(curve.at(1), curve.points[-1])
    assert same(curve.at(0.0), curve.points[0]) and same(curve.at(1.0), curve.points[-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_middle_of_a_line_is_the_mean(dtype):
    a, b = convnet(0, dtype=dtype), convnet(1, dtype=dtype)
    assert torch.equal(flatten(line(a, b).at(0.5)), (flatten(a) + flatten(b)) / 2)


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 1))
def test_bezier_and_chain_with_two_points_equal_the_line(t):
    expected = flatten(curve_of("linear", 2).at(t))
    assert torch.equal(flatten(curve_of("bezier", 2).at(t)), expected)
    torch.testing.assert_close(flatten(curve_of("chain", 2).at(t)), expected, rtol=1e-13, atol=1e-14)


@given(st.sampled_from(KINDS), st.floats(0, 1))
def test_coefficients_are_a_partition_of_one(kind, t):
    name, points = kind
    coefficients = CURVES[name](points, t)
    assert len(coefficients) == points and min(coefficients) >= 0
    assert sum(coefficients) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("points", range(2, 7))
def test_chain_passes_through_its_points(points):
    curve = curve_of("chain", points)
    for j, point in enumerate(curve.points):
        torch.testing.assert_close(flatten(curve.at(j / (points - 1))), flatten(point), rtol=1e-13, atol=1e-14)


def test_quadratic_bezier_by_hand():
    a, m, b = (flatten(convnet(s)) for s in range(3))
    t = 0.3
    expected = (1 - t) ** 2 * a + 2 * t * (1 - t) * m + t**2 * b
    torch.testing.assert_close(flatten(curve_of("bezier", 3).at(t)), expected, rtol=1e-13, atol=1e-14)


def test_inner_points_carry_the_buffers_of_the_start():
    curve = curve_of("chain", 3)
    curve.points[0].buffers["1.running_mean"].fill_(1)
    assert all((curve.at(t).buffers["1.running_mean"] == 1).all() for t in (0, 0.2, 0.8))


def test_length_and_geometry():
    a, b, o = (convnet(s) for s in range(3))
    straight = geometry(line(a, b), o)
    assert line(a, b).length == pytest.approx(distance(a, b), rel=1e-9) == straight["distance"]
    assert straight["moved_start"] == distance(a, o) and -1 <= straight["cosine"] <= 1
    corner = Curve("chain", (a, o, b))
    assert corner.length == pytest.approx(distance(a, o) + distance(o, b), rel=1e-9)
    assert "cosine" not in geometry(corner)


def test_grids():
    assert points_of(3) == (0, 0.5, 1) and points_of(np.int64(2)) == (0, 1) and points_of(np.array([0.25])) == (0.25,)
    assert len(points_of(31)) == 31 and points_of(31)[15] == 0.5


def test_curves_that_cannot_be():
    a, b = convnet(0), convnet(1)
    broken = convnet(2)
    broken.params["0.weight"][0] = torch.nan
    for make, message in (
        (lambda: Curve("spline", (a, b)), "unknown curve 'spline': choose one of linear, bezier, chain"),
        (lambda: Curve("bezier", (a,)), "at least 2 points, got 1"),
        (lambda: Curve("linear", (a, b, a)), "linear curve has 2 points, got 3"),
        (lambda: line(a, convnet(1, width=4)), "different architectures"),
        (lambda: line(convnet(0), convnet(0, "convnet_gn")), "convnet with .* and convnet_gn with"),
        (lambda: line(a, broken), "NaN or infinity in 0.weight"),
    ):
        with pytest.raises(BadInput, match=message):
            make()


# sampling of t


@pytest.mark.parametrize(("name", "law"), [("uniform", uniform(0, 1)), ("normal", norm(0.5, 0.1))])
def test_t_is_drawn_from_its_law(name, law):
    rng = torch.Generator().manual_seed(0)
    draws = np.array([draw_t(name, rng) for _ in range(4000)])
    assert 0 <= draws.min() and draws.max() <= 1 and kstest(draws, law.cdf).pvalue > 0.01


@pytest.mark.parametrize("z", [-9.0, 9.0])
@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_normal_t_is_clamped_where_a_gradient_still_flows(monkeypatch, double, z, kind):
    found, _ = captured(monkeypatch, double, recipe="authors", kind=kind)
    step = next(iter(found["steps"]))[1]
    monkeypatch.setattr(torch, "randn", lambda *a, **k: torch.tensor(z))
    t = draw_t("normal", torch.Generator())
    assert 0 <= t <= 1 and abs(t - (z > 0)) < 1e-8
    gradients = torch.autograd.grad(found["loss_at"]((t, step)), list(found["variables"].values()))
    assert all(torch.isfinite(g).all() for g in gradients) and any(g.any() for g in gradients)


def test_recipes():
    assert RECIPES["corrected"] == Recipe("uniform", "midpoint", "chain", "retain")
    assert RECIPES["authors"] == Recipe("normal", "original", "copied", "none")
    with pytest.raises(BadInput, match="unknown sampling 'beta': choose one of uniform, normal"):
        Recipe(sampling="beta")


# the gradient that reaches control points


def captured(monkeypatch, task, method="finetune", recipe="corrected", control_points=1, kind="bezier", name="convnet"):
    """What a fit hands to the loop, by name, and the start, end and original model that it was given."""
    found = {}

    def stand_in(variables, steps, loss_at, plan, **keywords):
        found.update(variables=variables, loss_at=loss_at, steps=steps, **keywords)
        return []

    monkeypatch.setattr(descent, "descend", stand_in)
    ends = [convnet(s, name, 4) for s in range(3)]
    plan = Plan(steps=1, batch_size=16, forget_batch_size=8)
    named = {"kind": kind, "control_points": control_points, "recipe": recipe, "method": method}
    fit_curve(*ends[:2], task, seed=0, settings=MethodSettings(plan), plan=plan, origin=ends[2], **named)
    for v in found["variables"].values():
        v.requires_grad_(True)
    return found, ends


def loss_by_hand(vectors, coefficients, like, step):
    """NegGrad+ loss of a module in training mode at a sum of flat vectors; cross-entropy if nothing is forgotten."""
    vector = sum(c * v for c, v in zip(coefficients, vectors, strict=True))
    pieces = vector.split([v.numel() for v in like.params.values()])
    params = {k: p.view(v.shape) for (k, v), p in zip(like.params.items(), pieces, strict=True)}
    net = module_of(like).train()
    call = lambda x: functional_call(net, params, (x,))  # noqa: E731
    retain = F.cross_entropy(call(step.retain.x), step.retain.y)
    if step.forget is None:
        return retain
    return 0.95 * retain - 0.05 * F.cross_entropy(call(step.forget.x), step.forget.y)


@pytest.mark.parametrize(("kind", "control_points"), [("bezier", 1), ("bezier", 2), ("chain", 2)])
@pytest.mark.parametrize("name", ["convnet", "convnet_gn"])
def test_control_gradient_equals_finite_differences(monkeypatch, double, kind, control_points, name):
    found, _ = captured(monkeypatch, double, "gradient_difference", "corrected", control_points, kind, name)
    t, step = 0.37, next(iter(found["steps"]))[1]
    variables = list(found["variables"].values())
    gradients = torch.autograd.grad(found["loss_at"]((t, step)), variables)
    rng = torch.Generator().manual_seed(0)
    for _ in range(3):
        direction = [torch.randn(v.shape, generator=rng, dtype=v.dtype) for v in variables]
        slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True)).item()
        values = []
        for h in (1e-6, -1e-6):
            with torch.no_grad():
                for v, d in zip(variables, direction, strict=True):
                    v += h * d
                values.append(found["loss_at"]((t, step)).item())
                for v, d in zip(variables, direction, strict=True):
                    v -= h * d
        assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("recipe", ["corrected", "authors"])
@pytest.mark.parametrize("control_points", [1, 2])
def test_control_gradient_is_the_gradient_at_phi_times_its_coefficient_or_one(
    monkeypatch, double, recipe, control_points
):
    found, (start, end, origin) = captured(monkeypatch, double, "gradient_difference", recipe, control_points)
    t, step = 0.37, next(iter(found["steps"]))[1]
    coefficients = CURVES["bezier"](control_points + 2, t)
    controls = [
        torch.cat([found["variables"][f"{j}/{n}"].detach().reshape(-1) for n in start.params])
        for j in range(control_points)
    ]
    vectors = [v.clone().requires_grad_(True) for v in (flatten(start), *controls, flatten(end))]
    loss = loss_by_hand(vectors, coefficients, start, step)
    assert found["loss_at"]((t, step)).item() == pytest.approx(loss.item(), rel=1e-12)
    expected = torch.autograd.grad(loss, vectors[1:-1])
    got = torch.autograd.grad(found["loss_at"]((t, step)), list(found["variables"].values()))
    got = torch.cat([g.reshape(-1) for g in got]).split(len(vectors[0]))
    for c, g, e in zip(coefficients[1:-1], got, expected, strict=True):
        torch.testing.assert_close(g, e / c if recipe == "authors" else e, rtol=1e-9, atol=1e-12)
    if recipe == "authors":
        assert all(torch.equal(v, flatten(origin)) for v in controls)
        assert found["lr_factor"]((t, step)) == 2 * t * (1 - t)
    else:
        assert found["lr_factor"] is None


def test_authors_learning_rate_factor_acts_on_matrices_only(double, monkeypatch):
    """One step of plain SGD: matrices move by 2 t (1 - t) times the step, vectors by the whole step."""
    found, ends = captured(monkeypatch, double, recipe="authors")
    monkeypatch.undo()
    t, step = next(iter(found["steps"]))
    got = torch.autograd.grad(found["loss_at"]((t, step)), list(found["variables"].values()))
    plan = Plan("sgd", lr=0.5, steps=1, batch_size=16, forget_batch_size=8, options=(("momentum", 0.0),))
    named = {"recipe": "authors", "optimizer": "sgd", "settings": MethodSettings(plan), "origin": ends[2]}
    curve = fit_curve(*ends[:2], double, seed=0, plan=plan, **named)
    for (name, p), g in zip(curve.points[1].params.items(), got, strict=True):
        scale = 2 * t * (1 - t) if p.ndim > 1 else 1
        torch.testing.assert_close(p, ends[2].params[name] - 0.5 * scale * g, rtol=1e-9, atol=1e-12)


# starting points


@pytest.mark.parametrize("kind", ["bezier", "chain"])
@pytest.mark.parametrize("control_points", [1, 3])
def test_control_points_start_on_the_line_or_at_the_original(double, kind, control_points):
    a, b, o = (convnet(s) for s in range(3))
    plan = Plan(steps=0, batch_size=16)
    named = {"kind": kind, "control_points": control_points, "seed": 0, "settings": MethodSettings(plan), "plan": plan}
    middle, authors = (fit_curve(a, b, double, recipe=one, origin=o, **named) for one in ("corrected", "authors"))
    assert len(middle.points) == control_points + 2 and same(middle.points[0], a) and same(middle.points[-1], b)
    for j, point in enumerate(middle.points):
        expected = flatten(line(a, b).at(j / (control_points + 1)))
        torch.testing.assert_close(flatten(point), expected, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(flatten(middle.at(0.3)), flatten(line(a, b).at(0.3)), rtol=1e-12, atol=1e-13)
    assert all(torch.equal(flatten(p), flatten(o)) for p in authors.points[1:-1])


# the fit


@pytest.mark.parametrize("method", ["gradient_difference", "train"])
def test_fit_equals_a_loop_by_hand(double, method):
    """NegGrad+, or cross-entropy on D_r and D_f together, at phi(t), one t a step, with AdamW: as in plain torch."""
    a, b = convnet(0), convnet(1)
    plan = Plan(lr=1e-2, steps=9, batch_size=32, forget_batch_size=8, weight_decay=0.1)
    curve = fit_curve(a, b, double, seed=5, method=method, settings=MethodSettings(plan), plan=plan)
    control = ((flatten(a) + flatten(b)) / 2).requires_grad_(True)
    optimizer, rng, seen = torch.optim.AdamW([control], lr=1e-2, weight_decay=0.1), generator(5, "t"), set()
    split = "train" if method == "train" else "retain"
    first = batches(double, double.index[split], 32, generator(5, "retain"))
    forget = batches(double, double.index["forget"], 8, generator(5, "forget"))
    for _, r, f in zip(range(9), first, forget, strict=False):
        t = draw_t("uniform", rng)
        coefficients = ((1 - t) ** 2, 2 * t * (1 - t), t**2)
        step = Step(r, None if method == "train" else f)
        optimizer.zero_grad()
        loss_by_hand([flatten(a), control, flatten(b)], coefficients, a, step).backward()
        optimizer.step()
        seen |= set(r.index.tolist())
    torch.testing.assert_close(flatten(curve.points[1]), control.detach(), rtol=1e-7, atol=1e-9)
    assert (flatten(curve.points[1]) - (flatten(a) + flatten(b)) / 2).abs().max() > 1e-3
    assert bool(seen & set(double.index["forget"].tolist())) == (method == "train")


def test_fit_lowers_the_loss_in_the_middle(task, theta):
    """Two independent networks: the middle of the line is bad, that of a fitted curve much better."""
    plan = Plan(lr=1e-2, steps=60, batch_size=64)
    other = train(task, "convnet", seed=1, plan=plan, width=4)
    curve = fit_curve(theta, other, task, seed=0, settings=MethodSettings(plan), plan=plan)
    fitted, straight = (mean_loss(trace(one, task, [0.5]), "retain") for one in (curve, line(theta, other)))
    assert fitted < 0.5 * straight


def test_a_line_is_not_fitted(tiny):
    a, b = convnet(0, dtype=torch.float32), convnet(1, dtype=torch.float32)
    curve = fit_curve(a, b, tiny, kind="linear", seed=0)
    assert curve.kind == "linear" and same(curve.points[0], a) and same(curve.points[1], b)


@pytest.mark.parametrize("recipe", ["corrected", "authors"])
def test_salun_mask_holds_for_control_points(tiny, theta, recipe):
    plan = Plan(lr=1e-2, steps=10, batch_size=32, forget_batch_size=8, weight_decay=0.5)
    chosen = MethodSettings(plan)
    ends = [unlearn(theta, tiny, "salun", seed=s, settings=chosen) for s in (0, 1)]
    curve = fit_curve(*ends, tiny, seed=0, recipe=recipe, plan=plan)
    mask = saliency_mask(theta, tiny, 0.5)
    moved = 0
    for name, p in curve.points[1].params.items():
        fixed = ~mask[name]
        for point in curve.points:
            assert torch.equal(point.params[name][fixed], theta.params[name][fixed])
        moved += (p[~fixed] != theta.params[name][~fixed]).sum().item()
    assert moved > 0.9 * sum(m.sum().item() for m in mask.values())


def test_settings_default_to_those_of_the_start(tiny, theta):
    chosen = MethodSettings(Plan(lr=1e-3, steps=3, batch_size=16, forget_batch_size=8), options=(("beta", 0.3),))
    a, b = (unlearn(theta, tiny, "npo", seed=s, settings=chosen) for s in (0, 1))
    plan = Plan(lr=1e-3, steps=3, batch_size=16, forget_batch_size=8)
    inherited = fit_curve(a, b, tiny, seed=0, plan=plan)
    stated = fit_curve(a.weights, b.weights, tiny, seed=0, plan=plan, method="npo", settings=chosen, origin=theta)
    other = fit_curve(a, b, tiny, seed=0, plan=plan, method="finetune", settings=MethodSettings(plan))
    assert same(inherited.points[1], stated.points[1]) and not same(inherited.points[1], other.points[1])


def test_plain_weights_are_fitted_by_the_plan_for_models_trained_apart(tiny, theta):
    """And an endpoint by its method's own, unless it is asked for."""
    plan = Plan(lr=1e-3, steps=1, batch_size=16, forget_batch_size=8)
    end = unlearn(theta, tiny, "npo", seed=0, settings=MethodSettings(plan), optimizer="soul")
    name, start = "digits.convnet", (theta, theta)
    tuned = method_settings(name, "finetune")
    found = Aim().pursuit(start, tiny, Recipe(), 0, None)
    assert (found.method.name, found.plan) == ("finetune", independent_plan(name, tuned))
    own = Aim().pursuit((end, theta), tiny, Recipe(), 0, None)
    assert own.plan == replace(curve_plan(name, end.settings), optimizer="soul") and own.settings == end.settings
    apart = Aim(plan="independent").pursuit((end, theta), tiny, Recipe(), 0, None)
    assert (apart.method.name, apart.plan.optimizer) == ("npo", "adamw")
    assert apart.plan == independent_plan(name, method_settings(name, "npo"))
    given = Aim(settings=MethodSettings(plan)).pursuit(start, tiny, Recipe(), 0, None)
    assert given.plan == curve_plan(name, given.settings) == plan
    assert Aim(optimizer="sgd").pursuit(start, tiny, Recipe(), 0, None).plan.optimizer == "sgd"
    with pytest.raises(BadInput, match="unknown plan of a fit 'long': choose one of independent"):
        fit_curve(theta, theta, tiny, seed=0, plan="long")


def test_the_original_model_of_a_fit_is_also_that_of_the_end(tiny, theta):
    plan = Plan(lr=1e-2, steps=2, batch_size=16, forget_batch_size=8)
    other = train(tiny, "convnet", seed=5, plan=plan, width=4)
    end = unlearn(theta, tiny, "npo", seed=0, settings=MethodSettings(plan))
    fit = lambda **more: fit_curve(other, end, tiny, seed=0, method="npo", settings=end.settings, plan=plan, **more)  # noqa: E731
    assert same(fit().points[1], fit(origin=theta).points[1])
    assert not same(fit().points[1], fit(origin=other).points[1])


# any module


class Flat(nn.Module):
    """Calls ``view``, which refuses channels-last activations."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4 * 64, 10)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).view(len(x), -1))


def network(name):
    own = {"flat": Flat, "dropping": dropping, "tied": Tied}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return weights_of(own[name]() if name in own else build(name, 1, 10, 0), name)


@pytest.mark.parametrize("method", ["npo", "bad_teacher", "salun"])
@pytest.mark.parametrize("name", ["convnet_gn", "flat", "dropping", "tied"])
def test_any_module_is_unlearned_fitted_and_traced(tiny, name, method):
    original = network(name)
    plan = Plan(lr=1e-2, steps=2, batch_size=16, forget_batch_size=8)
    chosen = MethodSettings(plan)
    a, b = (unlearn(original, tiny, method, seed=s, settings=chosen) for s in (0, 1))
    curve = fit_curve(a, b, tiny, seed=0, plan=plan)
    assert not same(a.weights, b.weights) and not same(curve.points[1], line(a, b).at(0.5))
    found = trace(curve, tiny, 3)
    assert found.logits["forget"].shape == (3, 22, 10) and all(np.isfinite(v).all() for v in found.logits.values())
    if name == "flat":
        assert memory_format(original, tiny.x) == torch.contiguous_format
    if name == "tied":
        module = module_of(curve.points[1])
        assert module.a.weight is module.b.weight and "b.weight" not in a.weights.params


def test_resnet18_is_unlearned_fitted_and_traced(tiny):
    few = replace(tiny, index={s: rows[:8] for s, rows in tiny.index.items()})
    plan = Plan(lr=1e-3, steps=1, batch_size=8, forget_batch_size=4)
    original = network("resnet18")
    a, b = (unlearn(original, few, "gradient_difference", seed=s, settings=MethodSettings(plan)) for s in (0, 1))
    found = trace(fit_curve(a, b, few, seed=0, plan=plan), few, 2)
    assert found.logits["test"].shape == (2, 8, 10) and all(np.isfinite(v).all() for v in found.logits.values())


def snapshot(weights):
    parts = weights.params, weights.buffers, weights.net.state_dict()
    tensors = [value.clone() for part in parts for value in part.values()]
    return tensors, weights.net.training, [p.requires_grad for p in weights.net.parameters()]


@pytest.mark.parametrize("name", ["convnet", "dropping"])
def test_nothing_given_is_changed(tiny, name):
    """Endpoints, their skeletons, the task and torch's global generator are as before a fit and a trace."""
    original = network(name)
    plan = Plan(lr=1e-2, steps=2, batch_size=16, forget_batch_size=8)
    x, before = tiny.x.clone(), torch.get_rng_state()
    a, b = (unlearn(original, tiny, "scrub", seed=s, settings=MethodSettings(plan)) for s in (0, 1))
    kept = [snapshot(w) for w in (original, a.weights, b.weights)]
    curve = fit_curve(a, b, tiny, seed=0, plan=plan)
    trace(curve, tiny, 2)
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(tiny.x, x)
    for w, (tensors, mode, free) in zip((original, a.weights, b.weights), kept, strict=True):
        again = snapshot(w)
        assert again[1:] == (mode, free) and all(map(torch.equal, again[0], tensors))
    assert same(curve.points[0], a.weights) and same(curve.points[-1], b.weights)


@pytest.mark.parametrize("name", ["convnet", "dropping"])
def test_a_rerun_is_bit_identical(tiny, name):
    original = network(name)
    plan = Plan(lr=1e-2, steps=3, batch_size=16, forget_batch_size=8)

    def run(seed):
        torch.manual_seed(torch.seed() % 1000)
        end = unlearn(original, tiny, "random_labels", seed=1, settings=MethodSettings(plan))
        return fit_curve(end, original, tiny, seed=seed, plan=plan, control_points=2)

    one, again, other = run(0), run(0), run(1)
    assert all(same(p, q) for p, q in zip(one.points, again.points, strict=True))
    assert same(one.points[0], other.points[0]) and not same(one.points[1], other.points[1])


# what a fit refuses


def test_bad_input_to_a_fit(tiny, task, theta):
    chosen = MethodSettings(Plan(steps=1, batch_size=8, forget_batch_size=8))
    end = unlearn(theta, tiny, "finetune", seed=0, settings=chosen)
    elsewhere = unlearn(theta, task, "finetune", seed=0, settings=chosen)
    fit = lambda a, b, **k: fit_curve(a, b, tiny, seed=0, settings=chosen, plan=chosen.plan, **k)  # noqa: E731
    for call, message in (
        (lambda: fit(end, elsewhere), "unlearned for the task digits/.*, not for digits"),
        (lambda: fit_curve(end, elsewhere, tiny, kind="linear", seed=0), "unlearned for the task digits"),
        (lambda: line(end, elsewhere), "endpoints of different tasks, digits/.* and digits/"),
        (lambda: fit(end, convnet(0, width=8, dtype=torch.float32)), "different architectures"),
        (lambda: fit(end, end, origin=convnet(0, width=8, dtype=torch.float32)), "different architectures"),
        (lambda: fit(theta, theta, recipe="authors"), "needs the original model: pass origin="),
        (lambda: fit(theta, theta, method="npo"), "needs the original model: pass origin="),
    ):
        with pytest.raises(BadInput, match=message) as caught:
            call()
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "n"), [("linear", 2), ("bezier", 3), ("bezier", 4), ("chain", 3)])
def test_points_that_are_arrays_are_mixed_as_weights_are(kind, n):
    points, t = np.random.default_rng(0).normal(size=(n, 2)), np.linspace(0, 1, 7)
    expected = [np.array(CURVES[kind](n, float(one))) @ points for one in t]
    assert points_at(kind, points, t) == pytest.approx(np.array(expected))
    stacked = points_at(kind, [np.stack([p, 2 * p]) for p in points], t)
    assert stacked == pytest.approx(np.stack([expected, 2 * np.array(expected)], axis=1))


@pytest.mark.parametrize("optimizer", ["sophia_g", "soul"])
def test_a_chain_is_fitted_by_optimizers_that_feel_curvature(optimizer, tiny):
    """At most t one of its control points has no part in phi(t), hence no gradient and no curvature."""
    a, b = (train(tiny, "convnet", seed=seed, plan=Plan(steps=2), width=2) for seed in (0, 1))
    plan = Plan(optimizer=optimizer, lr=1e-3, steps=12, batch_size=16)
    curve = fit_curve(a, b, tiny, kind="chain", control_points=3, seed=0, plan=plan)
    straight = line(a, b)
    for j in (1, 2, 3):
        assert torch.isfinite(flatten(curve.points[j])).all()
        assert not torch.equal(flatten(curve.points[j]), flatten(straight.at(j / 4)))
