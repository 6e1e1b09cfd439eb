"""Tables: their columns and values on made-up results, readable text, never a NaN in a cell."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import RING, T, controls, trace, walk

from mcutils import search, tables
from mcutils.claims import CLAIMS, Verdict, judge
from mcutils.errors import BadInput
from mcutils.measures.along import excess
from mcutils.measures.connectivity import TOLERANCE
from mcutils.measures.intervals import share_interval
from mcutils.measures.profiles import ProfileOf, profile

RIGHT = {"retain": 1.0, "forget": 1.0, "valid": 0.8, "test": 0.8}
LOST = {**RIGHT, "forget": 0.8}
ORIGINAL, RANDOM = trace(right=RIGHT, seed=1), trace(margin=0.0, seed=2)
RETRAINED = [trace(right=LOST, seed=k) for k in (3, 4)]


def model(right, seconds=2.0):
    found = profile(trace(right=right, seed=5), ORIGINAL, RETRAINED, RANDOM, bootstrap=5)
    return ProfileOf({**found.arrays, "seconds": np.float64(seconds)})


def clean(table):
    """The table's text, after checking that no cell says nan or None."""
    text = table.to_string() if hasattr(table, "to_string") else table
    assert "nan" not in text.lower() and "None" not in text
    return text


# Models


def test_splits_say_their_sizes_and_uses(tiny):
    table = tables.splits_table(tiny)
    assert {name: len(rows) for name, rows in tiny.index.items() if name in table.index} == table["examples"].to_dict()
    assert list(table.columns) == ["examples", "use"] and (table["examples"] > 0).all()
    assert "reported only" in table.loc["test", "use"] and "choices" in table.loc["valid", "use"]
    assert table.loc["retain", "examples"] + table.loc["forget", "examples"] == len(tiny.index["train"])


def test_models_in_percent():
    table = tables.models_table({"original": model(RIGHT), "retrained": model(LOST)})
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


def stub(profiles):
    """A study whose results are the given ones, asked for by their specs."""
    return SimpleNamespace(profile=lambda spec: ("profile", spec), run=lambda specs: [profiles[s] for _, s in specs])


KNOWN = {
    "a": model({"retain": 0.9, "forget": 0.7, "valid": 0.6, "test": 0.6}, 1.0),
    "b": model({"retain": 1.0, "forget": 0.7, "valid": 0.8, "test": 0.8}, 3.0),
    "r": model({"retain": 1.0, "forget": 0.8, "valid": 0.8, "test": 0.8}, 60.0),
    "s": model({"retain": 1.0, "forget": 0.9, "valid": 0.7, "test": 0.7}, 62.0),
    "lost": model({"retain": 0.2, "forget": 0.2, "valid": 0.2, "test": 0.2}),
}


@pytest.fixture(scope="module")
def rows():
    models = {
        ("npo", 1): "a",
        ("npo", 2): "b",
        ("retrain", 1): "r",
        ("retrain", 2): "s",
        ("gradient_ascent", 1): "lost",
    }
    return tables.endpoint_rows(stub(KNOWN), models)


def test_endpoints_hold_their_scores_and_seconds(rows):
    assert rows["method"].tolist() == ["npo", "npo", "retrain", "retrain", "gradient_ascent"]
    assert rows["seed"].tolist() == [1, 2, 1, 2, 1]
    assert rows["seconds"].tolist() == [1, 3, 60, 62, 2]
    assert rows["collapsed"].tolist() == [False] * 4 + [True]
    np.testing.assert_allclose(rows[["UA", "RA", "TA"]].to_numpy()[0], [0.3, 0.9, 0.6])
    for name in ("accuracy_valid", "loss_forget", "zrf", "js_retrained_forget", "js_retrained_test"):
        assert rows[name].tolist() == [float(KNOWN[k].metric(name)[0]) for k in ("a", "b", "r", "s", "lost")]
    clean(rows)


def test_the_gap_is_taken_to_the_mean_retrained_model(rows):
    ua, ra, ta = 0.15, 1.0, 0.75  # means of the two retrained rows
    first = [abs(0.3 - ua), abs(0.9 - ra), abs(0.6 - ta)]
    assert rows["gap"][0] == pytest.approx(sum(first) / 3)
    assert rows["tow"][0] == pytest.approx(math.prod(1 - d for d in first))
    assert rows["gap"][2] == pytest.approx((0.05 + 0 + 0.05) / 3)


