"""Experiments: the lists of specs behind the notebooks, and that they are what the notebooks really use."""

import json
from collections import Counter
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path as FilePath

import numpy as np
import pytest
from synthetic import walk

from mcutils import experiments
from mcutils.curves import RECIPES
from mcutils.data.tasks import FASHION_FULL_SHA256
from mcutils.engine import specs
from mcutils.engine.conditions import CONDITIONS
from mcutils.engine.specs import (
    Alike,
    CueUse,
    Path,
    PlaneOf,
    Profile,
    TraceOf,
    Unlearned,
    is_arrays,
    key,
    kind_of,
    parents,
)
from mcutils.engine.study import study
from mcutils.engine.upkeep import results
from mcutils.errors import BadInput
from mcutils.experiments import EXPERIMENTS, ROUTES
from mcutils.measures.metrics import METRICS
from mcutils.verdicts import TESTS, controls_hold, retraining_control
from mcutils.walks import Walk

ROOT = FilePath(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return study("smoke", store=str(tmp_path_factory.mktemp("store")), fresh=True)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    return study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


def test_every_notebook_has_its_experiment_under_its_name():
    assert sorted(EXPERIMENTS) == sorted(NOTEBOOKS)
    assert set(ROUTES) < set(EXPERIMENTS)


def leaves(specs):
    """The data of everything that these specs are made from."""
    found, seen = set(), set()

    def visit(spec):
        if spec not in seen:
            seen.add(spec)
            if not parents(spec):
                found.add(spec.data)
            for parent in parents(spec):
                visit(parent)

    for spec in specs:
        visit(spec)
    return found


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_a_list_of_results_to_show_the_same_every_time(name, smoke):
    found = EXPERIMENTS[name](smoke)
    assert found and all(is_arrays(spec) and not isinstance(spec, TraceOf) for spec in found)
    again = study("smoke", store=str(smoke.store.folder), fresh=True)
    assert EXPERIMENTS[name](again) == found
    assert [key(spec) for spec in EXPERIMENTS[name](again)] == [key(spec) for spec in found]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_paper_s_sizes_can_be_planned_without_their_data(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MCUTILS_DATA", str(tmp_path))
    specs._task.cache_clear()  # what an earlier test has read
    bench = study("paper", store=str(tmp_path / "store"), fresh=True)
    assert {data.checksum for data in leaves(EXPERIMENTS[name](bench))} == {FASHION_FULL_SHA256}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("methods", [["npo"], ["npo", "scrub"], ["bad_teacher", "npo", "scrub"]])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_reader_can_ask_for_a_few_methods(name, methods, smoke):
    few = study("smoke", store=str(smoke.store.folder), fresh=True, methods=methods)
    if name != "05_methods" or len(methods) > 1:
        assert EXPERIMENTS[name](few)


def models(profiles):
    return [one.trace.model for one in profiles]


def test_the_quickstart_follows_its_parameters(smoke):
    found = models(experiments.quickstart(smoke, "scrub", (1, 2)))
    ends = [model for model in found if isinstance(model, Unlearned)]
    assert [(end.method, end.seed) for end in ends] == [("scrub", 1), ("scrub", 2)]
    assert [(path.kind, path.start, path.end) for path in found[-2:]] == [("linear", *ends), ("bezier", *ends)]
    default = models(experiments.quickstart(smoke))
    assert [(e.method, e.seed) for e in default if isinstance(e, Unlearned)] == [("npo", 42), ("npo", 87)]


def test_endpoints_cover_every_method_and_seed_curriculum_and_optimiser(smoke):
    ends = [model for model in models(experiments.endpoints(smoke)) if isinstance(model, Unlearned)]
    plain = {(e.method, e.seed) for e in ends if (e.curriculum, e.optimizer) == ("none", "adamw")}
    assert plain == {(m, s) for m in ("finetune", *smoke.preset.methods) for s in smoke.seeds}
    varied = {(e.curriculum, e.optimizer) for e in ends if e.method == "npo" and e.seed == smoke.seeds[0]}
    assert len(varied) == 9


# Routes


def labels(routes, *names):
    """How many routes there are with each combination of labels."""
    return Counter(tuple(getattr(r, name) for name in names) for r in routes)


def pairs_of(routes):
    return {(r.original, r.start, r.end) for r in routes}


THREE = {(0, 42, 87), (0, 21, 100), (1, 42, 87)}  # without a common endpoint


def test_an_experiment_walks_its_routes(smoke):
    for name, made in ROUTES.items():
        asked = EXPERIMENTS[name](smoke)
        assert {r.profile(smoke) for r in made(smoke)} <= set(asked)
        assert all(isinstance(r.path, Path) for r in made(smoke))
    everything = set(EXPERIMENTS["15_claims"](smoke))
    for name in (*ROUTES, "07_metrics_along_the_path"):
        assert {spec for spec in EXPERIMENTS[name](smoke) if isinstance(spec, Profile)} <= everything


@pytest.mark.parametrize("name", ROUTES)
def test_routes_are_told_apart_by_their_labels_and_paths_agree_with_these(name, laptop):
    routes = ROUTES[name](laptop)
    said = [f.name for f in fields(Walk) if f.name != "profile"]
    ours = [r for r in routes if r.role == "method"]
    assert set(labels(ours, *said).values()) == {1}
    for r in ours:
        start, end = r.path.start, r.path.end
        assert r.kind == r.path.kind
        if r.condition in CONDITIONS:
            named = CONDITIONS[r.condition]
            assert (start.seed, end.seed) == (r.start, r.end)
            # Forget sets differ in 06; the original model does not.
            assert start.origin == end.origin == laptop.original(r.original)
            assert (start.method, end.method) == (r.method, r.other or r.method)
            for one, spec in ((named.start, start), (named.end, end)):
                assert (spec.curriculum != "none", spec.optimizer != "adamw") == (one.curriculum, one.second_order)


@pytest.mark.parametrize("name", [name for name in ROUTES if name != "09_progress_and_retraining"])
def test_every_walk_of_seeds_has_the_controls_of_three_methods(name, laptop):
    held = [r for r in ROUTES[name](laptop) if r.role == "control"]
    assert labels(held, "method", "kind") == {("other initialisation", "linear"): 3, ("fine-tuned twin", "linear"): 3}
    assert {r.path.start.method for r in held} == set(laptop.preset.methods[:3])


def test_seeds_have_a_line_and_a_curve_for_each_pair_on_two_originals(laptop):
    routes = [r for r in experiments.seeds(laptop) if r.role == "method"]
    ring = {(0, 42, 87), (0, 87, 21), (0, 21, 100), (0, 100, 13), (1, 42, 87)}
    expected = {(m, k, *p) for m in laptop.preset.methods for k in ("linear", "bezier") for p in ring}
    assert set(labels(routes, "method", "kind", "original", "start", "end")) == expected
    assert {(r.condition, r.other, r.variant, r.points) for r in routes} == {("random", "", "", 0)}


@pytest.mark.parametrize(
    ("name", "across", "inside", "authors"),
    [
        ("03_curriculum", "cl-non_cl", "random_in_cl", "superloss_authors"),
        ("04_second_order", "fo-so", "random_in_so", "soul"),
    ],
)
def test_a_condition_stands_beside_random_over_the_same_independent_pairs(name, across, inside, authors, laptop):
    routes = [r for r in ROUTES[name](laptop) if r.role == "method"]
    count, few = len(laptop.preset.methods) * 3, 11
    found = labels(routes, "condition", "kind", "variant", "points")
    assert found == {
        **{(c, k, "", 0): count for c in ("random", across) for k in ("linear", "bezier")},
        **{(inside, k, "", few): count for k in ("linear", "bezier")},
        (across, "linear", authors, few): 3,
    }
    for condition in ("random", across, inside):
        assert pairs_of(r for r in routes if r.condition == condition) == THREE
    theirs = [r.path for r in routes if r.variant]
    assert all(authors in (p.start.curriculum, p.end.optimizer) for p in theirs)
    # The same walks as those of 02, where there are any.
    random = {r.profile(laptop) for r in routes if r.condition == "random"}
    assert random <= set(EXPERIMENTS["02_seeds"](laptop))


def test_all_pairs_of_methods_are_walked_in_every_method_condition(laptop):
    routes = [r for r in experiments.methods(laptop) if r.role == "method"]
    pairs = set(combinations(laptop.preset.methods, 2))
    every = [r for r in routes if r.kind == "linear" and not r.variant]
    assert set(labels(every, "method", "other")) == pairs
    count = labels(every, "condition")
    assert count.pop(("method",)) == 3 * 28 and pairs_of(r for r in every if r.condition == "method") == THREE
    assert count == {(c,): 28 for c in CONDITIONS if c.startswith("method_")}
    some = set(experiments.sampled(laptop))
    assert len(some) == 6 and some <= pairs
    taken = Counter(m for pair in some for m in pair)
    assert set(taken) == set(laptop.preset.methods) and max(taken.values()) - min(taken.values()) <= 1
    full = [r for r in routes if r.variant == "full"]
    assert labels(full, "kind", "points") == {("linear", 0): 6, ("bezier", 0): 6}
    assert {r.points for r in routes if not r.variant} == {11}


def test_models_that_are_compared_are_of_one_original(laptop):
    found = experiments.alike(laptop)
    assert [getattr(m, "method", kind_of(m)) for m in found.models] == [
        *laptop.preset.methods,
        laptop.preset.methods[0],
        "Retrained",
        "Original",
    ]
    assert {m.origin for m in found.models if isinstance(m, Unlearned)} == {found.origin} == {laptop.original()}


def test_cues_are_planted_in_what_is_forgotten_and_nowhere_else(laptop):
    found = experiments.cued(laptop)
    assert set(found) == {(m, part) for m in laptop.preset.methods for part in ("forgetting", "retraining")}
    (data,) = leaves(found.values())
    assert data.cue == 0.1 == laptop.preset.forget and data.checksum == laptop.data.checksum
    for (method, part), use in found.items():
        assert use.forget >= data.cue and kind_of(use) == "CueUse"
        ends = use.model.start, use.model.end
        expected = {"forgetting": ("Original", "Unlearned"), "retraining": ("Unlearned", "Retrained")}[part]
        assert tuple(map(kind_of, ends)) == expected
        assert ends[part == "forgetting"].method == method
    assert not any(data.cue for name in ROUTES for data in leaves(r.path for r in ROUTES[name](laptop)))


def test_sizes_change_what_is_forgotten_and_its_references(laptop):
    routes = [r for r in experiments.sizes(laptop) if r.role == "method"]
    sizes = ("0.02", "0.04", "0.06", "0.08", "0.1")
    assert labels(routes, "variant", "kind") == {(s, k): 9 for s in sizes for k in ("linear", "bezier")}
    assert pairs_of(routes) == THREE
    for r in routes:
        profile = r.profile(laptop)
        assert {end.forget for end in (r.path.start, r.path.end, r.path)} == {float(r.variant)}
        assert {t.forget for t in (profile.trace, profile.original, *profile.retrained, profile.random)} == {
            float(r.variant)
        }
        assert [t.model.seed for t in profile.retrained] == [42, 87]
        assert {t.model.forget for t in profile.retrained} == {float(r.variant)}


def test_fits_differ_in_what_their_variant_says_and_nothing_else(laptop):
    routes = [r for r in experiments.fits(laptop) if r.role == "method"]
    more = [r for r in routes if pairs_of([r]) - THREE]
    assert labels(more, "method", "variant", "kind") == {
        ("bad_teacher", "own", "linear"): 2,
        ("bad_teacher", "authors", "bezier"): 2,
    }
    own = {(r.method, r.original, r.start, r.end, r.kind): r for r in routes if r.variant == "own"}
    own |= {(r.method, r.original, r.start, r.end, "bezier"): r for r in more if r.variant == "authors"}
    assert len(own) == 8 * 3 * 2 + 4
    some = laptop.preset.methods[-4:-1]
    counts = labels([r for r in routes if r not in more], "variant", "kind")
    whole = ("own", "no BatchNorm refresh", "refit", "retain only", "retain - forget", "authors")
    assert {v for v, k in counts if k == "linear"} == set(whole[:2])
    assert {v: n for (v, k), n in counts.items() if k == "bezier"} == {
        **dict.fromkeys(whole, 24),
        **dict.fromkeys(experiments.VARIANTS, 3 * len(some)),
    }
    assert set(experiments.VARIANTS) == set(RECIPES) - {"corrected", "authors"}
    for r in routes:
        mine, path = own[r.method, r.original, r.start, r.end, r.kind].path, r.path
        assert (path.start, path.end, path.kind) == (mine.start, mine.end, mine.kind)
        assert path.seed - mine.seed == (r.variant == "refit")
        assert r.batchnorm == ("none" if r.variant == "no BatchNorm refresh" else "")
        objective = {"retain only": "finetune", "retain - forget": "gradient_difference"}.get(r.variant, "")
        assert path.method == objective
        if r.kind == "bezier":
            assert path.recipe == (r.variant if r.variant in RECIPES else "corrected")
        assert r.points == 11


def test_progress_joins_original_unlearned_and_retrained(laptop):
    routes = experiments.progress(laptop)
    forgetting = [r for r in routes if r.condition == "forgetting"]
    assert len(forgetting) == 24 and {(r.start == r.end, r.points, r.kind) for r in forgetting} == {(True, 0, "linear")}
    for r in forgetting:
        assert (r.path.start, r.path.end) == (laptop.original(), laptop.unlearned(r.method, r.start))
    for condition, count in (("retraining", 24), ("retrained", 3)):
        for variant, init in (("same init", 0), ("other init", None)):
            some = [r for r in routes if (r.condition, r.variant) == (condition, variant)]
            assert len(some) == count and {r.role == "control" for r in some} == {condition == "retrained"}
            for r in some:
                start = laptop.retrained(r.start, init=init)
                start = start if condition == "retrained" else laptop.unlearned(r.method, r.start)
                assert (r.path.start, r.path.end) == (start, laptop.retrained(r.end, init=init))


def test_a_plane_goes_through_original_unlearned_and_retrained(laptop):
    found = experiments.planes(laptop)
    assert list(found) == list(laptop.preset.methods[2:5])
    for method, plane in found.items():
        retrained = laptop.retrained(42, init=0)  # from the original's weights: else the plane shows two basins
        assert plane.models == (laptop.original(), laptop.unlearned(method, 42), retrained)


@pytest.mark.parametrize(
    ("name", "count", "kinds"),
    [("05_methods", 17, {Alike: 1, CueUse: 16}), ("09_progress_and_retraining", 3, {PlaneOf: 3})],
)
def test_notebooks_that_show_more_than_profiles(name, count, kinds, laptop):
    others = [spec for spec in EXPERIMENTS[name](laptop) if not isinstance(spec, Profile)]
    assert Counter(map(type, others)) == kinds and len(others) == count


# What claims are judged on


def walked(routes, bench):
    """Walks of routes as if everything were connected, with controls as they should be."""
    found = []
    for r in routes:
        points = r.profile(bench).trace.points
        barrier = 4.0 if r.role == "control" and ("other" in r.method or r.variant == "other init") else 0.05
        curves = {name: np.linspace(0, 1 + r.start / 100, points) ** 2 for name in METRICS}
        made = {"metrics": curves, "scores": (np.ones(points),) * 2, "t": np.linspace(0, 1, points)}
        made |= {name: getattr(r, name) for name in ("kind", "role", "original", "condition", "other", "variant")}
        found.append(walk(r.method, barrier, pair=(r.start, r.end), **made))
    return found


# At the laptop's sizes: 8 methods; 4 neighbouring pairs of seeds and 1 on another original; 3 independent pairs.
JUDGED = {
    **{"C1": 8 * 5, "C2": 8 * 5, "C21": 8 * 5 * 2, "C4": 3 * 3, "C8": 28 * 3, "C12": 5, "C15": 8 * 3, "C16": 8 * 3},
    **{"C5": 8 * 3 * 2, "C6": 8 * 3 * 2, "C7": 2 * 8 * 3 * 2, "C13": 8 * 3, "C23": 8 * 3, "C24": 8 * 3},
    **dict.fromkeys(("C9", "C10", "C11"), 8 * 5 * 2 + 2 * (8 * 3 * 2)),
}


@pytest.fixture(scope="module")
def walks(laptop):
    return {name: walked(made(laptop), laptop) for name, made in ROUTES.items()}


@pytest.mark.parametrize("claim", TESTS)
def test_every_claim_finds_the_walks_that_it_is_judged_on(claim, walks):
    names, test = TESTS[claim]
    given = [w for name in names for w in walks[name]]
    found = test(given, *([{"zrf": 0.5}] if claim == "C10" else []))
    assert found.n_pairs == JUDGED[claim] and np.isfinite(found.effect)
    held = retraining_control if names == ("09_progress_and_retraining",) else controls_hold
    assert held(given)


# What ships is what the notebooks asked for when they were last executed, so the two must agree.


@pytest.fixture(scope="module")
def asked(laptop):
    return {name: {key(spec) for spec in EXPERIMENTS[name](laptop)} for name in NOTEBOOKS}


def test_the_shipped_results_are_exactly_those_of_the_experiments_and_the_quickstart_s_models(asked, laptop):
    shipped = {path.stem for path in results(ROOT / "data" / "store")}
    models = set(map(key, experiments.shipped(laptop)))
    assert not models & set().union(*asked.values())
    assert shipped - models == set().union(*asked.values())
    assert models <= shipped


def test_what_ships_of_the_quickstart_is_enough_to_load_and_walk_it(laptop):
    """Every model that a shipped curve or endpoint is read with ships as well."""
    kept = set(experiments.shipped(laptop))
    for spec in kept:
        if not isinstance(spec, TraceOf):
            assert set(specs.parents(spec)) <= kept


def test_the_figures_were_drawn_from_exactly_the_results_of_their_experiments(asked):
    listing = ROOT / "figures" / "results.json"
    if not listing.is_file():
        pytest.skip("no list of results lies beside the figures")
    assert {name: set(entry["results"]) for name, entry in json.loads(listing.read_text()).items()} == asked


def test_the_explorer_s_plane_holds_the_quickstart_s_line_and_curve(laptop):
    line, curve, plane = experiments.explorer(laptop)
    assert [key(one) for one in (line, curve)] == [key(one) for one in experiments.quickstart(laptop)[-2:]]
    assert plane.models == (line.trace.model.start, curve.trace.model, line.trace.model.end)
    assert curve.trace.model.control_points == 1


def test_an_unknown_method_is_refused(smoke):
    with pytest.raises(BadInput, match="unknown method 'wish'"):
        experiments.quickstart(smoke, "wish")


def test_sizes_are_steps_up_to_what_the_study_forgets(laptop):
    smaller = replace(laptop, preset=replace(laptop.preset, forget=0.05))
    for routes, sizes in (
        (experiments.sizes(smaller), ["0.01", "0.02", "0.03", "0.04", "0.05"]),
        (experiments.sizes(laptop, [0.02, 0.2]), ["0.02", "0.2"]),
    ):
        assert list(dict.fromkeys(r.variant for r in routes if r.role == "method")) == sizes


def test_the_cue_is_planted_where_the_study_forgets_unless_told_otherwise(laptop):
    def planted(found):
        return {use.model.start.data.cue for (_, part), use in found.items() if part == "forgetting"}

    smaller = replace(laptop, preset=replace(laptop.preset, forget=0.05))
    assert planted(experiments.cued(smaller)) == {0.05} and planted(experiments.cued(laptop, 0.02)) == {0.02}
