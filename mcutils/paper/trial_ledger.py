"""The ledger of the declared tests: every row of docs/protocol.md by every reading, and what its verdict survives."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..measures.intervals import LEVEL
from ..measures.originals import LEAST
from ..settings import tomllib
from . import between_models, declared
from .admission import admitted, reasons
from .claims import markdown_of, text_of
from .judging import sound
from .method_pairs import CUE
from .progress_and_retraining import CURVES, ORIGINALS, OTHER, PAIRS as RETRAININGS
from .trials import Finding
from .walks import Labels, Walk

READ = ("chord", "floor", "worse_end", "two_sided")  # the readings that have a verdict each
SEEDS, CURRICULUM, ORDER, PAIRS, SIZES = "02_seeds", "03_curriculum", "04_second_order", "05_methods", "06_forget_size"
FITS, PROGRESS = "08_curve_fitting", "09_progress_and_retraining"
CUED = "05_methods, with a cue"  # the lines of 05 on data with a cue, and the controls: `experiments_of`
BETWEEN = "n1"  # of `registry.PRICED_APART`
ALONG = (SEEDS, CURRICULUM, ORDER, PAIRS)
SPLITS = 3  # pairs of halves of the originals on which every row is judged again
COLUMNS = (
    "id row statistic unit null threshold effect low high null_low null_high least p n_originals n_cells verdict"
    " floor worse_end two_sided flips halves opposite corrected_low corrected_high corrected notes"
).split()


@dataclass(frozen=True)
class Row:
    """A row of the protocol: its id and which of its measures, the experiments that it reads, and its test.

    ``needs``: the arguments of `judge_declared` without which it cannot be judged.
    """

    id: str
    measure: str
    on: tuple[str, ...]
    test: Callable[..., Finding] | None
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The id and the measure."""
        return f"{self.id} {self.measure}".strip()

    @property
    def readings(self) -> tuple[str, ...]:
        """The readings that it has; only that of the chord where its statistic does not speak of connection."""
        free = self.measure not in ("roughness",) and self.test is not None and "reading" in _options(self.test)
        return READ if free else READ[:1]


@dataclass(frozen=True)
class Judged:
    """What was found of a row: by each reading, at the corrected level, and on halves of the originals.

    ``halves``: (share with another word, share with the opposite one) of the halves; empty where not run.
    """

    row: Row
    found: Mapping[str, Finding] = field(default_factory=dict)
    corrected: Finding | None = None
    halves: tuple[float, float] = (float("nan"), float("nan"))


def _options(test: Callable[..., Finding]) -> set[str]:
    fixed = test.keywords if isinstance(test, partial) else {}
    return set(signature(test).parameters) - set(fixed)


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
    Row("C15", "", (PROGRESS,), declared.c15),
    Row("C16", "", (PROGRESS,), declared.c16),
    Row("C21", "", (SEEDS,), declared.c21),
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
)  # fmt: skip


def judge_declared(
    walked: Mapping[str, Sequence[Walk]],
    *,
    gaps: Mapping[int, Mapping[str, float]] | None = None,
    use: Mapping[tuple[int, str], float] | None = None,
    reliance: Mapping[int, float] | None = None,
    distances: Mapping[tuple[int, str], Any] | None = None,
    level: float = LEVEL,
    splits: int = SPLITS,
) -> list[Judged]:
    """Every row of the protocol, in its order, judged by every reading it has; without its walks it is not run.

    Args:
        walked: experiment -> its walks, controls included, as `ledger.gather`.
        gaps: original -> telling metrics with their gaps there, which C10 needs; see `metrics_along.telling`.
        use, reliance: (original, method) -> cue use, and original -> its own reliance on the cue, which M1 needs; see
            `method_pairs.cue_measures`.
        distances: (original, method) -> to retrained models along its line, which N1 needs; see
            `between_models.walk_lines`, whose walks are those of the experiment ``n1``.
        level: of the intervals; the corrected ones are at 1 - (1 - level) / (number of rows judged).
        splits: pairs of halves of the originals on which each row is judged again.
    """
    given: dict[str, Any] = {"gaps": gaps, "use": use, "reliance": reliance, "distances": distances}
    walked = experiments_of(walked)
    judged = {
        row.name
        for row in ROWS
        if row.test and all(walked.get(name) for name in row.on) and all(given[name] for name in row.needs)
    }
    strict = 1 - (1 - level) / max(1, len(judged))
    found = []
    for row in ROWS:
        if row.test is None or row.name not in judged:
            found.append(Judged(row))
            continue
        test = partial(row.test, **{name: given[name] for name in row.needs})
        walks = [w for name in row.on for w in walked[name]]
        by = {
            reading: test(walks, level=level, **({"reading": reading} if len(row.readings) > 1 else {}))
            for reading in row.readings
        }
        corrected = _corrected(test(walks, level=strict), strict)
        found.append(Judged(row, by, corrected, _on_halves(test, walks, by[READ[0]].verdict, splits)))
    return found


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
    """A row (dict) of each `Judged` with the `COLUMNS`: numbers by the chord, the words of the other readings beside.

    ``least`` is the smallest effect found with a power of 0.8; ``flips`` the share of bootstrap draws of the originals
    with another word, ``halves`` and ``opposite`` the shares of halves with another and with the opposite one.
    """
    return [_row(one) for one in judged]


