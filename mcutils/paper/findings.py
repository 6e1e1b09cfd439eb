"""Findings: five sentences for a reader in a hurry, each computed from the walks behind a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..measures.connectivity import TOLERANCE
from .admission import admitted, reasons
from .claims import interval_text
from .declared import fits_beside
from .progress_and_retraining import ORIGINALS
from .tables import counted
from .trial_ledger import CURRICULUM, FITS, ORDER, PAIRS, PROGRESS, SEEDS, experiments_of
from .verdicts import DECIDED, Judged
from .walks import Walk

FILE = "findings.md"  # beside claims.csv
PLAIN = {"form": "", "recipe": "", "objective": "", "refit": False, "batchnorm": "", "full": False, "size": 0.0}


def seeds_finding(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How many pairs of seeds a line or a curve connects, by two readings, and what dips are beside retraining."""
    ours = admitted(walks, condition="random", **PLAIN)
    if not ours:
        return ""
    pairs: dict[tuple, list[Walk]] = {}
    for w in ours:
        pairs.setdefault((w.original, w.method, w.pair), []).append(w)
    lines = [w for w in ours if w.kind == "linear"]
    either, line, floor = (
        sum(any(w.connected(eps) for w in part) for part in pairs.values()),
        sum(w.connected(eps) for w in lines),
        sum(w.connected(eps, "floor") for w in lines),
    )
    dipping = [w for w in lines if w.barrier <= eps < w.deficit]
    above = sum(
        w.profile.connectivity.curves["loss_forget"].min() >= np.mean(w.profile.levels["loss_forget"]) for w in dipping
    )
    methods = len({w.method for w in ours})
    return (
        f"**One method, two seeds.** Ends of {len(pairs)} pairs, of {methods} methods, forgot and kept what they "
        f"should. A line or a fitted curve connects {either} of these pairs, the line by itself {line}, or {floor} "
        f"where a loss counts only beyond the retrained models' too (the reading `floor`). Of the {len(dipping)} lines "
        f"that the forget deficit alone keeps from connecting, {above} stay above the mean loss of retrained models at "
        "every t: a dip is not knowledge regained."
    )


def methods_finding(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How many lines between different methods have no barrier, and how many connect by two readings."""
    lines = admitted(walks, condition="method", kind="linear", **PLAIN)
    if not lines:
        return ""
    flat, joined, floor = (
        sum(w.barrier <= eps for w in lines),
        sum(w.connected(eps) for w in lines),
        sum(w.connected(eps, "floor") for w in lines),
    )
    return (
        f"**Two methods.** Of {len(lines)} lines {flat} have no retain barrier above {eps:g} G, yet only {joined} "
        f"connect, for the forget loss dips on the other {flat - joined}; by the reading `floor` {floor} of all do."
    )


def shifts_finding(judged: Sequence[Judged]) -> str:
    """What a curriculum or a second-order optimiser at one end does to the smallest eps, in G."""
    found = {one.row.name: one.first for one in judged if one.first is not None}
    names = {"C5": "a curriculum", "C6": "a second-order optimiser"}
    parts = [
        f"{words} at one end changes it by {interval_text(found[name].effect, 2)} G ({found[name].verdict})"
        for name, words in names.items()
        if name in found and np.isfinite(found[name].effect.estimate)
    ]
    return (
        f"**Curriculum and optimiser.** Beside another seed, by the smallest tolerance that connects: "
        f"{', and '.join(parts)}."
        if parts
        else ""
    )


def fits_finding(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How many pairs the authors' fit, the corrected one and the line connect, all read with refreshed BatchNorm."""
    authors = {"recipe": "authors", "batchnorm": "retain"}
    rows = fits_beside(walks, line={"kind": "linear"}, own={}, authors=authors)
    if not rows:
        return ""
    line, own, theirs = (sum(row[n].connected(eps) for row in rows.values()) for n in ("line", "own", "authors"))
    return (
        f"**The fit decides.** Of {len(rows)} pairs, all read with refreshed BatchNorm statistics, the authors' recipe "
        f"connects {theirs} by a curve, a corrected one {own}, the straight line {line}."
    )


def apart_finding(walks: Sequence[Walk]) -> str:
    """Retain barriers between originals trained apart, on the line and on a fitted curve."""
    kept = [w for w in walks if w.condition == ORIGINALS and not w.profile.collapsed and not reasons(w)]
    plain = {name: value for name, value in PLAIN.items() if name in ("recipe", "refit", "batchnorm")}
    kept = [w for w in kept if all(getattr(w, name) == value for name, value in plain.items())]
    lines, curves = ([w.barrier for w in kept if w.kind == kind] for kind in ("linear", "bezier"))
    if not lines or not curves:
        return ""
    return (
        "**Trained apart.** Between two originals of different initial weights the straight line has a retain barrier "
        f"of {np.median(lines):.1f} G in the median, and a curve fitted between them one of {np.median(curves):.2f} G."
    )


def ledger_sentence(judged: Sequence[Judged]) -> str:
    """How many rows were judged, and how they came out."""
    run = [one for one in judged if one.found]
    counts = ", ".join(f"{sum(one.verdict == word for one in run)} {word}" for word in (*DECIDED, "undecided"))
    hanging = [one.row.name for one in run if one.flipped]
    return (
        f"Of {counted(len(run), 'row')} judged: {counts}. {len(hanging)} of them have another verdict by another "
        f"reading of *connected*{': ' + ', '.join(hanging) if hanging else ''}."
    )


def findings_text(walked: Mapping[str, Sequence[Walk]], judged: Sequence[Judged], eps: float = TOLERANCE) -> str:
    """The findings as a Markdown list, each with its figure, and how the ledger came out below it.

    A finding whose walks are not there is left out.

    Args:
        walked: experiment -> its walks, as `ledger.gather`.
        judged: the rows of the protocol, as `trial_ledger.judge_declared`.
        eps: tolerance of MCU(eps) in G.
    """
    there = experiments_of(walked)
    found = {
        "02_seeds": seeds_finding(there.get(SEEDS, ()), eps),
        "05_methods": methods_finding(there.get(PAIRS, ()), eps),
        "08_curve_fitting": fits_finding(there.get(FITS, ()), eps),
        "03_curriculum": shifts_finding(judged) if there.get(CURRICULUM) or there.get(ORDER) else "",
        "09_progress_and_retraining": apart_finding(there.get(PROGRESS, ())),
    }
    lines = [f"- {text} ([figure](figures/{name}.png))" for name, text in found.items() if text]
    return "\n".join([*lines, "", ledger_sentence(judged)]).strip() + "\n"


def write_findings(text: str, folder: str | Path) -> None:
    """Write them beside claims.csv, from where `reproduce` puts them into the README."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / FILE).write_text(text, encoding="utf-8")
