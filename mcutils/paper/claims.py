"""The claims: what the paper says and where, what the protocol declares of each, and the ledger as files and tables.

The paper gives no tolerance and no test, so every statistic and threshold is this companion's (docs/protocol.md).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadInput, choose
from ..files import DATA, ROOT
from ..settings import tomllib

REPLICATIONS = DATA / "replications"
FIRST = "first-design"  # the folder there of the ledgers that older tests made of older results
POWER = ROOT / "docs" / "power.csv"
COLUMNS = (
    "id row claim source statistic unit null threshold effect low high null_low null_high least p n_originals n_cells"
    " verdict floor worse_end two_sided flips halves opposite corrected_low corrected_high corrected needed notes"
    " notebook"
).split()
READINGS = ("floor", "worse_end", "two_sided")  # columns of the words by other readings than the chord
COUNTS = "n_originals n_cells needed".split()
MOST = 4  # digits behind the point in words
NUMBERS = (
    "effect low high null_low null_high least p flips halves opposite corrected_low corrected_high".split() + COUNTS
)
FINDINGS = "findings.md"  # the file beside the ledgers that the README takes its findings from
# The ledgers, each a file <name>.csv of the same columns: what it holds, in a heading.
PAPER, NEIGHBOURS = "claims", "neighbours"
LEDGERS = {PAPER: "The ledger", NEIGHBOURS: "What neighbours claim"}


@dataclass(frozen=True)
class Claim:
    """A claim: what it says, where the paper or its surroundings say so, and the notebooks that walk what it is about.

    How it is judged is in `PROTOCOL`. ``waits``: what it needs that is not there yet, empty for what can be run.
    """

    id: str
    statement: str
    source: str
    notebook: str = ""
    waits: str = ""


def write_ledger(rows: Sequence[Mapping[str, Any]], folder: str | Path, parts: Mapping[str, str] | None = None) -> None:
    """Write claims.csv, neighbours.csv and claims.md, in a folder made if need be; equal rows give equal bytes.

    Args:
        rows: with the `COLUMNS`, see `rows.records`; each goes into the file of its claim's ledger, and a
            ledger without rows into none.
        folder: of all three.
        parts: of claims.md below the ledgers, title -> Markdown.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    found = {}
    for name, title in LEDGERS.items():
        own = rows_of(rows, name)
        if not own:
            continue
        with open(Path(folder) / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            lines = [[text_of(row[column]) for column in COLUMNS] for row in own]
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
        found[title] = markdown_table(own)
    found |= parts or {}
    text = "\n".join(f"## {title}\n\n{(part or 'None.').strip()}\n" for title, part in found.items())
    (Path(folder) / "claims.md").write_text(text, encoding="utf-8")


def rows_of(rows: Iterable[Mapping[str, Any]], ledger: str) -> list[Mapping[str, Any]]:
    """The rows of one of the `LEDGERS`."""
    choose("ledger", ledger, LEDGERS)
    return [row for row in rows if ledger_of(row["id"]) == ledger]


def ledger_of(claim: str) -> str:
    """The ledger that a claim stands in: its neighbours' (N1, N2, ...), or that of the paper's."""
    return NEIGHBOURS if claim.startswith("N") else PAPER


def read_ledgers(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of the ledgers in a folder: those of claims.csv, and of neighbours.csv where it is there."""
    first, *more = (Path(folder) / f"{name}.csv" for name in LEDGERS)
    return [row for path in (first, *(one for one in more if one.is_file())) for row in read_ledger(path)]


def read_ledger(path: str | Path) -> list[dict[str, Any]]:
    """The rows of one ledger's file with the `COLUMNS`, to the digits that were written; an empty cell is None."""
    rows = _rows(path)
    try:
        found = [{name: _value(name, text) for name, text in row.items()} for row in rows]
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path} is not a ledger of claims that can be read: {error}.") from error
    if not found or list(found[0]) != COLUMNS:
        raise BadInput(f"{path} is not a ledger of claims: its columns must be {', '.join(COLUMNS)}.")
    return found


def _rows(path: str | Path) -> list[dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is not a ledger of claims that can be read: {error}.") from error


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    return int(text) if name in COUNTS else float(text) if name in NUMBERS else text


def replications(preset: str, folder: str | Path = REPLICATIONS) -> dict[str, list[dict[str, Any]]]:
    """Ledgers of a preset that were computed from nothing on other processors: name of the file -> its rows.

    ``<name>.csv`` is its claims.csv, to which ``<name>.neighbours.csv`` adds its neighbours.csv.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(Path(folder, preset).glob("*.csv")):
        found.setdefault(path.name.split(".")[0], []).extend(read_ledger(path))
    return found


def first_design(name: str = "claims", folder: str | Path = REPLICATIONS) -> dict[str, dict[str, str]]:
    """Verdicts by the older tests, on results of one original and one forget set: claim -> its row, as text.

    ``name``: ``claims``, the ledger that was committed, or that of another processor.
    """
    return {row["id"]: row for row in _rows(Path(folder, FIRST, f"{name}.csv"))}


def power(path: str | Path = POWER) -> dict[str, dict[str, str]]:
    """What the tests found in made worlds (docs/power.csv), by claim and measure; nothing where the file is not."""
    return {row["claim"]: row for row in _rows(path)} if Path(path).is_file() else {}


def power_text(claim: str, table: Mapping[str, Mapping[str, str]]) -> str:
    """Of each planted effect of a claim, in how many made worlds it was found: ``a shift of 0.2 G: 50 of 50``."""
    rows = [row for name, row in table.items() if name.split(",")[0].split()[0] == claim]
    return "; ".join(f"{row['planted']}: {row['word']} in {row['found']} of {row['worlds']} worlds" for row in rows)


def changes(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where the verdicts of one ledger differ from those of another, in words, a sentence for each row."""
    old = {row["row"]: row for row in before}
    pairs = [(old[row["row"]], row) for row in after if row["row"] in old]
    return [f"{b['row']}: {_found(a)} before, {_found(b)} now" for a, b in pairs if a["verdict"] != b["verdict"]]


def _found(row: Mapping[str, Any]) -> str:
    return f"{row['verdict']} {effect_text(row, 2, '')}".strip()


def markdown_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows of a ledger as a Markdown table: claim, verdict, effect [low, high], unit, other readings, notebook."""
    texts = [["row", "claim", "verdict", "effect [95 %]", "unit", "originals", "other readings", "notebook"]]
    for row in rows:
        others = [row.get(name) for name in READINGS]
        differ = [
            f"{name} {word}" for name, word in zip(READINGS, others, strict=True) if word not in (None, row["verdict"])
        ]
        said = ", ".join(differ) or ("the same" if any(others) else "")
        shown = row["row"], row["claim"], row["verdict"], effect_text(row, 2, ""), row["unit"], row["n_originals"]
        texts.append([*map(text_of, shown), said, text_of(row["notebook"])])
    return markdown_of(texts)


def spread(found: Sequence[float], digits: int = 3) -> str:
    """An estimate and the ends of its interval in words: ``0.120 [0.080, 0.200]``.

    Of numbers that would all be 0 it takes more digits, up to `MOST`; an interval without ends, as that of a single
    original, is said to be none.
    """
    found = [float(v) for v in found]
    largest = max((abs(v) for v in found if math.isfinite(v)), default=0.0)
    while 0 < largest < 10.0**-digits and digits < MOST:
        digits += 1
    estimate, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in found)
    return (
        f"{estimate} (no interval)" if math.isinf(found[1]) and math.isinf(found[2]) else f"{estimate} [{low}, {high}]"
    )


def effect_text(row: Mapping[str, Any], digits: int = 3, none: str = "-") -> str:
    """The effect of a ledger's row with its interval in words, or ``none`` where nothing was measured."""
    found = [math.nan if row.get(name) is None else float(row[name]) for name in ("effect", "low", "high")]
    return interval_text(found, digits, none)


def interval_text(found: Sequence[float], digits: int = 3, none: str = "-") -> str:
    """As `spread`, or ``none`` where one of the three is nan."""
    return none if any(map(math.isnan, found)) else spread(found, digits)


def update_between(text: str, table: str, name: str = "claims") -> str:
    """The text with what stands between ``<!-- name -->`` and ``<!-- /name -->`` replaced by a table.

    Raises `BadInput` unless each mark stands there once, in this order.
    """
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(first)
    _, closed, after = rest.partition(last)
    if not found or not closed or first in rest or last in before + after:
        raise BadInput(f"the text must hold {first} and, after it, {last}, each once.")
    return f"{before}{first}\n{table.strip()}\n{last}{after}"


def markdown_of(rows: list[list[str]]) -> str:
    """A Markdown table, the first row being its head."""
    lines = [rows[0], ["---"] * len(rows[0]), *([text.replace("|", "\\|") for text in row] for row in rows[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as a Markdown table of some columns, all of them by default; of no rows, an empty text."""
    names = list(columns or (rows[0] if rows else ()))
    return markdown_of([names, *([text_of(row.get(name)) for name in names] for row in rows)]) if rows else ""


def text_of(value: object) -> str:
    """A value in a cell of a table: four digits of a number, nothing for None and nan."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _read(path: Path) -> dict[str, Claim]:
    return {name: Claim(name, **one) for name, one in tomllib.loads(path.read_text(encoding="utf-8")).items()}


CLAIMS = _read(Path(__file__).with_name("claims.toml"))
PROTOCOL: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("protocol.toml").read_text(encoding="utf-8")
)


def protocol_table() -> str:
    """The lines of the tables of claims in docs/protocol.md: statistic, rule, null and planted effect of each."""
    names = ("statistic", "rule", "null", "planted")
    lines = ["| id | statistic (per original, then over originals) | rule | null | planted effect |", "|" + "---|" * 5]
    for claim, told in PROTOCOL.items():
        lines.append("|" + "|".join(f" {text} " if text else " " for text in (claim, *(told[n] for n in names))) + "|")
    return "\n".join(lines) + "\n"
