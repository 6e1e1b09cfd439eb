"""Sources: what can be explored in traces, profiles, studies and stores, and the numbers behind it."""

import hashlib
import json
import lzma
import re
from dataclasses import replace

import numpy as np
import pytest
import synthetic
from worlds import Shape, profile as made_profile

import mcutils as mc
from mcutils.engine.runs import run
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    OriginalSpec,
    RegainedSpec,
    RelearnSpec,
    TraceSpec,
    UnlearnedSpec,
    key,
)
from mcutils.engine.store import Store
from mcutils.engine.upkeep import INDEX, pack, write_index
from mcutils.errors import BadInput
from mcutils.explorer.book import book
from mcutils.explorer.numbers import Numbers, forgotten
from mcutils.explorer.sources import find, from_store, sources
from mcutils.measures.along import excess
from mcutils.measures.metrics import METRICS, measure, predictions, probabilities
from mcutils.measures.profiles import Profile
from mcutils.paper.experiments import explorer
from mcutils.settings import MethodSettings, Plan
from mcutils.streams import compress
from mcutils.traces import Trace
from mcutils.unlearning.relearning import Attack


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return mc.study("laptop", store=str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def stored(study):
    return {one.name: one for one in sources(study)}


@pytest.fixture(scope="module")
def line(study):
    return explorer(study)[0]


def test_a_trace_is_one_source_with_the_metrics_that_it_can_have():
    (one,) = sources(synthetic.trace(5))
    numbers = one.read()
    for name in METRICS:
        needs = METRICS[name].references
        assert bool(numbers.lacking(name)) == bool(needs)
        if needs:
            with pytest.raises(BadInput, match=f"no values of {name}.*needs the"):
                numbers.values(name)
    assert np.array_equal(numbers.values("loss_forget"), measure(one.read().trace, "loss_forget")["loss_forget"])


def test_an_attack_on_the_points_of_a_path_is_read_along_it(tmp_path):
    """Of a stored path and what the same attack brought back at each of its points; other attacks are left alone."""
    plan, name = Plan(lr=0.01, steps=2, batch_size=64), "accuracy_after_attack_forget"
    data = DataSpec("digits", 240, 60)
    original = OriginalSpec(data, "convnet", 2, 0, plan)
    start, end = (UnlearnedSpec(original, 0.4, "finetune", "none", "adamw", k, MethodSettings(plan)) for k in (1, 2))
    line, attack = CurveSpec(start, end, 0.4), Attack(steps=1)
    points = [RelearnSpec(line, 0.4, attack, plan, k, k, 3) for k in range(3)]
    store = Store(tmp_path)
    run([TraceSpec(line, 0.4, 5), RegainedSpec((points[1], points[1])), RegainedSpec((points[0], points[2]))], store,
        engine="serial")  # fmt: skip
    (one,) = sources(store)
    assert one.read().lacking(name) == "no attack on its points is stored"
    (regained,) = run([RegainedSpec(tuple(points))], store, engine="serial")
    (one,) = sources(store)
    first, middle, last = regained["accuracy/forget"][:, -1]
    expected = [first, (first + middle) / 2, middle, (middle + last) / 2, last]
    numbers = one.read()
    assert numbers.values(name) == pytest.approx(expected) and numbers.levels(name).size == 0
    told = book([(one, numbers, one.plane())])
    assert told["chapters"][0]["values"][name] == pytest.approx(expected)
    assert {"name": "accuracy_after_attack", "label": "accuracy after attack", "splits": ["forget"]} in told[
        "quantities"
    ]


def test_references_give_metrics_levels_and_the_gap():
    trace = synthetic.trace(5)
    retrained = [
        synthetic.trace(right={s: 0.5 if s == "forget" else 0.9 for s in trace.logits}, seed=s) for s in (1, 2)
    ]
    original = synthetic.trace(right=1.0)
    (one,) = sources(trace, retrained=retrained, original=original)
    numbers = one.read()
    assert numbers.lacking("js_retrained_forget") == "" and numbers.lacking("zrf") == "needs the random model"
    expected = [measure(r, "loss_forget")["loss_forget"][0] for r in retrained]
    assert numbers.levels("loss_forget") == pytest.approx(expected)
    assert numbers.gap == pytest.approx(np.mean(expected) - measure(original, "loss_forget")["loss_forget"][0])
    assert numbers.connectivity["mcu_eps"] == pytest.approx(numbers.connectivity["mcu_nats"] / numbers.gap)


def test_lists_and_dictionaries_keep_their_order_and_names():
    a, b = synthetic.trace(5), synthetic.profile()
    assert [one.name for one in sources([a, b])] == ["path 1", "path 2"]
    found = sources({"line": a, "known": b})
    assert [(one.name, one.traced) for one in found] == [("line", True), ("known", False)]
    assert "give the trace" in found[1].read().why and found[1].read().forgotten is None


def test_forget_images_that_come_back_inside_are_first():
    """Three examples: one rises in the middle, one stays, one falls there."""
    t = np.linspace(0, 1, 3)
    lead = np.array([[0.0, 4.0, 0.0], [2.0, 2.0, 2.0], [3.0, -3.0, 3.0]])  # example, t
    logits = np.zeros((3, 3, 2), dtype=np.float16)
    logits[:, :, 1] = lead.T
    labels = np.ones(3, dtype=np.int64)
    trace = Trace(t, {"forget": logits}, {"forget": labels}, {"forget": np.array([30, 10, 20])}, {})
    shuffled = np.array([2, 0, 1])
    parts = logits[:, shuffled], labels, trace.index["forget"][shuffled]
    found = forgotten(Trace(t, *({"forget": part} for part in parts), {}))
    assert found.rows.tolist() == [30, 10, 20]
    p = 1 / (1 + np.exp(-lead.T))
    assert (np.diff(excess(p, t)[1]) < 0).all(), "30 rises most"
    assert found.confidence == pytest.approx(np.maximum(p, 1 - p))
    assert found.remembered.tolist() == [[False, True, True], [True, True, False], [False, True, True]]


def test_an_image_with_a_nan_is_last_and_forgotten():
    trace = synthetic.trace(5)
    trace.logits["forget"][2, 3] = np.nan
    found = forgotten(trace)
    assert found.rows[-1] == trace.index["forget"][3]
    assert found.predicted[2, -1] == -1 and not found.remembered[2, -1] and np.isnan(found.confidence[2, -1])


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.1, 0.2, 0.3])
def test_where_mcu_breaks_is_where_a_loss_leaves_its_chord_by_more_than_eps_g(eps):
    profile = synthetic.profile(barrier=0.1, deficit=0.2)
    numbers = Numbers(profile.t, profile=Profile({**profile.arrays, **as_metrics(profile)}))
    found = numbers.breaks(eps)
    bump = 1 - 2 * np.abs(profile.t - 0.5)
    assert found["loss_retain"].tolist() == (0.1 * bump > eps + 1e-9).tolist()
    assert found["loss_forget"].tolist() == (0.2 * bump > eps + 1e-9).tolist()


