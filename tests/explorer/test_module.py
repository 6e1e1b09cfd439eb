"""The drawing in a real browser, from an exported page: what it shows is what Python says, whatever its reader does."""

import base64
import json
from collections import Counter
from dataclasses import replace
from itertools import combinations
from urllib.parse import parse_qs, quote

import numpy as np
import pytest
import synthetic
from browsing import MARKS, SHOTS, check_accessible, listened
from scipy.interpolate import RegularGridInterpolator
from sklearn.metrics import confusion_matrix
from test_page import NAMES, own, text_of

import mcutils as mc
from mcutils.curves import points_at
from mcutils.explorer.numbers import Numbers
from mcutils.explorer.page import part
from mcutils.explorer.scene import View, extreme, nearest, scene, shown, spans
from mcutils.explorer.sources import sources
from mcutils.measures.along import chord
from mcutils.measures.metrics import measure, predictions
from mcutils.measures.planes import Plane
from mcutils.measures.profiles import Profile

pytestmark = MARKS
T = 5
MODULE = "data:text/javascript;base64," + base64.b64encode(part("explorer.js").encode()).decode()


@pytest.fixture(scope="module")
def blank(browser):
    """A page with nothing in it but the module, for its functions alone."""
    page = browser.new_page()
    page.goto("about:blank")
    page.evaluate(f"async () => {{ window.made = await import({json.dumps(MODULE)}); }}")
    yield page
    page.close()


@pytest.fixture(scope="module")
def made():
    """Two paths on a task of one's own, with images, references and a plane that holds both."""
    one, task = own(np.random.default_rng(1).integers(0, 256, (300, 1, 6, 6)).astype(np.uint8), tuple("abcd"))
    trace = one.numbers[0].trace
    rng = np.random.default_rng(5)
    other = replace(
        trace,
        t=np.linspace(0, 1, 3),
        logits={s: v[::2] + rng.normal(0, 1, v[::2].shape) for s, v in trace.logits.items()},
    )
    alone = [
        replace(trace, t=np.zeros(1), logits={s: 2 * v[k : k + 1] for s, v in trace.logits.items()}) for k in (0, 2)
    ]
    x, y = np.linspace(-1, 3, 9), np.linspace(-1, 2, 7)
    z = 0.1 + x[None, :] ** 2 + 2 * y[:, None] ** 2
    models = np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)])
    names = {"names": "NPO 1\ncontrol point\nretrained 2"}
    plane = Plane(x, y, {"loss_retain": z, "loss_forget": 2 * z}, models, {}, names)
    line, curve = sources(
        {'it\'s "a" line': trace, "curve": other}, retrained=alone, original=alone[0], gap=0.7, task=task
    )
    found = [replace(line, picks={"curve": "linear"}, plane=lambda: (plane, (0, 2)))]
    found += [replace(curve, picks={"curve": "bezier"}, plane=lambda: (plane, (0, 1, 2)))]
    return {one.name: one for one in found}


LINE = 'it\'s "a" line'


@pytest.fixture(scope="module")
def place(made, tmp_path_factory):
    """Address of the page of both."""
    one = scene(View(LINE, k=2), made)
    second = scene(View("curve"), made)
    more = [(second.sources[0], second.numbers[0], second.planes[0])]
    text = mc.explorer.page.page(one.book(more), one.state, "paths", "mcutils explorer: a line")
    path = tmp_path_factory.mktemp("page") / "line.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser, place):
    found = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong, asked = listened(found)
    found.goto(place)
    found.wait_for_selector(".mcx .panels svg")
    yield found
    assert wrong == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []
    found.close()


