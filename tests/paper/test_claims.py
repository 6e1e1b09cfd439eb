"""The ledger of claims: each rule can come out each way, and the tables are complete and reproducible."""

import csv
import math
import re

import pytest

from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.measures.intervals import Interval
from mcutils.paper.claims import (
    CLAIMS,
    COLUMNS,
    VERDICTS,
    Verdict,
    changes,
    judge,
    ledger,
    markdown_table,
    read_ledger,
    replications,
    short_table,
    update_between,
    write_ledger,
)

COUNTS = {"n_pairs": 60, "n_seeds": 5}


def verdict(claim, low, high, **options):
    return judge(claim, Interval((low + high) / 2, low, high), **{**COUNTS, **options}).verdict


def test_all_claims_are_there_and_complete():
    assert list(CLAIMS) == [f"C{i}" for i in range(1, 25)]
    for name, claim in CLAIMS.items():
        assert claim.id == name and claim.fixed == "2026-11-24"
        assert claim.statement.endswith(".") and claim.statistic and claim.rule
        assert set(claim.source.split("; ")) <= {
            "abstract 2025",
            "abstract 2026",
            "digest",
            "review",
            "code",
            "ours",
        }
        assert re.fullmatch(r"\d\d_\w+(, \d\d_\w+)*", claim.notebook)
        assert (claim.alpha is not None) == (claim.direction == "explained")


def test_the_thresholds_of_the_first_study_are_as_fixed():
    assert [CLAIMS[c].threshold for c in ("C1", "C2", "C21")] == [0.5, 0.1, 0.05]
    assert [CLAIMS[c].direction for c in ("C1", "C2", "C21")] == ["above", "explained", "above"]
    assert CLAIMS["C2"].alpha == pytest.approx(0.05 / 3)
    assert {CLAIMS[c].notebook for c in ("C1", "C2", "C21")} == {"02_seeds"}


@pytest.mark.parametrize(
    ("claim", "low", "high", "expected"),
    [
        ("C1", 0.51, 0.9, "supported"),
        ("C1", 0.1, 0.49, "contradicted"),
        ("C1", 0.4, 0.6, "undecided"),
        ("C1", 0.5, 0.9, "undecided"),
        ("C21", 0.06, 0.3, "supported"),
        ("C21", 0.0, 0.04, "contradicted"),
        ("C21", 0.0, 0.3, "undecided"),
        ("C9", 0.1, 0.4, "supported"),
        ("C9", 0.6, 0.9, "contradicted"),
        ("C9", 0.4, 0.6, "undecided"),
        ("C5", 0.2, 0.3, "supported"),
        ("C5", -0.3, -0.2, "supported"),
        ("C5", -0.05, 0.05, "contradicted"),
        ("C5", -0.2, 0.05, "undecided"),
        ("C5", -0.2, 0.2, "undecided"),
    ],
)
def test_an_interval_decides(claim, low, high, expected):
    assert verdict(claim, low, high) == expected
    assert verdict(claim, low, high, controls_ok=False) == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "p", "expected"),
    [
        (0.2, 0.6, 0.001, "supported"),
        (0.2, 0.6, 0.02, "undecided"),  # below 0.05, but three claims are tested
        (0.01, 0.6, 0.001, "supported"),
        (0.01, 0.6, 0.5, "undecided"),
        (0.0, 0.09, 0.5, "contradicted"),
        (0.0, 0.09, 0.001, "contradicted"),
    ],
)
def test_a_share_of_variance_needs_the_permutation_test(low, high, p, expected):
    assert verdict("C2", low, high, p=p) == expected
    assert verdict("C2", low, high, p=p, controls_ok=False) == "undecided"


@pytest.mark.parametrize("direction", ["above", "below", "outside", "explained"])
def test_every_direction_in_use_comes_out_each_way(direction):
    claim = next(c for c in CLAIMS.values() if c.direction == direction)
    grid = [-9.0, -0.01, 0.01, claim.threshold / 2, claim.threshold + 0.01, 9.0]
    found = {verdict(claim.id, low, high, p=p) for low in grid for high in grid if low <= high for p in (1e-4, 0.5)}
    assert found == {"supported", "contradicted", "undecided"} < set(VERDICTS)


def test_numbers_that_are_not_finite_decide_nothing():
    for values in ((math.nan, 0.9, 1.0), (0.9, math.nan, 1.0), (0.9, 0.8, math.inf)):
        assert judge("C1", Interval(*values), **COUNTS).verdict == "undecided"


