"""A real browser for tests: where it is, how it is started, what it must not say, and its pages judged by axe."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHOTS = ROOT / "build" / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --enable-precise-memory-info --js-flags=--expose-gc"
).split()
WAIT = 1000 * int(os.environ.get("MCUTILS_WAIT", "30"))  # milliseconds for one step of a page
MARKS = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
    pytest.mark.filterwarnings("default"),  # playwright's own
]


@contextlib.contextmanager
def started():
    """Chromium without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    with api.sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield found
        finally:
            found.close()


def listened(page):
    """What the page says on its console as errors or throws, and the addresses it asks, as they come."""
    wrong, asked = [], []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    return wrong, asked


def opened(browser, path, ready, width=1280, theme="light", wait=WAIT, **options):
    """A page once each selector of ``ready`` has its state, with what it complains of and what it asks for."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme, **options)
    page.set_default_timeout(wait)
    wrong, asked = listened(page)
    page.goto(path.as_uri())
    for selector, state in ready.items():
        page.wait_for_selector(selector, state=state)
    return page, wrong, asked


def check_accessible(page, within="body"):
    """Axe finds nothing to object to in a part of a page."""
    axe = pytest.importorskip("axe_core_python", reason="axe is not installed: pip install -e '.[dev]'")
    code = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(f"() => {{ const define = undefined, module = undefined, exports = undefined; {code} }}")
    options = "{resultTypes: ['violations'], iframes: false}"
    found = page.evaluate(f"axe.run({json.dumps(within)}, {options})")["violations"]
    told = [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
    assert told == [], json.dumps(told, indent=1)
