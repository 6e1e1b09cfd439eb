"""A kind of result is one record: whatever has one is computed, kept, checked, planned and described."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mcutils.engine import kinds
from mcutils.engine.kinds import KINDS, SUFFIXES, describe, parents
from mcutils.engine.kinds.record import ARRAYS, Kind, shaped
from mcutils.engine.planning import plan
from mcutils.engine.runs import run
from mcutils.engine.specs import VERSIONS, Checked, DataSpec, TraceSpec, UntrainedSpec, key, name_of
from mcutils.engine.store import Store
from mcutils.engine.upkeep import notes, verify
from mcutils.errors import BadInput

RANDOM = UntrainedSpec(DataSpec("digits", 240, 60), "convnet", 2, 0)


@dataclass(frozen=True)
class LargestSpec(Checked, kind="Largest"):
    """The largest logit on the test examples, some times over."""

    trace: TraceSpec
    times: int


LARGEST = Kind(
    LargestSpec,
    parents=lambda spec: (spec.trace,),
    compute=lambda spec, store: {"value": np.full(spec.times, store.get(spec.trace).logits["test"].max(), np.float32)},
    check=lambda spec, found: shaped(found, {"value": (spec.times,)}),
    describe=lambda spec, inner: f"largest of {inner(spec.trace)}",
    work=lambda description, flops: 2 * flops,
    size=lambda description: 4 * description["times"],
)


@pytest.fixture
def known(monkeypatch):
    """The record stands in the registry."""
    monkeypatch.setitem(VERSIONS, "Largest", 1)
    monkeypatch.setitem(KINDS, "Largest", LARGEST)
    monkeypatch.setitem(SUFFIXES, "largest", ".npz")


def test_every_kind_with_a_version_has_one_record_under_its_name():
    assert set(KINDS) == set(VERSIONS)
    assert all(name_of(kind.spec) == name for name, kind in KINDS.items())
    assert len({kind.spec for kind in KINDS.values()}) == len(KINDS)


def test_one_record_is_all_that_a_new_kind_needs(known, tmp_path, capsys):
    spec, store = LargestSpec(TraceSpec(RANDOM, 0.1), 3), Store(tmp_path / "store")
    assert parents(spec) == (spec.trace,) and describe(spec).startswith("largest of TraceOf of Untrained convnet")
    rows = {row["kind"]: row for row in plan([spec], store)}
    assert rows.keys() == {"Untrained", "TraceOf", "Largest"} and rows["Largest"]["MB"] == 12e-6
    (found,) = run([spec], store, engine="serial")
    (trace,) = run([spec.trace], store)
    np.testing.assert_array_equal(found["value"], [trace.logits["test"].max()] * 3)
    assert key(spec) in notes([store.folder]) and verify(store.folder) == {}
    file = store.folder / f"{key(spec)}.npz"
    file.write_bytes(file.read_bytes()[:-1])
    assert list(verify(store.folder).values()) == ["its checksum differs"]
    capsys.readouterr()
    run([spec], Store(store.folder), engine="serial")
    assert "0 reused, 1 computed" in capsys.readouterr().out


def test_what_its_check_refuses_is_not_kept(known, tmp_path):
    spec, store = LargestSpec(TraceSpec(RANDOM, 0.1), 3), Store(tmp_path / "store")
    with pytest.raises(BadInput, match=r"is not kept, since value is of shape \(2,\)"):
        store.put(spec, {"value": np.zeros(2, np.float32)}, 0.1)
    assert not list((tmp_path / "store").glob("*.npz"))


@pytest.mark.parametrize(
    ("name", "settings", "limit"),
    [
        ("TraceOf", {"points": 3}, 3 * ARRAYS.each),
        ("Path", {"control_points": 2}, 2 * 2**32),
        ("Trajectory", {"steps": [0, 1, 2]}, 3 * 2**32),
        ("Trajectory", {"steps": 7}, 2**32),
        ("Original", {}, 2**32),
        ("Profile", {"points": "many"}, ARRAYS.each),
        ("Nothing", {"points": -5}, 2**32),
    ],
)
def test_a_file_may_be_as_large_as_its_kind_and_points_allow(name, settings, limit):
    assert kinds.limit_of(name, settings) == limit
