"""Every method under every curriculum and optimiser; masks, phases, reference networks, retraining."""

import itertools
import math
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from mcutils import descent
from mcutils.curricula import CURRICULA
from mcutils.data.tasks import load_task
from mcutils.descent import generator
from mcutils.errors import BadInput
from mcutils.objectives import Batch
from mcutils.settings import MethodSettings, Plan, method_settings
from mcutils.training import train
from mcutils.unlearning.endpoints import Pursuit, fingerprint, random_twin, retrain, unlearn
from mcutils.unlearning.methods import METHODS, Method, random_label_phases, saliency_mask, scrub_phases
from mcutils.weights import module_of, refresh_batchnorm

PLAN = Plan(lr=1e-3, steps=4, batch_size=16, forget_batch_size=8, weight_decay=5e-4)
SHORT = MethodSettings(PLAN)
COMPOSED = list(itertools.product(("none", "superloss", "superloss_authors"), ("adamw", "sophia_g", "soul")))
UNLIKE = (("none", "adamw"), ("superloss", "adamw"), ("superloss_authors", "adamw"), ("none", "soul"))


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def equal(a, b):
    return same(dict(a.params), dict(b.params)) and same(dict(a.buffers), dict(b.buffers))


def snapshot(weights):
    return {k: v.clone() for k, v in {**weights.params, **weights.buffers, **weights.net.state_dict()}.items()}


def pursuit_of(entry, theta, task, seed, plan=PLAN, options=None):
    return Pursuit(task, entry, MethodSettings(plan, options or {}), "none", plan, seed, theta)


def steps_of(method, task, plan, number, options=None, seed=0):
    pursuit = pursuit_of(replace(METHODS[method], references=()), None, task, seed, plan, options)
    return list(itertools.islice(pursuit.steps(), number))


def kinds(steps):
    names = {(True, False): "retain", (False, True): "forget", (True, True): "both"}
    return [names[s.retain is not None, s.forget is not None] for s in steps]


# What every method promises


@pytest.mark.parametrize("method", METHODS)
def test_methods_curricula_and_optimizers_compose(method, theta, tiny):
    """Every composition runs; each method repeats another one of them with the same and with another seed."""

    def run(seed, curriculum, optimizer):
        return unlearn(theta, tiny, method, seed=seed, curriculum=curriculum, optimizer=optimizer, settings=SHORT)

    before, ends = snapshot(theta), {how: run(42, *how) for how in COMPOSED}
    assert same(before, snapshot(theta))
    for how, end in ends.items():
        assert len(end.losses) == PLAN.steps and all(math.isfinite(v) for v in end.losses)
        for name, value in {**end.weights.params, **end.weights.buffers}.items():
            assert torch.isfinite(value).all(), name
        for group in ("params", "buffers"):
            shapes = [{k: (v.shape, v.dtype) for k, v in getattr(w, group).items()} for w in (end.weights, theta)]
            assert shapes[0] == shapes[1]
        assert not any(v.requires_grad for v in end.weights.params.values())
        assert not same(dict(end.weights.params), dict(theta.params))
        assert (end.method, (end.curriculum, end.optimizer), end.seed, end.weights.model) == (
            method,
            how,
            42,
            "convnet",
        )
        assert end.origin is theta and end.task == fingerprint(tiny) and end.seconds > 0 and end.settings == SHORT
    for a, b in itertools.combinations([ends[how].weights for how in UNLIKE], 2):
        assert not same(dict(a.params), dict(b.params))
    how = COMPOSED[list(METHODS).index(method) % len(COMPOSED)]
    again, other = run(42, *how), run(87, *how)
    assert equal(ends[how].weights, again.weights) and ends[how].losses == again.losses
    assert not same(dict(ends[how].weights.params), dict(other.weights.params))


