"""The ledger of the declared tests: rows, readings, corrected intervals, halves, and what the gate leaves out."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from made_worlds import METHODS, Shape, controlled, world

from mcutils.cli.main import catalogue
from mcutils.errors import BadInput
from mcutils.paper import trial_ledger, trials
from mcutils.paper.claims import CLAIMS, COLUMNS, LEDGERS
from mcutils.paper.trial_ledger import PROTOCOL, ROWS, flips_between, judge_declared, judge_room
from mcutils.paper.verdicts import READ, left_out

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def walked():
    """Ends at 1.2 G whose middle dips to 1.04 G; one method never unlearned."""

    def shape(labels):
        ends = (0.05, 0.05) if labels["method"] == "npo" else (1.2, 1.2)
        return Shape(dip=0.16, ends=ends)

    return {"02_seeds": world(controlled(shape), ("random",), spread=0.005)}


@pytest.fixture(scope="module")
def judged(walked):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "DRAWS", 5)
        return judge_declared(walked, splits=1)


def test_the_protocol_has_the_table_of_the_registry():
    written = (DOCS / "protocol.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in trial_ledger.protocol_table().splitlines() if line not in written] == []


def test_every_declared_claim_has_a_row():
    assert set(PROTOCOL) <= {row.id for row in ROWS} | {row.name for row in ROWS} and all(row.told for row in ROWS)
    assert [row.id for row in ROWS].count("M0") == 4 and [row.id for row in ROWS].count("E4") == 2
    assert [row.id for row in ROWS].count("N1") == 2
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_every_row_stands_and_what_has_no_walks_is_not_run(judged):
    rows = trial_ledger.trial_rows(judged)
    assert [row["row"] for row in rows if row["id"] in {one.id for one in ROWS}] == [row.name for row in ROWS]
    assert all(list(row) == COLUMNS for row in rows) and {row["id"] for row in rows} == set(CLAIMS)
    run = {row["row"] for row in rows if row["verdict"] != "not run"}
    assert run == {"C1", "C2 deficit", "C2 roughness", "C21"}


def test_readings_have_verdicts_of_their_own_and_their_flips_are_listed(judged):
    (one,) = [one for one in judged if one.row.id == "C1"]
    words = {reading: found.verdict for reading, found in one.found.items()}
    assert words == dict(zip(READ, ("contradicted", "supported", "contradicted", "contradicted"), strict=True))
    assert {"row": "C1", **words} in flips_between(judged)
    assert [set(one.found) for one in judged if one.row.name == "C2 roughness"] == [{"chord"}]


def test_corrected_intervals_are_wider_and_halves_are_judged(judged):
    (row,) = [row for row in trial_ledger.trial_rows(judged) if row["row"] == "C1"]
    assert row["corrected_low"] <= row["low"] and row["corrected_high"] > row["high"]
    assert row["n_originals"] == 8 and 0 <= row["flips"] <= 1
    assert 0 <= row["opposite"] <= row["halves"] <= 1


def test_a_room_has_the_rows_of_its_claims_that_its_walks_can_judge(judged, walked):
    found = judge_room(walked, ("C21", "C1", "C2 deficit", "C5", "M1"))
    assert [one.row.name for one in found] == ["C1", "C2 deficit", "C21"]
    whole = {one.row.name: one for one in judged}
    for one in found:
        assert dict(one.found) == dict(whole[one.row.name].found) and one.corrected is None
    assert judge_room({"02_seeds": []}, ("C1",)) == []
    with pytest.raises(BadInput, match="C99"):
        judge_room(walked, ("C99",))


def test_the_tolerance_reaches_the_tests_that_have_one(walked):
    dips = [judge_room(walked, ("C1", "C21"), eps=eps) for eps in (0.1, 0.2)]
    words = [[one.verdict for one in both] for both in dips]
    assert words == [["contradicted", "supported"], ["supported", "undecided"]]
    with pytest.raises(BadInput, match="tolerance"):
        judge_room(walked, ("C1",), eps=-0.1)


def test_what_the_gate_leaves_out_is_named_and_counted(walked):
    (row,) = [row for row in left_out(walked["02_seeds"]) if row["why"] == "start did not forget"]
    assert row["method"] == "npo" and row["walks"] == row["of"] == 16
    counts = trial_ledger.counts(walked["02_seeds"])
    assert counts == {"walks": 16 * len(METHODS), "admitted": 16 * (len(METHODS) - 1)}


def test_a_small_p_is_asked_for_where_many_are_judged(judged):
    (one,) = [one for one in judged if one.row.name == "C2 deficit"]
    found = replace(one.found["chord"], verdict="supported", p=0.01)
    assert trial_ledger._corrected(found, 0.95).verdict == "supported"
    assert trial_ledger._corrected(found, 0.999).verdict == "undecided"


def test_files_hold_the_rows(judged, walked, tmp_path):
    trial_ledger.write_trials(judged, walked["02_seeds"], tmp_path)
    rows = []
    for name in LEDGERS:
        with open(tmp_path / f"{name}.csv", newline="", encoding="utf-8") as file:
            rows += csv.DictReader(file)
    assert {row["id"]: row["notes"] for row in rows}["N8"].startswith("needs unlearning by sign descent")
    assert [row["row"] for row in rows if row["id"] in {one.id for one in ROWS}] == [row.name for row in ROWS]
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "did not forget" in text and "## Verdicts that differ between readings" in text


def test_the_list_of_claims_has_what_is_declared():
    rows = {row["name"]: row["declared"] for row in catalogue("claims")}
    assert list(rows) == list(CLAIMS)
    assert rows == {name: PROTOCOL.get(name, {}) for name in CLAIMS} and rows["C1"]
    words = {"statistic", "rule", "null", "planted", "unit", "threshold", "direction", "edges"}
    assert all(set(told) == words for told in PROTOCOL.values())
