"""Views: strings whose numbers are those of the path, with text for whoever does not see them."""

import base64
import hashlib
import html
import io
import json
import re
import warnings
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
import synthetic
import torch

import mcutils as mc
from mcutils.errors import BadInput
from mcutils.explorer import scene as explorer
from mcutils.explorer.figure import view_figure
from mcutils.explorer.scene import (
    View,
    _at as place_on,
    contours,
    extreme,
    nearest,
    page,
    png,
    quantities,
    scene,
    shown,
    spans,
    ticks,
)
from mcutils.explorer.sources import Source, sources
from mcutils.measures import drawing as plots
from mcutils.measures.along import barrier, chord, forget_deficit
from mcutils.measures.metrics import METRICS, measure
from mcutils.measures.planes import Plane
from mcutils.traces import Trace

T = 5


def made(view=None, more=None, **options):
    """A scene of synthetic traces, by name, and their scene's numbers."""
    trace = synthetic.trace(T, seed=3)
    given = {"one": trace, "two": synthetic.trace(3, seed=4), **(more or {})}
    found = {one.name: one for one in sources(given, **options)}
    return scene(view or View("one"), found)


def rows(text):
    """(metric, column) -> values of the read-out, in order."""
    found = {}
    for metric, at, value in re.findall(r"data-metric='(\w+)' data-at='(\w+)' data-value='([^']+)'", text):
        found.setdefault((metric, at), []).append(float(value))
    return found


@pytest.mark.parametrize("k", range(T))
def test_the_table_reads_what_the_trace_says(k):
    one = made(View("one", k=k, splits=("retain", "forget", "test")))
    values, t = measure(one.numbers[0].trace), one.t
    found = rows(one.frame(k))
    assert {name for name, _ in found} == {f"{q}_{s}" for q in ("loss", "accuracy") for s in ("retain", "forget")} | {
        "loss_test"
    }
    for name in {name for name, _ in found}:
        v, line = values[name], chord(values[name], t)
        expected = {"t": v[k], "start": v[0], "end": v[-1], "chord": line[k], "excess": v[k] - line[k]}
        for at, value in expected.items():
            assert found[name, at] == [value]
        assert np.isnan(found[name, "retrained"])
    assert f"data-k='{k}' data-t='{float(t[k])!r}'" in one.frame(k)


def test_markers_stand_where_the_curve_is():
    one = made(View("one"))
    drawn = ElementTree.fromstring(one.backdrop.split("<div class='panels'>")[1].split("</svg>")[0] + "</svg>")
    places = [(float(c.get("cx")), float(c.get("cy"))) for c in drawn.iter("circle") if c.get("class") == "point ca"]
    assert len(places) == T
    for k, (x, y) in enumerate(places):
        assert f"--xa:{x:.1f}px" in one.frame(k) and f"--a0:{y:.1f}px" in one.frame(k)


def test_every_frame_differs_only_in_what_depends_on_t():
    one = made(View("one"))
    frames = [one.frame(k) for k in range(T)]
    assert len(set(frames)) == T and one.frame(2) == frames[2]
    order = [re.findall(r"data-row='(\d+)'", frame) for frame in frames]
    assert all(rows == order[0] for rows in order) and len(order[0]) == explorer.PAGE


@pytest.mark.parametrize("beside", [False, True])
def test_two_paths_show_each_at_its_own_nearest_point(beside):
    one = made(View("one", k=1, compare="two", beside=beside))
    assert one.beside(1) == (1, 0) and one.beside(4) == (4, 2)
    first, second = (measure(n.trace, "loss_forget")["loss_forget"] for n in one.numbers)
    assert rows(one.frame(1))["loss_forget", "t"] == [first[1], second[0]]
    assert one.frame(1).count("t = 0.250") >= 1 and one.frame(1).count("t = 0.000") == 1
    panels = one.backdrop.count("<svg")
    assert panels == (2 * 2 if beside else 2) + 1
    assert one.frame(1).count("class='said'") == 2 * explorer.PAGE


def test_pages_cover_all_images_once():
    seen = []
    for number in range(made().pages):
        seen += re.findall(r"data-row='(\d+)'", made(View("one", page=number)).frame(0))
    assert sorted(map(int, seen)) == sorted(made().numbers[0].trace.index["forget"])
    assert made(View("one", page=99)).view.page == made().pages - 1


def test_a_cell_says_label_prediction_confidence_and_a_word():
    one = made()
    found, k = one.numbers[0].forgotten, 2
    cells = one.frame(k).split("<li ")[1:]
    for place, cell in zip(one.places, cells, strict=True):
        right = bool(found.remembered[k, place])
        assert cell.startswith(f"class='{'in' if right else 'out'}'")
        assert ("✓ right" in cell) == right and ("✗ wrong" in cell) != right
        assert f"{found.predicted[k, place]} {100 * found.confidence[k, place]:.0f}&nbsp;%" in cell
        assert "aria-label='forget image" in cell


