"""docs/tables.md says of every column of every shipped table what it is, once."""

import lzma
from collections import Counter

import pytest

from mcutils.engine.results import TABLES, results
from mcutils.files import ROOT
from mcutils.measures.metrics import METRICS
from mcutils.measures.readings import READINGS
from mcutils.paper.inclusion import include
from mcutils.paper.tables import DICTIONARY, dictionary, written_out
from mcutils.settings import tomllib

TOLD = tomllib.loads(DICTIONARY.read_text(encoding="utf-8"))
SHIPPED = {
    path.name.removesuffix(".csv.xz"): lzma.open(path, "rt").readline().strip().split(",")
    for path in sorted(TABLES.glob("*.csv.xz"))
}


def test_the_page_is_what_the_code_writes():
    """`python -c "from mcutils.paper.tables import dictionary; print(dictionary(), end='')" > docs/tables.md`."""
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == dictionary()


def test_every_shipped_table_is_described_and_no_other():
    assert sorted(TOLD["tables"]) == sorted(SHIPPED)


def test_no_column_is_described_twice():
    names = [name for name, _ in written_out(TOLD, "columns")]
    assert [name for name, n in Counter(names).items() if n > 1] == []
    assert set(names) & set(METRICS) == set()


@pytest.mark.parametrize("table", SHIPPED)
def test_each_column_is_described(table):
    known = {name for name, _ in written_out(TOLD, "columns")} | set(METRICS)
    assert [one for one in SHIPPED[table] if f"{table}.{one}" not in known and one not in known] == []


def test_nothing_is_described_that_no_table_has():
    there = set()
    for table, columns in SHIPPED.items():
        own = {f"{table}.{one}" for one in columns}
        named = own & {name for name, _ in written_out(TOLD, "columns")}
        there |= named | {one for one in columns if f"{table}.{one}" not in named}
    assert [name for name, _ in written_out(TOLD, "columns") if name not in there] == []


def test_what_a_study_adds_to_paths_is_described():
    paths = results("paths")
    assert {name for name, _ in written_out(TOLD, "added")} == set(include(paths.head(3))) - set(paths)


def test_names_in_braces_are_those_of_the_code():
    assert TOLD["sets"]["reading"] == list(READINGS)


def test_the_page_has_each_description_once():
    page = dictionary()
    for name, (meaning, unit) in TOLD["columns"].items():
        assert page.count(f"| `{name.rpartition('.')[2]}` | {meaning} | {unit} |") >= 1, name
    assert "| `distance` | between the weights of both ends | L2 |" in page
    assert page.index("## Columns of several tables") < page.index("| `original` |") < page.index("## paths")
