"""Upkeep: what is damaged is named, what can go is known, and copies hold what is sound and nothing else."""

import json
import lzma
import os
import re
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout
from kept import file_of, listing, note_of

import mcutils as mc
from mcutils import reading
from mcutils.cli.main import main
from mcutils.data.own import FOLDER, keep
from mcutils.engine import specs as kinds, upkeep
from mcutils.engine.forms import outdated
from mcutils.engine.planning import gathered
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    OriginalSpec,
    ProfileSpec,
    RetrainedSpec,
    TraceSpec,
    UnlearnedSpec,
    UntrainedSpec,
    key,
    kind_of,
    plain,
)
from mcutils.engine.store import ASIDE, LOCKS, Store
from mcutils.engine.upkeep import (
    INDEX,
    adopt,
    collect,
    export,
    garbage,
    matching,
    mend,
    notes,
    pack,
    parents_in,
    results,
    status,
    verify,
    write_index,
)
from mcutils.errors import BadInput
from mcutils.explorer.sources import from_store
from mcutils.measures.profiles import Profile
from mcutils.networks import network_for
from mcutils.settings import MethodSettings, Plan
from mcutils.streams import compress, listed
from mcutils.traces import Trace
from mcutils.unlearning.endpoints import Endpoint, fingerprint

PLAN = Plan(steps=1)
DATA = DataSpec("digits", 240, 60)
ORIGINAL = OriginalSpec(DATA, "convnet", 2, 0, PLAN)
RANDOM = UntrainedSpec(DATA, "convnet", 2, 0)
START = UnlearnedSpec(ORIGINAL, 0.1, "npo", "none", "adamw", 42, MethodSettings(PLAN, (("beta", 0.1),)))
TRACE, OF_RANDOM = TraceSpec(START, 0.1), TraceSpec(RANDOM, 0.1)
PROFILE = ProfileSpec(TRACE, TraceSpec(ORIGINAL, 0.1), (), OF_RANDOM, 5)
SECONDS = {ORIGINAL: 4, RANDOM: 0.5, START: 2, TRACE: 0.25, OF_RANDOM: 0.125, PROFILE: 1}


@pytest.fixture(scope="module")
def made(tiny):
    """spec -> an invented result. Read only."""
    nets = [network_for(tiny, "convnet", seed, width=2) for seed in range(3)]
    end = Endpoint(nets[2], nets[0], fingerprint(tiny), "npo", "none", "adamw", 42, START.settings, 2.0)
    rows = {split: np.arange(4) for split in ("retain", "forget", "valid", "test")}
    logits = {split: np.random.default_rng(0).normal(size=(1, 4, 10)).astype(np.float16) for split in rows}
    traces = [Trace(np.array([0.0]), logits, rows, rows, {"kind": kind}) for kind in ("unlearned", "untrained")]
    profile = Profile({"t": np.array([0.0]), "gap": np.float64(0.1), "metric/RA": np.array([0.5])})
    return dict(zip(SECONDS, (nets[0], nets[1], end, *traces, profile), strict=True))


@pytest.fixture
def store(tmp_path, made):
    """A store that holds all of `made`."""
    return filled(tmp_path / "store", made)


def filled(folder, made, *chosen):
    store = Store(folder)
    for spec in chosen or made:
        store.put(spec, made[spec], SECONDS[spec])
    return store


def spoil(path):
    path.write_bytes(path.read_bytes()[:-1])


def names(folder):
    """Names of a folder's files."""
    return {path.name for path in folder.iterdir() if path.is_file()}


def pair(store, *chosen):
    """Names of the two files of each of these results."""
    return {path.name for spec in chosen for path in (file_of(store, spec), note_of(store, spec))}


@pytest.fixture
def newer(monkeypatch):
    """A kind's results are of an older version from now on."""

    def later(*changed):
        for kind in changed:
            monkeypatch.setitem(kinds.VERSIONS, kind, kinds.VERSIONS[kind] + 1)
        key.cache_clear()

    yield later
    monkeypatch.undo()
    key.cache_clear()


# What a store holds


def test_results_are_the_data_files_and_those_that_are_missing(store):
    expected = sorted(file_of(store, spec) for spec in SECONDS)
    assert results(store.folder) == expected
    for spec in (START, TRACE):
        file_of(store, spec).unlink()
    (store.folder / ".scratch.1.npz").write_text("")
    (store.folder / f"{key(TRACE)}.npz{ASIDE}").write_text("")
    assert results(store.folder) == expected


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    for ask in (results, verify, status, garbage, collect):
        with pytest.raises(BadInput, match="^there is no store in .*nowhere: name a folder that a run has filled.$"):
            ask(tmp_path / "nowhere")
    assert notes([tmp_path / "nowhere"]) == {}
    assert not (tmp_path / "nowhere").exists()


def test_a_sound_store_has_nothing_to_verify_or_collect(store):
    assert verify(store.folder) == {}
    assert garbage(store.folder) == []


