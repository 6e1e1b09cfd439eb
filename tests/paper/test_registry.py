"""The registry: the lists of specs behind the notebooks, and that they are what the notebooks really use."""

import json
from collections import Counter
from dataclasses import fields

import pytest
from made_specs import NOTEBOOKS, ROOT, closure, labels, leaves, pairs_of

from mcutils.data.scenarios import Scenario
from mcutils.data.tasks import FASHION_FULL_SHA256
from mcutils.engine.conditions import CONDITIONS
from mcutils.engine.kinds import of
from mcutils.engine.specs import AlikeSpec, CueUseSpec, FitSpec, PlaneSpec, ProfileSpec, TraceSpec, _task, key
from mcutils.engine.study import study
from mcutils.errors import BadInput
from mcutils.paper.archives import computed_apart
from mcutils.paper.method_pairs import CUE
from mcutils.paper.registry import APART, EXPERIMENTS, PRICED_APART, ROUTES
from mcutils.paper.walks import Walk, references


def test_every_notebook_has_its_experiment_under_its_name():
    assert sorted(EXPERIMENTS) == sorted(NOTEBOOKS)
    assert set(ROUTES) < set(EXPERIMENTS)


def test_a_notebook_that_is_priced_apart_is_known_by_both_names():
    assert not set(APART) & set(EXPERIMENTS)
    assert all(PRICED_APART[notebook] is PRICED_APART[name] for notebook, name in APART.items())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_a_list_of_results_to_show_the_same_every_time(name, smoke):
    found = EXPERIMENTS[name](smoke)
    assert found and all(of(spec).form.suffix == ".npz" and not isinstance(spec, TraceSpec) for spec in found)
    again = study("smoke", store=str(smoke.store.folder), fresh=True)
    assert EXPERIMENTS[name](again) == found
    assert [key(spec) for spec in EXPERIMENTS[name](again)] == [key(spec) for spec in found]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_paper_s_sizes_can_be_planned_without_their_data(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MCUTILS_DATA", str(tmp_path))
    _task.cache_clear()  # what an earlier test has read
    bench = study("paper", store=str(tmp_path / "store"), fresh=True)
    assert {data.checksum for data in leaves(EXPERIMENTS[name](bench))} == {FASHION_FULL_SHA256}
    assert list(tmp_path.iterdir()) == []


OF_A_DRAW = ("05_methods", "06_forget_size", "15_claims")  # notebooks that a scenario makes no sense in


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_under_a_scenario_all_is_of_it_or_it_is_refused_in_a_sentence(name, smoke, laptop):
    for bench in (smoke, laptop) if name == "02_seeds" else (smoke,):
        under = bench.under(Scenario("class", label=1))
        if name in OF_A_DRAW:
            with pytest.raises(BadInput, match="of a random draw of the forget set, got the scenario 'class label=1'"):
                EXPERIMENTS[name](under)
        else:
            traces = [one for one in closure(EXPERIMENTS[name](under)) if isinstance(one, TraceSpec)]
            assert {one.model.data.scenario for one in traces} == {under.data.scenario}


@pytest.mark.parametrize("name", ROUTES)
def test_routes_are_told_apart_by_their_labels_and_paths_agree_with_these(name, laptop):
    routes = ROUTES[name](laptop)
    said = [f.name for f in fields(Walk) if f.name != "profile"]
    ours = [r for r in routes if not r.control]
    assert set(labels(ours, *said).values()) == {1}
    for r in ours:
        start, end = r.path.start, r.path.end
        assert r.kind == r.path.kind
        if r.condition in CONDITIONS:
            named = CONDITIONS[r.condition]
            assert (start.seed, end.seed) == (r.start, r.end)
            # Sizes of the forget set differ in 06; the original model does not. With a cue, and aside, it is another.
            assert start.origin.seed == end.origin.seed == r.original
            assert start.origin == end.origin or r.aside
            assert start.origin == laptop.original(r.original) or r.aside or r.form == CUE
            assert (start.method, end.method) == (r.method, r.other or r.method)
            if r.form.startswith("trained with"):  # one original, the end's, or both were; the ends are plain
                assert {(one.curriculum, one.optimizer) for one in (start, end)} == {("none", "adamw")}
                changed = [one.origin != laptop.original(r.original) for one in (start, end)]
                assert changed == [r.condition == "random", True]
                continue
            for one, spec in ((named.start, start), (named.end, end)):
                assert (spec.curriculum != "none", spec.optimizer != "adamw") == (one.curriculum, one.second_order)


@pytest.mark.parametrize(
    ("name", "across", "inside", "authors"),
    [
        ("03_curriculum", "cl-non_cl", "random_in_cl", "superloss_authors"),
        ("04_second_order", "fo-so", "random_in_so", "soul"),
    ],
)
def test_a_condition_stands_beside_random_on_every_original(name, across, inside, authors, laptop):
    routes = [r for r in ROUTES[name](laptop) if not r.control and not r.aside]
    count, few = len(laptop.preset.fit) * len(laptop.originals), 11
    found = labels([r for r in routes if not r.form], "condition", "kind", "points")
    for kind in ("linear", "bezier"):
        # A path that is shown is walked at all points, and counted at as few as the others.
        assert found["random", kind, 0] == found[across, kind, few] == found[inside, kind, few] == count
    pairs = {(original, *laptop.seeds) for original in laptop.originals}
    for condition in ("random", across, inside):
        assert pairs_of(r for r in routes if r.condition == condition) == pairs
    theirs = [r.path for r in routes if r.form == authors]
    assert len(theirs) == 3 and all(authors in (p.start.curriculum, p.end.optimizer) for p in theirs)
    # The same walks as those of 02, where there are any.
    random = {r.profile(laptop) for r in routes if r.condition == "random"}
    assert random <= set(EXPERIMENTS["02_seeds"](laptop))


@pytest.mark.parametrize(
    ("name", "count", "kinds"),
    [
        ("05_methods", 31, {AlikeSpec: 1, CueUseSpec: 30}),
        ("08_curve_fitting", 219, {FitSpec: 219}),
        ("09_progress_and_retraining", 25, {PlaneSpec: 1, FitSpec: 24}),
    ],
)
def test_notebooks_that_show_more_than_profiles(name, count, kinds, laptop):
    others = [spec for spec in EXPERIMENTS[name](laptop) if not isinstance(spec, ProfileSpec)]
    assert Counter(map(type, others)) == kinds and len(others) == count


def test_the_figures_were_drawn_from_exactly_the_results_of_their_experiments(asked, laptop, tmp_path):
    listing = ROOT / "figures" / "results.json"
    if not listing.is_file() or not (listing.parent / "claims.csv").is_file():
        pytest.skip("no list of results of this design lies beside the figures")
    drawn = {name: set(entry["results"]) for name, entry in json.loads(listing.read_text()).items()}
    own = {name: keys for name, keys in drawn.items() if name not in APART}
    levels = {key(one) for one in references(laptop)}  # which every walk keeps: to read them anew is for few
    apart = {n: set(map(key, specs)) for n, specs in computed_apart(study("laptop", store=str(tmp_path))).items()}
    more = {
        "09_progress_and_retraining": apart.get("alignment", set()),
        "15_claims": set().union(*apart.values(), *asked.values()),
    }
    assert set(own) == set(asked)
    for name, keys in own.items():
        assert asked[name] - keys <= levels, name
        assert keys - asked[name] <= more.get(name, set()), name
