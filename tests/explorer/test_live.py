"""The page in which the network runs: its numbers in Python, and the page itself in a real browser."""

import base64
import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from browsing import MARKS, SHOTS, check_accessible, opened
from scipy.interpolate import RegularGridInterpolator

import mcutils as mc
from mcutils.cli.main import main
from mcutils.curves import Curve, bezier
from mcutils.errors import BadInput
from mcutils.explorer import live
from mcutils.measures.along import excess
from mcutils.measures.metrics import per_example_loss
from mcutils.measures.planes import Basis
from mcutils.models.vision import build
from mcutils.paper.experiments import explorer
from mcutils.settings import Plan
from mcutils.weights import mix, refresh_batchnorm, weights_of

LARGEST = 3e6  # bytes of the page
LOCAL = ("file:", "blob:", "data:")


def decoded(text, kind):
    return np.frombuffer(base64.b64decode(text), dtype=np.dtype(kind).newbyteorder("<"))


def read(page):
    """What a page says of itself, by its element of data."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def network(data):
    """The network in a page, made anew from its bytes alone."""
    net = data["net"]
    like = weights_of(build("convnet", 1, net["classes"], 0, width=net["channels"][1]), "convnet")
    values = torch.from_numpy(decoded(data["points"], np.float16).astype(np.float32)).reshape(3, -1)
    points = []
    for one in values:
        parts = one.split([value.numel() for value in like.params.values()])
        named = zip(like.params.items(), parts, strict=True)
        points.append(replace(like, params={name: part.view(value.shape) for (name, value), part in named}))
    x, y = (np.array(data["statistics"][name]) for name in "xy")
    table = decoded(data["statistics"]["table"], np.float16).astype(np.float32).reshape(len(y), len(x), -1)
    return live.Live(Basis(tuple(points), np.array(data["models"])), (x, y), table)


def images(data):
    side, net = data["net"]["side"], data["net"]
    pixels = torch.from_numpy(decoded(data["images"], np.uint8).astype(np.float32)).reshape(-1, 1, side, side)
    return (pixels / 255 - net["mean"]) / net["std"]


def place_at(data, control, t):
    return np.array(bezier(3, t)) @ np.array([data["models"][0], control, data["models"][2]])


@pytest.fixture(scope="module")
def curve(tiny):
    """A curve between three networks of width 4, trained a little on the small digits task."""
    points = [mc.train(tiny, seed=seed, plan=Plan(lr=1e-2, steps=8), width=4) for seed in (0, 1, 2)]
    return Curve("bezier", tuple(points))


@pytest.fixture(scope="module")
def small(curve, tiny):
    return live.live_network(curve, tiny, places=3)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return mc.study("laptop", store=str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def path(tmp_path_factory, study):
    """The page of the shipped curve, with a coarse table of statistics: every place costs a pass over 1,024 images."""
    return live.export_live(tmp_path_factory.mktemp("live") / "live.html", study, places=3)


@pytest.fixture(scope="module")
def data(path):
    return read(path.read_text(encoding="utf-8"))


# Numbers


def test_statistics_between_places_are_bilinear_and_beyond_them_constant():
    rng = np.random.default_rng(0)
    x, y, table = np.linspace(-1, 2, 5), np.linspace(0, 3, 4), rng.normal(size=(4, 5, 6))
    other = RegularGridInterpolator((y, x), table)
    for a, b in [*rng.uniform((-1, 0), (2, 3), size=(40, 2)), (2.0, 3.0), (-1.0, 0.0), (0.5, 1.0)]:
        assert live.statistics_at(x, y, table, (a, b)) == pytest.approx(other((b, a)), abs=1e-12)
    assert live.statistics_at(x, y, table, (9, -9)) == pytest.approx(table[0, -1])


def test_a_sample_is_one_that_no_exchange_mends():
    rng = np.random.default_rng(1)
    features = rng.exponential(size=(3, 12))
    goal = features.mean(axis=1)

    def off(rows):
        return ((features[:, list(rows)].mean(axis=1) - goal) ** 2).sum()

    found = live.representative(features, 4)
    assert len(set(found)) == 4
    best = min(off(rows) for rows in itertools.combinations(range(12), 4))
    assert best <= off(found) <= np.quantile([off(rows) for rows in itertools.combinations(range(12), 4)], 0.02)
    for leaves, enters in itertools.product(found, set(range(12)) - set(found)):
        assert off(found) <= off({*found, enters} - {leaves}) + 1e-9
    assert sorted(live.representative(features[:, :3], 3)) == [0, 1, 2]


def test_the_first_of_a_sample_stand_for_all_too():
    rng = np.random.default_rng(2)
    losses = [rng.exponential(size=(31, 300)).cumsum(axis=0) / 31 for _ in range(2)]
    found = live.sampled(losses, rng.exponential(size=300), 0.4)
    assert len(set(found)) == live.SAMPLE
    for one in losses:
        spread = one.std(axis=1).max()
        for size in (live.FEW, live.SAMPLE):
            off = np.abs(one[:, found[:size]].mean(axis=1) - one.mean(axis=1)).max()
            assert off < 2 * spread / np.sqrt(size)


def test_at_its_places_the_network_is_the_package_s(small, curve, tiny):
    """Rounded weights there, and statistics of the package, but for their rounding."""
    x = tiny.inputs("test")
    points = [live.half(one) for one in curve.points]
    for a, b in itertools.product(small.axes[0], small.axes[1]):
        coefficients = small.plane.coefficients(a, b)
        mixed = replace(points[0], params=mix(coefficients, [one.params for one in points]))
        exact = refresh_batchnorm(mixed, tiny.inputs("bn"))
        with torch.no_grad():
            expected = mc.weights.module_of(exact)(x)
        assert small.logits((a, b), x).numpy() == pytest.approx(expected.numpy(), abs=0.02)


def test_what_it_cannot_run_is_refused(curve, tiny):
    ends = curve.points
    other = weights_of(build("convnet_gn", 1, 10, 0, width=4), "convnet_gn")
    for wrong, word in (
        (Curve("linear", ends[::2]), "control point"),
        (Curve("bezier", (*ends, ends[0])), "control point"),
        (Curve("bezier", (other, other, other)), "convnet"),
        (ends[0], "a Curve"),
    ):
        with pytest.raises(BadInput, match=word):
            live.live_network(wrong, tiny)
    with pytest.raises(BadInput, match="square"):
        live.live_network(curve, replace(tiny, x=tiny.x[..., :6]))
    with pytest.raises(BadInput, match="places"):
        live.live_network(curve, tiny, places=1)
    with pytest.raises(BadInput, match="study"):
        live.export_live(study="laptop")


def test_what_a_page_holds_gives_the_stored_losses_again(data, study):
    """Export, decode, compute anew: as far from the stored losses of the same images as the page says, and no farther.

    And the sample stands for all images: beside their mean it says the same of MCU.
    """
    found, x, labels = network(data), images(data), torch.tensor(data["labels"])
    counts = list(data["groups"].values())
    assert list(data["groups"]) == ["retain", "forget", "forget_shown", "test_shown"] and sum(counts) == len(labels)
    parts = (one.split(counts) for one in (x, labels, torch.tensor(data["rows"])))
    sides = dict(zip(data["groups"], zip(*parts, strict=True), strict=True))
    controls = dict(line=np.mean(data["models"][::2], axis=0), curve=data["models"][1])
    worst = 0.0
    for spec in explorer(study)[:2]:
        name, trace = "line" if spec.trace.model.kind == "linear" else "curve", study.store.get(spec.trace)
        excesses = {}
        for split in ("retain", "forget"):
            some, truth, rows = sides[split]
            places = [list(trace.index[split]).index(row) for row in rows.tolist()]
            exact = per_example_loss(trace, split)[:, places].mean(axis=1)
            assert truth.tolist() == trace.labels[split][places].tolist()
            losses = []
            for k in (0, 15, 30):
                logits = found.logits(place_at(data, controls[name], trace.t[k]), some)
                losses.append(float(torch.nn.functional.cross_entropy(logits, truth)))
                worst = max(worst, abs(losses[-1] - exact[k]))
            excesses[split] = (losses[1] - (losses[0] + losses[2]) / 2) / data["gap"]
            stored = np.array(data["stored"][name][split])
            assert excesses[split] == pytest.approx((stored[15] - stored[[0, 30]].mean()) / data["gap"], abs=0.2)
        assert (-excesses["forget"] > data["eps"]) == (name == "line") and excesses["retain"] < data["eps"]
    assert 0 < worst <= data["off"] + 1e-6 and data["off"] < 0.05


@pytest.mark.parametrize("where", ["network", "trace"])
def test_a_loss_that_is_no_number_passes_for_no_agreement(where, small, curve, tiny, data, monkeypatch):
    found = mc.trace(curve, tiny, t=4)
    groups = {split: [0, 1] for split in ("retain", "forget")}
    assert 0 < live._deviation(small, tiny, {"curve": found}, groups) < 1
    if where == "network":
        monkeypatch.setattr(live.Live, "logits", lambda self, place, x: torch.full((len(x), 10), torch.nan))
    else:
        found.logits["retain"][0, 0] = np.nan  # the first of many: what comes after does not hide it
    off = live._deviation(small, tiny, {"curve": found}, groups)
    assert np.isnan(off)
    with pytest.raises(BadInput, match="some of this curve or its task are NaN"):
        live.page({**data, "off": off})


def test_its_models_are_the_shipped_ones(data):
    found = network(data).plane.points
    for point, seed in ((found[0], 42), (found[2], 87)):
        shipped = mc.load("npo", seed=seed).weights.params
        assert all(torch.equal(value, shipped[name]) for name, value in point.params.items())


def test_a_page_is_one_small_file_that_asks_for_nothing(path, data):
    page = path.read_text(encoding="utf-8")
    assert len(page.encode()) < LARGEST
    assert not re.search(r"(?:src|href)=|https?://(?!www\.w3\.org/2000/svg)|import\(|@\w+@", page)
    gap = f"{data['gap']:.2f} nats"
    assert all(
        word in page for word in ("61,050", "above the chord", "below their chord", "What there is to forget", gap)
    )
    again = live.page({**data, "title": "@data@ </script><b>"})
    assert read(again)["title"] == "@data@ </script><b>" and "</script><b>" not in again


def test_the_command_writes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(live, "live_data", lambda study, curve, places: {"asked": (curve.kind, curve.start.seed)})
    monkeypatch.setattr(live, "page", json.dumps)
    assert main(["explore", "--export-live", str(tmp_path / "x.html"), "--store", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "x.html").read_text()) == {"asked": ["bezier", 42]}
    assert capsys.readouterr().out.strip().endswith("x.html")


# The page in a browser


READY = {"#speed[data-ms]": "attached", "#own-path path": "visible"}  # the page at rest


def in_browser(test):
    for mark in MARKS:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def page(browser, path):
    found, wrong, asked = opened(browser, path, READY)
    yield found
    found.close()
    assert wrong == [] and [one for one in asked if not one.startswith(LOCAL)] == []


def verdict(data, control, split_rows):
    """Rise and dip of the sample in G, by Python, at the points that the page walks at rest."""
    found, x, labels, t = network(data), images(data), torch.tensor(data["labels"]), np.linspace(0, 1, 11)
    excesses = []
    for rows in split_rows:
        losses = [
            float(torch.nn.functional.cross_entropy(found.logits(place_at(data, control, one), x[rows]), labels[rows]))
            for one in t
        ]
        excesses.append(excess(np.array(losses), t) / data["gap"])
    return excesses[0].max(), -excesses[1].min()


@in_browser
def test_the_browser_s_logits_are_the_package_s(page, data):
    """At the same rounded weights and statistics, as WebAssembly, in plain JavaScript and in a worker."""
    script = """async ([places, fast, worker]) => {
      const { Network, data, ready, pixels, crew } = mcutilsLive, size = data.net.side ** 2;
      const images = ready(pixels.subarray(0, 8 * size));
      if (worker) return (await crew.ask("own", places.map(place => ({place, images})))).map(one => Array.from(one));
      const network = new Network(data, fast);
      return places.map(place => { network.place(data.models, place); return Array.from(network.logits(images)); });
    }"""
    start, control, end = data["models"]
    places = [start, end, control, [1.3, 2.1], [0.4, -0.7]]
    places += [place_at(data, control, 0.3).tolist(), place_at(data, np.mean([start, end], axis=0), 0.5).tolist()]
    found, x = network(data), images(data)[:8]
    expected = np.array([found.logits(place, x).numpy().ravel() for place in places])
    assert expected.std() > 1
    for fast, worker in ((True, False), (False, False), (True, True)):
        seen = np.array(page.evaluate(script, [places, fast, worker]))
        assert np.abs(seen - expected).max() < 1e-3, (fast, worker)
    assert page.evaluate("mcutilsLive.crew.way") == "WebAssembly"


@in_browser
def test_the_verdict_is_what_python_says(page, data, study):
    retain, forget = (range(32), range(32, 64))
    start, fitted, end = (np.array(one) for one in data["models"])
    rise, dip = verdict(data, (start + end) / 2, (retain, forget))
    assert rise < data["eps"] < dip
    words = page.locator("#verdict.broken").inner_text()
    assert words.startswith("MCU(0.1) breaks on these 64 images: the forget loss dips")
    assert float(re.search(r"dips ([\d.]+) G", words)[1]) == pytest.approx(dip, abs=0.006)
    (stored,) = study.run([explorer(study)[0]])
    dip = stored.connectivity.measures["deficit_forget"] / stored.gap
    assert f"dip {dip:.3g} G: MCU(0.1) breaks" in page.locator("#stored").inner_text()
    page.get_by_role("button", name="Fitted curve").click()
    words = page.locator("#verdict.held").inner_text()
    rise, dip = verdict(data, fitted, (retain, forget))
    assert max(rise, dip) <= data["eps"]
    seen = [float(one) for one in re.findall(r"at most ([-\d.]+) G", words)]
    assert seen == pytest.approx([rise, dip], abs=0.006)
    assert page.locator("#aloud[role=status]").inner_text() == words
    page.get_by_role("button", name="Straight line").click()
    page.wait_for_selector("#verdict.broken")


@in_browser
def test_keys_and_mouse_move_t_and_the_control_point(page, data):
    slider = page.get_by_role("slider", name="t, how far along the path")
    assert slider.get_attribute("aria-valuetext") == "0.5"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "0.52" and page.locator("#now").inner_text() == "0.52"
    page.keyboard.press("Home")
    assert page.locator("#t").get_attribute("aria-valuetext") == "0"
    page.wait_for_selector("#says:has-text('At t = 0 ')")
    handle = page.get_by_role("button", name="Control point")
    before = page.evaluate("mcutilsLive.state.control")
    handle.focus()
    page.keyboard.press("Shift+ArrowUp")
    after = page.evaluate("mcutilsLive.state.control")
    assert after[0] == before[0] and after[1] - before[1] == pytest.approx(0.1 * np.ptp(data["statistics"]["y"]))
    page.wait_for_selector("#stored:has-text('Your own curve')")
    box = page.locator("#field").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.25, steps=5)
    page.wait_for_selector("#verdict:has-text('these 16 images')")
    page.mouse.up()
    page.wait_for_selector("#verdict:has-text('these 64 images')")
    x, y = page.evaluate("mcutilsLive.state.control")
    across, up = (data["statistics"][name] for name in "xy")
    assert [x, y] == pytest.approx([np.mean([across[0], across[-1]]), up[0] + 0.75 * np.ptp(up)], abs=0.05)
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector("#now:not(:text-is('0.00'))")
    page.get_by_role("button", name="Pause").click()


@in_browser
def test_it_plays_on_while_the_control_point_is_dragged(page):
    """What is asked of the network and no longer wanted is answered too, so that nobody waits for it for ever."""
    late = """async () => {
      const { crew, data } = mcutilsLive, images = new Float32Array(data.net.side ** 2);
      const job = [{ place: data.models[0], images }];
      const asked = [1, 2, 3].map(() => crew.ask("own", job));
      return (await Promise.all(asked)).map((one) => one === null);
    }"""
    assert page.evaluate(late) == [False, True, False]
    page.get_by_role("button", name="Play").click()
    page.evaluate("for (let k = 0; k < 30; k++) mcutilsLive.put([k / 30, 1], true)")
    here = page.locator("#now").inner_text()
    page.wait_for_selector(f"#now:not(:text-is('{here}'))")
    page.evaluate("for (let k = 0; k < 8; k++) document.getElementById('play').click()")
    page.evaluate("document.getElementById('play').click()")
    assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="Straight line").click()
    page.wait_for_selector("#verdict:has-text('these 64 images')")


@in_browser
def test_an_image_can_be_drawn_uploaded_and_taken(page, tmp_path):
    from PIL import Image

    own = "Array.from(mcutilsLive.state.own)"
    page.get_by_role("button", name="Clear").click()
    assert not any(page.evaluate(own))
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 120, steps=4)
    page.mouse.up()
    drawn = np.array(page.evaluate(own)).reshape(28, 28)
    assert (drawn[5:23, 8] > 200).all() and drawn[:, 15:].max() == 0
    picture = np.full((80, 120), 250, dtype=np.uint8)
    picture[:, 60:] = 10  # a dark right half on a light ground, whose middle square is what is taken
    Image.fromarray(picture).save(tmp_path / "x.png")
    page.locator("#upload").set_input_files(tmp_path / "x.png")
    page.wait_for_selector("#pad-said:has-text('x.png is on the pad')")
    seen = np.array(page.evaluate(own)).reshape(28, 28)
    assert np.abs(seen[:, :12].mean() - seen[:, 16:].mean()) > 200
    assert ", its middle square, light and dark" in page.locator("#pad-said").inner_text()
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#pad-said").inner_text() == "", "what is gone is not said to be there"
    page.locator("#upload").set_input_files(tmp_path / "x.png")
    page.wait_for_selector("#pad-said:has-text('x.png is on the pad')")
    assert np.array_equal(np.array(page.evaluate(own)).reshape(28, 28), seen), "the same file again"
    page.mouse.click(box["x"] + 20, box["y"] + 70, button="right")
    assert np.array_equal(np.array(page.evaluate(own)).reshape(28, 28), seen), "the other button draws nothing"
    (tmp_path / "y.png").write_text("no picture")
    page.locator("#upload").set_input_files(tmp_path / "y.png")
    page.wait_for_selector("#pad-said:has-text('y.png is no picture')")
    page.locator("#test_shown button").first.click()
    page.wait_for_selector("#own-path path")
    shares = page.locator("#bars b").all_inner_texts()
    assert len(shares) == 10 and sum(float(one.removesuffix(" %")) for one in shares) == pytest.approx(100, abs=0.6)


@in_browser
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (800, "dark"), (390, "light"), (390, "dark")])
def test_it_fits_is_accessible_and_asks_for_nothing(browser, path, width, theme):
    page, wrong, asked = opened(browser, path, READY, width, theme, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = (
        "[...document.querySelectorAll('button, p:not(.away), li, dd')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    )
    assert page.evaluate(f"{cut}.map(one => one.outerHTML)") == []
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == theme
    page.get_by_role("button", name="Dark or light").click()
    other = "light" if theme == "dark" else "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == other
    page.get_by_role("button", name="Dark or light").click()
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"live_{width}_{theme}.png"), full_page=True)
    assert wrong == [] and [one for one in asked if not one.startswith(LOCAL)] == []
    assert page.evaluate("fetch('https://example.org/').then(() => 'reached', () => 'refused')") == "refused"
    check_accessible(page)
    page.close()
