"""Specs: equal ones have one key, a change at any depth another, and what cannot be computed is refused."""

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch

from mcutils.data.cues import SETS
from mcutils.data.scenarios import Scenario
from mcutils.data.shadows import SHARE, shadowed
from mcutils.engine import specs
from mcutils.engine.forms import misnamed
from mcutils.engine.specs import (
    VERSIONS,
    AlignedSpec,
    AlikeSpec,
    CueUseSpec,
    CurveSpec,
    DataSpec,
    EnsembleSpec,
    FitSpec,
    HardnessSpec,
    LearningSpec,
    MembershipSpec,
    OriginalSpec,
    OutcomeSpec,
    PhiSpec,
    PlaneSpec,
    ProbeSpec,
    ProfileSpec,
    RegainedSpec,
    RelearnSpec,
    RetrainedSpec,
    SharpnessSpec,
    TraceSpec,
    TrajectorySpec,
    UnlearnedSpec,
    UntrainedSpec,
    is_line,
    key,
    key_of,
    kind_of,
    metric_of,
    plain,
)
from mcutils.engine.specs.data import evaluated
from mcutils.errors import BadInput
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.relearning import Attack

DATA = DataSpec("digits", 240, 60, "0123456789abcdef", 0.1)
PLAN = Plan(lr=0.01, steps=30, batch_size=64, options=(("betas", (0.9, 0.999)),))
SETTINGS = MethodSettings(PLAN, (("beta", 0.1),), (("lam", 1.5),))
ORIGINAL = OriginalSpec(DATA, "convnet", 4, 0, PLAN)
RETRAINED = RetrainedSpec(DATA, 0.1, "convnet", 4, 42, PLAN)
PLAIN = replace(ORIGINAL, data=replace(DATA, cue=0.0))
UNTRAINED = UntrainedSpec(DATA, "convnet", 4, 0)
UNLEARNED = UnlearnedSpec(ORIGINAL, 0.1, "npo", "none", "adamw", 42, SETTINGS)
PATH = CurveSpec(UNLEARNED, replace(UNLEARNED, seed=87), 0.1, "bezier", 1, "corrected", 0, PLAN, "scrub", SETTINGS)
TRACE = TraceSpec(PATH, 0.1, 5)
PROFILE = ProfileSpec(TRACE, TraceSpec(ORIGINAL, 0.1), (TraceSpec(RETRAINED, 0.1),), TraceSpec(UNTRAINED, 0.1), 50)
METRIC = metric_of(PROFILE, "js_retrained_forget")
ALIKE = AlikeSpec((UNLEARNED, ORIGINAL, RETRAINED), ORIGINAL, 0.1, rows=20)
CUE_USE = CueUseSpec(PATH, 0.1, 5)
ALIGNED = AlignedSpec(RETRAINED, UNLEARNED, 0.1)
LINE = CurveSpec(UNLEARNED, replace(UNLEARNED, seed=87), 0.1)
TRAJECTORY = TrajectorySpec(UNLEARNED, (0, 1, 4, 30))
PLANE = PlaneSpec((UNLEARNED, ORIGINAL, RETRAINED), 0.1, 7, 20)
FIT = FitSpec(PATH)
PHI = PhiSpec(PATH, 0.1, 3)
MEMBERSHIP = MembershipSpec(TRACE, (TraceSpec(RETRAINED, 0.1),))
ENSEMBLE = EnsembleSpec((TRACE,), (2, 3), ("uniform",))
ATTACK = Attack("forgotten", 10)
RELEARNED = RelearnSpec(PATH, 0.1, ATTACK, PLAN, 1, 1, 3)
REGAINED = RegainedSpec((RELEARNED,), (0,))
SHARPNESS = SharpnessSpec(PATH, 0.1, 0, 3, 20)
LEARNING, HARDNESS, PROBE = LearningSpec(ORIGINAL), HardnessSpec(ORIGINAL, 0.1, 4, 20), ProbeSpec(PATH, 0.1, 3, 5, 50)
WAY, AGAIN = TraceSpec(TRAJECTORY, 0.1, 4), replace(RELEARNED, seed=9)
OUTCOME = OutcomeSpec(TRACE, WAY, TraceSpec(ORIGINAL, 0.1), (TraceSpec(RETRAINED, 0.1),), RELEARNED, (AGAIN,))
RESULTS = (
    *(ORIGINAL, RETRAINED, UNTRAINED, UNLEARNED, PATH, TRACE, PROFILE, METRIC, ALIKE, CUE_USE, PLANE, TRAJECTORY),
    *(PHI, MEMBERSHIP, FIT, ENSEMBLE, RELEARNED, REGAINED, SHARPNESS, ALIGNED, LEARNING, HARDNESS, PROBE, OUTCOME),
)
SAMPLES = (DATA, PLAN, SETTINGS, ATTACK, *RESULTS)

