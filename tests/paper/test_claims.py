"""The claims and the ledger as files: complete, written the same each time, read back to the digit, told in tables."""

import math
import re

import pytest
from hypothesis import given, settings, strategies as st

from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.paper import claims

OURS = ["E4", "M0", "M1"]
SOURCES = {"abstract 2025", "abstract 2026", "digest", "review", "code", "ours"}
NOT_YET = ["N8", "N9"]  # what no method here could tell


def row(claim, effect=None, width=0.05, verdict="supported", **more):
    """A row of the ledger; without an effect it was not run."""
    found = dict.fromkeys(claims.COLUMNS) | {"id": claim, "row": claim, "claim": claims.CLAIMS[claim].statement}
    found |= {"source": claims.CLAIMS[claim].source, "notebook": claims.CLAIMS[claim].notebook, "verdict": "not run"}
    if effect is not None:
        found |= {"effect": effect, "low": effect - width, "high": effect + width, "verdict": verdict, "unit": "G"}
        found |= {"n_originals": 8, "n_cells": 48, "least": 0.125, "threshold": "0.5"}
    return found | more


def rows(**effects):
    return [row(name, effects.get(name)) for name in claims.CLAIMS]


def test_all_claims_are_there_and_complete():
    assert [one for one in claims.CLAIMS if claims.ledger_of(one) == "claims"] == [f"C{i}" for i in range(1, 25)] + OURS
    neighbours = [one for one in claims.CLAIMS if claims.ledger_of(one) == "neighbours"]
    assert neighbours == sorted(neighbours) and {"N1", *NOT_YET} <= set(neighbours)
    assert [name for name, claim in claims.CLAIMS.items() if claim.waits] == NOT_YET
    for name, claim in claims.CLAIMS.items():
        assert claim.id == name and claim.statement.endswith(".")
        articles = {one for one in claim.source.split("; ") if re.fullmatch(r"arXiv \d{4}\.\d{5}", one)}
        assert set(claim.source.split("; ")) <= SOURCES | articles and (name in neighbours or not articles)
        assert re.fullmatch(r"\d\d_\w+(, \d\d_\w+)*", claim.notebook) or (claim.waits and not claim.notebook)


def test_what_was_not_measured_is_an_empty_cell(tmp_path):
    nan = math.nan
    claims.write_ledger([row("C12", 0.5) | {"effect": nan, "low": nan, "high": nan}], tmp_path / "new" / "folder")
    assert "nan" not in (tmp_path / "new" / "folder" / "claims.csv").read_text()
    assert claims.effect_text({"effect": nan, "low": nan, "high": nan}) == "-" == claims.effect_text({})
    assert claims.effect_text({"effect": 0.5, "low": -math.inf, "high": math.inf}, 1) == "0.5 (no interval)"


NUMBER = st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.4g}")) | st.none()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.tuples(NUMBER, NUMBER, NUMBER), st.text("ab ,\"'|;", max_size=5), st.integers(0, 99) | st.none())
def test_any_ledger_is_read_back_to_four_digits(tmp_path_factory, found, notes, count):
    folder = tmp_path_factory.mktemp("ledger")
    made = [row("C1") | dict(zip(("effect", "low", "high"), found, strict=True)) | {"notes": notes, "needed": count}]
    claims.write_ledger(made, folder)
    assert claims.read_ledger(folder / "claims.csv") == [one | {"notes": notes or None} for one in made]


@pytest.mark.parametrize(
    ("found", "digits", "text"),
    [
        ((0.12, 0.08, 0.2), 3, "0.120 [0.080, 0.200]"),
        ((0.12, -0.08, 0.2), 1, "0.1 [-0.1, 0.2]"),
        ((0.0004, 0.0002, 0.0006), 3, "0.0004 [0.0002, 0.0006]"),
        ((4e-6, 2e-6, 6e-6), 3, "0.0000 [0.0000, 0.0000]"),  # four digits are the most
        ((0.0, 0.0, 0.0), 2, "0.00 [0.00, 0.00]"),
        ((-0.001, -0.004, 0.5), 2, "0.00 [0.00, 0.50]"),  # nothing has no sign
        ((0.5, -math.inf, math.inf), 2, "0.50 (no interval)"),
        ((0.5, 0.25, math.inf), 2, "0.50 [0.25, inf]"),
    ],
)
def test_an_estimate_and_its_interval_in_words(found, digits, text):
    assert claims.spread(found, digits) == claims.interval_text(found, digits) == text
    assert claims.effect_text(dict(zip(("effect", "low", "high"), found, strict=True)), digits) == text


