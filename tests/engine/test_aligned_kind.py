"""Models with renumbered channels as results: the same function, found again, the end of a line that is measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import random_permutations

from mcutils.engine.planning import plan, size, work
from mcutils.engine.runs import missing, run
from mcutils.engine.specs import (
    AlignedSpec,
    CurveSpec,
    DataSpec,
    OriginalSpec,
    ProfileSpec,
    RetrainedSpec,
    TraceSpec,
    UnlearnedSpec,
    UntrainedSpec,
    key,
    key_of,
    plain,
)
from mcutils.engine.store import Store
from mcutils.engine.study import study
from mcutils.engine.upkeep import notes, pack, verify
from mcutils.errors import BadInput
from mcutils.explorer.sources import sources
from mcutils.measures.alignment import MATCHINGS, align, permuted
from mcutils.settings import MethodSettings, Plan
from mcutils.weights import distance, module_of

PLAN = Plan(lr=0.01, steps=3, batch_size=64)
DATA = DataSpec("digits", 240, 60)
LOST = 0.4
FIRST = OriginalSpec(DATA, "convnet", 2, 0, PLAN)
SECOND, COPY = replace(FIRST, seed=1), replace(FIRST, seed=2)
END = UnlearnedSpec(FIRST, LOST, "finetune", "none", "adamw", 1, MethodSettings(PLAN))
RETRAINED = RetrainedSpec(DATA, LOST, "convnet", 2, 5, PLAN)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store in which one original is another with its channels renumbered at random."""
    found = Store(tmp_path_factory.mktemp("store"))
    first, _, _ = run([FIRST, SECOND, END], found, engine="serial")
    found.put(COPY, permuted(first, random_permutations(first, 3)), 0.1)
    return found


@pytest.mark.parametrize("by", MATCHINGS)
@torch.no_grad()
def test_an_aligned_model_is_the_same_function(by, store):
    spec = AlignedSpec(SECOND, FIRST, LOST, by)
    (found,) = run([spec], store, engine="serial")
    first, second = (store.get(one) for one in (FIRST, SECOND))
    x = DATA.task(LOST).x[:50]
    assert torch.allclose(module_of(found.weights)(x), module_of(second)(x), atol=1e-5)
    expected = align(first, second, by, task=DATA.task(LOST))
    assert found.moved == expected.moved > 0
    assert all(torch.equal(found.weights.params[name], v) for name, v in expected.weights.params.items())
    moved, still = run([TraceSpec(one, LOST, batchnorm="none") for one in (spec, SECOND)], store, engine="serial")
    np.testing.assert_allclose(moved.logits["test"], still.logits["test"], atol=2e-3)  # kept as float16


@pytest.mark.parametrize("by", MATCHINGS)
def test_a_random_numbering_of_a_model_is_recovered_and_its_line_is_flat(by, store):
    spec = AlignedSpec(COPY, FIRST, LOST, by)
    (found,) = run([spec], store, engine="serial")
    first = store.get(FIRST)
    assert found.moved > 0.5
    assert all(torch.equal(found.weights.params[name], value) for name, value in first.params.items())
    assert all(torch.equal(found.weights.buffers[name], value) for name, value in first.buffers.items())
    raw, aligned = (TraceSpec(CurveSpec(FIRST, end, LOST), LOST, 3) for end in (COPY, spec))
    raw, aligned = run([raw, aligned], store, engine="serial")
    np.testing.assert_array_equal(raw.logits["retain"][0], aligned.logits["retain"][0])
    np.testing.assert_allclose(aligned.logits["retain"], aligned.logits["retain"][[0, 0, 0]], atol=2e-3)
    assert np.abs(raw.logits["retain"][1] - raw.logits["retain"][0]).max() > 0.05, "the raw line leaves the function"


