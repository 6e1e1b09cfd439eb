"""The paper's 24 testable claims: statement, source, and the test that was fixed before any run; the ledger.

The paper gives no tolerance and no test, so every statistic and threshold here is this companion's choice.
G is the unit of losses: mean forget loss of the retrained models minus that of the original. MCU(0.1) means
retain barrier <= 0.1 G and forget deficit <= 0.1 G. Intervals are 95 % bootstrap intervals over seeds.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadInput, choose
from ..files import DATA
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import Interval
from ..settings import tomllib

VERDICTS = ("supported", "contradicted", "undecided", "not run")
REPLICATIONS = DATA / "replications"
COLUMNS = "id claim source statistic threshold effect low high n_pairs n_seeds verdict notebook".split()
NUMBERS = {"threshold": float, "effect": float, "low": float, "high": float, "n_pairs": int, "n_seeds": int}
SHOWN = "id claim verdict effect n_pairs n_seeds notebook".split()


@dataclass(frozen=True)
class Claim:
    """A claim and its test. ``direction`` says which effects support it:

    ``above`` or ``below`` the threshold; ``outside`` [-threshold, threshold], for a difference whose sign is
    not claimed; ``explained``, a share of variance whose permutation p-value is below ``alpha``, and which is
    negligible below the threshold. ``alpha`` is 0.05 over the ``among`` claims that are judged together.
    """

    id: str
    statement: str
    source: str
    statistic: str
    threshold: float
    direction: str
    notebook: str
    among: int = 1
    fixed: str = "2026-11-24"

    def measured(self, eps: float = TOLERANCE) -> str:
        """The statistic in words, with the tolerance eps where it speaks of one; fixed is that of `TOLERANCE`."""
        words = self.statistic.replace("MCU(0.1)", f"MCU({eps:g})")
        return words.replace("deficit exceeds 0.1 G", f"deficit exceeds {eps:g} G")

    @property
    def alpha(self) -> float | None:
        """The level of a permutation test, where the claim has one."""
        return 0.05 / self.among if self.direction == "explained" else None

    @property
    def rule(self) -> str:
        """The rule of the verdict in words."""
        return {
            "above": f"supported if the interval lies above {self.threshold:g}, contradicted if below",
            "below": f"supported if the interval lies below {self.threshold:g}, contradicted if above",
            "outside": f"supported if the interval lies beyond +-{self.threshold:g}, contradicted if within",
            "explained": f"supported if p < {self.alpha or 0:.3g}, contradicted if the interval lies below"
            f" {self.threshold:g}",
        }[self.direction]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim's test: effect with its interval, how many pairs and seeds, the verdict."""

    claim: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n_pairs: int | None = None
    n_seeds: int | None = None
    verdict: str = "not run"
    notebook: str = ""
    p: float | None = None

    def __str__(self) -> str:
        if self.verdict == "not run":
            return f"{self.claim}: not run"
        p = "" if self.p is None else f", p = {self.p:.2g}"
        numbers = f"{self.effect:.3g} [{self.low:.3g}, {self.high:.3g}]{p}"
        counts = f"{self.n_pairs} pairs, {self.n_seeds} seeds"
        return f"{self.claim}: {self.verdict} ({numbers}, {counts}; {CLAIMS[self.claim].rule})"


def judge(
    claim_id: str, found: Interval, *, n_pairs: int, n_seeds: int, p: float | None = None, controls_ok: bool = True
) -> Verdict:
    """Apply a claim's rule to an effect with its 95 % interval.

    ``undecided`` if the interval crosses the threshold or is not finite, or if a control failed. For
    ``explained`` the permutation ``p`` is needed, and a negligible share contradicts however small p is.
    """
    claim, (effect, low, high) = CLAIMS[choose("claim", claim_id, CLAIMS)], found
    if low > high:
        raise BadInput(f"the interval of {claim_id} is upside down: [{low:g}, {high:g}].")
    if claim.direction == "explained" and p is None:
        raise BadInput(f"{claim_id} is judged by a permutation test: p is missing.")
    edge = claim.threshold
    yes, no = {
        "above": (low > edge, high < edge),
        "below": (high < edge, low > edge),
        "outside": (low > edge or high < -edge, -edge < low and high < edge),
        "explained": (p is not None and p < (claim.alpha or 0), high < edge),
    }[claim.direction]
    known = controls_ok and all(math.isfinite(v) for v in found)
    word = "undecided" if not known else "contradicted" if no else "supported" if yes else "undecided"
    return Verdict(claim_id, effect, low, high, n_pairs, n_seeds, word, claim.notebook, p)