def test_a_message_stays_in_whatever_order_a_change_is_told(blank, made):
    """Of one change a model tells its parts in an order of its own: the view's is as good first as last."""
    view = scene(View(LINE, k=2), made)
    script = """async ([book, state, order]) => {
      const held = { book, pictures: null, there: { state, offers: {} }, message: "" }, told = {};
      const model = { get: name => held[name], on: (name, act) => { told[name] = act; }, off: () => {}, set: () => {},
        save_changes: () => {}, send: () => {} };
      const el = document.createElement("div");
      document.body.append(el);
      const free = window.made.default.render({ model, el });
      held.there = { ...held.there, turn: 1 };
      held.message = "Saved it.";
      for (const name of order) told[`change:${name}`]();
      const said = el.querySelector("[role=status]").textContent;
      free();
      el.remove();
      return said;
    }"""
    for order in (["message", "there"], ["there", "message"]):
        assert blank.evaluate(script, [view.book(), view.state, order]) == "Saved it.", order


def k_of(page):
    return int(page.locator("input.t").input_value())


def until(page, script):
    """Wait for what a script says; a page's policy forbids playwright's own way."""
    for _ in range(300):
        if page.evaluate(script):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"never: {script}")


def values_of(page):
    if page.locator("button.values").get_attribute("aria-expanded") == "false":
        page.locator("button.values").click()
    script = "cells => cells.map(c => [c.dataset.metric, c.dataset.at, Number(c.dataset.value), c.textContent])"
    found = {}
    for metric, at, value, text in page.locator("table.readout td[data-metric]").evaluate_all(script):
        found.setdefault((metric, at), []).append((value, text))
    return found


def test_functions_of_the_module_are_those_of_python(blank):
    """On walks, on noise, and where values are missing."""
    rng = np.random.default_rng(0)
    for seed, eps in enumerate((0.0, 0.05, 0.1, 0.3)):
        profile = synthetic.profile(barrier=0.1, deficit=0.2, seed=seed, t=np.linspace(0, 1, 11))
        arrays = {
            f"metric/{n[6:]}": v + 0.01 * rng.normal(size=v.shape)
            for n, v in profile.arrays.items()
            if n[:6] == "curve/"
        }
        if seed == 3:
            arrays["metric/loss_retain"][4] = np.nan
        one = Numbers(profile.t, profile=Profile({**profile.arrays, **arrays}))
        values = {n: [None if np.isnan(v) else v for v in one.values(n)] for n in ("loss_retain", "loss_forget")}
        chapter = {"t": one.t.tolist(), "values": values, "gap": one.gap}
        for name in values:
            found = blank.evaluate(
                "([c, n, e]) => [made.breaks(c, n, e), made.extreme(c, n), made.excess(c, n)]", [chapter, name, eps]
            )
            assert found[0] == one.breaks(eps)[name].tolist()
            expected = extreme(one, name)
            assert (found[1] is None) == (expected is None)
            if expected:
                assert (found[1]["k"], found[1]["words"]) == (expected[0], expected[2])
            assert [np.nan if v is None else v for v in found[2]] == pytest.approx(
                one.excess(name), nan_ok=True, abs=1e-15
            )
            broken = one.breaks(eps)[name]
            told = blank.evaluate("([b, t]) => made.spans(b, t)", [broken.tolist(), one.t.tolist()])
            assert np.ravel(told) == pytest.approx(np.ravel(spans(broken, one.t)))
    for value in (0, 0.26, 0.5, 0.999, 1):
        assert blank.evaluate(f"made.nearest([0, 0.2, 0.6, 1], {value})") == nearest(np.array([0, 0.2, 0.6, 1]), value)


@pytest.mark.parametrize("low,high", [(0, 1), (-0.03, 0.4), (12.5, 91.0), (0.999, 1.001), (1e-6, 3e-6)])
def test_ticks_are_few_round_and_inside(blank, low, high):
    found = blank.evaluate(f"made.ticks({low}, {high})")
    assert 2 <= len(found) <= 6 and low <= found[0] and found[-1] <= high
    assert np.allclose(np.diff(found), found[1] - found[0])
    assert blank.evaluate("[made.ticks(1, 1), made.ticks(0, NaN)]") == [[], []]


