"""The article: nothing of a page is taken for markup or lost, and every number of the ledger stands in it."""

import re

import pytest

from mcutils.cli import article
from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.paper.claims import effect_text, read_ledgers


def texts(source):
    """All runs of text and code of a source of Typst."""
    return [eval(found) for found in re.findall(r'#(?:raw\()?("(?:[^"\\]|\\.)*")', source)]


def test_the_article_is_a_pdf(tmp_path):
    made = article.compiled(article.written())
    assert made.startswith(b"%PDF") and len(made) > 50_000


def test_every_finding_and_every_verdict_of_the_ledger_stands_in_it():
    ledger = ROOT / "figures" / "claims.csv"
    if not ledger.is_file():
        pytest.skip("the results of the declared tests are not committed yet")
    told = " ".join(texts(article.written()))
    for row in read_ledgers(ledger.parent):
        assert row["claim"] in told
        if row["effect"] is not None:
            assert effect_text(row, 2) in told, row["id"]
    found = article.section_of((ROOT / "README.md").read_text(), "What was found")
    numbers = re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\))", re.sub(r"\]\([^)]*\)", "]", found))
    assert len(numbers) > 20 and all(number in told for number in numbers)


@pytest.mark.parametrize(
    "text",
    [
        "# not a heading?",
        "a $x$ and #let x = 1",
        "under_score * star",
        'quote " and \\ backslash',
        "<label> @ref [x]",
        "1. ",
    ],
)
def test_text_stays_text(text):
    source = article.run(text)
    assert texts(source) == [text]
    assert article.compiled(f"x {source}(y)").startswith(b"%PDF")


def test_markdown_keeps_its_form():
    page = (
        "A *b* **c** `d` [e](https://x.org/a_b) [f](docs/g.md)\n\n- one\n- two\n\n| h | i |\n|---|---|\n| 1 | `2` |\n"
    )
    source = article.typeset(page)
    assert '#emph[#"b";]' in source and '#strong[#"c";]' in source and '#raw("d");' in source
    assert '#link("https://x.org/a_b")[#"e";]' in source and "docs/g.md" not in source and '"f"' in source
    assert source.count("#list(") == 1 and "#table(columns: (auto, auto)" in source
    assert article.compiled(source).startswith(b"%PDF")


def test_sections_are_found_or_refused():
    page = "# T\n\nintro <!-- x -->\n\n## A\n\none\n\n### B\n\ntwo\n\n## C\nthree\n"
    assert article.section_of(page, None) == "intro"
    assert article.section_of(page, "A") == "one\n\n### B\n\ntwo" and article.section_of(page, "C") == "three"
    with pytest.raises(BadInput, match="has no section 'D'"):
        article.section_of(page, "D")


def test_it_says_what_is_lacking(monkeypatch):
    monkeypatch.setattr(article, "NEEDS", ("no_such_package",))
    with pytest.raises(BadInput, match=r"pip install -e '\.\[site\]'"):
        article.written()


def test_a_column_of_sentences_is_wide_and_names_are_broken_where_they_may_be():
    name = "a_notebook_with_a_long_name"
    source = article.typeset(f"| id | claim | notebook |\n|---|---|---|\n| C1 | {'many words ' * 9} | {name} |\n")
    assert "#table(columns: (auto, 72fr, 42fr)" in source and source.count("table.header(") == 1
    assert name not in source and name in source.replace("\\u200b", "").replace("\u200b", "")
    assert article.compiled(source).startswith(b"%PDF")
