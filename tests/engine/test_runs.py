"""Runs: what is kept is not computed again, failures are named, every engine gives the same bits."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

import dask
import numpy as np
import pytest
import torch
from kept import cut, file_of, forge

from mcutils.curves import Curve, fit_curve, line
from mcutils.data.cues import SETS, counterfactual
from mcutils.engine import cluster as engines, runs as module
from mcutils.engine.runs import RunFailed, ensure, missing, needed, run
from mcutils.engine.specs import (
    AlikeSpec,
    CueUseSpec,
    CurveSpec,
    DataSpec,
    OriginalSpec,
    PlaneSpec,
    ProfileSpec,
    RetrainedSpec,
    TraceSpec,
    UnlearnedSpec,
    UntrainedSpec,
    is_line,
    key,
    kind_of,
)
from mcutils.engine.store import ASIDE, LOCKS, Damaged, Store, Unwritable
from mcutils.errors import BadInput
from mcutils.measures.planes import plane
from mcutils.measures.probes import cue_use
from mcutils.measures.profiles import Profile
from mcutils.measures.similarity import SIMILARITIES, features
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import trace
from mcutils.training import train

ROOT = FilePath(__file__).resolve().parents[2]
TRAIN = Plan(lr=1e-2, steps=25, batch_size=64)
STEPS = Plan(lr=1e-3, steps=4, batch_size=32, forget_batch_size=16)


class Awkward(Exception):
    """An error that does not survive being sent to another process as it is."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


@dataclass(frozen=True)
class Broken(DataSpec, kind="Broken"):
    """Data that raise when they are used."""

    def task(self, forget):
        raise Awkward("this", "that")


@dataclass(frozen=True)
class Deadly(DataSpec, kind="Deadly"):
    """Data that end the process that uses them."""

    def task(self, forget):
        os._exit(3)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """None of the reader's own settings, and one process unless a test asks for more."""
    for name in ("COMPUTE", "ENGINE", "REPORT"):
        monkeypatch.delenv(f"MCUTILS_{name}", raising=False)
    monkeypatch.setenv("MCUTILS_WORKERS", "1")


@pytest.fixture(scope="module")
def specs():
    """A small study by name: two endpoints of NPO, a line and a curve between them, and their profiles."""
    data = DataSpec("digits", 240, 60)
    original = OriginalSpec(data, "convnet", 4, 0, TRAIN)
    retrained = RetrainedSpec(data, 0.1, "convnet", 4, 42, TRAIN)
    start = UnlearnedSpec(original, 0.1, "npo", "none", "adamw", 42, MethodSettings(STEPS))
    end = replace(start, seed=87)
    line = CurveSpec(start, end, 0.1)
    bend = CurveSpec(start, end, 0.1, "bezier", 1, "corrected", 0, STEPS)
    single = [TraceSpec(model, 0.1) for model in (original, retrained, UntrainedSpec(data, "convnet", 4, 0))]
    found = {"original": original, "retrained": retrained, "start": start, "end": end, "line": line, "bend": bend}
    for name in ("line", "bend"):
        found[f"{name} trace"] = TraceSpec(found[name], 0.1, 3)
        found[f"{name} profile"] = ProfileSpec(found[f"{name} trace"], single[0], (single[1],), single[2], 10)
    return found | {"start trace": TraceSpec(start, 0.1)}


@pytest.fixture(scope="module")
def full(specs, tmp_path_factory):
    """A store in which everything was computed, in this process. Read only: tests copy it."""
    folder = tmp_path_factory.mktemp("full") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCUTILS_WORKERS", "1")
        run(specs.values(), Store(folder))
    return folder


@pytest.fixture
def copy(full, tmp_path):
    """A copy of the full store."""
    return Store(shutil.copytree(full, tmp_path / "copy"))


@pytest.fixture
def nothing(monkeypatch):
    """Computing is an error."""

    def refuse(spec, *_):
        raise AssertionError(f"{key(spec)} was computed")

    monkeypatch.setattr(module, "compute", refuse)


def tensors(weights):
    return {n: v.contiguous().numpy().tobytes() for n, v in {**weights.params, **weights.buffers}.items()}


def bits(spec, store):
    """A result bit by bit, but for the seconds that it took."""
    found = store.get(spec)
    if isinstance(spec, TraceSpec):
        parts = {"t": found.t} | {f"logits/{s}": v for s, v in found.logits.items()}
        parts |= {f"index/{s}": v for s, v in found.index.items()}
        return {n: v.tobytes() for n, v in parts.items()} | found.meta
    if isinstance(spec, ProfileSpec):
        return {n: v.tobytes() for n, v in found.arrays.items() if n != "seconds"}
    if isinstance(spec, CurveSpec):
        return [tensors(point) for point in found.points]
    return tensors(found.weights if isinstance(spec, UnlearnedSpec) else found)


def everything(specs):
    """The specs and all that they are made from, straight lines left out."""
    found = {}

    def visit(spec):
        for parent in spec.parents():
            visit(parent)
        if not is_line(spec):
            found[spec] = None

    for spec in specs:
        visit(spec)
    return list(found)