def as_metrics(profile):
    return {f"metric/{n.split('/')[1]}": v for n, v in profile.arrays.items() if n.startswith("curve/")}


def test_a_loss_that_is_not_finite_breaks_mcu():
    trace = synthetic.trace(5)
    trace.logits["retain"][2] = np.nan
    (one,) = sources(trace)
    found = one.read().breaks(10.0)
    assert found["loss_retain"].tolist() == [False, False, True, False, False]
    assert not found["loss_forget"].any()


# Stores


def test_a_store_lists_its_paths_by_what_their_ends_are(stored, line):
    one = stored[key(line)]
    assert one.label == "linear, NPO 42 to NPO 87" and one.traced
    assert {name: one.picks[name] for name in ("start method", "end seed", "curve")} == {
        "start method": "npo", "end seed": "87", "curve": "linear",
    }  # fmt: skip
    assert len({tuple(s.picks.values()) for s in stored.values()}) == len(stored) > 100
    assert {s.picks["curve"] for s in stored.values()} == {"linear", "bezier"}
    assert next(iter(stored.values())).traced, "what has a trace is first"


def test_an_end_of_an_original_that_was_trained_otherwise_says_so(stored):
    told = {s.picks[f"{end} seed"].partition(" on ")[2] for s in stored.values() for end in ("start", "end")}
    assert {"original 0 trained with SuperLoss", "original 1 trained with Sophia-G", "original 1", ""} <= told


