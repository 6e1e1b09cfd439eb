"""The store: what is kept comes back bit by bit, damage is never believed, and nothing is unpickled."""

import errno
import hashlib
import json
import os
import pickle
import re
import threading
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout
from kept import cut, file_of, forge, listing, note_of, touched
from test_reading import ODD

from mcutils.curves import Curve, line
from mcutils.engine import store as module
from mcutils.engine.specs import (
    AlikeSpec,
    CueUseSpec,
    CurveSpec,
    DataSpec,
    OriginalSpec,
    PlaneSpec,
    ProfileSpec,
    TraceSpec,
    UnlearnedSpec,
    UntrainedSpec,
    key,
    kind_of,
    plain,
)
from mcutils.engine.store import ASIDE, LOCKS, Damaged, Store, Unwritable, fault
from mcutils.errors import BadInput
from mcutils.measures.planes import Plane
from mcutils.measures.profiles import Profile
from mcutils.networks import network_for
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import Trace
from mcutils.unlearning.endpoints import Endpoint, fingerprint
from mcutils.weights import Weights

PLAN = Plan(steps=1)
SETTINGS = MethodSettings(PLAN, (("beta", 0.1),))


def odd(shape, dtype, seed):
    """Numbers that a careless writer would not bring back: negative zero, infinity, nan, a subnormal."""
    values = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    values.flat[:4] = [-0.0, np.inf, np.nan, np.finfo(dtype).smallest_subnormal]
    return values


@pytest.fixture(scope="module")
def made(tiny):
    """spec -> result of every kind, invented rather than computed. Read only."""
    data = DataSpec("digits", 240, 60)
    original = OriginalSpec(data, "convnet", 2, 0, PLAN)
    start = UnlearnedSpec(original, 0.1, "npo", "none", "adamw", 42, SETTINGS)
    end = replace(start, seed=87)
    path = CurveSpec(start, end, 0.1, "bezier", 2, "corrected", 0, PLAN)
    trace = TraceSpec(path, 0.1, 3)
    random = UntrainedSpec(data, "convnet_gn", 2, 0)
    profile = ProfileSpec(trace, TraceSpec(original, 0.1), (), TraceSpec(random, 0.1), 5)
    three, cued = (start, end, original), replace(original, data=replace(data, cue=0.1))
    use = CueUseSpec(CurveSpec(cued, replace(cued, seed=1), 0.1), 0.1, 5)
    nets = [network_for(tiny, "convnet", seed, width=2) for seed in range(5)]

    def endpoint(spec, weights):
        task = fingerprint(tiny)
        return Endpoint(weights, nets[0], task, "npo", "none", "adamw", spec.seed, SETTINGS, 1.25)

    splits = ("retain", "forget", "valid", "test")
    logits = {s: odd((3, 4, 10), np.float16, k) for k, s in enumerate(splits)}
    rows = {s: np.arange(4) + k for k, s in enumerate(splits)}
    arrays = {"t": np.linspace(0, 1, 3), "gap": np.float64(0.1), "metric/RA": odd(6, np.float64, 0)[:3]}
    arrays |= {"replicates/x": odd(9, np.float32, 1), "collapsed": np.array(["é: x"], dtype=np.str_)}
    plane = {"loss_forget": odd((5, 5), np.float64, 2), "accuracy_test": odd((5, 5), np.float64, 3)}
    meta = {"rows": "20", "resolution": "5"}
    places = {name: odd(6, np.float64, 4)[:3] for name in plane}
    return {
        original: nets[0],
        start: endpoint(start, nets[1]),
        end: endpoint(end, nets[2]),
        path: Curve("bezier", (nets[1], nets[3], nets[4], nets[2])),
        random: network_for(tiny, "convnet_gn", 0, width=2),
        trace: Trace(np.linspace(0, 1, 3), logits, rows, rows, {"kind": "bezier", "note": "a=b"}),
        profile: Profile(arrays),
        AlikeSpec(three, original, 0.1, rows=9): {"agreement": np.eye(3), "js": odd((3, 3), np.float64, 5)},
        use: {"test/pull": odd(5, np.float64, 6), "forget/accuracy_own": np.arange(5.0)},
        PlaneSpec(three, 0.1, 5, 20): Plane(
            np.arange(5.0), np.arange(5.0), plane, odd((3, 2), np.float64, 7), places, meta
        ),
    }


