"""The page of the two-weight landscape: the same numbers as the Python toy, in a real browser, accessible, alone."""

import base64
import json
import re

import numpy as np
import pytest
from browsing import CHROMIUM, SHOTS, check_accessible, opened, started

from mcutils.cli.main import main
from mcutils.errors import BadInput
from mcutils.teaching import toy, toy_page

WAIT = 60_000  # milliseconds for one step of a page
READY = {"[data-part=words]:not(:empty)": "visible"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("toy") / "toy.html"
    file.write_text(toy_page.page(toy_page.first_state()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with started() as found:
        yield found


@pytest.fixture(scope="module")
def page(browser, path):
    found, wrong, asked = opened(browser, path, READY, wait=WAIT)
    yield found
    found.close()
    assert wrong == [] and asked == [path.as_uri()]


def words(page):
    return page.locator("[data-part=words]").inner_text()


def settled(page):
    """Waits until what was moved is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_walk_between_other_ends_is_one_between_these_moved():
    """Losses at the moved places, and the chord between the two it then has."""
    land, ends = toy.Landscape(0.3, 1.4), [(-0.7, 0.4), (1.2, -0.3)]
    walked = toy.walk(land, (0.2, 0.9), ends=ends)
    assert walked.places[[0, -1]] == pytest.approx(np.array(ends))
    assert walked.places[50] == pytest.approx(0.25 * np.sum(ends, axis=0) + 0.5 * np.array((0.2, 0.9)))
    assert walked.retain == pytest.approx(toy.retain_loss(land, walked.places))
    straight = toy.walk(land, None, ends=ends)
    assert straight.places[25] == pytest.approx(0.75 * np.array(ends[0]) + 0.25 * np.array(ends[1]))
    with pytest.raises(BadInput, match="place"):
        toy.walk(land, ends=[(0, float("nan")), (1, 0)])


def test_its_steps_show_a_dip_then_a_barrier_then_neither():
    found = [toy.walk(toy.Landscape(bend), control) for bend, control, _ in toy_page.STEPS]
    assert found[0].barrier <= toy.TOLERANCE < found[0].deficit
    assert found[1].barrier > toy.TOLERANCE and found[1].deficit > toy.TOLERANCE
    assert found[2].connected(toy.TOLERANCE)


def test_a_page_is_one_small_file_and_refuses_what_is_no_state(path):
    page = path.read_text(encoding="utf-8")
    assert len(page) < 60_000 and not re.search(r"(?:src|href)=|@\w+@|import\(", page)
    state = json.loads(re.search(r'id="toy-data">(.*?)</script>', page)[1])["state"]
    assert state == toy_page.first_state()
    for wrong in ({"t": 1.5}, {"eps": -1}, {"t": "x"}):
        with pytest.raises(BadInput):
            toy_page.first_state(**wrong)


def test_the_command_writes_it(tmp_path, capsys):
    assert main(["explore", "--export-toy", str(tmp_path / "x.html")]) == 0
    assert capsys.readouterr().out.strip().endswith("x.html") and (tmp_path / "x.html").is_file()


def test_the_browser_s_numbers_are_python_s(page):
    rng = np.random.default_rng(0)
    for _ in range(20):
        bend, depth, eps = rng.uniform(*toy.BENDS), rng.uniform(*toy.DEPTHS), round(rng.uniform(0, 0.5), 2)
        start, control, end = rng.uniform((-1.5, -1.5), (1.5, 1.6), size=(3, 2))
        state = {"bend": bend, "depth": depth, "eps": eps}
        state |= {"start": start.tolist(), "control": control.tolist(), "end": end.tolist()}
        script = """state => { const { walk, sentence, settings } = mcutilsToy, found = walk(settings, state);
            return [found, sentence(found, state.eps)]; }"""
        found, said = page.evaluate(script, state)
        walked = toy.walk(toy.Landscape(bend, depth), control, ends=(start, end))
        for name in ("t", "places", "retain", "forget", "barrier", "deficit"):
            assert np.array(found[name]) == pytest.approx(np.array(getattr(walked, name)), rel=1e-9, abs=1e-12), name
        assert found["gap"] == pytest.approx(toy.GAP) and said == toy.sentence(walked, eps)


def test_its_fit_descends_what_python_s_does(page):
    script = """([state, steps]) => { const { descended, settings } = mcutilsToy, moved = {...state};
        for (let k = 0; k < steps; k++) moved.control = descended(settings, moved); return moved.control; }"""
    state = {**toy_page.first_state(), "bend": 0.5, "control": [0.1, 0.2]}
    land, h = toy.Landscape(0.5), 1e-6

    def mean(control):
        t = (np.arange(20) + 0.5) / 20
        places = toy.path(control, t)
        return (toy.retain_loss(land, places) - toy.forget_loss(land, places)).mean()

    at = np.array(state["control"])
    slope = [(mean(at + h * one) - mean(at - h * one)) / (2 * h) for one in np.eye(2)]
    assert page.evaluate(script, [state, 1]) == pytest.approx(at - 0.5 * np.array(slope), abs=1e-7)
    fitted = page.evaluate(script, [state, 400])
    assert fitted == pytest.approx(toy.fit(land, seed=0)[-1], abs=0.06)


def test_it_begins_with_a_dip_and_follows_steps_keys_and_mouse(page):
    first = toy.walk(toy.Landscape(0.0), (0, 0))
    assert words(page) == toy.sentence(first) and "retain" not in words(page)
    page.get_by_role("button", name="A barrier").click()
    page.wait_for_selector("[data-part=words]:has-text('the retain loss rises')")
    assert words(page) == toy.sentence(toy.walk(toy.Landscape(0.5), (0, 0)))
    handle = page.get_by_role("button", name="control point, at 0 and 0")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    settled(page)
    assert words(page) == toy.sentence(toy.walk(toy.Landscape(0.5), (0, 0.75)))
    assert page.locator("[data-part=about]").inner_text().startswith("A landscape and a path of your own")
    box = page.locator("[data-part=forget-field]").bounding_box()
    x, y = page.evaluate("mcutilsToy.state.end")
    mouse = [box["x"] + (x + 1.6) / 3.2 * box["width"], box["y"] + (1.7 - y) / 3.9 * box["height"]]
    page.mouse.move(*mouse)
    page.mouse.down()
    page.mouse.move(mouse[0] - box["width"] / 8, mouse[1] - box["height"] / 8, steps=4)
    page.mouse.up()
    settled(page)
    end = page.evaluate("mcutilsToy.state.end")
    assert end == pytest.approx([0.6, 3.9 / 8], abs=0.03)
    assert words(page) == toy.sentence(toy.walk(toy.Landscape(0.5), (0, 0.75), ends=(toy.START, end)))
    slider = page.get_by_role("slider", name="t", exact=True)
    assert slider.get_attribute("aria-valuetext") == "0.5"
    page.get_by_role("button", name="A dip").click()
    settled(page)
    assert page.get_by_role("button", name="A dip").get_attribute("aria-pressed") == "true"
    assert page.locator("[data-part=about]").inner_text() == toy_page.FLAT
    page.get_by_role("button", name="A barrier").click()
    page.get_by_role("button", name="Fit the control point").click()
    page.wait_for_selector("[data-part=words].held")


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (800, "light"), (390, "light")])
def test_it_fits_and_is_accessible(browser, path, width, theme):
    page, wrong, asked = opened(browser, path, READY, width, theme, WAIT, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1280:
        lowest = "Math.max(...[...document.querySelectorAll('canvas, svg')].map(e => e.getBoundingClientRect().bottom))"
        assert page.evaluate(lowest) <= 800, "four panels in one view"
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"toy_{width}_{theme}.png"), full_page=True)
    check_accessible(page)
    assert wrong == [] and asked == [path.as_uri()]
    page.close()


def test_where_no_kernel_runs_there_is_a_picture_of_where_it_stands():
    pytest.importorskip("anywidget", reason="anywidget is not installed: pip install anywidget")
    made = toy_page.playground(t=0.25, eps=0.2)
    data, metadata = made._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    first = toy.sentence(toy.walk(toy.Landscape(0.0), (0, 0)), 0.2)
    assert data["text/plain"].startswith(f"{first} At t = 0.25; smallest ε: ") and first.startswith("MCU(0.2) ")
    assert metadata["image/png"]["alt"] == data["text/plain"]
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG") and len(png) < 80_000
    made.here = {**made.state, "bend": 0.5, "control": [0.0, 0.8], "start": [-1.2, 0.3]}
    moved = made._repr_mimebundle_()[0]
    walked = toy.walk(toy.Landscape(0.5), (0.0, 0.8), ends=((-1.2, 0.3), toy.END))
    assert moved["text/plain"].startswith(toy.sentence(walked, 0.2)) and moved["image/png"] != data["image/png"]
    made.close()


def test_a_map_marks_the_ends_that_are_walked_between():
    land, ends = toy.Landscape(0.3), np.array([(-0.7, 0.4), (1.2, -0.3)])
    for ax in toy.figure(land, {"path": toy.walk(land, (0.2, 0.9), ends=ends)}, t=0.5).axes[:2]:
        places = [line.get_xydata()[0].tolist() for line in ax.lines if len(line.get_xydata()) == 1]
        assert all(end in places for end in ends.tolist())
        assert toy.path((0.2, 0.9), 0.5, ends)[0].tolist() in places
        assert "tolerance" not in ax.get_title(), "ends of different losses have no one tolerance"


def test_as_a_widget_it_is_moved_from_both_sides(browser):
    pytest.importorskip("anywidget", reason="anywidget is not installed: pip install anywidget")
    made = toy_page.playground(t=0.25)
    assert made.state == toy_page.first_state(0.25) and made.here == {}
    script = """async ([code, body, settings, state]) => {
      const { default: { render } } = await import("data:text/javascript;base64," + code);
      const held = { body, settings, state }, told = {}, saved = [];
      const model = { get: name => held[name], set: (name, value) => { held[name] = value; },
        on: (name, act) => { told[name] = act; }, save_changes: () => saved.push(structuredClone(held.here)) };
      const drawn = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
      const free = render({ model, el: document.body });
      held.state = { ...state, bend: 0.5, t: 0.75 };
      told["change:state"]();
      await drawn();
      document.querySelector("[data-part=step-2]").click();
      await drawn();
      const gone = [];
      model.off = (name, act) => gone.push([name, told[name] === act]);
      free();
      return [saved, document.querySelector("[data-part=words]").textContent, gone];
    }"""
    page = browser.new_page()
    code = base64.b64encode(made._esm.encode()).decode()
    saved, said, gone = page.evaluate(script, [code, made.body, made.settings, made.state])
    assert [(one["bend"], one["t"]) for one in saved] == [(0.0, 0.25), (0.5, 0.75), (0.5, 0.75)]
    assert said == toy.sentence(toy.walk(toy.Landscape(0.5), (0, 0.8))) and gone == [["change:state", True]]
    page.close()
    made.close()
