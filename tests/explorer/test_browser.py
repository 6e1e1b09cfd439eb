"""The explorer in a real browser: JupyterLab runs notebook 14, and the exported page opens from disk.

Screenshots and latencies, which are not judged here, are left in build/browser/.
"""

import contextlib
import json
import os
import shutil
import statistics
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from servers import free_port, serving

import mcutils as mc
from mcutils.engine.specs import key
from mcutils.explorer import sources
from mcutils.measures.metrics import measure, predictions
from mcutils.paper.quickstart import explorer

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --enable-precise-memory-info --js-flags=--expose-gc"
).split()
LIMIT = int(os.environ.get("MCUTILS_LIMIT", "240"))  # seconds that the server may live
WAIT = 30_000  # milliseconds for one step of a page
MOVES = int(os.environ.get("MCUTILS_MOVES", "20"))

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
    pytest.mark.filterwarnings("default"),  # playwright's own
]
playwright_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
)

# Measures, in the browser, from a key to the first painted frame that shows another point.
CLOCK = """() => {
  window.took = [];
  window.sent = [];
  let began = null;
  const box = document.querySelector('.mcutils-explorer');
  const k = () => box.querySelector('table.readout')?.dataset.k;
  let shown = k();
  document.addEventListener('keydown', () => { began = performance.now(); }, true);
  new MutationObserver(() => {
    if (k() === undefined || k() === shown) return;
    shown = k();
    if (began === null) return;
    const from = began; began = null;
    window.sent.push(performance.now() - from);
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => window.took.push(performance.now() - from);
      after.port2.postMessage(0);
    });
  }).observe(box, {childList: true, subtree: true});
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
def browser():
    with playwright_api.sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield found
        finally:
            found.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab with notebook 14 but its last cell and its own settings, killed with its children."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    folder.mkdir()
    notebook = json.loads((ROOT / "notebooks" / "14_explorer.ipynb").read_text(encoding="utf-8"))
    notebook["cells"].pop()  # a second explorer, in which nothing could be found by its name alone
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
        for _ in range(240):
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
def page(browser, lab):
    """Notebook 14 in JupyterLab, all of its cells executed."""
    found = browser.new_page(viewport={"width": 1280, "height": 1000})
    found.set_default_timeout(WAIT)
    found.goto(f"{lab}/lab/tree/14_explorer.ipynb")
    found.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel != null")
    found.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
    for _ in range(240):  # the icon says idle before the kernel is connected
        with urllib.request.urlopen(f"{lab}/api/kernels", timeout=5) as answer:
            kernels = json.load(answer)
        if kernels and kernels[0]["connections"] > 0 and kernels[0]["execution_state"] == "idle":
            break
        time.sleep(0.25)
    found.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    found.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    found.wait_for_selector(".mcutils-explorer table.readout")
    found.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    yield found
    SHOTS.mkdir(parents=True, exist_ok=True)
    found.screenshot(path=str(SHOTS / "last.png"))
    found.close()


def point(page):
    return int(page.locator(".mcutils-explorer table.readout").get_attribute("data-k"))


def wait_for(page, k, test="==="):
    page.wait_for_function(f"Number(document.querySelector('.mcutils-explorer table.readout').dataset.k) {test} {k}")


def painted(page):
    """Waits until every frame whose content has come is painted, and so timed by CLOCK."""
    page.wait_for_function("window.took.length === window.sent.length")


def read(page, within=".mcutils-explorer"):
    """(metric, column) -> value of the first path's rows of the table."""
    script = "cells => cells.map(c => [c.dataset.metric, c.dataset.at, c.dataset.value, c.textContent])"
    rows = page.locator(f"{within} table.readout td[data-metric]").evaluate_all(script)
    found = {}
    for metric, column, value, text in rows:
        found.setdefault((metric, column), (float(value), text))
    return found