def test_barrier_and_deficit_are_marked_where_they_are():
    trace = synthetic.trace(T, margin={"retain": 3.0, "forget": 1.0, "valid": 3.0, "test": 3.0}, seed=1)
    trace.logits["forget"][3] *= 4  # known better there
    (source,) = sources(trace)
    one = source.read()
    values = one.values("loss_forget")
    k, size, words = extreme(one, "loss_forget")
    assert k == 3 and size == pytest.approx(forget_deficit(values, one.t)) and words == f"deficit {size:.3f} nats"
    assert extreme(one, "loss_retain")[1] == pytest.approx(barrier(one.values("loss_retain"), one.t))
    drawn = scene(View("bezier", eps=0.5 * size), {"bezier": source})
    assert f"deficit {size:.3f} nats" in drawn.backdrop and "MCU(" in drawn.backdrop
    assert "breaks for forget" in drawn.backdrop and "class='broken'" in drawn.backdrop
    held = scene(View("bezier", eps=2 * size), {"bezier": source})
    assert "holds" in held.backdrop and "class='broken'" not in held.backdrop


def test_broken_stretches_reach_half_way_to_their_neighbours():
    t = np.array([0, 0.2, 0.6, 1.0])
    assert spans(np.array([False, True, True, False]), t) == [(0.1, 0.8)]
    assert spans(np.array([True, False, False, True]), t) == [(0.0, 0.1), (0.8, 1.0)]
    assert spans(np.zeros(4, bool), t) == []


def test_values_that_are_not_finite_leave_a_gap_and_are_said():
    trace = synthetic.trace(T)
    trace.logits["retain"][2] = np.nan
    (source,) = sources(trace)
    one = scene(View("bezier", k=2), {"bezier": source})
    assert one.backdrop.count("class='curve ca'") == 3  # two pieces, and the whole forget loss
    assert "1 values are not finite" in one.backdrop and "not finite" in one.frame(2)
    assert "nan" not in re.sub(r"data-value='nan'", "", one.backdrop + one.frame(2))


def test_whatever_is_drawn_is_well_formed_and_told_in_words():
    one = made(View("one", compare="two"))
    for text in (one.backdrop, *(one.frame(k) for k in range(T))):
        plain = re.sub(r"&nbsp;", " ", text)
        ElementTree.fromstring(f"<x>{plain}</x>")
    labels = re.findall(r"<svg [^>]*role='img' aria-label='([^']+)'", one.backdrop)
    assert len(labels) == one.backdrop.count("<svg") and all(len(label) > 20 for label in labels)
    alt = one.alt(2)
    assert alt.startswith("one; at t = 0.500: retain loss") and "MCU(0.1)" in alt


def test_names_given_by_a_user_are_escaped():
    name = "<script>alert('x')</script>&"
    one = made(View(name), {name: synthetic.trace(T)})
    text = one.backdrop + one.frame(0) + page(one, "code <b>")
    assert "<script>alert" not in text and html.escape(name) in text


def plane_of(split_values=None):
    x, y = np.linspace(-1, 3, 9), np.linspace(-1, 2, 7)
    z = 0.1 + x[None, :] ** 2 + 2 * y[:, None] ** 2
    models = np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)])
    return Plane(x, y, {"loss_retain": z, "loss_forget": z if split_values is None else split_values}, models, {}, {})


def with_plane(kind, places, values=None):
    (one,) = sources({kind: synthetic.trace(T)})
    picks = {"curve": kind, "path": kind}
    return Source(one.name, one.label, picks, one.read, True, lambda: (plane_of(values), places))


def test_the_curve_on_the_plane_is_the_curve_of_its_points():
    t = np.array([0.0, 0.5, 1.0])
    found = {"bezier": with_plane("bezier", (0, 1, 2)), "linear": with_plane("linear", (0, 2))}
    found["chain"] = with_plane("chain", (0, 1, 2))
    expected = {
        "bezier": [(0, 0), (1, 0.5), (2, 0)],
        "linear": [(0, 0), (1, 0), (2, 0)],
        "chain": [(0, 0), (1, 1), (2, 0)],
    }
    for kind, places in expected.items():
        one = scene(View(kind), found)
        assert one.on_plane(0, t) == pytest.approx(np.array(places, float))
    both = scene(View("bezier", compare="linear", k=2), found)
    assert both.backdrop.count("class='halo'") == 4
    x, y = place_on(both.on, 1, 0.5)
    assert f"--pa:{x:.1f}px;--qa:{y:.1f}px" in both.frame(2)


