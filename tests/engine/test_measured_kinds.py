"""Kinds of 10 to 12 against the measures they are made of, scenarios, images from outside: models of a few steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from kept import file_of

from mcutils.curves import line
from mcutils.data.scenarios import Scenario
from mcutils.data.shadows import SHARE, held
from mcutils.data.tasks import load_task
from mcutils.engine.forms import _fits
from mcutils.engine.planning import plan, size, work
from mcutils.engine.runs import RunFailed, run
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    EnsembleSpec,
    HardnessSpec,
    LearningSpec,
    MembershipSpec,
    OriginalSpec,
    OutcomeSpec,
    PhiSpec,
    ProbeSpec,
    RegainedSpec,
    RelearnSpec,
    RetrainedSpec,
    SharpnessSpec,
    TraceSpec,
    TrajectorySpec,
    UnlearnedSpec,
    key,
    key_of,
    plain,
)
from mcutils.engine.store import Store
from mcutils.errors import BadInput
from mcutils.measures.difficulty import coherence, el2n, entanglement_of, learning_events, learning_path, logits_on
from mcutils.measures.ensembles import ensemble, mean_weights, scores
from mcutils.measures.membership import confidence_logit, population_attacks, svc_along
from mcutils.measures.metrics import accuracy, js_divergence, log_probabilities, per_example_loss
from mcutils.measures.probes import recall
from mcutils.measures.shadow_pool import rmia_along
from mcutils.measures.sharpness import hessian_top, rises
from mcutils.networks import finished
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import trace
from mcutils.unlearning.relearning import SEEN, Attack, held_back, relearn

PLAN, LOST = Plan(lr=0.01, steps=8, batch_size=54), 0.4
DATA = DataSpec("digits", 240, 60)


def few(data, lost):
    """An original, two models unlearned from it, the line between these, and two retrained models."""
    original = OriginalSpec(data, "convnet", 2, 0, PLAN)
    ends = [UnlearnedSpec(original, lost, "finetune", "none", "adamw", seed, MethodSettings(PLAN)) for seed in (1, 2)]
    return original, ends, CurveSpec(*ends, lost), [RetrainedSpec(data, lost, "convnet", 2, s, PLAN) for s in (5, 6)]


ORIGINAL, ENDS, LINE, RETRAINED = few(DATA, LOST)
SHADOW = replace(DATA, shadow=1)
SHADOW_ORIGINAL, SHADOW_ENDS, SHADOW_LINE, SHADOW_RETRAINED = few(SHADOW, SHARE)
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


def test_ensembles_of_a_path_and_of_models(store):
    path = EnsembleSpec((PATH,), (2, 3), ("uniform", "inner", "validation"))
    models = EnsembleSpec(tuple(TraceSpec(one, LOST) for one in RETRAINED), (), ())
    found, together = run([path, models], store, engine="serial")
    seen = store.get(PATH)
    for which, name in (([0, 4], "uniform/2"), ([0, 2, 4], "uniform/3"), ([0, 1, 2, 3, 4], "all/0")):
        for what, values in scores(ensemble(seen, which)).items():
            assert found[f"{name}/{what}"] == values[0]
    assert found["members/uniform/3"].tolist() == [0, 2, 4] and found["members/inner/3"].tolist() == [1, 2, 3]
    assert len(found["members/validation/2"]) == 2 and found["gain/loss/gain/test"] >= 0
    assert found["end/1/accuracy/test"] in accuracy(seen, "test")[[0, -1]]
    pair = ensemble([store.get(one) for one in models.models])
    assert together["all/0/accuracy/forget"] == accuracy(pair, "forget")[0]
    assert path.check(found) == "" and path.check(together) != ""
    for bad in (
        ((), (2,), ("uniform",)),
        ((PATH,), (6,), ("uniform",)),
        ((PATH,), (), ()),
        (models.models, (2,), ("inner",)),
    ):
        with pytest.raises(BadInput):
            EnsembleSpec(*bad)


@pytest.mark.parametrize("attack", [Attack("forgotten", 10, steps=2), Attack("retain", steps=2)])
def test_a_relearned_model_step_by_step(store, attack):
    spec = RelearnSpec(ENDS[0], LOST, attack, PLAN, seed=3)
    (found,) = run([spec], store, engine="serial")
    task = DATA.task(LOST)
    way = relearn(store.get(ENDS[0]).weights, task, attack, seed=3, training=PLAN)
    seen = trace(way, held_back(task))
    assert found["steps"].tolist() == [0, 2]
    for split in ("retain", "forget", "valid"):
        np.testing.assert_allclose(found[f"accuracy/{split}"], accuracy(seen, split))
    assert found["logits/forget"].shape == (2, len(task.index["forget"]) - SEEN, 10)
    assert spec.check(found) == "" and size(plain(spec)) > 0
    assert "no steps" in spec.check({})


def test_points_and_means_of_curves_are_attacked(store):
    attack = Attack(steps=1)
    middle = RelearnSpec(LINE, LOST, attack, PLAN, place=1, points=3)
    mean = RelearnSpec(LINE, LOST, attack, PLAN)
    found = run([middle, mean], store, engine="serial")
    assert np.array_equal(found[0]["logits/forget"], found[1]["logits/forget"]), "of a line the mean is the middle"
    for bad in ((ENDS[0], LOST, attack, PLAN, 0, 1, 3), (LINE, LOST, attack, PLAN, 0, 3, 3)):
        with pytest.raises(BadInput):
            RelearnSpec(*bad)


def test_what_several_attacked_models_regain_keeps_no_logits(store):
    attack = Attack(steps=2)
    alone = [RelearnSpec(LINE, LOST, attack, PLAN, place, place, 3) for place in range(3)]
    spec = RegainedSpec(tuple(alone), (0, 2))
    found, *each = run([spec, *alone], store, engine="serial")
    assert found["steps"].tolist() == [0, 2] and not [name for name in found if name.startswith("logits")]
    assert np.array_equal(found["loss/valid"], [one["loss/valid"] for one in each])
    p = [torch.softmax(torch.tensor(each[k]["logits/forget"]).double(), -1) for k in (0, 2)]
    expected, labels = (p[0] + p[1]) / 2, torch.tensor(each[0]["labels/forget"]).long()
    assert np.allclose(found["together/accuracy"], (expected.argmax(-1) == labels).double().mean(1))
    truth = expected.gather(-1, labels[None, :, None].expand(2, -1, 1))[..., 0]
    assert np.allclose(found["together/loss"], -truth.log().mean(1))
    assert spec.check(found) == "" and 0 < size(plain(spec)) < size(plain(alone[0]))
    assert replace(spec, together=()).check(found) == "" and "no steps" in spec.check({})


def test_sharpness_of_a_model_and_of_the_mean_along_a_curve(store):
    specs = [SharpnessSpec(model, LOST, directions=2, rows=20) for model in (ENDS[0], LINE)]
    found = run(specs, store, engine="serial")
    task = DATA.task(LOST)
    for one, weights in zip(found, (store.get(ENDS[0]).weights, mean_weights(store.get(LINE), task)), strict=True):
        expected = rises(weights, replace(task, splits=("retain", "forget")), directions=2)
        assert all(np.allclose(one[name], values) for name, values in expected.items())
        assert one["hessian"] == pytest.approx(hessian_top(weights, task, task.rows("retain_eval")[:20]), rel=1e-5)
    assert specs[0].check(found[0]) == "" and specs[0].check({"hessian": 1}) != ""


def test_a_scenario_is_part_of_the_data_and_of_its_key(store):
    plainly = DataSpec("digits", 240, 60)
    assert "scenario" not in plain(plainly) and plain(plainly) == plain(DATA)
    of_class = replace(DATA, scenario=Scenario("class", label=3))
    lost = of_class.pool.forget
    made = OriginalSpec(of_class, "convnet", 2, 0, PLAN)
    assert key(made) != key(ORIGINAL) and key_of(plain(made)) == key(made) and _fits(plain(of_class), DataSpec)
    assert DataSpec(**{n: v for n, v in plain(of_class).items() if n != "spec"}) == of_class
    task = of_class.task(lost)
    assert (task.labels("forget") == 3).all() and torch.equal(of_class.pool.index["forget"], task.index["forget"])
    end = UnlearnedSpec(made, lost, "finetune", "none", "adamw", 1, MethodSettings(PLAN))
    (found,) = run([TraceSpec(end, lost)], store, engine="serial")
    assert (found.labels["forget"] == 3).all()
    listed = replace(DATA, scenario=Scenario("listed", rows=tuple(DATA.pool.index["train"][3:9].tolist())))
    assert listed.pool.index["forget"].tolist() == DATA.pool.index["train"][3:9].tolist()
    assert key_of(plain(OriginalSpec(listed, "convnet", 2, 0, PLAN))) == key(
        OriginalSpec(listed, "convnet", 2, 0, PLAN)
    )
    with pytest.raises(BadInput, match="forgets"):
        of_class.task(0.5)
    with pytest.raises(BadInput, match="leave out the cue"):
        replace(of_class, cue=0.05).task(lost)


def test_images_from_outside_replace_those_of_the_test(store):
    specs = [TraceSpec(ENDS[0], LOST, outside=name) for name in ("", "blur", "digits")]
    plainly, blurred, other = run(specs, store, engine="serial")
    assert "outside" not in plain(specs[0])
    assert np.array_equal(plainly.logits["forget"], blurred.logits["forget"])
    assert not np.allclose(plainly.logits["test"], blurred.logits["test"], atol=0.01)
    assert np.array_equal(blurred.labels["test"], plainly.labels["test"])
    assert len(other.labels["test"]) == len(load_task("digits", 0.1).index["test"])
    for bad in ({"outside": "fog"}, {"outside": "blur", "splits": ("retain", "forget")}):
        with pytest.raises(BadInput):
            TraceSpec(ENDS[0], LOST, **bad)


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


def test_phi_is_that_of_the_model_s_logits_on_all_targets(store):
    specs = [PhiSpec(one, SHARE, weighted=True) for one in (SHADOW_ORIGINAL, SHADOW_ENDS[0], SHADOW_RETRAINED[0])]
    found = run([*specs, PhiSpec(SHADOW_LINE, SHARE, 3, weighted=True)], store, engine="serial")
    task = SHADOW.task(SHARE)
    splits = ("forget_targets", "keep_targets", "valid")
    sizes = [len(task.index[split]) for split in splits]
    seen = replace(task, splits=(*splits, "retain", "test"))
    for one, model in zip(found, (SHADOW_ORIGINAL, SHADOW_ENDS[0], SHADOW_RETRAINED[0]), strict=False):
        logits = trace(store.get(model), seen, dtype="float32", weighted=True)
        for split, n in zip(splits, sizes, strict=True):
            phi = confidence_logit(logits.logits[split], logits.labels[split])
            assert one[f"phi/{split}"].shape == one[f"right/{split}"].shape == (1, n)
            np.testing.assert_allclose(one[f"phi/{split}"], phi, rtol=1e-3, atol=1e-3)
            assert one[f"phi/{split}"].dtype == np.float16 and one[f"right/{split}"].dtype == bool
        assert one["accuracy/test"] == (logits.logits["test"].argmax(-1) == logits.labels["test"]).mean()
    path = found[-1]
    assert path["phi/valid"].shape == (3, sizes[2]) and path["accuracy/retain"].shape == (3,)
    np.testing.assert_allclose(path["phi/valid"][0], found[1]["phi/valid"][0], rtol=2e-3, atol=2e-3)
    assert len(task.index["forget_targets"]) == held(replace(SHADOW, shadow=None).task(0.1), "forget", 2).shape[1]


def test_phi_of_a_model_that_is_no_shadow_s_is_of_its_own_splits(store):
    plain_original = replace(SHADOW_ORIGINAL, data=replace(SHADOW, shadow=None))
    (found,) = run([PhiSpec(plain_original, 0.1)], store, engine="serial")
    assert {name.partition("/")[2] for name in found if name.startswith("phi/")} == {"retain", "forget", "valid"}


@pytest.mark.parametrize("references", [(), SHADOW_RETRAINED])
def test_membership_is_all_attacks_on_the_trace(store, references):
    asked = TraceSpec(SHADOW_LINE, SHARE, 2)
    (found,) = run([MembershipSpec(asked, [TraceSpec(one, SHARE) for one in references])], store, engine="serial")
    path = store.get(asked)
    for name, values in population_attacks(path).items():
        np.testing.assert_array_equal(found[f"population/{name}"], values)
    np.testing.assert_array_equal(found["svc/classifier"], svc_along(path))
    assert ("rmia/auc" in found) == bool(references)
    if references:
        alone = rmia_along(path, [store.get(TraceSpec(one, SHARE)) for one in references])
        np.testing.assert_array_equal(found["rmia/tpr"], alone["tpr"])


def test_a_trace_of_few_bits_is_that_of_rounded_weights(store):
    spec = TraceSpec(SHADOW_ENDS[0], SHARE)
    four, plain_trace = run([replace(spec, bits=4), spec], store, engine="serial")
    assert four.meta["bits"] == "4" and "bits" not in plain_trace.meta
    assert not np.array_equal(four.logits["test"], plain_trace.logits["test"])
    (fine,) = run([replace(spec, bits=16)], store, engine="serial")
    np.testing.assert_allclose(fine.logits["test"], plain_trace.logits["test"], atol=0.02)


def test_what_is_no_phi_or_membership_is_refused():
    check = PhiSpec(SHADOW_ORIGINAL, SHARE).check
    good = {"accuracy/retain": np.ones(1), "accuracy/test": np.ones(1)}
    good |= {"phi/valid": np.ones((1, 4), np.float16), "right/valid": np.ones((1, 4), bool)}
    assert check(good) == ""
    assert check({}) == "it holds no phi"
    assert "right/valid" in check({**good, "right/valid": np.ones((1, 3), bool)})
    assert "phi/valid" in check({**good, "phi/valid": np.ones((2, 4), np.float16)})
    assert "accuracy/test" in check({**good, "accuracy/test": np.ones(2)})
    check = MembershipSpec(TraceSpec(SHADOW_LINE, SHARE, 2)).check
    assert check({"svc/threshold": np.ones(2)}) == ""
    assert check({}) and check({"what": np.ones(2)}) and check({"svc/x": np.ones(3)})


def test_plans_price_the_pool_and_its_size_is_near_what_is_written(store, tmp_path):
    spec = PhiSpec(SHADOW_ENDS[0], SHARE, weighted=True)
    rows = {row["kind"]: row for row in plan([spec], Store(tmp_path / "empty"))}
    assert rows.keys() == {"Original", "Unlearned", "PhiOf"} and rows["PhiOf"]["to compute"] == 1
    run([spec], store, engine="serial")
    assert 0.3 < size(plain(spec)) / file_of(store, spec).stat().st_size < 3