def test_a_gap_needs_retrained_models():
    with pytest.raises(BadInput, match="at least one named retrain"):
        tables.endpoint_rows(stub(KNOWN), {("npo", 1): "a"})


def test_the_summary_is_sorted_by_the_gap_and_has_a_spread_only_over_seeds(rows):
    table = tables.endpoint_summary(rows)
    assert table.index.tolist() == ["retrain", "npo", "gradient_ascent"]
    names = ["UA", "RA", "TA", "gap, points", "ZRF", "JS to retrained", "CPU s", "seeds"]
    assert list(table.columns) == names
    assert table.loc["npo", "UA"] == "30.0 ± 0.0"
    assert table.loc["npo", "TA"] == f"70.0 ± {np.std([60, 80], ddof=1):.1f}"
    assert table.loc["npo", "CPU s"] == "2.0 ± 1.4"
    assert table.loc["gradient_ascent", "TA"] == "20.0"
    assert table["seeds"].tolist() == [2, 2, 1]
    clean(table)


# Settings


def test_settings_stand_beside_what_the_oracle_would_choose(monkeypatch):
    rows = []
    for method in search.GRID:
        for lr, valid, forget in ((0.001, 0.88, 0.88), (0.002, 0.88, 0.90)):
            made = {
                "method": method,
                "curriculum": "none",
                "optimizer": "adamw",
                "lr": lr,
                "steps": 100,
                "seed": 7,
            }
            made |= {
                "batch_size": 128,
                "forget_batch_size": 16,
                "options": "beta=0.1" if method == "npo" else "",
            }
            made |= {"schedule": "linear" if method == "scrub" else "constant", "forget_original": 0.98}
            made |= {
                "forget": forget,
                "valid": valid,
                "retain": 0.99,
                "valid_original": 0.88,
                "retain_original": 0.99,
            }
            made |= {
                "forget_retrained": 0.90,
                "valid_retrained": 0.88,
                "retain_retrained": 0.99,
                "seconds": 1,
            }
            rows.append({name: str(value) for name, value in made.items()})
    monkeypatch.setattr(search, "read_rows", lambda name: rows)
    table = tables.settings_table(SimpleNamespace(settings="mine"))
    assert table.index.tolist() == list(search.GRID)
    assert list(table.columns) == ["chosen on validation", "gap", "by gap to retrained", "its gap"]
    both = [f"lr {lr}, 100 steps, linear decay, D_f batch 16" for lr in (0.001, 0.002)]
    assert table.loc["scrub"].tolist() == [both[0], 0.67, both[1], 0.0]
    assert table.loc["npo", "chosen on validation"] == "lr 0.001, 100 steps, D_f batch 16, beta=0.1"
    assert (table["its gap"] <= table["gap"]).all()
    clean(table)
    monkeypatch.setattr(search, "read_rows", lambda name: rows[::2])
    assert set(tables.settings_table(SimpleNamespace(settings="mine"))["by gap to retrained"]) == {"the same"}


# Paths


@pytest.fixture(scope="module")
def walks():
    made = [walk("npo", 0.02 * k, 0.05 * k, p, noise=0.02) for k, p in enumerate(RING)]
    made += [walk("npo", 0.0, 0.0, p, kind="bezier") for p in RING]
    made += [walk("scrub", 0.3, 0.0, p) for p in RING[:2]]
    return [*made, walk("scrub", 0.3, 0.0, RING[2], collapsed=("t = 0: chance",)), *controls()]


def test_one_row_per_path(walks):
    table = tables.paths_table(walks)
    assert len(table) == len(walks)
    expected = "method curve original start end pair role barrier deficit connected collapsed test_barrier".split()
    assert list(table.columns) == expected + ["distance", "cosine", "moved_start", "length"]
    one = table.iloc[4]
    assert (one["method"], one["curve"], one["pair"], one["role"]) == ("npo", "linear", "13-42", "method")
    assert (one["barrier"], one["deficit"], one["test_barrier"]) == pytest.approx((0.08, 0.2, 0.04))
    assert table["connected"].tolist() == [w.connected(TOLERANCE) for w in walks]
    assert table["connected"].dtype == bool and table["collapsed"].sum() == 1
    assert one[["distance", "cosine", "moved_start", "length"]].tolist() == [3.0, 0.25, 2.0, 3.5]
    clean(table)