@pytest.fixture
def store(tmp_path, made):
    """A store that holds all of `made`."""
    store = Store(tmp_path / "store")
    for spec, result in made.items():
        store.put(spec, result, 1.25)
    return store


def of(made, kind):
    return next(spec for spec in made if kind_of(spec) == kind)


KINDS = ("Original", "Unlearned", "Path", "Untrained", "TraceOf", "Profile", "Alike", "CueUse", "PlaneOf")


def content(result):
    """Everything in a result as bytes or plain values, so that equality is equality bit by bit."""
    if isinstance(result, Weights):
        tensors = {**result.params, **result.buffers}
        found = {n: (v.dtype, tuple(v.shape), v.contiguous().numpy().tobytes()) for n, v in tensors.items()}
        return {**found, "model": result.model, "recipe": result.net.recipe, "buffers": list(result.buffers)}
    if isinstance(result, Endpoint):
        names = ("task", "method", "curriculum", "optimizer", "seed", "settings", "seconds")
        return [content(result.weights), content(result.origin), *(getattr(result, n) for n in names)]
    if isinstance(result, Curve):
        return [result.kind, *map(content, result.points)]
    if isinstance(result, Trace):
        tables = {n: getattr(result, n) for n in ("logits", "labels", "index")}
        return [result.meta, content(result.t), {n: content(dict(v)) for n, v in tables.items()}]
    if isinstance(result, Profile):
        return content(dict(result.arrays))
    if isinstance(result, Plane):
        parts = [content(getattr(result, n)) for n in ("x", "y", "models")]
        return [dict(result.meta), *parts, content(dict(result.values)), content(dict(result.at_models))]
    if isinstance(result, dict):
        return {name: content(value) for name, value in result.items()}
    return result.dtype, np.shape(result), np.asarray(result).tobytes()


# Round trips


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_comes_back_bit_by_bit(kind, store, made):
    spec = of(made, kind)
    again = Store(store.folder)
    assert spec in again
    assert type(again.get(spec)) is type(made[spec])
    assert content(again.get(spec)) == content(made[spec])


def test_a_network_s_tensors_keep_their_oddities(tmp_path, made):
    spec = of(made, "Original")
    weights = made[spec]
    params = {n: torch.from_numpy(odd(tuple(v.shape), np.float32, 0)).nan_to_num() for n, v in weights.params.items()}
    strange = replace(weights, params={n: v.t().contiguous().t() if v.ndim == 2 else v for n, v in params.items()})
    Store(tmp_path).put(spec, strange, 0)
    assert content(Store(tmp_path).get(spec)) == content(strange)


def test_a_line_is_its_two_ends_and_never_kept(store, made):
    start, end = (spec for spec in made if kind_of(spec) == "Unlearned")
    spec = CurveSpec(start, end, 0.1)
    assert spec not in store
    assert content(store.get(spec)) == content(line(made[start], made[end]))
    assert not list(store.folder.glob(f"{key(spec)}*"))


def test_what_is_not_there_is_said_to_be_missing(tmp_path, made):
    store = Store(tmp_path / "none")
    for spec in made:
        assert spec not in store
        for ask in (store.get, store.provenance, store.seconds):
            with pytest.raises(BadInput, match=f"{key(spec)} is not in the store: compute it with study.run"):
                ask(spec)
    assert not store.folder.exists()


# Provenance


