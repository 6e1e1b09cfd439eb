"""Phi of shadows and membership along traces: computed, checked, kept and priced like any other result."""

from dataclasses import replace

import numpy as np
import pytest

from mcutils.data.shadows import SHARE, held
from mcutils.engine.planning import plan, size
from mcutils.engine.runs import run
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    MembershipSpec,
    OriginalSpec,
    PhiSpec,
    RetrainedSpec,
    TraceSpec,
    UnlearnedSpec,
    plain,
)
from mcutils.engine.store import Store
from mcutils.measures.membership import confidence_logit, population_attacks
from mcutils.measures.shadow_pool import rmia_along
from mcutils.measures.svc_attack import svc_along
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import trace

PLAN = Plan(lr=0.01, steps=3, batch_size=64)
DATA = DataSpec("digits", 240, 60, shadow=1)
ORIGINAL = OriginalSpec(DATA, "convnet", 2, 0, PLAN)
ENDS = [UnlearnedSpec(ORIGINAL, SHARE, "finetune", "none", "adamw", seed, MethodSettings(PLAN)) for seed in (1, 2)]
LINE = CurveSpec(*ENDS, SHARE)
RETRAINED = [RetrainedSpec(DATA, SHARE, "convnet", 2, seed, PLAN) for seed in (5, 6)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def test_phi_is_that_of_the_model_s_logits_on_all_targets(store):
    specs = [PhiSpec(one, SHARE, weighted=True) for one in (ORIGINAL, ENDS[0], RETRAINED[0])]
    found = run([*specs, PhiSpec(LINE, SHARE, 3, weighted=True)], store, engine="serial")
    task = DATA.task(SHARE)
    splits = ("forget_targets", "keep_targets", "valid")
    sizes = [len(task.index[split]) for split in splits]
    seen = replace(task, splits=(*splits, "retain", "test"))
    for one, model in zip(found, (ORIGINAL, ENDS[0], RETRAINED[0]), strict=False):
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
    assert len(task.index["forget_targets"]) == held(replace(DATA, shadow=None).task(0.1), "forget", 2).shape[1]


def test_phi_of_a_model_that_is_no_shadow_s_is_of_its_own_splits(store):
    plain_original = replace(ORIGINAL, data=replace(DATA, shadow=None))
    (found,) = run([PhiSpec(plain_original, 0.1)], store, engine="serial")
    assert {name.partition("/")[2] for name in found if name.startswith("phi/")} == {"retain", "forget", "valid"}


@pytest.mark.parametrize("references", [(), RETRAINED])
def test_membership_is_all_attacks_on_the_trace(store, references):
    asked = TraceSpec(LINE, SHARE, 2)
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
    four, plain_trace = run([TraceSpec(ENDS[0], SHARE, bits=4), TraceSpec(ENDS[0], SHARE)], store, engine="serial")
    assert four.meta["bits"] == "4" and "bits" not in plain_trace.meta
    assert not np.array_equal(four.logits["test"], plain_trace.logits["test"])
    (fine,) = run([TraceSpec(ENDS[0], SHARE, bits=16)], store, engine="serial")
    np.testing.assert_allclose(fine.logits["test"], plain_trace.logits["test"], atol=0.02)


def test_what_is_no_phi_or_membership_is_refused():
    check = PhiSpec(ORIGINAL, SHARE).check
    good = {"accuracy/retain": np.ones(1), "accuracy/test": np.ones(1)}
    good |= {"phi/valid": np.ones((1, 4), np.float16), "right/valid": np.ones((1, 4), bool)}
    assert check(good) == ""
    assert check({}) == "it holds no phi"
    assert "right/valid" in check({**good, "right/valid": np.ones((1, 3), bool)})
    assert "phi/valid" in check({**good, "phi/valid": np.ones((2, 4), np.float16)})
    assert "accuracy/test" in check({**good, "accuracy/test": np.ones(2)})
    check = MembershipSpec(TraceSpec(LINE, SHARE, 2)).check
    assert check({"svc/threshold": np.ones(2)}) == ""
    assert check({}) and check({"what": np.ones(2)}) and check({"svc/x": np.ones(3)})


def test_plans_price_the_pool_and_its_size_is_near_what_is_written(store, tmp_path):
    spec = PhiSpec(ENDS[0], SHARE, weighted=True)
    rows = {row["kind"]: row for row in plan([spec], Store(tmp_path / "empty"))}
    assert rows.keys() == {"Original", "Unlearned", "PhiOf"} and rows["PhiOf"]["to compute"] == 1
    run([spec], store, engine="serial")
    (file,) = [one for one in store.folder.glob("phiof-*.npz") if one.stat().st_size and _is(one, spec)]
    assert 0.3 < size(plain(spec)) / file.stat().st_size < 3


def _is(file, spec):
    from mcutils.engine.specs import key

    return file.stem == key(spec)
