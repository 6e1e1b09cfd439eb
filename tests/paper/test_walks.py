"""Walks: which pairs are joined, what the controls are, and a walk's numbers in units of the gap."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import RING, SEEDS, walk

import mcutils as mc
from mcutils.engine.conditions import CONDITIONS
from mcutils.engine.specs import is_line
from mcutils.errors import BadInput
from mcutils.measures.profiles import Profile
from mcutils.measures.readings import READINGS
from mcutils.paper import walks as walks_module
from mcutils.paper.walks import (
    APART,
    TWIN,
    TWINNED,
    Route,
    Walk,
    coarse,
    condition_routes,
    control_routes,
    independent,
    independent_pairs,
    references,
    ring,
    ring_pairs,
    walk_all,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Specs of a small study; nothing is computed."""
    folder = str(tmp_path_factory.mktemp("walks") / "store")
    changes = {"seeds": [42, 87, 21], "methods": ["npo", "salun"], "points": 3, "pairs": 2}
    return mc.study("smoke", store=folder, fresh=True, **changes)


# Pairs


def test_a_ring_joins_each_seed_to_two_others():
    pairs = ring(SEEDS)
    assert pairs == list(RING)
    ends = [seed for pair in pairs for seed in pair]
    assert {seed: ends.count(seed) for seed in SEEDS} == dict.fromkeys(SEEDS, 2)
    assert len({frozenset(pair) for pair in pairs}) == len(SEEDS)


def test_small_rings_and_the_first_few_pairs():
    assert ring((42, 87)) == [(42, 87)]
    assert ring((42, 87, 21)) == [(42, 87), (87, 21), (21, 42)]
    assert ring(SEEDS, 2) == [(42, 87), (87, 21)]
    assert ring(SEEDS, 0) == ring(SEEDS, 99) == ring(SEEDS)


@pytest.mark.parametrize("pairs", [ring, independent])
@pytest.mark.parametrize("seeds", [(), (42,), (42, 42), (42, 87, 42)])
def test_a_pair_needs_two_seeds(pairs, seeds):
    with pytest.raises(BadInput, match="two different seeds or more"):
        pairs(seeds)


def test_a_second_original_has_the_first_pair_again(study):
    assert ring_pairs(study) == [(0, 42, 87), (0, 87, 21), (1, 42, 87)]
    every = SimpleNamespace(seeds=SEEDS, preset=SimpleNamespace(pairs=0, originals=0))
    assert ring_pairs(every) == [*((0, *pair) for pair in RING), (1, 42, 87)]


@pytest.mark.parametrize("seeds", [(42, 87), (42, 87, 21), SEEDS, tuple(range(8))])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_independent_pairs_have_no_endpoint_in_common(seeds, count):
    pairs = independent(seeds, count)
    ends = [(original, seed) for original, *both in pairs for seed in both]
    assert len(pairs) == count and len(set(ends)) == 2 * count
    assert all(start in seeds and end in seeds for _, start, end in pairs)
    originals = [original for original, _, _ in pairs]
    assert originals == sorted(originals) and originals[-1] == (count - 1) // (len(seeds) // 2)