@pytest.mark.parametrize("kind", KINDS)
def test_every_result_says_where_it_comes_from(kind, store, made, tmp_path):
    spec = of(made, kind)
    note = store.provenance(spec)
    assert set(note) == {"key", "spec", "sha256", "seconds", "versions", "created"}
    assert note["key"] == key(spec)
    assert note["spec"] == plain(spec)
    assert note["sha256"] == hashlib.sha256(file_of(store, spec).read_bytes()).hexdigest()
    assert note["seconds"] == store.seconds(spec) == 1.25
    assert set(note["versions"]) == {"python", "torch", "numpy", "machine", "processor"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", note["created"])


@pytest.mark.parametrize("kind", KINDS)
def test_no_result_holds_an_absolute_path(kind, store, made):
    for path in (file_of(store, of(made, kind)), note_of(store, of(made, kind))):
        found = path.read_bytes()
        assert not any(str(p).encode() in found for p in (store.folder, FilePath.cwd(), FilePath.home()))
    note = store.provenance(of(made, kind))
    note["versions"].pop("processor")  # some makers write "w/" into its name
    assert "/" not in json.dumps(note)


# Damage


def truncate(path, note, other):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path, note, other):
    found = bytearray(path.read_bytes())
    found[len(found) // 2] ^= 1
    path.write_bytes(found)


def empty(path, note, other):
    path.write_bytes(b"")


def swap(path, note, other):
    path.write_bytes(other.read_bytes())


def swap_with_note(path, note, other):
    path.write_bytes(other.read_bytes())
    note.write_bytes(other.with_suffix(".json").read_bytes())


def swap_with_forged_key(path, note, other):
    swap_with_note(path, note, other)
    note.write_text(json.dumps({**json.loads(note.read_text()), "key": path.stem}))


def swap_with_forged_sum(path, note, other):
    path.write_bytes(other.read_bytes())
    table = json.loads(note.read_text())
    table |= {name: json.loads(other.with_suffix(".json").read_text())[name] for name in ("sha256", "spec")}
    note.write_text(json.dumps(table))


def noted(write):
    """A way to damage provenance: ``write`` gives its new text, of the table that it is."""
    return lambda path, note, other: note.write_text(write(json.loads(note.read_text())))


def told(**changes):
    """Provenance that says something else; an entry that is None is missing."""
    return noted(lambda table: json.dumps({k: v for k, v in {**table, **changes}.items() if v is not None}))


# What is done to a result, and what is then said of it.
SUM, OTHER = "its checksum differs", "its provenance is of another result"
LOST, UNREADABLE = "its provenance is missing", "its provenance cannot be read"
WAYS = {
    **{way.__name__: (way, SUM) for way in (truncate, flip, empty, swap)},
    **{way.__name__: (way, OTHER) for way in (swap_with_note, swap_with_forged_key, swap_with_forged_sum)},
    "lost note": (lambda path, note, other: note.unlink(), LOST),
    "empty note": (noted(lambda table: ""), UNREADABLE),
    "binary note": (lambda path, note, other: note.write_bytes(b"\xff\xfe\x00"), UNREADABLE),
    "list as note": (noted(lambda table: "[1, 2]"), UNREADABLE),
    "note of no seconds": (told(seconds="few"), UNREADABLE),
    "note of no spec": (told(spec="Original"), UNREADABLE),
    **{f"note without {name}": (told(**{name: None}), UNREADABLE) for name in ("key", "spec", "sha256", "seconds")},
}


def damage(way, store, spec, made):
    """Damage a result, given a sound one of the same format to swap it with; returns its file."""
    path, note = file_of(store, spec), note_of(store, spec)
    other = next(s for s in made if s != spec and file_of(store, s).suffix == path.suffix)
    way(path, note, file_of(store, other))
    for part in (path, note):
        if part.is_file():
            touched(part)
    return path


@pytest.mark.parametrize("known", [False, True], ids=["new store", "same store"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["Original", "TraceOf"])
def test_a_damaged_result_is_set_aside_and_never_believed(kind, way, known, store, made, capsys):
    spec = of(made, kind)
    reader = store if known else Store(store.folder)
    assert not known or spec in reader
    path = damage(WAYS[way][0], store, spec, made)
    assert fault(path) == WAYS[way][1]
    left = {p.name: p.read_bytes() for p in store.folder.glob(f"{key(spec)}*")}
    assert spec not in reader
    assert f"damaged result {path.name}" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in store.folder.glob(f"{key(spec)}*")} == {
        f"{name}{ASIDE}": found for name, found in left.items()
    }
    with pytest.raises(BadInput, match="is not in the store"):
        reader.get(spec)
    reader.put(spec, made[spec], 2)
    for one in (reader, Store(store.folder)):
        assert content(one.get(spec)) == content(made[spec])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["Unlearned", "Path", "Untrained", "Profile", "Alike", "CueUse", "PlaneOf"])
def test_no_kind_is_believed_with_one_bit_flipped(kind, store, made):
    spec = of(made, kind)
    damage(flip, store, spec, made)
    assert spec not in Store(store.folder)