# Another allowed value of every field, no two alike; `test_every_kind_and_field_is_tried` fails without it.
SEED, FORGET, OTHER_PLAN = {"seed": 7}, {"forget": 0.2}, {"plan": replace(PLAN, lr=0.03)}
NETWORK = {"data": replace(DATA, train_size=100), "model": "convnet_gn", "width": 8, **SEED, "weighted": True}
OTHER = {
    "Data": {"dataset": "fashion-mnist", "train_size": 120, "test_size": 30, "checksum": "fedcba9876543210"}
    | {"cue": 0.05, "draw": 3, "crossed": 0.3, "shadow": 2, "scenario": Scenario("class", label=3)},
    "Plan": {"optimizer": "sgd", "lr": 0.02, "steps": 31, "batch_size": 32, "forget_batch_size": 16}
    | {"weight_decay": 0.1, "schedule": "cosine", "clip": 1.0, "options": ()},
    "MethodSettings": {**OTHER_PLAN, "options": (("beta", 0.2),), "curriculum_options": ()},
    "Original": {**NETWORK, **OTHER_PLAN, "curriculum": "superloss_authors", "first": 6},
    "Retrained": {**NETWORK, **FORGET, **OTHER_PLAN, "init": 5},
    "Untrained": NETWORK,
    "Unlearned": {"origin": RETRAINED, **FORGET, "method": "scrub", "curriculum": "superloss", "optimizer": "soul"}
    | {**SEED, "settings": MethodSettings(PLAN)},
    "Aligned": {"model": ORIGINAL, "to": RETRAINED, **FORGET, "by": "activations"},
    "Path": {"start": ORIGINAL, "end": RETRAINED, **FORGET, "kind": "chain", "control_points": 2, "recipe": "authors"}
    | {**SEED, **OTHER_PLAN, "method": "npo", "settings": MethodSettings(PLAN)},
    "TraceOf": {"model": replace(PATH, seed=8), **FORGET, "points": 7, "batchnorm": "none", "shown": "own"}
    | {"weighted": True, "splits": ("retain", "forget"), "bits": 4, "outside": "blur"},
    "Profile": {"trace": TraceSpec(PATH, 0.1, 9), "original": TraceSpec(ORIGINAL, 0.3), "retrained": ()}
    | {"random": TraceSpec(UNTRAINED, 0.3), "bootstrap": 51, "half": True},
    "Alike": {"models": (ORIGINAL, UNLEARNED, RETRAINED), "origin": replace(ORIGINAL, seed=9), **FORGET}
    | {"split": "valid", "rows": 30, "measures": ("js",), "weighted": True},
    "MetricOf": {"trace": replace(TRACE, points=9), "metric": "kl_retrained_forget"}
    | {"references": (replace(PROFILE.random, forget=0.2),)},
    "CueUse": {"model": replace(PATH, seed=9), **FORGET, "points": 7, "weighted": True},
    "PhiOf": {"model": replace(PATH, seed=11), **FORGET, "points": 5, "weighted": True},
    "EnsembleOf": {"models": (TraceSpec(PATH, 0.1, 9),), "sizes": (2,), "placements": ("inner",)},
    "Attack": {"data": "lookalikes", "examples": 50, "rate": 0.1, "steps": 30, "epochs": 10, "mixing": "shuffled"},
    "RelearnOf": {"model": replace(PATH, seed=12), **FORGET, "attack": Attack(), "training": replace(PLAN, lr=0.03)}
    | {**SEED, "place": 2, "points": 5, "weighted": True},
    "RegainedOf": {"models": (replace(RELEARNED, seed=3), RELEARNED), "together": ()},
    "SharpnessOf": {"model": replace(PATH, seed=13), **FORGET, **SEED, "directions": 5, "rows": 30, "weighted": True},
    "LearningOf": {"model": replace(ORIGINAL, seed=8)},
    "HardnessOf": {"model": replace(ORIGINAL, seed=9), **FORGET, "examples": 5, "rows": 30},
    "ProbeOf": {"model": replace(PATH, seed=14), **FORGET, "label": 4, "points": 7, "rows": 30, "weighted": True},
    "OutcomeOf": {"trace": TraceSpec(PATH, 0.1, 11), "way": TraceSpec(replace(TRAJECTORY, steps=(0, 2, 30)), 0.1, 3)}
    | {"retrained": (TraceSpec(replace(RETRAINED, seed=9), 0.1),), "controls": (replace(RELEARNED, seed=10),)}
    | {"attacked": replace(RELEARNED, seed=5), "original": TraceSpec(replace(ORIGINAL, seed=11), 0.1)},
    "MembershipOf": {"trace": TraceSpec(PATH, 0.1, 9), "retrained": ()},
    "FitOf": {"model": replace(PATH, seed=9)},
    "Trajectory": {"endpoint": replace(UNLEARNED, seed=9), "steps": (0, 2, 30)},
    "PlaneOf": {"models": (ORIGINAL, UNLEARNED, RETRAINED), **FORGET, "resolution": 9, "rows": 30, "weighted": True},
}