def summary(capsys):
    """The last line that was printed."""
    return capsys.readouterr().out.strip().split("\n")[-1]


def drop(store, *gone):
    for spec in gone:
        for path in store.folder.glob(f"{key(spec)}.*"):
            path.unlink()


# Computing what is missing


def test_everything_is_computed_once_and_kept(specs, full):
    wanted = everything(specs.values())
    assert {p.stem for p in full.iterdir()} == {key(s) for s in wanted} | {LOCKS}
    store = Store(full)
    for spec in wanted:
        assert store.seconds(spec) >= 0
    assert missing(specs.values(), store) == []


def test_a_rerun_computes_nothing_and_says_so(specs, copy, capsys, nothing, monkeypatch, tmp_path):
    report = tmp_path / "report.jsonl"
    monkeypatch.setenv("MCUTILS_REPORT", str(report))
    before = {p: p.stat().st_mtime_ns for p in copy.folder.rglob("*")}
    wanted = [specs["line profile"], specs["bend profile"], specs["line"], specs["line profile"]]
    first, second, line, again = run(wanted, copy)
    assert summary(capsys) == "2 reused, 0 computed"
    assert isinstance(first, Profile) and isinstance(line, Curve) and line.kind == "linear"
    assert first.arrays["t"].tolist() == second.t.tolist() == [0, 0.5, 1]
    rows = [json.loads(row) for row in report.read_text().splitlines()]
    assert rows == [{"reused": 2, "computed": 0, "failed": 0, "keys": [key(s) for s in wanted if s != specs["line"]]}]
    assert {p: p.stat().st_mtime_ns for p in copy.folder.rglob("*")} == before


def test_a_report_counts_what_was_computed(specs, copy, capsys, monkeypatch, tmp_path):
    report = tmp_path / "report.jsonl"
    monkeypatch.setenv("MCUTILS_REPORT", str(report))
    drop(copy, specs["line profile"], specs["line trace"])
    run([specs["line profile"], specs["bend profile"]], copy)
    run([specs["line profile"]], copy)
    rows = [row for row in map(json.loads, report.read_text().splitlines()) if "reused" in row]
    assert [(row["reused"], row["computed"], row["failed"]) for row in rows] == [(1, 2, 0), (1, 0, 0)]
    assert rows[1]["keys"] == [key(specs["line profile"])]


def test_results_are_of_their_kinds_and_in_order(specs, copy, nothing):
    wanted = [specs[n] for n in ("start trace", "bend", "original", "start", "line profile")]
    trace, bend, original, start, profile = run(wanted, copy)
    assert trace.t.tolist() == [0] and len(bend.points) == 3 and bend.kind == "bezier"
    assert tensors(bend.points[0]) == tensors(start.weights)
    assert tensors(start.origin) == tensors(original)
    assert (start.method, start.seed, start.settings) == ("npo", 42, MethodSettings(STEPS))
    assert profile.seconds == 0 and profile.geometry.keys() >= {"distance", "cosine", "moved_start", "length"}
    assert run([specs["bend profile"]], copy)[0].seconds == copy.seconds(specs["bend"])


def test_the_same_spec_in_a_fresh_store_gives_the_same_bits(specs, full, tmp_path):
    fresh = Store(tmp_path / "fresh")
    run([specs["start trace"]], fresh)
    for spec in (specs["original"], specs["start"], specs["start trace"]):
        assert bits(spec, fresh) == bits(spec, Store(full))
    other = replace(specs["start"], seed=1)
    run([other], fresh)
    assert bits(other, fresh) != bits(specs["start"], fresh)


def test_parents_come_first_and_nothing_twice(specs, tmp_path):
    order = missing([*specs.values(), *specs.values()], Store(tmp_path))
    assert sorted(map(key, order)) == sorted(map(key, everything(specs.values())))
    for place, spec in enumerate(order):
        assert all(p in order[:place] for p in everything([spec])[:-1])


def test_a_profile_alone_is_enough(specs, full, tmp_path, capsys, nothing):
    wanted = specs["bend profile"]
    (tmp_path / "alone").mkdir()
    for path in full.glob(f"{key(wanted)}.*"):
        shutil.copy(path, tmp_path / "alone")
    store = Store(tmp_path / "alone")
    assert missing([wanted], store) == []
    (found,) = run([wanted], store)
    assert summary(capsys) == "1 reused, 0 computed"
    assert found.connectivity["barrier_retain"] >= 0


def test_what_lies_behind_a_kept_result_is_computed_only_if_it_is_read(specs, copy):
    gone = [specs[n] for n in ("original", "retrained", "end")]
    drop(copy, *gone, specs["bend profile"])
    # Loading the curve's time reads no weights, and the traces are kept.
    assert missing([specs["bend profile"]], copy) == [specs["original"], specs["end"], specs["bend profile"]]
    assert missing([specs["line profile"]], copy) == []


def test_a_profile_whose_trace_is_kept_but_not_its_model(specs, copy, capsys):
    drop(copy, specs["bend profile"], specs["bend"])
    assert missing([specs["bend profile"]], copy) == [specs["bend"], specs["bend profile"]]
    (found,) = run([specs["bend profile"]], copy)
    assert found.seconds == copy.seconds(specs["bend"])