def test_a_result_damaged_twice_is_set_aside_twice(store, made):
    spec = of(made, "Profile")
    for _ in range(2):
        damage(flip, store, spec, made)
        assert spec not in store
        store.put(spec, made[spec], 0)
    assert spec in Store(store.folder)


@pytest.mark.parametrize("known", [False, True], ids=["new store", "same store"])
@pytest.mark.parametrize("kind", ["Original", "TraceOf"])
def test_provenance_without_its_data_is_no_result_and_no_damage(kind, known, store, made, capsys):
    spec = of(made, kind)
    reader = store if known else Store(store.folder)
    assert not known or spec in reader
    path = file_of(store, spec)
    path.unlink()
    assert fault(path) == "its data are missing"
    assert spec not in reader
    with pytest.raises(BadInput, match="is not in the store"):
        reader.get(spec)
    assert capsys.readouterr().err == "" and note_of(store, spec).is_file()
    reader.put(spec, made[spec], 2)
    assert content(Store(store.folder).get(spec)) == content(made[spec])


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_result_has_no_fault(kind, store, made):
    assert fault(file_of(store, of(made, kind))) == ""


def test_a_damaged_end_takes_the_curve_with_it(store, made):
    spec = of(made, "Path")
    damage(flip, store, spec.end, made)
    with pytest.raises(BadInput, match=f"{key(spec.end)} is not in the store"):
        Store(store.folder).get(spec)


# Unreadable: what the checksum vouches for is not of its format


def in_the_archive(path, offset, value):
    """Change a byte of the first entry of an npz's list of files."""
    found = bytearray(path.read_bytes())
    found[found.index(b"PK\x01\x02") + offset] = value
    path.write_bytes(found)


def nonsense(path):
    path.write_text("nonsense")


def nothing(path):
    path.write_bytes(b"")


def other_method(path):
    in_the_archive(path, 10, 97)


def encrypted(path):
    in_the_archive(path, 8, 1)


def garbled(path):
    found = bytearray(path.read_bytes())
    data = 30 + int.from_bytes(found[26:28], "little") + int.from_bytes(found[28:30], "little")
    found[data] = 0x07  # a kind of block that deflate does not have
    path.write_bytes(found)


SPOILT = [(kind, way) for kind in ("Original", "Unlearned", "Path") for way in (cut, nonsense, nothing)]
SPOILT += [
    (kind, way)
    for kind in ("TraceOf", "Profile", "Alike", "PlaneOf")
    for way in (cut, nonsense, other_method, encrypted, garbled)
]


@pytest.mark.parametrize(("kind", "way"), SPOILT, ids=lambda v: getattr(v, "__name__", v))
def test_what_passes_its_checksum_but_cannot_be_read_is_set_aside(kind, way, store, made, capsys):
    spec = of(made, kind)
    path = file_of(store, spec)
    way(path)
    forge(path)
    reader = Store(store.folder)
    assert spec in reader
    with pytest.raises(
        Damaged, match=rf"^{path.name} cannot be read \(.*\): it is left out; compute it again\.$"
    ) as caught:
        reader.get(spec)
    assert isinstance(caught.value, BadInput)
    assert f"damaged result {path.name}" in capsys.readouterr().err
    assert {p.name for p in store.folder.glob(f"{key(spec)}*")} == {
        f"{key(spec)}{e}{ASIDE}" for e in (path.suffix, ".json")
    }
    assert spec not in reader and spec not in store
    reader.put(spec, made[spec], 1.25)
    assert content(store.get(spec)) == content(made[spec])


def test_an_unreadable_end_is_named_not_its_curve(store, made):
    spec = of(made, "Path")
    cut(file_of(store, spec.end))
    forge(file_of(store, spec.end))
    with pytest.raises(Damaged, match=key(spec.end)):
        store.get(spec)
    assert spec in store and spec.start in store and spec.end not in store


def test_an_unreadable_result_of_a_layer_is_left_as_it_is(tmp_path, store, made):
    spec = of(made, "TraceOf")
    cut(file_of(store, spec))
    forge(file_of(store, spec))
    before = listing(store.folder)
    upper = Store(tmp_path / "new", [store.folder])
    with pytest.raises(Damaged, match=key(spec)):
        upper.get(spec)
    assert listing(store.folder) == before
    upper.put(spec, made[spec], 0)
    assert content(upper.get(spec)) == content(made[spec])


# Several processes


