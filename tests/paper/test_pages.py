"""Pages of the site that follow from the ledger: nothing on them that the ledger does not say, links that arrive."""

import json

import pytest

from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.paper.claims import CLAIMS, COLUMNS, PROTOCOL
from mcutils.paper.pages import (
    SOURCES,
    anchor,
    claim_page,
    claims_index,
    drawn_in,
    figures_page,
    headings,
    sources_text,
    verdict_heading,
)

PLACES = ROOT / "notebooks", ROOT / "figures"


@pytest.fixture(scope="module")
def rows():
    """A row of each claim, with an effect where a test of it is declared and its notebook is there."""
    found = []
    for claim, stated in CLAIMS.items():
        there = (PLACES[0] / f"{stated.notebook.split(', ')[0]}.ipynb").is_file()
        told, run = PROTOCOL.get(claim, {}), claim in PROTOCOL and there
        row = dict.fromkeys(COLUMNS) | {"id": claim, "row": claim, "claim": stated.statement, "source": stated.source}
        row |= {name: told.get(name) for name in ("statistic", "unit", "null", "threshold")}
        row |= {"effect": 0.5, "low": 0.25, "high": 0.75, "verdict": "supported"} if run else {"verdict": "not run"}
        found.append(row | {"notebook": stated.notebook})
    return found


def notebook(*cells):
    return {"cells": [{"cell_type": kind, "source": text} for kind, text in cells]}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_s_page_says_what_the_ledger_says(claim, rows):
    (row,) = [row for row in rows if row["id"] == claim]
    page = claim_page(claim, [row], *PLACES)
    assert page.startswith(f"# {claim}\n") and CLAIMS[claim].statement in page
    if row["verdict"] == "not run":
        assert "**Not run**" in page and "Effect" not in page
    else:
        assert f"**{claim}: {row['verdict']}.**" in page and f"{row['effect']:.2f} [" in page
        assert row["statistic"] in page and "../notebooks/" in page


def test_a_page_shows_the_verdict_of_each_reading_that_was_judged(rows):
    (row,) = [row for row in rows if row["id"] == "C1"]
    page = claim_page("C1", [{**row, "floor": "undecided", "worse_end": "contradicted"}], *PLACES)
    table = [line.split("|")[2].strip() for line in page.splitlines() if line.startswith("| ")][2:]
    assert table == [row["verdict"], "undecided", "contradicted"]
    assert "| reading |" not in claim_page("C1", [row], *PLACES)


def test_several_rows_of_a_claim_stand_one_after_the_other(rows):
    (row,) = [row for row in rows if row["id"] == "C2"]
    page = claim_page(
        "C2", [{**row, "row": "C2 deficit"}, {**row, "row": "C2 roughness", "verdict": "undecided"}], *PLACES
    )
    assert page.index("**C2 deficit: supported.**") < page.index("**C2 roughness: undecided.**")


def test_a_claim_without_a_row_is_not_run(tmp_path):
    page = claim_page("C1", [], tmp_path, tmp_path)
    assert "`02_seeds` does not exist yet" in page and "![" not in page


def test_every_source_is_explained_and_an_unknown_one_is_refused():
    assert all(sources_text(claim.source) for claim in CLAIMS.values())
    assert "https://arxiv.org/abs/2602.02986" in sources_text("ours; arXiv 2602.02986")
    for odd in ("hearsay", "arXiv 26.1"):
        with pytest.raises(BadInput, match=f"'{odd}' is none of abstract 2025"):
            sources_text(f"digest; {odd}")


def test_a_claim_that_waits_says_for_what(rows):
    page = claim_page("N9", [row for row in rows if row["id"] == "N9"], *PLACES)
    assert f"**Not run**: it needs {CLAIMS['N9'].waits}." in page and "``" not in page


def test_the_index_names_every_claim_once(rows):
    page = claims_index(rows)
    assert all(page.count(f"]({claim}.md)") == 1 for claim in CLAIMS)
    assert page.index("](C24.md)") < page.index("## What neighbours claim") < page.index("](N1.md)")
    assert all(f"*{word}*" in page for word in SOURCES)


def test_anchors_are_those_of_the_headings():
    assert anchor("4. Verdict") == "4-verdict"
    assert anchor("How `t` moves: a walk, in ε") == "how-t-moves-a-walk-in-ε"
    assert headings("# One\n\n```\n# no\n```\n\n## Two  \ntext # three") == ["One", "Two"]


def test_figures_are_found_under_the_heading_above_their_cell():
    cells = (
        ("markdown", "# T"),
        ("code", 'drawing.save(f, "a", study.figures)'),
        ("markdown", "## 2. B\n\n## C"),
        (
            "code",
            'x = 1\ndrawing.save(room.figure(x), "a_b", study.figures)',
        ),
    )
    assert drawn_in(notebook(*cells)) == {"a": "t", "a_b": "c"}
    assert verdict_heading(notebook(*cells)) == ""
    assert verdict_heading(notebook(("markdown", "## 3. The verdict"))) == "3-the-verdict"


def test_every_committed_figure_has_a_place_on_the_page():
    if not (ROOT / "figures" / "claims.csv").is_file():
        pytest.skip("the figures of the declared design are not committed yet")
    listing = json.loads((ROOT / "figures" / "results.json").read_text())
    page = figures_page(listing, *PLACES)
    stems = {path.stem for path in (ROOT / "figures").glob("*.png")}
    shown = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    assert shown == stems