def test_a_damaged_result_is_computed_again(specs, copy, full, capsys):
    for name in ("start", "line trace"):
        cut(file_of(copy, specs[name]))
    drop(copy, specs["line profile"])
    (found,) = run([specs["line profile"]], copy)
    captured = capsys.readouterr()
    assert captured.out.strip().endswith("0 reused, 3 computed")
    assert captured.err.count("damaged result") >= 2
    for name in ("start", "line trace", "line profile"):
        assert bits(specs[name], copy) == bits(specs[name], Store(full))
    assert len(list(copy.folder.glob(f"*{ASIDE}"))) == 4


def spoil(store, spec):
    """Cut a result's file short, and forge its checksum."""
    cut(file_of(store, spec))
    forge(file_of(store, spec))


@pytest.mark.parametrize(
    ("spoilt", "gone", "computed"),
    [
        (["line trace"], ["line profile"], 2),
        (["start"], ["line profile", "line trace"], 3),
        (["start", "end"], ["line profile", "line trace"], 4),
        (["original"], ["line profile", "line trace"], 3),
        (["start", "original"], ["line profile", "line trace"], 4),
        (["line profile"], [], 1),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else str(v),
)
def test_what_turns_out_unreadable_is_computed_again(spoilt, gone, computed, specs, copy, full, capsys):
    drop(copy, *(specs[name] for name in gone))
    for name in spoilt:
        spoil(copy, specs[name])
        assert specs[name] in copy
    run([specs["line profile"]], copy)
    captured = capsys.readouterr()
    assert captured.out.strip().split("\n")[-1] == f"0 reused, {computed} computed"
    assert captured.err.count("damaged result") == len(spoilt)
    for name in (*spoilt, *gone):
        assert bits(specs[name], copy) == bits(specs[name], Store(full))


def test_all_that_turns_out_unreadable_when_it_is_loaded_is_computed_again(specs, copy, full, capsys):
    wanted = [specs[name] for name in ("bend", "start", "line profile", "bend trace", "original", "retrained")]
    for spec in wanted:
        spoil(copy, spec)
    run(wanted, copy)
    assert summary(capsys) == "0 reused, 6 computed"
    for spec in wanted:
        assert bits(spec, copy) == bits(spec, Store(full))


def test_every_round_is_counted_once(specs, copy, capsys, monkeypatch, tmp_path):
    report = tmp_path / "report.jsonl"
    monkeypatch.setenv("MCUTILS_REPORT", str(report))
    (reference,) = specs["line profile"].retrained
    drop(copy, reference, specs["line trace"])
    spoil(copy, specs["retrained"])
    run([specs["start"], specs["line trace"], reference], copy)
    assert summary(capsys) == "1 reused, 3 computed"
    row = json.loads(report.read_text().splitlines()[-1])
    assert (row["reused"], row["computed"], row["failed"]) == (1, 3, 0)


def test_what_stays_unreadable_is_an_error_not_an_endless_loop(specs, full, tmp_path):
    layer = Store(shutil.copytree(full, tmp_path / "layer"))
    spoil(layer, specs["start trace"])
    upper = Store(tmp_path / "upper", [layer.folder])
    with pytest.raises(Damaged, match=f"{key(specs['start trace'])}.* cannot be read"):
        run([specs["start trace"]], upper)


def test_layers_are_read_and_only_the_rest_is_computed(specs, full, tmp_path, capsys):
    upper = Store(tmp_path / "upper", [full])
    new = replace(specs["line trace"], points=2)
    run([new, specs["bend profile"]], upper)
    assert summary(capsys) == "1 reused, 1 computed"
    assert {p.stem for p in upper.folder.iterdir()} == {key(new), LOCKS}


def test_an_interrupted_run_keeps_what_was_finished(specs, tmp_path, monkeypatch, capsys):
    store, computed = Store(tmp_path / "store"), []
    compute = module.compute

    def interrupted(spec, where):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(spec)
        return compute(spec, where)

    with monkeypatch.context() as patch:
        patch.setattr(module, "compute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run([specs["start trace"]], store)
    assert computed == [specs["original"], specs["start"]]
    run([specs["start trace"]], store)
    assert summary(capsys) == "0 reused, 1 computed"


def test_threads_are_as_before(specs, tmp_path):
    torch.set_num_threads(2)
    try:
        run([UntrainedSpec(specs["original"].data, "convnet", 4, 1)], Store(tmp_path))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_only_computing_loads_nothing(specs, copy, capsys, monkeypatch):
    new = replace(specs["line trace"], points=2)

    def refuse(spec):
        raise AssertionError(f"{key(spec)} was loaded")

    drop(copy, specs["line trace"])
    with monkeypatch.context() as patch:
        patch.setattr(copy, "get", refuse)
        assert run([new, specs["line trace"], specs["start"], specs["line"]], copy, load=False) == []
    assert summary(capsys) == "1 reused, 2 computed"
    assert new in copy and specs["line trace"] in copy


# Computing one


@pytest.mark.parametrize(
    "name", ["start", "start trace", "line trace", "bend trace", "line profile", "bend profile", "other"]
)
def test_what_is_needed_is_enough(name, specs, full, tmp_path):
    other = replace(specs["bend"], method="scrub", settings=MethodSettings(STEPS))
    spec, source, alone = specs.get(name, other), Store(full), tmp_path / "alone"
    alone.mkdir()
    for parent in set(needed(spec, source)):
        for path in full.glob(f"{key(parent)}.*"):
            shutil.copy(path, alone)
    assert ensure(spec, str(alone), ()) == "computed"
    assert ensure(spec, str(alone), ()) == "reused"
    assert name == "other" or bits(spec, Store(full)) == bits(spec, Store(alone, [full]))


def test_a_named_objective_and_initial_weights_reach_the_computation(specs, full):
    store, task = Store(full), specs["original"].data.task(0.1)
    ends = [store.get(specs[name]) for name in ("start", "end")]
    named = replace(specs["bend"], method="scrub", settings=MethodSettings(STEPS))
    made = {"control_points": 1, "recipe": "corrected", "seed": 0, "plan": STEPS}
    scrub = {"method": "scrub", "settings": MethodSettings(STEPS), "origin": store.get(specs["original"])}
    expected = fit_curve(*ends, task, kind="bezier", **made, **scrub)
    assert tensors(module.compute(named, store).points[1]) == tensors(expected.points[1])
    assert tensors(expected.points[1]) != tensors(store.get(specs["bend"]).points[1])
    twin = replace(specs["retrained"], init=0)
    expected = train(task, "convnet", seed=42, plan=TRAIN, split="retain", init=0, width=4)
    assert tensors(module.compute(twin, store)) == tensors(expected)
    assert tensors(expected) != tensors(store.get(specs["retrained"]))


@pytest.mark.parametrize("shown", SETS)
def test_a_trace_of_a_counterfactual_set_shows_it(shown, specs, tmp_path):
    data = replace(specs["original"].data, cue=0.05)
    model = UntrainedSpec(data, "convnet", 4, 0)
    found, plain = run([TraceSpec(model, 0.1, shown=shown), TraceSpec(model, 0.1)], Store(tmp_path))
    weights, task = Store(tmp_path).get(model), data.task(0.1)
    expected = trace(weights, counterfactual(task, shown), batchnorm="retain")
    for split in ("retain", "forget", "test"):
        assert np.array_equal(found.logits[split], expected.logits[split])
    changed = [split for split in ("forget", "test") if not np.array_equal(found.logits[split], plain.logits[split])]
    assert changed  # the cue is in the forget images already, and in no test image


# Comparing models


@pytest.fixture(scope="module")
def compared(specs, full, tmp_path_factory):
    """What is measured of several models or a path, by name, and a store over `full` that holds all of it."""
    data = replace(specs["original"].data, cue=0.1)
    first, second = (OriginalSpec(data, "convnet", 2, seed, Plan(lr=1e-2, steps=4)) for seed in (0, 1))
    models = tuple(specs[name] for name in ("start", "end", "retrained", "original"))
    found = {
        "alike": AlikeSpec(models, specs["original"], 0.1, "valid", 17),
        "cue use": CueUseSpec(CurveSpec(first, second, 0.1), 0.1, 3),
        "plane": PlaneSpec((models[3], models[0], models[2]), 0.1, 3, 12),
        "plane of a curve": PlaneSpec((models[0], specs["bend"], models[1]), 0.1, 2, 5),
    }
    store = Store(tmp_path_factory.mktemp("compared") / "store", [full])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCUTILS_WORKERS", "1")
        run(found.values(), store)
    return found, store


def test_similarities_are_those_of_their_models(specs, compared):
    spec, store = compared[0]["alike"], compared[1]
    found, task = store.get(spec), specs["original"].data.task(0.1)
    assert set(found) == set(SIMILARITIES)
    models = [store.get(one) for one in spec.models]
    traces = [trace(one, task, batchnorm="retain") for one in models]
    seen = [features(one, task, task.rows("valid")[:17]) for one in models]
    for name, measure in SIMILARITIES.items():
        assert found[name].shape == (4, 4)
        for i in range(4):
            for j in range(i, 4):
                if measure.needs == "features":
                    value = np.mean([measure(seen[i][layer], seen[j][layer]) for layer in seen[i]])
                elif measure.needs == "weights":
                    value = measure(models[i], models[j], origin=models[3])
                else:
                    value = measure(traces[i], traces[j], split="valid")
                np.testing.assert_allclose([found[name][i, j], found[name][j, i]], value, rtol=1e-12, err_msg=name)
    assert found["agreement"].diagonal().tolist() == [1] * 4
    assert np.isnan(found["task_vector_cosine"][3]).all()  # the original added nothing to itself
    assert (0 < found["agreement"][0, 2] < 1) and found["js"][0, 1] > 0


def test_cue_use_is_that_of_the_path_s_traces_on_every_set(compared):
    spec, store = compared[0]["cue use"], compared[1]
    found, task = store.get(spec), spec.model.data.task(0.1)
    curve = line(store.get(spec.model.start), store.get(spec.model.end))
    traces = {name: trace(curve, counterfactual(task, name), 3, batchnorm="retain") for name in SETS}
    for split in ("forget", "test"):
        direct = cue_use(traces, split)
        assert {name for name in found if name.startswith(split)} == {f"{split}/{name}" for name in direct}
        for name, values in direct.items():
            assert values.shape == (3,)
            np.testing.assert_array_equal(found[f"{split}/{name}"], values)
    assert len({values.tobytes() for values in found.values()}) > len(found) / 2  # not all the same


def test_a_plane_is_that_through_its_models(specs, compared):
    spec, store = compared[0]["plane"], compared[1]
    found = store.get(spec)
    direct = plane([store.get(one) for one in spec.models], specs["original"].data.task(0.1), 3, rows=12)
    for name in ("x", "y", "models"):
        np.testing.assert_array_equal(getattr(found, name), getattr(direct, name))
    for group in ("values", "at_models"):
        one, other = getattr(found, group), getattr(direct, group)
        assert set(one) == set(other)
        for name, values in other.items():
            np.testing.assert_array_equal(one[name], values)
    assert found.meta == direct.meta and found.values["loss_forget"].shape == (3, 3)


def test_the_plane_of_a_curve_goes_through_its_control_point(specs, compared):
    spec, store = compared[0]["plane of a curve"], compared[1]
    bend, found = store.get(specs["bend"]), store.get(spec)
    direct = plane(bend.points, specs["original"].data.task(0.1), 2, rows=5)
    np.testing.assert_array_equal(found.models, direct.models)
    np.testing.assert_array_equal(found.values["loss_retain"], direct.values["loss_retain"])


@pytest.mark.parametrize("name", ["alike", "cue use", "plane", "plane of a curve"])
def test_what_is_compared_reads_only_what_it_is_made_from(name, compared, full, tmp_path):
    (spec, store), alone = (compared[0][name], compared[1]), tmp_path / "alone"
    assert missing([spec], store) == [] and store.seconds(spec) >= 0
    alone.mkdir()
    for parent in set(needed(spec, store)):
        for folder in (full, store.folder):
            for path in folder.glob(f"{key(parent)}.*"):
                shutil.copy(path, alone)
    assert missing([spec], Store(alone)) == [spec]
    assert ensure(spec, str(alone), ()) == "computed"
    assert Store(alone).provenance(spec)["sha256"] == store.provenance(spec)["sha256"]


@pytest.mark.parametrize(
    ("name", "change"), [("alike", {"rows": 5}), ("cue use", {"points": 2}), ("plane", {"rows": 5})]
)
def test_what_cannot_be_compared_is_named(name, change, compared, full, tmp_path, monkeypatch):
    spec, compute = replace(compared[0][name], **change), module.compute

    def bug(one, where):
        if one == spec:
            raise KeyError("no such thing")
        return compute(one, where)

    monkeypatch.setattr(module, "compute", bug)
    assert len(spec.describe()) < 300
    with pytest.raises(RunFailed, match=f"^{kind_of(spec)} of .*: KeyError: 'no such thing'$"):
        run([spec], Store(tmp_path / "upper", [full, compared[1].folder]))


WORKER = """
import sys, time
from pathlib import Path
from mcutils.engine import runs
from mcutils.settings import Plan
from mcutils.engine.specs import DataSpec, OriginalSpec

folder, role = Path(sys.argv[1]), sys.argv[2]
compute = runs.compute


def watched(spec, store):
    (folder / f"begun-{role}").touch()
    time.sleep(600 if role == "stuck" else 0.3)  # two at once would meet here
    return compute(spec, store)


runs.compute = watched
(folder / f"ready-{role}").touch()
print(runs.ensure(OriginalSpec(DataSpec("digits", 240, 60), "convnet", 2, 0, Plan(steps=1)), str(folder / "store"), ()))
"""


def test_processes_compute_a_result_once_and_take_over_from_a_killed_one(tmp_path):
    script, started = tmp_path / "worker.py", []
    script.write_text(WORKER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(role):
        command = [sys.executable, str(script), str(tmp_path), role]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))

    def wait_for(name):
        end = time.monotonic() + 120
        while not (tmp_path / name).exists():
            assert time.monotonic() < end and all(p.poll() is None for p in started), f"no {name}"
            time.sleep(0.02)

    try:
        start("stuck")
        wait_for("begun-stuck")
        start("first")
        start("second")
        wait_for("ready-first")
        wait_for("ready-second")
        assert [path.name for path in tmp_path.glob("begun-*")] == ["begun-stuck"]
        started[0].kill()
        said = [process.communicate(timeout=120)[0].strip() for process in started[1:]]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert sorted(said) == ["computed", "reused"]
    assert len(list(tmp_path.glob("begun-*"))) == 2
    assert OriginalSpec(DataSpec("digits", 240, 60), "convnet", 2, 0, Plan(steps=1)) in Store(tmp_path / "store")


# Refusing


def test_computing_can_be_forbidden(specs, copy, monkeypatch, nothing):
    monkeypatch.setenv("MCUTILS_COMPUTE", "never")
    run([specs["line profile"]], copy)
    other = replace(specs["line trace"], points=2)
    with pytest.raises(BadInput) as caught:
        run([specs["line"], specs["line profile"], other], copy)
    assert str(caught.value) == (
        f"{key(other)} and 0 more are not in the store; MCUTILS_COMPUTE=never forbids computing."
    )
    lost = replace(specs["original"], seed=9)
    with pytest.raises(BadInput, match=f"^{key(lost)} and 1 more are not"):
        run([TraceSpec(lost, 0.1)], copy)


def test_a_store_that_cannot_be_written_is_one_sentence_before_any_work(specs, tmp_path, nothing):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="the store .* cannot be written"):
        run([specs["original"]], Store(tmp_path / "file" / "store"))


