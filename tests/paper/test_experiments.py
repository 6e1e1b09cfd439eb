"""Experiments: which paths each has, between which models, how they are traced, and that none changes its key."""

import hashlib
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

import mcutils as mc
from mcutils.data.scenarios import Scenario
from mcutils.data.tasks import FASHION_FULL_SHA256
from mcutils.engine.conditions import CONDITIONS
from mcutils.engine.specs import (
    CurveSpec,
    OriginalSpec,
    RetrainedSpec,
    TraceSpec,
    UnlearnedSpec,
    key,
    kind_of,
)
from mcutils.engine.specs.data import _task
from mcutils.errors import BadInput
from mcutils.paper import experiments as e
from mcutils.paper.experiments import labels_of
from mcutils.paper.inclusion import APART, ENDS, RETRAINED, TWINNED
from mcutils.paper.registry import EXPERIMENTS

ROUTES = {
    "02_seeds": e.seeds, "03_curriculum": e.curriculum, "04_second_order": e.second_order, "05_methods": e.methods,
    "06_forget_size": e.sizes, "08_curve_fitting": e.fits, "09_progress_and_retraining": e.progress,
}  # fmt: skip
METHODS = ("bad_teacher", "salun", "npo", "scrub")
ORIGINALS = (0, 1, 2, 3, 4)
# SHA-256, its first 16 digits, over the sorted keys of each experiment's specs at the preset laptop: as shipped
# results have been named since the experiments stood in a module each. A change of one renames results.
DIGESTS = {
    "00_quickstart": "7a97ec253651b813", "01_endpoints": "cb0c80d5f8404357", "02_seeds": "aa13768f98a7e45c",
    "03_curriculum": "470b0ea575cd7a70", "04_second_order": "e84a92592433bc5f", "05_methods": "a2a7bc0d45f81c90",
    "06_forget_size": "aa515240481498a5", "07_metrics_along_the_path": "aeed8fcaea4c7146",
    "08_curve_fitting": "f0e301d13514227b", "09_progress_and_retraining": "f47d13c7318e46e7",
    "14_explorer": "372aac6b360e9621", "15_claims": "297ae8c429b537cb",
}  # fmt: skip


@pytest.fixture(scope="module")
def eight(laptop):
    return {name: made(laptop) for name, made in ROUTES.items()}


def labels(routes, *names):
    """How many routes there are with each combination of labels."""
    return Counter(tuple(getattr(r, name) for name in names) for r in routes)


def pairs_of(routes):
    return {(r.original, r.start, r.end) for r in routes}


def closure(specs):
    """These specs and all that they are made from."""
    seen, left = set(), list(specs)
    while left:
        spec = left.pop()
        if spec not in seen:
            seen.add(spec)
            left += spec.parents()
    return seen


def data_of(specs):
    return {spec.data for spec in closure(specs) if not spec.parents()}


def test_no_key_of_an_experiment_changes(asked):
    found = {name: hashlib.sha256(" ".join(sorted(keys)).encode()).hexdigest()[:16] for name, keys in asked.items()}
    assert found == DIGESTS


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_a_list_of_results_to_show_the_same_every_time(name, smoke, planned):
    found = EXPERIMENTS[name](smoke)
    assert found and all(spec.form.suffix == ".npz" and not isinstance(spec, TraceSpec) for spec in found)
    again = EXPERIMENTS[name](planned("smoke"))
    assert again == found and [key(spec) for spec in again] == [key(spec) for spec in found]


