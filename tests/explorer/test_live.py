"""The page in which the network runs: its numbers in Python, and the page itself in a real browser."""

import base64
import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

import mcutils as mc
from mcutils.cli.main import main
from mcutils.curves import Curve, bezier
from mcutils.errors import BadInput
from mcutils.explorer import live
from mcutils.measures.metrics import per_example_loss
from mcutils.measures.planes import Basis
from mcutils.models.vision import build
from mcutils.paper.quickstart import explorer
from mcutils.settings import Plan
from mcutils.weights import mix, refresh_batchnorm, weights_of

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
WAIT = 90_000  # milliseconds for one step of a page
LARGEST = 3e6  # bytes of the page


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
