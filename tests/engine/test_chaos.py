"""A run loses nothing finished: kills of drivers and workers, two drivers at once, Ctrl-C, damaged files.

``CHAOS=20 pytest -s tests/test_chaos.py -k killed`` kills more often than the few times of a plain test run.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import psutil
import pytest
from kept import forge
from safetensors.numpy import load_file

from mcutils.engine.runs import missing, run
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
)
from mcutils.engine.store import UNREADABLE, Store, fault
from mcutils.engine.upkeep import results, verify
from mcutils.measures.profiles import Profile
from mcutils.settings import MethodSettings, Plan

ROOT = FilePath(__file__).resolve().parents[2]
KILLS = int(os.environ.get("CHAOS", "5"))
PER_LIFE = 5  # kills of one store's run; Dask gives a task up whose worker was lost four times
PATIENCE = 600  # seconds after which something hangs
# Ten seconds to end are plenty on an idle machine; a busy one gets as many times more as it is short of cores.
LEAVE = 10 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
DRIVER = """
import pickle, sys
from mcutils.engine.runs import run
from mcutils.engine.store import Store
with open(sys.argv[1], "rb") as file:
    specs = pickle.load(file)
run(specs, Store(sys.argv[2]), engine="local", workers=2, load=False)
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """None of the reader's own settings; one thread, here and in the programs that are started."""
    for name in ("COMPUTE", "FRESH", "REPORT", "STORE", "FIGURES", "WORKERS", "ENGINE"):
        monkeypatch.delenv(f"MCUTILS_{name}", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def references(data, width, plan):
    """An original model, and the single traces that profiles are measured against."""
    original = OriginalSpec(data, "convnet", width, 0, plan)
    models = (original, RetrainedSpec(data, 0.1, "convnet", width, 42, plan), UntrainedSpec(data, "convnet", width, 0))
    first, second, third = (TraceSpec(model, 0.1) for model in models)
    return original, (first, (second,), third)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A small study, the specs that it asks for, and a store in which this process computed it. Read only."""
    data, steps = DataSpec("digits", 240, 60), Plan(lr=1e-3, steps=60, batch_size=64, forget_batch_size=32)
    original, against = references(data, 4, Plan(lr=1e-2, steps=120, batch_size=64))
    ends = [
        UnlearnedSpec(original, 0.1, method, "none", "adamw", seed, MethodSettings(steps))
        for method in ("npo", "random_labels")
        for seed in (42, 87)
    ]
    paths = [CurveSpec(start, end, 0.1) for start, end in zip(ends[::2], ends[1::2], strict=True)]
    paths += [replace(p, kind="bezier", control_points=1, recipe="corrected", plan=steps) for p in paths]
    traces = [TraceSpec(end, 0.1) for end in ends] + [TraceSpec(path, 0.1, 5) for path in paths]
    return computed_here([ProfileSpec(trace, *against, 20) for trace in traces], tmp_path_factory)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """As `undisturbed`, but 120 results of a moment each."""
    data, plan = DataSpec("digits", 240, 60), Plan(steps=1, batch_size=16, forget_batch_size=16)
    original, against = references(data, 2, plan)
    ends = [UnlearnedSpec(original, 0.1, "npo", "none", "adamw", s, MethodSettings(plan)) for s in range(38)]
    bends = [CurveSpec(ends[0], e, 0.1, "bezier", 1, "corrected", 0, plan) for e in ends[1:3]]
    traces = [TraceSpec(end, 0.1) for end in ends] + [TraceSpec(bend, 0.1, 3) for bend in bends]
    return computed_here([ProfileSpec(trace, *against, 2) for trace in traces[6:]], tmp_path_factory, traces)


def computed_here(wanted, tmp_path_factory, more=()):
    store = Store(tmp_path_factory.mktemp("here") / "store")
    every = missing([*wanted, *more], store)
    run(every, store, engine="serial", load=False)
    return every, store.folder


# What is there, and whether it is the same


def file_of(folder, spec):
    return folder / f"{key(spec)}{spec.form.suffix}"


def stamp(path):
    """What changes when a result's data or provenance are replaced or written to."""
    found = [p.stat() for p in (path, path.with_suffix(".json")) if p.exists()]
    return [(s.st_ino, s.st_size, s.st_mtime_ns) for s in found]


def sound(folder):
    """Stamps of the results that are complete and sound."""
    return {p: stamp(p) for p in results(folder) if not fault(p)} if folder.is_dir() else {}


def touched(before):
    return [path.name for path, known in before.items() if stamp(path) != known]


def arrays(path):
    """All arrays of a result as bytes, except for the seconds, which no two computations share."""
    if path.suffix == ".safetensors":
        found = load_file(path)
    elif path.stem.startswith("profile-"):
        found = {name: value for name, value in Profile.load(path).arrays.items() if name != "seconds"}
    else:
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
    return {name: (v.dtype.str, v.shape, v.tobytes()) for name, v in ((n, np.asarray(v)) for n, v in found.items())}


def check_same(folder, every, reference):
    """Exactly these results, all sound, bit-identical; traces, whose files hold no time, byte by byte."""
    assert verify(folder) == {}
    assert {path.stem for path in results(folder)} == {key(spec) for spec in every}
    for spec in every:
        first, second = file_of(folder, spec), file_of(reference, spec)
        assert arrays(first) == arrays(second), key(spec)
        if isinstance(spec, TraceSpec):
            assert first.read_bytes() == second.read_bytes()


# Processes


def hear():
    """Let a new process hear Ctrl-C, which a shell's background jobs and what they start ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path):
    """Start programs in sessions of their own, their output in files; whatever is left of them ends with the test."""
    begun = []

    def begin(*command):
        out, err = (tmp_path / f"{len(begun)}.{name}" for name in ("out", "err"))
        with open(out, "wb") as one, open(err, "wb") as two:
            process = subprocess.Popen(
                [sys.executable, *command], stdout=one, stderr=two, start_new_session=True, preexec_fn=hear
            )
        process.out, process.err = out, err
        begun.append(process)
        return process

    yield begin
    for process in begun:
        for one in (*family(process), process):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                one.kill()
        process.wait()


@pytest.fixture
def drive(start, undisturbed, tmp_path):
    """Start a driver of the small study on a store."""
    listing = tmp_path / "specs"
    listing.write_bytes(pickle.dumps(undisturbed[0]))
    return lambda folder: start("-c", DRIVER, str(listing), str(folder))


def family(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers(process):
    found = []
    for child in family(process):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def alive(one):
    try:
        return one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(what):
    """Whether ``what()`` becomes true before patience ends."""
    limit = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


def number(folder):
    return sum(1 for suffix in ("npz", "safetensors") for _ in folder.glob(f"[!.]*.{suffix}"))


def reaches(process, folder, least):
    """Whether a driver keeps so many results and still runs."""
    assert wait_for(lambda: process.poll() is not None or number(folder) >= least)
    return process.poll() is None


def team_of(process):
    """A driver's workers, once there are any; none if it has ended."""
    team = []
    assert wait_for(lambda: process.poll() is not None or team.extend(workers(process)) or team)
    return team


def counted(process):
    """(reused, computed) that a driver printed last."""
    words = process.out.read_text().split("\n")[-2].replace(",", "").split()
    assert words[1::2] == ["reused", "computed"], words
    return int(words[0]), int(words[2])


# Kills


def life(folder, strikes, rng, drive, total):
    """One store's run to its end under strikes, each at a random moment; returns rows of what was struck and when.

    After every strike what was sound before is compared with what is there; the run itself must end well. A driver is
    struck at any moment, from before its imports on; a worker once the run that it belongs to has kept something.
    """
    kept, struck, left, found = {}, [], [], 0
    process = drive(folder)
    for what, moment in zip(strikes, sorted(rng.integers(0, total - 2, len(strikes))), strict=True):
        going = reaches(process, folder, moment if what == "driver" else max(moment, found + 1))
        time.sleep(rng.uniform(0, 0.2 if moment else 4.0))
        team = workers(process) if what == "driver" else team_of(process)
        if not going or process.poll() is not None or (what == "worker" and not team):
            break
        victim = process if what == "driver" else team[rng.integers(len(team))]
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        if what == "driver":
            process.wait()
            left += team
        assert touched(kept) == [], "a finished result was computed again"
        kept |= sound(folder)
        struck.append((what, len(kept)))
        if what == "driver":
            found, process = number(folder), drive(folder)
    assert process.wait(PATIENCE) == 0, process.err.read_text()[-3000:]
    assert touched(kept) == [], "a finished result was computed again"
    # What the last driver computed, no driver before it had finished.
    last = max((n for what, n in struck if what == "driver"), default=0)
    assert counted(process)[1] <= total - last
    assert wait_for(lambda: not any(map(alive, left))), "workers outlived their driver"
    return struck


def test_killed_runs_lose_nothing_finished(undisturbed, drive, tmp_path):
    every, reference = undisturbed
    rng = np.random.default_rng(KILLS)
    todo = {"worker": KILLS * 2 // 5}
    todo["driver"] = KILLS - todo["worker"]
    done = []
    for turn in range(4 * KILLS):
        strikes = []
        for what, share in (("driver", 3), ("worker", PER_LIFE - 3)):
            strikes += [what] * min(todo[what], share)
        struck = life(tmp_path / f"store{turn}", list(rng.permutation(strikes)), rng, drive, len(every))
        check_same(tmp_path / f"store{turn}", every, reference)
        for what, count in struck:
            todo[what] -= 1
            done.append(f"{what} at {count}/{len(every)}")
        if not any(todo.values()):
            break
    print(f"{len(done)} kills in {turn + 1} runs: {', '.join(done)}; nothing finished was computed again")
    assert len(done) == KILLS


def test_two_drivers_share_one_store(undisturbed, drive, tmp_path):
    every, reference = undisturbed
    both = [drive(tmp_path / "store") for _ in range(2)]
    assert [process.wait(PATIENCE) for process in both] == [0, 0], [p.err.read_text()[-2000:] for p in both]
    assert sum(counted(process)[1] for process in both) == len(every)
    check_same(tmp_path / "store", every, reference)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no process groups here")
def test_ctrl_c_ends_a_run_and_keeps_what_is_finished(start, tmp_path):
    folder, before = tmp_path / "store", {}
    for whom in (os.kill, os.killpg):  # the driver alone; all of its processes, as a terminal does
        process = start("-m", "mcutils", "run", "00", "--preset=smoke", f"--store={folder}", "--fresh", "--workers=2")
        assert reaches(process, folder, len(before) + 1), process.err.read_text()[-3000:]
        children = family(process)
        assert len(workers(process)) == 2
        kept = sound(folder)
        whom(process.pid, signal.SIGINT)
        assert process.wait(LEAVE) == 130
        said = process.err.read_text()
        assert "interrupted; finished results are kept" in said and "Traceback" not in said
        assert wait_for(lambda all_of=children: not any(map(alive, all_of))), "a process outlived its driver"
        assert kept.keys() > before.keys() and touched(before | kept) == []
        # A worker may end between the two files of a result: a note without data is not damage that anyone believes.
        assert set(verify(folder).values()) <= {"its data are missing"}
        before = sound(folder)


# Damage. Each spoils one result: its data ``path``, its provenance ``note``; ``other`` is a sound one of its format.


def truncate(path, note, other, rng):
    path.write_bytes(path.read_bytes()[: rng.integers(1, path.stat().st_size)])


def flip(path, note, other, rng):
    found = bytearray(path.read_bytes())
    found[rng.integers(len(found))] ^= 1 << rng.integers(8)
    path.write_bytes(found)


def empty(path, note, other, rng):
    path.write_bytes(b"")


def wrong_header(path, note, other, rng):
    path.write_bytes(rng.bytes(16) + path.read_bytes()[16:])


def swap(path, note, other, rng):
    path.write_bytes(other.read_bytes())


def swap_both(path, note, other, rng):
    swap(path, note, other, rng)
    note.write_bytes(other.with_suffix(".json").read_bytes())


def lose_data(path, note, other, rng):
    path.unlink()


def lose_note(path, note, other, rng):
    note.unlink()


def truncate_note(path, note, other, rng):
    note.write_bytes(note.read_bytes()[: rng.integers(0, note.stat().st_size - 2)])


def flip_note(path, note, other, rng):
    """Flip a bit that matters; `meaning` says which do."""
    sound = note.read_bytes()
    while True:
        found = bytearray(sound)
        found[rng.integers(len(found))] ^= 1 << rng.integers(8)
        if meaning(bytes(found)) != meaning(sound):
            note.write_bytes(found)
            return


def meaning(text):
    """What a note is checked for: key, spec, checksum, and that the seconds are a number; None if it says none.

    Another digit in the seconds, the versions or the date is not noticed: nothing else says what they were.
    """
    try:
        note = json.loads(text)
        float(note["seconds"])
        return note["key"], json.dumps(note["spec"], sort_keys=True), note["sha256"]
    except (ValueError, KeyError, TypeError):
        return None


WAYS = (
    truncate, flip, empty, wrong_header, swap, swap_both, lose_data, lose_note, truncate_note, flip_note,
)  # fmt: skip


def copied(folder, target):
    """A store's files under their own names and times, so that what a run leaves alone can be told."""
    target.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
    return target


def test_of_a_hundred_damaged_results_every_one_is_noticed_and_only_they_are_made_again(many, tmp_path, capsys):
    every, reference = many
    folder, rng = copied(reference, tmp_path / "store"), np.random.default_rng(0)
    assert len(every) == 120 and verify(folder) == {}
    victims = [every[i] for i in rng.permutation(len(every))[:100]]
    for place, spec in enumerate(victims):
        same_format = [s for s in every if s != spec and s.form.suffix == spec.form.suffix]
        other = file_of(reference, same_format[rng.integers(len(same_format))])
        path = file_of(folder, spec)
        WAYS[place % len(WAYS)](path, path.with_suffix(".json"), other, rng)
    others = sound(folder)
    assert set(verify(folder)) == {file_of(folder, spec) for spec in victims}
    assert len(others) == 20
    run(every, Store(folder), engine="serial", load=False)
    assert capsys.readouterr().out == "20 reused, 100 computed\n"
    assert touched(others) == []
    check_same(folder, every, reference)
    run(every, Store(folder), engine="serial")
    assert capsys.readouterr().out == "120 reused, 0 computed\n"


# Damage with a checksum to match


class Bomb:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_with_a_forged_checksum_are_made_again_and_never_opened(many, tmp_path, capsys):
    every, reference = many
    folder, mark = copied(reference, tmp_path / "store"), tmp_path / "unpickled"
    bombs = [
        next(s for s in every if isinstance(s, kind))
        for kind in (OriginalSpec, UnlearnedSpec, CurveSpec, TraceSpec, ProfileSpec)
    ]
    bombs.append(next(s for s in every if isinstance(s, TraceSpec) and s not in bombs))
    for spec in bombs:
        path = file_of(folder, spec)
        path.write_bytes(pickle.dumps(Bomb(mark)))
        if spec is bombs[-1]:  # a sound archive of an array of objects
            with open(path, "wb") as file:
                np.savez(file, t=np.array([Bomb(mark)], dtype=object))
        forge(path)
        with pytest.raises(UNREADABLE):
            Store(tmp_path / "upper", [folder]).get(spec)
    others = {path: known for path, known in sound(folder).items() if path not in {file_of(folder, b) for b in bombs}}
    assert verify(folder) == {}  # whoever can write a result can write its checksum
    capsys.readouterr()
    found = run(every, Store(folder), engine="serial")
    assert len(found) == len(every) and not mark.exists()
    assert capsys.readouterr().out == f"{len(every) - len(bombs)} reused, {len(bombs)} computed\n"
    assert touched(others) == []
    check_same(folder, every, reference)
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.is_dir()  # they would have gone off