def test_paths_are_told_apart_in_words(stored):
    """Models retrained without the forget sets of several originals have the same seeds."""
    retrained = {s.picks["start seed"] for s in stored.values() if s.picks["start method"] == "retrained"}
    assert {"42", "42, forget set 3", "42, forget set 7"} <= retrained
    assert not [s.label for s in stored.values() if re.search(", [0-9a-f]{6}$", s.picks["reading"])]
    assert not [s.label for s in stored.values() if "_" in s.label]
    assert any(s.label.startswith("Bézier (copied gradient), ") for s in stored.values())
    assert {s.draw for s in stored.values()} == set(range(8))


def test_stored_numbers_are_those_of_profile_and_trace(study, stored, line):
    numbers, trace = stored[key(line)].read(), study.store.get(line.trace)
    profile = study.store.get(line)
    assert np.array_equal(numbers.values("loss_forget"), profile.metric("loss_forget"))
    assert numbers.values("loss_forget") == pytest.approx(measure(trace, "loss_forget")["loss_forget"], rel=1e-6)
    assert numbers.gap == profile.gap and len(numbers.levels("loss_forget")) == len(line.retrained) == 2
    place = int(np.flatnonzero(trace.index["forget"] == numbers.forgotten.rows[0])[0])
    sure = probabilities(trace, "forget")[:, place].max(axis=-1)
    assert np.array_equal(numbers.forgotten.predicted[:, 0], predictions(trace, "forget")[:, place])
    assert numbers.forgotten.labels[0] == trace.labels["forget"][place]
    assert numbers.forgotten.confidence[:, 0] == pytest.approx(sure)


def test_pictures_are_those_of_the_rows(study, stored, line):
    numbers, task = stored[key(line)].read(), study.task
    pictures = numbers.pictures(range(5))
    assert pictures.shape == (5, 1, 28, 28) and pictures.dtype == np.uint8 and numbers.classes == task.classes
    x = task.x[numbers.forgotten.rows[:5]].numpy()
    assert np.corrcoef(pictures.ravel(), x.ravel())[0, 1] > 0.9999
    assert np.array_equal(task.y[numbers.forgotten.rows[:5]].numpy(), numbers.forgotten.labels[:5])


def test_a_bare_trace_of_a_shipped_data_set_finds_its_images(study, line):
    (one,) = sources(study.store.get(line.trace))
    assert one.read().pictures([0]).shape == (1, 1, 28, 28) and "Sneaker" in one.read().classes


def test_a_path_without_a_trace_says_which_command_makes_it(stored):
    numbers = next(s for s in stored.values() if not s.traced).read()
    assert "no trace of this path is stored" in numbers.why and "study.trace" in numbers.why
    assert numbers.forgotten is None and np.isfinite(numbers.values("loss_retain")).all()


def test_pictures_of_the_forget_examples_alone_are_shown_with_the_profile_s_numbers(study, stored, line, tmp_path):
    """The trace that has nothing else is no path of its own, and no metric is read from it."""
    synthetic.copy_shipped(tmp_path, line, line.original, *line.retrained)
    whole, store = study.store.get(line.trace), Store(tmp_path)
    part = Trace(whole.t, *({"forget": one["forget"]} for one in (whole.logits, whole.labels, whole.index)), whole.meta)
    store.put(replace(line.trace, splits=("forget",)), part, 1.0)
    (one,) = sources(tmp_path)
    expected, found = stored[key(line)].read(), one.read()
    assert one.name == key(line) and one.traced and not found.why
    assert np.array_equal(found.forgotten.predicted, expected.forgotten.predicted)
    assert np.array_equal(found.pictures([0, 1]), expected.pictures([0, 1]))
    for name in ("loss_retain", "loss_forget"):
        assert np.array_equal(found.values(name), expected.values(name))


def test_retrained_models_without_a_profile_are_read_from_their_traces(study, stored, line, tmp_path):
    synthetic.copy_shipped(tmp_path, line, *line.retrained)
    (one,) = sources(tmp_path)
    expected = stored[key(line)].read()
    for name in ("loss_forget", "accuracy_retain"):
        assert one.read().levels(name) == pytest.approx(expected.levels(name), abs=1e-6)
    assert len(one.read().levels("zrf")) == 0


