"""Runs and studies: what is kept is not computed again, failures are named, a rerun is bit-identical."""

import json
import shutil
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch

import mcutils as mc
from mcutils.curves import Curve
from mcutils.profiles import ProfileOf
from mcutils.settings import BadInput, MethodSettings, Plan, Preset, curve_plan, method_settings, train_plan
from mcutils.specs import (
    Data,
    Original,
    Path,
    Profile,
    Retrained,
    TraceOf,
    Unlearned,
    Untrained,
    is_line,
    key,
    kind_of,
    parents,
)
from mcutils.store import Store
from mcutils.study import RunFailed, describe, missing, run

module = import_module("mcutils.study")  # the package gives this name to its function `study`

TRAIN = Plan(lr=1e-2, steps=25, batch_size=64)
STEPS = Plan(lr=1e-3, steps=4, batch_size=32, forget_batch_size=16)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """None of the reader's own settings, and one process unless a test asks for more."""
    for name in ("COMPUTE", "FRESH", "REPORT", "STORE", "FIGURES"):
        monkeypatch.delenv(f"MCUTILS_{name}", raising=False)
    monkeypatch.setenv("MCUTILS_WORKERS", "1")


@pytest.fixture(scope="module")
def specs():
    """A small study by name: two endpoints of NPO, a line and a curve between them, and their profiles."""
    data = Data("digits", 240, 60)
    original = Original(data, "convnet", 4, 0, TRAIN)
    retrained = Retrained(data, 0.1, "convnet", 4, 42, TRAIN)
    start = Unlearned(original, 0.1, "npo", "none", "adamw", 42, MethodSettings(STEPS))
    end = replace(start, seed=87)
    line = Path(start, end, 0.1)
    bend = Path(start, end, 0.1, "bezier", 1, "corrected", 0, STEPS)
    single = [TraceOf(model, 0.1) for model in (original, retrained, Untrained(data, "convnet", 4, 0))]
    found = {
        "original": original,
        "retrained": retrained,
        "start": start,
        "end": end,
        "line": line,
        "bend": bend,
    }
    for name in ("line", "bend"):
        found[f"{name} trace"] = TraceOf(found[name], 0.1, 3)
        found[f"{name} profile"] = Profile(found[f"{name} trace"], single[0], (single[1],), single[2], 10)
    return found | {"start trace": TraceOf(start, 0.1)}


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
    if isinstance(spec, TraceOf):
        parts = {"t": found.t} | {f"logits/{s}": v for s, v in found.logits.items()}
        parts |= {f"index/{s}": v for s, v in found.index.items()}
        return {n: v.tobytes() for n, v in parts.items()} | found.meta
    if isinstance(spec, Profile):
        return {n: v.tobytes() for n, v in found.arrays.items() if n != "seconds"}
    if isinstance(spec, Path):
        return [tensors(point) for point in found.points]
    return tensors(found.weights if isinstance(spec, Unlearned) else found)


def everything(specs):
    """The specs and all that they are made from, straight lines left out."""
    found = {}

    def visit(spec):
        for parent in parents(spec):
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
    assert {p.stem for p in full.iterdir()} == {key(s) for s in wanted}
    store = Store(full)
    for spec in wanted:
        assert store.seconds(spec) >= 0
    assert missing(specs.values(), store) == []