@pytest.mark.parametrize("method", METHODS)
def test_tuned_settings_are_the_default(method, theta, tiny, monkeypatch):
    used = []
    monkeypatch.setattr(descent, "descend", lambda *a, **k: used.append(a[3]) or [])
    for curriculum, optimizer in itertools.product(CURRICULA, ("adamw", "sophia_g")):
        end = unlearn(theta, tiny, method, seed=0, curriculum=curriculum, optimizer=optimizer)
        assert end.settings == method_settings("digits.convnet", method, curriculum, optimizer)
        assert used.pop() == end.settings.plan and end.settings.plan.optimizer == optimizer


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_source_and_one_line(method):
    entry = METHODS[method]
    assert entry.name == method and entry.source.strip()
    assert entry.about.strip() and "\n" not in entry.about and entry.about[0].isupper() and len(entry.about) < 120
    assert set(entry.references) <= {"original", "random"} and entry.uses in ("retain", "forget", "both", "train")
    for name, value in entry.options.items():
        assert isinstance(name, str) and isinstance(value, (int, float, str))


def test_the_methods_of_the_first_edition_are_there():
    basic = {"retrain", "finetune", "gradient_ascent", "gradient_difference", "random_labels"}
    assert basic | {"npo", "scrub", "bad_teacher", "salun", "l1_sparse"} <= set(METHODS)


def test_a_network_without_batchnorm_and_a_module_of_the_user(tiny):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.Tanh(), torch.nn.Linear(12, 10))
    theta = train(tiny, module, seed=0, plan=Plan(lr=1e-2, steps=20, batch_size=32))
    for method in METHODS:
        end = unlearn(theta, tiny, method, seed=0, settings=SHORT)
        assert end.weights.buffers == {} and end.weights.model == "Sequential"
        assert not same(dict(end.weights.params), dict(theta.params))


def test_gradient_ascent_and_finetuning_go_where_they_should(theta, task):
    def loss(weights, split):
        return torch.nn.functional.cross_entropy(module_of(weights)(task.inputs(split)), task.labels(split)).item()

    plan = Plan(lr=2e-4, steps=15, batch_size=64, forget_batch_size=32)
    up = unlearn(theta, task, "gradient_ascent", seed=0, settings=MethodSettings(plan)).weights
    down = unlearn(theta, task, "finetune", seed=0, settings=MethodSettings(replace(plan, lr=2e-3, steps=40))).weights
    assert loss(up, "forget") > loss(theta, "forget") and loss(down, "retain") < loss(theta, "retain")


@pytest.mark.parametrize("method", ["gradient_difference", "npo", "random_labels"])
def test_unlearning_forgets_more_than_it_costs(method, theta, task):
    plan = Plan(lr=1e-3, steps=30, batch_size=64, forget_batch_size=32)
    options = {"gradient_difference": (("alpha", 0.8),)}.get(method, ())
    end = unlearn(theta, task, method, seed=0, settings=MethodSettings(plan, options)).weights

    def accuracy(weights, split):
        return (module_of(weights)(task.inputs(split)).argmax(1) == task.labels(split)).float().mean().item()

    lost = {split: accuracy(theta, split) - accuracy(end, split) for split in ("forget", "retain")}
    assert lost["forget"] > lost["retain"] + 0.02


def test_batchnorm_statistics_are_of_retain_data(theta, tiny):
    end = unlearn(theta, tiny, "gradient_ascent", seed=0, settings=SHORT).weights
    assert same(dict(end.buffers), dict(refresh_batchnorm(end, tiny.inputs("bn")).buffers))
    assert not set(tiny.index["bn"].tolist()) & set(tiny.index["forget"].tolist())


def test_progress_is_reported(theta, tiny):
    seen = []
    end = unlearn(theta, tiny, "npo", seed=0, settings=SHORT, progress=lambda *a: seen.append(a))
    assert seen == list(enumerate(end.losses))


