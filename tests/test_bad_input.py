"""What is no seed, share, size, name or spec is refused in one sentence wherever it is given."""

from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch

import mcutils as mc
from mcutils.data.cues import SETS, counterfactual, places, planted
from mcutils.data.tasks import load_task
from mcutils.engine import specs
from mcutils.errors import BadInput
from mcutils.measures.probes import cue_effects
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.relearning import Attack

NO_SEED = (True, 1.0, 0.5, "1", None, -1, 2**63, [1], np.float64(1), torch.tensor(1))
NO_SHARE = (0, 1, -0.1, 1.5, True, "0.1", float("nan"), [0.1], np.bool_(True))
NO_COUNT = (True, 1.0, "1", -1, [1], float("inf"))
NO_NAME = (3, ["npo"], True, b"npo", "wish")
NO_MODEL = ("npo", 3, ["npo"], {}, Plan())

DATA = specs.DataSpec("digits", 240, 60)
PLAN = Plan(steps=5, batch_size=64)
SETTINGS = MethodSettings(PLAN)
ORIGINAL = specs.OriginalSpec(DATA, "convnet", 4, 0, PLAN)
RETRAINED = specs.RetrainedSpec(DATA, 0.1, "convnet", 4, 42, PLAN)
END = specs.UnlearnedSpec(ORIGINAL, 0.1, "npo", "none", "adamw", 42, SETTINGS)
OTHER = replace(END, seed=87)
CURVE = specs.CurveSpec(END, OTHER, 0.1, "bezier", 1, "corrected", 0, PLAN)
TRACE, SINGLE = specs.TraceSpec(CURVE, 0.1, 3), specs.TraceSpec(ORIGINAL, 0.1)
RELEARNED = specs.RelearnSpec(CURVE, 0.1, Attack(), PLAN)
SPECS = {
    "Data": (DATA, {"dataset": NO_NAME, "train_size": NO_COUNT, "test_size": NO_COUNT, "checksum": (3, None)}),
    "Original": (ORIGINAL, {"data": ("digits", None), "model": NO_NAME, "width": (*NO_COUNT, 0), "seed": NO_SEED}),
    "Original's plan": (ORIGINAL, {"plan": (None, {}, SETTINGS)}),
    "Retrained": (RETRAINED, {"forget": NO_SHARE, "init": [v for v in NO_SEED if v is not None]}),
    "Untrained": (specs.UntrainedSpec(DATA, "convnet", 4, 0), {"width": NO_COUNT, "seed": NO_SEED}),
    "Unlearned": (END, {"origin": (*NO_MODEL, None, CURVE), "forget": NO_SHARE, "method": NO_NAME, "seed": NO_SEED}),
    "Unlearned's names": (END, {"curriculum": NO_NAME, "optimizer": NO_NAME, "settings": (None, PLAN, {})}),
    "Aligned": (
        specs.AlignedSpec(RETRAINED, END, 0.1),
        {"model": (*NO_MODEL, CURVE), "to": (*NO_MODEL, None), "forget": NO_SHARE, "by": NO_NAME},
    ),
    "Path": (CURVE, {"start": NO_MODEL, "end": (*NO_MODEL, TRACE), "kind": NO_NAME, "control_points": (*NO_COUNT, 0)}),
    "Path's names": (CURVE, {"recipe": NO_NAME, "seed": NO_SEED, "plan": (None, 3), "method": (3, None, "wish")}),
    "TraceOf": (
        TRACE,
        {"model": (*NO_MODEL, TRACE), "points": (*NO_COUNT, 1), "batchnorm": NO_NAME, "shown": (3, "x")},
    ),
    "Profile": (
        specs.ProfileSpec(TRACE, SINGLE, (SINGLE,), SINGLE),
        {"trace": NO_MODEL, "retrained": ("ab", 3, None, [3], SINGLE), "bootstrap": (*NO_COUNT, 0)},
    ),
    "Alike": (
        specs.AlikeSpec((END, OTHER), ORIGINAL, 0.1),
        {"models": ("ab", [END, 3], None), "split": NO_NAME, "rows": (0, 1.0)},
    ),
    "PhiOf": (specs.PhiSpec(CURVE, 0.1, 3), {"model": NO_MODEL, "forget": NO_SHARE, "points": (*NO_COUNT, 1)}),
    "MembershipOf": (specs.MembershipSpec(TRACE), {"trace": NO_MODEL, "retrained": ("ab", 3, [3], SINGLE)}),
    "TraceOf's bits": (TRACE, {"bits": (1, 17, True, -1, "4")}),
    "EnsembleOf": (
        specs.EnsembleSpec((TRACE,), (2,), ("uniform",)),
        {"models": ("ab", 3, [3], ()), "sizes": (3, [0], [9])},
    ),
    "EnsembleOf's placements": (specs.EnsembleSpec((TRACE,), (2,), ("uniform",)), {"placements": (3, ["x"], [])}),
    "RelearnOf": (
        specs.RelearnSpec(CURVE, 0.1, Attack(), PLAN),
        {"model": NO_MODEL, "attack": (None, 3), "points": (0, 1.0)},
    ),
    "RelearnOf's plan": (
        specs.RelearnSpec(CURVE, 0.1, Attack(), PLAN),
        {"training": (None, {}), "seed": NO_SEED, "place": (1,)},
    ),
    "RegainedOf": (
        specs.RegainedSpec((RELEARNED,), (0,)),
        {"models": (3, (), [3], (RELEARNED, replace(RELEARNED, attack=Attack(steps=3)))), "together": ((1,), (0, 0))},
    ),
    "SharpnessOf": (
        specs.SharpnessSpec(CURVE, 0.1),
        {"model": (*NO_MODEL, TRACE), "directions": (0, True), "rows": (0,)},
    ),
    "LearningOf": (specs.LearningSpec(ORIGINAL), {"model": (*NO_MODEL, RETRAINED, None)}),
    "HardnessOf": (specs.HardnessSpec(ORIGINAL, 0.1), {"model": (*NO_MODEL, END), "examples": (1, True), "rows": (0,)}),
    "ProbeOf": (specs.ProbeSpec(CURVE, 0.1, 3, 5), {"model": NO_MODEL, "label": NO_COUNT, "points": (*NO_COUNT, 1)}),
    "OutcomeOf": (
        specs.OutcomeSpec(TRACE, TRACE, SINGLE, (SINGLE,), RELEARNED, (RELEARNED,)),
        {"trace": NO_MODEL, "retrained": ("ab", 3, [3], ()), "attacked": (None, 3), "controls": ((), [3], SINGLE)},
    ),
    "Data's scenario": (DATA, {"scenario": ("class", 3)}),
    "CueUse": (specs.CueUseSpec(CURVE, 0.1), {"model": (END, None), "points": NO_COUNT}),
    "FitOf": (specs.FitSpec(CURVE), {"model": (*NO_MODEL, TRACE, END)}),
    "PlaneOf": (
        specs.PlaneSpec((END, OTHER, ORIGINAL), 0.1),
        {"models": ((END, OTHER), "abc"), "resolution": (1, True)},
    ),
}
ROWS = [
    (name, field, value) for name, (_, fields) in SPECS.items() for field, values in fields.items() for value in values
]