def test_cells_and_tables_of_any_rows():
    cells = {None: "", math.nan: "", 0.123456: "0.1235", 12: "12", "a|b": "a|b", 1e-7: "1e-07", True: "True"}
    assert [claims.text_of(value) for value in cells] == list(cells.values())
    found = claims.markdown([{"a": 1, "b": "x|y"}, {"a": 0.5}])
    assert found == "| a | b |\n| --- | --- |\n| 1 | x\\|y |\n| 0.5 |  |\n"
    assert claims.markdown([{"a": 1, "b": 2}], ["b"]) == "| b |\n| --- |\n| 2 |\n" and claims.markdown([]) == ""


def test_the_protocol_s_page_has_the_lines_that_are_declared():
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    lines = claims.protocol_table().splitlines()
    assert len(lines) == len(claims.PROTOCOL) + 2 and all(line.count("|") >= 6 for line in lines)
    assert [line for line in lines if line not in page] == []


def test_neighbours_have_a_file_of_the_same_form_and_both_are_read_together(tmp_path):
    made = [row("C1", 0.75, 0.125), row("N1", -0.25, 0.125), row("N8", notes="needs more", notebook=None)]
    claims.write_ledger(made, tmp_path)
    for name, expected in (("claims", made[:1]), ("neighbours", made[1:])):
        assert claims.read_ledger(tmp_path / f"{name}.csv") == expected
    assert claims.read_ledgers(tmp_path) == made and claims.rows_of(made, "neighbours") == made[1:]
    text = (tmp_path / "claims.md").read_text()
    assert text.index("## The ledger") < text.index("| C1 |") < text.index("## What neighbours claim")
    assert text.index("## What neighbours claim") < text.index("| N1 |")
    (tmp_path / "neighbours.csv").unlink()
    assert claims.read_ledgers(tmp_path) == made[:1]
    claims.write_ledger(made[:1], tmp_path / "alone")
    assert not (tmp_path / "alone" / "neighbours.csv").exists()
    (tmp_path / "claims.csv").unlink()
    for what in (lambda: claims.read_ledgers(tmp_path), lambda: claims.rows_of(made, "others")):
        with pytest.raises(BadInput, match="ledger"):
            what()


@pytest.mark.parametrize(
    "content",
    [None, "", "id,claim\nC1,x\n", ",".join(claims.COLUMNS) + "\n" + ",".join(["much"] * len(claims.COLUMNS)) + "\n"],
)
def test_a_file_that_is_no_ledger_is_refused(content, tmp_path):
    path = tmp_path / "claims.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match="is not a ledger of claims") as error:
        claims.read_ledger(path)
    assert str(error.value).count("is not a ledger") == 1


def test_changed_verdicts_are_said_and_nothing_else():
    before = [row("C1", 0.9), row("C5", 0.12, verdict="undecided")]
    assert claims.changes(before, before) == []
    assert claims.changes(before, [row("C1", 0.8), row("C5", 0.2)]) == [
        "C5: undecided 0.12 [0.07, 0.17] before, supported 0.20 [0.15, 0.25] now"
    ]
    assert claims.changes(before, [row("C1", 0.9), row("C5")]) == [
        "C5: undecided 0.12 [0.07, 0.17] before, not run now"
    ]


