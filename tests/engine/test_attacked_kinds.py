"""Ensembles, relearned models and sharpness as kinds of results, scenarios of data, and images from outside."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mcutils.data.scenarios import Scenario
from mcutils.data.tasks import load_task
from mcutils.engine.forms import _fits
from mcutils.engine.planning import size
from mcutils.engine.runs import run
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    EnsembleSpec,
    OriginalSpec,
    RegainedSpec,
    RelearnSpec,
    RetrainedSpec,
    SharpnessSpec,
    TraceSpec,
    UnlearnedSpec,
    key,
    key_of,
    plain,
)
from mcutils.engine.store import Store
from mcutils.errors import BadInput
from mcutils.measures.ensembles import ensemble, mean_weights, scores
from mcutils.measures.metrics import accuracy
from mcutils.measures.sharpness import hessian_top, rises
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import trace
from mcutils.unlearning.relearning import SEEN, Attack, held_back, relearn

PLAN = Plan(lr=0.01, steps=3, batch_size=64)
DATA = DataSpec("digits", 240, 60)
ORIGINAL = OriginalSpec(DATA, "convnet", 2, 0, PLAN)
LOST = 0.4
ENDS = [UnlearnedSpec(ORIGINAL, LOST, "finetune", "none", "adamw", seed, MethodSettings(PLAN)) for seed in (1, 2)]
LINE = CurveSpec(*ENDS, LOST)
RETRAINED = [RetrainedSpec(DATA, LOST, "convnet", 2, seed, PLAN) for seed in (5, 6)]
PATH = TraceSpec(LINE, LOST, 5)


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