def test_contours_lie_where_a_grid_has_their_level(blank):
    grid = (np.arange(5)[:, None] ** 2 + 3.0 * np.arange(4)).tolist()
    edges = blank.evaluate("([g, l]) => made.contour(g, l)", [grid, 7.3])
    assert len(edges) > 4
    for edge in edges:
        for i, j in edge:  # on a side of a square, where the grid is a straight line between its corners
            a, b = int(i), int(j)
            u, v = i - a, j - b
            assert min(u, v) == pytest.approx(0, abs=1e-9)
            ends = grid[a][b], grid[min(a + (u > 1e-9), 4)][min(b + (v > 1e-9), 3)]
            assert ends[0] + max(u, v) * (ends[1] - ends[0]) == pytest.approx(7.3)
    assert blank.evaluate("made.contour([[1, null], [2, 3]], 1.5)") == []


@pytest.mark.parametrize("name", [*NAMES[:8], "a'b", 'a"b', "a\\b", "new\nline", "\u2028"])
def test_a_name_in_the_code_is_that_name(blank, name):
    state = {
        "path": name,
        "t": 0.25,
        "metric": "loss",
        "splits": ["retain"],
        "eps": 0.1,
        "compare": name,
        "beside": True,
    }
    code = blank.evaluate("s => made.code('paths', {...s, page: 1, order: 'rise', only: 'all'})", state)
    asked = {}
    exec(
        code.replace("import mcutils as mc\n\nmc.explore(", "explore("),
        {"paths": 0, "explore": lambda *a, **o: asked.update(o, path=a[1])},
    )
    expected = {**state, "splits": ("retain",), "page": 1}
    assert asked == expected


def test_a_plane_is_read_as_an_interpolator_reads_it(blank):
    rng = np.random.default_rng(3)
    x, y = np.sort(rng.normal(size=6)), np.sort(rng.normal(size=5))
    z, places = rng.normal(size=(5, 6)), [rng.uniform((x[0], y[0]), (x[-1], y[-1])).tolist() for _ in range(20)]
    places += [[x[0], y[0]], [x[-1], y[-1]], [x[2], y[3]]]
    given = [{"x": x.tolist(), "y": y.tolist(), "values": {"loss": z.tolist()}}, [list(map(float, p)) for p in places]]
    found = blank.evaluate("([plane, places]) => places.map((one) => made.lossAt(plane, 'loss', one))", given)
    assert found == pytest.approx(RegularGridInterpolator((y, x), z)([p[::-1] for p in places]), abs=1e-12)
    given[0]["values"]["loss"][0][0] = None
    assert blank.evaluate("([plane, places]) => made.lossAt(plane, 'loss', places[20])", given) is None


def test_the_table_and_the_words_are_python_s(page, made):
    numbers = made[LINE].read()
    for k in (2, 3, 0):
        while k_of(page) != k:
            page.locator("button.step.on" if k_of(page) < k else "button.step.back").click()
        found = values_of(page)
        for name in ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget"):
            v, line = numbers.values(name), chord(numbers.values(name), numbers.t)[k]
            expected = {"t": v[k], "start": v[0], "end": v[-1], "chord": line, "excess": v[k] - line}
            expected["retrained"] = numbers.levels(name).mean()
            for at, value in expected.items():
                ((told, text),) = found[name, at]
                assert told == pytest.approx(value, abs=1e-12)
                assert text.removeprefix("+") == shown(name, value)
        right = int(numbers.forgotten.remembered[k].sum())
        assert page.locator(".images h3 b").inner_text() == f"{right} of {len(numbers.forgotten.rows)} right"
    for name in ("loss_retain", "loss_forget"):
        words = extreme(numbers, name)[2]
        assert words.split(" ", 1)[1] in page.locator(".head h2").inner_text()
        assert f"{name[5:]} {words}" in page.locator(".drawer.values").inner_text()