def test_verify_names_each_fault_and_changes_nothing(store):
    note_of(store, ORIGINAL).unlink()
    file_of(store, RANDOM).unlink()
    spoil(file_of(store, START))
    # A sound result under the name of another; then also with that other's key.
    for path, name in ((file_of(store, TRACE), "key"), (file_of(store, PROFILE), "")):
        path.write_bytes(file_of(store, OF_RANDOM).read_bytes())
        note = json.loads(note_of(store, OF_RANDOM).read_text())
        path.with_suffix(".json").write_text(json.dumps({**note, "key": path.stem} if name else note))
    before = listing(store.folder)
    assert verify(store.folder) == {
        file_of(store, ORIGINAL): "its provenance is missing",
        store.folder / f"{key(RANDOM)}.safetensors": "its data are missing",
        file_of(store, START): "its checksum differs",
        file_of(store, TRACE): "its provenance is of another result",
        file_of(store, PROFILE): "its provenance is of another result",
    }
    assert listing(store.folder) == before


def test_a_note_without_its_arrays_is_missed_as_arrays(store):
    for spec in (TRACE, PROFILE, START):
        file_of(store, spec).unlink()
    found = {path.stem: path.suffix for path in verify(store.folder)}
    assert found == {key(TRACE): ".npz", key(PROFILE): ".npz", key(START): ".safetensors"}


def test_notes_are_provenance_with_bytes_and_folder(store, tmp_path, made):
    other = filled(tmp_path / "other", made, START)
    other.put(RANDOM, made[RANDOM], 77)
    found = notes([other.folder, tmp_path / "nowhere", store.folder])
    assert set(found) == set(map(key, SECONDS))
    for spec in SECONDS:
        first = other if spec in (START, RANDOM) else store
        path = file_of(first, spec)
        own = {"bytes": path.stat().st_size, "folder": first.folder, "path": path}
        assert found[key(spec)] == {**first.provenance(spec), **own}
    assert found[key(RANDOM)]["seconds"] == 77


def test_what_has_no_provenance_of_its_own_is_not_noted(store):
    note_of(store, ORIGINAL).write_text("")
    note_of(store, RANDOM).write_text("[1]")
    note_of(store, START).write_bytes(note_of(store, TRACE).read_bytes())
    note_of(store, OF_RANDOM).write_text(json.dumps({**store.provenance(OF_RANDOM), "seconds": "few"}))
    (store.folder / "stray.json").write_text('{"key": "stray", "spec": {"spec": "Stray"}, "seconds": 1}')
    assert set(notes([store.folder])) == {key(TRACE), key(PROFILE)}
    assert {row["kind"] for row in status(store.folder)} == {"traceof", "profile"}
    assert garbage(store.folder) == []


def test_status_counts_by_kind(store):
    rows = status(store.folder)
    assert [(row["kind"], row["results"], row["CPU seconds"]) for row in rows] == [
        ("original", 1, 4),
        ("profile", 1, 1),
        ("traceof", 2, 0.375),
        ("unlearned", 1, 2),
        ("untrained", 1, 0.5),
    ]
    size = sum(file_of(store, spec).stat().st_size for spec in (TRACE, OF_RANDOM))
    assert rows[2]["MB"] == pytest.approx(size / 1e6)


def test_status_says_what_can_go(store):
    spoil(file_of(store, START))
    assert START not in Store(store.folder)
    waste = [path.stat().st_size for path in store.folder.glob(f"*{ASIDE}")]
    row = status(store.folder)[-1]
    assert row == {"kind": "can go (gc)", "results": 2, "MB": pytest.approx(sum(waste) / 1e6), "CPU seconds": 0}
    assert "unlearned" not in [row["kind"] for row in status(store.folder)]


# What can go


@pytest.mark.parametrize(
    ("kind", "old"),
    [
        ("Profile", {PROFILE}),
        ("TraceOf", {TRACE, OF_RANDOM, PROFILE}),
        ("Unlearned", {START, TRACE, PROFILE}),
        ("Untrained", {RANDOM, OF_RANDOM, PROFILE}),
        ("Original", {ORIGINAL, START, TRACE, PROFILE}),
        ("Path", set()),
    ],
)
def test_a_new_version_makes_what_is_built_on_it_outdated(kind, old, store, newer):
    files = {spec: pair(store, spec) for spec in SECONDS}
    descriptions = {spec: store.provenance(spec)["spec"] for spec in SECONDS}
    newer(kind)
    assert {spec for spec, description in descriptions.items() if outdated(description)} == old
    waste = {name for spec in old for name in files[spec]}
    assert {path.name for path in garbage(store.folder)} == waste
    size = sum((store.folder / name).stat().st_size for name in waste)
    assert collect(store.folder) == (len(waste), size)
    assert names(store.folder) == {name for spec in set(SECONDS) - old for name in files[spec]}


