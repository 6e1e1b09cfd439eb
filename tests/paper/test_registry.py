"""The registry: what each notebook needs, what ships together, and which original a result belongs to."""

from dataclasses import replace
from functools import cache
from itertools import chain

import numpy as np
import pytest
from worlds import Shape, profile

from mcutils.cli.reproduce import SHIPPED
from mcutils.cli.stores import planned
from mcutils.engine.specs import ProfileSpec, is_line, key
from mcutils.errors import BadInput
from mcutils.paper import difficulty, ensembles, experiments as e, privacy, registry
from mcutils.paper.stories import Told
from mcutils.reading import archived


def made_of(specs):
    """Keys of all that a run of these specs computes."""
    found, left = set(), list(specs)
    while left:
        spec = left.pop()
        if key(spec) not in found:
            found.add(key(spec))
            left += spec.parents()
    return found


@cache
def draws(spec):
    """The draws of all models that a result is made from, found without the function under test."""
    made_from = spec.parents()
    return frozenset().union(*map(draws, made_from)) if made_from else frozenset({spec.data.draw})


def test_what_is_priced_apart_is_known_by_both_names():
    assert all(
        registry.PRICED_APART[notebook] is registry.PRICED_APART[name] for notebook, name in registry.APART.items()
    )
    by_name = {"n1": e.between_needs, "privacy": privacy.needs, "ensembles": ensembles.needs}
    by_name |= {"difficulty": difficulty.needs, "alignment": difficulty.aligned_needs}
    assert all(registry.PRICED_APART[name] is needs for name, needs in by_name.items())


# Shards


@pytest.fixture(scope="module")
def crossing(three):
    """What joins two originals: of all results the controls, and the paths between originals, each a ring."""
    ring = [r for r in e.apart(three) if r.condition == e.ORIGINALS]
    found = [one for one in (r.profile(three) for r in (*e.controls(three), *ring)) if len(draws(one)) == 2]
    pairs = [[0, 1], [1, 2], [0, 2]]
    assert [sorted(draws(one)) for one in found] == [*pairs, *(pair for pair in pairs for _ in (1, 2))]
    return found + [three.fit_record(r.path) for r in ring if r.kind == "bezier"]  # and how its curves were fitted


@pytest.fixture(scope="module")
def shards(three):
    return [[*chain(*planned([], three, original=str(k)).values())] for k in range(3)]


def test_shards_together_compute_exactly_what_a_run_does(three, shards):
    whole = [*chain(*planned([], three).values())]
    assert sorted(map(key, chain(*shards))) == sorted(map(key, whole))  # each once
    assert set().union(*map(made_of, shards)) == made_of(whole) and all(shards)
    for k, part in enumerate(shards):
        held = set(part)
        assert registry.shard(whole, k) == [spec for spec in whole if spec in held]
    with pytest.raises(BadInput, match="no result belongs to original 3 alone: give one of 0, 1, 2"):
        planned(["02"], three, original="3")


def test_what_hangs_on_one_original_needs_no_other(three, crossing, shards):
    for k, part in enumerate(shards):
        for spec in part:
            assert registry.original_of(spec) == k == min(registry.originals_of(spec) or {0})
            joined = draws(spec)
            if max(joined) >= 3:  # another draw of the forget set, which has its originals' numbers with it
                assert joined == {k, three.redrawn(k)} == {k, 3 + k}
            else:
                assert joined == {k} or (len(joined) == 2 and k == min(joined) and spec in crossing)


def test_what_was_trained_anew_belongs_to_whom_it_stands_beside(laptop):
    (learned, *_) = difficulty.learning(laptop)
    assert registry.originals_of(learned) == {0} and not learned.parents()
    anew = laptop.retrained(42, original=5)
    assert registry.originals_of(anew) == {5} and registry.originals_of(laptop.retrained(42, init=3, original=3)) == {3}
    fourth, first = laptop.original(4), laptop.retrained(42, original=0)
    for one in (fourth, laptop.unlearned("npo", 42, origin=fourth)):
        assert registry.originals_of(one) == {4}
    for made in (privacy.retrained, privacy.trained):
        assert registry.originals_of(made(laptop, 7)) == {privacy.TRAINED + 7}
    assert registry.original_of(first) == 0 and registry.originals_of(first) == set()
    with pytest.raises(BadInput, match="give one of none"):
        registry.shard([], 0)


# Archives


@pytest.fixture
def few(monkeypatch):
    """Archives of a few experiments, to be quick."""
    kept = [name for name in registry.EXPERIMENTS if name[:2] in ("00", "02", "03", "05", "08", "14")]
    monkeypatch.setattr(registry, "EXPERIMENTS", {name: registry.EXPERIMENTS[name] for name in kept})
    return registry.EXPERIMENTS