def test_a_plane_is_read_once_and_a_damaged_one_is_told():
    asked = []

    def counted(places):
        asked.append(places)
        return plane_of(), places

    (one,), (two,) = (sources({kind: synthetic.trace(T)}) for kind in ("linear", "other"))
    found = {
        "linear": replace(one, plane=lambda: counted((0, 2))),
        "other": replace(two, plane=lambda: counted((0, 2))),
    }
    drawn = scene(View("linear", compare="other"), found)
    for k in range(T):
        drawn.frame(k)
    assert len(asked) == 2 and drawn.backdrop

    def damaged():
        raise BadInput("planeof-0 cannot be shown, its checksum differs.")

    drawn = scene(View("linear"), {"linear": replace(one, plane=damaged)})
    assert "its checksum differs" in drawn.backdrop and "class='curve ca'" in drawn.backdrop


def test_a_plane_with_a_value_that_is_not_finite_is_drawn():
    values = np.array(plane_of().values["loss_retain"])
    values[0, 0] = np.nan
    one = scene(View("linear"), {"linear": with_plane("linear", (0, 2), values)})
    assert one.backdrop.count("class='level'") > 4 and "nan" not in one.backdrop


def test_contours_enclose_what_is_above_their_level():
    x, y = np.linspace(0, 1, 11), np.linspace(0, 1, 11)
    found = list(contours(x, y, 1 + x[None, :] * np.ones((11, 1))))
    levels = [level for level, _ in found]
    assert levels == sorted(levels) and levels[0] == pytest.approx(1) and levels[-1] < 2
    for level, polygons in found:
        low = min(ring[0][:, 0].min() for ring in polygons)
        assert low == pytest.approx(max(0, level - 1), abs=0.005)


@pytest.mark.parametrize("channels,shown", [(1, 1), (3, 3), (2, 1)])
def test_images_are_pngs_of_their_pixels(channels, shown):
    image = np.random.default_rng(0).integers(0, 256, (channels, 4, 5)).astype(np.uint8)
    data = png(image)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    pixels = matplotlib.image.imread(io.BytesIO(data))  # as fractions of 255
    assert np.array_equal(np.rint(255 * pixels).reshape(4, 5, shown), image[:shown].transpose(1, 2, 0))


def test_a_page_needs_nothing_else_and_holds_every_frame():
    one = made(View("one", k=3))
    text = page(one, "mc.explore(x)")
    assert not re.search(r"(src|href)=|https?:|@\w+@|url\((?!data:|#mcx-hatch)", text)
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert data["frames"] == [one.frame(k) for k in range(T)] and data["t"] == one.t.tolist()
    assert 'value="3"' in text and f'max="{T - 1}"' in text and "mc.explore(x)" in text


def test_images_of_the_page_are_inside_once():
    one = made(View("one"), task=None)
    assert one._images() == "" and "Numbers for pictures" in one.frame(0)


def test_images_are_embedded(task):
    """Made-up logits on rows of a real task."""
    trace = synthetic.trace(T, classes=10)
    for split, rows_ in task.evaluation.items():
        trace.index[split][:] = rows_[:40].numpy()
        trace.labels[split][:] = task.y[rows_[:40]].numpy()
    (source,) = sources(trace, task=task)
    one = scene(View("bezier"), {"bezier": source})
    found = re.findall(r"\.mcx0 i\.i(\d+)\{background-image:url\(data:image/png;base64,([^)]+)\)", one.style)
    assert [int(k) for k, _ in found] == list(range(explorer.PAGE))
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for _, data in found)


NAMES = ("@data@", "<b>", "</script>", "'\"`", "$x_$", "ключ 鍵 🔑", "\\u003c", "&amp;", "_hidden", "a" * 300)


def own(x, names=NAMES, seed=0):
    """A scene of made-up logits over a task of one's own, ``x`` (N, ...) with names for its classes, and the task."""
    rng, k = np.random.default_rng(seed), len(names)
    task = mc.task(
        x, np.arange(80 if isinstance(x, dict) else len(x)) % k, forget=0.3, test=0.2, classes=names, name="mine"
    )
    rows = {split: one.numpy() for split, one in task.evaluation.items()}
    logits = {split: rng.normal(size=(T, len(one), k)).astype(np.float16) for split, one in rows.items()}
    labels = {split: task.y[one].numpy() for split, one in rows.items()}
    trace = Trace(np.linspace(0, 1, T), logits, labels, rows, {"checksum": task.checksum})
    found = {one.name: one for one in sources({"mine": trace}, task=task)}
    return scene(View("mine", k=1), found), task