def sentence(error):
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 500
    return text


@pytest.mark.parametrize(("name", "field", "value"), ROWS)
def test_a_spec_refuses_a_field_of_a_wrong_type_or_value(name, field, value):
    with pytest.raises(BadInput) as error:
        replace(SPECS[name][0], **{field: value})
    sentence(error)


def test_numbers_of_numpy_give_the_same_spec_and_key_as_python_s():
    data = specs.DataSpec("digits", np.int64(240), np.int32(60))
    origin = specs.OriginalSpec(data, "convnet", np.int16(4), np.uint8(0), PLAN)
    mine = specs.UnlearnedSpec(origin, np.float64(0.1), "npo", "none", "adamw", np.int64(42), SETTINGS)
    specs.key.cache_clear()
    first = specs.key(mine)
    specs.key.cache_clear()
    assert mine == END and first == specs.key(END)
    assert type(mine.seed) is int and type(mine.origin.data.train_size) is int
    assert specs.AlikeSpec([END, OTHER], ORIGINAL, 0.1) == specs.AlikeSpec((END, OTHER), ORIGINAL, 0.1)


# A preset's fields

PRESET = {
    "dataset": NO_NAME, "model": NO_NAME, "width": (*NO_COUNT, 0), "forget": NO_SHARE, "train_size": NO_COUNT,
    "test_size": NO_COUNT,
    "seeds": (42, "42", {42}, [True], [1.0], ["1"], [42, 42], [-1], {42: 1}, (s for s in (1, 2))),
    "methods": ("npo", {"npo"}, ["npo", "npo"], [3], ["wish"]), "quickstart_method": NO_NAME,
    "points": (*NO_COUNT, 1, 0), "bootstrap": (*NO_COUNT, 0), "pairs": (*NO_COUNT, 0), "about": (3, ["a"]),
    "colour": (1,), "fresh": (1, "no", 0), "store": (3, ["a"], "~nosuchuser/x", "a\0b", True),
    "task": (3, "digits", (np.zeros(3), np.zeros(3))),
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in PRESET.items() for value in values])
def test_a_study_refuses_a_field_of_a_wrong_type_or_value(field, value, tmp_path):
    with pytest.raises(BadInput) as error:
        mc.study("smoke", **{"store": str(tmp_path), field: value})
    sentence(error)