def test_a_full_store_need_not_be_writable(specs, copy, monkeypatch, nothing):
    def refuse():
        raise AssertionError("it asked for a writable folder")

    monkeypatch.setattr(copy, "check_writable", refuse)
    run([specs["line profile"]], copy)


# Failing


@pytest.fixture(scope="module")
def failing(specs):
    """Specs of which one cannot be computed: gradient ascent at an absurd rate, with what depends on it."""
    settings = MethodSettings(Plan(lr=1e30, steps=6, forget_batch_size=16))
    lost = UnlearnedSpec(specs["original"], 0.1, "gradient_ascent", "none", "adamw", 42, settings)
    line, other = CurveSpec(specs["start"], lost, 0.1), specs["line profile"]
    bend = replace(specs["bend"], end=lost)
    dependents = [TraceSpec(lost, 0.1), bend, TraceSpec(bend, 0.1, 3), TraceSpec(line, 0.1, 3)]
    return lost, [*dependents, replace(other, trace=dependents[-1])], other


def failure(failing, store, **options):
    lost, dependents, other = failing
    with pytest.raises(RunFailed) as caught:
        run([*dependents, other], store, **options)
    return str(caught.value).split("\n")


def check_failure(failing, lines):
    lost, dependents, _ = failing
    assert len(lines) == 1 + len(dependents)
    assert lines[0].startswith(f"{lost.describe()}: Diverged: ") and "lr 1e+30" in lines[0]
    assert f"gradient_ascent x none x adamw, seed 42 ({key(lost)})" in lines[0]
    skipped = {line.split(": skipped, since ")[0]: line for line in lines[1:]}
    assert set(skipped) == {spec.describe() for spec in dependents}
    for spec in dependents[:2] + dependents[3:4]:
        assert skipped[spec.describe()].endswith(f"skipped, since {lost.describe()} failed")
    assert skipped[dependents[4].describe()].endswith(f"skipped, since {dependents[3].describe()} failed")


