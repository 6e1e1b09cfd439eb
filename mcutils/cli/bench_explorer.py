"""Speed and memory of the explorer in a real browser: in an exported page and in JupyterLab.

A move is timed from the slider's event to the frame that shows it, moves beginning at all phases of the screen's
clock. Times mean little on a busy machine, so each row gives the load; memory is what is left after collection.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import BadInput
from ..files import write_file
from .reproduce import KERNEL

MOVES, HEAP_MOVES, CYCLES = 1000, 2000, 200
GOAL_MS = {"page": 15.0, "lab": 25.0}
WAIT = 120  # seconds for one step of a browser
ARGUMENTS = "--no-sandbox --disable-gpu --no-first-run --enable-precise-memory-info --js-flags=--expose-gc".split()
# Moves the slider `count` times, to and fro; milliseconds until each is painted.
MOVE = """async (count) => {
  const slider = document.querySelector('.mcutils-explorer input.t'), took = [], last = Number(slider.max);
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = done;
    after.port2.postMessage(0);
  }));
  for (let n = 1, k = Number(slider.value), step = 1; n <= count; n += 1) {
    await new Promise((done) => setTimeout(done, 2 + ((n * 0.618034) % 1) * 16.7));
    step = k + step > last ? -1 : k + step < 0 ? 1 : step;
    k += step;
    const from = performance.now();
    slider.value = k;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await painted();
    took.push(performance.now() - from);
  }
  return took;
}"""
HEAP = "() => { window.gc(); return performance.memory.usedJSHeapSize / 1e6; }"
GIVEN = """import json, os
import ipywidgets, mcutils as mc, psutil
from importlib import import_module
from IPython.display import clear_output, display
from mcutils.cli.bench_explorer import given

ALIVE = import_module("ipywidgets.widgets.widget")._instances
path, task = given()
"""
SHOW = 'one = mc.explore({"a path": path}, task=task)\ndisplay(one.widget)'
# Explorers made, shown and closed; then what is left of them.
CYCLE = """for _ in range({count}):
    one = mc.explore({{"a path": path}}, task=task)
    display(one.widget)
    one.close()
    clear_output(wait=True)
print("left " + json.dumps([psutil.Process().memory_info().rss / 1e6, len(ALIVE)]))"""


def given() -> tuple[Any, Any]:
    """Logits of the first stored path that has some, and its task; raises `BadInput` where none is stored."""
    from ..engine.study import study
    from ..explorer.sources import sources

    for one in sources(study()):
        if one.traced:
            numbers = one.read()
            return numbers.trace, numbers.known_task
    raise BadInput("no path with logits is stored: python -m mcutils run 00 computes two.")


def lacking() -> str:
    """Why there is no browser to measure in; empty if there is one."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    if chromium() is None:
        return "chromium is not installed"
    return ""


def chromium() -> str | None:
    """Where Debian's chromium is."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        found = p.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            yield found
        finally:
            found.close()


def measured(moves: int = MOVES, heap_moves: int = HEAP_MOVES, cycles: int = CYCLES) -> Iterator[dict[str, Any]]:
    """Raw measurements, see `in_page` and `in_lab`, each with ``place`` and the ``load`` of the machine after it."""
    with TemporaryDirectory() as folder, browser() as found:
        yield {"place": "page", **in_page(found, Path(folder), moves, heap_moves), "load": load()}
        yield {"place": "lab", **in_lab(found, Path(folder), moves, cycles), "load": load()}


def load() -> float | None:
    """How many processes wanted to run in the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def in_page(found: Any, folder: Path, moves: int, heap_moves: int) -> dict[str, Any]:
    """Moves in an exported page: ``took`` (moves,) ms, and ``heap`` before and after ``heap_moves`` more, in MB."""
    from ..explorer.widget import explore

    path, task = given()
    file = folder / "page.html"
    write_file(file, explore({"a path": path}, task=task).page())
    page = _opened(found, file.as_uri())
    took = page.evaluate(MOVE, moves)
    before = page.evaluate(HEAP)
    page.evaluate(MOVE, heap_moves)
    after = page.evaluate(HEAP)
    page.close()
    return {"took": took, "heap": [before, after], "moves": heap_moves}