@pytest.fixture
def forgotten():
    """Keys as a new process would compute them, before and after the test."""
    key.cache_clear()
    yield key.cache_clear
    key.cache_clear()


def kinds(spec):
    """Kinds of a spec and of all that it is made from, or runs as."""
    runs_as = [spec.endpoint] if isinstance(spec, TrajectorySpec) else []
    runs_as += [spec.model] if isinstance(spec, LearningSpec) else []  # which it trains anew
    return {kind_of(spec)}.union(*map(kinds, [*spec.parents(), *runs_as]))


def changes(value, where=""):
    """(where, changed copy) for each field at any depth; None where the spec refuses the change."""
    for f in fields(value):
        place, now = f"{where}.{f.name}", getattr(value, f.name)
        inner = [(place, OTHER[kind_of(value)][f.name])]
        if is_dataclass(now):
            inner += changes(now, place)
        elif isinstance(now, tuple) and now and is_dataclass(now[0]):
            inner += [(p, (v, *now[1:]) if v else None) for p, v in changes(now[0], f"{place}[0]")]
        for deeper, new in inner:
            try:
                yield deeper, None if new is None else replace(value, **{f.name: new})
            except BadInput:
                yield deeper, None


def test_every_kind_and_field_is_tried():
    assert set(VERSIONS) == {kind_of(s) for s in RESULTS}
    assert {kind_of(s): {f.name for f in fields(s)} for s in SAMPLES} == {k: set(v) for k, v in OTHER.items()}


@pytest.mark.parametrize(
    ("sample", "field"), [pytest.param(s, f.name, id=f"{kind_of(s)}.{f.name}") for s in SAMPLES for f in fields(s)]
)
def test_every_field_is_part_of_the_key(sample, field):
    other = replace(sample, **{field: OTHER[kind_of(sample)][field]})
    assert other != sample
    assert key(other) != key(sample)


@pytest.mark.parametrize("sample", RESULTS, ids=kind_of)
def test_a_change_at_any_depth_gives_another_key(sample):
    keys, refused = [key(sample)], []
    for where, changed in changes(sample):
        if changed is None:
            refused.append(where)
        else:
            assert key(changed) not in keys, f"{where} does not change the key, or as another field does"
            keys.append(key(changed))
    # Refused is only what cannot be: ends on different data, a model at several points, a curve at one, references of
    # another draw or of fewer splits than the trace, a last snapshot before or after the last step, and a trajectory
    # traced at other points than its snapshots.
    at_once = r"\.(original|random|(retrained|references)\[0\])\.(points|model)"
    ways = r"\.way\.(points|model|model\.steps)|(\.way\.model)?\.endpoint.*\.plan\.steps"
    allowed = re.compile(rf".*\.(start|end)\..*data.*|{at_once}|.*\.data\.draw|.*\.splits|{ways}")
    assert [where for where in refused if not allowed.fullmatch(where)] == []


