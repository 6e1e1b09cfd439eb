"""The rows of the ledger: every declared test by every reading, and what its word survives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import choose, number
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import label
from ..measures.originals import LEAST, LEVEL
from . import declared
from .claims import CLAIMS, COLUMNS, PROTOCOL, markdown, write_ledger
from .inclusion import LABELS, Table, Tables, in_experiment, within
from .statistics import Result, halves, originals_needed

CHORD = "chord"  # the paper's reading, whose word is the ledger's
READ = (CHORD, "floor", "worse_end", "two_sided")  # the readings that have a word each
SEEDS, CURRICULUM, ORDER, PAIRS, SIZES = "02_seeds", "03_curriculum", "04_second_order", "05_methods", "06_forget_size"
FITS, PROGRESS = "08_curve_fitting", "09_progress_and_retraining"
CUED = "05_methods, with a cue"  # the lines of 05 on data with a cue, and the controls: other data
ALONG = (SEEDS, CURRICULUM, ORDER, PAIRS)
BETWEEN, PRIVACY, ENSEMBLES, DIFFICULTY = "n1", "privacy", "ensembles", "difficulty"
ATTACKED = (ENSEMBLES, "relearning")


@dataclass(frozen=True)
class Row:
    """A row of the protocol: its claim and which of its measures, the experiments that it reads, and its test.

    ``needs``: tables beside `paths` without which it is not judged.
    """

    id: str
    measure: str
    on: tuple[str, ...]
    test: Callable[..., Result] | None
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The claim and the measure."""
        return f"{self.id} {self.measure}".strip()

    @property
    def told(self) -> dict[str, Any]:
        """What the protocol declares of it: of the row where it has an entry of its own, else of its claim."""
        return PROTOCOL.get(self.name) or PROTOCOL.get(self.id, {})

    @property
    def readings(self) -> tuple[str, ...]:
        """The readings that it has; only that of the chord where its statistic does not speak of connection."""
        return READ if self.measure != "roughness" and self.takes("reading") else (CHORD,)

    def takes(self, option: str) -> bool:
        """Whether its test has an option that is not fixed already."""
        if self.test is None:
            return False
        fixed = self.test.keywords if isinstance(self.test, partial) else {}
        return option in set(signature(self.test).parameters) - set(fixed)


@dataclass(frozen=True)
class Judged:
    """What was found of a row: by each reading, at the corrected level, and on halves of the originals.

    ``halves``: shares of the halves with another word, and with the opposite one; empty where not run.
    """

    row: Row
    found: Mapping[str, Result] = field(default_factory=dict)
    corrected: Result | None = None
    halves: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def first(self) -> Result | None:
        """What was found by the chord; None where it was not run."""
        return self.found.get(CHORD)

    @property
    def verdict(self) -> str:
        """The word by the chord."""
        return self.first.verdict if self.first else "not run"


