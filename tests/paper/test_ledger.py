"""The room `ledger`: what is judged, its tables and its forest, on made walks and made findings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_worlds import Shape, controlled, world

from mcutils.measures.intervals import Interval
from mcutils.paper import ledger as room
from mcutils.paper.claims import CLAIMS, PROTOCOL, interval_text
from mcutils.paper.registry import PRICED_APART
from mcutils.paper.trial_ledger import ROWS, needed, trial_rows
from mcutils.paper.trials import Finding
from mcutils.paper.verdicts import READ, Judged

BY_NAME = {row.name: row for row in ROWS}
FEW = "0 originals are left, and fewer than 4 decide nothing"


def judged(name, low, high, word="supported", strict=None, **more):
    """A row with an interval by the chord, and one at the corrected level."""
    found = Finding(Interval((low + high) / 2, low, high), word, 8, 48, least=0.1, flips=0.25)
    found = replace(found, **more)
    wide = (
        found
        if strict is None
        else replace(found, effect=Interval((low + high) / 2, low - 1, high + 1), verdict=strict)
    )
    return Judged(BY_NAME[name], {"chord": found}, wide, (0.5, 0.0))


FOUND = [
    judged("C1", 0.6, 0.9),
    judged("C2 deficit", 0.3, 0.6, strict="undecided", p=0.004),
    judged("C5", -0.3, 0.2, "undecided"),
    judged("C8", 0.1, 0.3, "contradicted"),
    judged(
        "C16",
        np.nan,
        np.nan,
        "undecided",
        n_originals=0,
        notes=("0 originals are left, and fewer than 4 decide nothing",),
    ),
    Judged(BY_NAME["C3"]),
]


@pytest.fixture(scope="module")
def walked():
    return {"02_seeds": world(controlled(lambda labels: Shape()), ("random",), originals=2)}


def test_the_walks_of_all_experiments_are_gathered(study, monkeypatch):
    routes = {"02_seeds": lambda s: ["a", "b"], "03_curriculum": lambda s: ["c"]}
    monkeypatch.setattr(room, "ROUTES", routes)
    monkeypatch.setattr(room, "walk_all", lambda s, given: [f"walk {one}" for one in given])
    assert room.gather(study) == {"02_seeds": ["walk a", "walk b"], "03_curriculum": ["walk c"]}


def test_what_is_priced_apart_is_judged_where_it_was_computed_alone(study, monkeypatch):
    first = room.Apart("distances", lambda s: ["one", "two"], lambda s: (["a walk"], {(200, "npo"): 1}))
    other = room.Apart("numbers", lambda s: ["three"], lambda s: (["another"], 2))
    monkeypatch.setattr(room, "APART", {"n1": first, "other": other})
    drawn = replace(study, preset=replace(study.preset, originals=8))
    assert room.apart(replace(drawn, store={"one"})) == ({}, {})
    found = {"n1": ["a walk"]}, {"distances": {(200, "npo"): 1}}
    assert room.apart(replace(drawn, store={"one", "two"})) == found
    bare = replace(study, store={"one", "two", "three"}, preset=replace(study.preset, originals=0))
    assert room.apart(bare) == ({"other": ["another"]}, {"numbers": 2})


def test_what_is_priced_apart_bears_the_names_of_the_registry():
    assert set(room.APART) <= set(PRICED_APART)
    assert room.APART["n1"].needs is PRICED_APART["n1"]


def test_the_ledger_shows_what_was_run_with_its_null_and_readings():
    one = judged("C1", 0.6, 0.9, null=Interval(0.0, 0.0, 0.1))
    other = replace(one.found["chord"], verdict="contradicted")
    both = replace(one, found={**one.found, "floor": other})
    table = room.ledger_table([both, *FOUND[1:]])
    assert table.index.to_list() == ["C1", "C2 deficit", "C5", "C8", "C16"]
    assert table.loc["C1", ["effect [95 %]", "null", "least"]].to_list() == [
        "0.750 [0.600, 0.900]", "0.00 [0.00, 0.10]", "0.1",
    ]  # fmt: skip
    assert table.loc["C1", list(READ)].to_list() == ["supported", "contradicted", "", ""]
    assert table.loc["C16", "effect [95 %]"] == "-" and table.loc["C2 deficit", "p"] == "0.004"
    assert isinstance(room.ledger_table([FOUND[-1]]), pd.DataFrame) and len(room.ledger_table([])) == 0
    flips = room.flips_table([both, *FOUND[1:]])
    assert flips.index.to_list() == ["C1"] and flips.loc["C1", "floor"] == "contradicted, 0.75 [0.60, 0.90]"


def test_many_rows_are_held_to_a_wider_interval():
    table = room.corrected_table(FOUND)
    assert dict(table["survives"]) == {"C1": "yes", "C2 deficit": "no", "C5": "-", "C8": "yes", "C16": "-"}
    assert table.loc["C2 deficit", "corrected interval"] == "0.450 [-0.700, 1.600]"
    assert room.strict_level(FOUND) == pytest.approx(1 - 0.05 / 5) and room.strict_level([]) == pytest.approx(0.95)


def test_firmness_is_told_in_per_cent():
    table = room.firmness_table(FOUND)
    words = table.loc["C1", ["bootstrap flips", "halves differ", "halves opposite"]].to_list()
    assert words == ["25 %", "50 %", "0 %"]
    unknown = replace(FOUND[0], halves=(float("nan"),) * 2)
    assert room.firmness_table([unknown]).loc["C1", "halves differ"] == "-"


def test_undecided_rows_say_how_many_originals_would_decide_and_what_they_cost():
    table = room.undecided_table(FOUND, {"C5": 1800.0, "C16": 60.0})
    count = needed(FOUND[2])
    assert table.index.to_list() == ["C5", "C16"] and count > 8
    assert table.loc["C5", "originals that would decide"] == str(count)
    assert table.loc["C5", "CPU hours for them"] == f"{(count - 8) / 2:.1f}"
    assert table.loc["C16", ["originals that would decide", "CPU hours for them"]].to_list() == ["4", "0.1"]
    assert table.loc["C5", "why"] == "its interval holds the threshold" and "0 originals" in table.loc["C16", "why"]


def test_nothing_but_the_number_of_originals_is_cured_by_more_of_them():
    open_row = FOUND[2]
    for note in (
        "control: no barrier between different originals",
        "copies: a has the numbers of b",
        "without npo ...",
    ):
        carried = replace(open_row.found["chord"], notes=(note,))
        assert needed(replace(open_row, found={"chord": carried})) is None
    leaning = replace(open_row, found={"chord": replace(open_row.found["chord"], carried=("npo",))})
    assert needed(leaning) is None
    shown = room.undecided_table([leaning], {}).loc["C5"]
    assert shown["originals that would decide"] == "no number would"
    assert shown["why"] == "without npo its mean lies elsewhere"
    few = replace(open_row.found["chord"], effect=Interval(0.5, 0.45, 0.55), n_originals=2,
                  notes=("2 originals are left, and fewer than 4 decide nothing",))  # fmt: skip
    assert needed(replace(open_row, found={"chord": few})) == 4
    assert needed(FOUND[0]) is None and needed(FOUND[-1]) is None


def test_an_original_costs_what_its_experiments_need(laptop, monkeypatch):
    monkeypatch.setattr(room, "seconds_of", lambda store: lambda description: 2.0)
    monkeypatch.setattr(room, "EXPERIMENTS", {"02_seeds": lambda s: [s.original(k) for k in (0, 1, 1, 2)]})
    found = room.seconds_of_original(laptop, [FOUND[0], FOUND[-1]])
    assert found["C1"] == 2.0 and np.isnan(found["C3"])


def test_controls_are_told_for_every_experiment(walked):
    text = room.controls_list({**walked, "05_methods": []})
    assert text.count("- `") == 1 and text.startswith("- `02_seeds`. **Controls held.**")
    both = room.controls_list({**walked, "08_curve_fitting": walked["02_seeds"]})
    assert both.startswith("- `02_seeds`, `08_curve_fitting`. **Controls held.**") and both.count("\n- `") == 0


def test_a_threshold_is_told_as_the_effect_is():
    told = {name: room.threshold_text(judged(name, 0.0, 1.0)) for name in ("C1", "C5", "C8")}
    assert told == {"C1": "0.5", "C5": "±0.1", "C8": "0, that is eps of 0.1"}


def test_the_first_design_stands_beside_this_one():
    table = room.before_table(FOUND)
    assert "C3" not in table.index and "C14" not in table.index  # neither judged them
    assert (
        table.loc["C1", "first design"].startswith("supported 0.90 [") and table.loc["C1", "this design"] == "supported"
    )
    assert table.loc["C2", "this design"] == "deficit: supported" and table.loc["C4", "this design"] == "not run"


def test_a_replication_is_laid_beside_the_ledger():
    here = trial_rows([FOUND[0], judged("C5", 0.05, 0.2, "undecided"), judged("C8", 0, 0.2)])
    there = trial_rows([judged("C1", 0.7, 1.0), judged("C5", 0.11, 0.14), judged("C8", 0.2, 0.4, "undecided")])
    table = room.replication_table(here, there)
    assert table.index.to_list() == ["C1", "C5", "C8"]
    assert table["inside"].to_list() == ["yes", "yes", "no"] and table["same"].to_list() == ["yes", "NO", "NO"]
    assert table.loc["C1", ["effect here", "effect there"]].to_list() == [
        "0.750 [0.600, 0.900]",
        "0.850 [0.700, 1.000]",
    ]
    assert len(room.replication_table(trial_rows([]), there)) == 0


def test_claims_that_were_not_run_say_why():
    table = room.not_run_table(trial_rows(FOUND))
    assert "C1" not in table.index and {"C3", "C14", "N1"} <= set(table.index)
    assert table.loc["C3", "why"] == f"{CLAIMS['C3'].notebook} does not exist yet"
    assert table.loc["C21", "why"] == "its walks are not in the store"
    assert table.loc["N9", "why"] == f"needs {CLAIMS['N9'].waits}"


def test_every_claim_has_its_rows_and_those_without_one_were_not_run():
    rows = trial_rows(FOUND)
    assert list(dict.fromkeys(row["id"] for row in rows)) == list(CLAIMS)
    words = {row["row"]: row["verdict"] for row in rows}
    assert (words["C1"], words["C8"], words["C14"]) == ("supported", "contradicted", "not run")
    assert {row["row"]: row["needed"] for row in rows if row["needed"]} == {"C5": needed(FOUND[2]), "C16": 4}


def test_the_forest_has_a_line_for_each_row_judged():
    table = room.forest_table(FOUND).set_index("row")
    numbers = table.loc["C2 deficit", ["x", "low", "high", "wide_low", "wide_high"]].to_list()
    assert numbers == pytest.approx([0.45, 0.3, 0.6, -0.7, 1.6])
    assert table.loc["C5", "edges"] == (-0.1, 0.1) and table.loc["C5", "direction"] == "outside"
    assert table.loc["C1", ["effect", "threshold"]].to_list() == ["0.75 [0.60, 0.90]", "0.5"]
    assert table.loc["C16", "effect"] == "nothing to measure" and table.loc["C2 deficit", "statement"].endswith(
        "(deficit)"
    )
    assert table["survives"].to_list() == [True, False, False, True, False]


def test_units_that_share_a_panel_are_those_of_the_protocol():
    known = {told["unit"] for told in PROTOCOL.values()}
    grouped = [unit for units in room.UNITS.values() for unit in units]
    assert set(grouped) <= known and len(set(grouped)) == len(grouped)
    assert set(room.WHOLE) <= set(room.UNITS)


def test_rows_of_one_claim_are_told_apart_beside_the_forest_however_long_its_sentence():
    names = [row.name for row in ROWS]
    table = room.forest_table([judged(name, 0.02, 0.08) for name in names])
    said = [room._statement(one) for one in table.itertuples()]
    assert len(set(said)) == len(names)
    for name, text in zip(table["row"], said, strict=True):
        number, _, measure = name.partition(" ")
        words = " ".join(text.split())
        assert words.startswith(number) and max(map(len, text.splitlines())) <= room.WIDTH
        assert len(text.splitlines()) <= room.LINES
        assert words.endswith(f"({measure})" if measure else (".", "…"))


def test_the_forest_groups_by_unit_and_is_hollow_where_the_correction_takes_a_verdict():
    table = room.forest_table([*FOUND, judged("M0 originals", 0.02, 0.08), judged("C15", -np.inf, np.inf, "undecided")])
    fig = room.forest_figure(table, level=0.99)
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert titles[0] == "Share of methods, originals or paths" and "Ratio of barriers" in titles and len(titles) == 5
    marks = {float(line.get_xdata()[0]): line for ax in fig.axes for line in ax.get_lines()
             if line.get_marker() not in ("None", "")}  # fmt: skip
    for x, word, hollow in ((0.75, "supported", False), (0.45, "supported", True), (0.2, "contradicted", False)):
        colour, marker = room.VERDICT_STYLES[word]
        line = marks[min(marks, key=lambda other, x=x: abs(other - x))]
        assert (line.get_marker(), line.get_markeredgecolor()) == (marker, colour)
        assert (line.get_markerfacecolor() == "white") == hollow
    shown = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert "nothing to measure\n(0.5)" in shown and f"{interval_text((0.05, 0.02, 0.08), 2)}\n(0.1)" in shown