def test_the_data_of_both_ends_are_part_of_a_path_s_key():
    def on(data):
        start = replace(UNLEARNED, origin=replace(ORIGINAL, data=data))
        return replace(PATH, start=start, end=replace(start, seed=87))

    assert on(DATA) == PATH
    keys = {key(on(replace(DATA, **{f: v}))) for f, v in OTHER["Data"].items()}
    assert len(keys) == len(OTHER["Data"]) and key(PATH) not in keys


def drawn(spec, draw):
    """The same result on another draw of the forget set."""
    origin = getattr(spec, "origin", None)
    if origin is not None and not isinstance(spec, CurveSpec):
        return replace(spec, origin=drawn(origin, draw))
    return replace(spec, data=replace(spec.data, draw=draw))


def test_a_path_may_join_two_draws_only_as_a_line():
    other = drawn(replace(UNLEARNED, seed=87), 2)
    assert replace(LINE, end=other).data.draw == 0 and replace(LINE, start=other).data.draw == 2
    assert key(replace(LINE, end=other)) != key(LINE) != key(replace(LINE, start=other))
    with pytest.raises(BadInput, match="of draw 0, but its end unlearned another, of draw 2: only a straight line"):
        replace(PATH, end=other)
    both = replace(PATH, start=drawn(UNLEARNED, 2), end=other)
    assert both.data.draw == 2
    originals = ORIGINAL, drawn(ORIGINAL, 3)
    assert replace(PATH, start=originals[0], end=originals[1]).data.draw == 0


def test_a_profile_is_measured_against_references_of_its_draw_on_its_splits():
    single = [TraceSpec(model, 0.1) for model in (UNLEARNED, ORIGINAL, RETRAINED, UNTRAINED)]
    moved = [TraceSpec(drawn(model, 4), 0.1) for model in (UNLEARNED, ORIGINAL, RETRAINED, UNTRAINED)]

    def made(trace, original, retrained, random):
        return ProfileSpec(trace, original, (retrained,), random, 50)

    assert key(made(*single)) != key(made(*moved))
    for k in range(4):
        mixed = [moved[i] if i == k else one for i, one in enumerate(single)]
        with pytest.raises(
            BadInput, match="a trace of draw [04] of the forget set .* against a reference of draw [04]"
        ):
            made(*mixed)
        few = [replace(one, splits=("retain",)) if i == k else one for i, one in enumerate(single)]
        with pytest.raises(
            BadInput, match="a profile is of retain and forget" if k == 0 else "a reference lacks the forget"
        ):
            made(*few)
    cut = replace(single[0], splits=["forget", "retain"])
    assert made(cut, *single[1:]).trace.splits == ("retain", "forget")
    with pytest.raises(BadInput, match="metric 'TA' reads the test split, but the trace holds retain, forget"):
        metric_of(made(cut, *single[1:]), "TA")
    with pytest.raises(BadInput, match="against a reference of draw 4"):
        replace(METRIC, references=(moved[2],))
    with pytest.raises(BadInput, match="belong to different draws"):
        replace(ALIKE, models=(UNLEARNED, drawn(UNLEARNED, 1)))


def test_splits_have_one_name_and_all_of_them_are_the_default():
    assert key(replace(TRACE, splits=("test", "retain", "valid", "forget"))) == key(TRACE)
    assert key(replace(TRACE, splits=("forget", "retain", "forget"))) == key(
        replace(TRACE, splits=("retain", "forget"))
    )
    for splits, says in ((("train",), "unknown split 'train'"), ("forget", "splits must be a list")):
        with pytest.raises(BadInput, match=says):
            replace(TRACE, splits=splits)