@pytest.mark.parametrize("name", ["00_quickstart", "01_endpoints", "05_methods", "06_forget_size", "08_curve_fitting"])
def test_the_paper_s_sizes_can_be_planned_without_their_data(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MCUTILS_DATA", str(tmp_path))
    _task.cache_clear()  # what an earlier test has read
    bench = mc.study("paper", store=str(tmp_path / "store"), fresh=True)
    assert {data.checksum for data in data_of(EXPERIMENTS[name](bench))} == {FASHION_FULL_SHA256}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_under_a_scenario_all_is_of_it_or_it_is_refused_in_a_sentence(name, smoke, laptop):
    for bench in (smoke, laptop) if name == "02_seeds" else (smoke,):
        under = bench.under(Scenario("class", label=1))
        if name in ("05_methods", "06_forget_size", "15_claims"):
            with pytest.raises(BadInput, match="of a random draw of the forget set, got the scenario 'class label=1'"):
                EXPERIMENTS[name](under)
        else:
            traces = [one for one in closure(EXPERIMENTS[name](under)) if isinstance(one, TraceSpec)]
            assert {one.model.data.scenario for one in traces} == {under.data.scenario}


@pytest.mark.parametrize("name", ROUTES)
def test_routes_are_told_apart_by_their_labels_and_paths_agree_with_these(name, eight, laptop):
    routes = eight[name]
    assert set(labels((r for r in routes if not r.control), *labels_of(routes[0])).values()) == {1}
    for r in (r for r in routes if not r.control):
        start, end = r.path.start, r.path.end
        assert r.kind == r.path.kind and r.nodes == (f"{r.original}/{r.start}", f"{r.original}/{r.end}")
        assert (r.name, r.pair) == (r.method, f"{r.original}: {r.start}-{r.end}")
        if r.condition in CONDITIONS:
            named = CONDITIONS[r.condition]
            assert (start.seed, end.seed) == (r.start, r.end)
            # Sizes of the forget set differ in 06; the original model does not. With a cue, and aside, it is another.
            assert start.origin.seed == end.origin.seed == r.original
            assert start.origin == end.origin or r.aside
            assert start.origin == laptop.original(r.original) or r.aside or r.form == e.CUE
            assert (start.method, end.method) == (r.method, r.other or r.method)
            if r.form.startswith(e.TRAINED):  # one original, the end's, or both were; the ends are plain
                assert {(one.curriculum, one.optimizer) for one in (start, end)} == {("none", "adamw")}
                changed = [one.origin != laptop.original(r.original) for one in (start, end)]
                assert changed == [r.condition == "random", True]
                continue
            for one, spec in ((named.start, start), (named.end, end)):
                assert (spec.curriculum != "none", spec.optimizer != "adamw") == (one.curriculum, one.second_order)


@pytest.mark.parametrize("name", [name for name in ROUTES if name != "09_progress_and_retraining"])
def test_an_experiment_has_a_control_of_each_kind_on_every_original(name, eight, laptop):
    held = [r for r in eight[name] if r.control]
    assert labels(held, "control", "kind", "original") == {
        (c, "linear", o): 1 for c in (APART, TWINNED) for o in range(8)
    }
    for r in held:
        start, end = r.path.start, r.path.end
        assert r.name == r.control and r.method == laptop.preset.fit[r.original % 3]
        if r.control == APART:  # neighbours around the ring of originals, on the coarse grid
            assert (start.origin.seed, end.origin.seed, r.points) == (r.original, (r.original + 1) % 8, e.COARSE)
        else:  # an end and itself after 50 small steps on D_r
            assert end.origin == start and (end.method, end.settings.plan) == ("finetune", e.TWIN) and not r.points


@pytest.mark.parametrize(
    ("seeds", "ring", "independent"),
    [
        ((1, 2), [(1, 2)], [(0, 1, 2), (1, 1, 2), (2, 1, 2)]),
        ((1, 2, 3), [(1, 2), (2, 3), (3, 1)], [(0, 1, 2), (1, 1, 2), (2, 1, 2)]),
        ((1, 2, 3, 4), [(1, 2), (2, 3), (3, 4), (4, 1)], [(0, 1, 2), (0, 3, 4), (1, 1, 2)]),
    ],
)
def test_pairs_of_seeds(seeds, ring, independent):
    assert e.ring(seeds) == ring and e.ring(seeds, 1) == ring[:1] and e.independent(seeds) == independent
    for made in (e.ring, e.independent):
        for wrong in ((), (1,), (1, 1)):
            with pytest.raises(BadInput, match="two different seeds or more"):
                made(wrong)


def test_more_pairs_than_originals_are_refused(laptop, smoke):
    assert e.independent_pairs(laptop) == [(o, 42, 87) for o in range(8)] and len(e.independent_pairs(smoke)) == 3
    assert e.independent_pairs(laptop, 2) == e.independent_pairs(laptop)[:2]
    with pytest.raises(BadInput, match="8 original models with a pair each, but 9 pairs"):
        e.independent_pairs(laptop, 9)


# 00, 01, 14


def test_the_quickstart_follows_its_parameters(smoke):
    found = [one.trace.model for one in e.quickstart(smoke, "scrub", (1, 2))]
    ends = [model for model in found if isinstance(model, UnlearnedSpec)]
    assert [(end.method, end.seed) for end in ends] == [("scrub", 1), ("scrub", 2)]
    assert [(path.kind, path.start, path.end) for path in found[-2:]] == [("linear", *ends), ("bezier", *ends)]
    default = [one.trace.model for one in e.quickstart(smoke)]
    assert [(m.method, m.seed) for m in default if isinstance(m, UnlearnedSpec)] == [("npo", 42), ("npo", 87)]
    with pytest.raises(BadInput, match="unknown method 'wish'"):
        e.quickstart(smoke, "wish")


def test_what_ships_of_the_quickstart_is_enough_to_load_and_walk_it(laptop):
    """Every model that a shipped curve or endpoint is read with ships as well."""
    kept = set(e.shipped(laptop))
    assert all(set(spec.parents()) <= kept for spec in kept if not isinstance(spec, TraceSpec))


def test_models_have_the_roles_that_their_specs_have(laptop):
    found = e.models(laptop)
    assert Counter(role for role, *_ in found) == {"original": 8, "retrained": 16, "unlearned": 16 * 8 + 3 * 2 + 8}
    for (role, original, method, curriculum, optimizer, seed), spec in found.items():
        assert kind_of(spec) == {"unlearned": "Unlearned", "original": "Original", "retrained": "Retrained"}[role]
        assert spec.data.draw == original if role == "retrained" else True
        if role == "unlearned":
            assert (spec.method, spec.curriculum, spec.optimizer, spec.seed) == (method, curriculum, optimizer, seed)
            assert spec.origin == laptop.original(original)
    few = e.models(laptop, every=False)
    assert few == {at: spec for at, spec in found.items() if at[0] != "unlearned"}


# 02 to 06


def test_all_pairs_of_methods_have_lines_in_every_method_condition(eight, laptop):
    routes = [r for r in eight["05_methods"] if not r.control]
    pairs, plain = set(combinations(laptop.preset.fit, 2)), [r for r in routes if r.form == ""]
    every = [r for r in plain if r.kind == "linear" and not r.full]
    assert set(labels(every, "method", "other")) == pairs and len(pairs) == 15
    assert {r.label for r in every} == {f"{a} - {b}" for a, b in pairs}
    count = labels(every, "condition")
    assert count.pop(("method",)) == 8 * 15
    assert pairs_of(r for r in every if r.condition == "method") == {(o, 42, 87) for o in range(8)}
    assert count == {(c,): 3 * 15 for c in CONDITIONS if c.startswith("method_")}
    some = set(e.sampled(laptop))
    taken = Counter(m for pair in some for m in pair)
    assert len(some) == 6 and some <= pairs and set(taken) == set(laptop.preset.fit) and max(taken.values()) <= 3
    full = [r for r in routes if r.full]
    assert labels(full, "kind", "points") == {("linear", 0): 18, ("bezier", 0): 18}
    curves = [r for r in plain if r.kind == "bezier" and not r.full]
    assert labels(curves, "condition", "points") == {("method", 11): 8 * 6}
    formed = [r for r in routes if r.form]
    assert labels(formed, "form", "kind", "original") == {(e.CUE, "linear", o): 15 for o in range(4)}


def test_sizes_change_what_is_forgotten_and_its_references(eight, laptop):
    routes, sizes = [r for r in eight["06_forget_size"] if not r.control], (0.02, 0.04, 0.06, 0.08, 0.1)
    assert labels(routes, "size", "kind", "original") == {(s, "linear", o): 3 for s in sizes for o in range(4)}
    assert {r.points for r in routes} == {11}
    for r in routes:
        profile = r.profile(laptop)
        assert {end.forget for end in (r.path.start, r.path.end, r.path)} == {r.size}
        assert {t.forget for t in (profile.trace, profile.original, *profile.retrained, profile.random)} == {r.size}
        assert [t.model.seed for t in profile.retrained] == ([42, 87] if r.size == 0.1 else [42])


# 08, 09


def test_fits_differ_in_what_their_labels_say_and_nothing_else(eight, laptop):
    routes = [r for r in eight["08_curve_fitting"] if not r.control]
    n, some = 8 * len(laptop.preset.fit), set(laptop.preset.methods[-4:-1]) & set(laptop.preset.fit)
    names = "kind", "recipe", "objective", "refit", "batchnorm"
    line, curve = ("linear", "", "", False), ("bezier", "", "", False)
    ours = [(*line, ""), (*line, "none"), (*curve, "")]
    ours += [("bezier", "", "", True, ""), ("bezier", "", "retain only", False, "")]
    ours += [("bezier", "authors", "", False, batchnorm) for batchnorm in ("", "retain")]
    expected = dict.fromkeys(ours, n) | {(*curve, "none"): 3 * len(laptop.preset.fit)}
    assert labels(routes, *names) == expected | {("bezier", c, "", False, ""): 3 * len(some) for c in e.CHOICES}
    own = {(r.method, r.original, r.kind): r.path for r in routes if not (r.recipe or r.objective or r.refit)}
    for r in routes:
        mine, path = own[r.method, r.original, r.kind], r.path
        assert (path.start, path.end, path.kind, path.seed - mine.seed) == (mine.start, mine.end, mine.kind, r.refit)
        assert path.method == ("finetune" if r.objective else "")
        assert path.recipe == (r.recipe or "corrected") or r.kind == "linear"
        if not (r.recipe or r.objective or r.refit or r.batchnorm):
            assert r.points == 0
        elif not r.batchnorm:
            assert r.points == 11


# Five originals with points enough for both grids: what each declared test reads is there


@pytest.fixture(scope="module")
def five(planned):
    changes = {"originals": len(ORIGINALS), "methods": METHODS, "points": 31, "refresh": "weighted", "crossed": 0.1}
    return planned("smoke", **changes)


@pytest.fixture(scope="module")
def routes(five):
    return {name: made(five) for name, made in ROUTES.items()}


@pytest.fixture(scope="module")
def traced(five, routes):
    """Each route by its labels, once, with the spec of its profile."""
    every = [(route, route.profile(five)) for some in routes.values() for route in some]
    return {tuple(labels_of(route).items()): (route, spec) for route, spec in every}


def found_of(traced, **wanted):
    """(method or both, kind) of the routes with these labels, by original; without controls unless they are named."""
    plain = {"control": "", "form": "", "recipe": "", "objective": "", "refit": False, "batchnorm": "", "full": False}
    wanted = {**plain, "size": 0.0, "init": "", **wanted}
    made = {original: Counter() for original in ORIGINALS}
    for route, _ in traced.values():
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
FIRST, LEAST, KINDS = ORIGINALS[:3], ORIGINALS[:4], ("linear", "bezier")
FULL = on([(p, k) for p, _ in PAIRS for k in KINDS], FIRST)
AUTHORS = {"condition": "random", "recipe": "authors"}
SAME, OTHER = {"init": "same init"}, {"init": "other init"}
JOINED = {**OTHER, "condition": "retraining curve"}
# claim -> the labels of the paths that its declared test reads, and which there must be on each original
READ = {
    "C1, C2, C13, C21": [({"condition": "random"}, on(BOTH))],
    "C4": [
        ({"condition": "random", "size": size}, on(each("linear", methods=METHODS[:3]), LEAST))
        for size in (0.02, 0.04, 0.06, 0.08, 0.1)
    ],
    "C5, C6, C7": [({"condition": name}, on(BOTH)) for name in ("cl-non_cl", "fo-so")],
    "E4": [({"condition": name}, on(BOTH)) for name in ("random_in_cl", "random_in_so")],
    "C8": [({"condition": "method"}, on(PAIRS + SAMPLED))],
    "C9, C10, C11": [
        ({"condition": "method", "full": True}, FULL),
        *(({"condition": name, "full": True}, on(BOTH, FIRST)) for name in ("cl-non_cl", "fo-so")),
    ],
    "C12": [
        ({"condition": "random", "batchnorm": "none"}, {o: Counter(BOTH if o in FIRST else LINE) for o in ORIGINALS}),
        *((labels, on(CURVE)) for labels in (AUTHORS, {**AUTHORS, "batchnorm": "retain"})),
        ({"condition": "random", "refit": True}, on(CURVE)),
    ],
    "C15": [({"condition": "forgetting"}, on(LINE))],
    "C16": [
        ({"condition": "retraining", **SAME}, on(LINE)),
        *(
            ({"condition": "retrained", **init, "control": RETRAINED}, on([("retrain", "linear")]))
            for init in (SAME, OTHER)
        ),
    ],
    "C23": [({"condition": "random", "objective": "retain only"}, on(CURVE))],
    "M0": [
        ({"condition": "originals"}, on([("original", kind) for kind in KINDS])),
        ({"condition": "retrained pairs", **OTHER}, on([("retrain", kind) for kind in KINDS])),
        (JOINED, on(each(*KINDS, methods=["npo"]), LEAST)),
        ({**JOINED, "objective": "retain only"}, on([("npo", "bezier")], LEAST)),
    ],
    "M1": [({"condition": "method", "form": "cue"}, on(PAIRS, LEAST))],
    "controls": [
        ({"control": control}, {o: Counter({(METHODS[o % 3], "linear"): 1}) for o in ORIGINALS})
        for control in (APART, TWINNED)
    ],
    "variance": [({"condition": "random", "form": form}, on(each(*KINDS, methods=["npo"]), LEAST)) for form in e.AGAIN],
    "trained with": [
        ({"condition": condition, "form": f"trained with {name}"}, on(each(*kinds, methods=["npo"]), FIRST))
        for across, name in (("cl-non_cl", "superloss"), ("fo-so", "sophia_g"))
        for condition, kinds in (("random", ["linear"]), (across, KINDS))
    ],
}


@pytest.mark.parametrize("claims", READ)
def test_what_a_declared_test_or_a_notebook_reads_is_there(claims, traced):
    for wanted, expected in READ[claims]:
        assert found_of(traced, **wanted) == expected, wanted


def test_a_path_has_one_profile_for_its_labels_and_a_profile_one_name(five, routes, traced):
    """Else one result would stand for another, or one under two labels be a copy, but for a control's line."""
    known, names = {}, {}
    for route in (route for some in routes.values() for route in some):
        said = tuple(labels_of(route).items())
        assert known.setdefault(said, key(route.profile(five))) == key(route.profile(five)), said
    for route, spec in traced.values():
        names.setdefault(key(spec), []).append(route)
    for some in (some for some in names.values() if len(some) > 1):
        assert {route.condition for route in some} == {"retrained", "retrained pairs"}
        assert {route.control for route in some} == {"", RETRAINED}


def test_what_07_compares_is_traced_finely_on_all_splits_and_all_else_coarsely_on_two(five, traced):
    fine = [(r, s) for r, s in traced.values() if r.full or (r.condition == "random" and not r.size)]
    fine = [(r, s) for r, s in fine if not (r.recipe or r.objective or r.refit or r.batchnorm or r.form)]
    fine = [(r, s) for r, s in fine if r.control != APART]  # of which the barrier alone is read
    assert len(fine) == 5 * len(BOTH) + 3 * (2 * len(PAIRS) + 2 * len(BOTH)) + 5
    assert {(s.trace.points, s.trace.splits) for _, s in fine} == {(31, ())}
    assert all(ENDS.get(r.condition, ("start", "end")) == ("start", "end") for r, _ in fine)
    rest = [(r, s) for r, s in traced.values() if s.trace.splits]
    assert {s.trace.splits for _, s in rest} == {("retain", "forget")}
    assert {r.condition for r, s in rest if s.trace.points == 31} == {"forgetting"}
    assert {s.trace.points for r, s in rest if r.condition != "forgetting"} == {11}
    along = EXPERIMENTS["07_metrics_along_the_path"](five)
    held = {key(one) for one in along if isinstance(one.trace.model, CurveSpec)}
    whole = {key(s) for _, s in traced.values() if s.trace.points == 31 and not s.trace.splits}
    controls = {key(s) for r, s in traced.values() if r.control == APART}
    assert held == whole | controls and controls


def test_paths_between_models_trained_apart_are_fitted_as_such(five):
    made = e.apart(five)
    objectives = {
        ("originals", ""): "train", ("retrained pairs", ""): "finetune", ("retraining curve", ""): "npo",
        ("retraining curve", "retain only"): "finetune",
    }  # fmt: skip
    assert {((r.condition, r.objective), r.path.method) for r in made if r.kind == "bezier"} == set(objectives.items())
    ring = [r for r in made if r.condition == "originals" and r.kind == "linear"]
    assert [(r.start, r.end) for r in ring] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]
    for r in made:
        drawn = {"originals": (r.start, r.end)}.get(r.condition, (r.original, r.original))
        assert (r.path.start.data.draw, r.path.end.data.draw) == drawn
        if kind_of(r.path.end) == "Retrained":
            assert r.path.end.init is None and r.path.end.seed == 87