def test_a_kind_that_this_code_does_not_know_is_outdated():
    assert not outdated(plain(PROFILE)) and not outdated(plain(DATA))
    assert outdated({"spec": "Merged", "version": 1})
    assert outdated({"spec": "Profile", "version": 0})
    assert outdated([1, {"deep": [{"spec": "Original", "version": 2}]}])


def scratch(store, number, hours=0):
    """What a writer of this process number leaves if it is killed; written so long ago."""
    path = store.folder / f".{key(TRACE)}.{number}.npz"
    path.write_text("half a tr")
    os.utime(path, (time.time() - 3600 * hours,) * 2)
    return path


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-S", "-c", ""])
    done.wait()
    return done.pid


def test_remains_of_killed_writers_go_those_of_live_ones_stay(store, dead):
    ours = scratch(store, os.getpid(), hours=48)
    recent = scratch(store, dead)
    assert garbage(store.folder) == []  # it may be written on another machine
    old = [scratch(store, dead, hours=2), store.folder / f".probe.{dead}"]
    old[1].write_text("")
    os.utime(old[1], (0, 0))
    for name in (".gitignore", ".a.b.c", f".{dead}", f".{key(TRACE)}.{2**80}.npz", f".mine.{dead}.npz"):
        (store.folder / name).write_text("")
        os.utime(store.folder / name, (0, 0))
    assert recent == old[0] and garbage(store.folder) == sorted(old)
    assert collect(store.folder) == (2, len("half a tr"))
    assert ours.exists() and (store.folder / ".gitignore").exists()
    assert verify(store.folder) == {} and len(results(store.folder)) == len(SECONDS)


def test_collect_removes_what_was_set_aside_and_a_dry_run_only_says_so(store):
    spoil(file_of(store, START))
    assert START not in Store(store.folder)
    waste = [path.stat().st_size for path in store.folder.glob(f"*{ASIDE}")]
    before = listing(store.folder)
    assert collect(store.folder, dry_run=True) == (2, sum(waste))
    assert listing(store.folder) == before
    assert collect(store.folder) == (2, sum(waste))
    assert set(before) - set(listing(store.folder)) >= {
        f"{key(START)}{end}{ASIDE}" for end in (".safetensors", ".json")
    }
    assert collect(store.folder) == (0, 0)
    assert all(spec in Store(store.folder) for spec in set(SECONDS) - {START})


def test_locks_in_use_are_kept(store):
    with store.lock(START), store.lock(TRACE):
        pass
    locks = store.folder / LOCKS
    assert {f"{key(START)}.lock", f"{key(TRACE)}.lock"} <= names(locks)
    with store.lock(START):
        collect(store.folder)
        assert names(locks) == {f"{key(START)}.lock"}
    collect(store.folder)
    assert names(locks) == set()
    with store.lock(START), pytest.raises(Timeout):  # one that was removed is made again
        FileLock(locks / f"{key(START)}.lock", timeout=0).acquire()
    collect(store.folder)
    locks.rmdir()
    assert collect(store.folder) == (0, 0)


# Copies


def test_export_makes_a_layer_of_just_these(tmp_path, store):
    target = tmp_path / "layer"
    target.mkdir()
    (target / f"profile-{20 * '0'}.npz").write_text("from another day")
    (target / "notes.txt").write_text("stray")
    (target / "profile-0123.npz").write_text("not of our form")
    before = listing(store.folder)
    size = export([key(PROFILE), key(ORIGINAL)], [store.folder], target, exact=True)
    files = [p for s in (PROFILE, ORIGINAL) for p in (file_of(store, s), note_of(store, s))]
    assert (target / "notes.txt").read_text() == "stray", "only results are replaced, never a user's own files"
    for name in ("notes.txt", "profile-0123.npz"):
        (target / name).unlink()
    assert {p.name: p.read_bytes() for p in target.iterdir()} == {p.name: p.read_bytes() for p in files}
    assert size == sum(p.stat().st_size for p in files) + len("stray") + len("not of our form")
    assert listing(store.folder) == before
    reader = Store(tmp_path / "empty", [target])
    assert {spec for spec in SECONDS if spec in reader} == {PROFILE, ORIGINAL}


def test_export_adds_to_what_is_there_unless_exact(tmp_path, store):
    target = tmp_path / "layer"
    target.mkdir()
    export([key(PROFILE)], [store.folder], target)
    (target / "notes.txt").write_text("stray")
    size = export([key(TRACE), key(TRACE)], [store.folder], target)
    assert names(target) == {"notes.txt"} | pair(store, PROFILE, TRACE)
    assert size == sum(p.stat().st_size for p in target.iterdir())
    export([key(TRACE)], [store.folder], target, exact=True)
    assert names(target) == {"notes.txt"} | pair(store, TRACE)