def test_an_archive_holds_a_shard_of_a_notebook_and_all_together_what_ships(three, few, monkeypatch):
    monkeypatch.setattr(registry, "computed_apart", lambda study: {})
    shards, found = registry.archives(three, shards=True), registry.archives(three)
    assert {f"02_seeds-original{k}" for k in range(3)} <= set(shards)
    keys = list(chain(*shards.values()))
    assert len(set(keys)) == len(keys)
    specs = {key(spec): spec for ask in few.values() for spec in ask(three)}
    for name, held in shards.items():
        assert {registry.original_of(specs[k]) for k in held if k in specs} <= {int(name.rpartition("original")[2])}
    assert {k for k, spec in specs.items() if not is_line(spec)} <= set(keys)
    assert list(found) == list(dict.fromkeys(name.rpartition("-original")[0] for name in shards))
    for name, keys in found.items():
        parts = [held for part, held in shards.items() if part.rpartition("-original")[0] == name]
        assert len(parts) > 1 or name in ("00_quickstart", "14_explorer"), name
        assert sorted(keys) == sorted(chain(*parts))


def test_what_is_priced_apart_ships_once_all_of_it_is_stored(three, smoke, few):
    lines, pool = e.between_needs(three), privacy.needs(three)
    # One of each is missing; smoke has no n1, and nothing else is there.
    assert registry.computed_apart(replace(three, store=frozenset([*lines[1:], *pool[1:]]))) == {}
    assert registry.computed_apart(replace(smoke, store=frozenset(lines))) == {}
    whole = replace(three, store=frozenset([*lines, *pool]))
    found = registry.computed_apart(whole)
    assert set(found) == {"n1", "privacy"} and found["n1"] == lines
    shards = registry.archives(whole, shards=True)
    own = [keys for name, keys in shards.items() if name.startswith("n1-")]
    assert {name for name in shards if name.startswith("n1-")} == {f"n1-original{k}" for k in e.N1_ORIGINALS}
    assert sorted(chain(*own)) == sorted({key(one) for one in lines})
    assert set(shards["privacy-pool"]) == {key(one) for one in privacy.pool_needs(three)}


def test_what_experiments_need_ships_in_the_archive_of_the_first_that_needs_it(asked, laptop):
    where = {name.partition(".")[0]: path.parent for name, path in archived(SHIPPED).items()}
    seen, lines = set(), {key(one) for one in e.shipped(laptop) if is_line(one)}
    for name, keys in asked.items():
        more = set(map(key, e.shipped(laptop))) if name == "00_quickstart" else set()
        for one in (keys | more) - seen - lines:
            assert where[one].name.partition(".")[0] == name, name
        seen |= keys | more


# Pictures


class Made:
    """A store that has every profile among some specs; the later a spec, the deeper its path."""

    folder = "made"

    def __init__(self, specs):
        self.places = {spec: place for place, spec in enumerate(specs)}

    def __contains__(self, spec):
        return spec in self.places

    def get(self, spec):
        shape = Shape(dip=0.1 + 0.001 * self.places[spec])
        return profile(0, shape, np.random.default_rng(0), max(spec.trace.points, 11))


def test_a_notebook_s_last_path_is_found_where_all_its_paths_are_stored(three):
    bare = registry.last(three)
    assert [(route.kind, route.recipe) for route in bare[:2]] == [("bezier", ""), ("bezier", "authors")]
    assert bare[2:] == difficulty.merging(three)[:1]
    wanted = [*e.references(three), *(route.profile(three) for route in e.sizes(three))]
    for few in (wanted[:-1], wanted[1:]):
        assert len(registry.last(replace(three, store=Made(few)))) == 3, "nothing is computed for it"
    found = registry.last(replace(three, store=Made(wanted)))
    lines = [route for route in e.sizes(three) if route.size and route.kind == "linear"]
    assert found[3:] == [lines[-1]]
    trace = registry.picture(lines[-1].profile(three).trace)
    assert trace in registry.pictures(replace(three, store=Made(wanted))) and trace not in registry.pictures(three)


def test_a_story_s_path_and_the_one_beside_it_have_pictures_where_all_that_tells_it_is_stored(three, monkeypatch):
    routes = [*e.seeds(three), *e.progress(three)]
    needed = [*e.profiles(three, routes), *e.references(three)]
    one, other, third = routes[-1], routes[3], routes[5]
    stories = [Told("a", "", "", "", one, other), Told("b", "", "", ""), Told("c", "", "", "", third)]
    monkeypatch.setattr(registry, "told", lambda study: stories)
    monkeypatch.setattr(registry, "last", lambda study: [])
    bare = registry.pictures(replace(three, store=Made(needed[:-1])))
    assert bare == registry.pictures(three), "nothing is computed for it"
    more = set(registry.pictures(replace(three, store=Made(needed)))) - set(bare)
    traces = {registry.picture(route.profile(three).trace) for route in (one, other, third)}
    assert more == traces - set(bare) and more


def test_what_is_stored_of_pictures_ships(three, few, monkeypatch):
    monkeypatch.setattr(registry, "computed_apart", lambda study: {})
    wanted = registry.pictures(three)
    more = registry.picture(
        next(s for s in registry.EXPERIMENTS["03_curriculum"](three) if isinstance(s, ProfileSpec)).trace
    )
    assert "pictures" not in registry.archives(
        replace(three, store=frozenset([registry.EXPERIMENTS["02_seeds"](three)[0]]))
    )
    held = registry.archives(replace(three, store=frozenset([*wanted, more])))
    plane = key(e.explorer(three)[-1])
    assert set(held["pictures"]) == {key(one) for one in [*wanted, more]} - {plane}
    assert plane in held["14_explorer"] + held["00_quickstart"]
