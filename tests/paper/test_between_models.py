"""N1 on made lines: what it reads, what it supports, and that its models are used nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from made_worlds import Shape, World, walk

import mcutils as mc
from mcutils.cli.stores import planned
from mcutils.engine import study as module
from mcutils.engine.specs import MetricSpec, OriginalSpec, ProfileSpec, RetrainedSpec, UnlearnedSpec
from mcutils.errors import BadInput
from mcutils.measures.metrics import measure
from mcutils.measures.profiles import Profile
from mcutils.paper import between_models
from mcutils.paper.between_models import METHODS, ORIGINALS, RETRAINED, n1, nearer, place_of
from mcutils.settings import Plan

T = np.linspace(0, 1, 11)
NAME = "js_retrained_forget"
BOW = 4 * T * (1 - T)


def made(ends=(1.5, 1.6), originals=ORIGINALS, points=11):
    world, found = World(lambda labels: Shape(ends=ends), points=points), []
    for original in originals:
        for method in METHODS:
            one = walk(world, original=original, method=method, kind="linear", start=301, end=302)
            valid = one.profile.arrays["curve/loss_forget"] + 0.1 + np.abs(one.profile.t - 0.3)
            found.append(replace(one, profile=Profile({**one.profile.arrays, "metric/loss_valid": valid})))
    return found


def distances(walks, dip):
    """To five retrained models, which lie apart; less by ``dip`` bits in the middle."""
    rng = np.random.default_rng(0)
    rows = 0.1 + 0.02 * T - dip * BOW + 0.01 * np.arange(5)[:, None]
    return {(w.original, w.method): rows + 0.001 * rng.normal(size=(5, 1)) for w in walks}


def test_the_mean_of_two_is_compared_with_the_nearer_end():
    (one, *_) = made()
    rows = distances([one], 0.03)[one.original, one.method]
    mean = rows.mean(axis=0)
    assert nearer(one, rows) == pytest.approx(mean[5] - min(mean[0], mean[10]))
    assert nearer(one, rows) == pytest.approx(0.01 - 0.03)
    assert place_of(one, "chosen") == 3 and nearer(one, rows, "chosen") == pytest.approx(mean[3] - mean[0])


@pytest.mark.parametrize(("dip", "word"), [(0.03, "supported"), (0.0, "contradicted"), (0.01, "undecided")])
def test_words(dip, word):
    walks = made()
    assert n1(walks, distances(walks, dip)).verdict == word


@pytest.mark.parametrize("ends", [(0.9, 1.6), (1.6, 0.9), (0.8, 0.8), (0.3, 1.6)])
def test_ends_that_are_not_over_forgotten_are_no_cells(ends):
    walks = made(ends)
    found = n1(walks, distances(walks, 0.03))
    assert (found.verdict, found.n_cells) == ("undecided", 0)


def test_three_originals_and_copies_decide_nothing():
    few = made(originals=ORIGINALS[:3])
    assert n1(few, distances(few, 0.03)).verdict == "undecided"
    again = [*few, *(replace(w, original=203) for w in few if w.original == 202)]
    found = n1(again, distances(again, 0.03))
    assert found.verdict == "undecided" and found.notes[0].startswith("copies")


def test_a_line_without_a_middle_is_refused():
    (one, *_) = made(points=12)
    with pytest.raises(BadInput, match="t = 1/2"):
        place_of(one)
    with pytest.raises(BadInput, match="unknown place"):
        place_of(one, "best")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("n1"))
    return mc.study("smoke", store=folder, fresh=True, originals=2, methods=METHODS, refresh="weighted", points=11)


def models(specs):
    """All models below specs of profiles and metrics."""
    found = set()
    for one in specs:
        below = [one.trace, *(one.references if isinstance(one, MetricSpec) else (one.original, *one.retrained))]
        for trace in below:
            model = trace.model
            found |= {model.start, model.end, model.start.origin} if hasattr(model, "start") else {model}
    return found


def test_its_models_are_used_nowhere_else_and_it_is_planned_by_name_alone(study):
    specs = planned(["n1"], study)
    used = models(specs)
    count = {kind: sum(isinstance(one, kind) for one in used) for kind in (OriginalSpec, RetrainedSpec, UnlearnedSpec)}
    assert list(count.values()) == [4, 4 * len(RETRAINED), 4 * len(METHODS) * 2]
    rest = [one for one in planned([], study) if isinstance(one, ProfileSpec) and not hasattr(one.trace.model, "start")]
    assert not used & {one.trace.model for one in rest}
    assert {(one.data.draw, one.seed) for one in used if isinstance(one, OriginalSpec)} == {(o, o) for o in ORIGINALS}
    assert not set(specs) & set(planned([], study))


def test_each_line_has_its_five_distances(study):
    for route in between_models.lines(study):
        profile = between_models.profile_of(study, route)
        rows = between_models.distances_of(profile)
        assert [one.references[0].model.seed for one in rows] == list(RETRAINED)
        assert {one.references[0].model.data.draw for one in rows} == {route.original}
        assert {one.trace for one in rows} == {profile.trace} and profile.trace.splits == ("retain", "forget", "valid")


def test_a_preset_without_originals_has_no_n1(study):
    plain = replace(study, preset=replace(study.preset, originals=0))
    with pytest.raises(BadInput, match="forget set each"):
        between_models.lines(plain)


def test_a_line_is_walked_with_its_distances(study, monkeypatch):
    """One of each, computed: the distances are those of the traces, and the validation loss is there."""
    monkeypatch.setattr(between_models, "ORIGINALS", ORIGINALS[:1])
    monkeypatch.setattr(between_models, "METHODS", METHODS[:1])
    monkeypatch.setattr(between_models, "RETRAINED", RETRAINED[:2])
    monkeypatch.setattr(module, "train_plan", lambda name: Plan(lr=1e-2, steps=60, batch_size=64))
    (one,), found = between_models.walk_lines(study)
    (rows,) = found.values()
    spec = between_models.profile_of(study, between_models.lines(study)[0])
    trace, *retrained = study.run([spec.trace, *spec.retrained])
    for row, other in zip(rows, retrained, strict=True):
        assert row == pytest.approx(measure(trace, [NAME], references={"retrained": other})[NAME])
    assert one.original == 200 and place_of(one, "chosen") in range(11) and np.isfinite(nearer(one, rows))