@pytest.fixture
def meanwhile(monkeypatch):
    """What another process does while this one waits for its next lock."""

    def arrange(act):
        wait, left = module.FileLock, [act]

        def waiting(*arguments, **options):
            if left:
                left.pop()()
            return wait(*arguments, **options)

        monkeypatch.setattr(module, "FileLock", waiting)

    return arrange


def test_a_sound_result_written_meanwhile_is_not_set_aside(store, made, meanwhile, capsys):
    spec = of(made, "Original")
    damage(flip, store, spec, made)
    meanwhile(lambda: Store(store.folder).put(spec, made[spec], 3))
    reader = Store(store.folder)
    assert spec in reader
    assert reader.seconds(spec) == 3 and content(reader.get(spec)) == content(made[spec])
    assert capsys.readouterr().err == "" and not list(store.folder.glob(f"*{ASIDE}"))


def test_what_another_process_has_set_aside_is_simply_gone(store, made, meanwhile, capsys):
    spec = of(made, "Original")
    damage(flip, store, spec, made)
    meanwhile(lambda: Store(store.folder).__contains__(spec))
    assert spec not in Store(store.folder)
    assert capsys.readouterr().err.count("damaged result") == 1
    assert len(list(store.folder.glob(f"*{ASIDE}"))) == 2


@pytest.mark.parametrize("kind", ["Original", "TraceOf"])
def test_a_readable_result_written_meanwhile_is_not_set_aside(kind, store, made, meanwhile):
    spec = of(made, kind)
    cut(file_of(store, spec))
    forge(file_of(store, spec))
    meanwhile(lambda: Store(store.folder).put(spec, made[spec], 3))
    with pytest.raises(Damaged, match="cannot be read"):
        store.get(spec)
    assert content(store.get(spec)) == content(Store(store.folder).get(spec)) == content(made[spec])
    assert not list(store.folder.glob(f"*{ASIDE}"))


def test_nobody_sets_aside_what_is_just_being_replaced(store, made, monkeypatch):
    """Between the two renames of `put`, the old damaged data lie beside the provenance of the new."""
    spec, replacing, asking = of(made, "TraceOf"), os.replace, []
    path = damage(flip, store, spec, made)

    def slow(source, target):
        replacing(source, target)
        if FilePath(target) == path.with_suffix(".json") and not asking:
            asking.append(threading.Thread(target=lambda: Store(store.folder).__contains__(spec)))
            asking[0].start()
            asking[0].join(0.3)  # long enough to do the harm, were it not waiting

    monkeypatch.setattr(os, "replace", slow)
    Store(store.folder).put(spec, made[spec], 3)
    asking[0].join()
    assert content(Store(store.folder).get(spec)) == content(made[spec])
    assert not list(store.folder.glob(f"*{ASIDE}"))


def test_a_lock_is_of_one_result_and_given_back(store, made):
    first, second = of(made, "Original"), of(made, "TraceOf")
    lock = FileLock(store.folder / LOCKS / f"{key(first)}.lock", timeout=0)
    with store.lock(first), store.lock(second):
        with pytest.raises(Timeout):
            lock.acquire()
        assert first in store  # reading waits for nobody
    with lock, store.lock(second):
        pass
    with pytest.raises(ZeroDivisionError), store.lock(first):
        raise ZeroDivisionError
    with lock:
        pass


# Nothing is unpickled


class Bomb:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def pickled(bomb, spec, path):
    path.write_bytes(pickle.dumps(bomb))


def saved_by_torch(bomb, spec, path):
    torch.save({"0/params/0.weight": bomb}, path)


def saved_by_numpy(bomb, spec, path):
    with open(path, "wb") as file:
        np.savez(file, t=np.array([bomb], dtype=object), meta=np.array([bomb], dtype=object))


@pytest.mark.parametrize("forged", [False, True], ids=["old note", "forged note"])
@pytest.mark.parametrize("write", [pickled, saved_by_torch, saved_by_numpy], ids=lambda w: w.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_unpickled(kind, write, forged, store, made, tmp_path):
    spec = of(made, kind)
    path, mark = file_of(store, spec), tmp_path / "unpickled"
    write(Bomb(mark), spec, path)
    touched(path)
    if forged:
        forge(path)
    reader = Store(store.folder)
    assert (spec in reader) == forged
    with suppress(BadInput):
        reader.get(spec)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["TraceOf", "Profile", "Alike", "CueUse", "PlaneOf"])