def test_a_failure_is_named_its_dependents_skipped_and_the_rest_computed(failing, copy, capsys, monkeypatch, tmp_path):
    report = tmp_path / "report.jsonl"
    monkeypatch.setenv("MCUTILS_REPORT", str(report))
    drop(copy, failing[2], failing[2].trace)
    lines = failure(failing, copy)
    check_failure(failing, lines)
    assert summary(capsys) == "0 reused, 2 computed, 1 failed, 5 skipped"
    row = json.loads(report.read_text().splitlines()[-1])
    assert (row["reused"], row["computed"], row["failed"]) == (0, 2, 6)
    assert failing[2] in Store(copy.folder)
    assert not any(spec in Store(copy.folder) for spec in (failing[0], *failing[1]))


def test_a_bug_in_one_result_does_not_stop_the_others(specs, copy, monkeypatch):
    compute = module.compute
    broken = replace(specs["line trace"], points=4)

    def bug(spec, store):
        if spec == broken:
            raise KeyError("no such thing")
        return compute(spec, store)

    monkeypatch.setattr(module, "compute", bug)
    good = replace(specs["line trace"], points=2)
    with pytest.raises(RunFailed, match="^TraceOf of linear path from npo .*: KeyError: 'no such thing'$"):
        run([broken, good], copy)
    assert good in copy and broken not in copy


