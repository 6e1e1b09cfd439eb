"""Verdicts in words: what a row found, what the gate leaves out, and the controls."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from made_worlds import METHODS, Shape, World, controlled, walk, world

from mcutils.measures.intervals import Interval
from mcutils.paper import verdicts
from mcutils.paper.declared import c1, c2
from mcutils.paper.trials import Finding
from mcutils.paper.verdicts import READ, Judged, Row, controls_text, gate_table, gate_text, verdict_text, verdicts_text
from mcutils.paper.walks import RETRAINED

FOUND = Finding(Interval(0.9, 0.8, 1.0), "supported", 8, 48, Interval(0.0, 0.0, 0.1), 0.1)
ROW = Row("C1", "", ("02_seeds",), c1)


@pytest.fixture(scope="module")
def walked():
    """Straight walks of eight originals, of which those of one method never unlearned."""
    shape = controlled(lambda labels: Shape(ends=(0.05, 0.05)) if labels["method"] == "npo" else Shape())
    return world(shape, ("random",), spread=0.005)


def test_a_row_knows_its_readings_and_options():
    assert ROW.readings == READ and ROW.takes("eps")
    rough = Row("C2", "roughness", (), partial(c2, measure="roughness"))
    assert rough.readings == ("chord",) and not rough.takes("measure") and rough.name == "C2 roughness"
    assert not Row("C3", "", (), None).takes("eps")


def test_a_verdict_tells_claim_statistic_numbers_null_and_rule():
    text = verdict_text(Judged(ROW, dict.fromkeys(READ, FOUND)))
    assert text.startswith("**C1, supported.** Two models unlearned by one method with two seeds")
    for words in ("*Found:* 0.900 [0.800, 1.000] (share of methods); 8 originals, 48 cells.", "0.000 [0.000, 0.100]"):
        assert words in text
    assert 'supported above 0.5 ("often"), contradicted below' in text and "say the same" in text
    assert "Undecided" not in text


def test_readings_with_another_verdict_are_named_with_their_numbers():
    other = replace(FOUND, effect=Interval(0.1, 0.0, 0.2), verdict="contradicted")
    one = Judged(ROW, {"chord": FOUND, "floor": FOUND, "worse_end": other})
    assert "*Other readings say otherwise:* `worse_end` contradicted, 0.10 [0.00, 0.20]." in verdict_text(one)
    assert list(one.flipped) == ["worse_end"] and one.verdict == "supported"


def test_why_a_row_is_undecided_is_said_and_many_reasons_are_cut():
    one = replace(FOUND, verdict="undecided", notes=tuple(f"reason {k}" for k in range(6)))
    text = verdict_text(Judged(ROW, {"chord": one}))
    assert "*Undecided because:* reason 0; reason 1; reason 2; reason 3; 2 more." in text
    nothing = replace(one, effect=Interval(np.nan, np.nan, np.nan), null=None, notes=())
    assert "nothing to measure" in verdict_text(Judged(ROW, {"chord": nothing}))
    assert verdicts.found_text(nothing) == "undecided"


def test_a_list_leaves_out_what_was_not_run_and_says_where_the_tolerance_is_another():
    rows = [Judged(ROW, {"chord": FOUND}), Judged(Row("C3", "", (), None))]
    assert verdicts_text(rows).count("\n") == 0 and verdicts_text(rows).startswith("- **C1, supported.**")
    assert "at 0.2 G these are not the ledger's" in verdicts_text(rows, 0.2) and "MCU(0.2)" in verdicts_text(rows, 0.2)
    assert verdicts_text(rows[1:]) == "No row could be judged on these walks."
    assert verdicts.verdicts_line(rows) == "C1: supported" and rows[1].verdict == "not run"


def test_the_gate_is_told_by_name(walked):
    text = gate_text(walked)
    assert f"**Verdicts read {16 * (len(METHODS) - 1)} of {16 * len(METHODS)} walks.**" in text
    assert "- NPO (`random`): start did not forget, 16 of 16 walks" in text and "<details>" not in text
    passing = [w for w in walked if w.method == "scrub" and not w.control]
    assert gate_text(passing) == "**Verdicts read 16 of 16 walks.** None is left out."


def test_what_the_gate_leaves_out_is_folded_where_it_is_long(walked, monkeypatch):
    monkeypatch.setattr(verdicts, "SHORT", 1)
    text = gate_text(walked)
    assert "did not forget (16)" in text.split("<details>")[0] and text.endswith("</details>")


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (
            "1 originals are left, and fewer than 4 decide nothing",
            "1 original is left, and fewer than 4 decide nothing",
        ),
        (
            "3 originals are left, and fewer than 4 decide nothing",
            "3 originals are left, and fewer than 4 decide nothing",
        ),
        ("without linear the verdict would be another", "without the lines the verdict would be another"),
        ("without npo the verdict would be another", "without NPO the verdict would be another"),
        ("without random_labels the verdict would be another", "without random labels the verdict would be another"),
        ("its null reaches -0.5 to 0.375", "its null reaches from -0.5 to 0.375"),
        ("loss_retain is not resolved", "retain loss is not resolved"),
    ],
)
def test_reasons_are_told_in_a_reader_s_words(why, words):
    assert verdicts.reason_text(why) == words


def test_the_table_of_the_gate_counts_each_end_once_and_begins_with_the_worst(walked):
    table = gate_table(walked)
    assert table.index[0] == "npo" and table.loc["npo", ["ends", "pass"]].to_list() == [16, 0]
    assert set(table["ends"]) == {16} and table["pass"].sum() == 16 * (len(METHODS) - 1)
    assert table.loc["npo", "closes, loss"] == pytest.approx(0.05, abs=0.02)
    made = World(spread=0.0)
    ends = [walk(made, method="npo", kind="linear", condition=c) for c in ("cl-non_cl", "fo-so", "random")]
    found = gate_table([replace(w, form="") for w in ends])
    assert dict(zip(found["with"], found["ends"], strict=True)) == {"curriculum": 1, "": 2, "second order": 1}
    far = walk(World(shape=lambda labels: Shape(ends=(2.5, 1.2)), spread=0.0), method="npo", kind="linear")
    assert gate_table([far])["over"].to_list() == [1]


def test_controls_are_told_and_failures_are_named(walked):
    held = controls_text(walked)
    assert held.startswith("**Controls held.**") and "8 of 8 fine-tuned twins satisfy MCU(0.1) (all must)." in held
    failed = controls_text([w for w in walked if not w.control])
    assert failed.startswith("**Controls FAILED") and "\n- control: no barrier between different originals" in failed


def test_where_retrained_models_are_the_control_their_lines_are_told():
    made = World(shape=lambda labels: Shape(rise=5.0), spread=0.0)
    one = walk(made, method="retrain", kind="linear", control=RETRAINED, init="other init")
    assert controls_text([one]).startswith("**Controls held.** Lines between retrained models")
    flat = walk(World(spread=0.0), method="retrain", kind="linear", control=RETRAINED, init="other init")
    assert controls_text([one, flat]).startswith("**Controls FAILED")
