"""The findings on the front page: a few sentences made of the tables, each with its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .inclusion import Tables, in_experiment
from .rows import Judged


def text(tables: Tables, judged: Sequence[Judged], eps: float) -> str:
    """Five findings in Markdown; a finding whose experiment is not in the tables is left out."""
    paths = tables["paths"][tables["paths"].included & (tables["paths"].form == "") & ~tables["paths"].full]
    result = {one.row.name: one.first.effect for one in judged if one.first}
    found = []
    pairs = paths[(paths.condition == "random") & (paths["size"] == 0) & (paths.recipe == "") & (paths.objective == "")]
    pairs = pairs[in_experiment(pairs, "02_seeds") & ~pairs.refit & (pairs.batchnorm == "")]
    if len(pairs):
        lines = pairs[pairs.kind == "linear"]
        best = pairs.groupby(["original", "method", "start", "end"]).eps_chord.min()
        found.append(
            f"**One method, two seeds.** We unlearned twice with each method and looked at {len(best)} pairs. A straight "
            f"line connects {(lines.eps_chord <= eps).sum()} pairs. A line or a fitted curve connects "
            f"{(best <= eps).sum()}. Where a line fails, the kept data stays well fitted and the forget loss dips. If a "
            f"dip counts only when it also goes below models that never saw the data, {(lines.eps_floor <= eps).sum()} "
            "lines connect. ([figure](figures/02_seeds.png))"
        )
    lines = paths[(paths.condition == "method") & (paths.kind == "linear")]
    if len(lines):
        flat = lines[lines.barrier_chord <= eps]
        found.append(
            f"**Two methods.** We drew {len(lines)} straight lines between models made by different methods. On "
            f"{len(flat)} the kept data stays well fitted. Yet only {(lines.eps_chord <= eps).sum()} pass the paper's "
            f"test, because on the other {(flat.eps_chord > eps).sum()} the forget loss dips. If a dip counts only when "
            f"it also goes below models that never saw the data, {(lines.eps_floor <= eps).sum()} pass. "
            "([figure](figures/05_methods.png))"
        )
    fits = tables["paths"][
        in_experiment(tables["paths"], "08_curve_fitting")
        & (tables["paths"].recipe == "authors")
        & (tables["paths"].batchnorm == "retain")
    ]
    if len(fits) and len(pairs):
        place = ["original", "method", "start", "end"]
        line = pairs[pairs.kind == "linear"].set_index(place).eps_chord_11
        curve = pairs[pairs.kind == "bezier"].set_index(place).eps_chord_11.reindex(line.index)
        theirs = fits.drop_duplicates(place).set_index(place).eps_chord_11.reindex(line.index)
        found.append(
            f"**The fit decides.** Between the same {len(line)} pairs the authors' recipe finds a connecting curve for "
            f"{(theirs <= eps).sum()}, a corrected recipe for {(curve <= eps).sum()}. The straight line connects "
            f"{(line <= eps).sum()}. ([figure](figures/08_curve_fitting.png))"
        )
    if {"C5", "C6"} <= set(result):
        told = [f"{result[n].estimate:.2f} G [{result[n].low:.2f}, {result[n].high:.2f}]" for n in ("C5", "C6")]
        found.append(
            "**Curriculum and optimiser.** Does it cost more to cross them than to change the seed? A curriculum at one "
            f"end changes the smallest tolerance that connects by {told[0]}, a second-order optimiser by {told[1]}. G is "
            "what there is to forget. ([figure](figures/03_curriculum_changes.png))"
        )
    apart = paths[paths.condition == "originals"].groupby("kind").barrier_chord.median()
    if {"linear", "bezier"} <= set(apart.index):
        found.append(
            "**Trained apart.** Between two originals of different initial weights the straight line has a retain barrier "
            f"of {apart.linear:.1f} G in the median, and a curve fitted between them one of {apart.bezier:.2f} G. "
            "([figure](figures/09_progress_and_retraining.png))"
        )
    words = [one.verdict for one in judged if one.first]
    counts = ", ".join(f"{words.count(word)} {word}" for word in ("supported", "contradicted", "undecided"))
    lines_of = "\n".join(f"- {one}" for one in found)
    return f"{lines_of}\n\nOf {len(words)} rows of the ledger judged: {counts} ([what they say](docs/results.md)).\n"


def write(tables: Tables, judged: Sequence[Judged], folder: str | Path, eps: float) -> None:
    """Write `text` to findings.md in a folder."""
    (Path(folder) / "findings.md").write_text(text(tables, judged, eps), encoding="utf-8")
