"""Scenes: what is looked at, what it says in words, and where its paths lie on a plane."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic

from mcutils.errors import BadInput
from mcutils.explorer.scene import PAGE, View, extreme, metrics_of, read_once, scene, shown, spans
from mcutils.explorer.sources import Source, sources
from mcutils.measures.along import barrier, forget_deficit
from mcutils.measures.planes import Plane

T = 5


def made(view=None, more=None, **options):
    """A scene of synthetic traces, by name, and their scene's numbers."""
    trace = synthetic.trace(T, seed=3)
    given = {"one": trace, "two": synthetic.trace(3, seed=4), **(more or {})}
    found = {one.name: one for one in sources(given, **options)}
    return scene(view or View("one"), found)


def test_a_view_has_a_panel_for_each_split_that_its_quantity_has():
    assert metrics_of(View("one", splits=("test", "retain"))) == ("loss_retain", "loss_test")
    assert metrics_of(View("one", metric="UA")) == ("UA",)
    assert metrics_of(View("one", metric="agreement", splits=("retain",))) == ("agreement_forget",)
    assert made(View("one", metric="zrf")).metrics == ()


def test_two_paths_stand_each_at_its_own_nearest_point():
    one = made(View("one", k=1, compare="two"))
    assert one.beside(1) == (1, 0) and one.beside(4) == (4, 2)
    assert [one.short(k) for k in range(2)] == ["one", "two"]


def test_pages_cover_all_images_once():
    one = made()
    seen = [place for number in range(one.pages) for place in made(View("one", page=number)).places]
    assert seen == list(range(40)) and one.pages == 2 and len(one.places) == PAGE
    assert made(View("one", page=99)).view.page == one.pages - 1


def test_barrier_and_deficit_are_where_they_are():
    trace = synthetic.trace(T, margin={"retain": 3.0, "forget": 1.0, "valid": 3.0, "test": 3.0}, seed=1)
    trace.logits["forget"][3] *= 4  # known better there
    (source,) = sources(trace)
    one = source.read()
    values = one.values("loss_forget")
    k, size, words = extreme(one, "loss_forget")
    assert k == 3 and size == pytest.approx(forget_deficit(values, one.t)) and words == f"deficit {size:.3f} nats"
    assert extreme(one, "loss_retain")[1] == pytest.approx(barrier(one.values("loss_retain"), one.t))
    assert extreme(one, "accuracy_retain") is None
    assert "forget" in scene(View("bezier", eps=0.5 * size), {"bezier": source}).verdict(0)
    assert scene(View("bezier", eps=2 * size), {"bezier": source}).verdict(0) == "holds"


def test_a_view_is_told_in_words():
    alt = made(View("one", compare="two")).alt(2)
    assert alt.startswith("one; at t = 0.500: retain loss") and "MCU(0.1)" in alt


def test_the_state_is_the_view_by_the_drawing_s_names():
    view = View("one", 2, "accuracy", ("test",), 0.25, "two", True, 1)
    assert made(view).state == {**vars(view), "splits": ["test"]}


def plane_of():
    x, y = np.linspace(-1, 3, 9), np.linspace(-1, 2, 7)
    z = 0.1 + x[None, :] ** 2 + 2 * y[:, None] ** 2
    models = np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)])
    return Plane(x, y, {"loss_retain": z, "loss_forget": z}, models, {}, {})


def with_plane(kind, places):
    (one,) = sources({kind: synthetic.trace(T)})
    return Source(one.name, one.label, {"curve": kind, "path": kind}, one.read, True, lambda: (plane_of(), places))


def test_the_curve_on_the_plane_is_the_curve_of_its_points():
    t = np.array([0.0, 0.5, 1.0])
    expected = {
        ("bezier", (0, 1, 2)): [(0, 0), (1, 0.5), (2, 0)],
        ("linear", (0, 2)): [(0, 0), (1, 0), (2, 0)],
        ("chain", (0, 1, 2)): [(0, 0), (1, 1), (2, 0)],
    }
    for (kind, places), found in expected.items():
        one = scene(View(kind), {kind: with_plane(kind, places)})
        assert one.on_plane(0, t) == pytest.approx(np.array(found, float))
    assert made().on is None and made().on_plane(0, t) is None


def test_a_path_is_read_once_and_a_damaged_plane_is_told():
    asked = []

    def counted():
        asked.append(1)
        return plane_of(), (0, 2)

    (one,) = sources({"linear": synthetic.trace(T)})
    kept = {}
    for _ in range(3):
        scene(View("linear"), {"linear": replace(one, plane=counted)}, kept)
    assert len(asked) == 1

    def damaged():
        raise BadInput("planeof-0 cannot be shown, its checksum differs.")

    numbers, plane = read_once(replace(one, plane=damaged), {})
    assert plane == "planeof-0 cannot be shown, its checksum differs" and len(numbers.t) == T


def test_broken_stretches_reach_half_way_to_their_neighbours():
    t = np.array([0, 0.2, 0.6, 1.0])
    assert spans(np.array([False, True, True, False]), t) == [(0.1, 0.8)]
    assert spans(np.array([True, False, False, True]), t) == [(0.0, 0.1), (0.8, 1.0)]
    assert spans(np.zeros(4, bool), t) == []


@pytest.mark.parametrize("name,value,text", [
    ("loss_retain", 0.12345, "0.123"), ("accuracy_test", 0.87654, "87.7"), ("loss_retain", -1e-9, "0.000"),
    ("loss_retain", np.nan, "not finite"), ("loss_retain", np.inf, "not finite"),
])  # fmt: skip
def test_values_in_text(name, value, text):
    assert shown(name, value) == text


def test_a_view_of_what_is_not_is_refused():
    for wrong in ({"path": "zero"}, {"compare": "zero"}):
        with pytest.raises(BadInput, match="unknown path 'zero'"):
            made(View(**{"path": "one", **wrong}))