def test_what_is_at_its_default_is_in_no_description():
    text = json.dumps([plain(spec) for spec in RESULTS if spec is not PROBE])  # which is younger and tells all
    assert not any(
        f'"{name}"' in text for name in ("draw", "weighted", "splits", "shadow", "bits", "scenario", "outside")
    )


@pytest.mark.parametrize("sample", RESULTS, ids=kind_of)
def test_equal_specs_have_one_key(sample, forgotten):
    first = key(sample)
    rebuilt = replace(sample)
    forgotten()
    assert rebuilt == sample and rebuilt is not sample
    assert key(rebuilt) == first


@pytest.mark.parametrize(
    ("whole", "same"),
    [
        (Plan(lr=1, weight_decay=0, clip=2), Plan(lr=1.0, weight_decay=0.0, clip=2.0)),
        (MethodSettings(PLAN, (("msteps", 4),)), MethodSettings(PLAN, (("msteps", 4.0),))),
    ],
)
def test_a_whole_number_and_the_equal_float_are_one_key(whole, same, forgotten):
    assert whole == same
    first = key(whole)
    forgotten()  # otherwise the cache, which goes by equality, would hide a difference
    assert key(same) == first


def test_keys_are_these():
    # Shipped results are found by their keys, on every machine: a change of any of these orphans data/store,
    # and should be made by raising a version. They are SHA-256 of JSON text: no platform or library matters.
    assert [key(s) for s in RESULTS] == [
        "original-61a9fb80cfe1d8d797ce",
        "retrained-6a882db61bf35ab5b630",
        "untrained-0107122e2e68a7427586",
        "unlearned-cb7049e8bf1beaa6fb71",
        "path-37eb150b83c88d4b023c",
        "traceof-57fdf1b395ec44c18d5d",
        "profile-2168d595b80701dbb882",
        "metricof-191764e4b153bc4f9216",
        "alike-b9034b34278f91521924",
        "cueuse-a9398981760894d79622",
        "planeof-65d8aee74c80a28d2de0",
        "trajectory-0e14cde602e04866e2ae",
        "phiof-2130ba57a06653469c5d",
        "membershipof-68ad02a041a33166c6df",
        "fitof-e7d6871314d40bbb9980",
        "ensembleof-e86400f327653b67c085",
        "relearnof-d539b0495db0a1634759",
        "regainedof-8795a39828d8e05b0345",
        "sharpnessof-9582f63fbf8ce8ec1f14",
        "aligned-d8641182564fabe9eddb",
        "learningof-136c35b810f8a2e3922c",
        "hardnessof-cae50a2d1bab32a72e88",
        "probeof-4c6be81af4a4dbb8e517",
        "outcomeof-c75fe4b78486643c9145",
    ]


@pytest.mark.parametrize("kind", VERSIONS)
def test_a_new_version_renames_what_is_made_with_it_and_nothing_else(kind, forgotten, monkeypatch):
    before = {s: key(s) for s in RESULTS}
    monkeypatch.setitem(specs.VERSIONS, kind, VERSIONS[kind] + 1)
    forgotten()
    changed = {s for s in RESULTS if key(s) != before[s]}
    assert changed == {s for s in RESULTS if kind in kinds(s)}
    assert changed


@pytest.mark.parametrize("sample", RESULTS, ids=kind_of)
def test_a_key_is_that_of_the_written_spec(sample):
    assert key_of(json.loads(json.dumps(plain(sample)))) == key(sample)


@pytest.mark.parametrize("sample", RESULTS, ids=kind_of)
def test_a_written_spec_describes_its_result(sample):
    """Also one whose plan has an option that is a list."""
    note = {"key": key(sample), "spec": json.loads(json.dumps(plain(sample)))}
    assert misnamed(Path(f"{key(sample)}.npz"), note) == ""


def test_no_setting_hides_the_kind_of_a_spec():
    assert plain(PATH)["spec"] == "Path" and plain(PATH)["kind"] == "bezier"


def test_a_spec_is_plain_json_and_frozen():
    table = json.loads(json.dumps(plain(PROFILE)))
    assert table == plain(PROFILE)
    assert table["trace"]["model"]["start"]["origin"]["data"]["checksum"] == DATA.checksum
    assert all(word not in json.dumps(table) for word in ("NaN", "Infinity", "object at"))
    with pytest.raises(FrozenInstanceError):
        PROFILE.bootstrap = 1