@pytest.mark.parametrize(
    ("claim", "low", "message"),
    [("C25", 0.1, "unknown claim 'C25'"), ("C1", 0.9, "upside down"), ("C2", 0.1, "p is missing")],
)
def test_bad_input(claim, low, message):
    with pytest.raises(BadInput, match=message):
        judge(claim, Interval(0.5, low, 0.8), **COUNTS)


def test_a_verdict_reads_as_a_sentence():
    text = str(judge("C1", Interval(0.8, 0.6, 0.95), **COUNTS))
    assert text.startswith(
        "C1: supported (0.8 [0.6, 0.95], 60 pairs, 5 seeds; supported if the interval lies above 0.5"
    )
    assert ", p = 0.001, 60 pairs" in str(judge("C2", Interval(0.5, 0.2, 0.6), p=0.001, **COUNTS))
    assert str(Verdict("C3")) == "C3: not run"


def test_the_ledger_has_a_row_for_every_claim():
    rows = ledger([judge("C21", Interval(0.2, 0.1, 0.4), **COUNTS), judge("C1", Interval(0.8, 0.6, 0.95), **COUNTS)])
    assert [row["id"] for row in rows] == list(CLAIMS) and all(list(row) == COLUMNS for row in rows)
    assert rows[0]["verdict"] == rows[20]["verdict"] == "supported" and rows[20]["low"] == 0.1
    assert {row["verdict"] for i, row in enumerate(rows) if i not in (0, 20)} == {"not run"}
    assert rows[4]["notebook"] == "03_curriculum" and rows[4]["effect"] is None
    with pytest.raises(BadInput, match="C1 has two verdicts"):
        ledger([Verdict("C1"), Verdict("C1")])