def test_replications_are_read_by_preset(tmp_path):
    for name in ("b", "a"):
        claims.write_ledger(rows(C1=0.9), tmp_path)
        (tmp_path / "laptop").mkdir(exist_ok=True)
        (tmp_path / "claims.csv").rename(tmp_path / "laptop" / f"{name}.csv")
        (tmp_path / "neighbours.csv").rename(tmp_path / "laptop" / f"{name}.neighbours.csv")
    found = claims.replications("laptop", tmp_path)
    assert list(found) == ["a", "b"] and claims.changes(rows(C1=0.9), found["a"]) == []
    assert claims.replications("smoke", tmp_path) == {}
    (tmp_path / "laptop" / "c.csv").write_text("id\nC1\n")
    with pytest.raises(BadInput, match="c.csv is not a ledger"):
        claims.replications("laptop", tmp_path)


@pytest.mark.parametrize("name", ["claims", "intel_xeon"])
def test_ledgers_of_the_first_design_are_kept_and_are_no_replications(name):
    found = claims.first_design(name)
    assert list(found) == [f"C{i}" for i in range(1, 25)]
    assert {one["verdict"] for one in found.values()} == {"supported", "contradicted", "undecided", "not run"}
    with pytest.raises(BadInput, match="its columns must be"):
        claims.read_ledger(claims.REPLICATIONS / claims.FIRST / f"{name}.csv")


def test_the_tables_have_a_line_for_every_row():
    made = [row("C1", 0.8, 0.2, floor="supported", worse_end="undecided", two_sided="supported"), row("C3")]
    lines = claims.markdown_table(made).splitlines()
    assert lines[0].startswith("| row | claim | verdict | effect [95 %] | unit | originals | other readings |")
    told = f"| C1 | {claims.CLAIMS['C1'].statement} | supported | 0.80 [0.60, 1.00] | G | 8 |"
    assert lines[2] == f"{told} worse_end undecided | 02_seeds |"
    assert lines[3].endswith("| not run |  |  |  |  | 13_datasets_and_architectures |")
    same = claims.markdown_table([row("C1", 0.8, floor="supported", worse_end="supported", two_sided="supported")])
    assert "| 8 | the same |" in same


def test_power_is_told_of_each_planted_effect(tmp_path):
    known = claims.power()
    assert claims.power_text("C1", known).startswith(
        "straight paths: supported in 50 of 50 worlds; dips of 0.2 G in all:"
    )
    assert claims.power_text("C2", known).count("worlds") == 1 and claims.power_text("N8", known) == ""
    assert claims.power(tmp_path / "none.csv") == {}


def test_a_table_is_put_between_its_marks():
    text = "before\n<!-- claims -->\nold\n<!-- /claims -->\nafter\n"
    new = claims.update_between(text, "| a |\n| b |\n")
    assert new == "before\n<!-- claims -->\n| a |\n| b |\n<!-- /claims -->\nafter\n"
    assert claims.update_between(new, "| a |\n| b |\n") == new
    assert claims.update_between("<!-- x --><!-- /x -->", "t", name="x") == "<!-- x -->\nt\n<!-- /x -->"


@pytest.mark.parametrize("marks", ["", "b", "e", "eb", "bbe", "beb", "bee", "ebe"])
def test_marks_must_stand_there_once_and_in_order(marks):
    text = " ".join({"b": "<!-- claims -->", "e": "<!-- /claims -->"}[one] for one in marks)
    with pytest.raises(BadInput, match="must hold <!-- claims --> and, after it, <!-- /claims -->"):
        claims.update_between(text, "table")


def test_the_committed_ledger_stands_in_the_readme_and_in_full_in_the_results():
    found = claims.read_ledgers(ROOT / "figures")
    assert sorted({one["id"] for one in found}) == sorted(claims.CLAIMS)
    for one in found:
        claim, told = claims.CLAIMS[one["id"]], claims.PROTOCOL.get(one["row"], claims.PROTOCOL.get(one["id"], {}))
        assert (one["claim"], one["source"]) == (claim.statement, claim.source)
        assert all((one[name] or "") == told.get(name, "") for name in ("statistic", "unit", "null", "threshold"))
    there = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert not [one["row"] for one in found if one["verdict"] == "not run" and one["notebook"] in there]
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    for name in claims.LEDGERS:
        assert claims.update_between(text, claims.markdown_table(claims.rows_of(found, name)), name) == text
