"""The explorer in JupyterLab, in a real browser: notebook 14 with the shipped results, and the page that it exports.

Screenshots and latencies, which are not judged here, are left in build/browser/.
"""

import contextlib
import json
import os
import statistics
import sys
import time
import urllib.request

import pytest
from browsing import MARKS, ROOT, SHOTS, WAIT, check_accessible, listened
from servers import free_port, serving

import mcutils as mc
from mcutils.engine.specs import key
from mcutils.explorer import sources
from mcutils.measures.metrics import measure, predictions
from mcutils.paper.experiments import explorer

LIMIT = int(os.environ.get("MCUTILS_LIMIT", "240"))  # seconds that the server may live
MOVES = int(os.environ.get("MCUTILS_MOVES", "20"))
pytestmark = MARKS

# Measures, in the browser, from a key to the first painted frame that shows another point.
CLOCK = """() => {
  window.took = [];
  window.sent = [];
  let began = null;
  const now = document.querySelector('.mcutils-explorer .at');
  document.addEventListener('keydown', () => { began = performance.now(); }, true);
  new MutationObserver(() => {
    if (began === null) return;
    const from = began; began = null;
    window.sent.push(performance.now() - from);
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => window.took.push(performance.now() - from);
      after.port2.postMessage(0);
    });
  }).observe(now, {childList: true, subtree: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return mc.study("laptop", store=str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def traces(study):
    """Logits of the shipped line and curve, by kind."""
    found = explorer(study)[:2]
    return {one.trace.model.kind: study.store.get(one.trace) for one in found}


@pytest.fixture(scope="module")
def names(study):
    return {one.trace.model.kind: key(one) for one in explorer(study)[:2]}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab with notebook 14 and its own settings, killed with its children."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    folder.mkdir()
    notebook = json.loads((ROOT / "notebooks" / "14_explorer.ipynb").read_text(encoding="utf-8"))
    (folder / "14_explorer.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # Outputs below the window are drawn too.
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    config = home / "config" / "labconfig"
    config.mkdir(parents=True)
    disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "page_config.json").write_text(json.dumps(disabled))
    port = free_port()
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--port={port}",
        "--IdentityProvider.token=",
    ]
    options += [
        "--ServerApp.port_retries=0",
        "--LabApp.extension_manager=readonly",
        "--LabApp.expose_app_in_browser=True",
    ]
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"]
    address = f"http://127.0.0.1:{port}"
    places = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "spaces"}
    with serving(command, home, LIMIT, **places) as server:
        for _ in range(WAIT // 125):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
                break
            if server.poll() is not None:
                break
            time.sleep(0.25)
        else:
            pytest.fail(f"JupyterLab did not start:\n{(home / 'log').read_text()[-2000:]}")
        assert server.poll() is None, (home / "log").read_text()[-2000:]
        yield address


@pytest.fixture(scope="module")
def said():
    """What the console of the notebook's page has said as errors."""
    return []