def test_a_pair_on_another_original_is_named_after_it_as_well():
    on = [walk("npo", 0.1 * k, pair=RING[0], original=k) for k in (0, 1, 2)]
    assert [tables.pair_name(w) for w in on] == ["42-87", "1: 42-87", "2: 42-87"]
    table = tables.paths_table(on)
    assert table["original"].tolist() == [0, 1, 2]
    assert table["pair"].tolist() == list(dict.fromkeys(tables.excess_table(on)["pair"])) == [
        "42-87", "1: 42-87", "2: 42-87",
    ]  # fmt: skip
    assert (table["start"].nunique(), table["end"].nunique()) == (1, 1)


def test_paths_per_method_and_curve(walks):
    table = tables.paths_summary(walks)
    assert table.index.tolist() == [
        ("npo", "linear"), ("npo", "bezier"), ("scrub", "linear"),
        ("other initialisation", "linear"), ("fine-tuned twin", "linear"),
    ]  # fmt: skip
    one = table.loc[("npo", "linear")]
    assert (one["connected"], one["barrier mean"], one["barrier max"]) == ("3 of 5", 0.04, 0.08)
    assert (one["deficit mean"], one["deficit max"]) == (0.1, 0.2)
    assert table.loc[("scrub", "linear"), "collapsed"] == 1
    assert (table["distance"] == 3).all() and (table["cosine"] == 0.25).all()
    clean(table)


def test_excesses_are_zero_at_the_ends_and_the_height_between(walks):
    table = tables.excess_table(walks)
    assert list(table.columns) == ["method", "pair", "curve", "t", "retain_excess", "forget_excess"]
    assert len(table) == len(walks) * len(T)
    ends = table[table["t"].isin([0, 1])]
    assert (ends[["retain_excess", "forget_excess"]] == 0).all(axis=None)
    one = table[(table["method"] == "npo") & (table["curve"] == "linear") & (table["pair"] == "13-42")]
    curves = walks[4].profile.connectivity.curves
    np.testing.assert_allclose(one["retain_excess"], excess(curves["loss_retain"], T) / walks[4].profile.gap)
    assert one["retain_excess"].max() == pytest.approx(0.08)
    assert one["forget_excess"].min() == pytest.approx(-0.2)
    clean(table)


def test_the_share_of_connected_pairs_never_falls_with_the_tolerance(walks):
    eps = np.linspace(0, 0.5, 11)
    table = tables.sweep_table(walks, eps)
    assert list(table.columns) == ["method", "curve", "eps", "fraction", "low", "high"]
    assert len(table) == 5 * len(eps)
    for group, part in table.groupby(["method", "curve"]):
        assert (part["eps"].diff().dropna() > 0).all()
        assert (part["fraction"].diff().dropna() >= 0).all(), group
    assert (table["low"] <= table["fraction"]).all() and (table["fraction"] <= table["high"]).all()
    assert table["fraction"].between(0, 1).all() and table["low"].min() >= 0 and table["high"].max() <= 1
    last = table[table["eps"] == 0.5].set_index(["method", "curve"])["fraction"]
    assert last[("npo", "linear")] == last[("scrub", "linear")] == 1
    assert last[("other initialisation", "linear")] == 0
    clean(table)


def test_a_share_s_interval_counts_shared_seeds_and_examples(walks):
    part = [w for w in walks if (w.method, w.kind) == ("npo", "linear")]
    one = tables.sweep_table(part, [TOLERANCE]).iloc[0]
    worst = np.array([np.maximum(w.replicates("barrier"), w.replicates("deficit")) for w in part])
    hits, nodes = [w.connected(TOLERANCE) for w in part], np.array([w.nodes for w in part])
    expected = share_interval(hits, (worst <= TOLERANCE).astype(float), nodes=nodes)
    assert (one["fraction"], one["low"], one["high"]) == expected
    certain = share_interval(hits, nodes=nodes)
    assert one["high"] - one["low"] >= certain.high - certain.low