def ledger(verdicts: Iterable[Verdict] = (), eps: float = TOLERANCE) -> list[dict]:
    """One row per claim, C1 to C24, with the columns of `COLUMNS`; a claim without a verdict was not run.

    ``eps`` is the tolerance at which they were judged.
    """
    given = {}
    for verdict in verdicts:
        if choose("claim", verdict.claim, CLAIMS) in given:
            raise BadInput(f"{verdict.claim} has two verdicts: a ledger holds one each.")
        given[verdict.claim] = verdict
    rows = []
    for claim in CLAIMS.values():
        v = given.get(claim.id, Verdict(claim.id))
        fixed = claim.id, claim.statement, claim.source, claim.measured(eps), claim.threshold
        found = v.effect, v.low, v.high, v.n_pairs, v.n_seeds, v.verdict, v.notebook or claim.notebook
        rows.append(dict(zip(COLUMNS, (*fixed, *found), strict=True)))
    return rows


def write_ledger(rows: Iterable[dict], folder: str | Path) -> None:
    """Write claims.csv and claims.md, in a folder that is made if need be; the same rows give the same bytes."""
    texts = [[text_of(row[name]) for name in COLUMNS] for row in rows]
    Path(folder).mkdir(parents=True, exist_ok=True)
    with open(Path(folder) / "claims.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *texts])
    (Path(folder) / "claims.md").write_text(markdown_of([COLUMNS, *texts]), encoding="utf-8")


def read_ledger(path: str | Path) -> list[dict]:
    """The rows of a claims.csv as `ledger` makes them, to the digits that were written; an empty cell is None."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = [{name: NUMBERS.get(name, str)(text) if text else None for name, text in row.items()} for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{path} is not a ledger of claims that can be read: {error}.") from error
    if not found or list(found[0]) != COLUMNS:
        raise BadInput(f"{path} is not a ledger of claims: its columns must be {', '.join(COLUMNS)}.")
    return found


def replications(preset: str, folder: str | Path = REPLICATIONS) -> dict[str, list[dict]]:
    """Ledgers of a preset that were computed from nothing on other processors: name of the file -> its rows."""
    return {path.stem: read_ledger(path) for path in sorted(Path(folder, preset).glob("*.csv"))}


def changes(before: Iterable[dict], after: Iterable[dict]) -> list[str]:
    """Where the verdicts of one ledger differ from those of another, in words, a sentence for each claim."""
    old = {row["id"]: row for row in before}
    pairs = [(old[row["id"]], row) for row in after if row["id"] in old]
    return [f"{b['id']}: {_found(a)} before, {_found(b)} now" for a, b in pairs if a["verdict"] != b["verdict"]]


def _found(row: dict) -> str:
    return f"{row['verdict']} {effect_text(row, 2, '')}".strip()


def markdown_table(rows: Iterable[dict]) -> str:
    """The rows of a ledger as a short Markdown table: id, claim, verdict, effect [low, high], counts, notebook."""
    texts = [["id", "claim", "verdict", "effect [95 %]", "pairs", "seeds", "notebook"]]
    for row in rows:
        texts.append([effect_text(row, 2, "") if name == "effect" else text_of(row[name]) for name in SHOWN])
    return markdown_of(texts)


def short_table(rows: Iterable[dict]) -> str:
    """The rows of a ledger as a Markdown table of what fits at a glance: id, claim, verdict."""
    return markdown_of([["id", "claim", "verdict"], *([text_of(row[name]) for name in SHOWN[:3]] for row in rows)])


def spread(found: Sequence[float], digits: int = 3) -> str:
    """An estimate and the ends of its interval in words: ``0.120 [0.080, 0.200]``."""
    estimate, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in found)
    return f"{estimate} [{low}, {high}]"


def effect_text(row: Mapping[str, Any], digits: int = 3, none: str = "-") -> str:
    """The effect of a ledger's row with its interval in words, or ``none`` where nothing was measured."""
    values = [row[name] for name in ("effect", "low", "high")]
    return spread(values, digits) if all(v is not None and not math.isnan(v) for v in values) else none


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


def text_of(value: object) -> str:
    """A value in a cell of a table: four digits of a number, nothing for None and nan."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _read(path: Path) -> dict[str, Claim]:
    return {name: Claim(name, **one) for name, one in tomllib.loads(path.read_text(encoding="utf-8")).items()}


CLAIMS = _read(Path(__file__).with_name("claims.toml"))