# Processes


def test_two_processes_give_the_same_bits_and_the_same_failures(specs, failing, full, tmp_path, capsys):
    store = Store(tmp_path / "together")
    wanted = everything(specs.values())
    broken = UntrainedSpec(Broken("digits", 240, 60, specs["original"].data.checksum), "convnet", 4, 0)
    dependent = TraceSpec(broken, 0.1)
    with pytest.raises(RunFailed) as caught:
        run([dependent, *specs.values(), *failing[1]], store, engine="local", workers=2)
    lines = {line.split(": ")[0]: line for line in str(caught.value).split("\n")}
    assert "this and that" in lines.pop(broken.describe())
    assert lines.pop(dependent.describe()) == f"{dependent.describe()}: skipped, since {broken.describe()} failed"
    check_failure(failing, sorted(lines.values(), key=lambda line: "skipped" in line))
    assert summary(capsys) == f"0 reused, {len(wanted)} computed, 2 failed, 6 skipped"
    for spec in wanted:
        assert bits(spec, store) == bits(spec, Store(full)), spec.describe()
        assert store.provenance(spec)["spec"] == Store(full).provenance(spec)["spec"]
    assert not list(store.folder.glob(f"*{ASIDE}"))


def test_a_worker_that_always_dies_is_a_failure(specs, tmp_path, capsys):
    deadly = UntrainedSpec(Deadly("digits", 240, 60, specs["original"].data.checksum), "convnet", 4, 0)
    dependent = TraceSpec(deadly, 0.1)
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), pytest.raises(RunFailed) as caught:
        run([dependent], Store(tmp_path), engine="local", workers=2)
    first, second = str(caught.value).split("\n")
    assert first.startswith(f"{deadly.describe()}: KilledWorker: ")
    assert second == f"{dependent.describe()}: skipped, since {deadly.describe()} failed"
    assert summary(capsys) == "0 reused, 0 computed, 1 failed, 1 skipped"