def test_an_object_array_is_refused(kind, store, made, tmp_path):
    spec = of(made, kind)
    saved_by_numpy(Bomb(tmp_path / "unpickled"), spec, file_of(store, spec))
    forge(file_of(store, spec))
    with pytest.raises(Damaged, match="allow_pickle=False"):
        Store(store.folder).get(spec)


def test_the_bomb_would_go_off(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "unpickled")))
    assert (tmp_path / "unpickled").is_dir()


# Layers


def test_layers_are_found_in_order_and_left_as_they_are(tmp_path, store, made):
    spec, other = of(made, "Original"), of(made, "Untrained")
    second = Store(tmp_path / "second")
    another = made[of(made, "Unlearned")].weights
    second.put(spec, another, 2)
    second.put(other, made[other], 2)
    before = listing(store.folder), listing(second.folder)
    upper = Store(tmp_path / "new", [tmp_path / "missing", second.folder, store.folder])
    assert content(upper.get(spec)) == content(another)  # the first layer that has it
    assert content(upper.get(of(made, "TraceOf"))) == content(made[of(made, "TraceOf")])
    assert upper.seconds(spec) == 2
    assert not upper.folder.exists()
    assert (listing(store.folder), listing(second.folder)) == before


def test_the_own_store_wins_over_its_layers(tmp_path, store, made):
    spec = of(made, "Original")
    other = made[of(made, "Unlearned")].weights
    upper = Store(tmp_path / "new", [store.folder])
    assert content(upper.get(spec)) == content(made[spec])
    before = listing(store.folder)
    upper.put(spec, other, 3)
    assert content(upper.get(spec)) == content(Store(upper.folder, [store.folder]).get(spec)) == content(other)
    assert listing(store.folder) == before


def test_a_damaged_layer_is_passed_over_and_left_as_it_is(tmp_path, store, made, capsys):
    spec = of(made, "TraceOf")
    path = damage(flip, store, spec, made)
    before = listing(store.folder)
    upper = Store(tmp_path / "new", [store.folder])
    assert spec not in upper
    assert f"damaged result {path.name}" in capsys.readouterr().err
    assert listing(store.folder) == before
    upper.put(spec, made[spec], 0)
    assert content(upper.get(spec)) == content(made[spec])


def test_a_layer_stands_in_for_a_damaged_own_result(tmp_path, store, made):
    spec = of(made, "TraceOf")
    upper = Store(tmp_path / "new", [store.folder])
    upper.put(spec, made[spec], 7)
    flip(file_of(upper, spec), None, None)
    touched(file_of(upper, spec))
    assert upper.seconds(spec) == 1.25
    assert content(upper.get(spec)) == content(made[spec])


# Writing


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file", tmp_path / "file" / "below"]
    if hasattr(os, "geteuid") and os.geteuid():  # root may write anywhere
        (tmp_path / "sealed").mkdir(mode=0o500)
        places += [tmp_path / "sealed", tmp_path / "sealed" / "below"]
    for place in places:
        with pytest.raises(BadInput, match=r"^the store .* cannot be written \(.*\): choose another folder\.$"):
            Store(place).check_writable()


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    Store(tmp_path / "a" / "b").check_writable()
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("after", [0, 1], ids=["before its provenance is renamed", "before it is"])
@pytest.mark.parametrize("kind", ["Original", "TraceOf"])
def test_an_interrupted_write_is_no_result(kind, after, tmp_path, made, monkeypatch):
    spec, count, replacing = of(made, kind), [], os.replace

    def killed(*paths):
        count.append(paths)
        if len(count) > after:
            raise KeyboardInterrupt
        replacing(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            Store(tmp_path).put(spec, made[spec], 1)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(f".{key(spec)}.")], "a scratch file is left"
    assert {p.suffix for p in tmp_path.glob(f"{key(spec)}.*")} == ({".json"} if after else set())
    assert spec not in Store(tmp_path)
    with pytest.raises(BadInput, match="is not in the store"):
        Store(tmp_path).get(spec)
    Store(tmp_path).put(spec, made[spec], 1)
    assert content(Store(tmp_path).get(spec)) == content(made[spec])


