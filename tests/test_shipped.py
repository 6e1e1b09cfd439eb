"""Shipped results are sound, complete, small, and what the code beside them computes."""

import re

import numpy as np
import pytest

import mcutils as mc
from mcutils.cli.reproduce import SHIPPED
from mcutils.engine.runs import compute
from mcutils.engine.specs import CurveSpec, kind_of
from mcutils.engine.store import Store, versions
from mcutils.engine.upkeep import verify
from mcutils.files import ROOT
from mcutils.measures.metrics import accuracy, mean_loss
from mcutils.measures.readings import READINGS
from mcutils.paper.experiments import quickstart, shipped
from mcutils.paper.registry import EXPERIMENTS, PRICED_APART
from mcutils.traces import Trace
from mcutils.weights import flatten

LIMIT = 40e6  # bytes of data/ in all
# What another processor or library version may change: accuracies (shares) and mean losses (nats) of a model that was
# trained anew; logits of the same weights, and whatever is computed from the same logits, as floats may differ.
RETRAINED = {"accuracy": 0.03, "loss": 0.1}
READ_LATER = re.compile(
    rf"level/|original/|half/|known/|metric/(right_between|known_again)_|(measure|replicates)/\w+_({'|'.join(READINGS)})$"
)
SAME_WEIGHTS = 0.02


@pytest.fixture(scope="module")
def study():
    return mc.study("laptop", store=str(ROOT / "build" / "never-made"))


@pytest.fixture(scope="module")
def layer():
    return Store(SHIPPED)


def same_machine(store, spec):
    """Whether a result was made with the libraries and on the processor of this run: bits must then agree."""
    made = store.provenance(spec)["versions"]
    return all(made.get(name) == version for name, version in versions().items() if name != "python")


def scores(trace):
    splits = trace.logits
    return {f"{f.__name__}/{s}": f(trace, s) for f in (accuracy, mean_loss) for s in splits}


def test_every_shipped_result_is_sound():
    assert verify(SHIPPED) == {}


def test_all_that_the_notebooks_need_is_there(study, layer):
    for name in sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")):
        missing = [spec for spec in (EXPERIMENTS | PRICED_APART)[name](study) if spec not in layer]
        assert not missing, f"{name} lacks {len(missing)} results, of kinds {sorted(set(map(kind_of, missing)))}"
    assert all(spec in layer for spec in shipped(study))


def test_what_ships_is_small():
    assert sum(path.stat().st_size for path in (ROOT / "data").rglob("*") if path.is_file()) <= LIMIT


def test_shipped_profiles_follow_from_shipped_traces(study, layer):
    profiles = [p for p in quickstart(study) if isinstance(p.trace.model, CurveSpec)]
    assert len(profiles) == 2
    for spec in profiles:
        kept, found = layer.get(spec).arrays, compute(spec, layer).arrays
        # Those computed since hold more: levels of the retrained models, other readings, images known again.
        assert kept.keys() <= found.keys()
        assert all(READ_LATER.match(name) for name in found.keys() - kept.keys())
        # Sums may differ in their last bits even between processors of one name.
        near = {"rtol": 1e-12, "atol": 1e-13} if same_machine(layer, spec) else {"rtol": 1e-4, "atol": 1e-6}
        for name in kept.keys() - {"seconds", "collapsed"}:
            np.testing.assert_allclose(found[name], kept[name], **near, err_msg=name)


@pytest.mark.parametrize("which", ["original", "unlearned"])
def test_a_shipped_trace_is_that_of_the_shipped_model(study, layer, which):
    model = study.original() if which == "original" else study.unlearned(study.preset.quickstart_method, 42)
    spec = study.trace(model)
    kept, found = layer.get(spec), compute(spec, layer)
    assert isinstance(kept, Trace)
    for split, values in kept.logits.items():
        if same_machine(layer, spec):
            assert np.array_equal(found.logits[split], values)
        difference = np.abs(found.logits[split].astype(np.float64) - values.astype(np.float64))
        assert difference.mean() < SAME_WEIGHTS


def test_a_shipped_endpoint_comes_out_again(study, layer):
    spec = study.unlearned(study.preset.quickstart_method, 42)
    kept, found = layer.get(spec), compute(spec, layer)
    if same_machine(layer, spec):
        assert flatten(found.weights).equal(flatten(kept.weights))
    was, now = (scores(mc.trace(e, study.task, 1)) for e in (kept, found))
    for name, value in was.items():
        allowed = RETRAINED["accuracy" if name.startswith("accuracy") else "loss"]
        assert np.abs(now[name] - value).max() <= allowed, name