def test_methods_and_endpoints_do_not_change(theta, tiny):
    end = unlearn(theta, tiny, "finetune", seed=0, settings=SHORT)
    for thing in (end, end.settings, end.settings.plan, METHODS["npo"]):
        with pytest.raises(FrozenInstanceError):
            thing.seed = 1


# Retraining


def test_retrain_is_the_same_through_both_doors_with_tuned_settings_too(theta, tiny, monkeypatch):
    through_table = unlearn(theta, tiny, "retrain", seed=9, settings=SHORT)
    assert equal(through_table.weights, retrain(tiny, "convnet", seed=9, plan=PLAN, width=4))
    plans = []
    monkeypatch.setattr(descent, "descend", lambda *a, **k: plans.append(a[3]) or [])
    assert equal(unlearn(theta, tiny, "retrain", seed=9).weights, retrain(tiny, "convnet", seed=9, width=4))
    assert len(plans) == 2 and plans[0] == plans[1]


def test_retraining_depends_on_neither_the_original_nor_the_forget_images(theta, tiny):
    other = train(tiny, "convnet", seed=123, plan=PLAN, width=4)
    a, b = (unlearn(w, tiny, "retrain", seed=2, settings=SHORT).weights for w in (theta, other))
    assert equal(a, b)
    x = tiny.x.clone()
    x[tiny.index["forget"]] = 1e3
    c = unlearn(theta, replace(tiny, x=x), "retrain", seed=2, settings=SHORT).weights
    assert equal(a, c)


@pytest.mark.parametrize("method", [m for m, entry in METHODS.items() if entry.uses == "retain" and not entry.edit])
def test_methods_on_retain_data_never_see_the_forget_images(method, theta, tiny):
    x = tiny.x.clone()
    x[tiny.index["forget"]] = math.nan
    a, b = (unlearn(theta, t, method, seed=2, settings=SHORT).weights for t in (tiny, replace(tiny, x=x)))
    assert equal(a, b)


def test_train_sees_all_training_data_in_the_place_of_retain_data(tiny):
    plan = Plan(batch_size=27, forget_batch_size=8)
    steps = steps_of("train", tiny, plan, 8)  # a pass over the 216 images
    assert kinds(steps) == ["retain"] * 8
    seen = torch.cat([step.retain.index for step in steps]).sort().values
    assert torch.equal(seen, tiny.index["train"].sort().values)
    assert set(tiny.index["forget"].tolist()) < set(seen.tolist())


@pytest.mark.parametrize("method", METHODS)
def test_no_method_sees_validation_or_test_images(method, theta, tiny):
    x = tiny.x.clone()
    for split in ("valid", "test"):
        x[tiny.index[split]] = math.nan
    options = (("msteps", 1),) if method == "scrub" else ()
    settings = MethodSettings(PLAN, options)
    a, b = (unlearn(theta, t, method, seed=2, settings=settings).weights for t in (tiny, replace(tiny, x=x)))
    assert equal(a, b)


# SalUn


def summed_gradient(theta, task):
    """The signed gradient of the cross-entropy over D_f, one by one, in float64 and evaluation mode."""
    module = module_of(theta.to(torch.float64)).double().requires_grad_(True)
    total = {k: torch.zeros_like(p) for k, p in module.named_parameters()}
    for row in task.index["forget"].tolist():
        loss = torch.nn.functional.cross_entropy(module(task.x[row : row + 1].double()), task.y[row : row + 1])
        for k, g in zip(total, torch.autograd.grad(loss, list(module.parameters())), strict=True):
            total[k] += g
    return total


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 1.0])
def test_the_mask_frees_exactly_the_stated_share(theta, tiny, sparsity):
    mask = saliency_mask(theta, tiny, sparsity)
    assert {k: m.shape for k, m in mask.items()} == {k: p.shape for k, p in theta.params.items()}
    assert all(m.dtype == torch.bool for m in mask.values())
    total = sum(p.numel() for p in theta.params.values())
    assert sum(int(m.sum()) for m in mask.values()) == round(sparsity * total)


