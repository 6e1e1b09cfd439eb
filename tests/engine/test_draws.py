"""Originals with a forget set each, computed: models, references and profiles are those of their draw."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mcutils as mc
from mcutils.curves import RECIPES, weights_at
from mcutils.data.tasks import load_task
from mcutils.engine import study as module
from mcutils.engine.specs import PlaneSpec, key
from mcutils.engine.upkeep import verify
from mcutils.errors import BadInput
from mcutils.measures.connectivity import connectivity, forget_gap
from mcutils.paper.experiments import coarse, condition_routes, control_routes, profiles, ring_pairs
from mcutils.settings import Plan
from mcutils.unlearning.endpoints import random_twin
from mcutils.weights import flatten

SIZES = {"train_size": 240, "test_size": 60}
CHANGES = {"methods": ["npo"], "points": 3, "bootstrap": 20, "width": 2, **SIZES}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Models of a few seconds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "train_plan", lambda name: Plan(lr=1e-2, steps=150, batch_size=64))
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("draws") / "store")
    return mc.study("smoke", store=folder, fresh=True, originals=2, refresh="weighted", **CHANGES)


@pytest.fixture(scope="module")
def walked(study):
    """Routes with their profiles."""
    routes = condition_routes(study, "random", [("npo",)], ring_pairs(study), ("linear", "bezier"))
    routes += condition_routes(study, "random", [("npo",)], ring_pairs(study), ("linear",), points=coarse(study))
    routes += control_routes(study, ["npo"])
    return list(zip(routes, study.run(profiles(study, routes)), strict=True))


def rows(trace, split):
    return set(trace.index[split].tolist())


def test_each_original_has_a_forget_set_and_references_of_its_own(study, walked):
    tasks = [load_task("digits", 0.1, draw=k, **SIZES) for k in range(2)]
    forgotten = [set(task.index["forget"].tolist()) for task in tasks]
    assert forgotten[0] != forgotten[1]
    for route, found_along in walked:
        spec, k = route.profile(study), route.path.start.data.draw
        found = study.store.get(spec.trace)
        assert rows(found, "forget") == forgotten[k] and found.meta["weighted"] == "yes"
        original, *retrained = (study.store.get(one) for one in (spec.original, *spec.retrained))
        for one in (original, *retrained):
            assert rows(one, "forget") == forgotten[k] and set(one.index) == {"retain", "forget", "valid", "test"}
        gap = float(np.mean([forget_gap(one, original) for one in retrained]))
        assert found_along.gap == pytest.approx(gap, rel=1e-12)
        own = connectivity(found, gap=gap, n_boot=0)
        for name in ("barrier_retain", "deficit_forget"):
            assert found_along.connectivity[name] == pytest.approx(own[name], rel=1e-12, abs=1e-15)
    gaps = {route.original: one.gap for route, one in walked if not route.control}
    assert gaps[0] != gaps[1]


def test_every_model_and_plane_has_batches_weighted_by_size(study, walked):
    """As the functions make them with ``weighted``; without it statistics differ, and so do keys."""
    plain, spec = replace(study, preset=replace(study.preset, refresh="")), study.original(1)
    task, plan = load_task("digits", 0.1, draw=1, **SIZES), spec.plan
    theta, usual = (mc.train(task, "convnet", seed=1, plan=plan, width=2, weighted=w) for w in (True, False))
    assert same(study.store.get(spec), theta) and not same(theta, usual)
    end, twin = study.unlearned("npo", 42, origin=spec), study.profile(spec).random.model
    made = mc.unlearn(theta, task, "npo", seed=42, settings=end.settings, weighted=True)
    assert end.weighted and same(weights_at(study.store.get(end)), weights_at(made))
    assert same(study.store.get(twin), random_twin(theta, task, 0, weighted=True))
    for ask in (lambda s: s.original(1), lambda s: s.retrained(42, original=1), lambda s: s.profile(spec).random.model):
        assert ask(study).weighted and key(ask(study)) != key(ask(plain))
    (drawn,) = study.run([PlaneSpec((spec, end, study.retrained(42, original=1)), 0.1, 2, 20, weighted=True)])
    assert drawn.meta["weighted"] == "yes"


def same(one, other):
    """Equal parameters and buffers, to the last bit."""
    parts = ((one.params, other.params), (one.buffers, other.buffers))
    return all(a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a) for a, b in parts)


def test_a_random_teacher_of_a_fit_has_batches_weighted_by_size(study):
    """The bad teacher's random network is the one part of a fit that statistics are estimated for."""
    ends = [study.unlearned("bad_teacher", seed) for seed in study.seeds]
    few = replace(ends[0].settings, plan=replace(ends[0].settings.plan, steps=2))
    ends = [replace(end, settings=few) for end in ends]
    spec = replace(study.path(*ends, kind="bezier"), plan=few.plan)
    study.run([study.trace(spec, points=2)])
    found, given = study.store.get(spec), [study.store.get(end) for end in ends]
    task = load_task("digits", 0.1, **SIZES)
    fits = [
        mc.fit_curve(*given, task, seed=spec.seed, plan=few.plan, recipe=replace(RECIPES["corrected"], weighted=w))
        for w in (True, False)
    ]
    assert same(found.points[1], fits[0].points[1]) and not same(fits[0].points[1], fits[1].points[1])


def test_no_model_is_shared_between_originals(study, walked):
    made = {}
    for k in range(2):
        for spec in (study.original(k), *(study.retrained(s, original=k) for s in study.seeds)):
            made[k, type(spec).__name__, spec.seed] = flatten(weights_at(study.store.get(spec))).numpy()
    names = list(made)
    assert len(names) == 6
    for i, one in enumerate(names):
        assert all(not np.allclose(made[one], made[other]) for other in names[:i])
    # Retrained models of one seed begin alike; what they never saw is what tells them apart.
    assert key(study.retrained(42)) != key(study.retrained(42, original=1))


