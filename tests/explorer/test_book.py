"""Books: every number in them is the one that the trace or profile has, and JSON can say it."""

import base64
import io
import json
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import synthetic

import mcutils as mc
from mcutils.explorer import book as books
from mcutils.explorer.book import PIXELS, book, plain, png, quantities
from mcutils.explorer.numbers import Forgotten, units
from mcutils.explorer.sources import sources
from mcutils.measures.metrics import METRICS, measure, probabilities
from mcutils.measures.planes import Plane
from mcutils.paper.experiments import explorer
from mcutils.traces import Trace

T = 5


def told(given, **options):
    """The book of these paths."""
    found = sources(given, **options)
    return book([(one, one.read(), one.plane()) for one in found])


def test_every_value_is_the_trace_s_own_in_full():
    trace = synthetic.trace(T, seed=3)
    one = told(trace)["chapters"][0]
    expected = measure(trace)
    assert set(one["values"]) == {name for name in METRICS if not METRICS[name].references}
    for name, values in one["values"].items():
        assert values == expected[name].tolist()
    assert one["t"] == trace.t.tolist() and one["gap"] is None and one["levels"]["loss_retain"] == []
    assert (
        set(one["lacking"]) == set(units()) - set(one["values"]) and one["lacking"]["zrf"] == "needs the random model"
    )


def test_references_are_told():
    trace, first = synthetic.trace(T), synthetic.trace(1, right=1.0)
    retrained = [synthetic.trace(1, right=0.5, seed=seed) for seed in (1, 2)]
    one = told(trace, retrained=retrained, original=first)["chapters"][0]
    assert one["original"]["loss_forget"] == measure(first, "loss_forget")["loss_forget"][0]
    assert one["levels"]["loss_forget"] == [measure(r, "loss_forget")["loss_forget"][0] for r in retrained]
    assert one["gap"] == pytest.approx(np.mean(one["levels"]["loss_forget"]) - one["original"]["loss_forget"])
    assert len(one["bands"]["loss_forget"]) == 2 and len(one["bands"]["loss_forget"][0]) == T


@pytest.mark.parametrize("classes", [3, 300])
def test_predictions_come_back_from_their_bytes(classes):
    trace = synthetic.trace(T, classes=classes, seed=1)
    trace.logits["forget"][2, 3] = np.nan
    one = told(trace)["chapters"][0]["images"]
    kind = {1: np.uint8, 2: np.dtype("<u2")}[one["bytes"]]
    predicted = np.frombuffer(base64.b64decode(one["predicted"]), kind).reshape(T, -1)
    sure = np.frombuffer(base64.b64decode(one["sure"]), np.uint8).reshape(T, -1)
    places = [int(np.flatnonzero(trace.index["forget"] == row)[0]) for row in one["rows"]]
    found = probabilities(trace, "forget")[:, places]
    lost = np.isnan(found).any(axis=-1)
    assert lost.sum() == 1 and (predicted[lost] == np.iinfo(kind).max).all() and (sure[lost] == 255).all()
    assert np.array_equal(predicted[~lost], found.argmax(axis=-1)[~lost])
    assert np.array_equal(sure[~lost], np.rint(100 * found.max(axis=-1)[~lost]))
    assert one["labels"] == trace.labels["forget"][places].tolist()


@pytest.mark.parametrize("classes", [2, 4, 300])
def test_what_the_forget_set_is_called_is_counted_at_every_point(classes):
    trace = synthetic.trace(T, classes=classes, seed=2)
    trace.logits["forget"][1, 5] = np.inf
    images = told(trace)["chapters"][0]["images"]
    found, guessed = images["called"], probabilities(trace, "forget").argmax(axis=-1)
    pairs = [*zip(found["truth"], found["answer"], strict=True)]
    assert len(set(pairs)) == len(pairs)
    for k in range(T):
        counts = dict(zip(pairs, found["counts"][k], strict=True))
        assert sum(counts.values()) == len(images["rows"])
        for j, truth in enumerate(trace.labels["forget"].tolist()):
            counts[truth, None if (k, j) == (1, 5) else int(guessed[k, j])] -= 1
        assert set(counts.values()) == {0}
    assert all(max(column) > 0 for column in zip(*found["counts"], strict=True)), "no pair that never occurs"


def test_an_empty_forget_set_is_called_nothing():
    none = np.zeros((T, 0), dtype=int)
    found = books._images(Forgotten(none, none.astype(float), none[0], none[0]))["called"]
    assert found == {"truth": [], "answer": [], "counts": [[]] * T}


def test_what_is_not_finite_is_null_and_json_takes_it():
    trace = synthetic.trace(T)
    trace.logits["retain"][2] = np.nan
    one = told(trace)
    assert one["chapters"][0]["values"]["loss_retain"][2] is None
    assert json.loads(json.dumps(one, allow_nan=False)) == one
    assert plain([1.0, np.inf, -np.inf, np.nan]) == [1.0, None, None, None] and plain(None) is None


def plane_of():
    x, y = np.linspace(-1, 3, 9), np.linspace(-1, 2, 7)
    z = 0.1 + x[None, :] ** 2 + 2 * y[:, None] ** 2
    models = np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)])
    return Plane(x, y, {"loss_retain": z, "loss_forget": 2 * z, "accuracy_test": z}, models, {}, {})


