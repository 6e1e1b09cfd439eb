"""Archives and shards: who a result belongs to, and that shards together are all that a run computes."""

from dataclasses import replace
from functools import cache
from itertools import chain

import pytest

import mcutils as mc
from mcutils.cli.reproduce import SHIPPED
from mcutils.cli.stores import planned
from mcutils.engine.kinds import parents
from mcutils.engine.specs import is_line, key
from mcutils.engine.upkeep import notes
from mcutils.errors import BadInput
from mcutils.paper import between_models, privacy_pool
from mcutils.paper.archives import archives, computed_apart, original_of, originals_of, shard
from mcutils.paper.progress_and_retraining import independent
from mcutils.paper.registry import EXPERIMENTS
from mcutils.paper.walks import controls
from mcutils.reading import archives as archived


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Specs of a study with three originals; nothing is computed."""
    return mc.study("smoke", store=str(tmp_path_factory.mktemp("three")), fresh=True, originals=3, refresh="weighted")


def computed(specs):
    """Keys of all that a run of these specs computes."""
    found, left = set(), list(specs)
    while left:
        spec = left.pop()
        if key(spec) not in found:
            found.add(key(spec))
            left += parents(spec)
    return found


@cache
def draws(spec):
    """The draws of all models that a result is made from, found without the function under test."""
    made_from = parents(spec)
    return frozenset().union(*map(draws, made_from)) if made_from else frozenset({spec.data.draw})


@pytest.fixture(scope="module")
def crossing(three):
    """What joins two originals: of all results the controls, and the paths between originals, each a ring."""
    ring = [r for r in independent(three) if r.condition == "originals"]
    found = [one for one in (r.profile(three) for r in (*controls(three), *ring)) if len(draws(one)) == 2]
    assert [sorted(draws(one)) for one in found] == [
        [0, 1],
        [1, 2],
        [0, 2],
        *2 * [[0, 1]],
        *2 * [[1, 2]],
        *2 * [[0, 2]],
    ]
    return found + [three.fit_record(r.path) for r in ring if r.kind == "bezier"]  # and how its curves were fitted


@pytest.mark.parametrize("names", [[], ["02"], ["05", "09"]])
def test_shards_together_compute_exactly_what_a_run_does(three, names):
    whole = planned(names, three)
    shards = [planned(names, three, original=str(k)) for k in range(3)]
    assert sorted(map(key, chain(*shards))) == sorted(map(key, whole))  # each once
    assert set().union(*map(computed, shards)) == computed(whole)
    assert all(shards)
    with pytest.raises(BadInput, match="no result belongs to original 3 alone: give one of 0, 1, 2"):
        planned(names, three, original="3")


def test_a_metric_has_shards_too(three):
    whole = planned(["03"], three, "loss_forget")
    shards = [planned(["03"], three, "loss_forget", str(k)) for k in range(3)]
    assert sorted(map(key, chain(*shards))) == sorted(map(key, whole)) != []
    # A metric of test images is of the paths that were traced on some.
    tested = planned(["03"], three, "TA")
    assert 0 < len(tested) < len(whole) and all("test" in one.trace.held for one in tested)


def test_what_hangs_on_one_original_needs_no_other(three, crossing):
    for k in range(3):
        for spec in planned([], three, original=str(k)):
            assert original_of(spec) == k == min(originals_of(spec) or {0})
            joined = draws(spec)
            if max(joined) >= 3:  # another draw of the forget set, which has its originals' numbers with it
                assert joined == {k, three.redrawn(k)} == {k, 3 + k}
                continue
            assert joined == {k} or (len(joined) == 2 and k == min(joined) and spec in crossing)


def test_an_archive_holds_a_shard_of_a_notebook(three):
    found = archives(three, shards=True)
    assert {f"02_seeds-original{k}" for k in range(3)} <= set(found)
    keys = list(chain(*found.values()))
    assert len(set(keys)) == len(keys)
    specs = {key(spec): spec for ask in EXPERIMENTS.values() for spec in ask(three)}
    for name, held in found.items():
        seed = int(name.rpartition("original")[2])
        assert {original_of(specs[k]) for k in held if k in specs} <= {seed}
    assert {k for k, spec in specs.items() if not is_line(spec)} <= set(keys)


def test_what_ships_is_an_archive_a_notebook(three):
    shards, found = archives(three, shards=True), archives(three)
    assert list(found) == list(dict.fromkeys(name.rpartition("-original")[0] for name in shards))
    for name, keys in found.items():
        parts = [held for part, held in shards.items() if part.rpartition("-original")[0] == name]
        assert len(parts) > 1 or name in ("00_quickstart", "14_explorer"), name
        assert sorted(keys) == sorted(chain(*parts))


def test_what_is_priced_apart_ships_once_all_of_it_is_stored(three):
    lines, pool = between_models.needs(three), privacy_pool.pool_needs(three)
    whole = replace(three, store=frozenset([*lines, *pool]))
    assert computed_apart(three) == {} == computed_apart(replace(three, store=frozenset([*lines[1:], *pool[1:]])))
    assert set(computed_apart(replace(three, store=frozenset(lines)))) == {"n1"}
    more = {name: keys for name, keys in archives(whole, shards=True).items() if name.startswith("n1-")}
    assert set(more) == {f"n1-original{k}" for k in between_models.ORIGINALS}
    assert sorted(archives(whole)["n1"]) == sorted(chain(*more.values()))
    assert sorted(chain(*more.values())) == sorted({key(one) for one in lines})
    assert computed_apart(mc.study("smoke", store=str(three.store.folder))) == {}


def test_archives_are_as_they_ship(tmp_path):
    """Those of the committed results, by name and content, with what is priced apart as far as it is among them."""
    expected = archives(mc.study("laptop", store=str(tmp_path / "none")))
    assert set(expected) == {path.name.partition(".")[0] for path in archived(SHIPPED)}
    where = {k: note["path"] for k, note in notes([SHIPPED]).items()}
    for name, keys in expected.items():
        assert all(where[k].parent.name.partition(".")[0] == name for k in keys), name


def test_a_shard_keeps_the_order(three):
    whole = planned(["02"], three)
    for k in range(3):
        kept = shard(whole, k)
        assert kept == [spec for spec in whole if spec in kept]
