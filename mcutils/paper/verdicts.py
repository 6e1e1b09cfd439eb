"""Verdicts: what was found of the protocol's rows and of the ends that verdicts read, in sentences and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from ..engine.conditions import CONDITIONS
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import label
from .admission import Gate, admitted, controls, gates, reasons, retraining_controls, unlearned_ends
from .claims import CLAIMS, PROTOCOL, spread
from .judging import sound
from .tables import Table, counted, frame, joined_text, range_text
from .trials import Finding
from .walks import APART, RETRAINED, TWINNED, Walk

CHORD = "chord"  # the paper's reading, whose verdict is the ledger's
READ = (CHORD, "floor", "worse_end", "two_sided")  # the readings that have a verdict each
NOT_RUN = "not run"
DECIDED = ("supported", "contradicted")
SHORT = 12  # lines of a list that stands open in a notebook; a longer one is folded
# Reasons as readers have them, from how tests and gate note them.
WORDS = {
    r"^1 originals are": "1 original is",
    r"^without linear ": "without the lines ",
    r"^without bezier ": "without the curves ",
    r"^its null reaches ": "its null reaches from ",
    r"\bloss_(retain|forget)\b": r"\1 loss",
}


@dataclass(frozen=True)
class Row:
    """A row of the protocol: its id and which of its measures, the experiments that it reads, and its test.

    ``needs``: the arguments of `trial_ledger.judge_declared` without which it cannot be judged.
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
    def told(self) -> dict[str, Any]:
        """What the protocol declares of it: of the row where it has an entry of its own, else of its claim."""
        return PROTOCOL.get(self.name) or PROTOCOL.get(self.id, {})

    @property
    def readings(self) -> tuple[str, ...]:
        """The readings that it has; only that of the chord where its statistic does not speak of connection."""
        free = self.measure not in ("roughness",) and self.takes("reading")
        return READ if free else (CHORD,)

    def takes(self, option: str) -> bool:
        """Whether its test has an option that is not fixed already."""
        if self.test is None:
            return False
        fixed = self.test.keywords if isinstance(self.test, partial) else {}
        return option in set(signature(self.test).parameters) - set(fixed)


@dataclass(frozen=True)
class Judged:
    """What was found of a row: by each reading, at the corrected level, and on halves of the originals.

    ``halves``: (share with another word, share with the opposite one) of the halves; empty where not run.
    """

    row: Row
    found: Mapping[str, Finding] = field(default_factory=dict)
    corrected: Finding | None = None
    halves: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def first(self) -> Finding | None:
        """What was found by the chord; None where it was not run."""
        return self.found.get(CHORD)

    @property
    def verdict(self) -> str:
        """The word by the chord."""
        return self.first.verdict if self.first else NOT_RUN

    @property
    def flipped(self) -> dict[str, Finding]:
        """What was found by those other readings that have another word."""
        return {reading: one for reading, one in self.found.items() if one.verdict != self.verdict}


# Verdicts


def found_text(one: Finding, digits: int = 2) -> str:
    """Word and effect with its interval: ``supported, 0.90 [0.80, 1.00]``; of nothing measured, the word."""
    return f"{one.verdict}, {spread(one.effect, digits)}" if np.isfinite(one.effect.estimate) else one.verdict


def verdict_text(one: Judged, eps: float = TOLERANCE) -> str:
    """A row's verdict as a paragraph of Markdown.

    The claim, what was measured and found, its null, the rule, readings with another verdict, and why it is undecided.
    """
    told, first = one.row.told, one.first
    head = f"**{one.row.name}, {one.verdict}.** {CLAIMS[one.row.id].statement}"
    if first is None:
        return head
    words = f"*Statistic:* {told['statistic'].replace('MCU(0.1)', f'MCU({eps:g})')}."
    parts = [f"{head} {words}"]
    known = np.isfinite(first.effect.estimate)
    p = "" if first.p is None else f", p = {first.p:.2g}"
    number = f"{spread(first.effect)} ({told['unit']}){p}" if known else "nothing to measure"
    among = counted(first.n_originals, first.unit.removesuffix("s"), first.unit)
    parts.append(f"*Found:* {number}; {among}, {counted(first.n_cells, 'cell')}.")
    if first.null is not None and np.isfinite(first.null.estimate):
        parts.append(f"*Null:* {spread(first.null)}.")
    parts.append(f"*Rule:* {told['rule']}.")
    if one.flipped:
        others = "; ".join(f"`{reading}` {found_text(found)}" for reading, found in one.flipped.items())
        parts.append(f"*Other readings say otherwise:* {others}.")
    elif len(one.found) > 1:
        parts.append("*The other readings say the same.*")
    if first.notes:
        parts.append(f"*{'Undecided because' if one.verdict == 'undecided' else 'Beside it'}:* {notes_text(first)}.")
    return " ".join(parts)


def notes_text(one: Finding, most: int = 4) -> str:
    """Why it is undecided, the first reasons and how many more there are."""
    more = len(one.notes) - most
    return "; ".join([*map(reason_text, one.notes[:most]), *([f"{more} more"] if more > 0 else [])])


def reason_text(why: str) -> str:
    """A reason of a test or of the gate in a reader's words: names as in figures, one original in the singular."""
    for pattern, words in WORDS.items():
        why = re.sub(pattern, words, why)
    return re.sub(r"^without (?!the )(\w+) ", lambda found: f"without {label(found[1])} ", why)


