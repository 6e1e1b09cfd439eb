"""The ledger of the declared tests: every row of docs/protocol.md by every reading, and what its verdict survives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import choose, number
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import LEVEL
from ..measures.originals import LEAST
from . import between_models, declared, difficulty, ensembles_and_relearning as eleven, privacy
from .admission import admitted
from .claims import CLAIMS, COLUMNS, PROTOCOL, markdown_of, text_of, write_ledger
from .judging import sound
from .method_pairs import CUE
from .progress_and_retraining import CURVES, ORIGINALS, OTHER, PAIRS as RETRAININGS
from .trials import Finding, originals_needed
from .verdicts import CHORD, NOT_RUN, READ, Judged, Row, left_out, reason_text
from .walks import Labels, Walk

SEEDS, CURRICULUM, ORDER, PAIRS, SIZES = "02_seeds", "03_curriculum", "04_second_order", "05_methods", "06_forget_size"
FITS, PROGRESS = "08_curve_fitting", "09_progress_and_retraining"
CUED = "05_methods, with a cue"  # the lines of 05 on data with a cue, and the controls: `experiments_of`
# Of `registry.PRICED_APART`; all but the first are also what their rows need.
BETWEEN, PRIVACY, ENSEMBLES, DIFFICULTY = "n1", "privacy", "ensembles", "difficulty"
ALONG = (SEEDS, CURRICULUM, ORDER, PAIRS)
SPLITS = 3  # pairs of halves of the originals on which every row is judged again


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
    Row("C10", "", ALONG, declared.c10, ("gaps",)),
    Row("C11", "", ALONG, declared.c11),
    Row("C12", "refreshed", (FITS,), partial(declared.c12, batchnorm="retain")),
    Row("C12", "start's", (FITS,), partial(declared.c12, batchnorm="none")),
    Row("C13", "", (FITS,), declared.c13),
    Row("C14", "", (PRIVACY,), privacy.c14_row, (PRIVACY,)),
    Row("C14", "between methods", (PRIVACY,), privacy.c14_between_row, (PRIVACY,)),
    Row("C15", "", (PROGRESS,), declared.c15),
    Row("C16", "", (PROGRESS,), declared.c16),
    Row("C17", "", (ENSEMBLES,), eleven.c17, (ENSEMBLES,)),
    Row("C18", "", (ENSEMBLES,), eleven.c18, (ENSEMBLES,)),
    Row("C19", "", (ENSEMBLES,), eleven.c19, (ENSEMBLES,)),
    Row("C20", "", (DIFFICULTY,), difficulty.c20_row, (DIFFICULTY,)),
    Row("C21", "", (SEEDS,), declared.c21),
    Row("C22", "number", (ENSEMBLES,), partial(eleven.c22, by="number"), (ENSEMBLES,)),
    Row("C22", "placement", (ENSEMBLES,), partial(eleven.c22, by="placement"), (ENSEMBLES,)),
    Row("C23", "", (FITS,), declared.c23),
    Row("C24", "refreshed", (FITS,), declared.c24),
    Row("C24", "start's", (FITS,), partial(declared.c24, batchnorm="")),
    Row("E4", "curriculum", (CURRICULUM,), partial(declared.shift, condition="random_in_cl")),
    Row("E4", "second order", (ORDER,), partial(declared.shift, condition="random_in_so")),
    Row("M0", "originals", (PROGRESS,), partial(declared.m0, condition=ORIGINALS)),
    Row("M0", "retrained", (PROGRESS,), partial(declared.m0, condition=RETRAININGS, init=OTHER)),
    Row("M0", "unlearned to retrained", (PROGRESS,), partial(declared.m0, condition=CURVES, init=OTHER)),
    Row(
        "M0", "unlearned to retrained, retain only", (PROGRESS,),
        partial(declared.m0, condition=CURVES, init=OTHER, objective="retain only"),
    ),
    Row("M1", "", (CUED,), declared.m1, ("use", "reliance")),
    Row("N1", "", (BETWEEN,), between_models.n1, ("distances",)),
    Row("N1", "chosen t", (BETWEEN,), partial(between_models.n1, at="chosen"), ("distances",)),
    Row("N2", "distance", (ENSEMBLES,), partial(eleven.n2, by="distance", reading="chord"), (ENSEMBLES,)),
    Row("N2", "refreshed", (ENSEMBLES,), partial(eleven.n2, by="refreshed"), (ENSEMBLES,)),
    Row("N2", "start's", (ENSEMBLES,), partial(eleven.n2, by="start's"), (ENSEMBLES,)),
    Row("N2", "interpolated", (ENSEMBLES,), partial(eleven.n2, by="interpolated"), (ENSEMBLES,)),
    Row("N3", "coherence", (DIFFICULTY,), partial(difficulty.n3_row, predictor="coherence"), (DIFFICULTY,)),
    Row("N3", "memorisation", (DIFFICULTY,), partial(difficulty.n3_row, predictor="memorisation"), (DIFFICULTY,)),
    Row("N4", "", (PRIVACY,), privacy.n4_row, (PRIVACY,)),
    Row("N4", "beside retrained", (PRIVACY,), partial(privacy.n4_row, beside=privacy.ANEW), (PRIVACY,)),
    Row("N5", "", (DIFFICULTY,), difficulty.n5_row, (DIFFICULTY,)),
    Row("N6", "", (PRIVACY,), privacy.n6_row, (PRIVACY,)),
    Row("N7", "", (DIFFICULTY,), difficulty.n7_row, (DIFFICULTY,)),
    Row("N7", "chosen t", (DIFFICULTY,), partial(difficulty.n7_row, at="chosen"), (DIFFICULTY,)),
)  # fmt: skip


def judge_declared(
    walked: Mapping[str, Sequence[Walk]],
    *,
    eps: float = TOLERANCE,
    level: float = LEVEL,
    splits: int = SPLITS,
    **given: Any,
) -> list[Judged]:
    """Every row of the protocol, in its order, judged by every reading it has; without its walks it is not run.

    Args:
        walked: experiment -> its walks, controls included, as `ledger.gather` and `ledger.apart` return them.
        eps: tolerance of MCU(eps) in G, for tests that speak of one; controls keep the declared one.
        level: of the intervals; the corrected ones are at 1 - (1 - level) / (number of rows judged).
        splits: pairs of halves of the originals on which each row is judged again.
        given: what rows need beside walks (`Row.needs`), without which they are not run. ``gaps``: original -> telling
            metrics with their gaps there (C10, `metrics_along.telling`). ``use``, ``reliance``: (original, method) ->
            cue use, and original -> its own reliance on the cue (M1, `method_pairs.cue_measures`). ``distances``:
            (original, method) -> to retrained models along its line (N1, `between_models.walk_lines`). ``privacy``: the
            numbers of 10 (`privacy.gather`). ``difficulty``: those of 12 (`difficulty.gather`).
    """
    tests = _tests(ROWS, experiments_of(walked), given, eps)
    strict = 1 - (1 - level) / max(1, len(tests))
    found = []
    for row in ROWS:
        if row.name not in tests:
            found.append(Judged(row))
            continue
        test, walks = tests[row.name]
        by = _by_readings(row, test, walks, level)
        corrected = _corrected(test(walks, level=strict), strict)
        found.append(Judged(row, by, corrected, _on_halves(test, walks, by[CHORD].verdict, splits)))
    return found


def judge_room(
    walked: Mapping[str, Sequence[Walk]],
    ids: Iterable[str],
    *,
    eps: float = TOLERANCE,
    level: float = LEVEL,
    readings: Sequence[str] = READ,
    **given: Any,
) -> list[Judged]:
    """The rows of some claims that these walks can judge, by every reading, as `judge_declared` judges them.

    Neither at a corrected level nor on halves of the originals, for both are the whole ledger's.

    Args:
        walked: experiment -> its walks, controls included; a claim whose experiments are not all there is left out.
        ids: of claims or of rows, such as ``C2`` or ``C2 deficit``.
        eps, level: as there.
        readings: those to judge by; that of the chord where a row has none of them.
        given: as there.
    """
    names = [choose("row", one, sorted({name for row in ROWS for name in (row.id, row.name)})) for one in ids]
    rows = [row for row in ROWS if row.id in names or row.name in names]
    tests = _tests(rows, experiments_of(walked), given, eps)
    run = [row for row in rows if row.name in tests]
    return [Judged(row, _by_readings(row, *tests[row.name], level, readings)) for row in run]


def _tests(
    rows: Iterable[Row], walked: Mapping[str, Sequence[Walk]], given: Mapping[str, Any], eps: float
) -> dict[str, tuple[Callable[..., Finding], list[Walk]]]:
    """The test of every row that can be judged, with all that it needs but the reading and the level, and its walks."""
    eps = number("the tolerance epsilon", eps, 0)
    found: dict[str, tuple[Callable[..., Finding], list[Walk]]] = {}
    for row in rows:
        if row.test is None or not all(walked.get(name) for name in row.on):
            continue
        if all(given.get(name) for name in row.needs):
            options = {name: given[name] for name in row.needs} | ({"eps": eps} if row.takes("eps") else {})
            found[row.name] = partial(row.test, **options), [w for name in row.on for w in walked[name]]
    return found


def _by_readings(
    row: Row, test: Callable[..., Finding], walks: Sequence[Walk], level: float, readings: Sequence[str] = READ
) -> dict[str, Finding]:
    """What a row's test finds by each of these readings that it has, or by the chord."""
    if len(row.readings) == 1:
        return {CHORD: test(walks, level=level)}
    asked = [one for one in row.readings if one in readings] or [CHORD]
    return {one: test(walks, level=level, reading=one) for one in asked}