def test_images_say_what_is_predicted(page, made):
    trace, found = made[LINE].read().trace, made[LINE].read().forgotten
    page.locator("input.t").focus()
    for key, k in (("End", 4), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        assert k_of(page) == k
        script = """items => items.map(li => { const said = li.querySelector('.said');
            return [Number(li.dataset.row), Number(said.dataset.predicted), li.className, said.textContent]; })"""
        cells = page.locator("ul.cells li").evaluate_all(script)
        assert [cell[0] for cell in cells] == found.rows[:24].tolist()
        rows = {int(row): j for j, row in enumerate(trace.index["forget"])}
        for place, (row, answer, kind, text) in enumerate(cells):
            assert answer == predictions(trace, "forget")[k][rows[row]]
            right = answer == trace.labels["forget"][rows[row]]
            assert kind == ("in" if right else "out") and text.startswith("✓" if right else "✗")
            assert f"{100 * found.confidence[k, place]:.0f} %" in text


def test_classes_are_counted(page, made):
    numbers = made[LINE].read()
    found, k = numbers.forgotten, 2
    rows = page.locator("ul.tally li").evaluate_all(
        "items => items.map(li => [...li.children].map(c => c.textContent))"
    )
    assert len(rows) == 4
    for label, (name, _, share, _) in enumerate(rows):
        own_ = found.labels == label
        assert name == "abcd"[label]
        assert share == f"{int(100 * found.remembered[k][own_].mean() + 0.5)} %"


def test_tolerance_metric_splits_and_comparison_need_no_kernel(page, made):
    page.locator("button.choose").click()
    for eps in (0.02, 0.5, 1.0):
        page.locator("input.eps").fill(str(eps))
        told = page.locator(".verdicts").inner_text()
        assert told == scene(View(LINE, eps=eps), made).verdict(0)
    page.locator("select.metric").select_option("accuracy")
    page.locator("label.split.test input").check()
    captions = page.locator(".panels figcaption").all_inner_texts()
    assert captions == [f"{split} accuracy (%)" for split in ("retain", "forget", "test")]
    page.locator("select.compare").select_option("beside")
    assert page.locator(".panels figcaption").count() == 6 and "■" in page.locator(".verdicts").inner_text()
    second = measure(made["curve"].read().trace, "accuracy_test")["accuracy_test"]
    assert values_of(page)["accuracy_test", "t"][1][0] == pytest.approx(second[1])
    page.locator("select.compare").select_option("overlaid")
    assert page.locator(".panels figcaption").count() == 3 and page.locator(".panels .dot.cb").count() == 3
    assert page.locator("ul.cells li").first.locator(".said").count() == 2
    for split in ("retain", "forget", "test"):
        page.locator(f"label.split.{split} input").click()
    assert "at least one split" in page.locator("[role=status]").inner_text()


def cells_of(page, k):
    """What the matrix says at point k: (truth, answer) -> count, and its blank cells."""
    page.locator("input.t").fill(str(k))
    script = """tables => tables.map(table => { const heads = [...table.tHead.rows[0].cells].map(c => c.textContent);
        return [...table.tBodies[0].rows].flatMap(row => [...row.cells].slice(1).map((cell, j) =>
            [row.cells[0].textContent, heads[j + 1], Number(cell.textContent)])); })"""
    return page.locator("table.called").evaluate_all(script)


def test_what_forgotten_images_are_called_is_counted_at_every_point(page, made):
    page.locator("select.counted").select_option("called")
    trace = made[LINE].read().trace
    for k in (2, 0, 4):
        (found,) = cells_of(page, k)
        expected = confusion_matrix(trace.labels["forget"], predictions(trace, "forget")[k], labels=range(4))
        assert [count for *_, count in found] == expected.ravel().tolist()
        assert [(a, b) for a, b, _ in found] == [(a, b) for a in "abcd" for b in "abcd"]
    cell = page.locator("table.called td[data-pair]").first
    cell.hover()
    words = page.locator(".bubble").inner_text()
    assert f"a, called right: {expected[0, 0]} at t = 1" in words and "at the start" in words
    page.evaluate("location.hash = '#compare=curve&classes=called'")
    until(page, "document.querySelectorAll('table.called').length === 2")
    second = cells_of(page, 0)[1]
    other = made["curve"].read().trace
    expected = confusion_matrix(other.labels["forget"], predictions(other, "forget")[0], labels=range(4))
    assert [count for *_, count in second] == expected.ravel().tolist()
    check_accessible(page)


def test_many_classes_are_a_list_of_what_is_called_wrong_most(browser, tmp_path):
    one, _ = own(np.zeros((400, 1, 6, 6), np.uint8), tuple(f"class {k}" for k in range(40)))
    path = tmp_path / "many.html"
    path.write_text(text_of(one), encoding="utf-8")
    page = browser.new_page()
    wrong, _ = listened(page)
    page.goto(f"{path.as_uri()}#classes=called&t=0.25")
    found = page.locator("table.called.list tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(c => c.textContent))"
    )
    trace = one.numbers[0].trace
    pairs = Counter(zip(trace.labels["forget"].tolist(), predictions(trace, "forget")[1].tolist(), strict=True))
    most = sorted((count for (a, b), count in pairs.items() if a != b), reverse=True)[: len(found)]
    assert [int(at) for _, _, at, _ in found] == most and len(found) == 14 and wrong == []
    for words, _, at, _ in found:
        a, b = (int(one.split()[1]) for one in words.split(" → "))
        assert pairs[a, b] == int(at)
    page.close()


def read_off(made, control):
    """What the plane says of the curve with its control point at a place, in nats at the curve's points."""
    plane, _ = made["curve"].plane()
    t = made["curve"].read().t
    spots = points_at("bezier", np.array([(0.0, 0.0), control, (2.0, 0.0)]), t)
    return {n: RegularGridInterpolator((plane.y, plane.x), z)(spots[:, ::-1]) for n, z in plane.values.items()}, t


def test_the_control_point_is_dragged_on_the_plane_s_grid(page, made, place):
    handle, words = page.locator(".plane .handle"), page.locator(".plane .bending")
    assert handle.count() == 0, "a line has no control point"
    page.evaluate("location.hash = '#compare=curve'")
    handle.wait_for()
    assert "Drag the control point" in words.inner_text() and page.locator("path.bent").count() == 0
    (x, y), fitted = centre(handle), page.locator(".plane .control").last.bounding_box()
    assert (x, y) == pytest.approx((fitted["x"] + fitted["width"] / 2, fitted["y"] + fitted["height"] / 2), abs=1)
    step = page.locator(".plane svg .spot.cb").count()  # the curve itself stays
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 4, y - 3, steps=2)
    assert page.locator("path.bent").count() == 0, "near its own place it stays there"
    end = centre(page.locator(".plane svg .triangle"))
    page.mouse.move(end[0], y - 60, steps=6)
    page.mouse.up()
    until(page, "location.hash.includes('control=')")
    j, i = map(int, parse_qs(page.evaluate("location.hash").lstrip("#"))["control"][0].split(","))
    plane, _ = made["curve"].plane()
    assert plane.x[j] == pytest.approx(2, abs=0.3) and plane.y[i] > 1.2
    assert page.locator(".plane svg .spot.cb").count() == step + 1
    losses, t = read_off(made, (plane.x[j], plane.y[i]))
    over = losses["loss_retain"] - chord(losses["loss_retain"], t)
    assert f"retain barrier {max(0, over.max()) / 0.7:.3f} G" in words.inner_text()
    under = chord(losses["loss_forget"], t) - losses["loss_forget"]
    assert f"forget deficit {max(0, under.max()) / 0.7:.3f} G" in words.inner_text()
    assert "not fitted" in words.inner_text() and "BatchNorm" in words.inner_text()
    assert page.locator(".panels path.bent.cb").count() == 2 and page.locator(".plane .field path.bent.cb").count() == 1
    box = page.locator(".panels svg").first.bounding_box()
    page.mouse.move(box["x"] + 46 + 0.5 * (box["width"] - 60), box["y"] + 20)
    assert f"dragged: {losses['loss_retain'][1]:.3f} nats" in page.locator(".bubble").inner_text()
    handle.focus()
    page.keyboard.press("ArrowLeft")
    assert f"({plane.x[j - 1]:.2f}, {plane.y[i]:.2f})" in handle.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert page.locator("path.bent").count() == 0
    page.goto("about:blank")
    page.goto(f"{place}#pair=curve&control={j},{i}")
    assert f"({plane.x[j]:.2f}, {plane.y[i]:.2f})" in words.inner_text()
    check_accessible(page)
    page.get_by_role("button", name="put it back").click()
    assert "Drag the control point" in words.inner_text()
    page.evaluate("location.hash = '#pair=curve&control=99,0'")
    page.wait_for_timeout(50)
    assert page.locator("path.bent").count() == 0