ROWS = (
    Row("C1", "", (SEEDS,), declared.c1),
    Row("C2", "deficit", (SEEDS,), partial(declared.c2, measure="deficit")),
    Row("C2", "roughness", (SEEDS,), partial(declared.c2, measure="roughness")),
    Row("C3", "", (), None),
    Row("C4", "", (SIZES,), declared.c4),
    Row("C5", "", (CURRICULUM,), declared.c5),
    Row("C6", "", (ORDER,), declared.c6),
    Row("C7", "", (CURRICULUM, ORDER), declared.c7),
    Row("C8", "", (PAIRS,), declared.c8),
    Row("C9", "", ALONG, declared.c9),
    Row("C10", "", ALONG, declared.c10, ("gaps", "ranges")),
    Row("C11", "", ALONG, declared.c11),
    Row("C12", "refreshed", (FITS,), partial(declared.c12, batchnorm="retain")),
    Row("C12", "start's", (FITS,), partial(declared.c12, batchnorm="none")),
    Row("C13", "", (FITS,), declared.c13),
    Row("C14", "", (PRIVACY,), declared.c14, ("attacks",)),
    Row("C14", "between methods", (PRIVACY,), declared.c14_between, ("attacks",)),
    Row("C15", "", (PROGRESS,), declared.c15),
    Row("C16", "", (PROGRESS,), declared.c16),
    Row("C17", "", (ENSEMBLES,), declared.c17, ("ensembles",)),
    Row("C18", "", (ENSEMBLES,), declared.c18, ("attacked",)),
    Row("C19", "", (ENSEMBLES,), declared.c19, ("sharpness",)),
    Row("C20", "", (DIFFICULTY,), declared.c20, ("outcomes",)),
    Row("C21", "", (SEEDS,), declared.c21),
    Row("C22", "number", (ENSEMBLES,), partial(declared.c22, by="number"), ("ensembles",)),
    Row("C22", "placement", (ENSEMBLES,), partial(declared.c22, by="placement"), ("ensembles",)),
    Row("C23", "", (FITS,), declared.c23),
    Row("C24", "refreshed", (FITS,), declared.c24),
    Row("C24", "start's", (FITS,), partial(declared.c24, batchnorm="")),
    Row("E4", "curriculum", (CURRICULUM,), partial(declared.shift, condition="random_in_cl")),
    Row("E4", "second order", (ORDER,), partial(declared.shift, condition="random_in_so")),
    Row("M0", "originals", (PROGRESS,), declared.m0),
    Row("M0", "retrained", (PROGRESS,), partial(declared.m0, condition="retrained pairs", init="other init")),
    Row("M0", "unlearned to retrained", (PROGRESS,),
        partial(declared.m0, condition="retraining curve", init="other init")),
    Row("M0", "unlearned to retrained, retain only", (PROGRESS,),
        partial(declared.m0, condition="retraining curve", init="other init", objective="retain only")),
    Row("M1", "", (CUED,), declared.m1, ("cue",)),
    Row("N1", "", (BETWEEN,), declared.n1, ("distances",)),
    Row("N1", "chosen t", (BETWEEN,), partial(declared.n1, at="chosen"), ("distances",)),
    Row("N2", "distance", ATTACKED, partial(declared.n2, by="distance", reading="chord"), ("attacked", "predictors")),
    Row("N2", "refreshed", ATTACKED, partial(declared.n2, by="refreshed"), ("attacked", "predictors")),
    Row("N2", "start's", ATTACKED, partial(declared.n2, by="start's"), ("attacked", "predictors")),
    Row("N2", "interpolated", ATTACKED, partial(declared.n2, by="interpolated"), ("attacked", "predictors")),
    Row("N3", "coherence", (DIFFICULTY,), partial(declared.n3, predictor="coherence"), ("graded", "outcomes")),
    Row("N3", "memorisation", (DIFFICULTY,), partial(declared.n3, predictor="memorisation"), ("graded", "outcomes")),
    Row("N4", "", (PRIVACY,), declared.n4, ("pool",)),
    Row("N4", "beside retrained", (PRIVACY,), partial(declared.n4, beside="retrained"), ("pool",)),
    Row("N5", "", (DIFFICULTY,), declared.n5, ("probes",)),
    Row("N6", "", (PRIVACY,), declared.n6, ("rounded",)),
    Row("N7", "", (DIFFICULTY,), declared.n7, ("distances",)),
    Row("N7", "chosen t", (DIFFICULTY,), partial(declared.n7, at="chosen"), ("distances",)),
)  # fmt: skip


def judge(
    tables: Tables,
    names: Iterable[str] | None = None,
    *,
    eps: float = TOLERANCE,
    level: float = LEVEL,
    readings: Sequence[str] = READ,
    splits: int = 0,
) -> list[Judged]:
    """Rows judged by every reading they have; one whose experiments or tables are not there is not run.

    Args:
        tables: as `tables.tables` returns them.
        names: of claims or rows, such as ``C2`` or ``C2 deficit``; None takes all, each also at the level corrected for
            the number of rows judged, and on ``splits`` pairs of halves of the originals.
        eps: tolerance of MCU(eps) in G, for tests that speak of one; controls keep the declared one.
        level: of the intervals.
        readings: those to judge by.
    """
    eps = number("the tolerance epsilon", eps, 0)
    known = {name for row in ROWS for name in (row.id, row.name)}
    asked = None if names is None else {choose("row", one, sorted(known)) for one in names}
    rows = [row for row in ROWS if asked is None or {row.id, row.name} & asked]
    views = {on: view(tables, on, splits if asked is None else 0) for on in dict.fromkeys(row.on for row in rows)}
    run = {row.name for row in rows if row.test is not None and views[row.on] and all(n in tables for n in row.needs)}
    strict = 1 - (1 - level) / max(1, len(run))
    found = []
    for row in rows:
        if row.name not in run:
            found.append(Judged(row))
            continue
        given = {"eps": eps} if row.takes("eps") else {}
        test, (here, *parts) = partial(row.test, **given), views[row.on]  # type: ignore[arg-type, misc]
        by = _by_readings(row, test, here, level, readings)
        if asked is None:
            whole = _corrected(test(here, level=strict), strict), _on_halves(test, parts, by[CHORD].verdict)
        found.append(Judged(row, by, *(whole if asked is None else ())))
    return found if asked is None else [one for one in found if one.found]