@pytest.fixture(scope="module")
def page(browser, lab, said):
    """Notebook 14 in JupyterLab, all of its cells executed."""
    found = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong, _ = listened(found)
    found.set_default_timeout(WAIT)
    found.goto(f"{lab}/lab/tree/14_explorer.ipynb")
    found.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel != null")
    found.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
    for _ in range(WAIT // 125):  # the icon says idle before the kernel is connected
        with urllib.request.urlopen(f"{lab}/api/kernels", timeout=5) as answer:
            kernels = json.load(answer)
        if kernels and kernels[0]["connections"] > 0 and kernels[0]["execution_state"] == "idle":
            break
        time.sleep(0.25)
    found.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    found.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    found.wait_for_selector(".mcutils-explorer .panels svg")
    found.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    found.locator("button.values").click()
    yield found
    said += [words for words in wrong if "explorer" in words or "anywidget" in words]
    SHOTS.mkdir(parents=True, exist_ok=True)
    found.screenshot(path=str(SHOTS / "last.png"))
    found.close()
    assert said == []


def point(page):
    return int(page.locator(".mcutils-explorer table.readout").get_attribute("data-k"))


def wait_for(page, k, test="==="):
    page.wait_for_function(f"Number(document.querySelector('.mcutils-explorer table.readout').dataset.k) {test} {k}")


def painted(page):
    """Waits until every frame whose content has come is painted, and so timed by CLOCK."""
    page.wait_for_function("window.took.length === window.sent.length")


def read(page):
    """(metric, column) -> value of the first path's rows of the table."""
    script = "cells => cells.map(c => [c.dataset.metric, c.dataset.at, c.dataset.value, c.textContent])"
    rows = page.locator("table.readout td[data-metric]").evaluate_all(script)
    found = {}
    for metric, column, value, text in rows:
        found.setdefault((metric, column), (float(value), text))
    return found


def check_values(shown, trace, k, metrics):
    """What the table reads is what the trace says at that point."""
    for name, values in measure(trace, metrics).items():
        for column, expected in (("t", values[k]), ("start", values[0]), ("end", values[-1])):
            value, text = shown[name, column]
            assert value == pytest.approx(expected, rel=1e-6), (name, column)
            factor = 100 if name.startswith("accuracy") else 1
            assert float(text) == pytest.approx(factor * expected, abs=0.051 if factor > 1 else 0.00051)


def cells(page):
    """(row of the data set, predicted class, remembered) of each image of the page, of the first path."""
    script = """items => items.map(li => [Number(li.dataset.row),
        Number(li.querySelector('.said').dataset.predicted), li.classList.contains('in')])"""
    return [tuple(one) for one in page.locator("ul.cells li").evaluate_all(script)]


def check_cells(found, trace, k):
    rows = {int(row): j for j, row in enumerate(trace.index["forget"])}
    predicted, labels = predictions(trace, "forget")[k], trace.labels["forget"]
    assert len(found) == 24
    for row, answer, remembered in found:
        assert answer == predicted[rows[row]] and remembered == (answer == labels[rows[row]])


def test_slider_by_key_mouse_and_play(page, traces):
    slider = page.locator("input.t")
    slider.focus()
    start = point(page)
    assert start == 15
    check_values(read(page), traces["linear"], 15, ["loss_retain", "loss_forget", "accuracy_forget"])
    before = cells(page)
    check_cells(before, traces["linear"], 15)
    for step in range(3):
        page.keyboard.press("ArrowRight")
        wait_for(page, start + 1 + step)
    check_values(read(page), traces["linear"], 18, ["loss_retain", "loss_forget", "accuracy_retain"])
    check_cells(cells(page), traces["linear"], 18)
    page.keyboard.press("ArrowLeft")
    wait_for(page, 17)
    page.wait_for_timeout(700)
    assert point(page) == 17, "what the kernel echoes moves nothing"

    box = slider.bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    wait_for(page, 0)
    after = cells(page)
    check_cells(after, traces["linear"], 0)
    assert [one[0] for one in after] == [one[0] for one in before] and after != before
    plot = page.locator(".mcutils-explorer .panels svg").first
    plot.scroll_into_view_if_needed()
    plot = plot.bounding_box()
    page.mouse.move(plot["x"] + 60, plot["y"] + 60)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.8, plot["y"] + 60, steps=8)
    page.mouse.up()
    wait_for(page, 12, ">")
    page.get_by_role("button", name="Play").click()
    wait_for(page, point(page) + 2, ">=")
    page.get_by_role("button", name="Pause").click()
    stopped = point(page)
    page.wait_for_timeout(700)
    assert point(page) == stopped
    check_values(read(page), traces["linear"], stopped, ["loss_forget"])


def test_axe_finds_nothing_in_either_theme(page):
    for drawer in ("choose", "keep"):
        page.locator(f"button.opens.{drawer}").click()
    for theme in ("Dark", "Light"):
        page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
        check_accessible(page, ".mcutils-explorer")


def test_other_pair_and_metric(page, study, traces):
    page.locator("select.curve").select_option(label="Bézier")
    page.wait_for_selector(".mcutils-explorer h2:has-text('Bézier, NPO')")
    k = point(page)
    check_values(read(page), traces["bezier"], k, ["loss_retain", "loss_forget"])
    check_cells(cells(page), traces["bezier"], k)
    page.locator("select.metric").select_option(label="accuracy")
    page.wait_for_selector(".mcutils-explorer figcaption:has-text('forget accuracy (%)')")
    page.locator("select.start-method").select_option(label="SCRUB: changes others too")
    page.wait_for_selector(".mcutils-explorer h2:has-text('SCRUB')")
    page.wait_for_selector(".mcutils-explorer [role=status]:has-text('nearest')")
    assert page.locator(".mcutils-explorer ul.cells li").count() > 0, "every method's first pair has images"
    title = page.locator(".mcutils-explorer h2 .label").inner_text()
    (found,) = [one for one in sources.sources(study) if one.label == title][:1]
    values, k = found.read().values("loss_retain"), point(page)
    assert read(page)["loss_retain", "t"][0] == pytest.approx(values[k], rel=1e-9)
    curves = [text.replace("\xa0", " ") for text in page.locator("select.curve option").all_inner_texts()]
    assert sorted(curves) == ["Bézier", "linear"]