def verdicts_text(judged: Sequence[Judged], eps: float = TOLERANCE) -> str:
    """Verdicts as a Markdown list, see `verdict_text`; rows that were not run are left out."""
    lines = [f"- {verdict_text(one, eps)}" for one in judged if one.found]
    if eps != TOLERANCE and any(one.row.takes("eps") for one in judged if one.found):
        lines.append(
            f"\nThe tolerance that was declared is {TOLERANCE:g} G; at {eps:g} G these are not the ledger's verdicts."
        )
    return "\n".join(lines) if lines else "No row could be judged on these walks."


def verdicts_line(judged: Sequence[Judged]) -> str:
    """Row and word of each that was run, in one line: ``C1: supported; C2 deficit: undecided``."""
    return "; ".join(f"{one.row.name}: {one.verdict}" for one in judged if one.found)


def fragility_text(judged: Sequence[Judged]) -> str:
    """How often other draws of the originals would say otherwise, row by row (bootstrap), in a sentence."""
    known = [(one.row.name, one.first.flips) for one in judged if one.first is not None]
    told = [f"{name} {100 * flips:.0f} %" for name, flips in known if np.isfinite(flips)]
    if not told:
        return "There are too few originals to tell how often others would say otherwise."
    return f"**Fragility.** Share of bootstrap draws of the originals that have another verdict: {', '.join(told)}."


# The gate


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


def _ends(walks: Sequence[Walk]) -> dict[tuple, Gate]:
    """The gate of every unlearned end of walks, once each: (method, with what, form, size, original, seed)."""
    found: dict[tuple, Gate] = {}
    for w in sound(list(walks)):
        sides = CONDITIONS[w.condition] if w.condition in CONDITIONS else CONDITIONS["random"]
        for k in unlearned_ends(w):
            side, method = (sides.end, w.other or w.method) if k else (sides.start, w.method)
            kind = "curriculum" if side.curriculum else "second order" if side.second_order else ""
            found.setdefault((method, kind, w.form, w.size, w.original, w.end if k else w.start), gates(w)[k])
    return found


def gate_table(walks: Sequence[Walk]) -> Table:
    """Per method, and curriculum or order of the end: how many ends there are, how many pass the gate, and by how much.

    ``closes`` are the shares of the gap to retraining that the median end closes in loss and in accuracy, ``keeps`` its
    share of the original's accuracy on D_r, ``over``: ends beyond `admission.FAR` gaps, which stay in. Worst first.
    """
    groups: dict[tuple, list[Gate]] = {}
    for (method, kind, form, size, *_), one in _ends(walks).items():
        groups.setdefault((method, kind, form, size), []).append(one)
    rows = []
    for (method, kind, form, size), ends in groups.items():
        passed, over = sum(not one.reasons for one in ends), sum(one.over for one in ends)
        with_what = ", ".join(filter(None, (kind, form, f"{100 * size:g} % forgotten" if size else "")))
        shares = (float(np.median([getattr(one, name) for one in ends])) for name in ("loss", "accuracy", "kept"))
        rows.append((method, with_what, len(ends), passed, *(round(v, 3) for v in shares), over))
    columns = ["method", "with", "ends", "pass", "closes, loss", "closes, accuracy", "keeps", "over"]
    return frame(sorted(rows, key=lambda row: row[3] / row[2]), columns, "method")


def gate_text(walks: Sequence[Walk]) -> str:
    """How many walks verdicts read, and by name what the gate leaves out of them, in Markdown.

    More than `SHORT` lines are folded, and told by their reasons.
    """
    ours, rows = sound(list(walks)), left_out(walks)
    head = f"**Verdicts read {len(admitted(ours))} of {len(ours)} walks.**"
    if not rows:
        return f"{head} None is left out."
    names = [
        f"- {_named(row['method'])} (`{row['condition']}`): {reason_text(row['why'])}, {row['walks']} of {row['of']} "
        "walks"
        for row in rows
    ]
    if len(names) <= SHORT:
        return "\n".join([f"{head} Left out:", "", *names])
    by: Counter[str] = Counter()
    for row in rows:
        by[reason_text(row["why"])] += row["walks"]
    told = ", ".join(f"{why} ({number})" for why, number in by.most_common())
    fold = f"<details><summary>Left out, by method and condition: {len(names)} lines</summary>"
    return "\n".join(
        [f"{head} Left out, a walk perhaps for several reasons: {told}.", "", fold, "", *names, "", "</details>"]
    )


def _named(method: str) -> str:
    """A method, or both of a pair, as figures name them."""
    return " – ".join(map(label, method.split(" - ")))


# The controls


def controls_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """The controls, each with what was found and what must be, in Markdown; see `admission.controls`.

    Where retrained models are the control (`admission.retraining_controls`), their lines are told instead.
    """
    retrained = [w.barrier for w in walks if w.control == RETRAINED and w.init == "other init"]
    lines, failed = [], retraining_controls(walks, eps) if retrained else controls(walks, eps)
    head = "FAILED, so that every verdict that reads these walks is undecided" if failed else "held"
    if retrained:
        words = "Lines between retrained models of different initial weights"
        lines.append(f"{words} have a retain barrier {range_text(retrained)} (all must exceed {eps:g} G).")
    else:
        rises, twins = [w.barrier for w in walks if w.control == APART], [w for w in walks if w.control == TWINNED]
        lines += [
            f"Lines between different originals have a retain barrier {range_text(rises)} (all must exceed {eps:g} G).",
            f"{joined_text(twins, eps)} fine-tuned twins satisfy MCU({eps:g}) (all must).",
            f"On each of {len({w.original for w in walks})} originals at least half of the methods must forget, and "
            "the original must fit D_f better than every retrained model does, and D_r as they do.",
        ]
    return " ".join([f"**Controls {head}.**", *lines]) + "".join(f"\n- {one}" for one in failed)
