"""A kind of result is one class: whatever is made by one is computed, kept, checked, planned and described."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mcutils.engine.planning import plan
from mcutils.engine.runs import run
from mcutils.engine.specs import KINDS, SUFFIXES, VERSIONS, DataSpec, Result, TraceSpec, UntrainedSpec, key
from mcutils.engine.specs.base import ARRAYS, limit_of, shaped
from mcutils.engine.store import Store
from mcutils.engine.upkeep import notes, verify
from mcutils.errors import BadInput

RANDOM = UntrainedSpec(DataSpec("digits", 240, 60), "convnet", 2, 0)


@pytest.fixture(scope="module")
def largest():
    """A kind of one's own."""

    @dataclass(frozen=True)
    class LargestSpec(Result, kind="Largest"):
        """The largest logit on the test examples, some times over."""

        trace: TraceSpec
        times: int
        work = staticmethod(lambda d, flops: 2 * flops)
        size = staticmethod(lambda d: 4 * d["times"])

        def compute(self, store):
            return {"value": np.full(self.times, store.get(self.trace).logits["test"].max(), np.float32)}

        def check(self, found):
            return shaped(found, {"value": (self.times,)})

    yield LargestSpec(TraceSpec(RANDOM, 0.1), 3)
    del KINDS["Largest"], VERSIONS["Largest"], SUFFIXES["largest"]


def test_one_class_is_all_that_a_new_kind_needs(largest, tmp_path, capsys):
    spec, store = largest, Store(tmp_path / "store")
    assert spec.parents() == (spec.trace,) and spec.describe().startswith("Largest of TraceOf of Untrained convnet")
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


def test_what_its_check_refuses_is_not_kept(largest, tmp_path):
    spec, store = largest, Store(tmp_path / "store")
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
    assert limit_of(name, settings) == limit