def test_running_it_again_begins_anew(page, traces):
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(".mcutils-explorer h2 .label:text-is('linear, NPO 42 to NPO 87')")
    idle = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
    page.wait_for_function(idle)
    page.locator("button.values").click()
    assert page.locator(".mcutils-explorer").count() == 1 and point(page) == 15
    check_cells(cells(page), traces["linear"], 15)


def test_one_click_copies_the_code(page, names):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("button.keep").click()
    page.get_by_role("button", name="copy the code").click()
    page.wait_for_selector(".mcutils-explorer [role=status]:has-text('copied')")
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith("import mcutils as mc\n\nmc.explore(mc.study('laptop'") and f'"{names["linear"]}"' in code


def test_the_exported_page_moves_from_disk(page, browser, traces):
    page.get_by_role("button", name="save html").click()
    page.wait_for_selector(".mcutils-explorer [role=status]:has-text('Saved')")
    told = page.locator(".mcutils-explorer [role=status]").inner_text()
    path = ROOT / told.removeprefix("Saved ").rstrip(".")
    assert path.stat().st_size < 1_000_000
    alone = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong, asked = listened(alone)
    alone.goto(path.as_uri())
    alone.locator("button.values").click()
    alone.locator("input.t").focus()
    first = cells(alone)
    for _ in range(4):
        alone.keyboard.press("ArrowRight")
    k = int(alone.locator("input.t").input_value())
    check_values(read(alone), traces["linear"], k, ["loss_retain", "loss_forget"])
    check_cells(cells(alone), traces["linear"], k)
    assert [one[0] for one in first] == [one[0] for one in cells(alone)]
    alone.locator("button.choose").click()
    assert "Bézier, NPO 42 to NPO 87" in alone.locator("select.with").inner_text()
    alone.locator("select.compare").select_option("overlaid")
    assert alone.locator(".plane .spot").count() == 2 and wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    alone.close()


def test_pictures_and_times_are_kept(page):
    """Screenshots at two widths in both themes; latencies and memory are written down and judged by nobody."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.locator("button.choose").click()
    page.locator("select.compare").select_option(label="overlaid")
    page.wait_for_selector(".mcutils-explorer .panels .dot.cb")
    for theme in ("Light", "Dark"):
        page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
        for width in (1280, 800):
            page.set_viewport_size({"width": width, "height": 1600})
            box = page.locator(".mcutils-explorer")
            box.evaluate("b => b.scrollIntoView()")
            page.wait_for_timeout(500)
            whole = "() => (b => b.scrollWidth <= b.clientWidth + 1)(document.querySelector('.mcutils-explorer'))"
            page.wait_for_function(whole)  # drawn anew when Lab has laid itself out, and nothing is cut
            page.screenshot(path=str(SHOTS / f"lab_{width}_{theme.lower()}.png"))
    page.set_viewport_size({"width": 1280, "height": 800})
    page.locator("select.compare").select_option(label="no")
    page.wait_for_selector(".mcutils-explorer .panels .dot.cb", state="detached")
    page.locator("input.t").focus()
    page.keyboard.press("Home")
    wait_for(page, 0)
    page.evaluate(CLOCK)
    heap = lambda: page.evaluate("performance.memory.usedJSHeapSize / 1e6")  # noqa: E731
    page.evaluate("() => { window.gc?.(); }")
    heaps, k, step = [heap()], 0, 1
    for number in range(MOVES):
        if number and number % max(1, MOVES // 5) == 0:
            page.evaluate("window.gc?.()")
            heaps.append(heap())
        step = -1 if k == 30 else 1 if k == 0 else step
        page.keyboard.press("ArrowRight" if step > 0 else "ArrowLeft")
        k += step
        wait_for(page, k)
    painted(page)
    page.evaluate("window.gc?.()")
    took = sorted(page.evaluate("window.took"))
    report = {
        "moves": len(took),
        "median ms": round(statistics.median(took), 1),
        "95th percentile ms": round(took[int(0.95 * (len(took) - 1))], 1),
        "largest ms": round(took[-1], 1),
        "median ms until the frame is there": round(statistics.median(page.evaluate("window.sent")), 1),
        "load": os.getloadavg(),
        "heap MB": [round(size, 1) for size in (*heaps, heap())],
    }
    (SHOTS / "times.json").write_text(json.dumps(report, indent=1))
    assert len(took) == MOVES


def test_a_closed_explorer_leaves_the_page(page):
    """No part of the drawing stays in the notebook, and no widget in its manager."""
    run = """code => { const one = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        return one.requestExecute({code}).done.then(() => true); }"""
    assert page.evaluate(run, "_.close()")
    page.wait_for_function("document.querySelectorAll('.mcutils-explorer .panels svg').length === 0")
