"""Experiments: the lists of specs behind the notebooks, and that they are what the notebooks really use."""

import json
from pathlib import Path as FilePath

import pytest

from mcutils import experiments, specs
from mcutils.data import FASHION_FULL_SHA256
from mcutils.experiments import EXPERIMENTS
from mcutils.settings import BadInput
from mcutils.specs import Original, Path, Profile, Retrained, TraceOf, Unlearned, key
from mcutils.study import study

ROOT = FilePath(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return study("smoke", store=str(tmp_path_factory.mktemp("store")), fresh=True)


def test_every_notebook_has_its_experiment_under_its_name():
    assert sorted(EXPERIMENTS) == NOTEBOOKS


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_a_list_of_profiles_or_models_the_same_every_time(name, smoke):
    found = EXPERIMENTS[name](smoke)
    assert found and all(isinstance(spec, (Profile, Original, Retrained, Unlearned, Path)) for spec in found)
    again = study("smoke", store=str(smoke.store.folder), fresh=True)
    assert EXPERIMENTS[name](again) == found
    assert [key(spec) for spec in EXPERIMENTS[name](again)] == [key(spec) for spec in found]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_paper_s_sizes_can_be_planned_without_their_data(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MCUTILS_DATA", str(tmp_path))
    specs._task.cache_clear()  # what an earlier test has read
    bench = study("paper", store=str(tmp_path / "store"), fresh=True)
    found = EXPERIMENTS[name](bench)
    assert found and {one.trace.model.data.checksum for one in found} == {FASHION_FULL_SHA256}
    assert list(tmp_path.iterdir()) == []


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


def test_seeds_have_a_line_and_a_curve_for_each_pair_and_two_controls_for_three_methods(smoke):
    paths = models(experiments.seeds(smoke))
    assert all(isinstance(path, Path) for path in paths)
    methods, pairs = len(smoke.preset.methods), smoke.preset.pairs
    assert len(paths) == methods * pairs * 2 + 3 * 2
    assert sum(path.kind == "bezier" for path in paths) == methods * pairs


# What ships is what the notebooks asked for when they were last executed, so the two must agree.


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    return study("laptop", store=str(tmp_path_factory.mktemp("none")))


@pytest.fixture(scope="module")
def asked(laptop):
    return {name: {key(spec) for spec in made(laptop)} for name, made in EXPERIMENTS.items()}


def test_the_shipped_profiles_are_exactly_those_of_the_experiments(asked):
    shipped = {path.stem for path in (ROOT / "data" / "store").glob("profile-*.npz")}
    assert shipped == set().union(*asked.values())


def test_the_shipped_models_and_traces_are_exactly_those_of_the_quickstart(laptop):
    files = [p for end in ("npz", "safetensors") for p in (ROOT / "data" / "store").glob(f"*.{end}")]
    assert {p.stem for p in files if not p.stem.startswith("profile-")} == set(map(key, experiments.shipped(laptop)))


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


def test_an_unknown_method_is_refused(smoke):
    with pytest.raises(BadInput, match="unknown method 'wish'"):
        experiments.quickstart(smoke, "wish")
