"""Pictures: traces of the forget examples for every method's first pair and every notebook's last path."""

from dataclasses import replace

import numpy as np
import pytest
from made_worlds import Shape, profile as made_profile

import mcutils as mc
from mcutils.engine.specs import ProfileSpec, TraceSpec, is_line, key
from mcutils.paper import pictures
from mcutils.paper.archives import archives
from mcutils.paper.quickstart import explorer, shipped
from mcutils.paper.registry import EXPERIMENTS
from mcutils.paper.stories import Told, told_by
from mcutils.paper.walks import profiles, references


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Specs of a study with three originals; nothing is computed."""
    return mc.study("smoke", store=str(tmp_path_factory.mktemp("three")), fresh=True, originals=3, refresh="weighted")


def test_every_method_has_a_line_and_a_curve_in_a_plane(three):
    wanted = pictures.needs(three)
    whole = set(shipped(three))
    traces = [one for one in wanted if isinstance(one, TraceSpec)]
    routes = pictures.first(three)
    assert {(r.method, r.kind) for r in routes} == {(m, k) for m in three.preset.methods for k in ("linear", "bezier")}
    assert all(one.splits == ("forget",) for one in traces)
    for route in routes:
        trace = route.profile(three).trace
        assert (trace in whole) != (replace(trace, splits=("forget",)) in traces)
    planes = [one for one in wanted if one not in traces]
    assert [one.models[1] for one in planes] == [route.path for route in routes if not is_line(route.path)]
    assert explorer(three)[-1] in planes


class Made:
    """A store that has every profile among some specs; the later a spec, the deeper its path."""

    folder = "made"

    def __init__(self, specs):
        self.places = {spec: place for place, spec in enumerate(specs)}

    def __contains__(self, spec):
        return spec in self.places

    def get(self, spec):
        shape = Shape(dip=0.1 + 0.001 * self.places[spec])
        return made_profile(0, shape, np.random.default_rng(0), spec.trace.points)


def test_a_notebook_s_last_path_is_found_where_all_its_walks_are_stored(three):
    bare = pictures.last(three)
    assert [pictures.fit_name(route) for route in bare[:2]] == ["corrected", "authors"]
    assert bare[2:] == pictures.merging(three)[:1]
    wanted = [route.profile(three) for route in pictures.sizes(three)]
    assert len(pictures.last(replace(three, store=Made(wanted[:-1])))) == 3, "nothing is computed for it"
    found = pictures.last(replace(three, store=Made(wanted)))
    lines = [route for route in pictures.sizes(three) if route.size and route.kind == "linear"]
    assert found[3:] == [lines[-1]]
    with_it = pictures.needs(replace(three, store=Made(wanted)))
    assert pictures.picture(lines[-1].profile(three).trace) in with_it


def test_a_story_s_path_and_the_one_beside_it_have_pictures_where_all_that_tells_it_is_stored(three, monkeypatch):
    routes = told_by(three)
    needed = [*profiles(three, routes), *references(three)]
    one, other, third = routes[-1], routes[3], routes[5]
    stories = [Told("a", "", "", "", one, other), Told("b", "", "", ""), Told("c", "", "", "", third)]
    monkeypatch.setattr(pictures, "told", lambda study: stories)
    assert pictures.of_stories(replace(three, store=Made(needed[:-1]))) == [], "nothing is computed for it"
    whole = replace(three, store=Made(needed))
    assert pictures.of_stories(whole) == [one, other, third]
    wanted = pictures.needs(whole)
    assert all(pictures.picture(route.profile(three).trace) in wanted for route in (one, other, third))


def test_what_is_stored_of_them_ships(three):
    wanted = pictures.needs(three)
    more = pictures.picture(next(s for s in EXPERIMENTS["03_curriculum"](three) if isinstance(s, ProfileSpec)).trace)
    assert not any(name.startswith("pictures") for name in archives(replace(three, store=frozenset())))
    held = archives(replace(three, store=frozenset([*wanted, more])))
    keys = [k for name, part in held.items() if name.startswith("pictures") for k in part]
    assert set(keys) == {key(one) for one in [*wanted, more]} - {key(explorer(three)[-1])}
    assert key(explorer(three)[-1]) in held["14_explorer"] + held["00_quickstart"]