def test_a_trace_without_a_profile_finds_its_references(study, line, tmp_path):
    synthetic.copy_shipped(tmp_path, line.trace, *line.retrained, line.original, line.random)
    (one,) = sources(tmp_path)
    profile = study.store.get(line)
    assert one.name == key(line.trace) and one.read().gap == pytest.approx(profile.gap)
    assert one.read().values("zrf") == pytest.approx(profile.metric("zrf"), abs=1e-6)


def test_the_plane_of_line_and_curve_ships(study, stored, line):
    curve, plane = explorer(study)[1:]
    expected = study.store.get(plane)
    for spec, places in ((line, (0, 2)), (curve, (0, 1, 2))):
        found, at = stored[key(spec)].plane()
        assert at == places and np.array_equal(found.x, expected.x)
    curves = [s for s in stored.values() if s.picks["curve"] == "bezier"]
    first = [s for s in curves if s.traced and (s.picks["start seed"], s.picks["end seed"]) == ("42", "87")]
    assert {s.picks["start method"] for s in first} >= set(study.preset.methods), "every method's first pair"
    other = next(s for s in curves if s.picks["start seed"] == "42 on original 5")
    assert other.plane().startswith("no plane through its ends and its control point is stored")


def test_results_of_other_data_do_not_belong_to_a_study(study, line, tmp_path):
    synthetic.copy_shipped(tmp_path, line)
    with pytest.raises(BadInput, match="no path is stored"):
        from_store([tmp_path], [{"spec": "Data", "dataset": "other"}])
    names = [[one.name for one in found] for found in (sources(Store(tmp_path)), sources(tmp_path))]
    assert names == [[key(line)]] * 2
    with pytest.raises(BadInput, match="task is a task"):
        sources(tmp_path, task=3)


def test_a_study_has_the_paths_on_each_of_its_originals_and_names_them(tmp_path):
    bench, walked = mc.study("laptop", store=str(tmp_path), fresh=True), {}
    for original in (0, 1, 100):
        ends = [bench.unlearned("npo", seed, origin=bench.original(original)) for seed in bench.seeds[:2]]
        walked[original] = bench.profile(bench.path(*ends))
        bench.store.put(walked[original], made_profile(original, Shape(), np.random.default_rng(0)), 0.0)
    found = {one.name: one for one in sources(bench)}
    assert set(found) == {key(walked[0]), key(walked[1])}
    seeds = {name: (one.picks["start seed"], one.picks["end seed"]) for name, one in found.items()}
    assert seeds == {key(walked[0]): ("42", "87"), key(walked[1]): ("42 on original 1", "87 on original 1")}
    for original in (0, 1):
        assert find(found, walked[original].trace.model, bench) == key(walked[original])
    with pytest.raises(BadInput, match="is not stored"):
        find(found, walked[100].trace.model, bench)


@pytest.mark.parametrize("damage", ["gone", "changed", "cut"])
def test_a_store_that_changes_underneath_is_told(line, tmp_path, damage):
    synthetic.copy_shipped(tmp_path, line, line.trace)
    (one,) = sources(tmp_path)
    path = tmp_path / f"{key(line)}.npz"
    if damage == "gone":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    else:  # sound by its checksum, and no archive
        path.write_bytes(b"nothing")
        note = json.loads(path.with_suffix(".json").read_text())
        note["sha256"] = hashlib.sha256(b"nothing").hexdigest()
        path.with_suffix(".json").write_text(json.dumps(note))
    with pytest.raises(BadInput, match="cannot be (shown|read)"):
        one.read()


def test_an_index_that_lies_of_a_result_is_told(line, tmp_path):
    (tmp_path / "one").mkdir()
    synthetic.copy_shipped(tmp_path / "one", line)
    pack({"00": [key(line)]}, [tmp_path / "one"], tmp_path / "two")
    write_index(tmp_path / "two")
    (honest,) = sources(tmp_path / "two")
    assert honest.read().profile is not None
    index = tmp_path / "two" / INDEX
    said = lzma.decompress(index.read_bytes())
    index.write_bytes(compress([said.replace(b'"bootstrap": 200', b'"bootstrap": 300')]))
    (lying,) = sources(tmp_path / "two")
    with pytest.raises(BadInput, match="not what its store lists"):
        lying.read()
