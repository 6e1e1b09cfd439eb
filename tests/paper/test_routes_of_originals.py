"""Routes where originals have a forget set each: one result for its labels, and all that the declared tests read."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

import mcutils as mc
from mcutils.engine.specs import CurveSpec, key, kind_of
from mcutils.paper import method_pairs, progress_and_retraining
from mcutils.paper.admission import unlearned_ends
from mcutils.paper.declared import FINE
from mcutils.paper.metrics_along import ROOMS as ROOMS_OF_METRICS
from mcutils.paper.registry import ROUTES
from mcutils.paper.walks import AGAIN, APART, COARSE, RETRAINED, SECOND_PAIR, SOME, TWINNED, labels_of

METHODS = ("bad_teacher", "salun", "npo", "scrub")
ORIGINALS = (0, 1, 2, 3, 4)


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """A study of five originals with points enough for both grids; nothing is computed."""
    folder = str(tmp_path_factory.mktemp("five"))
    changes = {"originals": len(ORIGINALS), "methods": METHODS, "points": FINE, "refresh": "weighted", "crossed": 0.1}
    return mc.study("smoke", store=folder, fresh=True, **changes)


@pytest.fixture(scope="module")
def routes(five):
    return {name: made(five) for name, made in ROUTES.items()}


@pytest.fixture(scope="module")
def profiles(five, routes):
    """Each route by its labels, once, with the spec of its profile."""
    every = [(route, route.profile(five)) for some in routes.values() for route in some]
    return {tuple(labels_of(route).items()): (route, spec) for route, spec in every}


def found(profiles, **labels):
    """(method or both, kind) of the routes with these labels, by original; without controls unless they are named."""
    plain = {"control": "", "form": "", "recipe": "", "objective": "", "refit": False, "batchnorm": "", "full": False}
    wanted = {**plain, "size": 0.0, "init": "", **labels}
    made = {original: Counter() for original in ORIGINALS}
    for route, _ in profiles.values():
        if all(getattr(route, name) == value for name, value in wanted.items()):
            made[route.original][route.label, route.kind] += 1
    return made


def on(contexts, originals=ORIGINALS):
    return {original: Counter(contexts if original in originals else ()) for original in ORIGINALS}


def each(*kinds, methods=METHODS):
    return [(method, kind) for method in methods for kind in kinds]


BOTH, LINE, CURVE = each("linear", "bezier"), each("linear"), each("bezier")
PAIRS = [(f"{a} - {b}", "linear") for a, b in combinations(METHODS, 2)]
SAMPLED = [(f"{a} - {b}", "bezier") for a, b in combinations(METHODS, 2)]  # four methods have six pairs
FIRST, LEAST, KINDS = ORIGINALS[:SOME], ORIGINALS[:4], ("linear", "bezier")

# claim -> the labels of the walks that its declared test reads, and which there must be on each original
READ = {
    "C1, C2, C13, C21": [({"condition": "random"}, on(BOTH))],
    "C4": [
        ({"condition": "random", "size": size}, on(each("linear", methods=METHODS[:3]), (0, 1, 2, 3)))
        for size in (0.02, 0.04, 0.06, 0.08, 0.1)
    ],
    "C5, C6, C7": [({"condition": name}, on(BOTH)) for name in ("cl-non_cl", "fo-so")],
    "E4": [({"condition": name}, on(BOTH)) for name in ("random_in_cl", "random_in_so")],
    "C8": [({"condition": "method"}, on(PAIRS + SAMPLED))],
    "C9, C10, C11": [
        ({"condition": "method", "full": True}, on([(p, k) for p, _ in PAIRS for k in ("linear", "bezier")], FIRST)),
        *(({"condition": name, "full": True}, on(BOTH, FIRST)) for name in ("cl-non_cl", "fo-so")),
    ],
    "C12": [
        ({"condition": "random", "batchnorm": "none"}, {o: Counter(BOTH if o in FIRST else LINE) for o in ORIGINALS}),
        ({"condition": "random", "recipe": "authors"}, on(CURVE)),
        ({"condition": "random", "recipe": "authors", "batchnorm": "retain"}, on(CURVE)),
        ({"condition": "random", "refit": True}, on(CURVE)),
    ],
    "C15": [({"condition": "forgetting"}, on(LINE))],
    "C16": [
        ({"condition": "retraining", "init": "same init"}, on(LINE)),
        *(
            ({"condition": "retrained", "init": init, "control": RETRAINED}, on([("retrain", "linear")]))
            for init in ("same init", "other init")
        ),
    ],
    "C23": [({"condition": "random", "objective": "retain only"}, on(CURVE))],
    "M0": [
        ({"condition": "originals"}, on([("original", "linear"), ("original", "bezier")])),
        ({"condition": "retrained pairs", "init": "other init"}, on([("retrain", "linear"), ("retrain", "bezier")])),
        ({"condition": "retraining curve", "init": "other init"}, on(each(*KINDS, methods=["npo"]), LEAST)),
        (
            {"condition": "retraining curve", "init": "other init", "objective": "retain only"},
            on([("npo", "bezier")], LEAST),
        ),
    ],
    "M1": [({"condition": "method", "form": "cue"}, on(PAIRS, LEAST))],
    "controls": [
        ({"control": control}, {o: Counter({(METHODS[o % 3], "linear"): 1}) for o in ORIGINALS})
        for control in (APART, TWINNED)
    ],
}


def test_a_path_has_one_profile_for_its_labels(five, routes):
    """Rooms that hold a walk under the same labels hold the same result; else one would stand for the other."""
    known = {}
    for some in routes.values():
        for route in some:
            labels = tuple(labels_of(route).items())
            assert known.setdefault(labels, key(route.profile(five))) == key(route.profile(five)), labels


def test_a_profile_has_one_name(five, profiles):
    """One result under two labels would be a copy, but for a control's line."""
    names = {}
    for route, spec in profiles.values():
        names.setdefault(key(spec), []).append(route)
    for some in names.values():
        if len(some) > 1:
            assert {route.condition for route in some} == {"retrained", "retrained pairs"}
            assert {route.control for route in some} == {"", RETRAINED}