def test_the_same_seeds_on_another_original_are_other_draws():
    part = [walk("npo", 0.3 * (k % 2), pair=p, original=o) for o in range(4) for k, p in enumerate(RING[:2])]
    one = tables.sweep_table(part, [TOLERANCE]).iloc[0]
    same = tables.sweep_table([replace(w, original=0) for w in part], [TOLERANCE]).iloc[0]
    assert one["fraction"] == same["fraction"] == 0.5
    assert one["high"] - one["low"] < same["high"] - same["low"]


# Verdicts


def test_verdicts_state_claim_numbers_and_rule():
    found = [
        judge("C1", 0.8, 0.6, 0.9, n_pairs=30, n_seeds=5),
        judge("C2", 0.01, 0.0, 0.05, n_pairs=30, n_seeds=5, p=0.4),
        judge("C21", 0.1, 0.0, 0.3, n_pairs=20, n_seeds=5),
    ]
    lines = clean(tables.verdicts_text(found)).split("\n")
    for v, line, word in zip(found, lines, ("supported", "contradicted", "undecided"), strict=True):
        claim = CLAIMS[v.claim]
        assert line.startswith(f"- **{v.claim}, {word}.** {claim.statement} *Statistic:* {claim.statistic}. *Found:* ")
        assert f"{v.effect:.3f} [{v.low:.3f}, {v.high:.3f}]" in line
        assert line.endswith(f"*Rule:* {claim.rule}.")
        assert f"{v.n_pairs} paths, {v.n_seeds} seeds" in line
    assert ", p = 0.4;" in lines[1] and "p =" not in lines[0]


def test_verdicts_at_another_tolerance_say_that_they_are_not_the_ledgers():
    both = [judge(claim, 0.8, 0.7, 0.9, n_pairs=2, n_seeds=3) for claim in ("C1", "C21")]
    words = clean(tables.verdicts_text(both, 0.2))
    assert "satisfies MCU(0.2)" in words and "deficit exceeds 0.2 G" in words and "MCU(0.1)" not in words
    assert words.endswith("The tolerance fixed before the runs is 0.1 G; at 0.2 G this is not the ledger's verdict.")
    assert "not the ledger's" not in tables.verdicts_text(both)
    other = [judge("C5", 0.8, 0.7, 0.9, n_pairs=2, n_seeds=3)]
    assert tables.verdicts_text(other, 0.2) == tables.verdicts_text(other), "C5 knows no tolerance"


def test_dips_are_set_against_what_models_that_never_saw_the_images_have():
    """The ends' forget losses are 1.0; G is 2: a deficit of 0.15 G dips to 0.7."""
    bend = lambda low: {"loss_forget": np.array([1.0, 1.0, low, 1.0, 1.0])}  # noqa: E731
    made = [walk("npo", 0.0, 0.15, seed=k, metrics=bend(low)) for k, low in enumerate((0.7, 0.7, 0.4, 0.1))]
    others = [walk("npo", 0.5, 0.5, metrics=bend(0.0)), walk("npo", 0.0, 0.05, metrics=bend(0.0))]
    found = tables.dips_text([*made, *others, *controls()], [{"loss_forget": 0.4}, {"loss_forget": 0.6}])
    assert found == (
        "On 2 of the 4 paths that only the deficit keeps from MCU(0.1) the forget loss stays above that of the "
        "retrained models (0.50 nats) at every t; on 1 it falls below that and below both ends by more than 0.1 G."
    )
    assert tables.dips_text(made, [{"loss_forget": 0.5}], 0.2) == "No path fails MCU(0.2) by the deficit alone."


def test_a_verdict_without_numbers_says_so():
    nan = float("nan")
    found = [judge("C21", nan, nan, nan, n_pairs=0, n_seeds=0), Verdict("C3")]
    lines = clean(tables.verdicts_text(found)).split("\n")
    assert lines[0].startswith("- **C21, undecided.**") and lines[1].startswith("- **C3, not run.**")
    assert all("*Found:* nothing to measure." in line for line in lines)


def test_tables_leave_their_walks_alone(walks):
    before = [replace(w) for w in walks]
    tables.paths_summary(walks), tables.sweep_table(walks, [0.1]), tables.excess_table(walks)
    assert [w.profile.arrays["measure/barrier_retain"] for w in walks] == [
        w.profile.arrays["measure/barrier_retain"] for w in before
    ]