def test_the_variance_is_split_by_one_change_at_a_time(five, routes):
    """The first pair beside another pair on the same original and draw, and beside the same pair on another draw."""
    plain = {(r.original, r.kind): r for r in routes["02_seeds"] if r.method == "npo" and not (r.form or r.control)}
    for route in (r for r in routes["02_seeds"] if r.aside):
        own, (start, end) = plain[route.original, route.kind], (route.path.start, route.path.end)
        first = own.path.start
        if route.form == e.SECOND_PAIR:
            assert start.origin == end.origin == first.origin
            assert (start.seed, end.seed) == (route.start, route.end) == (21, 100)
            assert not {start.seed, end.seed} & set(five.seeds)
        else:
            drawn = start.data.draw
            assert (start.seed, end.seed) == (42, 87) and drawn == end.data.draw == len(ORIGINALS) + route.original
            assert start.origin.own == end.origin.own == first.origin  # the same model
            assert replace(start, origin=first.origin) == first and replace(end, origin=first.origin) == own.path.end
            spec = route.profile(five)
            parts = (spec.trace, spec.original, *spec.retrained, spec.random)
            assert {p.model.data.draw for p in parts} == {drawn} and spec.original.model == start.origin
            assert [one.model.seed for one in spec.retrained] == [42]
        assert replace(route.path, start=own.path.start, end=own.path.end) == own.path  # fitted alike


# N1


def test_the_models_of_n1_are_used_nowhere_else(planned):
    bench = planned("smoke", originals=2, methods=list(e.N1_METHODS), refresh="weighted", points=11)
    below = closure(e.between_needs(bench))
    count = {kind: sum(isinstance(one, kind) for one in below) for kind in (OriginalSpec, RetrainedSpec, UnlearnedSpec)}
    assert count == {OriginalSpec: 4, RetrainedSpec: 4 * 5, UnlearnedSpec: 4 * 3 * 2}
    rest = closure(spec for ask in EXPERIMENTS.values() for spec in ask(bench))
    assert not {one for one in below & rest if isinstance(one, (OriginalSpec, RetrainedSpec, UnlearnedSpec))}
    assert {(one.data.draw, one.seed) for one in below if isinstance(one, OriginalSpec)} == {
        (o, o) for o in e.N1_ORIGINALS
    }