def view(tables: Tables, experiments: Sequence[str], splits: int = 0) -> list[dict[str, Any]]:
    """The tables with the paths of these experiments alone, and on halves of their originals; none where one has none.

    Data with a cue are other data, a set of their own; paths that stand aside are in none. What every test of these
    experiments asks, `declared.refused`, is answered once.
    """
    paths = tables["paths"]
    holds = [in_experiment(paths, name.partition(",")[0]) for name in experiments]
    kept = np.logical_or.reduce(holds) & ~paths.aside if holds else np.zeros(len(paths), dtype=bool)
    cued = paths.form == "cue"
    kept = kept & ((cued | (paths.control != "")) if CUED in experiments else ~cued)
    if not (kept & (paths.control == "")).any() or not all(one.any() for one in holds):
        return []
    ours = paths[kept].drop_duplicates([*LABELS, "points"])  # a path of several experiments, held once for each
    whole = {**tables, "paths": ours}
    whole |= {n: tables[n][tables[n].path.isin(ours.path)] for n in ("along", "ranges", "distances") if n in tables}
    parts = halves(sorted(set(ours.original[ours.control == ""])), splits)
    return [{**one, "refused": declared.refused(one)} for one in (whole, *(within(whole, part) for part in parts))]


def _by_readings(
    row: Row, test: Callable[..., Result], tables: Tables, level: float, readings: Sequence[str]
) -> dict[str, Result]:
    """What a row's test finds by each of these readings that it has, or by the chord."""
    if len(row.readings) == 1:
        return {CHORD: test(tables, level=level)}
    return {r: test(tables, level=level, reading=r) for r in [r for r in row.readings if r in readings] or [CHORD]}


def _corrected(found: Result, level: float) -> Result:
    """The result at a corrected level, where a p that supports must be as small as the level asks."""
    if found.verdict == "supported" and found.p is not None and not found.p < (1 - level) / 2:
        return replace(found, verdict="undecided", notes=(*found.notes, f"p = {found.p:.2g} is not small enough"))
    return found


def _on_halves(test: Callable[..., Result], parts: Sequence[Tables], word: str) -> tuple[float, float]:
    """Shares of the halves of the originals whose word is another, and is the opposite one."""
    if not parts:
        return float("nan"), float("nan")
    words = [test(part).verdict for part in parts]
    opposite = {"supported": "contradicted", "contradicted": "supported"}.get(word)
    return float(np.mean([one != word for one in words])), float(np.mean([one == opposite for one in words]))


def needed(one: Judged, level: float = LEVEL) -> int | None:
    """How many originals would decide an undecided row if their mean and spread stayed, see `originals_needed`.

    At least `LEAST`. None for what is decided or not run, and where no number would do: something else keeps it
    undecided (a failed control, copies, its null), one method or kind of curve carries the side on which its mean lies,
    or its mean lies on the threshold.
    """
    first = one.first
    if first is None or first.verdict != "undecided":
        return None
    if first.carried or any(note.startswith(("control", "copies")) or "originals" not in note for note in first.notes):
        return None
    found = originals_needed(first.effect, first.n_originals, one.row.told["edges"], level)
    return LEAST if first.n_originals < LEAST and found is None else max(found, LEAST) if found else None


# Words: reasons as readers have them, from how tests and inclusion note them.
WORDS = {
    r"^1 originals are": "1 original is",
    r"^without linear ": "without the lines ",
    r"^without bezier ": "without the curves ",
    r"^its null reaches ": "its null reaches from ",
    r"\bloss_(retain|forget)\b": r"\1 loss",
}