def centre(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_marks_stand_at_the_values(page):
    page.locator("input.t").focus()
    page.keyboard.press("Home")
    svg = page.locator(".panels svg").first
    assert centre(svg.locator(".dot.ca")) == pytest.approx(centre(svg.locator(".end.ca").first), abs=1)
    page.keyboard.press("End")
    assert centre(svg.locator(".dot.ca")) == pytest.approx(centre(svg.locator(".end.ca").last), abs=1)
    assert centre(page.locator(".plane .spot.ca"))[0] > centre(page.locator(".plane svg"))[0]


def test_a_click_or_drag_in_any_plot_moves_t_and_hovering_reads_values(page, made):
    for part_ in (".panels svg", ".strip .plot svg"):
        box = page.locator(part_).first.bounding_box()
        left = 46 if part_ == ".panels svg" else 74
        x = lambda t, box=box, left=left: box["x"] + left + t * (box["width"] - left - 14)  # noqa: E731
        page.mouse.click(x(0.27), box["y"] + box["height"] / 2)
        assert k_of(page) == 1
        page.mouse.move(x(0.25), box["y"] + 15)
        page.mouse.down()
        page.mouse.move(x(0.98), box["y"] + 15, steps=5)
        page.mouse.up()
        assert k_of(page) == 4
    page.mouse.move(0, 0)
    box = page.locator(".panels svg").first.bounding_box()
    page.mouse.move(box["x"] + 46 + 0.5 * (box["width"] - 60), box["y"] + 20)
    value = measure(made[LINE].read().trace, "loss_retain")["loss_retain"][2]
    assert shown("loss_retain", value) in page.locator(".bubble").inner_text() and k_of(page) == 4
    spot = page.locator(".plane svg .end").first.bounding_box()
    page.mouse.click(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    assert k_of(page) == 0


def test_words_are_explained_by_mouse_and_keyboard(page):
    for term in ("chord", "G", "deficit", "MCU(ε)"):
        button = page.locator("button.term", has_text=term).first
        button.focus()
        bubble = page.locator("[role=tooltip]")
        assert bubble.is_visible() and len(bubble.inner_text()) > 40 and bubble.locator("svg").count() == 1
        assert button.get_attribute("aria-describedby") == bubble.get_attribute("id")
        page.keyboard.press("Escape")
        assert bubble.is_hidden()


def test_images_are_sorted_by_what_happens_to_them(page, made):
    known = made[LINE].read().forgotten.remembered
    inside = known[1:-1].any(axis=0) & ~known[0] & ~known[-1]
    assert f"right only inside: {int(inside.sum())}" in page.locator("select.only option").all_inner_texts()
    page.locator("select.only").select_option("inside")
    rows = made[LINE].read().forgotten.rows[inside]
    shown_rows = page.locator("ul.cells li").evaluate_all("items => items.map(li => Number(li.dataset.row))")
    assert shown_rows == rows[:24].tolist()
    page.locator("select.only").select_option("all")
    page.locator("select.order").select_option("known")
    shown_rows = page.locator("ul.cells li").evaluate_all("items => items.map(li => Number(li.dataset.row))")
    place = {int(row): j for j, row in enumerate(made[LINE].read().forgotten.rows)}
    times = [known[:, place[row]].sum() for row in shown_rows]
    assert times == sorted(known.sum(axis=0), reverse=True)[:24]
    page.locator("button.after").click()
    assert "25–" in page.locator(".tools:not(.left)").inner_text()


def test_the_link_holds_the_state(page, place):
    page.locator("button.choose").click()
    page.locator("select.metric").select_option("accuracy")
    page.locator("input.eps").fill("0.3")
    page.locator("button.step.on").click()
    until(page, "location.hash.includes('t=0.75')")
    link = page.evaluate("location.hash")
    assert "eps=0.3" in link and "metric=accuracy" in link and "pair=it" in link
    page.goto("about:blank")
    page.goto(place + link)
    assert k_of(page) == 3 and "accuracy" in page.locator(".panels figcaption").first.inner_text()
    page.evaluate(f"location.hash = '#pair=curve&t=0.5&compare={quote(quote(LINE))}&lesson=1'".replace("%25", "%"))
    page.wait_for_selector(".mcx.lesson")
    assert k_of(page) == 1 and page.locator(".openers").is_hidden() and page.locator(".panels .dot.cb").count() == 2
    page.evaluate("location.hash = '#pair=nobody&t=7&metric=joy&splits=x&eps=-1&page=x&order=toString'")
    page.wait_for_selector(".mcx:not(.lesson)")
    assert page.locator(".head h2").inner_text().startswith(LINE)


@pytest.mark.parametrize("said", ["", "%20", "nan", "Infinity", "1e999", "-1", "<script>", "%F0%9F", "2e9"])
def test_a_link_that_says_no_number_changes_nothing(page, place, said):
    page.goto("about:blank")
    page.goto(f"{place}#t={said}&eps={said}&page={said}&control={said}")
    page.wait_for_selector(".mcx .panels svg")
    assert k_of(page) == 2 and page.locator(".tolerance output").inner_text() == "0.10 G"


def test_a_second_path_without_images_says_so(browser, tmp_path):
    one, _ = own(np.zeros((40, 1, 6, 6), np.uint8))
    told = one.book()
    bare = {**told["chapters"][0], "name": "bare", "label": "bare", "images": None, "why": "only a profile was given"}
    told["chapters"].append(bare)
    path = tmp_path / "bare.html"
    path.write_text(mc.explorer.page.page(told, one.state, "paths", "two"), encoding="utf-8")
    page = browser.new_page()
    page.goto(f"{path.as_uri()}#compare=bare")
    page.wait_for_selector(".mcx .dot.cb")
    assert page.locator(".images .note").all_inner_texts() == ["■ without images: only a profile was given."]
    page.goto(f"{path.as_uri()}#compare=")
    page.wait_for_selector(".mcx:not(.compared)")
    assert page.locator(".images .note").count() == 0
    page.close()


def test_labels_of_two_paths_do_not_lie_on_each_other(browser, tmp_path):
    t = np.linspace(0, 1, 31)
    dips = [np.exp(-(((t - at) / 0.05) ** 2)) for at in (0.43, 0.87)]
    given = {
        name: synthetic.profile(t=t, metrics={"loss_retain": np.ones(31), "loss_forget": 2 - dip})
        for name, dip in zip("ab", dips, strict=True)
    }
    found = {one.name: one for one in sources(given)}
    path = tmp_path / "two.html"
    path.write_text(text_of(scene(View("a", compare="b"), found)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 800, "height": 800})
    page.goto(path.as_uri())
    boxes = [one.bounding_box() for one in page.locator(".panels figure").last.locator(".marked").all()]
    a, b = boxes
    apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
    assert apart or abs(a["y"] - b["y"]) >= 13, boxes
    page.close()


def test_names_on_a_narrow_plane_do_not_lie_on_each_other(page, place):
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto("about:blank")
    page.goto(f"{place}#compare=curve")
    page.locator(".plane .handle").wait_for()
    boxes = [one.bounding_box() for one in page.locator(".plane svg .name").all()]
    for a, b in combinations(boxes, 2):
        apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
        assert apart or abs(a["y"] - b["y"]) >= 13, boxes


def test_a_page_follows_the_system_s_theme_and_a_share_stays_on_one_line(page):
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(".mcx-dark .mcx")
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html:not(.mcx-dark) .mcx")
    page.evaluate("for (const one of document.querySelectorAll('.share')) one.textContent = '100 %'")
    assert max(one["height"] for one in map(lambda x: x.bounding_box(), page.locator(".share").all())) < 20


def test_play_steps_on_and_speed_counts(page):
    page.locator("select.speed").select_option("4")
    page.get_by_role("button", name="Play").click()
    until(page, "Number(document.querySelector('input.t').value) === 4")
    until(page, "Number(document.querySelector('input.t').value) === 0")
    page.get_by_role("button", name="Pause").click()
    stopped = k_of(page)
    page.wait_for_timeout(250)
    assert k_of(page) == stopped and page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800, 390])