def test_the_ledger_is_written_the_same_each_time(tmp_path):
    rows = ledger([judge("C1", Interval(2 / 3, 0.6, 0.95), **COUNTS)])
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_ledger(rows, tmp_path / name)
        texts.append([(tmp_path / name / f"claims.{end}").read_bytes() for end in ("csv", "md")])
    assert texts[0] == texts[1] and b"\r" not in b"".join(texts[0])
    with open(tmp_path / "a" / "claims.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 24 and list(table[0]) == COLUMNS
    assert table[0]["effect"] == "0.6667" and table[0]["n_pairs"] == "60" and table[1]["effect"] == ""
    lines = (tmp_path / "a" / "claims.md").read_text().splitlines()
    assert len(lines) == 26 and {line.replace("\\|", "").count("|") for line in lines} == {len(COLUMNS) + 1}


def test_what_was_not_measured_is_an_empty_cell(tmp_path):
    nan = math.nan
    rows = ledger([judge("C12", Interval(nan, nan, nan), n_pairs=0, n_seeds=0)])
    write_ledger(rows, tmp_path / "new" / "folder")
    text = (tmp_path / "new" / "folder" / "claims.csv").read_text()
    assert "nan" not in text and ",0.5,,,,0,0,undecided,08_curve_fitting" in text


def test_a_written_ledger_is_read_back(tmp_path):
    rows = ledger(
        [judge("C1", Interval(0.8, 0.625, 0.9375), **COUNTS), judge("C2", Interval(0.5, 0.25, 0.75), p=0.001, **COUNTS)]
    )
    write_ledger(rows, tmp_path)
    found = read_ledger(tmp_path / "claims.csv")
    assert found == rows
    write_ledger(found, tmp_path / "again")
    assert (tmp_path / "again" / "claims.csv").read_bytes() == (tmp_path / "claims.csv").read_bytes()


@pytest.mark.parametrize("content", [None, "", "id,claim\nC1,x\n", ",".join(COLUMNS) + "\nC1,a,b,c,much,,,,,,,\n"])
def test_a_file_that_is_no_ledger_is_refused(content, tmp_path):
    path = tmp_path / "claims.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match="is not a ledger of claims") as error:
        read_ledger(path)
    assert str(error.value).count("is not a ledger") == 1


def judged(**effects):
    return ledger(judge(name, Interval(v, v - 0.05, v + 0.05), n_pairs=3, n_seeds=3) for name, v in effects.items())


def test_changed_verdicts_are_said_and_nothing_else():
    before = judged(C1=0.9, C4=-0.5, C5=0.12)
    assert changes(before, before) == []
    assert changes(before, judged(C1=0.8, C4=-0.9, C5=0.2)) == [
        "C5: undecided 0.12 [0.07, 0.17] before, supported 0.20 [0.15, 0.25] now"
    ]
    assert changes(before, judged(C1=0.9, C4=-0.5)) == ["C5: undecided 0.12 [0.07, 0.17] before, not run now"]


def test_replications_are_read_by_preset(tmp_path):
    for name in ("b", "a"):
        write_ledger(judged(C1=0.9), tmp_path)
        (tmp_path / "laptop").mkdir(exist_ok=True)
        (tmp_path / "claims.csv").rename(tmp_path / "laptop" / f"{name}.csv")
    found = replications("laptop", tmp_path)
    assert list(found) == ["a", "b"] and changes(judged(C1=0.9), found["a"]) == []
    assert replications("smoke", tmp_path) == {}
    (tmp_path / "laptop" / "c.csv").write_text("id\nC1\n")
    with pytest.raises(BadInput, match="c.csv is not a ledger"):
        replications("laptop", tmp_path)


def test_shipped_replications_judge_what_the_committed_ledger_judges():
    """Statement, statistic and threshold too: a replication by an older test is none."""
    ours = read_ledger(ROOT / "figures" / "claims.csv")
    found = replications("laptop")
    assert found
    fixed = ("id", "claim", "statistic", "threshold", "n_seeds", "notebook")
    for rows in found.values():
        assert [[row[name] for name in fixed] for row in rows] == [[row[name] for name in fixed] for row in ours]


def test_the_short_table_has_a_line_for_every_claim():
    rows = ledger(
        [judge("C1", Interval(0.8, 0.6, 0.95), **COUNTS), judge("C12", Interval(*[math.nan] * 3), n_pairs=0, n_seeds=0)]
    )
    lines = markdown_table(rows).splitlines()
    assert lines[0] == "| id | claim | verdict | effect [95 %] | pairs | seeds | notebook |" and len(lines) == 26
    assert lines[1] == "| --- " * 7 + "|"
    assert lines[2] == f"| C1 | {CLAIMS['C1'].statement} | supported | 0.80 [0.60, 0.95] | 60 | 5 | 02_seeds |"
    assert lines[4].endswith("| not run |  |  |  | 13_datasets_and_architectures |")
    assert "| undecided |  | 0 | 0 |" in lines[13]
    assert {line.count("|") for line in lines} == {8}


def test_a_table_is_put_between_its_marks():
    text = "before\n<!-- claims -->\nold\n<!-- /claims -->\nafter\n"
    new = update_between(text, "| a |\n| b |\n")
    assert new == "before\n<!-- claims -->\n| a |\n| b |\n<!-- /claims -->\nafter\n"
    assert update_between(new, "| a |\n| b |\n") == new
    assert update_between("<!-- x --><!-- /x -->", "t", name="x") == "<!-- x -->\nt\n<!-- /x -->"


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        "<!-- claims -->",
        "<!-- /claims -->",
        "<!-- /claims --> <!-- claims -->",
        "<!-- claims --> <!-- claims --> <!-- /claims -->",
        "<!-- claims --> <!-- /claims --> <!-- claims -->",
        "<!-- claims --> <!-- /claims --> <!-- /claims -->",
        "<!-- /claims --> <!-- claims --> <!-- /claims -->",
    ],
)
def test_marks_must_stand_there_once_and_in_order(text):
    with pytest.raises(BadInput, match="must hold <!-- claims --> and, after it, <!-- /claims -->"):
        update_between(text, "table")


def test_the_committed_ledger_is_that_of_the_claims_and_stands_in_the_readme_and_in_full_in_the_results():
    rows = read_ledger(ROOT / "figures" / "claims.csv")
    for row, claim in zip(rows, CLAIMS.values(), strict=True):
        fixed = {"id": claim.id, "claim": claim.statement, "source": claim.source, "statistic": claim.statistic}
        assert {name: row[name] for name in fixed} == fixed and row["threshold"] == claim.threshold
    there = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert not [row["id"] for row in rows if row["verdict"] == "not run" and row["notebook"] in there]
    for page, table in (("README.md", short_table(rows)), ("docs/results.md", markdown_table(rows))):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert update_between(text, table) == text