def test_independent_pairs_are_taken_from_few_originals():
    assert independent((42, 87)) == [(0, 42, 87), (1, 42, 87), (2, 42, 87)]
    assert independent(SEEDS) == [(0, 42, 87), (0, 21, 100), (1, 42, 87)]
    assert independent(range(6)) == [(0, 0, 1), (0, 2, 3), (0, 4, 5)]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Specs of a study of four originals with a forget set each; nothing is computed."""
    folder = str(tmp_path_factory.mktemp("own") / "store")
    changes = {"seeds": [42, 87, 21, 5], "methods": ["npo", "salun"], "points": 13, "pairs": 2, "originals": 4}
    return mc.study("smoke", store=folder, fresh=True, **changes)


def test_originals_with_a_forget_set_each_have_one_pair_each(own, study):
    every = [(0, 42, 87), (1, 42, 87), (2, 42, 87), (3, 42, 87)]
    assert ring_pairs(own) == independent_pairs(own) == every
    assert independent_pairs(own, 2) == every[:2]
    assert independent_pairs(study) == independent((42, 87, 21)) and independent_pairs(study, 1) == [(0, 42, 87)]
    with pytest.raises(BadInput, match="has 4 original models with a pair each, but 5 pairs are asked for"):
        independent_pairs(own, 5)


def test_their_walks_are_traced_on_less_where_they_are_coarse(own, study):
    contexts = [("npo",)]
    shown, judged = (condition_routes(own, "random", contexts, ring_pairs(own), points=k) for k in (0, coarse(own)))
    for route in shown:
        found = route.profile(own)
        assert (found.trace.points, found.trace.held) == (13, ("retain", "forget", "valid", "test"))
    for route in judged:
        found = route.profile(own)
        assert (found.trace.points, found.trace.held) == (11, ("retain", "forget"))
        assert all(one.splits == () for one in (found.original, *found.retrained, found.random))
    for route in condition_routes(study, "random", contexts, ring_pairs(study), points=2):
        assert route.profile(study).trace.splits == ()


def test_each_walk_has_the_references_of_its_original(own):
    routes = condition_routes(own, "random", [("npo",)], ring_pairs(own))
    for route in routes:
        found, k = route.profile(own), route.original
        assert {one.model.data.draw for one in (found.trace, found.original, *found.retrained, found.random)} == {k}
        assert found.original.model == own.original(k) == route.path.start.origin
        assert [one.model for one in found.retrained] == [own.retrained(s, original=k) for s in own.seeds]
    assert len({one for r in routes for one in r.profile(own).retrained}) == 4 * 4


def test_the_control_between_initialisations_joins_two_draws_and_is_walked_on_the_first(own):
    apart, twin = control_routes(own, ["npo"])
    assert (apart.path.start.data.draw, apart.path.end.data.draw, apart.path.data.draw) == (0, 1, 0)
    assert {one.model.data.draw for one in apart.profile(own).retrained} == {0}
    assert twin.path.start == twin.path.end.origin


def test_references_are_those_of_every_original(own, study):
    assert [one.trace.model for one in references(own)] == [
        model for k in range(4) for model in (own.original(k), *(own.retrained(s, original=k) for s in own.seeds))
    ]
    assert [one.trace.model for one in references(study)] == [study.original(), *map(study.retrained, study.seeds)]


# Routes


def labels(route):
    """What a route says of itself, without its path."""
    return {f.name: getattr(route, f.name) for f in fields(Route) if f.name != "path"}


def test_a_route_of_each_kind_joins_each_pair_of_each_method(study):
    pairs = [(0, 42, 87), (0, 87, 21), (1, 42, 87)]
    routes = condition_routes(study, "random", [("npo",), ("salun",)], pairs)
    assert [(r.method, r.kind, r.original, r.start, r.end) for r in routes] == [
        (method, kind, *pair) for method in ("npo", "salun") for pair in pairs for kind in ("linear", "bezier")
    ]
    for r in routes:
        original = study.original(r.original)
        ends = [study.unlearned(r.method, seed, origin=original) for seed in (r.start, r.end)]
        assert r.path == study.path(*ends, r.kind)
        assert is_line(r.path) == (r.kind == "linear")
        assert (r.control, r.condition, r.other, r.size, r.form) == ("", "random", "", 0, "")
        assert (r.points, r.batchnorm, r.retrained) == (0, "", None)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_s_route_has_its_ends(condition, study):
    about = CONDITIONS[condition]
    names = ("npo", "salun")[: about.methods]
    (route,) = condition_routes(study, condition, [names], [(1, 42, 21)], ("linear",), points=2)
    expected = study.ends(condition, names, (42, 21), original=1)
    assert (route.path.start, route.path.end) == expected
    assert (route.method, route.other, route.condition, route.points) == (names[0], "".join(names[1:]), condition, 2)
    assert (route.original, route.start, route.end) == (1, 42, 21)
    for end, spec in zip((about.start, about.end), expected, strict=True):
        assert spec.method == names[end.method]
        assert spec.curriculum == ("superloss" if end.curriculum else "none")
        assert spec.optimizer == ("sophia_g" if end.second_order else "adamw")
        assert spec.origin == study.original(1)


def test_a_condition_can_use_another_curriculum_and_optimiser(study):
    pairs = [(0, 42, 87)]
    (route,) = condition_routes(study, "cl-non_cl", [("npo",)], pairs, ("linear",), curriculum="superloss_authors")
    assert (route.path.start.curriculum, route.path.end.curriculum) == ("superloss_authors", "none")
    (route,) = condition_routes(study, "fo-so", [("npo",)], pairs, ("linear",), optimizer="soul")
    assert (route.path.start.optimizer, route.path.end.optimizer) == ("adamw", "soul")


def test_a_condition_wants_as_many_methods_as_it_joins(study):
    with pytest.raises(BadInput, match="random takes 1 method"):
        condition_routes(study, "random", [("npo", "salun")], [(0, 42, 87)])
    with pytest.raises(BadInput, match="unknown condition 'seed'"):
        condition_routes(study, "seed", [("npo",)], [(0, 42, 87)])


def test_a_route_s_profile_is_traced_as_it_says(study):
    (route,) = condition_routes(study, "random", [("npo",)], [(0, 42, 87)], ("bezier",))
    assert route.profile(study) == study.profile(route.path)
    assert route.profile(study).trace.points == 3
    other = replace(route, points=2, batchnorm="none", retrained=(87,)).profile(study)
    assert (other.trace.points, other.trace.batchnorm) == (2, "none")
    assert other.trace.model == route.path
    assert [one.model for one in other.retrained] == [study.retrained(87)]
    assert [one.model.seed for one in route.profile(study).retrained] == [42, 87, 21]


# Controls


def test_the_negative_control_joins_two_initialisations(study):
    routes = [r for r in control_routes(study, ["npo", "salun"]) if r.control == APART]
    assert [r.path.start.method for r in routes] == ["npo", "salun"]
    for r in routes:
        assert (r.kind, r.start, r.end, r.name) == ("linear", 42, 87, r.control)
        start, end = r.path.start, r.path.end
        assert is_line(r.path)
        assert (start.origin, end.origin) == (study.original(0), study.original(1))
        assert start.origin.seed != end.origin.seed and start.settings == end.settings
        assert (start.method, start.seed, end.seed) == (end.method, 42, 87)


def test_the_positive_control_joins_an_endpoint_and_its_fine_tuned_twin(study):
    routes = [r for r in control_routes(study, ["npo", "salun"]) if r.control == TWINNED]
    assert [r.path.start for r in routes] == [study.unlearned(m, 42) for m in ("npo", "salun")]
    for r in routes:
        assert (r.kind, r.start, r.end, r.name) == ("linear", 42, 87, r.control)
        assert is_line(r.path)
        assert r.path.end.origin == r.path.start and r.path.end.method == "finetune"
        assert r.path.end.settings.plan == TWIN
    assert TWIN.steps == 50 and TWIN.lr <= 1e-4


def test_controls_need_two_seeds():
    with pytest.raises(BadInput, match="two different seeds"):
        control_routes(SimpleNamespace(seeds=(42,)), ["npo"])


# Walking


def test_routes_come_back_as_walks_in_order_with_their_labels(study):
    routes = condition_routes(study, "method", [("npo", "salun")], [(1, 42, 87)], points=2)
    routes += [replace(routes[0], full=True, points=0), *control_routes(study, ["npo"])]
    asked, known = [], [walk("x", 0.1 * k).profile for k in range(5)]

    def run(specs):
        asked.extend(specs)
        return known

    found = walk_all(SimpleNamespace(profile=study.profile, preset=study.preset, run=run), iter(routes))
    assert asked == [r.profile(study) for r in routes] and len(set(asked)) == 5
    assert [w.profile for w in found] == known
    for one, route in zip(found, routes, strict=True):
        said = {f.name: getattr(one, f.name) for f in fields(Walk) if f.name != "profile"}
        assert said.items() <= labels(route).items()
    assert [w.control for w in found] == [""] * 3 + [APART, TWINNED]
    assert [w.full for w in found] == [False, False, True, False, False]
    assert not study.store.folder.exists()  # nothing was computed


def test_a_walk_is_known_by_its_seeds_and_its_original():
    one, other = walk("npo"), walk("npo", original=1, other="salun")
    assert one.nodes == ("0/42", "0/87") and other.nodes == ("1/42", "1/87")
    assert (one.label, other.label) == ("npo", "npo - salun")


# Numbers


def test_a_walk_counts_in_units_of_the_gap():
    one = walk("npo", barrier=0.3, deficit=0.05, gap=4.0)
    assert one.profile.connectivity["barrier_retain"] == pytest.approx(1.2)
    assert (one.barrier, one.deficit, one.eps) == pytest.approx((0.3, 0.05, 0.3))
    for name, value in (("barrier", 0.3), ("deficit", 0.05)):
        assert one.replicates(name).shape == (60,)
        np.testing.assert_allclose(one.replicates(name), value, atol=0.01)
    with pytest.raises(BadInput, match="unknown measure 'literal': choose one of barrier, deficit"):
        one.replicates("literal")


def levelled(one, retain, forget):
    """A walk whose retrained models have these losses, and accuracies of 0.9."""
    levels = {"loss_retain": retain, "loss_forget": forget, "accuracy_retain": 0.9, "accuracy_forget": 0.9}
    return replace(one, profile=one.profile.with_levels({name: np.array([v]) for name, v in levels.items()}))


def test_a_walk_has_every_reading_in_units_of_the_gap():
    """Losses of 0.2 to 0.3 with a bump of 0.3 G up (retain) and 0.5 G down (forget) at t = 1/2; G = 2."""
    one = levelled(walk("npo", barrier=0.3, deficit=0.5, gap=2.0), 0.45, 0.05)
    known = {
        "chord": (0.3, 0.5),
        "floor": ((0.25 + 0.6 - 0.45) / 2, (0.05 - (0.25 - 1.0)) / 2),
        "worse_end": ((0.85 - 0.3) / 2, (0.2 + 0.75) / 2),
        "two_sided": (0.3, 0.5),
        "retrained": (0.3, (0.05 + 0.75) / 2),
    }
    assert set(known) == set(READINGS)
    for reading, (rise, dip) in known.items():
        assert (one.barrier_by(reading), one.deficit_by(reading)) == pytest.approx((rise, dip)), reading
        assert one.eps_by(reading) == pytest.approx(max(rise, dip))
        assert one.connected(max(rise, dip) + 1e-9, reading) and not one.connected(max(rise, dip) - 1e-9, reading)
    assert (one.barrier_by("chord"), one.deficit_by("chord"), one.eps_by("chord")) == (
        one.barrier,
        one.deficit,
        one.eps,
    )
    # Error rates, whatever G is: accuracies of 0.9 to 0.85 with a bump of 0.006 down and 0.01 up.
    assert one.barrier_by("chord", accuracy=True) == pytest.approx(0.006)
    assert one.deficit_by("two_sided", accuracy=True) == pytest.approx(0.01)
    assert one.eps_by("chord", accuracy=True) == pytest.approx(0.01)
    assert one.eps_by("retrained", accuracy=True) == pytest.approx(0.05)
    with pytest.raises(BadInput, match="keeps no replicates of the deficit by the reading 'floor'"):
        one.replicates("deficit", "floor")
    with pytest.raises(BadInput, match="the reading 'floor' needs the retrained models' levels"):
        walk("npo").deficit_by("floor")


def test_replicates_by_a_reading_are_those_kept():
    one = walk("npo", barrier=0.3, deficit=0.5, gap=2.0)
    kept = {"replicates/deficit_forget_floor": np.full(60, 1.0, np.float16)}
    kept |= {"replicates/barrier_retain_floor": np.linspace(0, 2, 60).astype(np.float16)}
    one = replace(one, profile=Profile({**one.profile.arrays, **kept}))
    np.testing.assert_array_equal(one.replicates("deficit", "floor"), 0.5)
    np.testing.assert_allclose(one.replicates("eps", "floor"), np.maximum(np.linspace(0, 1, 60), 0.5), rtol=1e-3)


def test_smoothness_of_a_walk_is_that_of_its_loss_counted_in_gaps():
    t, gap = np.linspace(0, 1, 21), 3.0
    one = walk("npo", gap=gap, t=t)
    curves = {"curve/loss_forget": 1 + 2 * gap * 4 * t * (1 - t), "curve/loss_retain": 0.5 * gap * t}
    one = replace(one, profile=Profile({**one.profile.arrays, **curves}))
    assert one.roughness == one.roughness_of("forget") == pytest.approx(16**2)  # it rises 2 G
    assert one.variation_of("forget") == pytest.approx(4) and one.roughness_of("retain") == pytest.approx(0, abs=1e-9)
    assert one.variation_of("retain") == 0
    with pytest.raises(BadInput, match="unknown curve 'loss_train'"):
        one.roughness_of("train")


@pytest.mark.parametrize(
    ("barrier", "deficit", "eps", "expected"),
    [
        (0.05, 0.05, 0.1, True),
        (0.1, 0.0, 0.1, True),
        (0.2, 0.0, 0.1, False),
        (0.0, 0.2, 0.1, False),
        (0.2, 0.2, 0.2, True),
        (float("nan"), 0.0, 0.1, False),
        (0.0, float("nan"), 0.1, False),
    ],
)
def test_connected_means_both_at_most_eps(barrier, deficit, eps, expected):
    assert walk("npo", barrier, deficit).connected(eps) is expected


@pytest.mark.parametrize(("barrier", "deficit"), [(0.3, 0.1), (0.1, 0.3), (0.25, 0.25), (0.0, 0.0)])
def test_eps_is_the_smallest_that_connects(barrier, deficit):
    one = walk("npo", barrier, deficit)
    assert one.eps == max(one.barrier, one.deficit)
    assert one.connected(one.eps) and (one.eps == 0 or not one.connected(one.eps - 1e-9))


def test_levels_are_those_of_models_retrained_without_the_forget_set_of_the_walk_s_original(study, monkeypatch):
    names = ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")

    def run(self, specs):
        assert [s.trace.model for s in specs] == [study.original(), *map(study.retrained, study.seeds)]
        return [Profile({f"metric/{n}": np.array([k + 0.1 * j]) for j, n in enumerate(names)}) for k in range(4)]

    monkeypatch.setattr(type(study), "run", run)
    one, other = walks_module.levelled(study, [walk("npo"), walk("npo", original=1)])
    for k, name in enumerate(names):
        np.testing.assert_allclose(one.profile.levels[name], np.arange(1, 4) + 0.1 * k)
    assert other.profile.levels.keys() == one.profile.levels.keys()  # both have forgotten the same set
    monkeypatch.setattr(type(study), "run", None)
    assert walks_module.levelled(study, [one])[0] is one  # nothing is read for a walk that has them