def test_nothing_but_the_result_and_its_provenance_is_left(store, made):
    trained = ("Original", "Unlearned", "Path", "Untrained")
    expected = {key(s): "safetensors" if kind_of(s) in trained else "npz" for s in made}
    names = {f"{name}.{suffix}" for name, kind in expected.items() for suffix in (kind, "json")}
    assert {p.name for p in store.folder.iterdir()} == names | {LOCKS}
    assert all(p.stat().st_size == 0 for p in (store.folder / LOCKS).iterdir())


# Odd things in a result's place, and odd content under a valid checksum


@pytest.mark.parametrize("part", ["data", "provenance"])
@pytest.mark.parametrize("what", ODD)
def test_what_is_no_file_is_set_aside_and_computed_again(what, part, store, made, capsys):
    spec = of(made, "TraceOf")
    path = file_of(store, spec) if part == "data" else note_of(store, spec)
    path.unlink()
    ODD[what](path)
    assert spec not in store
    assert "damaged result" in capsys.readouterr().err and not os.path.lexists(path)
    store.put(spec, made[spec], 1)
    assert content(Store(store.folder).get(spec)) == content(made[spec])
    ODD[what](path if path.unlink() is None else path)  # and once more
    assert spec not in Store(store.folder)


DEEP = "[" * 600 + "]" * 600
NOTES = ["1" + "0" * 400, "-1", "NaN", "Infinity", "1e999", "true", "null", '"1"', DEEP]


@pytest.mark.parametrize("seconds", NOTES, ids=lambda s: s[:8])
def test_odd_seconds_are_damage(seconds, store, made):
    note, spec = note_of(store, of(made, "TraceOf")), of(made, "TraceOf")
    text = note.read_text()
    note.write_text(text.replace('"seconds": 1.25', f'"seconds": {seconds}'))
    assert note.read_text() != text
    assert fault(file_of(store, spec)) == UNREADABLE and spec not in Store(store.folder)


def test_a_provenance_nested_too_deeply_is_damage_wherever(store, made):
    spec = of(made, "TraceOf")
    note_of(store, spec).write_text(json.dumps({**store.provenance(spec), "x": json.loads(DEEP)}))
    assert fault(file_of(store, spec)) == UNREADABLE


def rewritten(change):
    """Rewrite an npz with arrays changed by a function."""

    def way(path):
        with np.load(path) as file:
            arrays = dict(file)
        change(arrays)
        np.savez_compressed(path, **arrays)

    way.__name__ = change.__name__
    return way


@rewritten
def without_t(arrays):
    del arrays["t"]


@rewritten
def renamed(arrays):
    arrays["logits/tast"] = arrays.pop("logits/test")


@rewritten
def fewer_points(arrays):
    for name in arrays:
        if name.startswith("logits"):
            arrays[name] = arrays[name][:2]


@rewritten
def whole_logits(arrays):
    arrays["logits/test"] = arrays["logits/test"].astype(bool)


@rewritten
def labels_out_of_range(arrays):
    arrays["labels/test"] = arrays["labels/test"] + 10


@rewritten
def t_backwards(arrays):
    arrays["t"] = arrays["t"][::-1]


WRONG_TRACES = [without_t, renamed, fewer_points, whole_logits, labels_out_of_range, t_backwards]


@pytest.mark.parametrize("way", WRONG_TRACES, ids=lambda w: w.__name__)
def test_a_trace_that_is_not_its_spec_s_is_damage_under_a_valid_checksum(way, store, made):
    spec = of(made, "TraceOf")
    way(file_of(store, spec))
    forge(file_of(store, spec))
    with pytest.raises(Damaged):
        Store(store.folder).get(spec)
    store.put(spec, made[spec], 1)
    assert content(store.get(spec)) == content(made[spec])


@pytest.mark.parametrize("kind", ["Profile", "Alike", "CueUse", "PlaneOf"])
def test_arrays_of_another_shape_are_damage_under_a_valid_checksum(kind, store, made):
    spec = of(made, kind)
    with np.load(file_of(store, spec)) as file:
        arrays = {n: v[..., :-1] if v.dtype.kind == "f" and v.ndim and v.shape[-1] > 1 else v for n, v in file.items()}
    np.savez_compressed(file_of(store, spec), **arrays)
    forge(file_of(store, spec))
    with pytest.raises(Damaged):
        Store(store.folder).get(spec)


