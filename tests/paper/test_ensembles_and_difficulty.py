"""11 and 12: what they need, and tables that hold the results of their own specs, by numbers made of these specs."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from worlds import Answers, Shape, profile

from mcutils.data.shadows import held, targets
from mcutils.engine.specs import AlignedSpec, RelearnSpec, TraceSpec
from mcutils.measures.alignment import MATCHINGS
from mcutils.measures.profiles import Profile
from mcutils.paper import difficulty, ensembles, experiments as e
from mcutils.paper.inclusion import APART

SHORT = 11  # points of a coarse line


def number_of(model):
    """A number that tells models apart: of a path that of its start; else by original, method and seed."""
    model = getattr(model, "start", model)
    origin = getattr(model, "origin", model)
    original = getattr(origin, "data", origin).draw
    return original + len(getattr(model, "method", "")) / 100 + getattr(model, "seed", 0) / 1e5


def test_11_keeps_small_results_only_each_once_and_its_lines_are_those_of_02(laptop):
    specs = ensembles.needs(laptop)
    assert len(specs) == len(set(specs)) and not {type(one) for one in specs} & {RelearnSpec, TraceSpec}
    theirs = {route.profile(laptop) for route in e.seeds(laptop)}
    assert {route.profile(laptop) for route in ensembles.routes(laptop)} <= theirs


def test_ensembles_and_sharpness_stand_under_the_original_and_method_of_their_models(laptop):
    def answer(spec):
        if hasattr(spec, "models"):
            return {"uniform/2/accuracy/test": number_of(spec.models[0].model), "uniform/2/entropy/test": 9.0}
        return {"rise": np.full(3, number_of(spec.model)), "top": [1.0, 3.0]}

    table = ensembles.ensembles(Answers(laptop, answer))
    fit = len(laptop.preset.fit)
    counts = {"lines": 8 * fit, "twins": 8, "outside": 2 * fit * 4, "retrained": 8 + 3, "beyond": 2 * 4, "seeds": 3 * 2}
    assert Counter(table.role) == counts | {"several": fit} and set(table.metric) == {"accuracy_test"}
    assert set(table.members) == {2} and set(table.placement) == {"uniform"}
    for row in table[table.role.isin(["lines", "twins", "outside", "seeds"])].itertuples():
        assert row.value == pytest.approx(row.original + len(row.method) / 100 + 42e-5), row
    assert set(table.what[table.role == "outside"]) == set(ensembles.OUTSIDE)
    assert (
        set(table.what[table.role == "retrained"]) == {"2", "5"}
        and (table.original[table.role == "several"] == -1).all()
    )
    sharp = ensembles.sharpness(Answers(laptop, answer)).set_index(["original", "method", "place", "what"]).value
    assert len(sharp) == 8 * 3 * 3 * 2 and set(sharp.xs("top", level="what")) == {2.0}
    for place, seed in (("start", 42e-5), ("end", 87e-5), ("mean", 42e-5)):
        assert sharp[5, "npo", place, "rise"] == pytest.approx(5.03 + seed)


def test_attacked_models_stand_under_their_names(laptop):
    def answer(spec):
        told = [number_of(one.model) + one.place for one in spec.models]
        rows = np.add.outer(told, [0.0, 0.5])  # after 0 and 10 steps
        names = ("accuracy/forget", "accuracy/valid", "accuracy/retain", "loss/valid")
        return {**dict.fromkeys(names, rows), "steps": np.array([0, 10])} | (
            {"together/accuracy": np.array([0.25, 0.75])} if spec.together else {}
        )

    table = ensembles.attacked(Answers(laptop, answer))
    late = table[(table.step == 10) & (table.member >= 0)]
    known = late[late.role == "models"]
    assert len(known) == 8 * 17 and set(known.model) >= {"scrub 87", "barrier_reward 42"}
    for row in known.itertuples():
        method, seed = row.model.split()
        assert row.accuracy_forget == pytest.approx(row.original + len(method) / 100 + int(seed) / 1e5 + 0.5)
    line = late[(late.role == "lines") & (late.original == 3) & (late.method == "npo")]
    assert line.accuracy_valid.to_numpy() == pytest.approx(3.03 + 42e-5 + 0.5 + np.arange(SHORT))
    assert set(table.accuracy_forget[(table.member == -1) & (table.step == 0)]) == {0.25}
    assert set(late.model[late.role == "grid"]) == {*laptop.preset.fit, "retrained", "retrained, same init"}


def test_predictors_are_distances_and_barriers_of_each_policy_by_each_reading(laptop):
    bumps, gap = {"none": 0.2, "interpolated": 0.5}, profile(0, Shape(), np.random.default_rng(0)).gap

    def answer(spec):
        if hasattr(spec, "metric"):
            return {"values": np.array([0.1, bumps[spec.trace.batchnorm], 0.3]).repeat([5, 1, 5])}
        made = profile(0, Shape(rise=0.5), np.random.default_rng(0), SHORT)
        return Profile({**made.arrays, "geometry/distance": np.float64(number_of(spec.trace.model.end))})

    table = ensembles.predictors(Answers(laptop, answer))
    place = ["original", "method", "seed", "predictor", "reading"]
    found = table.set_index(place).sort_index().value.loc[2, "scrub", 87]
    assert found["distance", "chord"] == pytest.approx(2.05 + 87e-5)
    assert found["refreshed", "chord"] == pytest.approx(0.5)
    assert found["interpolated", "chord"] == pytest.approx(0.3 / gap)  # 0.5 above the chord's 0.2
    assert found["interpolated", "worse_end"] == pytest.approx(0.2 / gap)
    assert found["start's", "chord"] == pytest.approx(0.1 * 0.8 / gap)  # at t = 0.6, where the end's level begins
    assert len(table) == 8 * 17 * (1 + 3 * 5)


# 12


def test_targets_are_told_by_who_held_them_and_by_how_originals_learned(smoke):
    rng, task = np.random.default_rng(0), smoke.data.task(smoke.preset.forget)
    rows, who = targets(task)["forget"], held(task, "forget", 6)
    right = rng.random(who.shape) < 0.5
    pool = [{"right/forget_targets": one[None]} for one in right]
    every = np.sort(np.asarray(task.index["train"]))
    learned = [{"rows": every, "confidence": rng.random(len(every))} for _ in range(4)]
    found = difficulty.targets_of(smoke, pool, learned)
    assert np.array_equal(found.rows, rows)
    for k in (0, 7, len(rows) - 1):
        inside, outside = right[who[:, k], k], right[~who[:, k], k]
        assert found.memorisation[k] == pytest.approx(inside.mean() - outside.mean())
        sure = np.mean([one["confidence"][list(every).index(rows[k])] for one in learned])
        assert found.learned["confidence"][k] == pytest.approx(sure) == -found.scores["confidence"][k]
    grades = difficulty.graded(found, difficulty.size_of(smoke))
    assert set(grades) == set(difficulty.GRADINGS) and {len(v) for one in grades.values() for v in one.values()} == {72}
    low, high = (np.isin(rows, grades["memorisation"][name]) for name in ("low", "high"))
    assert found.memorisation[low].max() <= np.quantile(found.memorisation, 1 / 3) + 1e-9
    assert found.memorisation[high].min() >= np.quantile(found.memorisation, 2 / 3) - 1e-9
    assert difficulty.stored_targets(smoke) is None
    lines = difficulty.graded_lines(smoke, grades)
    forms = [difficulty.form_of(grading, grade) for grading, sets in grades.items() for grade in sets]
    assert Counter(r.form for r in lines) == dict.fromkeys(forms, len(difficulty.methods_of(smoke)))
    for route in lines:
        grading, grade = difficulty.set_of(route.form)
        assert set(route.path.start.data.scenario.rows) == set(grades[grading][grade].tolist())


def test_a_class_is_forgotten_on_each_original_another_and_merging_has_five_retrained_models(laptop):
    routes = difficulty.class_lines(laptop)
    assert {(r.original, r.path.start.data.scenario.label) for r in routes} == {(o, o) for o in range(4)}
    assert len(routes) == 4 * 6 and {r.form for r in routes} == {"class"}
    assert {r.retrained for r in difficulty.merging(laptop)} == {(42, 87, 601, 602, 603)}
    assert len(difficulty.merging(laptop)) == 4 * 15


def test_wiggles_are_those_of_the_forget_loss_in_nats():
    one = profile(0, Shape(dip=0.5, ends=(1.0, 1.5)), np.random.default_rng(0), SHORT)
    v, found = one.arrays["curve/loss_forget"], difficulty.wiggles(one)
    assert found["lost"] == pytest.approx((v[0] + v[-1]) / 2 - one.arrays["original/loss_forget"])
    assert found["variation"] == pytest.approx(np.abs(np.diff(v)).sum() - abs(v[-1] - v[0]))
    assert found["roughness"] == pytest.approx(np.mean((np.diff(v, 2) * 100) ** 2))
    assert found["persistence"] == pytest.approx(v[0] - v.min())  # the lower side of the dip, down to its bottom


def test_every_line_is_aligned_to_its_own_start_and_stands_aside(laptop):
    raw, aligned, fit = difficulty.raw(laptop), difficulty.aligned(laptop), len(laptop.preset.fit)
    lines = [one for one in raw if one.kind == "linear"]
    per = {"two originals": 8, "two retrained models": 8, "unlearned and retrained": 4}
    per |= {"every method and retrained": 3 * fit, "unlearned from two originals": 8}
    per |= {"every method and retrained, same init": 3 * fit, "two retrained models, same init": 3}
    assert Counter(map(difficulty.what_of, lines)) == per and set(per) == set(difficulty.JOINED)
    assert Counter(one.form for one in aligned) == {f"aligned by {by}": len(lines) for by in MATCHINGS}
    ends = {(one.path.start, one.path.end) for one in lines}
    for one in aligned:
        end = one.path.end
        assert one.aside and (end.to, one.path.kind) == (one.path.start, "linear") and (end.to, end.model) in ends
    known = {r.profile(laptop) for made in (e.methods, e.progress) for r in made(laptop)}
    assert {one.profile(laptop) for one in raw} <= known and not [one for one in raw if one.aside]
    assert {one.control for one in raw if difficulty.what_of(one) == "unlearned from two originals"} == {APART}


def test_widths_are_trained_alike_and_their_barriers_are_in_nats(laptop, smoke, monkeypatch):
    assert difficulty.widths(laptop) == (16, 32, 64) and difficulty.widths(smoke) == (8, 16, 32)
    fixed = replace(laptop, preset=replace(laptop.preset, model="resnet18", width=64))
    assert difficulty.widths(fixed) == (64,), "a network of one width"

    class Moved:
        moved = 0.25

    def answer(spec):
        if isinstance(spec, AlignedSpec):
            return Moved
        return {"values": np.array([0.0, 2.0, spec.trace.model.start.width, 1.0, 1.0])}

    monkeypatch.setattr(type(laptop), "run", lambda self, specs: list(map(answer, specs)))
    found = difficulty.permutations(laptop)
    assert Counter(found["widths"].width) == dict.fromkeys((16, 32, 64), 4 * 3)
    assert (found["widths"].barrier == found["widths"].width - 0.5).all()  # its chord is 1/2 in the middle
    assert len(found["moved"]) == 8 * 6 * len(MATCHINGS) and set(found["moved"].moved) == {0.25}
    plans = {one.trace.model.start.plan.steps for one in difficulty.across(laptop).values()}
    assert plans == {laptop.original(0).plan.steps // 4}