@pytest.mark.parametrize("fraction", [0.1, 0.3], ids=["one batch", "several batches"])
def test_the_mask_equals_a_ranking_by_brute_force(theta, fraction):
    task = load_task("digits", fraction)
    mask = saliency_mask(theta.to(torch.float64), replace(task, x=task.x.double()), 0.5)
    scores = {k: g.abs() for k, g in summed_gradient(theta, task).items()}
    ranked = torch.cat([s.flatten() for s in scores.values()]).sort(descending=True).values
    least = ranked[round(0.5 * len(ranked)) - 1]
    assert ranked[round(0.5 * len(ranked))] < least  # no tie at the border
    for name, m in mask.items():
        assert torch.equal(m, scores[name] >= least), name
    # biases and BatchNorm's scales are ranked with all others
    assert {v.ndim for v in mask.values()} == {1, 2, 4} and 0 < sum(int(m.sum()) for m in mask.values() if m.ndim == 1)


def test_the_mask_is_of_the_summed_gradient_not_of_its_parts(theta, task):
    mask = saliency_mask(theta, task, 0.5)
    magnitudes = {k: torch.zeros_like(p) for k, p in theta.params.items()}
    module = module_of(theta).requires_grad_(True)
    for row in task.index["forget"].tolist():
        loss = torch.nn.functional.cross_entropy(module(task.x[row : row + 1]), task.y[row : row + 1])
        for k, g in zip(magnitudes, torch.autograd.grad(loss, list(module.parameters())), strict=True):
            magnitudes[k] += g.abs()
    flat = torch.cat([m.flatten() for m in magnitudes.values()])
    other = flat >= flat.sort(descending=True).values[round(0.5 * len(flat)) - 1]
    ours = torch.cat([m.flatten() for m in mask.values()])
    assert 0.02 < (ours != other).float().mean().item()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "sophia_g", "soul"])
@pytest.mark.parametrize("curriculum", ["none", "superloss"])
def test_masked_coordinates_equal_the_original_after_50_steps(theta, tiny, optimizer, curriculum):
    plan = Plan(lr=5e-3, steps=50, batch_size=16, forget_batch_size=8, weight_decay=0.1)
    settings = MethodSettings(plan, (("sparsity", 0.3),))
    end = unlearn(theta, tiny, "salun", seed=0, optimizer=optimizer, curriculum=curriculum, settings=settings).weights
    mask = saliency_mask(theta, tiny, 0.3)
    frozen = moved = 0
    for name, m in mask.items():
        assert torch.equal(end.params[name][~m], theta.params[name][~m]), name
        frozen += int((~m).sum())
        moved += int((end.params[name][m] != theta.params[name][m]).sum())
    free = sum(int(m.sum()) for m in mask.values())
    assert frozen > 2 * free > 0 and moved > 0.95 * free


def test_salun_with_everything_free_is_random_labels(theta, tiny):
    a = unlearn(theta, tiny, "salun", seed=0, settings=MethodSettings(PLAN, (("sparsity", 1.0),)))
    b = unlearn(theta, tiny, "random_labels", seed=0, settings=SHORT)
    assert equal(a.weights, b.weights)


@pytest.mark.parametrize("sparsity", [0.0, -0.5, 1.5, math.nan])
def test_a_share_out_of_range_is_refused(theta, tiny, sparsity):
    with pytest.raises(BadInput, match=r"^sparsity must be a (share|finite number)"):
        unlearn(theta, tiny, "salun", seed=0, settings=MethodSettings(PLAN, (("sparsity", sparsity),)))


# The order of steps


def test_scrub_phases():
    order = scrub_phases(2, 3, {"msteps": 2})
    expected = (["forget"] * 2 + ["retain"] * 3) * 2 + ["retain"] * 6
    assert list(itertools.islice(order, len(expected))) == expected
    assert list(itertools.islice(scrub_phases(2, 3, {"msteps": 0}), 4)) == ["retain"] * 4