@pytest.mark.parametrize("classes", [3, 10, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_ones_own_are_shown_as_they_were(channels, classes):
    x = np.random.default_rng(1).integers(0, 256, (3 * classes + 60, channels, 6, 5)).astype(np.uint8)
    names = NAMES if classes == len(NAMES) else tuple(f"class {k}" for k in range(classes))
    one, task = own(x, names)
    first = one.numbers[0]
    assert first.classes == names and first.no_pictures == ""
    assert np.array_equal(first.pictures(one.places), x[first.forgotten.rows[list(one.places)]])
    (bare,) = sources({"mine": first.trace})
    assert bare.read().known_task is task, "found by its checksum"
    assert one._images().count("url(data:image/png") == min(explorer.PAGE, len(task.index["forget"]))


def test_names_of_classes_break_neither_page_nor_figure():
    one, _ = own(np.random.default_rng(1).integers(0, 256, (80, 3, 6, 5)).astype(np.uint8))
    text = page(one, "code </script> @data@ <b>")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert data["frames"] == [one.frame(k) for k in range(T)]
    assert text.count("<script") == text.count("</script>") == 2 and "<b></b>" not in text
    for k in range(T):
        cells = re.sub("&nbsp;", " ", one.frame(k).split("<ul")[1])
        drawn = ElementTree.fromstring("<ul" + cells.removesuffix("</div>"))
        said = {cell.find("b").text for cell in drawn}
        assert said <= set(NAMES) and len(said) > 4
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # matplotlib's font has no such letters
        figure = view_figure(one)
        shown = {ax.get_title().replace(r"\$", "$").strip() for ax in figure.axes[2:]}
        assert plots.encoded(figure) and shown <= set(NAMES)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((80, 7), np.float32), "of shape (7,) each"),
        ({"tokens": torch.zeros(80, 9, dtype=torch.int64)}, "tokens"),
    ],
)
def test_inputs_that_are_no_images_are_said_to_be_none(x, words):
    one, _ = own(x, ("yes", "no"))
    assert f"No images: the inputs of this task are no images, but {words}" in one.frame(0)
    assert "<ul" not in one.frame(0) and "forget examples are predicted right" in one.frame(0) and one._images() == ""
    assert "No images" in view_figure(one).legends[0].get_title().get_text()
    assert page(one)


def test_a_policy_lets_the_page_run_its_own_script_only():
    text = page(made(View("one")))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text).group(1)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL).group(1)
    told = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{told}'" in policy
    assert "http" not in policy and "*" not in policy and "unsafe-eval" not in policy


@pytest.mark.parametrize("name", ["explorer.css", "explorer.html"])
def test_nothing_is_asked_of_a_server(name):
    text = (explorer.files("mcutils") / "settings" / name).read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|@import|src=|href=|url\((?!#)|fetch|XMLHttp|WebSocket|sendBeacon", text)


@pytest.mark.parametrize("low,high", [(0, 1), (-0.03, 0.4), (12.5, 91.0), (0.999, 1.001), (1e-6, 3e-6)])
def test_ticks_are_few_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 6 and low <= found[0] and found[-1] <= high
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_ticks_of_nothing_are_none():
    assert ticks(1, 1) == [] and ticks(0, np.nan) == []


def test_every_metric_belongs_to_one_quantity():
    found = [f"{name}_{s}" if s else name for name, splits in quantities().items() for s in splits or ("",)]
    assert sorted(found) == sorted(METRICS)


@pytest.mark.parametrize("name,value,text", [
    ("loss_retain", 0.12345, "0.123"), ("accuracy_test", 0.87654, "87.7"), ("loss_retain", -1e-9, "0.000"),
    ("loss_retain", np.nan, "not finite"), ("loss_retain", np.inf, "not finite"),
])  # fmt: skip
def test_values_in_text(name, value, text):
    assert shown(name, value) == text


@pytest.mark.parametrize("changes,says", [
    ({"metric": "joy"}, "unknown metric 'joy'"), ({"splits": ("nowhere",)}, "unknown split 'nowhere'"),
    ({"eps": -1}, "eps must be"), ({"eps": "a"}, "eps must be"), ({"eps": np.nan}, "eps must be"),
    ({"k": -1}, "k must be"), ({"page": 0.5}, "page must be"), ({"path": "zero"}, "unknown path 'zero'"),
    ({"compare": "zero"}, "unknown path 'zero'"),
])  # fmt: skip
def test_a_view_of_what_is_not_is_refused(changes, says):
    with pytest.raises(BadInput, match=says):
        made(View(**{"path": "one", **changes}))


@pytest.mark.parametrize("t", [-0.1, 1.1, "half", None, True, np.nan])
def test_t_lies_between_the_ends(t):
    with pytest.raises(BadInput, match="t must be a finite number of at least 0 and at most 1"):
        nearest(np.linspace(0, 1, 5), t)