def test_a_rerun_computes_nothing_and_says_so(specs, copy, capsys, nothing, monkeypatch, tmp_path):
    report = tmp_path / "report.jsonl"
    monkeypatch.setenv("MCUTILS_REPORT", str(report))
    before = {p.name: p.stat().st_mtime_ns for p in copy.folder.iterdir()}
    wanted = [specs["line profile"], specs["bend profile"], specs["line"], specs["line profile"]]
    first, second, line, again = run(wanted, copy)
    assert summary(capsys) == "2 reused, 0 computed"
    assert isinstance(first, ProfileOf) and isinstance(line, Curve) and line.kind == "linear"
    assert first.arrays["t"].tolist() == second.t.tolist() == [0, 0.5, 1]
    rows = [json.loads(row) for row in report.read_text().splitlines()]
    assert rows == [{"reused": 2, "computed": 0, "failed": 0, "keys": [key(s) for s in wanted if s != specs["line"]]}]
    assert {p.name: p.stat().st_mtime_ns for p in copy.folder.iterdir()} == before


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
        path = next(p for p in copy.folder.glob(f"{key(specs[name])}.*") if p.suffix != ".json")
        path.write_bytes(path.read_bytes()[:-1])
    drop(copy, specs["line profile"])
    (found,) = run([specs["line profile"]], copy)
    captured = capsys.readouterr()
    assert captured.out.strip().endswith("0 reused, 3 computed")
    assert captured.err.count("damaged result") >= 2
    for name in ("start", "line trace", "line profile"):
        assert bits(specs[name], copy) == bits(specs[name], Store(full))
    assert len(list(copy.folder.glob("*.damaged"))) == 4


def test_layers_are_read_and_only_the_rest_is_computed(specs, full, tmp_path, capsys):
    upper = Store(tmp_path / "upper", [full])
    new = replace(specs["line trace"], points=2)
    run([new, specs["bend profile"]], upper)
    assert summary(capsys) == "1 reused, 1 computed"
    assert {p.stem for p in upper.folder.iterdir()} == {key(new)}


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
        run([Untrained(specs["original"].data, "convnet", 4, 1)], Store(tmp_path))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


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
        run([TraceOf(lost, 0.1)], copy)


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
    lost = Unlearned(specs["original"], 0.1, "gradient_ascent", "none", "adamw", 42, settings)
    line, other = Path(specs["start"], lost, 0.1), specs["line profile"]
    bend = replace(specs["bend"], end=lost)
    dependents = [TraceOf(lost, 0.1), bend, TraceOf(bend, 0.1, 3), TraceOf(line, 0.1, 3)]
    return lost, [*dependents, replace(other, trace=dependents[-1])], other


def failure(failing, store, **options):
    lost, dependents, other = failing
    with pytest.raises(RunFailed) as caught:
        run([*dependents, other], store, **options)
    return str(caught.value).split("\n")


def check_failure(failing, lines):
    lost, dependents, _ = failing
    assert len(lines) == 1 + len(dependents)
    assert lines[0].startswith(f"{describe(lost)}: Diverged: ") and "lr 1e+30" in lines[0]
    assert f"gradient_ascent x none x adamw, seed 42 ({key(lost)})" in lines[0]
    skipped = {line.split(": skipped, since ")[0]: line for line in lines[1:]}
    assert set(skipped) == {describe(spec) for spec in dependents}
    for spec in dependents[:2] + dependents[3:4]:
        assert skipped[describe(spec)].endswith(f"skipped, since {describe(lost)} failed")
    assert skipped[describe(dependents[4])].endswith(f"skipped, since {describe(dependents[3])} failed")


def test_a_failure_is_named_its_dependents_skipped_and_the_rest_computed(failing, copy, capsys, monkeypatch, tmp_path):
    report = tmp_path / "report.jsonl"
    monkeypatch.setenv("MCUTILS_REPORT", str(report))
    drop(copy, failing[2], failing[2].trace)
    lines = failure(failing, copy)
    check_failure(failing, lines)
    assert summary(capsys) == "0 reused, 2 computed, 6 failed"
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
    with pytest.raises(RunFailed) as caught:
        run([*specs.values(), *failing[1]], store, workers=2)
    check_failure(failing, sorted(str(caught.value).split("\n"), key=lambda line: "skipped" in line))
    assert summary(capsys) == f"0 reused, {len(wanted)} computed, 6 failed"
    for spec in wanted:
        assert bits(spec, store) == bits(spec, Store(full)), describe(spec)
        assert store.provenance(spec)["spec"] == Store(full).provenance(spec)["spec"]
    assert not list(store.folder.glob("*.damaged"))