def in_lab(found: Any, folder: Path, moves: int, cycles: int) -> dict[str, Any]:
    """Moves and explorers made and closed in JupyterLab.

    ``took`` (moves,) ms; ``heap`` of the page and ``kernel``'s memory in MB, before and after ``cycles`` explorers,
    a tenth of them having been made before; ``widgets`` alive in the kernel then.
    """
    import nbformat

    few = max(1, cycles // 10)
    cells = [GIVEN, SHOW, "one.close()\n" + CYCLE.format(count=few), CYCLE.format(count=cycles)]
    home = folder / "lab"
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": KERNEL}
    )
    write_file(home / "notebooks" / "bench.ipynb", nbformat.writes(book))
    with _lab(home) as address:
        page = _opened(found, f"{address}/lab/tree/bench.ipynb", "document.querySelector('.jp-Notebook') !== null")
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel != null")
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
        _run(page, 2)
        page.wait_for_selector(".mcutils-explorer .panels svg")
        took = page.evaluate(MOVE, moves)
        left, heaps = [], []
        for number in (2, 3):
            _run(page, 1)
            text = page.locator(f".jp-Cell:nth-child({number + 1} of .jp-Cell) pre:has-text('left [')")
            text.wait_for(timeout=1000 * WAIT * 10)
            left.append(json.loads(text.inner_text().partition("left ")[2]))
            heaps.append(page.evaluate(HEAP))
        page.close()
    kernel, widgets = zip(*left, strict=True)
    return {"took": took, "heap": heaps, "kernel": list(kernel), "widgets": list(widgets), "cycles": cycles}


def _opened(found: Any, address: str, ready: str = "document.querySelector('.panels svg') !== null") -> Any:
    page = found.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(1000 * WAIT)
    page.goto(address)
    for _ in range(20 * WAIT):  # a page's policy forbids playwright's own way
        if page.evaluate(ready):
            return page
        page.wait_for_timeout(50)
    raise BadInput(f"the browser shows nothing at {address} after {WAIT} s.")


def _run(page: Any, count: int) -> None:
    """Run the next cells of the notebook."""
    for _ in range(count):
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell-and-select-next')")


@contextlib.contextmanager
def _lab(home: Path) -> Iterator[str]:
    """Address of a JupyterLab that has its own settings and ends with the block, with its kernels."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    (home / "config" / "labconfig").mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(quiet))
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": home / "notebooks",
        "IdentityProvider.token": "",
        "LabApp.extension_manager": "readonly",
        "LabApp.expose_app_in_browser": True,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    names |= {"IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "spaces"}
    places = {name: str(home / place) for name, place in names.items()}
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, **places, "PYTHONPATH": path, "JUPYTER_PREFER_ENV_PATH": "1"}
    with open(home / "log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(4 * WAIT):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
                break
            time.sleep(0.25)
        else:
            raise BadInput(f"JupyterLab did not start within {WAIT} s.")
        yield address
    finally:
        server.terminate()  # it ends its kernels
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=30)
        server.kill()
        server.wait()


def words(one: dict[str, Any]) -> str:
    """The times of a measurement: median and 95th percentile, of how many moves, at which load."""
    took = sorted(one["took"])
    at = "unknown" if one["load"] is None else f"{one['load']:.1f}"
    high = took[int(0.95 * (len(took) - 1))]
    return f"median {median(took):.1f} ms, 95th percentile {high:.1f} ms, {len(took)} moves; load {at}"


def growth(pair: Sequence[float]) -> float:
    """How many times as much memory is taken after as before."""
    return pair[1] / pair[0]