def check_values(shown, trace, k, metrics):
    """What the table reads is what the trace says at that point."""
    for name, values in measure(trace, metrics).items():
        for column, expected in (("t", values[k]), ("start", values[0]), ("end", values[-1])):
            value, text = shown[name, column]
            assert value == pytest.approx(expected, rel=1e-9), (name, column)
            factor = 100 if name.startswith("accuracy") else 1
            assert float(text) == pytest.approx(factor * expected, abs=0.051 if factor > 1 else 0.00051)


def cells(page, within=".mcutils-explorer"):
    """(row of the data set, predicted class, remembered) of each image of the page, of the first path."""
    script = """items => items.map(li => [Number(li.dataset.row),
        Number(li.querySelector('.said').dataset.predicted), li.classList.contains('in')])"""
    return [tuple(one) for one in page.locator(f"{within} ul.cells li").evaluate_all(script)]


def check_cells(found, trace, k):
    rows = {int(row): j for j, row in enumerate(trace.index["forget"])}
    predicted, labels = predictions(trace, "forget")[k], trace.labels["forget"]
    assert len(found) == 24
    for row, said, remembered in found:
        assert said == predicted[rows[row]] and remembered == (said == labels[rows[row]])


def test_slider_by_key_mouse_and_play(page, traces):
    page.locator(".mcutils-t .noUi-handle").focus()
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

    box = page.locator(".mcutils-t .noUi-base").bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    wait_for(page, 0)
    after = cells(page)
    check_cells(after, traces["linear"], 0)
    assert [one[0] for one in after] == [one[0] for one in before] and after != before
    page.wait_for_timeout(300)  # what was clicked may have been scrolled
    handle = page.locator(".mcutils-t .noUi-handle").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] / 2, y, steps=8)
    page.mouse.up()
    wait_for(page, 12, ">")

    page.locator(".mcutils-play button").first.click()
    wait_for(page, point(page) + 2, ">=")
    page.locator(".mcutils-play button").first.click()
    page.wait_for_timeout(700)
    stopped = point(page)
    page.wait_for_timeout(700)
    assert point(page) == stopped
    check_values(read(page), traces["linear"], stopped, ["loss_forget"])


def test_the_marker_stands_at_the_value(page, traces):
    page.locator(".mcutils-t .noUi-handle").focus()
    page.keyboard.press("Home")
    wait_for(page, 0)
    script = """() => { const svg = document.querySelector('.mcutils-explorer svg');
        const [dot, end] = ['.dot.ca', '.end.ca'].map(one => svg.querySelector(one).getBoundingClientRect());
        return [dot.x + dot.width / 2 - end.x - end.width / 2, dot.y + dot.height / 2 - end.y - end.height / 2]; }"""
    assert page.evaluate(script) == pytest.approx([0, 0], abs=1.0), "at t = 0 the dot lies on the start"
    assert "0.000" in page.evaluate(
        "getComputedStyle(document.querySelector('.mcutils-explorer .at'), '::after').content"
    )


def test_other_pair_and_metric(page, study, traces):
    page.locator(".mcutils-curve select").select_option(label="Bézier")
    page.wait_for_selector(".mcutils-explorer h3:has-text('Bézier, NPO')")
    k = point(page)
    check_values(read(page), traces["bezier"], k, ["loss_retain", "loss_forget"])
    check_cells(cells(page), traces["bezier"], k)
    page.locator(".mcutils-metric select").select_option(label="accuracy")
    page.wait_for_selector(".mcutils-explorer svg text:has-text('forget accuracy (%)')")
    page.locator(".mcutils-start-method select").select_option(label="SCRUB: changes others too")
    page.wait_for_selector(".mcutils-explorer h3:has-text('SCRUB')")
    assert "nearest" in page.locator(".mcutils-explorer [role=status]").inner_text()
    assert "no trace of this path is stored" in page.locator(".mcutils-explorer .empty").last.inner_text()
    title = page.locator(".mcutils-explorer h3").inner_text()
    (found,) = [one for one in sources.sources(study) if one.label == title][:1]
    values, k = found.read().values("loss_retain"), point(page)
    assert read(page)["loss_retain", "t"][0] == pytest.approx(values[k], rel=1e-9)
    curves = [text.replace("\xa0", " ") for text in page.locator(".mcutils-curve option").all_inner_texts()]
    assert sorted(curves) == ["Bézier: no trace, curves only", "linear: no trace, curves only"]