@pytest.mark.parametrize("exact", [False, True])
def test_export_keeps_what_only_the_layer_has(exact, tmp_path, store):
    target = tmp_path / "layer"
    export([key(PROFILE)], [store.folder], target)
    for path in (file_of(store, PROFILE), note_of(store, PROFILE)):
        path.unlink()
    export([key(TRACE), key(PROFILE), key(PROFILE)], [store.folder], target, exact)
    assert {p.stem for p in target.iterdir()} == {key(PROFILE), key(TRACE)}
    assert verify(target) == {}


def test_export_takes_each_result_from_the_first_source_that_has_it_sound(tmp_path, store, made):
    first, second = filled(tmp_path / "first", made, TRACE, START), Store(tmp_path / "second")
    for spec in (TRACE, START, RANDOM):
        second.put(spec, made[spec], 88)
    spoil(file_of(first, START))
    target = Store(tmp_path / "layer")
    export(map(key, (TRACE, START, RANDOM, PROFILE)), [first.folder, second.folder, store.folder], target.folder)
    assert [target.seconds(s) for s in (TRACE, START, RANDOM, PROFILE)] == [SECONDS[TRACE], 88, 88, SECONDS[PROFILE]]


def test_export_replaces_a_damaged_copy(tmp_path, store):
    target = Store(tmp_path / "layer")
    export([key(TRACE)], [store.folder], target.folder)
    spoil(file_of(target, TRACE))
    export([key(TRACE)], [store.folder], target.folder)
    assert verify(target.folder) == {} and names(target.folder) == pair(store, TRACE)


def test_export_is_not_confused_by_what_was_set_aside(tmp_path, store, made):
    spoil(file_of(store, PROFILE))
    assert PROFILE not in Store(store.folder)
    store.put(PROFILE, made[PROFILE], 1)
    export([key(PROFILE)], [store.folder], tmp_path / "layer")
    assert names(tmp_path / "layer") == {f"{key(PROFILE)}.npz", f"{key(PROFILE)}.json"}


@pytest.mark.parametrize("lost", ["its last byte", "data", "provenance", "both"])
@pytest.mark.parametrize("exact", [False, True])
def test_a_damaged_or_missing_result_is_not_exported_and_nothing_changes(exact, lost, tmp_path, store):
    target = tmp_path / "layer"
    export([key(ORIGINAL)], [store.folder], target)
    before = listing(target)
    data, note = file_of(store, PROFILE), note_of(store, PROFILE)
    if lost == "its last byte":
        spoil(data)
    for path in [data] * (lost in ("data", "both")) + [note] * (lost in ("provenance", "both")):
        path.unlink()
    with pytest.raises(BadInput, match=f"^{key(PROFILE)} is not sound in .*store or .*other: run what makes it first"):
        export([key(TRACE), key(PROFILE)], [store.folder, tmp_path / "other"], target, exact)
    assert listing(target) == before


def test_a_store_is_not_exported_onto_itself(store):
    before = listing(store.folder)
    for exact in (False, True):
        with pytest.raises(BadInput, match="choose another folder"):
            export([key(PROFILE)], [store.folder], store.folder / ".." / "store", exact)
    assert listing(store.folder) == before


