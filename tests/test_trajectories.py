"""Trajectories: snapshots leave a run as it is, are what unlearning would return there, and are evaluated alone."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from synthetic import dropping as net_with_dropout, trace as made_trace
from torch import nn

import mcutils as mc
from mcutils.engine.planning import plan as planned
from mcutils.engine.runs import compute
from mcutils.engine.specs import TraceSpec, TrajectorySpec
from mcutils.engine.store import Store
from mcutils.engine.upkeep import verify
from mcutils.errors import BadInput
from mcutils.measures.connectivity import connectivity
from mcutils.measures.metrics import accuracy
from mcutils.measures.outcomes import best_snapshot, compromise
from mcutils.networks import finished
from mcutils.settings import MethodSettings, Plan
from mcutils.trajectories import Trajectory
from mcutils.unlearning.endpoints import unlearn
from mcutils.unlearning.snapshots import check_steps, log_grid
from mcutils.weights import Weights, distance, weights_of

PLAN = Plan(lr=1e-2, steps=9, batch_size=32, forget_batch_size=8)
SETTINGS = MethodSettings(PLAN)


def same(a, b):
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        for one, other in ((a.params, b.params), (a.buffers, b.buffers))
    )


def dropping():
    """A network with dropout, whose draws come from torch's global generator, and BatchNorm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return weights_of(net_with_dropout(), "dropping")


# the run


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [*(("npo", one) for one in ("adamw", "sophia_g", "soul")), ("scrub", "sophia_g"), ("salun", "soul"),
     ("bad_teacher", "sophia_g"), ("l1_sparse", "soul"), ("retrain", "adamw"), ("ssd", "adamw")],
)  # fmt: skip
def test_snapshots_change_nothing_and_the_last_is_the_endpoint(tiny, theta, method, optimizer):
    for start in (theta, dropping()):
        settings = MethodSettings(PLAN, (("msteps", 1),) if method == "scrub" else ())
        given = {"seed": 3, "settings": settings, "optimizer": optimizer, "curriculum": "superloss"}
        plain, seen = (unlearn(start, tiny, method, **given, **more) for more in ({}, {"snapshots": "log"}))
        assert plain.snapshots == () and plain.losses == seen.losses
        assert same(plain.weights, seen.weights) and same(seen.snapshots[-1][1], plain.weights)
        assert [step for step, _ in seen.snapshots] == [0, 1, 2, 4, 8, 9]
        ways = mc.trajectory(start, tiny, method, **given)
        assert all(same(a, b) for a, (_, b) in zip(ways.points, seen.snapshots, strict=True))


def test_a_snapshot_is_what_unlearning_for_so_many_steps_returns(tiny, theta):
    """At a constant rate the first steps of a run are those of a shorter run: NPO with AdamW and weight decay."""
    plan = replace(PLAN, weight_decay=0.1, clip=1.0)
    found = mc.trajectory(theta, tiny, "npo", seed=1, settings=MethodSettings(plan), steps=range(10))
    for step, point in zip(found.steps, found.points, strict=True):
        short = unlearn(theta, tiny, "npo", seed=1, settings=MethodSettings(replace(plan, steps=step)))
        assert same(point, short.weights), step
    assert same(found.points[0], finished(theta, theta.params, tiny))
    assert all(not same(a, b) for a, b in pairwise(found.points))


def test_progress_and_the_generator_of_torch_are_left_as_they_are(tiny, theta):
    told, before = [], torch.get_rng_state()
    mc.trajectory(theta, tiny, "npo", seed=1, settings=SETTINGS, progress=lambda *one: told.append(one))
    plain = unlearn(theta, tiny, "npo", seed=1, settings=SETTINGS)
    assert told == list(enumerate(plain.losses)) and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 100, 128, 400])
def test_the_grid_doubles_up_to_the_last_step(steps):
    found = log_grid(steps)
    assert found[0] == 0 and found[-1] == steps and found[1] == 1
    assert all(b == 2 * a for a, b in pairwise(found[1:-1])) and all(a < b for a, b in pairwise(found))
    assert steps <= 2 * max(found[-2], 0.5)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "must increase from 0 to the last one, 9, got"),
        *((steps, "must increase from 0") for steps in ((1, 9), (0, 4), (0, 4, 4, 9), (0, 9, 12))),
        *((steps, "a step must be a whole number") for steps in ((0, 2.5, 9), (0, True, 9))),
        ("all", "the steps of snapshots must be log or a list of whole numbers, got 'all'"),
        (5, "the steps of snapshots must be log or a list of whole numbers, got 5"),
    ],
)
def test_steps_that_are_none(tiny, theta, steps, message):
    with pytest.raises(BadInput, match=message):
        check_steps(steps, 9)
    if steps != ():
        with pytest.raises(BadInput, match=message):
            mc.trajectory(theta, tiny, "npo", seed=0, settings=SETTINGS, steps=steps)
    with pytest.raises(BadInput, match="a run of no steps, as that of an edit"):
        mc.trajectory(theta, tiny, "ssd", seed=0, settings=MethodSettings(replace(PLAN, steps=0)))


