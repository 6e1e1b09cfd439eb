"""Every row of the ledger finds the walks of the routes, by the labels that these really carry."""

from dataclasses import replace

import numpy as np
import pytest
from made_worlds import Shape, World, controlled, walk

import mcutils as mc
from mcutils.measures.originals import LEAST
from mcutils.measures.profiles import Profile
from mcutils.paper import between_models, trial_ledger, trials
from mcutils.paper.declared import FINE
from mcutils.paper.progress_and_retraining import CURVES, ORIGINALS, PAIRS as RETRAININGS
from mcutils.paper.registry import ROUTES
from mcutils.paper.trial_ledger import ROWS, experiments_of, judge_declared
from mcutils.paper.walks import AGAIN, ALIGNED, labels_of

METHODS = ("bad_teacher", "salun", "npo", "scrub")
ALL = 5
APART = (ORIGINALS, RETRAININGS, CURVES)
GAPS = {original: {"js_retrained_forget": 0.05, "zrf": 0.06, "accuracy_test": 0.1} for original in range(ALL)}
USE = {(o, m): 0.1 * k + 0.01 * o for o in range(ALL) for k, m in enumerate(METHODS)}
DISTANCES = {
    (o, m): np.linspace(0.1, 0.2, FINE)[None] for o in between_models.ORIGINALS for m in between_models.METHODS
}
RELIANCE = {original: 0.5 for original in range(4)}


def shape(labels) -> Shape:
    """Lines between models trained apart have a barrier, all else dips a little."""
    if labels["condition"] in APART and labels["kind"] == "linear":
        return Shape(rise=5.0)
    return Shape(dip=0.3 if labels["form"] == "cue" else 0.02)


def validated(one):
    """The walk with a validation loss, which lines of N1 hold."""
    loss = one.profile.arrays["curve/loss_forget"] - 0.1
    return replace(one, profile=Profile({**one.profile.arrays, "metric/loss_valid": loss}))


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Made walks with exactly the labels of the routes of a study of originals."""
    folder = str(tmp_path_factory.mktemp("rows"))
    changes = {"originals": ALL, "methods": METHODS, "points": FINE, "refresh": "weighted", "crossed": 0.1}
    study = mc.study("smoke", store=folder, fresh=True, **changes)
    world, known = World(controlled(shape)), {}

    def walk_of(route):
        labels = labels_of(route)
        name = tuple(labels.values())
        if name not in known:  # what several experiments hold is one walk
            known[name] = validated(walk(world, **labels))
        return known[name]

    routes = {**ROUTES, "n1": between_models.lines}
    return {name: [walk_of(route) for route in made(study)] for name, made in routes.items()}


@pytest.fixture(scope="module")
def judged(walked):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "DRAWS", 0)
        return {
            one.row.name: one
            for one in judge_declared(walked, gaps=GAPS, use=USE, reliance=RELIANCE, distances=DISTANCES, splits=0)
        }


# The other rows read numbers beside walks, which their rooms' tests make.
OF_WALKS = {*ROUTES, trial_ledger.BETWEEN, trial_ledger.CUED}


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.test and OF_WALKS.issuperset(row.on)])
def test_a_row_finds_its_cells(name, judged):
    found = judged[name].found
    assert found, "not run"
    for one in found.values():
        assert one.n_originals >= LEAST and one.n_cells >= one.n_originals
        assert np.isfinite(one.effect).all()
        assert not [note for note in one.notes if note.startswith(("control", "copies")) or "are left" in note]


def test_what_has_a_cue_stands_apart_with_the_controls(walked):
    there = experiments_of(walked)
    cued = there["05_methods, with a cue"]
    assert {w.form for w in cued if not w.control} == {"cue"} and [w for w in cued if w.control]
    assert not [w for w in there["05_methods"] if w.form == "cue"]
    plain = {name: [w for w in walks if w.form != "cue"] for name, walks in walked.items()}
    assert "05_methods, with a cue" not in experiments_of(plain)


def test_a_row_that_lacks_what_it_needs_is_not_run(walked):
    judged = {one.row.name: one for one in judge_declared({"05_methods": walked["05_methods"]}, use=USE, splits=0)}
    assert not judged["M1"].found and judged["C8"].found and not judged["C10"].found


@pytest.mark.parametrize("plan", [Shape(dip=0.9), Shape(ends=(0.02, 0.02)), Shape(rise=3.0, kept=0.5)])
def test_what_stands_aside_changes_no_row(plan, walked, judged, monkeypatch):
    """Whatever a second pair, a second draw, an original trained otherwise or an aligned end shows, controls too."""
    monkeypatch.setattr(trials, "DRAWS", 0)
    made = World(lambda labels: plan, points=FINE, seed=5)
    forms = [*AGAIN, "trained with superloss", "trained with sophia_g", f"{ALIGNED} weights"]
    other = {
        name: [w for w in walks if not w.aside]
        + [
            walk(made, **{**labels_of(w), "form": form})
            for w in walks
            if w.method == "npo" and not (w.control or w.form)
            for form in forms
        ]
        + [walk(made, **{**labels_of(w), "form": f"{ALIGNED} weights"}) for w in walks if w.control]
        for name, walks in walked.items()
    }
    assert all(one.aside for walks in other.values() for one in walks if one.form in forms)
    given = {"gaps": GAPS, "use": USE, "reliance": RELIANCE, "distances": DISTANCES}
    again = {one.row.name: one for one in judge_declared(other, **given, splits=0)}
    assert again.keys() == judged.keys()
    for name, one in judged.items():
        assert repr(again[name].found) == repr(one.found), name