def experiments_of(walked: Mapping[str, Sequence[Walk]]) -> dict[str, list[Walk]]:
    """The walks of each experiment, those on data with a cue apart from 05's others, with its controls, under `CUED`.

    Data with a cue are other data: what holds or fails there says nothing of the rest. Walks that stand `aside` are
    in none.
    """
    found = {name: [w for w in walks if w.form != CUE and not w.aside] for name, walks in walked.items()}
    cued = [w for w in walked.get(PAIRS, ()) if w.form == CUE]
    return found | ({CUED: cued + [w for w in found[PAIRS] if w.control]} if cued else {})


def _corrected(found: Finding, level: float) -> Finding:
    """The finding at a corrected level, where a p that supports must be as small as the level asks."""
    if found.verdict == "supported" and found.p is not None and not found.p < (1 - level) / 2:
        return replace(found, verdict="undecided", notes=(*found.notes, f"p = {found.p:.2g} is not small enough"))
    return found


def _on_halves(test: Callable[..., Finding], walks: Sequence[Walk], word: str, splits: int) -> tuple[float, float]:
    """Shares of the halves of the originals whose word is another, and is the opposite one."""
    originals = sorted({w.original for w in walks if not w.control})
    half = len(originals) // 2
    if half < LEAST or not splits:
        return float("nan"), float("nan")
    chosen = [one for one in combinations(originals, half) if originals[0] in one]
    words = []
    for k in np.linspace(0, len(chosen) - 1, min(splits, len(chosen))).round().astype(int):
        inside = set(chosen[k])
        for part in (inside, set(originals) - inside):
            words.append(test([w for w in walks if w.original in part]).verdict)
    opposite = {"supported": "contradicted", "contradicted": "supported"}.get(word)
    return float(np.mean([one != word for one in words])), float(np.mean([one == opposite for one in words]))


