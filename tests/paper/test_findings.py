"""The findings: what they count is what was made."""

from dataclasses import replace

import pytest
from made_worlds import METHODS, Shape, controlled, world

from mcutils.measures.intervals import Interval
from mcutils.paper import findings
from mcutils.paper.trial_ledger import ROWS
from mcutils.paper.trials import Finding
from mcutils.paper.verdicts import Judged

BY_NAME = {row.name: row for row in ROWS}
ORIGINALS = 2


def shape(labels):
    """Lines of two methods dip by 0.15 G from 1.2 G, which is above the retrained level of 1 G; curves are straight."""
    return Shape(dip=0.15 if labels["kind"] == "linear" and labels["method"] in ("npo", "scrub") else 0.0)


@pytest.fixture(scope="module")
def seeds():
    return world(controlled(shape), ("random",), originals=ORIGINALS, spread=0.001)


def judged(name, found, word="supported"):
    return Judged(BY_NAME[name], {"chord": Finding(Interval(*found), word, 8, 48)})


def test_pairs_of_seeds_are_counted_by_two_readings(seeds):
    text = findings.seeds_finding(seeds)
    pairs, straight = len(METHODS) * ORIGINALS, (len(METHODS) - 2) * ORIGINALS
    assert f"Ends of {pairs} pairs, of {len(METHODS)} methods, forgot and kept what they should." in text
    assert f"connects {pairs} of these pairs, the line by itself {straight}, or {pairs} where a loss counts" in text
    assert f"Of the {2 * ORIGINALS} lines that the forget deficit alone" in text
    assert f"{2 * ORIGINALS} stay above" in text
    assert findings.seeds_finding([]) == ""


def test_lines_between_methods_are_counted():
    made = world(controlled(lambda labels: Shape(dip=0.15 if labels["method"] == "npo" else 0.0)), ("method",),
                 originals=1, spread=0.001)  # fmt: skip
    lines = [w for w in made if not w.control]
    dipping = sum(w.method == "npo" for w in lines)
    text = findings.methods_finding(made)
    assert f"Of {len(lines)} lines {len(lines)} have no retain barrier above 0.1 G" in text
    assert f"yet only {len(lines) - dipping} connect" in text and f"`floor` {len(lines)} of all do" in text
    assert f"on the other {dipping};" in text


def test_fits_are_counted_where_all_are_there():
    made = world(controlled(lambda labels: Shape(dip=0.5 if labels.get("recipe") else 0.0)), ("random", "fits"),
                 originals=1, spread=0.001)  # fmt: skip
    n = len(METHODS)
    text = findings.fits_finding(made)
    assert f"Of {n} pairs, all read with refreshed BatchNorm statistics, the authors' recipe connects 0 by" in text
    assert f"a corrected one {n}, the straight line {n}." in text
    assert findings.fits_finding([w for w in made if not w.recipe]) == ""


def test_models_trained_apart_are_told_by_their_medians(seeds):
    lines = [
        replace(w, condition="originals", method="original") for w in seeds if w.control == "other initial weights"
    ]
    curves = [replace(w, kind="bezier", condition="originals") for w in seeds if w.control == "fine-tuned twin"]
    text = findings.apart_finding([*lines, *curves])
    assert f"barrier of {lines[0].barrier:.1f} G in the median" in text and "one of 0.00 G." in text
    assert findings.apart_finding(lines) == ""


def test_shifts_are_those_of_the_ledger():
    text = findings.shifts_finding([judged("C5", (0.13, 0.05, 0.21)), judged("C6", (0.0, -0.1, 0.1), "undecided")])
    assert "a curriculum at one end changes it by 0.13 [0.05, 0.21] G (supported), and a second-order" in text
    assert findings.shifts_finding([judged("C1", (0.9, 0.8, 1.0))]) == ""


def test_the_text_links_a_figure_each_and_counts_the_ledger(seeds, tmp_path):
    one = judged("C1", (0.9, 0.8, 1.0))
    other = Judged(one.row, {**one.found, "floor": replace(one.found["chord"], verdict="undecided")})
    text = findings.findings_text({"02_seeds": seeds}, [other, Judged(BY_NAME["C3"])])
    assert text.count("\n- ") == 0 and "([figure](figures/02_seeds.png))" in text
    assert "Of 1 row judged: 1 supported, 0 contradicted, 0 undecided. 1 of them" in text and ": C1." in text
    findings.write_findings(text, tmp_path / "new")
    assert (tmp_path / "new" / findings.FILE).read_text() == text