def test_workers_come_from_the_environment_and_never_exceed_the_work(specs, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "_together", lambda todo, store, workers: asked.append(workers) or {})
    monkeypatch.setattr(module, "_serially", lambda todo, store: asked.append(1) or {})
    store = Store(tmp_path)
    monkeypatch.setattr(store, "get", lambda spec: None)
    for value, workers, expected in (
        ("3", None, 2),
        ("2", None, 2),
        ("1", None, 1),
        ("1", 2, 2),
        ("2", 1, 1),
    ):
        monkeypatch.setenv("MCUTILS_WORKERS", value)
        run([specs["original"], specs["retrained"]], store, workers=workers)
        assert asked.pop() == expected
    monkeypatch.setenv("MCUTILS_WORKERS", "8")
    run([specs["original"]], store)
    assert asked == [1]


# Studies


@pytest.fixture
def smoke(tmp_path):
    return mc.study("smoke", store=str(tmp_path / "store"), seeds=[42, 87], methods=["npo"], points=3, width=4)


def test_a_study_is_its_preset_with_changes(smoke, tmp_path):
    assert (smoke.preset.seeds, smoke.preset.methods, smoke.preset.points) == ((42, 87), ("npo",), 3)
    assert smoke.seeds == (42, 87) and smoke.preset.forget == 0.1
    assert smoke.store.folder == tmp_path / "store" and not smoke.store.folder.exists()
    assert smoke.task.checksum == smoke.data.checksum
    assert smoke.settings == "digits.convnet"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown preset field 'colour': choose one of name, dataset"),
        ({"methods": ["npo", "wish"]}, "unknown method 'wish': choose one of retrain"),
        ({"quickstart_method": "wish"}, "unknown method 'wish'"),
        ({"dataset": "mnist"}, "'mnist'"),
    ],
)
def test_unknown_changes_are_refused(change, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        mc.study("smoke", store=str(tmp_path), **change)
    with pytest.raises(BadInput, match="unknown preset 'big': choose one of laptop, smoke, paper"):
        mc.study("big", store=str(tmp_path))


def test_where_results_and_figures_go(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert mc.study("smoke").store.folder == tmp_path / "build" / "store"
    assert mc.study("smoke").figures == tmp_path / "build" / "figures"
    monkeypatch.setenv("MCUTILS_STORE", str(tmp_path / "mine"))
    monkeypatch.setenv("MCUTILS_FIGURES", str(tmp_path / "figures"))
    assert mc.study("smoke").store.folder == tmp_path / "mine"
    assert mc.study("smoke").figures == tmp_path / "figures"
    assert mc.study("smoke", store=str(tmp_path / "given")).store.folder == tmp_path / "given"


def test_fresh_ignores_what_is_shipped(specs, full, tmp_path, monkeypatch, capsys):
    shutil.copytree(full, tmp_path / "data" / "store")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    found = mc.study("smoke", store=str(tmp_path / "mine"))
    assert found.store.layers == (tmp_path / "data" / "store",)
    assert specs["bend profile"] in found.store
    monkeypatch.setenv("MCUTILS_FRESH", "1")
    fresh = mc.study("smoke", store=str(tmp_path / "mine"))
    assert fresh.store.layers == ()
    assert specs["bend profile"] not in fresh.store
    (random,) = fresh.run([Untrained(specs["original"].data, "convnet", 4, 0)])
    assert summary(capsys) == "0 reused, 1 computed"


def test_models_have_the_settings_of_the_file(smoke):
    original, retrained = smoke.original(), smoke.retrained(42)
    assert original == Original(smoke.data, "convnet", 4, 0, train_plan("digits.convnet"))
    assert retrained == Retrained(smoke.data, 0.1, "convnet", 4, 42, original.plan)
    one = smoke.unlearned("scrub", 87, "superloss", "soul")
    assert one.settings == method_settings("digits.convnet", "scrub", "superloss", "soul")
    assert (one.origin, one.forget, one.seed) == (original, 0.1, 87)
    assert smoke.unlearned("npo", 42, origin=smoke.original(1)).origin.seed == 1
    with pytest.raises(BadInput, match="unknown method 'wish'"):
        smoke.unlearned("wish", 1)


def test_paths_and_traces_follow_their_recipe(smoke):
    start, end = smoke.unlearned("npo", 42), smoke.unlearned("npo", 87)
    line, bend = smoke.path(start, end), smoke.path(start, end, "bezier")
    authors = smoke.path(start, end, "chain", "authors", control_points=2, seed=5)
    assert line == Path(start, end, 0.1)
    assert bend == Path(start, end, 0.1, "bezier", 1, "corrected", 0, curve_plan("digits.convnet", start.settings))
    assert (authors.kind, authors.recipe, authors.control_points, authors.seed) == ("chain", "authors", 2, 5)
    assert [smoke.trace(m).batchnorm for m in (line, bend, authors, start)] == [
        "retain",
        "retain",
        "none",
        "retain",
    ]
    assert [smoke.trace(m).points for m in (line, bend, authors, start)] == [3, 3, 3, 1]
    assert smoke.trace(authors, "full").batchnorm == "full"
    with pytest.raises(BadInput, match="its start must be an unlearned model"):
        smoke.path(smoke.original(), end, "bezier")


def test_a_profile_names_all_that_it_is_measured_against(smoke):
    model = smoke.unlearned("npo", 42)
    found = smoke.profile(model)
    assert found.trace == smoke.trace(model) and found.original == smoke.trace(smoke.original())
    assert found.retrained == tuple(smoke.trace(smoke.retrained(s)) for s in (42, 87))
    assert found.random.model == Untrained(smoke.data, "convnet", 4, 0)
    assert found.bootstrap == smoke.preset.bootstrap
    assert smoke.profile(model, retrained=[7]).retrained == (smoke.trace(smoke.retrained(7)),)


def test_every_field_of_a_preset_that_determines_results_is_part_of_a_key(smoke):
    changed = {
        "dataset": "fashion-mnist",
        "model": "convnet_gn",
        "width": 8,
        "forget": 0.2,
        "train_size": 240,
    }
    changed |= {"test_size": 60, "seeds": (42, 21), "points": 5, "bootstrap": 7}
    named = {"name", "methods", "quickstart_method", "pairs", "about", "settings"}
    assert set(changed) | named == {f.name for f in fields(Preset)}

    def name(study):
        first, second = study.seeds
        return key(study.profile(study.path(study.unlearned("npo", first), study.unlearned("npo", second))))

    names = [name(smoke)]
    for field, value in changed.items():
        study = mc.study("smoke", store=str(smoke.store.folder), **{**kept(smoke), field: value})
        names.append(name(study))
    assert len(set(names)) == len(names)


def kept(study):
    return {f.name: getattr(study.preset, f.name) for f in fields(Preset) if f.name != "name"}


def test_descriptions_say_method_and_seed_and_name_the_result(specs):
    for spec in everything(specs.values()):
        text = describe(spec)
        assert "\n" not in text and len(text) < 300
        assert any(key(s) in text for s in everything([spec]) if kind_of(s) not in ("TraceOf", "Profile", "Path"))
    assert describe(specs["start"]).startswith("npo x none x adamw, seed 42 (unlearned-")
    assert describe(specs["line profile"]).startswith(
        "Profile of TraceOf of linear path from npo x none x adamw, seed 42"
    )


def test_provenance_of_a_whole_study_holds_no_path(full):
    for path in full.glob("*.json"):
        text = path.read_text()
        assert not any(str(p) in text for p in (full, FilePath.cwd(), FilePath.home()))
        assert np.isfinite(json.loads(text)["seconds"])