@pytest.mark.parametrize(
    ("kind", "places", "middle"),
    [("bezier", (0, 1, 2), (1, 0.5)), ("linear", (0, 2), (1, 0)), ("chain", (0, 1, 2), (1, 1))],
)
def test_a_path_on_its_plane_is_the_curve_of_its_points(kind, places, middle):
    (one,) = sources({kind: synthetic.trace(T)})
    one = replace(one, picks={"curve": kind})
    made = book([(one, one.read(), (plane_of(), places)), (one, one.read(), (plane_of(), places))])
    (drawn,), first = made["planes"], made["chapters"][0]["plane"]
    assert [one["plane"]["number"] for one in made["chapters"]] == [0, 0], "one plane is told once"
    assert first["spots"][2] == list(middle) == first["line"][20] and len(first["line"]) == 41
    assert first["spots"][0] == [0, 0] and first["spots"][-1] == [2, 0]
    assert first["quadratic"] == (kind == "bezier")
    assert drawn["about"] == "its own examples and its own BatchNorm statistics, at 9 × 7 places"
    assert set(drawn["values"]) == {"loss_retain", "loss_forget"}
    assert np.allclose(drawn["values"]["loss_retain"], plane_of().values["loss_retain"], rtol=1e-4)


def test_a_path_without_a_plane_says_why():
    assert told(synthetic.trace(T))["chapters"][0]["plane"] == {"why": "no plane is stored for a path given by itself"}


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_holds_the_images_as_they_were(channels):
    x = np.random.default_rng(1).integers(0, 256, (90, channels, 6, 5)).astype(np.uint8)
    task = mc.task(x, np.arange(90) % 3, forget=0.3, test=0.2, name="mine")
    rows = {split: one.numpy() for split, one in task.evaluation.items()}
    logits = {s: np.random.default_rng(0).normal(size=(T, len(r), 3)).astype(np.float16) for s, r in rows.items()}
    labels = {split: task.y[one].numpy() for split, one in rows.items()}
    trace = Trace(np.linspace(0, 1, T), logits, labels, rows, {"checksum": task.checksum})
    made = told(trace, task=task)
    found, order = made["pictures"], made["chapters"][0]["images"]["rows"]
    assert found["rows"] == order and (found["width"], found["height"]) == (5, 6)
    data = base64.b64decode(found["source"].partition("base64,")[2])
    pixels = np.rint(255 * matplotlib.image.imread(io.BytesIO(data))).astype(np.uint8)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    for k, row in enumerate(order):
        top, left = 6 * (k // found["columns"]), 5 * (k % found["columns"])
        assert np.array_equal(pixels[top : top + 6, left : left + 5], x[row].transpose(1, 2, 0))


def test_large_images_are_made_smaller_and_few():
    x = np.zeros((300, 3, 130, 65), np.uint8)
    task = mc.task(x, np.arange(300) % 2, forget=0.6, test=0.1, name="large")
    rows = {split: one.numpy() for split, one in task.evaluation.items()}
    logits = {s: np.zeros((T, len(r), 2), np.float16) for s, r in rows.items()}
    labels = {split: task.y[one].numpy() for split, one in rows.items()}
    found = told(Trace(np.linspace(0, 1, T), logits, labels, rows, {"checksum": task.checksum}), task=task)["pictures"]
    assert (found["width"], found["height"]) == (32, 64)
    assert len(found["rows"]) == PIXELS // (3 * 64 * 64) < len(rows["forget"])


def test_without_images_there_is_no_sheet():
    one = told(synthetic.trace(T))
    assert one["pictures"] is None and "the pictures are not here" in one["chapters"][0]["nopictures"]
    assert one["classes"] == ["0", "1", "2", "3"]
    profile = synthetic.profile(metrics={"loss_retain": np.ones(5), "loss_forget": np.arange(5.0)})
    only = told(profile)
    assert only["chapters"][0]["images"] is None and "give the trace" in only["chapters"][0]["why"]


def test_a_stored_path_tells_its_models_and_its_plane(tmp_path):
    study = mc.study("laptop", store=str(tmp_path / "none"))
    line, curve, plane = explorer(study)
    folder = tmp_path / "store"
    folder.mkdir()
    first = study.profile(study.original(), retrained=study.seeds[:3])
    synthetic.copy_shipped(folder, line, line.trace, curve, plane, first)
    made = told(folder)
    size = len(json.dumps(made, allow_nan=False, separators=(",", ":")))
    assert size < 900_000, f"{size} bytes: a page of them is to be sent by mail"
    names = [one["name"] for one in made["planes"][0]["models"]]
    assert names == ["NPO 42", "control point", "NPO 87"]
    words = "500 examples a split and BatchNorm refreshed on retain data, at 21 × 21 places"
    assert made["planes"][0]["about"] == words
    shown = next(one for one in made["chapters"] if one["kind"] == "linear")
    profile = study.store.get(first)
    assert shown["original"]["loss_forget"] == pytest.approx(profile.metric("loss_forget")[0], abs=1e-6)
    assert shown["values"]["loss_forget"] == study.store.get(line).metric("loss_forget").tolist()
    assert len(made["pictures"]["rows"]) == len(shown["images"]["rows"]) == 900


def test_every_metric_belongs_to_one_quantity():
    found = [f"{name}_{s}" if s else name for name, splits in quantities().items() for s in splits or ("",)]
    assert sorted(found) == sorted(units())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_its_pixels(channels):
    image = np.random.default_rng(0).integers(0, 256, (4, 5, channels)).astype(np.uint8)
    data = png(image)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert np.array_equal(np.rint(255 * matplotlib.image.imread(io.BytesIO(data))).reshape(4, 5, channels), image)