def test_keys_are_file_names():
    names = [key(s) for s in RESULTS]
    assert [n.split("-")[0] for n in names] == [kind_of(s).lower() for s in RESULTS]
    assert all(n.replace("-", "").isalnum() and n == n.lower() for n in names)


PARENTS = {
    **dict.fromkeys((ORIGINAL, RETRAINED, UNTRAINED), ()),
    **{UNLEARNED: (ORIGINAL,), PATH: (PATH.start, PATH.end), TRACE: (PATH,), FIT: (PATH,), TRAJECTORY: (ORIGINAL,)},
    PROFILE: (TRACE, PROFILE.original, *PROFILE.retrained, PROFILE.random),
    ALIKE: (*ALIKE.models, *(TraceSpec(m, 0.1) for m in ALIKE.models), ORIGINAL),
    CUE_USE: tuple(TraceSpec(PATH, 0.1, 5, shown=name) for name in SETS),
    **{PLANE: PLANE.models, ENSEMBLE: (TRACE,), RELEARNED: (PATH,), SHARPNESS: (PATH,), PHI: (PATH,)},
    **{ALIGNED: (RETRAINED, UNLEARNED), MEMBERSHIP: (TRACE, *MEMBERSHIP.retrained)},
    **{LEARNING: (), REGAINED: (RELEARNED,), METRIC: (TRACE, *METRIC.references), HARDNESS: (ORIGINAL,)},
    **{PROBE: (PATH,), OUTCOME: (TRACE, WAY, OUTCOME.original, *OUTCOME.retrained, RELEARNED, AGAIN)},
}


def test_parents_are_what_a_result_reads():
    assert {one: one.parents() for one in RESULTS} == PARENTS
    assert list(CUE_USE.traces) == list(SETS) and CUE_USE.traces["own"].shown == "own"


def test_only_a_straight_path_is_a_line():
    assert is_line(CurveSpec(UNLEARNED, ORIGINAL, 0.1))
    assert not any(map(is_line, RESULTS))


def test_what_is_trained_is_weights_and_all_else_is_arrays():
    trained = [ORIGINAL, RETRAINED, UNTRAINED, UNLEARNED, PATH, TRAJECTORY]
    assert [s for s in RESULTS if s.form.suffix == ".safetensors"] == trained
    assert {s.form.suffix for s in RESULTS} == {".npz", ".safetensors"}