def test_the_line_to_an_aligned_model_has_a_profile_that_ships_without_weights(store, tmp_path, capsys):
    aligned = AlignedSpec(RETRAINED, END, LOST)
    line = CurveSpec(END, aligned, LOST)
    made = [TraceSpec(one, LOST) for one in (FIRST, RETRAINED, UntrainedSpec(DATA, "convnet", 2, 0))]
    profile = ProfileSpec(TraceSpec(line, LOST, 3), made[0], (made[1],), made[2], 10)
    assert aligned in missing([profile], store) and line not in missing([profile], store)
    found, orders = run([profile, aligned], store, engine="serial")
    assert found.geometry["renumbered"] == pytest.approx(orders.moved, rel=1e-5) and 0 < orders.moved <= 1
    assert found.geometry["distance"] < distance(store.get(END).weights, store.get(RETRAINED))
    assert key(aligned) in notes([store.folder]) and verify(store.folder) == {}

    capsys.readouterr()
    assert run([profile], Store(store.folder), engine="serial")[0].geometry == found.geometry
    assert "1 reused, 0 computed" in capsys.readouterr().out
    shipped = tmp_path / "shipped"
    pack({"lines": [key(profile), key(aligned)]}, [store.folder], shipped)
    elsewhere = Store(tmp_path / "own", [shipped])
    there, moved = run([profile, aligned], elsewhere, engine="serial")
    assert there.geometry == found.geometry and moved.moved == orders.moved
    assert RETRAINED not in elsewhere, "who moved is read without the model"
    with pytest.raises(BadInput, match="is not in the store"):
        _ = moved.weights
    assert any(one.label.endswith("5, aligned by weights") for one in sources(store))


def test_an_aligned_model_is_priced_and_described():
    by = {name: AlignedSpec(SECOND, END, LOST, name) for name in MATCHINGS}
    assert by["weights"].parents() == (SECOND, END) and by["weights"].data == DATA
    said = by["weights"].describe()
    assert said.startswith("Original convnet, seed 1") and " aligned by weights to finetune" in said
    assert 0 < work(plain(by["weights"])) < work(plain(by["activations"]))
    assert key_of(plain(by["weights"])) == key(by["weights"]) != key(by["activations"])
    rows = {row["kind"]: row for row in plan([CurveSpec(END, by["weights"], LOST)], Store("/nowhere"))}
    assert rows.keys() == {"Original", "Unlearned", "Aligned"}
    assert rows["Aligned"]["MB"] == size(plain(by["weights"])) / 1e6


def test_orders_that_are_none_are_not_kept(store):
    spec = AlignedSpec(SECOND, FIRST, LOST)
    assert spec.check({"0": np.array([1, 0])}) == "" and spec.check({}) == "it holds no orders"
    for bad in ([0, 0], [0, 2], [[0, 1]], [0.5, 1.0], [-1, 0]):
        assert spec.check({"0": np.array([1, 0]), "3": np.array(bad)}) == "3 is no order of channels"
    (found,) = run([spec], store, engine="serial")
    (file,) = store.folder.glob(f"{key(spec)}.npz")
    assert file.stat().st_size < 3000 and set(found.permutations) == {"0", "3", "6", "9"}


def test_an_aligned_model_ends_lines_alone(store):
    aligned = AlignedSpec(SECOND, FIRST, LOST)
    with pytest.raises(BadInput, match="is the end of a line"):
        CurveSpec(FIRST, aligned, LOST, "bezier", 1, "corrected", 0, PLAN, "train", MethodSettings(PLAN))
    with pytest.raises(BadInput, match="start must be"):
        CurveSpec(aligned, FIRST, LOST)
    for bad in ({"by": "names"}, {"model": aligned}, {"to": "first"}, {"forget": 2.0}):
        with pytest.raises(BadInput):
            replace(aligned, **bad)
    bench = study("smoke", store=str(store.folder), fresh=True)
    first, second = bench.original(0), bench.unlearned("npo", 42)
    assert bench.aligned(second, first, "activations") == AlignedSpec(second, first, 0.1, "activations")
    assert bench.trace(bench.path(first, bench.aligned(second, first))).model.end.to == first
    with pytest.raises(BadInput, match="model must be of kind"):
        bench.aligned(bench.aligned(second, first), first)
    other = AlignedSpec(SECOND, replace(FIRST, width=4), LOST)
    with pytest.raises(Exception, match="different architectures"):
        run([other], store, engine="serial")
