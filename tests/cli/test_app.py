"""The explorer as a page without code, served for real: whom it lets in, what it shows, what it asks others for."""

import contextlib
import os
import re
import shutil
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from servers import free_port, serving

from mcutils.cli.stores import explore_command

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LIMIT = 300  # seconds that the server may live

pytestmark = pytest.mark.filterwarnings("default")
pytest.importorskip("voila", reason="voila is not installed: pip install -e '.[dev]'")


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Port and token of the app, which is killed with all its children afterwards."""
    home = tmp_path_factory.mktemp("app")
    port = free_port()
    command = explore_command(True, port, False, home / "explorer")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with serving(command, home, LIMIT) as server:
        until = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < until:
            found = re.search(r"http://127\.0\.0\.1:\d+\S*\?token=([0-9a-f]+)", (home / "log").read_text())
            with contextlib.suppress(OSError):
                if found and answer(port, "/api", f"127.0.0.1:{port}")[0] == 200:
                    break
            time.sleep(0.25)
        else:
            pytest.fail(f"the app did not start:\n{(home / 'log').read_text()[-2000:]}")
        yield port, found[1]


def answer(port, path, host):
    """Status and headers of the answer to a request for this Host; no redirect is followed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host})
        found = connection.getresponse()
        return found.status, dict(found.getheaders())
    finally:
        connection.close()


def test_nobody_is_let_in_without_the_token(app):
    port, token = app
    here = f"127.0.0.1:{port}"
    assert len(token) >= 40
    for path in ("/voila/render/app.ipynb", "/voila/render/app.ipynb?token=" + "0" * len(token)):
        status, headers = answer(port, path, here)
        assert status == 302 and urlsplit(headers["Location"]).path == "/login"
    assert answer(port, "/api/kernels", here)[0] == answer(port, "/api/contents", here)[0] == 403
    assert answer(port, f"/api/kernels?token={token}", here)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "169.254.169.254", "127.0.0.1.evil.example"])
def test_a_foreign_host_is_refused_even_with_the_token(app, host):
    port, token = app
    assert answer(port, f"/api/kernels?token={token}", host)[0] == 403
    assert answer(port, f"/voila/render/app.ipynb?token={token}", host)[0] == 403


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
def test_the_page_shows_the_explorer_and_asks_no_other_host_for_anything(app):
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    port, token = app
    reached, refused = [], {}

    def stop(route):
        reached.append(route.request.url)
        route.abort()

    with api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = browser.new_page()
            page.on("requestfailed", lambda one: refused.update({one.url: one.failure}))
            # A request comes here only if the page's policy lets it leave.
            page.route(lambda url: urlsplit(url).hostname not in ("127.0.0.1", None, ""), stop)
            page.goto(f"http://127.0.0.1:{port}/voila/render/app.ipynb?token={token}", timeout=120_000)
            page.wait_for_selector(".mcutils-explorer .panels svg", timeout=120_000)
            policy = page.evaluate("fetch('http://127.0.0.2/').then(() => 'left', error => String(error))")
        finally:
            browser.close()
    assert "Failed to fetch" in policy
    assert reached == []
    foreign = {url: why for url, why in refused.items() if urlsplit(url).hostname != "127.0.0.1"}
    assert foreign and all("csp" in str(why).lower() for why in foreign.values()), foreign