@pytest.fixture
def asked(monkeypatch):
    """(engine, workers) of every `tried` run; nothing is computed."""
    found = []

    def note(todo, store, *how):
        found.append(how[:2] if len(how) == 3 else ("serial", 1))
        return {}, dict.fromkeys(todo, "not tried")

    monkeypatch.setattr(module, "_together", note)
    monkeypatch.setattr(module, "_serially", note)
    return found


def tried(*specs, **options):
    with pytest.raises(RunFailed, match="not tried"):
        run(*specs, **options, load=False)


@pytest.mark.parametrize(
    ("value", "workers", "expected"),
    [("3", None, 2), ("2", None, 2), ("1", None, 1), ("1", 2, 2), ("2", 1, 1), ("0", None, 2), ("", None, 2)],
)
def test_workers_come_from_the_environment_and_never_exceed_the_work(
    value, workers, expected, specs, tmp_path, monkeypatch, asked
):
    monkeypatch.setattr(engines, "cores", lambda: 5)
    monkeypatch.setenv("MCUTILS_WORKERS", value or "0")
    if not value:
        monkeypatch.delenv("MCUTILS_WORKERS")
    tried([specs["original"], specs["retrained"]], Store(tmp_path), workers=workers)
    tried([specs["original"]], Store(tmp_path))
    assert asked == [("local", expected) if expected > 1 else ("serial", 1), ("serial", 1)]


@pytest.mark.parametrize(
    ("value", "engine", "expected"),
    [
        (None, None, ("local", 2)),
        ("", None, ("local", 2)),
        (None, "serial", ("serial", 1)),
        ("serial", None, ("serial", 1)),
        ("serial", "local", ("local", 2)),
        ("tcp://127.0.0.1:1", None, ("tcp://127.0.0.1:1", 2)),
        ("serial", "tcp://127.0.0.1:1", ("tcp://127.0.0.1:1", 2)),
    ],
)
def test_the_engine_is_the_one_given_else_the_environment_s(
    value, engine, expected, specs, tmp_path, monkeypatch, asked
):
    if value is not None:
        monkeypatch.setenv("MCUTILS_ENGINE", value)
    tried([specs["original"], specs["retrained"]], Store(tmp_path), engine=engine, workers=3)
    assert asked == [expected]


def test_an_address_is_asked_even_for_one_result(specs, tmp_path, asked):
    tried([specs["original"]], Store(tmp_path), engine="tcp://127.0.0.1:1")
    assert asked == [("tcp://127.0.0.1:1", 1)]