@pytest.mark.parametrize("claims", READ)
def test_what_a_declared_test_reads_is_walked(claims, profiles):
    for labels, expected in READ[claims]:
        assert found(profiles, **labels) == expected, labels


def test_what_07_compares_is_traced_finely_on_all_splits(profiles):
    fine = [(r, s) for r, s in profiles.values() if r.full or (r.condition == "random" and not r.size)]
    fine = [(r, s) for r, s in fine if not (r.recipe or r.objective or r.refit or r.batchnorm or r.form)]
    fine = [(r, s) for r, s in fine if r.control != APART]  # of which the barrier alone is read
    assert len(fine) == len(ORIGINALS) * len(BOTH) + SOME * (2 * len(PAIRS) + 2 * len(BOTH)) + len(ORIGINALS)
    assert {(s.trace.points, s.trace.splits) for _, s in fine} == {(FINE, ())}
    assert all(unlearned_ends(r) == (0, 1) for r, _ in fine)


def test_all_else_is_coarse_and_of_two_splits(profiles):
    rest = [(r, s) for r, s in profiles.values() if s.trace.splits]
    assert {s.trace.splits for _, s in rest} == {("retain", "forget")}
    assert {r.condition for r, s in rest if s.trace.points == FINE} == {"forgetting"}
    assert {s.trace.points for r, s in rest if r.condition != "forgetting"} == {COARSE}


def test_07_takes_the_fine_walks_of_all_rooms_the_controls_beside_them_and_no_others(five, profiles):
    (room,) = ROOMS_OF_METRICS
    held = {key(one) for one in room.more(five) if isinstance(one.trace.model, CurveSpec)}
    fine = {key(s) for _, s in profiles.values() if s.trace.points == FINE and not s.trace.splits}
    controls = {key(s) for r, s in profiles.values() if r.control == APART}
    assert held == fine | controls and controls


def test_paths_between_models_trained_apart_are_fitted_as_such(five):
    made = progress_and_retraining.independent(five)
    curves = [r for r in made if r.kind == "bezier"]
    objectives = {
        ("originals", ""): "train",
        ("retrained pairs", ""): "finetune",
        ("retraining curve", ""): "npo",
        ("retraining curve", "retain only"): "finetune",
    }
    assert {((r.condition, r.objective), r.path.method) for r in curves} == set(objectives.items())
    ring = [r for r in made if r.condition == "originals" and r.kind == "linear"]
    assert [(r.start, r.end) for r in ring] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]
    for r in made:
        drawn = {"originals": (r.start, r.end)}.get(r.condition, (r.original, r.original))
        assert (r.path.start.data.draw, r.path.end.data.draw) == drawn
        assert unlearned_ends(r) == tuple(k for k in (0, 1) if kind_of((r.path.start, r.path.end)[k]) == "Unlearned")
        if kind_of(r.path.end) == "Retrained":
            assert r.path.end.init is None and r.path.end.seed == 87


