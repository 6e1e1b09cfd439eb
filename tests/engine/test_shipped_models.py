"""Shipped endpoints: loaded at once, close to the exact results, never taken for them, damage noticed."""

import io
import json
import os
import shutil
import zipfile
from hashlib import sha256

import pytest
import torch

import mcutils as mc
from mcutils import reading, weights as weights_module
from mcutils.engine import shipped
from mcutils.engine.shipped import FOLDER, INDEX, MODELS, load, models_to_ship, write_endpoints
from mcutils.engine.specs import key
from mcutils.engine.store import Store
from mcutils.engine.study import study
from mcutils.errors import BadInput
from mcutils.files import DATA
from mcutils.networks import network_for
from mcutils.unlearning.endpoints import fingerprint

INDEXED = {(one["name"], one["seed"], one["original"]): one for one in json.loads((DATA / FOLDER / INDEX).read_text())}


@pytest.fixture(scope="module")
def laptop():
    return study("laptop", fresh=False)


@pytest.fixture
def copy(tmp_path):
    """A copy of the shipped folder, to be damaged."""
    (tmp_path / "data").mkdir()
    shutil.copytree(DATA / FOLDER, tmp_path / "data" / FOLDER)
    return tmp_path / "data"


def members(folder):
    with zipfile.ZipFile(folder / MODELS) as content:
        return {name: content.read(name) for name in content.namelist()}


def test_what_ships_are_the_models_of_the_laptop_study(laptop):
    exact = {key(one) for one in models_to_ship(laptop)}
    assert len(exact) == 40 and {one["exact"] for one in INDEXED.values()} == exact
    assert {path.name for path in (DATA / FOLDER).iterdir()} == {INDEX, MODELS}
    data = members(DATA / FOLDER)
    assert {name: sha256(held).hexdigest() for name, held in data.items()} == {
        one["file"]: one["sha256"] for one in INDEXED.values()
    }
    # Names and digests of the forty files that each of these was before.
    text = "\n".join(f"{name} {sha256(held).hexdigest()}" for name, held in sorted(data.items()))
    assert sha256(text.encode()).hexdigest() == "8c9f43663099c9d2ca291e079fa5be1206feed23aa909c5cd49450ddd8d46884"
    assert INDEXED["npo", 42, 1]["exact"] == key(laptop.unlearned("npo", 42, origin=laptop.original(1)))
    assert INDEXED["retrained", 42, 2]["exact"] == key(laptop.retrained(42, original=2))


@pytest.mark.parametrize("seed", [42, 87])
def test_a_shipped_endpoint_is_close_to_the_exact_one_and_is_not_it(laptop, seed):
    exact, found = laptop.store.get(laptop.unlearned("npo", seed)), mc.load("npo", seed=seed)
    assert (found.method, found.curriculum, found.optimizer, found.seed) == ("npo", "none", "adamw", seed)
    assert found.settings == exact.settings and found.task == exact.task
    for a, b in ((found.weights, exact.weights), (found.origin, exact.origin)):
        apart = weights_module.distance(a, b)
        assert 0 < apart < 1e-3 * float(weights_module.flatten(b).norm())
        assert all(v.dtype == torch.float32 for v in a.params.values())


def test_its_accuracies_are_those_of_the_index_and_its_task_is_the_shipped_one():
    task, found = mc.load_task("fashion-mnist", 0.1), load("npo", seed=42)
    module = weights_module.module_of(found.weights)
    with torch.no_grad():
        right = module(task.inputs("forget")).argmax(1) == task.labels("forget")
    assert float(right.float().mean()) == pytest.approx(INDEXED["npo", 42, 0]["forget"], abs=2e-3)
    assert found.task == fingerprint(task)


def test_two_of_them_make_a_path_at_once():
    curve = mc.line(mc.load("npo", seed=42), mc.load("npo", seed=87))
    assert curve.at(0.5).model == "convnet"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "scrubb"}, "unknown shipped model 'scrubb': choose one of"),
        ({"name": None}, "unknown shipped model None"),
        ({"seed": 43}, "no npo of seed 43 on original 0 ships: there are npo 42"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": 42.0}, "seed must be a whole number"),
        ({"original": 7}, "on original 7 ships"),
        ({"path": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"path": 3}, "must name a file or folder"),
    ],
)
def test_what_does_not_ship_is_refused_with_what_does(given, words):
    with pytest.raises(BadInput, match=words):
        load(**given)