def nan(weights):
    first = next(iter(weights.params))
    return replace(weights, params={**weights.params, first: weights.params[first] * torch.nan})


def wider(weights):
    from mcutils.models.vision import build
    from mcutils.weights import weights_of

    return weights_of(build("convnet", 1, 10, 0, width=4), "convnet")


def fewer(weights):
    return replace(weights, params=dict(list(weights.params.items())[1:]))


@pytest.mark.parametrize("way", [nan, wider, fewer], ids=lambda w: w.__name__)
def test_weights_that_are_not_their_spec_s_heal(way, store, made, monkeypatch):
    from mcutils import weights as of_weights

    spec = of(made, "Original")
    monkeypatch.setattr(of_weights, "check_same_shape", lambda points: None)
    of_weights.save(file_of(store, spec), [way(made[spec])])
    forge(file_of(store, spec))
    with pytest.raises(Damaged):
        Store(store.folder).get(spec)
    assert spec not in Store(store.folder)
    store.put(spec, made[spec], 1)
    assert content(store.get(spec)) == content(made[spec])


def test_weights_with_nan_are_not_kept(tmp_path, made):
    spec = of(made, "Original")
    with pytest.raises(BadInput, match="NaN or infinity"):
        Store(tmp_path).put(spec, nan(made[spec]), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_bomb_in_a_result_s_place_is_not_unpacked(store, made):
    spec = of(made, "Profile")
    path = file_of(store, spec)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content, content.open("0/values.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (2**24,)})
        for _ in range(128):
            member.write(bytes(2**20))
    forge(path)
    with pytest.raises(Damaged, match="claim more than"):
        Store(store.folder).get(spec)


# Rights, full disks, folders that can only be read


@pytest.fixture
def refused(monkeypatch):
    """No right to open files of these names, also for root."""

    def refuse(*names):
        opening = os.open

        def opened(path, flags, *rest, **options):
            if FilePath(path).name in names:
                raise PermissionError(13, "Permission denied")
            return opening(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", opened)

    return refuse


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("part", ["data", "provenance"])
def test_a_missing_right_is_never_damage(part, known, store, made, refused):
    spec = of(made, "Original")
    before = listing(store.folder)
    reader = store if known else Store(store.folder)
    assert not known or spec in reader
    refused(file_of(store, spec).name if part == "data" else note_of(store, spec).name)
    with pytest.raises(BadInput, match=r"cannot be read now \(Permission denied\); it is left alone"):
        reader.get(spec) if part == "data" else Store(store.folder).get(spec)
    with pytest.raises(BadInput, match="left alone"):
        Store(store.folder).__contains__(spec)
    assert {n: v for n, v in listing(store.folder).items() if not n.startswith(LOCKS)} == {
        n: v for n, v in before.items() if not n.startswith(LOCKS)
    }


def test_files_are_written_as_the_umask_says(tmp_path, made):
    before = os.umask(0o002)
    try:
        store = Store(tmp_path / "store")
        for kind in ("Original", "TraceOf"):
            store.put(of(made, kind), made[of(made, kind)], 1)
    finally:
        os.umask(before)
    files = [p for p in store.folder.iterdir() if p.is_file()]
    assert len(files) == 4 and {p.stat().st_mode & 0o777 for p in files} == {0o664}


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EACCES", "EROFS"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(code, tmp_path, made, monkeypatch):
    def full(*_):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Unwritable, match=r"cannot be written into the store .*what is finished is kept\.$"):
        Store(tmp_path).put(of(made, "Original"), made[of(made, "Original")], 1)
    assert [p.name for p in tmp_path.iterdir()] == [LOCKS]


def test_a_store_that_can_only_be_read_is_read_without_a_lock(store, made, monkeypatch):
    monkeypatch.setattr(module, "FileLock", None)
    monkeypatch.setattr(os, "access", lambda path, mode, **_: not mode & os.W_OK)
    (store.folder / LOCKS).rename(store.folder.parent / "locks")
    for spec in made:
        assert content(Store(store.folder).get(spec)) == content(made[spec])
    flip(file_of(store, of(made, "TraceOf")), None, None)
    before = listing(store.folder)
    assert of(made, "TraceOf") not in Store(store.folder)
    assert listing(store.folder) == before
