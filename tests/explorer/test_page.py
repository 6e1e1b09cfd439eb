"""Pages: one file that holds a book and the module that draws it, asks nobody for anything, and no name can break."""

import base64
import hashlib
import json
import re
import warnings

import numpy as np
import pytest
import synthetic
import torch

import mcutils as mc
from mcutils.explorer.figure import view_figure
from mcutils.explorer.page import page, part
from mcutils.explorer.scene import View, scene
from mcutils.explorer.sources import sources
from mcutils.measures import drawing as plots
from mcutils.traces import Trace

T = 5
NAMES = ("@data@", "<b>", "</script>", "'\"`", "$x_$", "ключ 鍵 🔑", "\\u003c", "&amp;", "_hidden", "a" * 300)


def made(view=None, names=("one", "two")):
    given = dict(zip(names, (synthetic.trace(T), synthetic.trace(3, seed=4)), strict=True))
    found = {one.name: one for one in sources(given)}
    return scene(view or View(names[0]), found)


def text_of(one, given="paths"):
    return page(one.book(), one.state, given, f"mcutils explorer: {one.sources[0].label}")


def data_of(text):
    return json.loads(text.split('id="data">')[1].split("</script>")[0])


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


def test_a_page_needs_nothing_else_and_holds_its_book():
    one = made(View("one", k=3, compare="two"))
    text = text_of(one, "mc.study()")
    assert not re.search(r"(src|href)=[\"']?[^d]|https?:(?!//www\.w3\.org/2000/svg)|@import|url\((?!data:|\$|#)", text)
    found = data_of(text)
    assert found["book"] == json.loads(json.dumps(one.book())) and found["state"] == one.state
    assert found["offers"] == {"given": "mc.study()"} and found["state"]["k"] == 3


def test_a_policy_lets_the_page_run_its_own_script_only():
    text = text_of(made())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text).group(1)
    script = re.search(r'<script type="module">(.*?)</script>', text, re.DOTALL).group(1)
    told = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{told}'" in policy
    assert "http" not in policy and "*" not in policy and "unsafe-eval" not in policy
    assert text.count("<script") == text.count("</script>") == 2


@pytest.mark.parametrize("name", ["explorer.css", "explorer.html", "explorer.js", "loader.js"])
def test_nothing_is_asked_of_a_server(name):
    text = part(name).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|['\"]//[a-z]|@import|src=|fetch|XMLHttp|WebSocket|sendBeacon|EventSource", text)
    assert not re.search(r"\bimport\b[\s(]*['\"{*]|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text)
    assert not re.search(r"url\((?!#|\$\{book|\$\{uid)", text)


@pytest.mark.parametrize("name", [*NAMES, "<script>alert('x')</script>&", "@title@ @style@ @hash@ @code@"])
def test_a_path_s_name_stands_as_text(name):
    text = text_of(made(View(name), (name, "two")), "code </script> @data@ <b>")
    found = data_of(text)
    assert found["book"]["chapters"][0]["label"] == name == found["state"]["path"]
    assert found["offers"]["given"] == "code </script> @data@ <b>"
    assert text.count("<script") == text.count("</script>") == 2 and "<script>alert" not in text


def test_names_of_classes_break_neither_page_nor_figure():
    one, _ = own(np.random.default_rng(1).integers(0, 256, (80, 3, 6, 5)).astype(np.uint8))
    text = text_of(one)
    assert data_of(text)["book"]["classes"] == list(NAMES)
    assert text.count("<script") == text.count("</script>") == 2 and "<b>" not in text
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # matplotlib's font has no such letters
        figure = view_figure(one)
        shown = {ax.get_title().replace(r"\$", "$").strip() for ax in figure.axes[2:]}
        assert plots.encoded(figure) and shown <= set(NAMES)


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
    assert len(one.book()["pictures"]["rows"]) == len(task.index["forget"])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((80, 7), np.float32), "of shape (7,) each"),
        ({"tokens": torch.zeros(80, 9, dtype=torch.int64)}, "tokens"),
    ],
)
def test_inputs_that_are_no_images_are_said_to_be_none(x, words):
    one, _ = own(x, ("yes", "no"))
    found = data_of(text_of(one))["book"]
    assert f"the inputs of this task are no images, but {words}" in found["chapters"][0]["nopictures"]
    assert found["pictures"] is None and found["chapters"][0]["images"]["rows"]
    assert "No images" in view_figure(one).legends[0].get_title().get_text()