def reason_text(why: str) -> str:
    """A reason in a reader's words: names as in figures, one original in the singular."""
    for pattern, words in WORDS.items():
        why = re.sub(pattern, words, why)
    return re.sub(r"^without (?!the )(\w+) ", lambda found: f"without {label(found[1])} ", why)


def tolerance_text(eps: float) -> str:
    """A sentence, after a space, where rows are read at another tolerance than the declared one; else nothing."""
    return "" if eps == TOLERANCE else f" The tolerance that was declared is {TOLERANCE:g} G."


def records(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """A record of each row with `claims.COLUMNS`, and of each claim that has none: numbers by the chord.

    ``least``: the smallest effect found with a power of 0.8; ``flips``: the share of bootstrap draws of the originals
    with another word; ``halves`` and ``opposite``: the shares of halves with another and with the opposite one;
    ``needed``: the originals that would decide, see `needed`.
    """
    found: dict[str, list[Judged]] = {claim: [] for claim in CLAIMS}
    for one in judged:
        found[one.row.id].append(one)
    return [_record(one) for claim, ones in found.items() for one in ones or [Judged(Row(claim, "", (), None))]]


def _record(one: Judged) -> dict[str, Any]:
    claim, told, first = CLAIMS[one.row.id], one.row.told, one.first
    found: dict[str, Any] = dict.fromkeys(COLUMNS)
    found |= {"id": claim.id, "row": one.row.name, "claim": claim.statement, "source": claim.source}
    found |= {k: told.get(k) for k in ("statistic", "unit", "null", "threshold")} | {"notebook": claim.notebook}
    if first is None:
        return found | {"verdict": "not run", "notes": f"needs {claim.waits}" if claim.waits else None}
    found |= dict(zip(("effect", "low", "high"), first.effect, strict=True))
    if first.null is not None:
        found |= {"null_low": first.null.low, "null_high": first.null.high}
    found |= {name: getattr(first, name) for name in ("least", "p", "n_originals", "n_cells", "verdict", "flips")}
    found |= {reading: result.verdict for reading, result in one.found.items() if reading != CHORD}
    found |= dict(zip(("halves", "opposite"), one.halves, strict=True))
    if one.corrected is not None:
        found |= {"corrected_low": one.corrected.effect.low, "corrected_high": one.corrected.effect.high}
        found["corrected"] = one.corrected.verdict
    return found | {"needed": needed(one), "notes": "; ".join(map(reason_text, first.notes))}


def frame(judged: Sequence[Judged]) -> Table:
    """The `records` of these rows as a DataFrame, by row."""
    import pandas as pd

    return pd.DataFrame([_record(one) for one in judged], columns=list(COLUMNS)).set_index("row")


def left_out(paths: Table) -> Table:
    """What inclusion leaves out, by name: method, condition, why (without its numbers), paths left out, of how many."""
    ours = paths[(paths.control == "") & (paths.collapsed == "") & ~paths.aside]
    why = ours.assign(why=ours.why.str.split("; ")).explode("why")
    why = why.assign(why=why.why.str.partition(":")[0]).query("why != ''").reset_index(names="row")
    counts = why.drop_duplicates(["row", "why"]).groupby(["label", "condition", "why"]).size().rename("paths")
    every = ours.groupby(["label", "condition"]).size().rename("of")
    found = counts.reset_index().join(every, on=["label", "condition"])
    return found.rename(columns={"label": "method"})


def write(judged: Sequence[Judged], paths: Table, folder: str | Path) -> None:
    """Write both ledgers and claims.md: the rows, their flips between readings, and what inclusion leaves out."""
    rows = records(judged)
    flips = [{"row": one.row.name, **{r: f.verdict for r, f in one.found.items()}} for one in judged]
    parts = {
        "Statistics": markdown(rows, "row statistic threshold null null_low null_high least p flips corrected".split()),
        "Verdicts that differ between readings": markdown(
            [one for one in flips if len(set(list(one.values())[1:])) > 1], ["row", *READ]
        ),
        "Why rows are undecided": markdown(
            [row for row in rows if row["verdict"] == "undecided"], ["row", "effect", "low", "high", "needed", "notes"]
        ),
        "Left out of verdicts": markdown(left_out(paths).to_dict("records")),
    }
    write_ledger(rows, folder, parts)
