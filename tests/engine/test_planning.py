"""Plans: work and size against hand counts, rates from the runs most alike, and nothing is computed."""

import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest

from mcutils import reading
from mcutils.data.own import task
from mcutils.data.tasks import DATASETS, SHAPES, load_task
from mcutils.engine import planning
from mcutils.engine.planning import (
    COLUMNS,
    gathered,
    group,
    plan,
    plan_text,
    rate,
    read_timings,
    seconds_of,
    size,
    updated,
    work,
    write_timings,
)
from mcutils.engine.runs import missing, run
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    OriginalSpec,
    ProfileSpec,
    RetrainedSpec,
    TraceSpec,
    TrajectorySpec,
    UnlearnedSpec,
    UntrainedSpec,
    key,
    key_of,
    kind_of,
    plain,
)
from mcutils.engine.specs.data import cost_of, data_of, evaluated, network_of
from mcutils.engine.store import Store
from mcutils.engine.study import study
from mcutils.engine.upkeep import notes, results
from mcutils.errors import BadInput
from mcutils.settings import MethodSettings, Plan

ROOT = FilePath(__file__).resolve().parents[2]
DATA = DataSpec("digits", 240, 60)
TRAIN, STEPS = Plan(steps=5, batch_size=64), Plan(steps=3, batch_size=32, forget_batch_size=16)
ORIGINAL = OriginalSpec(DATA, "convnet", 4, 0, TRAIN)
START = UnlearnedSpec(ORIGINAL, 0.1, "npo", "none", "adamw", 42, MethodSettings(STEPS))
END = replace(START, method="scrub", optimizer="soul", seed=87)
LINE, BEND = CurveSpec(START, END, 0.1), CurveSpec(START, END, 0.1, "bezier", 2, "corrected", 0, STEPS)
RANDOM = UntrainedSpec(DATA, "convnet", 4, 0)
RETRAINED = RetrainedSpec(DATA, 0.1, "convnet", 4, 42, TRAIN)
SINGLE = [TraceSpec(model, 0.1) for model in (ORIGINAL, RETRAINED, RANDOM)]
TRACE = TraceSpec(BEND, 0.1, 3)
PROFILES = [ProfileSpec(t, SINGLE[0], (SINGLE[1],), SINGLE[2], 10) for t in (TRACE, TraceSpec(LINE, 0.1, 3), *SINGLE)]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A store in which everything was computed. Read only."""
    store = Store(tmp_path_factory.mktemp("full") / "store")
    run(PROFILES, store, engine="serial", load=False)
    return store


@pytest.fixture
def untimed(monkeypatch):
    """No run times ship."""
    monkeypatch.setattr(planning, "read_timings", lambda: [])


# Work and size, counted by hand


def convolution(before, after, kernel, side):
    """Multiplications and additions of a convolution without bias whose output is ``side`` x ``side``."""
    return 2 * kernel**2 * before * after * side**2


@pytest.mark.parametrize("width", [2, 4, 16])
@pytest.mark.parametrize("dataset", ["digits", "fashion-mnist"])
def test_the_cost_of_the_convnet_is_that_counted_by_hand(width, dataset):
    half, form = SHAPES[dataset][2][-1] // 2, SHAPES[dataset][2:]
    quarter = half // 2
    w = width
    flops = convolution(1, w, 3, half) + convolution(w, 2 * w, 3, half)
    flops += convolution(2 * w, 4 * w, 3, quarter) + convolution(4 * w, 4 * w, 3, quarter) + 2 * 4 * w * 10
    parameters = 9 * (w + w * 2 * w + 2 * w * 4 * w + 4 * w * 4 * w) + 2 * (w + 2 * w + 4 * w + 4 * w) + 40 * w + 10
    assert cost_of("convnet", width, *form) == (flops, parameters)
    assert cost_of("convnet_gn", width, *form) == (flops, parameters)


def test_the_cost_of_a_resnet_is_that_counted_by_hand():
    flops, parameters = convolution(1, 64, 3, 28), 9 * 64 + 2 * 64
    before = 64
    for channels, side in ((64, 28), (128, 14), (256, 7), (512, 4)):
        flops += convolution(before, channels, 3, side) + 3 * convolution(channels, channels, 3, side)
        parameters += 9 * before * channels + 3 * 9 * channels**2 + 4 * 2 * channels
        if before != channels:  # the shortcut
            flops += convolution(before, channels, 1, side)
            parameters += before * channels + 2 * channels
        before = channels
    assert cost_of("resnet18", 64, (1, 28, 28), 10) == (flops + 2 * 512 * 10, parameters + 512 * 10 + 10)


def test_the_table_of_shapes_is_that_of_the_data():
    assert set(SHAPES) == set(DATASETS)
    for name in ("digits", "fashion-mnist"):
        task = load_task(name)
        train, test, shape, classes = SHAPES[name]
        assert (len(task.x), tuple(task.x.shape[1:]), task.n_classes) == (train + test, shape, classes)
        assert len(task.rows("test")) == test


@pytest.mark.parametrize("forget", [0.02, 0.1, 0.5])
@pytest.mark.parametrize(("dataset", "train", "test"), [("digits", 0, 0), ("digits", 240, 60), ("fashion-mnist", 0, 0)])
def test_examples_of_a_trace_are_as_many_as_a_task_has(dataset, train, test, forget):
    task = load_task(dataset, forget, train_size=train or None, test_size=test or None)
    count = sum(len(rows) for rows in task.evaluation.values())
    assert abs(evaluated(plain(DataSpec(dataset, train, test)), forget) - count) <= 1


def test_own_data_are_planned_by_their_own_shape_classes_and_rows(tmp_path):
    rng = np.random.default_rng(0)
    made = task(
        rng.random((200, 3, 12, 12)), np.arange(200) % 7, forget=[3, 1, 4], test=(rng.random((30, 3, 12, 12)), [0] * 30)
    )
    opened = study("smoke", str(tmp_path), task=made, width=4)
    model = opened.unlearned("npo", 42)
    flops, parameters = cost_of("convnet", 4, (3, 12, 12), 7)
    assert flops > cost_of("convnet", 4, (3, 12, 12), 6)[0]
    assert size(plain(model)) == 4 * parameters
    seen = sum(len(rows) for rows in made.evaluation.values())
    assert evaluated(plain(opened.data), model.forget) == seen and work(plain(opened.trace(model))) == flops * (
        seen + 1024
    )
    assert size(plain(opened.trace(model))) == 2 * 7 * seen
    rows = plan([opened.profile(model)], opened.store)
    assert [row["to compute"] for row in rows if row["kind"] == "Unlearned"] == [1]
    flat = study("smoke", str(tmp_path), task=task(rng.random((200, 5)), np.arange(200) % 7))
    with pytest.raises(BadInput, match=r"a convnet of width 8 does not take examples of shape \(5,\)"):
        plan([flat.original()], flat.store)


ODD = (None, -1, 0, 1e400, "", "x" * 99, [], {}, [[]], {"spec": []}, {"spec": "Data"}, True, 10**30)


def places(table, way=()):
    """Where every value of nested tables and lists is."""
    for name, value in table.items() if isinstance(table, dict) else enumerate(table):
        yield (*way, name)
        if isinstance(value, (dict, list)):
            yield from places(value, (*way, name))


@pytest.mark.parametrize("spec", PROFILES[:1] + [BEND, START, TRACE, RETRAINED], ids=kind_of)
def test_an_odd_description_is_refused_in_a_sentence_and_never_crashes(spec):
    description = plain(spec)
    for way in [*places(description)][:: 1 if spec is RETRAINED else 7]:
        for odd in (*ODD, KeyError):
            changed = json.loads(json.dumps(description))
            inner = changed
            for name in way[:-1]:
                inner = inner[name]
            if odd is KeyError:
                del inner[way[-1]]
            else:
                inner[way[-1]] = odd
            for reader in (data_of, network_of, work, size, group, key_of):
                try:
                    reader(changed)
                except BadInput as error:
                    assert "\n" not in str(error)
            gathered([{"spec": changed, "seconds": 1.0}, {"spec": description, "seconds": 1.0}])


def test_a_description_nested_a_thousand_deep_is_refused():
    deep = plain(START)
    for _ in range(5000):
        deep = {**plain(START), "origin": deep}
    for reader in (data_of, network_of, work, size, group, key_of):
        with pytest.raises(BadInput):
            reader({"spec": "TraceOf", "model": deep, "points": 1, "forget": 0.1})
    assert gathered([{"spec": "TraceOf", "model": deep}, {"seconds": 1}, {"spec": 3, "seconds": "x"}]) == []


def test_the_work_of_each_kind_is_that_counted_by_hand():
    flops, _ = cost_of("convnet", 4, (1, 8, 8), 10)
    seen = evaluated(plain(DATA), 0.1)
    expected = {
        ORIGINAL: flops * 5 * 64 * 3,  # a backward pass is worth two forward passes
        RETRAINED: flops * 5 * 64 * 3,
        RANDOM: flops * 1024,
        START: flops * 3 * (32 + 16) * 3,
        BEND: flops * 3 * (32 + 16) * 3,
        SINGLE[0]: flops * (seen + 1024),
        TRACE: flops * 3 * (seen + 1024),
        PROFILES[0]: 1e7 * 3 * 10,
    }
    assert {spec: work(plain(spec)) for spec in expected} == expected


@pytest.mark.parametrize("spec", [ORIGINAL, RETRAINED, START, BEND], ids=kind_of)
def test_work_grows_with_steps(spec):
    def with_steps(n):
        if isinstance(spec, UnlearnedSpec):
            return replace(spec, settings=replace(spec.settings, plan=replace(STEPS, steps=n)))
        return replace(spec, plan=replace(spec.plan, steps=n))

    assert work(plain(with_steps(70))) == pytest.approx(10 * work(plain(with_steps(7))))
    assert size(plain(with_steps(70))) == size(plain(with_steps(7)))


def test_sizes_are_those_counted_by_hand():
    _, parameters = cost_of("convnet", 4, (1, 8, 8), 10)
    for spec, points in ((ORIGINAL, 1), (START, 1), (BEND, 2), (RANDOM, 1)):
        assert size(plain(spec)) == 4 * parameters * points
    assert size(plain(TRACE)) == 3 * size(plain(SINGLE[0])) == 3 * evaluated(plain(DATA), 0.1) * 10 * 2


def test_cost_and_size_of_a_trace_follow_points_and_splits():
    flops, _ = cost_of("convnet", 4, (1, 8, 8), 10)
    some = replace(TRACE, splits=("retain", "forget"))
    counts = {split: len(rows) for split, rows in DATA.task(0.1).evaluation.items()}
    seen = counts["retain"] + counts["forget"]
    assert work(plain(some)) == flops * 3 * (seen + 1024) < work(plain(TRACE))
    assert size(plain(some)) == 3 * seen * 10 * 2
    assert work(plain(replace(some, points=6))) == 2 * work(plain(some))
    assert work(plain(replace(TRACE, splits=("test", "valid", "forget", "retain")))) == work(plain(TRACE))
    whole, cut = (ProfileSpec(t, SINGLE[0], (SINGLE[0],), SINGLE[0], 50) for t in (TRACE, some))
    assert work(plain(cut)) / work(plain(whole)) == pytest.approx(seen / sum(counts.values()))
    assert size(plain(cut)) < size(plain(whole))


def test_sizes_are_roughly_those_of_files(tmp_path):
    """Of a network and a trace large enough that headers do not matter."""
    big = replace(ORIGINAL, data=DataSpec("digits"), width=16, plan=replace(TRAIN, steps=1))
    trace = TraceSpec(big, 0.1)
    store = Store(tmp_path)
    run([trace], store, engine="serial", load=False)
    found = {path.name.split("-")[0]: path.stat().st_size for path in results(tmp_path)}
    assert size(plain(big)) == pytest.approx(found["original"], rel=0.1)
    assert size(plain(trace)) == pytest.approx(found["traceof"], rel=0.5)  # labels and rows, and it is compressed


def test_sizes_of_profiles_are_roughly_those_shipped():
    shipped = [note for note in notes([ROOT / "data" / "store"]).values() if note["spec"]["spec"] == "Profile"]
    assert {note["spec"]["trace"]["points"] for note in shipped} >= {1, 31}
    for note in shipped[::5]:
        arrays = np.load(io.BytesIO(reading.read(note["path"], note["bytes"])))  # in an archive they are not compressed
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        assert size(note["spec"]) == pytest.approx(len(file.getvalue()), rel=0.3), note["key"]


def test_every_spec_names_its_data_and_its_network():
    for spec in (*missing(PROFILES, Store("none")), LINE):
        assert data_of(plain(spec)) == plain(DATA)
        assert network_of(plain(spec)) == ("convnet", 4)
    for ask in (data_of, network_of):
        with pytest.raises(BadInput, match="a Wish names no"):
            ask({"spec": "Wish"})


# Recorded run times


def row(kind, method="", optimizer="", model="convnet", seconds=1.0, work=1.0, results=1):
    return dict(zip(COLUMNS, (kind, method, optimizer, model, results, seconds, work), strict=True))


def test_groups_tell_apart_what_takes_different_times():
    assert group(plain(ORIGINAL)) == ("Original", "", "", "convnet")
    assert group(plain(START)) == ("Unlearned", "npo", "adamw", "convnet")
    assert group(plain(BEND)) == ("bezier", "npo", "adamw", "convnet")  # fitted with the objective of its start
    assert group(plain(replace(BEND, method="scrub", settings=START.settings)))[1] == "scrub"
    assert group(plain(TRACE)) == ("TraceOf", "", "", "convnet")
    assert group(plain(PROFILES[0])) == ("Profile", "", "", "convnet")


def test_a_rate_is_taken_from_the_rows_most_alike():
    rows = [
        row("Unlearned", "npo", "adamw", seconds=2, work=1),
        row("Unlearned", "scrub", "adamw", seconds=12, work=3),
        row("Unlearned", "npo", "soul", seconds=30, work=2),
        row("Unlearned", "npo", "adamw", "resnet18", seconds=7, work=1),
        row("TraceOf", seconds=99, work=1),
    ]
    assert rate(("Unlearned", "npo", "adamw", "convnet"), rows) == 2
    assert rate(("Unlearned", "salun", "adamw", "convnet"), rows) == 14 / 4  # any method
    assert rate(("Unlearned", "salun", "sophia_g", "convnet"), rows) == 44 / 6  # nor that optimiser
    assert rate(("Unlearned", "npo", "adamw", "convnet_gn"), rows) == 51 / 7  # nor that network
    assert rate(("Original", "", "", "convnet"), rows) is None
    assert rate(("Original", "", "", "convnet"), [row("Original", work=0)]) is None


def test_what_no_run_was_recorded_of_has_the_rate_of_what_works_alike(tmp_path):
    assert {kind.like for kind in planning.KINDS.values()} <= {"", *planning.KINDS}
    way = plain(TrajectorySpec(START, (0, START.settings.plan.steps)))
    rows = [row("Unlearned", "npo", "adamw", seconds=6, work=2), row("Unlearned", "scrub", "adamw", seconds=99)]
    assert seconds_of(Store(tmp_path), rows)(way) == pytest.approx(3 * work(way))
    own = [*rows, row("Trajectory", "npo", "adamw", seconds=5, work=1)]
    assert seconds_of(Store(tmp_path), own)(way) == pytest.approx(5 * work(way))
    assert math.isnan(seconds_of(Store(tmp_path), [row("TraceOf")])(way))


def test_what_is_gathered_adds_up(full):
    found = notes([full.folder]).values()
    rows = gathered(found)
    assert sum(r["results"] for r in rows) == len(found) == len(results(full.folder))
    assert sum(r["seconds"] for r in rows) == pytest.approx(sum(n["seconds"] for n in found), abs=0.01 * len(rows))
    (one,) = (r for r in rows if r["kind"] == "TraceOf")
    assert one["results"] == 5
    assert float(one["work"]) == pytest.approx(sum(work(n["spec"]) for n in found if "traceof" in n["key"]), rel=1e-3)
    assert len({tuple(r[c] for c in COLUMNS[:4]) for r in rows}) == len(rows)


def test_run_times_come_back_from_their_file(full, tmp_path):
    rows, path = gathered(notes([full.folder]).values()), tmp_path / "timings.csv"
    write_timings(rows, path)
    again = read_timings(path)
    assert again == [{name: str(value) for name, value in r.items()} for r in rows]
    for spec in missing(PROFILES, Store("none")):
        assert rate(group(plain(spec)), again) == rate(group(plain(spec)), rows)
    write_timings(again, tmp_path / "second.csv")
    assert (tmp_path / "second.csv").read_bytes() == path.read_bytes()
    assert read_timings(tmp_path / "none.csv") == []


def test_newer_run_times_replace_those_of_their_group():
    old = [row("Original", seconds=1), row("TraceOf", seconds=2)]
    new = [row("Unlearned", "npo", "adamw", seconds=3), row("TraceOf", seconds=4)]
    assert [(r["kind"], r["seconds"]) for r in updated(old, new)] == [("Original", 1), ("TraceOf", 4), ("Unlearned", 3)]
    assert updated(old, []) == old and updated([], old) == old


# Plans


def test_a_plan_counts_what_a_run_would_compute(full, tmp_path):
    """Whatever is missing of a store, its plan counts just what `missing` lists."""
    rng = np.random.default_rng(0)
    every = missing(PROFILES, Store(tmp_path / "none"))
    for trial in range(12):
        folder = tmp_path / str(trial)
        folder.mkdir()
        for spec in every:
            if rng.random() < trial / 11:
                for path in full.folder.glob(f"{key(spec)}.*"):
                    (folder / path.name).write_bytes(path.read_bytes())
        store = Store(folder)
        before = sorted(folder.iterdir())
        table = {r["kind"]: r for r in plan([*PROFILES, *PROFILES, LINE], store)}
        todo = missing([*PROFILES, LINE], store)
        for kind in {kind_of(spec) for spec in todo} | set(table):
            assert table[kind]["to compute"] == sum(kind_of(spec) == kind for spec in todo)
        kept = sum(spec in store for spec in PROFILES)
        assert sum(r["stored"] for r in table.values()) == kept
        assert kept + sum(r["to compute"] for r in table.values() if r["kind"] == "Profile") == len(PROFILES)
        assert sorted(folder.iterdir()) == before
    assert todo == []


def test_seconds_are_rates_times_work(tmp_path):
    rows = [row("Unlearned", "npo", "adamw", seconds=3, work=1e9), row("Original", seconds=1, work=1e9)]
    store = Store(tmp_path)

    def seconds(steps):
        spec = replace(START, settings=replace(START.settings, plan=replace(STEPS, steps=steps)))
        table = plan([spec], store, seconds_of(store, rows))
        return {r["kind"]: r["CPU seconds"] for r in table}

    one, ten = seconds(10), seconds(100)
    assert one["Unlearned"] == pytest.approx(3e-9 * cost_of("convnet", 4, (1, 8, 8), 10)[0] * 10 * 48 * 3)
    assert ten["Unlearned"] == pytest.approx(10 * one["Unlearned"])
    assert ten["Original"] == one["Original"] > 0


def test_a_store_s_own_times_come_before_those_shipped(full, tmp_path, monkeypatch):
    shipped = [row("Original", seconds=1e6, work=1), row("Retrained", seconds=1e6, work=1)]
    monkeypatch.setattr(planning, "read_timings", lambda: shipped)
    own = Store(tmp_path)
    for path in full.folder.glob(f"{key(ORIGINAL)}.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    longer = replace(ORIGINAL, plan=replace(TRAIN, steps=10))
    table = {r["kind"]: r["CPU seconds"] for r in plan([longer, RETRAINED], own)}
    assert table["Original"] == pytest.approx(2 * full.seconds(ORIGINAL), rel=0.01, abs=0.02)
    assert table["Retrained"] == pytest.approx(1e6 * work(plain(RETRAINED)))


def test_where_nothing_was_recorded_the_time_is_not_known(tmp_path, untimed):
    table = plan(PROFILES, Store(tmp_path / "none"))
    assert {r["kind"] for r in table} == {kind_of(spec) for spec in missing(PROFILES, Store(tmp_path))}
    assert all(math.isnan(r["CPU seconds"]) and r["MB"] > 0 for r in table)
    rows = [row("Original", seconds=1, work=1e9)]
    store = Store(tmp_path)
    table = plan([START], store, seconds_of(store, rows))
    assert [r["kind"] for r in table if math.isnan(r["CPU seconds"])] == ["Unlearned"]
    assert not (tmp_path / "none").exists()


def test_of_a_full_store_nothing_is_left_to_do(full, untimed):
    table = plan(PROFILES, full)
    assert [(r["kind"], r["stored"], r["to compute"], r["CPU seconds"]) for r in table] == [("Profile", 5, 0, 0)]
    assert plan([], full) == []


def test_the_closing_line_adds_up_and_says_what_is_not_known():
    known = {"kind": "Original", "stored": 1, "to compute": 2, "CPU seconds": 600.0, "MB": 1.5}
    other = {"kind": "TraceOf", "stored": 0, "to compute": 1000, "CPU seconds": 6000.0, "MB": 2000.0}
    assert plan_text([known, other], 2) == (
        "1002 results to compute: 6,600 CPU seconds, about 55 min on 2 workers, 2,002 MB."
    )
    assert plan_text([known, {**other, "CPU seconds": math.nan}], 2) == (
        "1002 results to compute: 2,002 MB, in a time not known, since none ran yet of TraceOf."
    )
    assert plan_text([], 2).startswith("0 results to compute: 0 CPU seconds")


def test_parts_count_what_is_new_and_a_path_s_price_all_that_it_hangs_on(tmp_path):
    """Two notebooks that share a path: it is counted with the first, and so is all behind it."""
    store = Store(tmp_path / "none")
    own = [spec for spec in PROFILES if spec not in PROFILES[:1]]
    rows = planning.parts({"a": PROFILES[:1], "b": PROFILES}, store)
    whole = plan(PROFILES, store)
    for name in ("to compute", "CPU seconds"):
        assert sum(row[name] for row in rows) == pytest.approx(sum(row[name] for row in whole))
    paths = [sum(isinstance(s.trace.model, CurveSpec) for s in some) for some in (PROFILES[:1], own)]
    assert [row["paths"] for row in rows] == paths and sum(paths) > 0
    again = planning.parts({"b": PROFILES, "a": PROFILES[:1]}, store)[1]
    assert (again["to compute"], again["paths"], again["CPU seconds"]) == (0, 0, 0)
    assert planning.parts_text([{"paths": 3, "CPU seconds": 6.0}, {"paths": 1, "CPU seconds": 2.0}]) == (
        "4 paths are walked, at 2.0 CPU seconds each, all told."
    )
    assert planning.parts_text([{"paths": 2, "CPU seconds": math.nan}]) == "2 paths are walked."
    assert planning.parts_text([]) == "0 paths are walked."


def test_ten_thousand_specs_are_planned(tmp_path, untimed):
    bench = study("smoke", store=str(tmp_path / "none"), fresh=True)
    ends = bench.grid(seed=range(556))
    specs = [bench.profile(end) for end in ends]
    table = {r["kind"]: r["to compute"] for r in plan(specs, bench.store)}
    n = len(bench.preset.methods) * 556
    assert table["Unlearned"] == table["Profile"] == n
    assert sum(table.values()) == 3 * n + 2 * (1 + len(bench.seeds)) + 2 >= 10_000


def test_a_plan_opens_nothing_and_the_run_that_reads_notices_damage(full, tmp_path, monkeypatch, capsys):
    copied = Store(tmp_path / "store")
    shutil.copytree(full.folder, copied.folder)
    path = copied.folder / f"{key(PROFILES[0])}.npz"
    path.write_bytes(path.read_bytes()[:-1])
    (copied.folder / f"{key(PROFILES[1])}.json").unlink()  # data without provenance are no result
    with monkeypatch.context() as m:
        m.setattr(reading, "pieces", None)
        rows = {row["kind"]: row for row in plan(PROFILES, copied, lambda description: 1.0)}
    assert (rows["Profile"]["stored"], rows["Profile"]["to compute"]) == (4, 1)
    run(PROFILES, copied, engine="serial", load=False)
    assert capsys.readouterr().out == "3 reused, 2 computed\n"