# the path


def on_a_line(shares):
    a, b = (weights_of(nn.Linear(3, 2)) for _ in range(2))
    return Trajectory("chain", tuple(mc.line(a, b).at(s) for s in shares), steps=tuple(range(len(shares))))


def test_on_a_straight_way_t_is_that_of_the_line():
    shares = (0.0, 0.125, 0.25, 0.75, 1.0)
    found = on_a_line(shares)
    assert found.t == pytest.approx(shares, rel=1e-5) and (found.t[0], found.t[-1]) == (0.0, 1.0)
    assert found.length == pytest.approx(distance(found.points[0], found.points[-1]), rel=1e-5)


def test_t_is_the_share_of_the_way_from_snapshot_to_snapshot(tiny, theta):
    found = mc.trajectory(theta, tiny, "gradient_difference", seed=0, settings=SETTINGS)
    flat = [torch.cat([v.double().reshape(-1) for v in p.params.values()]).numpy() for p in found.points]
    gone = np.cumsum([0.0, *(np.linalg.norm(b - a) for a, b in pairwise(flat))])
    assert found.t == pytest.approx(gone / gone[-1], rel=1e-6) and found.length == pytest.approx(gone[-1], rel=1e-6)
    assert found.length >= distance(found.points[0], found.points[-1]) and 0 < found.t[1] < found.t[2] < 1
    for k, t in enumerate(found.t):
        assert same(found.at(t), found.points[k]) and found.end(t) is found.points[k]


def test_nothing_is_known_between_snapshots(tiny):
    found = on_a_line((0.0, 0.5, 1.0))
    for call in (lambda: found.at(0.3), lambda: found.end(0.3), lambda: mc.trace(found, tiny, [0.0, 0.3])):
        with pytest.raises(BadInput, match="known at its snapshots alone"):
            call()
    with pytest.raises(BadInput, match="nothing moved from step 1 to step 2"):
        _ = on_a_line((0.0, 0.5, 0.5, 1.0)).t
    with pytest.raises(BadInput, match="a step for each snapshot, got 2 and 3"):
        replace(found, steps=(0, 1))


@pytest.mark.parametrize("network", ["convnet", "dropping"])
def test_a_traced_trajectory_is_its_snapshots_one_by_one(tiny, theta, network):
    start = theta if network == "convnet" else dropping()
    found = mc.trajectory(start, tiny, "npo", seed=0, settings=SETTINGS)
    for policy in ("retain", "none", "full"):
        seen = mc.trace(found, tiny, batchnorm=policy)
        assert tuple(seen.t) == found.t and seen.meta["kind"] == "trajectory" and seen.meta["steps"] == "0 1 2 4 8 9"
        for k, point in enumerate(found.points if policy != "none" else found.points[:1]):
            alone = mc.trace(point, tiny, 1, batchnorm=policy)
            assert all(np.array_equal(seen.logits[s][k], alone.logits[s][0]) for s in seen.logits)
    some = mc.trace(found, tiny, [found.t[0], found.t[3]])
    assert some.meta["steps"] == "0 4" and np.array_equal(
        some.logits["test"][1], mc.trace(found, tiny).logits["test"][3]
    )
    whole = mc.trace(found, tiny)
    assert connectivity(whole, gap=0.5, n_boot=0)["barrier_retain"] >= 0


# the best snapshot