def test_a_coarse_walk_says_the_same_of_retain_and_forget_examples(study, walked):
    found = {(route.original, route.kind, one.splits): one for route, one in walked if not route.control}
    every, some = ("retain", "forget", "valid", "test"), ("retain", "forget")
    assert len(found) == 6
    for k in range(2):
        whole, cut = (found[k, "linear", splits] for splits in (every, some))
        assert not {"TA", "accuracy_test", "loss_valid"} & {n.partition("/")[2] for n in cut.arrays}
        for name in ("loss_retain", "loss_forget"):
            np.testing.assert_allclose(cut.metric(name), whole.metric(name), rtol=1e-3)
        with pytest.raises(BadInput, match="which reads test examples"):
            cut.metric("TA")


def test_controls_join_draws_and_hold(study, walked):
    (apart, far), (twin, near) = walked[-2:]
    assert {route.path.end.data.draw for route in (apart, twin)} == {0, 1}
    assert near.extreme("barrier") < far.extreme("barrier")


def test_everything_is_kept_soundly_and_levels_are_by_original(study, walked):
    assert verify(study.store.folder) == {}
    first, second = (one.levels for route, one in walked if route.kind == "bezier")
    assert len(first["loss_forget"]) == len(second["loss_forget"]) == 2
    assert not np.array_equal(first["loss_forget"], second["loss_forget"])


def test_original_0_is_what_it_is_where_all_share_a_forget_set(study):
    shared = mc.study("smoke", store=str(study.store.folder), fresh=True, refresh="weighted", **CHANGES)
    for ask in (lambda s: s.original(), lambda s: s.retrained(42), lambda s: s.unlearned("npo", 42)):
        assert key(ask(shared)) == key(ask(study)) and ask(study) in shared.store
    assert key(shared.original(1)) != key(study.original(1))
    assert key(shared.retrained(42, original=1)) == key(shared.retrained(42))


def test_a_curve_joins_originals_of_two_draws(study):
    """Both saw all of the pool, whatever was drawn to be forgotten: the fit is on the same data from either end."""
    there = study.path(study.original(0), study.original(1), "bezier", plan=Plan(lr=1e-2, steps=30, batch_size=64))
    assert there.method == "train"
    (found,) = study.run([study.profile(there, points=3, splits=("retain", "forget"))])
    curve = study.store.get(there)
    ends = [flatten(weights_at(study.store.get(study.original(k)))) for k in range(2)]
    for point, end in zip((curve.points[0], curve.points[-1]), ends, strict=True):
        np.testing.assert_array_equal(flatten(point), end)
    assert np.isfinite(found.connectivity["barrier_retain"])
    assert not np.allclose(flatten(curve.points[1]), (ends[0] + ends[1]) / 2)
    pools = [load_task("digits", 0.1, draw=k, **SIZES).index["train"] for k in range(2)]
    assert set(pools[0].tolist()) == set(pools[1].tolist())


def test_an_original_stands_before_another_forget_set_as_it_is(study):
    """The model is the same to the bit, unlearned and measured on the other draw alone, and kept under its own name."""
    other = study.original(0, draw=study.redrawn(0))
    assert (other.seed, other.data.draw, other.first, other.own) == (0, 2, 0, study.original(0))
    line = study.path(*(study.unlearned("npo", seed, origin=other) for seed in study.seeds))
    spec = study.profile(line, retrained=[42])
    (found,) = study.run([spec])
    assert torch.equal(*(flatten(weights_at(study.store.get(one))) for one in (other, other.own)))
    forgotten = [set(load_task("digits", 0.1, draw=k, **SIZES).index["forget"].tolist()) for k in (2, 0)]
    assert forgotten[0] != forgotten[1]
    for part in (spec.trace, spec.original, *spec.retrained, spec.random):
        assert rows(study.store.get(part), "forget") == forgotten[0]
    # To the retrained model, which never saw these, they are harder than to the original, which saw both draws.
    assert found.gap > 0 and verify(study.store.folder) == {}
    ends = [flatten(weights_at(study.store.get(one))) for one in (line.start, study.unlearned("npo", 42))]
    assert not torch.equal(*ends)
    with pytest.raises(BadInput, match="first is another draw than that of the data, 2: leave it out"):
        replace(other, first=2)


def test_training_anew_on_another_draw_gives_another_model(study):
    """Which is why the same model is taken: a draw orders the pool, and so the batches."""
    other = replace(study.original(0, draw=study.redrawn(0)), first=None)
    study.run([other])
    assert not torch.equal(*(flatten(weights_at(study.store.get(one))) for one in (other, study.original(0))))


def test_an_original_trained_with_a_curriculum_begins_as_the_plain_one_and_is_another(study):
    changed = study.original(0, "superloss"), study.original(0, optimizer="sophia_g")
    begun = [replace(one, plan=replace(one.plan, steps=0)) for one in (study.original(0), *changed)]
    plain, *others = (flatten(weights_at(one)) for one in study.run([study.original(0), *changed]))
    first, *same = (flatten(weights_at(one)) for one in study.run(begun))
    assert all(torch.equal(first, one) for one in same)
    assert not any(torch.equal(plain, one) for one in others) and not torch.equal(*others)
    (found,) = study.run([study.profile(study.path(*changed), points=3)])
    reference = study.profile(study.path(*changed)).original.model
    assert reference == study.original(0) and np.isfinite(found.connectivity["barrier_retain"])
