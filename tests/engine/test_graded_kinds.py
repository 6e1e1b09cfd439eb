"""Kinds of 12 against the measures they are made of, on models of a few steps: computed once, kept, refused."""

from dataclasses import replace

import numpy as np
import pytest

from mcutils.curves import line
from mcutils.data.scenarios import Scenario
from mcutils.engine.planning import size, work
from mcutils.engine.runs import RunFailed, run
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    HardnessSpec,
    LearningSpec,
    OriginalSpec,
    OutcomeSpec,
    ProbeSpec,
    RelearnSpec,
    RetrainedSpec,
    TraceSpec,
    TrajectorySpec,
    UnlearnedSpec,
    plain,
)
from mcutils.engine.store import Store
from mcutils.measures.difficulty import coherence, el2n, entanglement_of, learning_events, learning_path, logits_on
from mcutils.measures.metrics import js_divergence, log_probabilities, per_example_loss
from mcutils.measures.probes import recall
from mcutils.networks import finished
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.relearning import Attack

PLAN, LOST = Plan(lr=0.01, steps=8, batch_size=54), 0.4
DATA = DataSpec("digits", 240, 60)
ORIGINAL = OriginalSpec(DATA, "convnet", 2, 0, PLAN)
ENDS = [UnlearnedSpec(ORIGINAL, LOST, "finetune", "none", "adamw", seed, MethodSettings(PLAN)) for seed in (1, 2)]
LINE = CurveSpec(*ENDS, LOST)
RETRAINED = [RetrainedSpec(DATA, LOST, "convnet", 2, seed, PLAN) for seed in (5, 6)]
ATTACK = Attack("forgotten", 20, 1.0, steps=10)
PATH, WAY = TraceSpec(LINE, LOST, 5), TraceSpec(TrajectorySpec(ENDS[0], (0, 4, 8)), LOST, 3)
OUTCOME = OutcomeSpec(
    PATH,
    WAY,
    TraceSpec(ORIGINAL, LOST),
    tuple(TraceSpec(one, LOST) for one in RETRAINED),
    RelearnSpec(ENDS[0], LOST, ATTACK, PLAN),
    tuple(RelearnSpec(one, LOST, ATTACK, PLAN) for one in RETRAINED),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def test_learning_is_recorded_of_every_example_and_of_the_very_training(store):
    before = replace(ORIGINAL, data=replace(DATA, scenario=Scenario("class", label=3)), first=0)
    found, again = run([LearningSpec(ORIGINAL), LearningSpec(before)], store, engine="serial")
    task = DATA.task(0.1)
    way = learning_path(task, "convnet", seed=0, plan=PLAN, width=2)
    rows = task.index["train"].sort().values
    assert found["rows"].tolist() == rows.tolist() and len(rows) == 216
    seen = np.stack([logits_on(point, task, rows) for point in way.points[1:]])
    told = learning_events(seen, task.y[rows].numpy()) | {"el2n": el2n(seen[:5], task.y[rows].numpy())}
    assert set(told) | {"rows"} == set(found) and len(seen) == 2  # 4 steps an epoch
    for name, values in told.items():
        assert np.allclose(found[name], values, rtol=1e-6) and np.array_equal(again[name], found[name])
    with pytest.raises(RunFailed, match="without a curriculum"):
        run([LearningSpec(replace(ORIGINAL, curriculum="superloss"))], store, engine="serial")


def test_a_model_says_how_hard_its_forget_set_is(store):
    (found,) = run([HardnessSpec(ORIGINAL, LOST, 6, 40)], store, engine="serial")
    task, model = DATA.task(LOST), store.get(ORIGINAL)
    told = coherence(model, task, 6)
    assert found["retain"] == pytest.approx(told.retain) and found["forget"] == pytest.approx(told.forget)
    assert found["between"] == pytest.approx(told.between)
    assert found["entanglement"] == pytest.approx(entanglement_of(model, task, 40))


def test_a_class_is_probed_in_a_model_and_along_a_line(store):
    one, along = ProbeSpec(RETRAINED[0], LOST, 3), ProbeSpec(LINE, LOST, 3, 3)
    found, path = run([one, along], store, engine="serial")
    task = DATA.task(LOST)
    assert found["recall"].tolist() == [recall(store.get(RETRAINED[0]), task, 3)]
    curve = line(*(store.get(end) for end in ENDS))
    middle = finished(curve.points[0], curve.at(0.5).params, task)
    assert path["recall"].shape == (3,) and path["recall"][1] == recall(middle, task, 3)
    assert path["recall"][0] == pytest.approx(recall(store.get(ENDS[0]), task, 3), abs=0.2)


def test_outcomes_are_those_of_the_start_of_the_line(store):
    (found,) = run([OUTCOME], store, engine="serial")
    path, way = store.get(PATH), store.get(WAY)
    anew = [store.get(one) for one in OUTCOME.retrained]
    pairs = [js_divergence(log_probabilities(path, "forget"), log_probabilities(one, "forget")) for one in anew]
    bits = np.mean([pair.mean(axis=-1) for pair in pairs], axis=0)
    assert np.allclose(found["js"], bits) or np.allclose(found["js"], bits / np.log(2))
    gaps = []
    for split in ("forget", "retain", "test"):
        own, others = ((one.logits[split].argmax(-1) == one.labels[split]).mean(-1)[0] for one in (path, anew[0]))
        second = (anew[1].logits[split].argmax(-1) == anew[1].labels[split]).mean(-1)[0]
        gaps.append(1 - abs(own - (others + second) / 2))
    assert found["missed"] == pytest.approx(1 - np.prod(gaps))
    loss = per_example_loss(path, "forget")
    wiggles = np.abs(np.diff(loss, axis=0)).sum(0) - np.abs(loss[-1] - loss[0])
    assert np.allclose(found["variation"], wiggles, atol=1e-6)
    assert found["rows"].tolist() == DATA.task(LOST).index["forget"].tolist()
    original = store.get(OUTCOME.original)
    for split in ("retain", "forget"):
        assert np.allclose(found[f"curve/loss_{split}"], per_example_loss(path, split).mean(1))
        assert found[f"original/loss_{split}"] == pytest.approx(per_example_loss(original, split).mean())
        told = [(one.logits[split].argmax(-1) == one.labels[split]).mean() for one in anew]
        assert np.allclose(found[f"level/accuracy_{split}"], told)
    assert found["t"].tolist() == path.t.tolist() and found["collapsed"].dtype.kind == "U"
    level = np.mean([per_example_loss(one, "forget").mean() for one in anew])
    reached = [s for s, v in zip((0, 4, 8), per_example_loss(way, "forget").mean(1), strict=True) if v >= level]
    assert (found["steps"] <= min(reached)) if reached else found["steps"] == np.inf
    mine, *theirs = (store.get(one) for one in (OUTCOME.attacked, *OUTCOME.controls))
    above = mine["accuracy/forget"] - np.mean([one["accuracy/forget"] for one in theirs], axis=0)
    steps = mine["steps"]
    assert found["area"] == pytest.approx(np.trapezoid(above, steps) / (steps[-1] - steps[0]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"way": TraceSpec(TrajectorySpec(ENDS[1], (0, 4, 8)), LOST, 3)}, "of the start of one line"),
        ({"attacked": RelearnSpec(ENDS[1], LOST, ATTACK, PLAN)}, "of the start of one line"),
        ({"controls": (RelearnSpec(RETRAINED[0], LOST, replace(ATTACK, steps=5), PLAN),)}, "the two differ"),
    ],
)
def test_outcomes_of_other_models_than_the_start_are_refused(store, change, said):
    with pytest.raises(RunFailed, match=said):
        run([replace(OUTCOME, **change)], store, engine="serial")


SAID = LearningSpec(ORIGINAL), HardnessSpec(ORIGINAL, LOST), ProbeSpec(LINE, LOST, 3, 3), OUTCOME


@pytest.mark.parametrize("spec", SAID)
def test_they_can_be_planned_and_what_does_not_fit_is_no_result_of_theirs(spec):
    described = plain(spec)
    assert 0 < work(described) < 1e12 and 0 < size(described) < 1e5
    assert spec.check({"other": np.zeros(2)})
    assert type(spec).__name__.removesuffix("Spec") in spec.describe()