def test_an_unknown_engine_or_number_of_processes_is_refused_before_any_work(
    specs, copy, tmp_path, monkeypatch, nothing
):
    for store in (Store(tmp_path / "new"), copy):
        with pytest.raises(BadInput, match="^unknown engine 'cloud': choose one of serial, local, slurm or an address"):
            run([specs["original"]], store, engine="cloud")
    with monkeypatch.context() as patch:
        patch.setenv("MCUTILS_ENGINE", "cloud")
        with pytest.raises(BadInput, match="unknown engine 'cloud'"):
            run([specs["original"]], Store(tmp_path / "new"))
    for value in ("two", "-1", "1.5", "²", "１", "10001", "9" * 30, " "):
        monkeypatch.setenv("MCUTILS_WORKERS", value)
        with pytest.raises(BadInput, match=r"^MCUTILS_WORKERS must be a whole number from 0 to 10,000, got "):
            run([specs["original"]], Store(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "given, options, says",
    [
        ([], {"workers": -1}, "workers must be a whole number from 1"),
        ([], {"workers": 0}, "workers must be a whole number from 1"),
        ([], {"workers": True}, "workers must be a whole number from 1"),
        ([], {"workers": 1.0}, "workers must be a whole number from 1"),
        ([], {"engine": 3}, "unknown engine 3"),
        ([], {"engine": ["local"]}, "unknown engine"),
        ([], {"load": "no"}, "load must be True or False"),
        (None, {}, "specs must be a list of specs, got None"),
        ("trace-1", {}, "specs must be a list of specs, got 'trace-1'"),
        (7, {}, "specs must be a list of specs, got 7"),
        ([None], {}, "specs must hold specs"),
        (["trace-1"], {}, "specs must hold specs"),
        ([DataSpec("digits")], {}, "specs must hold specs"),
        ([DataSpec], {}, "specs must hold specs"),
        ({"a": 1}, {}, "specs must hold specs"),
    ],
)
def test_what_is_no_run_is_refused(given, options, says, tmp_path):
    with pytest.raises(BadInput, match=says):
        run(given, Store(tmp_path / "new"), **options)
    assert not (tmp_path / "new").exists()


def test_a_single_spec_is_no_list(specs, tmp_path):
    with pytest.raises(BadInput, match="specs must be a list of specs"):
        run(specs["original"], Store(tmp_path))


def test_computing_is_forbidden_by_one_word_only(specs, tmp_path, monkeypatch, nothing):
    for value in ("no", "Never", "0", "always"):
        monkeypatch.setenv("MCUTILS_COMPUTE", value)
        with pytest.raises(BadInput, match="unknown MCUTILS_COMPUTE .*: choose one of never"):
            run([specs["original"]], Store(tmp_path / "new"))


# A scheduler that serves more than one run, and workers that see another disk


@pytest.fixture
def scheduler():
    """A running scheduler's address, with two workers in this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address


DRIVER = """
import pickle, sys
from mcutils.engine.runs import run
from mcutils.engine.store import Store
spec, folder, address = sys.argv[1:]
run([pickle.load(open(spec, "rb"))], Store(folder), engine=address, load=False)
"""


def test_two_runs_with_stores_of_their_own_share_a_scheduler_and_lose_nothing(scheduler, specs, tmp_path, monkeypatch):
    """Both submit the same spec while it is being computed; with one name for both, one store would stay empty."""
    held, began = threading.Event(), []
    real = module.compute

    def slowly(spec, store):
        began.append(str(store.folder))
        held.wait(120)
        return real(spec, store)

    monkeypatch.setattr(module, "compute", slowly)
    stores = [Store(tmp_path / name) for name in "ab"]
    (tmp_path / "spec").write_bytes(pickle.dumps(specs["original"]))
    asked = [[sys.executable, "-c", DRIVER, tmp_path / "spec", store.folder, scheduler] for store in stores]
    drivers = [subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for one in asked]
    try:
        for _ in range(2400):
            if len(began) == 2:
                break
            time.sleep(0.05)
        held.set()
        said = [driver.communicate(timeout=120) for driver in drivers]
    finally:
        for driver in drivers:
            driver.kill()
    assert [driver.returncode for driver in drivers] == [0, 0], said
    assert sorted(began) == sorted(str(store.folder) for store in stores)
    assert all(specs["original"] in Store(store.folder) for store in stores)
    assert all("0 reused, 1 computed" in out for out, _ in said)


def test_a_run_counts_what_was_computed_for_itself(scheduler, specs, tmp_path, monkeypatch, capsys):
    """Another run has computed a result before this one's turn comes."""
    store, real = Store(tmp_path / "a"), module.ensure

    def late(spec, folder, layers, *parents, **rest):
        real(spec, folder, layers)
        return real(spec, folder, layers)

    monkeypatch.setattr(module, "ensure", late)
    run([specs["original"]], store, engine=scheduler, load=False)
    assert "0 reused, 0 computed" in capsys.readouterr().out


def test_workers_that_write_elsewhere_are_an_error(scheduler, specs, tmp_path, monkeypatch, capsys):
    real = module.ensure

    def elsewhere(spec, folder, layers, *parents, **rest):
        return real(spec, f"{folder}-of-the-worker", layers)

    monkeypatch.setattr(module, "ensure", elsewhere)
    store = Store(tmp_path / "store")
    with pytest.raises(RunFailed, match="computed, but not in .*store: do all workers see that folder"):
        run([specs["original"]], store, engine=scheduler, load=False)
    assert "0 computed, 1 failed" in capsys.readouterr().out


@pytest.mark.parametrize("engine", ["serial", "address"])
def test_a_full_disk_stops_the_run_in_one_sentence(engine, request, specs, tmp_path, monkeypatch):
    tries = []

    def full(spec, folder, layers, *parents, **rest):
        tries.append(spec)
        raise Unwritable("no space left: make room.")

    monkeypatch.setattr(module, "ensure", full)
    engine = request.getfixturevalue("scheduler") if engine == "address" else engine
    many = [replace(specs["original"], seed=seed) for seed in range(30)]
    with pytest.raises(BadInput, match="^no space left: make room.$"):
        run(many, Store(tmp_path / "store"), engine=engine)
    assert len(tries) < len(many)


# What is kept and said


def test_descriptions_say_method_and_seed_and_name_the_result(specs):
    for spec in everything(specs.values()):
        text = spec.describe()
        assert "\n" not in text and len(text) < 300
        assert any(key(s) in text for s in everything([spec]) if kind_of(s) not in ("TraceOf", "Profile", "Path"))
    assert specs["start"].describe().startswith("npo x none x adamw, seed 42 (unlearned-")
    assert (
        specs["line profile"]
        .describe()
        .startswith("Profile of TraceOf of linear path from npo x none x adamw, seed 42")
    )


def test_provenance_of_a_whole_study_holds_no_path(full):
    for path in full.glob("*.json"):
        text = path.read_text()
        assert not any(str(p) in text for p in (full, FilePath.cwd(), FilePath.home()))
        assert np.isfinite(json.loads(text)["seconds"])