def test_everybody_can_use_it(browser, place, theme, width):
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce")
    wrong, _ = listened(page)
    page.goto(place + "#compare=curve&t=0.5")
    page.wait_for_selector(".mcx .dot.cb")
    for drawer in ("choose", "values", "keep"):
        page.locator(f"button.opens.{drawer}").click()
    check_accessible(page)
    assert page.locator("input.t").get_attribute("aria-valuetext") == "0.5"
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut"
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"page_{width}_{theme}.png"), full_page=True)
    assert wrong == []
    page.close()


def test_without_a_mouse_all_is_reached(page):
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.className.split(' ').pop()"))
    assert {"play", "t", "speed", "choose", "eps", "surface", "only", "order", "tally"} <= reached


def test_one_screen_holds_t_panels_plane_and_images(page):
    for part_ in (".bar", ".panels", ".plane", ".images", ".classes"):
        box = page.locator(part_).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800, part_


def test_names_of_classes_break_nothing(browser, tmp_path):
    one, _ = own(np.random.default_rng(1).integers(0, 256, (80, 3, 6, 5)).astype(np.uint8))
    path = tmp_path / "page.html"
    path.write_text(text_of(one), encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 800})
    wrong, _ = listened(page)
    page.goto(path.as_uri())
    names = page.locator("ul.tally .class").evaluate_all("items => items.map(one => one.textContent)")
    assert set(names) <= set(NAMES) and len(names) > 4 and wrong == []
    assert page.evaluate("fetch('https://example.org/').then(() => 'reached', () => 'refused')") == "refused"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_a_path_without_trace_or_plane_says_so(browser, tmp_path):
    profile = synthetic.profile(metrics={"loss_retain": np.ones(5), "loss_forget": np.arange(5.0)})
    given = {"known": profile}
    trace = synthetic.trace(T)
    trace.logits["retain"][2] = np.nan
    given["broken"] = trace
    found = {one.name: one for one in sources(given)}
    for name, words in (("known", "give the trace"), ("broken", "not finite")):
        path = tmp_path / f"{name}.html"
        path.write_text(text_of(scene(View(name, k=2), found)), encoding="utf-8")
        page = browser.new_page()
        wrong, _ = listened(page)
        page.goto(path.as_uri())
        page.locator("button.values").click()
        assert words in page.locator(".mcx").inner_text() and "NaN" not in page.locator(".mcx").inner_text()
        assert "no plane is stored" in page.locator(".plane").inner_text() and wrong == []
        page.close()
