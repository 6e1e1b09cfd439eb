"""What the ledger reads beside walks: use of a cue, computed on a tiny study, and the metrics that tell."""

import pytest

import mcutils as mc
from mcutils.engine import study as module
from mcutils.measures.metrics import METRICS
from mcutils.paper import method_pairs, metrics_along
from mcutils.settings import Plan

CHANGES = {"originals": 2, "seeds": [42, 87], "methods": ["npo", "finetune"], "points": 3, "bootstrap": 5}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A study of two originals whose models take a second each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "train_plan", lambda name: Plan(lr=1e-2, steps=60, batch_size=64))
        folder = str(tmp_path_factory.mktemp("two") / "store")
        yield mc.study("smoke", store=folder, fresh=True, refresh="weighted", crossed=0.25, **CHANGES)


def test_use_of_a_cue_is_that_of_the_ends_of_the_lines_of_each_original(two):
    use, reliance = method_pairs.cue_measures(two)
    assert set(use) == {(o, m) for o in (0, 1) for m in CHANGES["methods"]} and set(reliance) == {0, 1}
    for (original, method), value in use.items():
        found = two.store.get(method_pairs.cued(two, None, original)[method, "forgetting"])["forget/reliance"]
        assert (found[0], found[-1]) == (reliance[original], value)
    assert len({*use.values(), *reliance.values()}) > 3  # different models
    ends = {r.path.start.origin.seed: r.original for r in method_pairs.cued_lines(two)}
    assert ends == {0: 0, 1: 1}


def test_metrics_that_tell_are_those_of_each_original_above_the_least_gap(two, monkeypatch):
    plain = dict.fromkeys(METRICS, 0.0)
    near, again = {**plain, "accuracy_forget": 0.9, "zrf": 0.049}, [0.79, 0.81]
    own = {
        0: {**near, "accuracy_test": 0.3},  # spread out as far
        1: {**near, "zrf": 0.051, "UA": 0.5, "loss_forget": 2.0, "accuracy_forget": 0.81},
    }
    retrained = [{**plain, "accuracy_forget": v, "accuracy_test": v - 0.8, "zrf": (v - 0.8) / 100} for v in again]
    wide = [{**one, "accuracy_test": 30 * one["accuracy_test"]} for one in retrained]
    monkeypatch.setattr(metrics_along, "all_levels", lambda study: {one: (found, wide) for one, found in own.items()})
    gaps = metrics_along.telling(two)
    assert set(gaps) == {0, 1}
    assert gaps[0] == pytest.approx({"accuracy_forget": 0.1}) and gaps[1] == pytest.approx({"zrf": 0.051})