@pytest.mark.parametrize("after", range(4))
def test_an_interrupted_export_leaves_no_data_without_provenance(after, tmp_path, store, monkeypatch):
    target, count, replacing = tmp_path / "layer", [], os.replace

    def killed(*paths):
        count.append(paths)
        if len(count) > after:
            raise KeyboardInterrupt
        replacing(*paths)

    wanted = [key(PROFILE), key(TRACE)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            export(wanted, [store.folder], target)
    assert set(verify(target).values()) <= {"its data are missing"}
    reader = Store(target)
    assert sum(spec in reader for spec in (PROFILE, TRACE)) == after // 2
    assert not list(target.glob(f"*{ASIDE}"))
    export(wanted, [store.folder], target)
    assert verify(target) == {} and len(results(target)) == 2


def test_adopt_copies_what_is_sound_and_lacking(tmp_path, store, made):
    mine = filled(tmp_path / "mine", made, RANDOM, PROFILE)
    spoil(file_of(mine, PROFILE))
    spoil(file_of(store, START))
    note_of(store, OF_RANDOM).unlink()
    before = listing(store.folder)
    new, known, bad = adopt(store.folder, mine.folder)
    assert (new, known) == (3, 1)  # the original, the trace, and the profile that was damaged here
    assert bad == {
        file_of(store, START): "its checksum differs",
        file_of(store, OF_RANDOM): "its provenance is missing",
    }
    assert listing(store.folder) == before
    assert verify(mine.folder) == {}
    assert {path.stem for path in results(mine.folder)} == set(map(key, (ORIGINAL, RANDOM, TRACE, PROFILE)))
    again = listing(mine.folder)
    assert adopt(store.folder, mine.folder) == (0, 4, bad)
    assert listing(mine.folder) == again


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_an_archive_cut_short_is_damage_and_stays_where_it_is(packed, tmp_path, keep, capfd):
    path = packed / "01_second.zip.xz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    (packed / "mine.zip").write_bytes(b"")
    with zipfile.ZipFile(packed / "mine.zip", "w") as mine:
        mine.writestr("letter.txt", "of mine")
    assert verify(packed) == {path: "it is no whole archive"} and mend(packed) == {} and path.is_file()
    new, known, bad = adopt(packed, tmp_path / "mine")
    assert (new, known, list(bad)) == (2, 0, [path]) and verify(tmp_path / "mine") == {}
    for argv in (
        ["store", "verify", "--store", str(packed)],
        ["store", "import", str(packed), "--store", str(tmp_path / "b")],
    ):
        assert main(argv) == 1
    said = capfd.readouterr()
    assert "01_second.zip.xz: it is no whole archive" in said.out and "2 sound, 1 damaged" in said.out
    assert "left out 01_second.zip.xz" in said.err and "mine.zip" not in said.out + said.err


def test_data_of_ones_own_with_a_flipped_byte_are_damage(store, tmp_path):
    rng = np.random.default_rng(0)
    path = keep(mc.task(rng.random((40, 8, 8)).astype("float32"), np.arange(40) % 2, name="mine"), store.folder)
    assert verify(store.folder) == {}
    data = bytearray(path.read_bytes())
    for place in (5, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert verify(store.folder) == {path: "its checksum differs"}
    assert adopt(store.folder, tmp_path / "mine") == (len(SECONDS), 0, {path: "its checksum differs"})
    assert mend(store.folder) == {} and path.is_file() and not (tmp_path / "mine" / "own-data").exists()


def test_adopt_makes_a_new_store_and_refuses_no_store(tmp_path, store):
    assert adopt(store.folder, tmp_path / "new" / "store") == (len(SECONDS), 0, {})
    assert names(tmp_path / "new" / "store") == pair(store, *SECONDS)
    with pytest.raises(BadInput, match="there is no store in"):
        adopt(tmp_path / "nowhere", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


# Finding


def test_matching_goes_by_the_beginning_of_a_key(store, tmp_path):
    folders = [tmp_path / "nowhere", store.folder]
    assert set(matching("traceof-", folders)) == {key(TRACE), key(OF_RANDOM)}
    assert set(matching(key(TRACE)[:15], folders)) == {key(TRACE)}
    assert matching(key(START), folders) == {key(START): notes([store.folder])[key(START)]}
    assert set(matching("", folders)) == set(map(key, SECONDS))
    for prefix in ("path-", key(START)[1:], key(START) + "0", key(START).upper(), "*"):
        with pytest.raises(BadInput) as caught:
            matching(prefix, folders)
        assert str(caught.value).startswith(f"no result's key begins with {prefix!r} in {folders[0]}, {folders[1]}: ")


RETRAINED = RetrainedSpec(DATA, 0.1, "convnet", 2, 42, PLAN)
BEND = CurveSpec(START, replace(START, seed=87), 0.1, "bezier", 1, "corrected", 0, PLAN)
REFERENCES = tuple(TraceSpec(replace(RETRAINED, seed=seed), 0.1) for seed in (42, 87))


@pytest.mark.parametrize(
    "spec",
    [ORIGINAL, RETRAINED, START, BEND, TraceSpec(BEND, 0.1, 3), replace(PROFILE, retrained=REFERENCES), DATA],
    ids=kind_of,
)
def test_parents_in_a_description_are_those_of_the_spec(spec):
    expected = {key(parent): plain(parent) for parent in spec.parents()}
    assert parents_in(plain(spec)) == expected
    assert list(parents_in(plain(spec))) == list(expected)
    assert parents_in(json.loads(json.dumps(plain(spec), sort_keys=True))) == expected
    assert parents_in([1, "text", None]) == {}


# Folders that are no store, and shipped ones


def home(folder):
    """A folder of a user's own files, some with names that look a little like ours."""
    folder.mkdir()
    for name in (".vimrc.1", ".bash_history.12345.npz", "mine.damaged", "profile-notes.npz", "original-1.json"):
        (folder / name).write_text("mine")
        os.utime(folder / name, (0, 0))
    return folder


def test_a_folder_that_is_no_store_is_left_alone(tmp_path, store):
    mine = home(tmp_path / "home")
    before = listing(mine)
    for change in (
        collect,
        lambda f: export([key(TRACE)], [store.folder], f, exact=True),
        lambda f: adopt(store.folder, f),
    ):
        with pytest.raises(BadInput, match="name a"):
            change(mine)
    with pytest.raises(BadInput, match="no result"):
        pack({"a": [key(TRACE)]}, [store.folder], mine)
    assert listing(mine) == before


def test_in_a_store_only_our_names_are_touched(tmp_path, store):
    mine = home(tmp_path / "home")
    export([key(PROFILE)], [store.folder], tmp_path / "layer")
    for path in mine.iterdir():
        (tmp_path / "layer" / path.name).write_text("mine")
        os.utime(tmp_path / "layer" / path.name, (0, 0))
    (tmp_path / "layer" / f"{key(TRACE)}.npz.damaged").write_text("ours")
    assert collect(tmp_path / "layer") == (1, 4)
    export([key(TRACE)], [store.folder], tmp_path / "layer", exact=True)
    assert names(tmp_path / "layer") == names(mine) | pair(store, TRACE)


def test_the_shipped_store_is_changed_only_if_it_is_meant(tmp_path, store):
    shipped = tmp_path / "data" / "store"
    export([key(PROFILE)], [store.folder], shipped)
    (shipped.parent / "checksums.json").write_text("{}")
    before = listing(shipped)
    for change in (
        lambda f, **k: collect(f, **k),
        lambda f, **k: export([key(PROFILE)], [store.folder], f, exact=True, **k),
        lambda f, **k: adopt(store.folder, f, **k),
        lambda f, **k: pack({"a": [key(PROFILE)]}, [store.folder], f, **k),
    ):
        with pytest.raises(BadInput, match="say --yes if these are meant"):
            change(shipped)
        assert listing(shipped) == before
    assert collect(shipped, dry_run=True) == (0, 0)
    assert collect(shipped, shipped_too=True) == (0, 0)


def test_export_to_a_file_is_one_sentence(tmp_path, store):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="is no folder|cannot be written"):
            export([key(TRACE)], [store.folder], target)


def test_mend_sets_aside_what_nobody_asks_for(store):
    spoil(file_of(store, START))
    note_of(store, ORIGINAL).unlink()
    file_of(store, RANDOM).unlink()
    bad = verify(store.folder)
    assert len(bad) == 3 and mend(store.folder) == bad
    assert verify(store.folder) == {} and len(results(store.folder)) == len(SECONDS) - 3
    assert len(list(store.folder.glob(f"*{ASIDE}"))) == 4
    assert mend(store.folder) == {}


# A provenance that agrees with itself and describes nothing


def mutations(value, path=()):
    """Places in a description."""
    yield path
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from mutations(inner, (*path, name))


def changed(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("new", [5, None, "odd", [], {}, [[1]], {"spec": "Stray"}, 10**400, True], ids=str)
def test_a_self_consistent_odd_spec_spoils_nothing(new, store):
    known = plain(replace(PROFILE, trace=TraceSpec(BEND, 0.1, 3)))
    count = 0
    for path in mutations(known):
        try:
            odd = changed(known, path, new)
            name = kinds.key_of(odd)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if not name.startswith("profile-"):
            continue
        count += 1
        data = store.folder / f"{name}.npz"
        data.write_bytes(b"x")
        note = {**store.provenance(PROFILE), "key": name, "spec": odd, "sha256": sha256(b"x").hexdigest()}
        data.with_suffix(".json").write_text(json.dumps(note))
    assert count > 30
    kept = notes([store.folder])
    assert {name: note for name, note in kept.items() if not outdated(note["spec"])}.keys() >= set(map(key, SECONDS))
    assert len(verify(store.folder)) > count / 3
    status(store.folder)
    gathered(kept.values())
    with suppress(BadInput):
        from_store([store.folder])
    mend(store.folder)
    assert verify(store.folder) == {}


# Archives


@pytest.fixture
def packed(store, tmp_path):
    """A folder with the store's results in two archives; one key is asked for twice."""
    groups = {"00_first": [key(TRACE), key(START)], "01_second": [*map(key, SECONDS)]}
    pack(groups, [store.folder], tmp_path / "packed")
    return tmp_path / "packed"


def told(folder):
    """What a store holds, by kind, but for its size."""
    return [{name: value for name, value in row.items() if name != "MB"} for row in status(folder)]


def test_a_packed_store_is_read_in_place_and_holds_each_result_once(packed, store, made, tmp_path):
    assert names(packed) == {"00_first.zip.xz", "01_second.zip.xz"} and verify(packed) == {}
    assert [path.name for path in results(packed)] == [path.name for path in results(store.folder)]
    first = {path.parent.name for path in results(packed) if path.stem in map(key, (TRACE, START))}
    assert first == {"00_first.zip.xz"}
    found, expected = notes([packed]), notes([store.folder])
    apart = {"folder": 0, "path": 0, "sha256": 0, "bytes": 0}
    assert {k: {**n, **apart} for k, n in found.items()} == {k: {**n, **apart} for k, n in expected.items()}
    assert told(packed) == told(store.folder)
    reader, before = Store(tmp_path / "new", [packed]), listing(packed)
    for spec in SECONDS:
        assert spec in reader and reader.seconds(spec) == SECONDS[spec]
        assert type(reader.get(spec)) is type(Store(store.folder).get(spec))
    assert not (tmp_path / "new").exists() and listing(packed) == before
    export(map(key, SECONDS), [packed], tmp_path / "loose")
    assert verify(tmp_path / "loose") == {}
    for path in store.folder.glob("*.safetensors"):
        assert (tmp_path / "loose" / path.name).read_bytes() == path.read_bytes()
    for spec in (TRACE, PROFILE):  # the same numbers, in files that compress better together
        one, other = (Store(folder).get(spec) for folder in (tmp_path / "loose", store.folder))
        arrays = [got.arrays if spec is PROFILE else {**got.logits, "t": got.t} for got in (one, other)]
        assert list(arrays[0]) == list(arrays[1])
        for name, values in arrays[1].items():
            assert arrays[0][name].dtype == values.dtype and arrays[0][name].tobytes() == values.tobytes()
    pack({"00_first": [key(TRACE)]}, [tmp_path / "loose"], tmp_path / "again")
    pack({"00_first": [key(TRACE)]}, [store.folder], tmp_path / "other")
    assert listing(tmp_path / "again").keys() == listing(tmp_path / "other").keys()
    assert len({(tmp_path / name / "00_first.zip.xz").read_bytes() for name in ("again", "other")}) == 1


def test_packing_again_changes_nothing_and_others_go(packed, store):
    before = listing(packed)
    groups = {"00_first": [key(TRACE), key(START)], "01_second": [*map(key, SECONDS)]}
    (packed / "README").write_text("mine")
    pack(groups, [store.folder], packed)
    pack(groups, [packed.parent / "nowhere"], packed)
    (packed / "README").unlink()
    assert listing(packed) == before
    pack({"02_third": [key(TRACE)]}, [store.folder], packed)
    assert names(packed) == {"02_third.zip.xz"} and [path.stem for path in results(packed)] == [key(TRACE)]


def as_zip(archive):
    """The same archive as it is, not compressed as a whole, as any program for xz unpacks it."""
    plain = archive.with_suffix("")
    plain.write_bytes(lzma.decompress(archive.read_bytes()))
    archive.unlink()
    return plain


def test_archives_of_both_forms_are_one_store(packed, store):
    as_zip(packed / "00_first.zip.xz")
    assert names(packed) == {"00_first.zip", "01_second.zip.xz"} and verify(packed) == {}
    assert told(packed) == told(store.folder)
    pack({"00_first": [key(TRACE), key(START)]}, [store.folder], packed, exact=False)  # the other form goes
    assert names(packed) == {"00_first.zip.xz", "01_second.zip.xz"} and verify(packed) == {}


def test_what_is_too_large_to_be_unpacked_at_once_is_archived_as_it_is(store, tmp_path, monkeypatch):
    monkeypatch.setattr("mcutils.streams.LARGEST", 2000)
    for _ in range(2):
        pack({"00_first": [key(TRACE), key(START)]}, [store.folder], tmp_path / "packed")
        assert names(tmp_path / "packed") == {"00_first.zip"} and verify(tmp_path / "packed") == {}


def test_a_damaged_piece_takes_only_its_results_with_it(packed, store, monkeypatch):
    monkeypatch.setattr("mcutils.reading.PIECE", 1)
    archive = packed / "01_second.zip.xz"
    archive.unlink()
    pack({"01_second": [*map(key, SECONDS)]}, [store.folder], packed)
    data = bytearray(archive.read_bytes())
    with open(archive, "rb") as file:
        last = listed(file)[-2]  # before the directory: the last result's data
    data[last.start + last.size // 2] ^= 1
    archive.write_bytes(data)
    (path,) = verify(packed)
    assert path == results(packed)[-1] and verify(packed)[path] == f"{path.name} is damaged in {archive.name}"


def test_a_damaged_member_is_left_out_and_computed_into_the_user_s_own_store(packed, made, tmp_path, capsys):
    archive = as_zip(packed / "00_first.zip.xz")
    data = bytearray(archive.read_bytes())
    data[data.index(f"{key(START)}.safetensors".encode()) + 200] ^= 1
    archive.write_bytes(data)
    assert {path.name for path in verify(packed)} == {f"{key(START)}.safetensors"}
    reader, before = Store(tmp_path / "new", [packed]), listing(packed)
    assert START not in reader and TRACE in reader
    assert "damaged result" in capsys.readouterr().err
    reader.put(START, made[START], 9)
    assert reader.seconds(START) == 9 and listing(packed) == before
    with pytest.raises(BadInput, match="is not sound"):
        pack({"a": [key(START)]}, [packed], tmp_path / "other")


def test_a_file_beside_archives_comes_first(packed, made):
    Store(packed).put(START, made[START], 77)
    assert Store(packed).seconds(START) == 77 == notes([packed])[key(START)]["seconds"]


@pytest.mark.parametrize("name", ["../x", "a b", "", "x.zip"])
def test_an_archive_s_name_is_plain(name, store, tmp_path):
    with pytest.raises(BadInput, match="an archive is named by"):
        pack({name: [key(TRACE)]}, [store.folder], tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


# Data of one's own


@pytest.fixture
def own(tmp_path):
    """A store with the data of two studies and a result of one of them: (study, its other study's data file)."""
    rng = np.random.default_rng(0)
    tasks = [mc.task(rng.random((40, 8, 8)).astype("float32"), np.arange(40) % 2, name="mine") for _ in range(2)]
    other = keep(tasks[1], tmp_path / "store")
    study = mc.study("smoke", str(tmp_path / "store"), fresh=True, task=tasks[0], width=2)
    keep(tasks[0], study.store.folder)
    spec = UntrainedSpec(study.data, "convnet", 2, 0)
    study.store.put(spec, network_for(tasks[0], "convnet", 0, width=2), 0.1)
    return study, spec, other


def test_exported_results_take_their_own_data_along_and_no_other(own, tmp_path):
    study, spec, other = own
    first = study.store.folder / FOLDER / f"{study.data.checksum}.safetensors"
    export([key(spec)], [study.store.folder], tmp_path / "copy")
    assert names(tmp_path / "copy" / FOLDER) == {first.name} != {other.name}
    assert (tmp_path / "copy" / FOLDER / first.name).read_bytes() == first.read_bytes()
    assert verify(tmp_path / "copy") == {}
    assert adopt(tmp_path / "copy", tmp_path / "third")[:2] == (1, 0)
    assert names(tmp_path / "third" / FOLDER) == {first.name}


def test_data_of_ones_own_are_neither_garbage_nor_results(own):
    study, spec, _ = own
    before = listing(study.store.folder / FOLDER)
    assert verify(study.store.folder) == {} and garbage(study.store.folder) == []
    collect(study.store.folder)
    export([key(spec)], [study.store.folder], study.store.folder.parent / "copy", exact=True)
    assert len(before) == 2 and listing(study.store.folder / FOLDER) == before


def test_a_store_that_holds_only_data_so_far_is_a_store(own, tmp_path):
    study, spec, other = own
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / FOLDER).mkdir()
    export([key(spec)], [study.store.folder], tmp_path / "new")
    assert names(tmp_path / "new" / FOLDER) == {f"{study.data.checksum}.safetensors"}


def test_a_link_in_the_place_of_data_is_not_followed(own, tmp_path):
    study, spec, _ = own
    file = study.store.folder / FOLDER / f"{study.data.checksum}.safetensors"
    (tmp_path / "secret").write_text("secret")
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput, match="no regular file"):
        export([key(spec)], [study.store.folder], tmp_path / "copy")
    assert not list((tmp_path / "copy" / FOLDER).glob("*"))


def test_the_shipped_index_says_what_the_shipped_provenance_says():
    folder = Path(__file__).resolve().parents[2] / "data" / "store"
    known = upkeep._index(folder / INDEX, (0,))
    paths = results(folder)
    assert set(known) == {path.stem for path in paths}
    assert all(known[path.stem] == (reading.crc(note := path.with_suffix(".json")), read(note)) for path in paths)


def test_an_index_counts_only_as_long_as_it_is_that_of_the_archives(packed, store):
    write_index(packed)
    told = notes([packed])
    (packed / INDEX).rename(packed / "aside")
    assert notes([packed]) == told == {name: {**told[name], **read(note)} for name, note in noted(packed).items()}
    (packed / "aside").rename(packed / INDEX)
    for archive in packed.glob("*.zip.xz"):  # the same results, made in other seconds
        members = {name: reading.read(p, 2**24) for name, p in reading.archived(packed).items() if p.parent == archive}
        said = {name: re.sub(rb'"seconds": [0-9.]+', b'"seconds": 12345.0', data) for name, data in members.items()}
        archive.write_bytes(reading.compressed(said.items()))
    assert {note["seconds"] for note in notes([packed]).values()} == {12345.0} and len(told) > 2
    write_index(packed)
    assert {note["seconds"] for note in notes([packed]).values()} == {12345.0}


def noted(folder):
    return {path.stem: path.with_suffix(".json") for path in results(folder)}


def read(path):
    return json.loads(reading.read(path, 2**24))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"{}", b'{"parts": 3, "notes": {}}', b'{"parts": [[{}, [["a", 7]]]], "notes": {}}',
        b'{"parts": [[{}, []]], "notes": {"x": [1, 0]}}', b'{"parts": [], "notes": {"x": 1}}', b"[" * 10**5,
    ],
)  # fmt: skip
def test_an_index_that_is_none_is_passed_over(packed, text):
    before = notes([packed])
    (packed / INDEX).write_bytes(text if not text else compress([text]))
    assert notes([packed]) == before
    (packed / INDEX).write_bytes(text)
    assert notes([packed]) == before