def test_the_best_snapshot_is_that_of_the_best_mean_of_forgetting_and_utility():
    right = [(1.0, 0.8), (0.9, 0.8), (0.8, 0.7), (0.7, 0.75), (0.5, 0.2)]  # of D_f and of validation data
    points = [
        made_trace(1, {"retain": 1, "forget": f, "valid": v, "test": 0.5}, 9.0, seed=k)
        for k, (f, v) in enumerate(right)
    ]
    logits = {s: np.concatenate([one.logits[s] for one in points]) for s in points[0].logits}
    found = replace(points[0], t=np.linspace(0, 1, 5), logits=logits)
    assert accuracy(found, "forget") == pytest.approx([f for f, _ in right])
    by_hand = [(1 - abs(f - v) + v / 0.8) / 2 for f, v in right]
    assert compromise(found) == pytest.approx(by_hand) and best_snapshot(found) == int(np.argmax(by_hand)) == 1
    unseen = replace(
        found, logits={**found.logits, "test": found.logits["test"] * 0, "retain": found.logits["retain"] * 0}
    )
    assert best_snapshot(unseen) == 1
    tied = replace(found, logits={s: np.repeat(v[:1], 5, axis=0) for s, v in found.logits.items()})
    assert best_snapshot(tied) == 0


def test_what_no_snapshot_can_be_chosen_from():
    found = made_trace(3)
    for split in ("forget", "valid"):
        lacking = [
            {k: v for k, v in group.items() if k != split} for group in (found.logits, found.labels, found.index)
        ]
        with pytest.raises(BadInput, match=f"there are none of {split}"):
            best_snapshot(replace(found, **dict(zip(("logits", "labels", "index"), lacking, strict=True))))
    with pytest.raises(BadInput, match="gets no validation example right"):
        best_snapshot(made_trace(3, {"retain": 1, "forget": 1, "valid": 0, "test": 1}, 9.0))


# as a result


def test_a_study_keeps_traces_and_measures_trajectories(tmp_path, capsys):
    smoke = mc.study("smoke", store=str(tmp_path / "store"), width=2, seeds=[42], fresh=True)
    end = replace(smoke.unlearned("npo", 42), settings=SETTINGS)
    spec = smoke.trajectory(end)
    assert spec == TrajectorySpec(end, (0, 1, 2, 4, 8, 9)) and spec.parents() == (end.origin,)
    assert smoke.trace(spec) == replace(TraceSpec(spec, 0.1, 6), **{}) and spec.describe().startswith(
        "Trajectory of npo x"
    )
    rows = {row["kind"]: row for row in planned([smoke.trace(spec)], smoke.store)}
    assert rows.keys() == {"Original", "Trajectory", "TraceOf"} and rows["Trajectory"]["MB"] > 0
    way, endpoint, profile = smoke.run([spec, end, smoke.profile(spec)], engine="serial")
    assert isinstance(way, Trajectory) and way.steps == spec.steps and same(way.points[-1], endpoint.weights)
    again, seen = Store(smoke.store.folder).get(spec), smoke.store.get(smoke.trace(spec))
    assert verify(smoke.store.folder) == {}
    assert again.steps == way.steps and all(same(a, b) for a, b in zip(again.points, way.points, strict=True))
    assert tuple(seen.t) == way.t and float(seen.meta["geometry/length"]) == pytest.approx(way.length, rel=1e-5)
    assert seen.meta["steps"] == "0 1 2 4 8 9" and 0 <= best_snapshot(seen) < 6
    assert "barrier_retain" in profile.connectivity.measures and len(profile.connectivity.t) == 6
    assert all(
        np.array_equal(a, b)
        for a, b in zip(compute(smoke.trace(spec), smoke.store).logits.values(), seen.logits.values(), strict=True)
    )


def test_a_trajectory_of_other_steps_or_of_a_network_that_is_broken_is_not_kept(tmp_path):
    smoke = mc.study("smoke", store=str(tmp_path / "store"), width=2)
    spec = smoke.trajectory(replace(smoke.unlearned("npo", 42), settings=SETTINGS))
    (way,) = smoke.run([spec], engine="serial")
    assert spec.check(spec.parts(way)) == ""
    assert "its snapshots are of the steps (0, 1, 2, 4, 7, 9)" in spec.check(
        spec.parts(replace(way, steps=(0, 1, 2, 4, 7, 9)))
    )
    broken = replace(way.points[2], params={n: v * torch.nan for n, v in way.points[2].params.items()})
    points = (*way.points[:2], broken, *way.points[3:])
    object.__setattr__(way, "points", points)
    assert "holds NaN or infinity" in spec.check(spec.parts(way))
    with pytest.raises(BadInput, match="a trajectory is traced at its 6 snapshots, got 5 points"):
        TraceSpec(spec, 0.1, 5)
    with pytest.raises(BadInput, match="endpoint must be the spec of an unlearned model"):
        smoke.trajectory(smoke.original())
    with pytest.raises(BadInput, match="must increase from 0 to the last one, 9"):
        smoke.trajectory(spec.endpoint, (0, 8))
    assert isinstance(way.points[0], Weights)