def test_a_study_takes_numbers_of_numpy_and_leaves_empty_fields_to_the_preset(tmp_path):
    given = {
        "seeds": np.array([42, 21]), "width": np.int64(4), "forget": np.float64(0.2), "methods": [], "points": None,
    }  # fmt: skip
    study = mc.study("smoke", FilePath(tmp_path), **given)
    assert study.seeds == (42, 21) and all(type(seed) is int for seed in study.seeds)
    assert (study.preset.width, study.preset.forget, study.preset.points) == (4, 0.2, 5)
    with pytest.raises(BadInput, match="unknown preset 3"):
        mc.study(3, str(tmp_path))
    with pytest.raises(BadInput, match="is not one as mc.task returns it"):
        mc.study("smoke", str(tmp_path), task=load_task("digits"))
    own = mc.task(np.random.default_rng(0).random((60, 1, 8, 8)), np.arange(60) % 3)
    with pytest.raises(BadInput, match="names its data set and sizes itself"):
        mc.study("smoke", str(tmp_path), task=own, train_size=30)


# A study's methods


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return mc.study("smoke", str(tmp_path_factory.mktemp("study")), width=4)


ENDS = {"condition": "random", "methods": ["npo"], "seeds": (1, 2)}
NOT_JOINED = (*NO_MODEL, None, TRACE, CURVE)
BETWEEN = {"start": END, "end": OTHER, "kind": "bezier"}
# method -> good arguments, and what takes the place of one of them
CALLS = {
    "original": ({}, {"seed": NO_SEED}),
    "retrained": ({"seed": 1}, {"seed": NO_SEED, "forget": (0, 1, True, "0.1", ""), "init": (True, 1.0, "1", -1)}),
    "unlearned": (
        {"method": "npo", "seed": 1},
        {
            "method": (*NO_NAME, None), "seed": NO_SEED, "curriculum": NO_NAME, "optimizer": NO_NAME,
            "origin": (0, "", 3, "original", []), "forget": (0, 1, True, "0.1", []),
        },
    ),
    "grid": (
        {},
        {
            "method": ("npo", 3, [], ["wish"]), "seed": (42, "42", [True], [1.0]), "curriculum": ("none", [3]),
            "original": (0, [True]), "forget": (0.1, [1.5], ["0.1"]),
        },
    ),
    "ends": (ENDS, {"condition": (3,), "methods": ("npo",), "seeds": (1, (1, True)), "original": (1.0,)}),
    "ends with superloss": ({**ENDS, "condition": "random_in_cl"}, {"curriculum": (3,)}),
    "path": (
        BETWEEN,
        {
            "start": NOT_JOINED, "end": NOT_JOINED, "kind": (*NO_NAME, None), "recipe": (*NO_NAME, None),
            "control_points": (*NO_COUNT, 0), "seed": NO_SEED, "objective": (*NO_NAME, None),
        },
    ),
    "path that is a line": ({"start": END, "end": OTHER}, {"recipe": NO_NAME}),
    "trace": (
        {"model": CURVE},
        {"model": (*NO_MODEL, None, TRACE), "batchnorm": (*NO_NAME, "", False), "points": (*NO_COUNT, 0, 1)},
    ),
    "trace of an end": ({"model": END}, {"points": (1.5,)}),
    "profile": (
        {"model": CURVE},
        {"model": (*NO_MODEL, None, TRACE), "retrained": (42, "42", [True], [1.0], [None]), "points": (0,)},
    ),
    "run": ({}, {"specs": (END, 3, None, "npo", [END, 3], [PLAN], {"a": END})}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [(call, name, bad) for call, (_, fields) in CALLS.items() for name, values in fields.items() for bad in values],
)
def test_a_method_of_a_study_refuses_what_it_cannot_use(call, name, value, study):
    with pytest.raises(BadInput) as error:
        getattr(study, call.partition(" ")[0])(**{**CALLS[call][0], name: value})
    sentence(error)


# Tasks and cues

TASKS = {
    "name": (3, None, True, ["digits"], (np.zeros((9, 2)), np.zeros(9)), torch.zeros(9), "mnist"), "forget": NO_SHARE,
    "seed": NO_SEED, "train_size": (*NO_COUNT, 0, 10**9), "test_size": (*NO_COUNT, 0, 10**9),
    "path": (3, True, ["a"], "~nosuchuser/x", "a\0b", b"a"), "device": (3, True, None, 1.5, ["cpu"], "abacus", ""),
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in TASKS.items() for value in values])
def test_load_task_refuses_what_it_cannot_use(field, value):
    name = "fashion-mnist" if field == "path" else "digits"
    with pytest.raises(BadInput) as error:
        load_task(**{"name": name, field: value})
    assert "tensor([" not in sentence(error) and "array([" not in sentence(error)


POINTS = mc.task(np.random.default_rng(0).random((60, 5)), np.arange(60) % 3)


@pytest.mark.parametrize(
    "call",
    [
        *[lambda task, v=v: planted(task, v) for v in (0, 1.1, True, "1", None)],
        *[lambda task, v=v: planted(task, fraction=v) for v in (0, 1.1, True, "1", [1])],
        *[lambda task, v=v: planted(v) for v in (None, 3, "digits", POINTS)],
        *[lambda task, v=v: counterfactual(planted(task), v) for v in (3, None, "all")],
        *[lambda task, v=v: counterfactual(planted(task), "own", v) for v in NO_SEED],
        *[lambda task, v=v: counterfactual(v, "own") for v in (None, 3, POINTS)],
        *[lambda task, v=v: cue_effects(v) for v in (None, 3, {}, [], dict.fromkeys(SETS, 3), "own")],
        *[lambda task, v=v: places(*v) for v in ((0, 8, 3), (8, True, 3), (8, 8, "3"), (8, 8, 99))],
    ],
)
def test_cues_refuse_what_they_cannot_use(call, tiny):
    with pytest.raises(BadInput) as error:
        call(tiny)
    assert "tensor([" not in sentence(error)
