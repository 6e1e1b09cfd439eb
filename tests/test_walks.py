"""Walks: which pairs are joined, what the controls are, and a walk's numbers in units of the gap."""

from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import RING, SEEDS, walk

import mcutils as mc
from mcutils.settings import BadInput
from mcutils.specs import is_line
from mcutils.walks import TWIN, control_paths, ring, seed_paths, walk_all


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Specs of a small study; nothing is computed."""
    folder = str(tmp_path_factory.mktemp("walks") / "store")
    return mc.study("smoke", store=folder, seeds=[42, 87, 21], methods=["npo", "salun"], points=3, width=4)


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


@pytest.mark.parametrize("seeds", [(), (42,), (42, 42), (42, 87, 42)])
def test_a_pair_needs_two_seeds(seeds):
    with pytest.raises(BadInput, match="two different seeds or more"):
        ring(seeds)


# Plans


def test_a_path_of_each_kind_joins_each_pair_of_each_method(study):
    planned = seed_paths(study, ["npo", "salun"], ring((42, 87, 21)))
    assert [p[:5] for p in planned] == [
        (method, kind, start, end, "method")
        for method in ("npo", "salun")
        for start, end in ((42, 87), (87, 21), (21, 42))
        for kind in ("linear", "bezier")
    ]
    for method, kind, start, end, _, path in planned:
        assert path == study.path(study.unlearned(method, start), study.unlearned(method, end), kind)
        assert (path.kind, path.start.method, path.end.method) == (kind, method, method)
        assert (path.start.seed, path.end.seed) == (start, end)
        assert path.start.origin == path.end.origin == study.original(0)
        assert is_line(path) == (kind == "linear")


def test_the_negative_control_joins_two_initialisations(study):
    planned = [p for p in control_paths(study, ["npo", "salun"]) if p[0] == "other initialisation"]
    assert [p[5].start.method for p in planned] == ["npo", "salun"]
    for _, kind, start, end, role, path in planned:
        assert (kind, start, end, role) == ("linear", 42, 87, "control")
        assert is_line(path)
        assert path.start.origin == study.original(0) and path.end.origin == study.original(1)
        assert path.start.origin.seed != path.end.origin.seed
        assert path.start.settings == path.end.settings
        assert (path.start.method, path.start.seed, path.end.seed) == (path.end.method, 42, 87)


def test_the_positive_control_joins_an_endpoint_and_its_fine_tuned_twin(study):
    planned = [p for p in control_paths(study, ["npo", "salun"]) if p[0] == "fine-tuned twin"]
    assert [p[5].start for p in planned] == [study.unlearned(m, 42) for m in ("npo", "salun")]
    for _, kind, start, end, role, path in planned:
        assert (kind, start, end, role) == ("linear", 42, 87, "control")
        assert is_line(path)
        assert path.end.origin == path.start and path.end.method == "finetune"
        assert path.end.settings.plan == TWIN
    assert TWIN.steps == 50 and TWIN.lr <= 1e-4


def test_controls_need_two_seeds(study):
    one = SimpleNamespace(seeds=(42,))
    with pytest.raises(BadInput, match="two different seeds"):
        control_paths(one, ["npo"])


def test_planned_paths_come_back_as_walks_in_order(study):
    planned = seed_paths(study, ["npo"], [(42, 87)]) + control_paths(study, ["npo"])
    asked, known = [], [walk("x", 0.1 * k).profile for k in range(4)]

    def run(specs):
        asked.extend(specs)
        return known

    found = walk_all(SimpleNamespace(profile=study.profile, run=run), iter(planned))
    assert asked == [study.profile(p[5]) for p in planned]
    assert [(w.method, w.kind, w.start, w.end, w.role) for w in found] == [p[:5] for p in planned]
    assert [w.profile for w in found] == known
    assert not study.store.folder.exists()  # nothing was computed


# Numbers


def test_a_walk_counts_in_units_of_the_gap():
    one = walk("npo", barrier=0.3, deficit=0.05, gap=4.0)
    assert one.profile.connectivity["barrier_retain"] == pytest.approx(1.2)
    assert (one.barrier, one.deficit) == pytest.approx((0.3, 0.05))
    for name, value in (("barrier", 0.3), ("deficit", 0.05)):
        assert one.replicates(name).shape == (60,)
        np.testing.assert_allclose(one.replicates(name), value, atol=0.01)
    with pytest.raises(BadInput, match="unknown measure 'literal': choose one of barrier, deficit"):
        one.replicates("literal")


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