def trial_rows(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """A row (dict) of each `Judged` with `claims.COLUMNS`, and of each claim that has none: numbers by the chord.

    The words of the other readings stand beside it; ``least`` is the smallest effect found with a power of 0.8;
    ``flips`` the share of bootstrap draws of the originals with another word, ``halves`` and ``opposite`` the shares of
    halves with another and with the opposite one; ``needed`` the originals that would decide, see `needed`.
    """
    found: dict[str, list[Judged]] = {claim: [] for claim in CLAIMS}
    for one in judged:
        found[one.row.id].append(one)
    return [_row(one) for claim, ones in found.items() for one in ones or [Judged(Row(claim, "", (), None))]]


def _row(one: Judged) -> dict[str, Any]:
    claim, told = CLAIMS[one.row.id], one.row.told
    found: dict[str, Any] = dict.fromkeys(COLUMNS)
    found |= {"id": claim.id, "row": one.row.name, "claim": claim.statement, "source": claim.source}
    found |= {k: told.get(k) for k in ("statistic", "unit", "null", "threshold")} | {"notebook": claim.notebook}
    first = one.first
    if first is None:
        return found | {"verdict": NOT_RUN, "notes": f"needs {claim.waits}" if claim.waits else None}
    found |= dict(zip(("effect", "low", "high"), first.effect, strict=True))
    if first.null is not None:
        found |= {"null_low": first.null.low, "null_high": first.null.high}
    found |= {name: getattr(first, name) for name in ("least", "p", "n_originals", "n_cells", "verdict", "flips")}
    found |= {reading: finding.verdict for reading, finding in one.found.items() if reading != CHORD}
    found |= dict(zip(("halves", "opposite"), one.halves, strict=True))
    if one.corrected is not None:
        found |= {"corrected_low": one.corrected.effect.low, "corrected_high": one.corrected.effect.high}
        found["corrected"] = one.corrected.verdict
    return found | {"needed": needed(one), "notes": "; ".join(map(reason_text, first.notes))}


def needed(one: Judged, level: float = LEVEL) -> int | None:
    """How many originals would decide an undecided row if their mean and spread stayed, see `trials.originals_needed`.

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


def flips_between(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """The rows whose verdict differs between readings: row, and the verdict by each."""
    words = [(one.row.name, {r: f.verdict for r, f in one.found.items()}) for one in judged]
    return [{"row": name, **by} for name, by in words if len(set(by.values())) > 1]


def counts(walks: Sequence[Labels]) -> dict[str, int]:
    """How many walks of methods there are, and how many of them verdicts read."""
    there = [w for w in walks if isinstance(w, Walk)]
    return {"walks": len(sound(there)), "admitted": len(admitted(there))}


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as a Markdown table of some columns, all of them by default; of no rows, an empty text."""
    names = list(columns or (rows[0] if rows else ()))
    return markdown_of([names, *([text_of(row.get(name)) for name in names] for row in rows)]) if rows else ""


def write_trials(judged: Sequence[Judged], walks: Sequence[Walk], folder: str | Path) -> None:
    """Write both ledgers and claims.md: the rows, their flips between readings, and what the gate left out."""
    rows = trial_rows(judged)
    open_rows = [row for row in rows if row["verdict"] == "undecided"]
    parts = {
        "Statistics": markdown(rows, "row statistic threshold null null_low null_high least p flips corrected".split()),
        "Verdicts that differ between readings": markdown(flips_between(judged), ["row", *READ]),
        "Why rows are undecided": markdown(open_rows, ["row", "effect", "low", "high", "needed", "notes"]),
        "Left out of verdicts": markdown(left_out(walks)),
    }
    write_ledger(rows, folder, parts)


def protocol_table() -> str:
    """The lines of the tables of claims in docs/protocol.md: statistic, rule, null and planted effect of each."""
    names = ("statistic", "rule", "null", "planted")
    lines = ["| id | statistic (per original, then over originals) | rule | null | planted effect |", "|" + "---|" * 5]
    for claim, told in PROTOCOL.items():
        lines.append("|" + "|".join(f" {text} " if text else " " for text in (claim, *(told[n] for n in names))) + "|")
    return "\n".join(lines) + "\n"