def _row(one: Judged) -> dict[str, Any]:
    told = PROTOCOL[one.row.id]
    found: dict[str, Any] = dict.fromkeys(COLUMNS)
    found |= {"id": one.row.id, "row": one.row.name} | {k: told[k] for k in ("statistic", "unit", "null", "threshold")}
    if not one.found:
        return found | {"verdict": "not run"}
    first = one.found[READ[0]]
    found |= dict(zip(("effect", "low", "high"), first.effect, strict=True))
    if first.null is not None:
        found |= {"null_low": first.null.low, "null_high": first.null.high}
    found |= {name: getattr(first, name) for name in ("least", "p", "n_originals", "n_cells", "verdict", "flips")}
    found |= {reading: finding.verdict for reading, finding in one.found.items() if reading != READ[0]}
    found |= dict(zip(("halves", "opposite"), one.halves, strict=True))
    if one.corrected is not None:
        found |= {"corrected_low": one.corrected.effect.low, "corrected_high": one.corrected.effect.high}
        found["corrected"] = one.corrected.verdict
    return found | {"notes": "; ".join(first.notes)}


def flips_between(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """The rows whose verdict differs between readings: row, and the verdict by each."""
    words = [(one.row.name, {r: f.verdict for r, f in one.found.items()}) for one in judged]
    return [{"row": name, **by} for name, by in words if len(set(by.values())) > 1]


def left_out(walks: Sequence[Walk]) -> list[dict[str, Any]]:
    """What the gate leaves out of verdicts, by name: method, condition, why, walks left out, of how many.

    Why is without its numbers, so that walks of one method count together; a walk may be left out for several reasons.
    """
    counted: Counter[tuple[str, str, str]] = Counter()
    every: Counter[tuple[str, str]] = Counter()
    for walk in sound(list(walks)):
        place = walk.label, walk.condition
        every[place] += 1
        counted.update((*place, why) for why in {one.partition(":")[0] for one in reasons(walk)})
    return [
        {"method": method, "condition": condition, "why": why, "walks": number, "of": every[method, condition]}
        for (method, condition, why), number in sorted(counted.items())
    ]


def counts(walks: Sequence[Labels]) -> dict[str, int]:
    """How many walks of methods there are, and how many of them verdicts read."""
    there = [w for w in walks if isinstance(w, Walk)]
    return {"walks": len(sound(there)), "admitted": len(admitted(there))}


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as a Markdown table of some columns, all of them by default; of no rows, an empty text."""
    names = list(columns or (rows[0] if rows else ()))
    return markdown_of([names, *([text_of(row.get(name)) for name in names] for row in rows)]) if rows else ""


def write_trials(judged: Sequence[Judged], walks: Sequence[Walk], folder: str | Path) -> None:
    """Write trials.csv and trials.md: the ledger, its flips between readings, and what the gate left out."""
    rows, place = trial_rows(judged), Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "trials.csv", "w", newline="", encoding="utf-8") as file:
        lines = [[text_of(row[name]) for name in COLUMNS] for row in rows]
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
    parts = {
        "The ledger": markdown(rows, "row verdict effect low high threshold unit n_originals notes".split()),
        "Verdicts that differ between readings": markdown(flips_between(judged), ["row", *READ]),
        "Left out of verdicts": markdown(left_out(walks)),
    }
    text = "\n".join(f"## {title}\n\n{table or 'None.'}" for title, table in parts.items())
    (place / "trials.md").write_text(text.rstrip() + "\n", encoding="utf-8")


def protocol_table() -> str:
    """The table of claims in docs/protocol.md: statistic, rule, null and planted effect of each."""
    names = ("statistic", "rule", "null", "planted")
    lines = ["| id | statistic (per original, then over originals) | rule | null | planted effect |", "|" + "---|" * 5]
    for claim, told in PROTOCOL.items():
        lines.append("|" + "|".join(f" {text} " if text else " " for text in (claim, *(told[n] for n in names))) + "|")
    return "\n".join(lines) + "\n"


PROTOCOL: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("protocol.toml").read_text(encoding="utf-8")
)