REFUSED = {
    "method": (lambda: replace(UNLEARNED, method="wish"), "unknown method 'wish': choose one of retrain, "),
    "curriculum": (lambda: replace(UNLEARNED, curriculum="easy"), "unknown curriculum 'easy': choose one of none, "),
    "optimizer": (lambda: replace(UNLEARNED, optimizer="adam"), "unknown optimi[sz]er 'adam': choose one of "),
    "curve": (lambda: replace(PATH, kind="spline"), "unknown curve 'spline': choose one of linear, bezier, chain"),
    "recipe": (lambda: replace(PATH, recipe="ours"), "unknown recipe 'ours': choose one of corrected, authors"),
    "no recipe": (lambda: replace(PATH, recipe=""), "unknown recipe ''"),
    "no plan": (lambda: replace(PATH, plan=None), "a bezier path needs a plan and at least 1 control point"),
    "no control point": (lambda: replace(PATH, control_points=0), "at least 1 control point, got 0"),
    "policy": (lambda: replace(TRACE, batchnorm="test"), "unknown BatchNorm policy 'test': choose one of none, "),
    "a curve at 1 point": (lambda: replace(TRACE, points=1), "2 points or more and a model at 1, got 1"),
    "a model at 5 points": (lambda: TraceSpec(ORIGINAL, 0.1, 5), "2 points or more and a model at 1, got 5"),
    "a model at no point": (lambda: TraceSpec(ORIGINAL, 0.1, 0), "points must be a whole number of at least 1, got 0"),
    "nothing to forget": (lambda: replace(UNLEARNED, forget=0.0), "forget must be a share between 0 and 1, got 0.0"),
    "everything to forget": (lambda: replace(RETRAINED, forget=1), "forget must be a share between 0 and 1, got 1"),
    "a seed that is no number": (lambda: replace(UNLEARNED, seed="42"), "seed must be a whole number .*, got '42'"),
    "a seed below 0": (lambda: replace(ORIGINAL, seed=-1), "seed must be a whole number from 0 to .*, got -1"),
    "initial weights": (lambda: replace(RETRAINED, init=0.5), "init must be a whole number from 0 .*, got 0.5"),
    "no width": (lambda: replace(ORIGINAL, width=0), "width must be a whole number of at least 1, got 0"),
    "model": (lambda: replace(ORIGINAL, model="vgg"), "unknown model 'vgg': choose one of convnet, "),
    "all cued": (lambda: replace(DATA, cue=1), "cue must be a share between 0 and 1, 0 allowed, got 1"),
    "objective": (lambda: replace(PATH, method="wish"), "unknown method 'wish'"),
    "objective without settings": (lambda: replace(PATH, settings=None), "the objective of scrub needs that method's"),
    "settings without objective": (lambda: replace(PATH, method=""), "the objective of no method needs"),
    "counterfactual set": (lambda: replace(TRACE, shown="all"), "unknown counterfactual set 'all': choose one of none"),
    "a set without a cue": (
        lambda: TraceSpec(PLAIN, 0.1, shown="own"),
        "the set 'own' is of data with a cue, but these carry none",
    ),
    "cue use without a cue": (
        lambda: replace(CUE_USE, model=CurveSpec(PLAIN, PLAIN, 0.1)).parents(),
        "the set 'none' is of data with a cue, but these carry none",
    ),
    "cue use at 1 point": (lambda: replace(CUE_USE, points=1).parents(), "2 points or more and a model at 1, got 1"),
    "one model alike": (lambda: replace(ALIKE, models=(ORIGINAL,)), "compared two at least at a time, got 1"),
    "alike on a split": (lambda: replace(ALIKE, split="train"), "unknown split 'train': choose one of retain, "),
    "no rows": (lambda: replace(ALIKE, rows=0), "rows must be a whole number of at least 1, got 0"),
    "a trajectory that ends early": (
        lambda: replace(TRAJECTORY, steps=(0, 4)),
        "must increase from 0 to the last one, 30, got",
    ),
    "a trajectory of no steps": (
        lambda: TrajectorySpec(replace(UNLEARNED, method="ssd", settings=MethodSettings(Plan(steps=0))), (0,)),
        "a run of no steps, as that of an edit",
    ),
    "a trajectory at 5 points": (lambda: TraceSpec(TRAJECTORY, 0.1, 5), "traced at its 4 snapshots, got 5 points"),
    "one bit": (lambda: replace(TRACE, bits=1), "bits, 0 or must be a whole number from 2 to 16, got 1"),
    "phi of a model at 3 points": (lambda: PhiSpec(ORIGINAL, 0.1, 3), "2 points or more and a model at 1, got 3"),
    "membership without validation": (
        lambda: MembershipSpec(replace(TRACE, splits=("retain", "forget", "test"))),
        "but the trace lacks valid",
    ),
    "a path as reference of RMIA": (lambda: replace(MEMBERSHIP, retrained=(TRACE,)), "a trace of 5 points"),
    "a fit of a line": (lambda: FitSpec(LINE), "a straight line is not fitted"),
    "a plane of two": (lambda: replace(PLANE, models=(ORIGINAL, RETRAINED)), "goes through three models, got 2"),
    "a plane of a line": (lambda: replace(PLANE, models=(UNLEARNED, LINE, RETRAINED)), "needs exactly one"),
    "a plane of one point": (lambda: replace(PLANE, resolution=1), "resolution must be a whole number of at least 2"),
    "ends on other data": (
        lambda: replace(PATH, end=replace(ORIGINAL, data=replace(DATA, train_size=120))),
        "the ends of a path were trained on different data",
    ),
    "dataset": (lambda: DataSpec("mnist"), "'mnist'"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_computed_is_refused(make, message):
    with pytest.raises(BadInput, match=message):
        make()


def test_the_task_of_a_shadow_is_its_own_and_costs_as_much_as_it_holds():
    data = DataSpec("digits", 240, 60, shadow=3)
    task, plain_task = data.task(SHARE), replace(data, shadow=None).task(0.1)
    expected = shadowed(plain_task, 3)
    assert all(torch.equal(task.index[name], rows) for name, rows in expected.index.items())
    assert task.x is plain_task.x and data.pool is task
    seen = sum(len(rows) for rows in task.evaluation.values())
    assert evaluated(plain(data), SHARE) == seen
    with pytest.raises(BadInput, match=r"a shadow forgets 24 of 180 examples, a share of 0.1333, not 0.1"):
        data.task(0.1)
    for other in (replace(data, cue=0.1), replace(data, draw=2)):
        with pytest.raises(BadInput, match="without a cue, and of draw 0"):
            other.task(SHARE)


def test_data_carry_the_checksum_of_what_is_loaded(tiny):
    data = DataSpec("digits", 240, 60)
    assert data.checksum == tiny.checksum == data.task(0.2).checksum
    assert len(data.task(0.2).index["forget"]) > len(tiny.index["forget"])


def test_a_share_crossed_is_of_images_with_a_cue():
    with pytest.raises(BadInput, match=r"crossed is a share of the images with a cue, got 0.2 where none has one"):
        DataSpec("digits", 240, 60, crossed=0.2)
    plain, crossed = (DataSpec("digits", 240, 60, cue=0.1, crossed=share).task(0.1) for share in (0.0, 0.2))
    moved = (plain.x != crossed.x).flatten(1).any(dim=1)
    assert set(moved.nonzero().flatten().tolist()) <= set(plain.index["cued"].tolist()) and moved.any()


def test_a_cue_is_never_left_in_the_retain_set():
    data = DataSpec("digits", 240, 60, cue=0.2)
    with pytest.raises(BadInput, match="forgetting 0.1 of the pool leaves cues in D_r: 0.2 of it carries them"):
        data.task(0.1)
    task = data.task(0.3)
    assert set(task.index["cued"].tolist()) < set(task.index["forget"].tolist())
    assert len(task.index["cued"]) == len(data.task(0.2).index["forget"])


@pytest.mark.parametrize("cue", [0.0, 0.05, 0.2])
def test_what_is_trained_on_the_pool_sees_the_same_images_whatever_is_forgotten(cue):
    data = DataSpec("digits", 240, 60, cue=cue)
    pool, other = data.pool, data.task(0.4)
    assert torch.equal(pool.x, other.x) and torch.equal(pool.y, other.y)
    assert all(torch.equal(pool.index[name], other.index[name]) for name in ("train", "valid", "test"))


def test_a_spec_is_never_computed_on_other_data_than_it_names():
    with pytest.raises(BadInput, match="the spec is of digits with checksum 0123456789abcdef, but here it is"):
        DATA.task(0.1)


def test_equal_arguments_give_one_spec_and_alike_ones_are_still_checked():
    assert replace(ORIGINAL, seed=5) is replace(ORIGINAL, seed=5)
    for seed in (True, 1.0, -1):  # 1 == 1.0 == True, to a cache
        assert replace(ORIGINAL, seed=1).seed == 1
        with pytest.raises(BadInput, match="^seed must be a whole number"):
            replace(ORIGINAL, seed=seed)
    traced = TraceSpec(CurveSpec(UNLEARNED, UNLEARNED, 0.1), 0.1, 3)
    assert EnsembleSpec((traced,), (1, 3)).sizes == (1, 3)
    with pytest.raises(BadInput, match="must be a whole number"):
        EnsembleSpec((traced,), (True, 3))


def test_a_spec_from_another_process_is_equal_and_is_found():
    code = (
        "import pickle, sys; one = pickle.load(sys.stdin.buffer); hash(one); sys.stdout.buffer.write(pickle.dumps(one))"
    )
    hash(ORIGINAL)
    ran = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(ORIGINAL), stdout=subprocess.PIPE, check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )  # fmt: skip
    found = pickle.loads(ran.stdout)
    assert found == ORIGINAL and found in {ORIGINAL} and key(found) == key(ORIGINAL)