BESIDE = {  # what no declared test reads: labels, and the contexts on which originals
    "variance": [({"condition": "random", "form": form}, on(each(*KINDS, methods=["npo"]), LEAST)) for form in AGAIN],
    "trained with": [
        ({"condition": condition, "form": f"trained with {name}"}, on(each(*kinds, methods=["npo"]), FIRST))
        for across, name in (("cl-non_cl", "superloss"), ("fo-so", "sophia_g"))
        for condition, kinds in (("random", ["linear"]), (across, KINDS))
    ],
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_stands_beside_the_declared_tests_is_walked(what, profiles):
    for labels, expected in BESIDE[what]:
        assert found(profiles, **labels) == expected, labels


def test_nothing_else_stands_aside(profiles):
    aside = [route for route, _ in profiles.values() if route.aside]
    assert len(aside) == 4 * 4 + 2 * 3 * 3 and {route.method for route in aside} == {"npo"}
    assert all(spec.trace.points == COARSE and spec.trace.splits for r, spec in profiles.values() if r.aside)


def test_the_variance_is_split_by_one_change_at_a_time(five, routes):
    """The first pair beside another pair on the same original and draw, and beside the same pair on another draw."""
    plain = {(r.original, r.kind): r for r in routes["02_seeds"] if r.method == "npo" and not (r.form or r.control)}
    for route in (r for r in routes["02_seeds"] if r.aside):
        own, (start, end) = plain[route.original, route.kind], (route.path.start, route.path.end)
        first = own.path.start
        if route.form == SECOND_PAIR:
            assert start.origin == end.origin == first.origin
            assert (start.seed, end.seed) == (route.start, route.end) == (21, 100)
            assert not {start.seed, end.seed} & set(five.seeds)
        else:
            k, drawn = route.original, start.data.draw
            assert (start.seed, end.seed) == (42, 87) and drawn == end.data.draw == len(ORIGINALS) + k
            assert start.origin.own == end.origin.own == first.origin  # the same model
            assert replace(start, origin=first.origin) == first and replace(end, origin=first.origin) == own.path.end
            spec = route.profile(five)
            parts = (spec.trace, spec.original, *spec.retrained, spec.random)
            assert {p.model.data.draw for p in parts} == {drawn} and spec.original.model == start.origin
            assert [one.model.seed for one in spec.retrained] == [42]
        assert replace(route.path, start=own.path.start, end=own.path.end) == own.path  # fitted alike


@pytest.mark.parametrize(
    ("notebook", "what"),
    [("03_curriculum", {"curriculum": "superloss"}), ("04_second_order", {"optimizer": "sophia_g"})],
)
def test_an_original_trained_otherwise_is_walked_from_and_across(five, routes, notebook, what):
    ours = [r for r in routes[notebook] if r.aside]
    for route in ours:
        plain, other = five.original(route.original), five.original(route.original, **what)
        ends, inside = (route.path.start, route.path.end), route.condition == "random"
        assert [end.origin for end in ends] == [other if inside else plain, other]
        assert {(e.method, e.curriculum, e.optimizer) for e in ends} == {("npo", "none", "adamw")}
        assert ends[0].settings == ends[1].settings == five.unlearned("npo", 42).settings
        assert route.profile(five).original.model == plain  # G is the plain original's, on either
    made = {r.path.end.origin for r in ours}
    assert len(made) == SOME
    for one in made:  # all else is that of plain training, its learning rate too
        plain = five.original(one.seed)
        assert one != plain and replace(one, curriculum="none", plan=plain.plan) == plain
        assert replace(one.plan, optimizer=plain.plan.optimizer) == plain.plan


def test_a_control_joins_neighbours_each_original_twice(five, routes):
    apart = [r for r in routes["02_seeds"] if r.control == APART]
    assert [(r.path.start.data.draw, r.path.end.data.draw) for r in apart] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]
    twins = [r for r in routes["02_seeds"] if r.control == TWINNED]
    assert all(r.path.end.origin == r.path.start and r.path.start.data.draw == r.original for r in twins)


def test_smaller_sizes_have_one_retrained_model(five, routes):
    sized = [r for r in routes["06_forget_size"] if r.size]
    assert {(r.size < five.preset.forget, len(r.profile(five).retrained)) for r in sized} == {(True, 1), (False, 2)}


def test_what_is_measured_on_data_with_a_cue_has_references_there(five):
    for route in method_pairs.cued_lines(five):
        spec = route.profile(five)
        parts = (spec.trace, spec.original, *spec.retrained, spec.random)
        assert {(p.model.data.cue, p.model.data.crossed) for p in parts} == {(0.1, 0.1)}
        assert {p.model.data.draw for p in parts} == {route.original}
    ends = {use.model.end for o in range(4) for use in method_pairs.cued(five, original=o).values()}
    assert {r.path.start for r in method_pairs.cued_lines(five)} <= ends  # whose use is known