def test_a_damaged_or_missing_model_is_noticed(copy):
    file = copy / FOLDER / MODELS
    held = members(copy / FOLDER)
    data = bytearray(file.read_bytes())
    data[data.index(held["npo-42-0.safetensors"]) + 90_000] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(BadInput, match="npo-42-0.safetensors is missing in .* or differs from its checksum"):
        load("npo", seed=42, path=copy)
    load("npo", seed=87, path=copy)
    other = {**held, "npo-42-0.safetensors": held["npo-87-0.safetensors"]}  # sound, and not what it is called
    for changed in (other, {"npo-87-0.safetensors": held["npo-87-0.safetensors"]}):
        with open(file, "wb") as opened:
            reading.pack(changed.items(), opened)
        with pytest.raises(BadInput, match="is missing in .* or differs from its checksum"):
            load("npo", seed=42, path=copy)
    for content in (b"", b"nothing", bytes(data[:-10]), bytes(data[:1000])):
        file.write_bytes(content)
        with pytest.raises(BadInput, match="is missing in .* or differs from its checksum"):
            load("npo", seed=87, path=copy)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(BadInput, match="is missing in"):
        load("npo", seed=87, path=copy)


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": 1}]', "[" * 5000])
def test_an_odd_index_is_one_sentence(copy, text):
    (copy / FOLDER / INDEX).write_text(text)
    with pytest.raises(BadInput, match="no index that can be read"):
        load("npo", seed=42, path=copy)


def test_an_entry_cannot_lead_out_of_the_folder(copy):
    index = copy / FOLDER / INDEX
    entries = json.loads(index.read_text())
    for entry in entries:
        entry["file"] = f"../../{entry['file']}"
    index.write_text(json.dumps(entries))
    load("npo", seed=42, path=copy)


def test_writing_again_writes_the_same(laptop, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "_accuracy", lambda *given: 0.5)  # which another test reads
    specs = [laptop.original(0), laptop.unlearned("npo", 42)]
    write_endpoints(laptop.store, specs, tmp_path)
    mine, ours = members(tmp_path), members(DATA / FOLDER)
    assert set(mine) == {"original-0-0.safetensors", "npo-42-0.safetensors"}
    for name in mine:
        one, other = (weights_module.load(io.BytesIO(held[name]))[0] for held in (mine, ours))
        assert all(torch.equal(one.params[n], other.params[n]) for n in other.params)
        assert all(torch.equal(one.buffers[n], other.buffers[n]) for n in other.buffers)


def test_forty_models_of_the_preset_with_a_forget_set_each():
    eight = study("laptop", fresh=True)
    found = models_to_ship(eight)
    assert len(found) == len(set(found)) == 40
    assert found[:3] == [eight.original(k) for k in range(3)]
    assert found[3:9] == [eight.retrained(seed, original=k) for k in range(3) for seed in (42, 87)]
    ends = [(one.method, one.seed, one.origin.seed) for one in found[9:]]
    every = {*eight.preset.methods, "finetune"}
    assert {end[0::2] for end in ends if end[1] == 42} == {(name, k) for name in every for k in range(3)}
    assert {end for end in ends if end[1] == 87} >= {("npo", 87, k) for k in range(3)}
    assert len(models_to_ship(eight, 10)) == 10
    with pytest.raises(BadInput, match="have one forget set: ask for the preset laptop"):
        models_to_ship(study("smoke", fresh=True))


def test_a_retrained_model_goes_by_the_original_whose_forget_set_it_lacks(tmp_path):
    two = study("smoke", store=str(tmp_path / "store"), fresh=True, originals=2, width=2)
    wanted = [two.original(0), two.original(1), *(two.retrained(42, original=k) for k in range(2))]
    made = [network_for(two.data.task(0.1), "convnet", seed, width=2) for seed in range(4)]
    for spec, weights in zip(wanted, made, strict=True):
        two.store.put(spec, weights, 0.1)
    write_endpoints(two.store, wanted, tmp_path / "data" / FOLDER)
    (tmp_path / "data" / "checksums.json").write_text("{}")
    for k in range(2):
        for name, seed, weights in (("retrained", 42, made[2 + k]), ("original", k, made[k])):
            found = load(name, seed=seed, original=k, path=tmp_path / "data")
            assert all(torch.equal(found.params[n].half(), v.half()) for n, v in weights.params.items())
    with pytest.raises(BadInput, match=r"retrained 42 \(original 0\), retrained 42 \(original 1\)"):
        load("retrained", seed=43, path=tmp_path / "data")


def test_no_store_takes_a_shipped_endpoint_for_a_result(laptop, tmp_path):
    assert laptop.unlearned("npo", 42) not in Store(DATA / FOLDER)
