"""Tables: numbers by hand on made-up walks, readable text, never a NaN in a cell."""

from dataclasses import replace

import numpy as np
import pytest
from made_conditions import made as made_of_conditions
from made_tables import LOST, RIGHT, clean, model
from synthetic import RING, T, walk

from mcutils.measures.along import excess
from mcutils.measures.connectivity import TOLERANCE
from mcutils.measures.metrics import METRICS
from mcutils.measures.profiles import Profile
from mcutils.paper.claims import spread
from mcutils.paper.tables import (
    excess_table,
    grouped,
    levels_table,
    models_table,
    paths_table,
)
from mcutils.paper.walks import levels


def test_models_in_percent():
    table = models_table({"original": model(RIGHT), "retrained": model(LOST)})
    assert list(table.columns) == [
        "retain acc. %",
        "forget acc. %",
        "valid acc. %",
        "test acc. %",
        "forget loss",
    ]
    assert table.loc["original"].tolist()[:4] == [100, 100, 80, 80]
    assert table.loc["retrained"].tolist()[:4] == [100, 80, 80, 80]
    assert table.loc["retrained", "forget loss"] > table.loc["original", "forget loss"] > 0
    clean(table)


def test_one_row_per_path(walks):
    table = paths_table(walks)
    assert len(table) == len(walks)
    labels = "condition method curve original start end pair size control".split()
    found = "barrier deficit eps test_barrier connected collapsed distance cosine moved_start length".split()
    assert list(table.columns) == labels + found
    one = table.iloc[4]
    assert (one["method"], one["curve"], one["pair"], one["control"]) == ("npo", "linear", "0: 13-42", "")
    assert (one["condition"], one["size"], one["eps"]) == ("random", 0, 0.2)
    assert (one["barrier"], one["deficit"], one["test_barrier"]) == pytest.approx((0.08, 0.2, 0.04))
    assert table["connected"].tolist() == [w.connected(TOLERANCE) for w in walks]
    assert table["connected"].dtype == bool and table["collapsed"].sum() == 1
    assert one[["distance", "cosine", "moved_start", "length"]].tolist() == [3.0, 0.25, 2.0, 3.5]
    clean(table)


def test_a_pair_on_another_original_is_named_after_it_as_well():
    on = [walk("npo", 0.1 * k, pair=RING[0], original=k) for k in (0, 1, 2)]
    assert [w.pair for w in on] == ["0: 42-87", "1: 42-87", "2: 42-87"]
    table = paths_table(on)
    assert table["original"].tolist() == [0, 1, 2]
    assert table["pair"].tolist() == list(dict.fromkeys(excess_table(on)["pair"])) == [
        "0: 42-87", "1: 42-87", "2: 42-87",
    ]  # fmt: skip
    assert (table["start"].nunique(), table["end"].nunique()) == (1, 1)


def test_excesses_are_zero_at_the_ends_and_the_height_between(walks):
    table = excess_table(walks)
    assert list(table.columns) == ["condition", "method", "curve", "pair", "t", "retain_excess", "forget_excess"]
    assert len(table) == len(walks) * len(T)
    ends = table[table["t"].isin([0, 1])]
    assert (ends[["retain_excess", "forget_excess"]] == 0).all(axis=None)
    one = table[(table["method"] == "npo") & (table["curve"] == "linear") & (table["pair"] == "0: 13-42")]
    curves = walks[4].profile.connectivity.curves
    np.testing.assert_allclose(one["retain_excess"], excess(curves["loss_retain"], T) / walks[4].profile.gap)
    assert one["retain_excess"].max() == pytest.approx(0.08)
    assert one["forget_excess"].min() == pytest.approx(-0.2)
    clean(table)


def test_retrained_levels_stand_beside_the_chord_of_each_walk():
    plain = walk("npo", 0.1, 0.2)
    ends = {split: plain.profile.connectivity.curves[f"loss_{split}"][[0, -1]] for split in ("retain", "forget")}
    level = {"loss_retain": [0.1, 0.3], "loss_forget": [1.0, 2.0], "accuracy_retain": [1, 1], "accuracy_forget": [1, 1]}
    held = replace(plain, profile=plain.profile.with_levels({k: np.array(v, dtype=float) for k, v in level.items()}))
    table = levels_table([held, plain])  # the second keeps none
    assert list(table.columns) == ["condition", "method", "split", "t", "mean", "low", "high"]
    assert (len(table), set(table["method"]), set(table["condition"])) == (22, {"npo"}, {"random"})
    for split, (first, last) in ends.items():
        part, low_high = table[table["split"] == split], level[f"loss_{split}"]
        for name, value in zip(("low", "mean", "high"), (low_high[0], np.mean(low_high), low_high[1]), strict=True):
            straight = value - (first + part["t"] * (last - first))
            np.testing.assert_allclose(part[name], straight / held.profile.gap, atol=1e-12)
    assert levels_table([plain]).empty


def test_an_estimate_stands_before_its_interval_and_zero_has_no_sign():
    assert spread((0.12, 0.08, 0.2)) == "0.120 [0.080, 0.200]"
    assert spread((-0.0, -0.04, 0.2), 1) == "0.0 [0.0, 0.2]" and spread((0.0, 0.0, 0.0), 2) == "0.00 [0.00, 0.00]"
    assert spread((-0.001, -0.004, 0.003), 2) == "-0.001 [-0.004, 0.003]"  # of 0.00 [0.00, 0.00] nothing can be read
    assert spread((1e-9, 0.0, 1e-9), 2) == "0.0000 [0.0000, 0.0000]"
    assert spread((0.21, -np.inf, np.inf), 2) == "0.21 (no interval)"


def test_walks_are_grouped_in_order_of_appearance():
    walks = [*made_of_conditions("random", method="npo"), *made_of_conditions("random", method="scrub")]
    assert list(grouped(walks[::-1], "method", "original")) == [
        ("scrub", 1),
        ("scrub", 0),
        ("npo", 1),
        ("npo", 0),
    ]


def test_levels_are_those_of_the_original_and_of_each_retrained_model(study, monkeypatch):
    models = [Profile({f"metric/{name}": np.array([float(k)]) for name in METRICS}) for k in range(4)]
    monkeypatch.setattr(type(study), "run", lambda self, specs: models[: len(specs)])
    original, retrained = levels(study)
    assert set(original.values()) == {0.0} and [set(one.values()) for one in retrained] == [{1.0}, {2.0}, {3.0}]