def test_random_label_phases():
    sequential = random_label_phases(2, 3, {"order": "sequential"})
    assert list(itertools.islice(sequential, 10)) == (["forget"] * 2 + ["retain"] * 3) * 2
    assert list(itertools.islice(random_label_phases(2, 3, {"order": "joint"}), 6)) == ["both"] * 6
    with pytest.raises(BadInput, match="joint, sequential"):
        next(random_label_phases(2, 3, {"order": "x"}))


@pytest.mark.parametrize(
    "method, options, epoch",
    [
        ("scrub", {"msteps": 3}, ["forget"] * 2 + ["retain"] * 12),
        ("random_labels", {"order": "sequential"}, ["forget"] * 2 + ["retain"] * 12),
        ("salun", {"order": "sequential"}, ["forget"] * 2 + ["retain"] * 12),
        ("random_labels", {}, ["both"] * 14),
        ("gradient_ascent", {}, ["forget"] * 14),
        ("finetune", {}, ["retain"] * 14),
        ("npo", {}, ["both"] * 14),
    ],
)
def test_steps_hold_the_batches_of_their_phase(method, options, epoch, tiny):
    # 22 forget images in batches of 8, 194 retain images in batches of 16: passes of 2 and 12
    steps = steps_of(method, tiny, replace(PLAN, steps=40), 28, options)
    assert kinds(steps) == epoch * 2
    for name in ("forget", "retain"):
        held = [getattr(s, name) for s in steps if getattr(s, name) is not None]
        for batch in held:
            assert set(batch.index.tolist()) <= set(tiny.index[name].tolist())
            assert len(batch.y) == (8 if name == "forget" else 16)
        if len(set(epoch)) == 2:  # a phase is a pass: no image twice
            size = epoch.count(name)
            for k in range(0, len(held), size):
                seen = torch.cat([b.index for b in held[k : k + size]]).tolist()
                assert len(seen) == len(set(seen))


def test_steps_know_their_progress_and_share_a_generator(tiny):
    steps = steps_of("finetune", tiny, replace(PLAN, steps=8), 8)
    assert [s.progress for s in steps] == [k / 8 for k in range(8)]
    assert len({id(s.generator) for s in steps}) == 1


def test_streams_of_batches_do_not_shift_each_other(tiny):
    # the forget batches of gradient ascent and of NPO are the same for one seed, whatever else a step holds
    a, b = (steps_of(m, tiny, PLAN, 6, seed=3) for m in ("gradient_ascent", "npo"))
    assert all(torch.equal(x.forget.index, y.forget.index) for x, y in zip(a, b, strict=True))
    c = steps_of("finetune", tiny, PLAN, 6, seed=3)
    assert all(torch.equal(x.retain.index, y.retain.index) for x, y in zip(c, b, strict=True))


def test_a_forget_set_smaller_than_a_batch_is_one_pass(tiny):
    steps = steps_of("scrub", tiny, replace(PLAN, forget_batch_size=512), 3, {"msteps": 1})
    assert kinds(steps) == ["forget", "retain", "retain"] and len(steps[0].forget.y) == 22


def test_l1_sparse_follows_the_progress(theta, tiny):
    # a penalty that outweighs the data shrinks the weights; without it the same plan does not
    def norm(weights):
        return sum(p.abs().sum().item() for p in weights.params.values())

    plan = replace(PLAN, lr=5e-3, steps=20, weight_decay=0.0)
    with_penalty, without = (
        unlearn(theta, tiny, "l1_sparse", seed=0, settings=MethodSettings(plan, (("gamma", g),))) for g in (1.0, 0.0)
    )
    plain = unlearn(theta, tiny, "finetune", seed=0, settings=MethodSettings(plan))
    assert norm(with_penalty.weights) < 0.8 * norm(without.weights) and equal(without.weights, plain.weights)