def test_running_it_again_begins_anew(page, traces):
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(".mcutils-explorer h3:text-is('linear, NPO 42 to NPO 87')")
    idle = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
    page.wait_for_function(idle)
    assert page.locator(".mcutils-explorer").count() == 1 and point(page) == 15
    check_cells(cells(page), traces["linear"], 15)


def test_one_click_copies_the_code(page, names):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="copy the code").click()
    page.wait_for_selector(".mcutils-explorer button:has-text('copied')")
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith("import mcutils as mc\n\nmc.explore(mc.study('laptop'") and "'profile-" in code


def test_the_exported_page_moves_from_disk(page, browser, traces, names):
    page.get_by_role("button", name="save html").click()
    page.wait_for_selector(".mcutils-explorer [role=status]:has-text('Saved')")
    said = page.locator(".mcutils-explorer [role=status]").inner_text()
    path = ROOT / said.removeprefix("Saved ").rstrip(".")
    title = page.locator(".mcutils-explorer h3").inner_text()
    kind = "bezier" if title.startswith("Bézier") else "linear"
    for width, theme in ((1280, "light"), (800, "dark")):
        alone = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        asked = []
        alone.on("request", lambda request, asked=asked: asked.append(request.url))
        alone.goto(path.as_uri())
        alone.locator("#t").focus()
        first = cells(alone, "body")
        for _ in range(4):
            alone.keyboard.press("ArrowRight")
        k = int(alone.locator("#t").input_value())
        shown = read(alone, "body")
        check_values(shown, traces[kind], k, ["loss_retain", "loss_forget"])
        check_cells(cells(alone, "body"), traces[kind], k)
        assert [one[0] for one in first] == [one[0] for one in cells(alone, "body")]
        alone.get_by_role("button", name="Play").click()
        alone.wait_for_selector(f"table.readout:not([data-k='{k}'])")
        alone.get_by_role("button", name="Pause").click()
        reach = "() => fetch('https://example.org/').then(() => 'reached', () => 'refused')"
        assert alone.evaluate(reach) == "refused", "the page's policy lets nothing out"
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        SHOTS.mkdir(parents=True, exist_ok=True)
        alone.screenshot(path=str(SHOTS / f"page_{width}_{theme}.png"), full_page=True)
        alone.close()


def test_pictures_and_times_are_kept(page):
    """Screenshots at two widths in both themes; latencies and memory are written down and judged by nobody."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.locator(".mcutils-compare select").select_option(label="overlaid")
    page.wait_for_selector(".mcutils-explorer svg .dot.cb")
    for theme in ("Light", "Dark"):
        page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
        for width in (1280, 800):
            page.set_viewport_size({"width": width, "height": 2400})  # the whole explorer, which Lab scrolls
            box = page.locator(".mcutils-explorer")
            box.evaluate("b => b.scrollIntoView()")
            page.wait_for_timeout(500)
            wide = box.evaluate("b => [b.scrollWidth, b.clientWidth]")
            assert wide[0] <= wide[1] + 1, f"cut at {width} px"
            page.screenshot(path=str(SHOTS / f"lab_{width}_{theme.lower()}.png"))
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.locator(".mcutils-compare select").select_option(label="no")
    page.wait_for_selector(".mcutils-explorer svg .dot.cb", state="detached")
    page.evaluate(CLOCK)
    page.locator(".mcutils-t .noUi-handle").focus()
    page.keyboard.press("Home")
    wait_for(page, 0)
    painted(page)  # its time must not be counted among those below
    heap = lambda: page.evaluate("performance.memory.usedJSHeapSize / 1e6")  # noqa: E731
    page.evaluate("() => { window.took = []; window.sent = []; window.gc?.(); }")
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