# Reference networks


def everything(task):
    rows = task.index["train"]
    return Batch(task.x[rows], task.y[rows], rows)


def test_the_original_reference_is_the_original_network(theta, task):
    table = pursuit_of(METHODS["npo"], theta, task, 0).references()
    assert list(table) == ["original"]
    batch = everything(task)
    order = torch.randperm(len(batch.y), generator=generator(0, "test"))[:50]
    some = Batch(batch.x[order], batch.y[order], batch.index[order])
    for b in (batch, some):
        got, expected = table["original"](b), module_of(theta)(b.x).detach()
        assert not got.requires_grad and got.shape == expected.shape
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_the_random_reference_is_an_untrained_network(theta, task):
    frozen = pursuit_of(METHODS["bad_teacher"], theta, task, 5).references()
    assert list(frozen) == ["original", "random"]
    batch, twin = everything(task), random_twin(theta, task, 5)
    torch.testing.assert_close(frozen["random"](batch), module_of(twin)(batch.x).detach(), rtol=1e-4, atol=1e-4)
    assert not same(dict(twin.params), dict(theta.params))
    assert (frozen["random"](batch) - frozen["original"](batch)).abs().max() > 1
    hits = (frozen["random"](batch).argmax(1) == batch.y).float().mean().item()
    assert hits < 0.4 < 0.95 < (frozen["original"](batch).argmax(1) == batch.y).float().mean().item()
    assert same(dict(twin.params), dict(random_twin(theta, task, 5).params))
    assert not same(dict(twin.params), dict(random_twin(theta, task, 6).params))


def test_references_are_those_named_and_know_training_images_only(theta, tiny):
    for entry in METHODS.values():
        assert tuple(pursuit_of(entry, theta, tiny, 0).references()) == entry.references
    table = pursuit_of(METHODS["npo"], theta, tiny, 0).references()["original"]
    for split in ("valid", "test"):
        rows = tiny.index[split]
        assert table(Batch(tiny.x[rows], tiny.y[rows], rows)).isnan().all()


# Bad input


def test_unknown_names_name_what_is_allowed(theta, tiny):
    with pytest.raises(BadInput, match="unknown method 'NPO': choose one of " + ", ".join(METHODS)):
        unlearn(theta, tiny, "NPO", seed=0)
    with pytest.raises(BadInput, match="unknown curriculum 'super': choose one of " + ", ".join(CURRICULA)):
        unlearn(theta, tiny, "npo", seed=0, curriculum="super", settings=SHORT)
    with pytest.raises(BadInput, match="unknown optimizer 'adam': choose one of adamw, sgd, sophia_g, soul"):
        unlearn(theta, tiny, "npo", seed=0, optimizer="adam", settings=SHORT)
    for method in METHODS:
        allowed = ", ".join(METHODS[method].options) or "none"
        with pytest.raises(BadInput, match=f"unknown option 'bet' of {method}: its options are {allowed}"):
            unlearn(theta, tiny, method, seed=0, settings=MethodSettings(PLAN, (("bet", 1.0),)))


def test_a_method_of_the_user_runs_like_any_other(theta, tiny, monkeypatch):
    def halved(net, step, *, factor=0.5):
        """Half of the cross-entropy on D_r."""
        return tuple(t._replace(weight=factor) for t in METHODS["finetune"].objective(net, step))

    entry = Method("halved", halved, "retain", source="a test")
    monkeypatch.setitem(METHODS, "halved", entry)
    assert entry.options == {"factor": 0.5} and entry.about == "Half of the cross-entropy on D_r."
    end = unlearn(theta, tiny, "halved", seed=0, settings=SHORT)
    plain = unlearn(theta, tiny, "finetune", seed=0, settings=SHORT)
    assert end.losses[0] == pytest.approx(0.5 * plain.losses[0])
