"""Stories: six paths, each with a question and a paragraph, chosen and told from the tables.

A story takes the path that shows its point most clearly, and says on how many it is so. Where none shows it, the story
says so and has no path, or a path that no verdict reads, and why none does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path as File
from typing import Any

import numpy as np

from ..engine.study import Study
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import label
from .claims import FINDINGS as FILE
from .experiments import CURVES, ORIGINALS, OTHER, Labels, Route, apart, labels_of, seeds
from .inclusion import Table, Tables, in_experiment
from .rows import Judged
from .tables import tables

Path = Any  # a row of `paths`, with the extremes along it


@dataclass(frozen=True)
class Told:
    """A story as it is told: its path with the other one between the same ends, if there is one, and its words."""

    name: str
    title: str
    question: str
    text: str
    path: Route | None = None
    beside: Route | None = None


@dataclass(frozen=True)
class Story:
    """What a story is about: which paths may tell it, which of them does, and what it says of that one.

    ``among`` are the paths that it looks at, ``fits`` those of them that show its point. ``choose`` gives the number
    of which the largest tells it; ``says`` gets that path, the one beside it if there is one, and eps. ``counted`` says
    how many of ``{all}`` paths are one of ``{fit}``, ``nothing`` is said where none is. ``spare`` lets one that no
    verdict reads tell it then, if that is for want of forgetting alone.
    """

    title: str
    question: str
    among: Callable[[Path], bool]
    fits: Callable[[Path, float], bool]
    choose: Callable[[Path], float]
    says: Callable[[Path, Path | None, float], str]
    counted: str
    nothing: str
    spare: bool = False


def told(study: Study, eps: float = TOLERANCE) -> list[Told]:
    """Every story of a study, see `tell`; what it lacks of the paths is computed."""
    routes = [*seeds(study), *apart(study)]
    return tell(tables(study, "02_seeds", "09_progress_and_retraining"), routes, eps)


def tell(found: Tables, routes: Sequence[Route], eps: float = TOLERANCE) -> list[Told]:
    """Every story of `STORIES` told from these tables, in their order; ``eps`` is the tolerance in G.

    Only included paths tell one, and a ``spare`` one where its story has none.
    """
    names = [f.name for f in fields(Labels)]
    known = {tuple(labels_of(route).values()): route for route in routes if not route.control and not route.aside}
    paths = _with_extremes(found)
    every = [row for row in paths.itertuples() if tuple(getattr(row, n) for n in names) in known]
    ours = [w for w in every if w.included]
    weak = [w for w in every if w.why and all("did not forget" in why for why in w.why.split("; "))]
    stories = []
    for name, story in STORIES.items():
        group = [w for w in ours if story.among(w)]
        fit = [w for w in group if story.fits(w, eps)]
        spare = [w for w in weak if story.spare and story.among(w) and story.fits(w, eps)]
        best = max(fit or spare, key=lambda w: _worth(story, w), default=None)
        if best is None:
            stories.append(Told(name, story.title, story.question, story.nothing))
            continue
        near = (w for w in (ours if fit else weak) if _same_ends(w, best) and w.kind != best.kind)
        other = next(near, None)
        parts = [story.says(best, other, eps)]
        if not fit:
            why = best.why.replace("; ", " and its ")
            parts[:0] = [story.nothing, f"Shown is one that is not judged, because its {why}."]
        elif len(group) > 1:
            parts.append(story.counted.format(fit=len(fit), all=len(group)))
        route, beside = (None if w is None else known[tuple(getattr(w, n) for n in names)] for w in (best, other))
        stories.append(Told(name, story.title, story.question, " ".join(parts), route, beside))
    return stories


def _with_extremes(found: Tables) -> Table:
    """`paths` with the lowest and highest of losses and accuracies along each, as ``low_<metric>`` and ``high_``."""
    along = found["along"][found["along"].metric.isin(["loss_forget", "accuracy_retain", "accuracy_forget"])]
    ends = along.groupby(["path", "metric"]).value.agg(["min", "max"]).unstack("metric")
    ends.columns = [f"{'low' if side == 'min' else 'high'}_{metric}" for side, metric in ends.columns]
    return found["paths"].join(ends, on="path")


def _worth(story: Story, w: Path) -> float:
    value = story.choose(w)
    return value if np.isfinite(value) else -np.inf


def _same_ends(one: Path, other: Path) -> bool:
    names = ("method", "other", "original", "start", "end", "condition", "size", "form", "init", "objective", "recipe")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _seeds(w: Path) -> bool:
    return w.condition == "random" and not (w.form or w.recipe or w.objective or w.refit)


def _named(w: Path) -> str:
    name = label(w.method)
    return f"{name[:1].upper()}{name[1:]}, seeds {w.start} and {w.end}, on original model {w.original}"


def _way(w: Path) -> str:
    return "straight line" if w.kind == "linear" else "fitted curve"


def _right(w: Path, split: str) -> str:
    return f"{100 * getattr(w, f'low_accuracy_{split}'):.1f} to {100 * getattr(w, f'high_accuracy_{split}'):.1f} %"


def _levels(w: Path) -> tuple[float, float]:
    """The lowest forget loss along a path, and the mean of the retrained models, in nats."""
    return w.low_loss_forget, w.retrained_loss_forget


def _healthy(w: Path, beside: Path | None, eps: float) -> str:  # noqa: ARG001 (as all that tell a story)
    return (
        f"{_named(w)}: on the {_way(w)} the retain loss rises by at most {w.barrier_chord:.3f} G above its chord, "
        f"and the forget loss leaves its own by at most {w.deficit_two_sided:.3f} G to either side. On the "
        f"way {_right(w, 'retain')} of the kept images are right, and {_right(w, 'forget')} of the forgotten: "
        f"by both losses the models between the two are what these are, within {eps:g} G."
    )


def _dip(w: Path, beside: Path | None, eps: float) -> str:  # noqa: ARG001
    low, level = _levels(w)
    return (
        f"{_named(w)}: on the {_way(w)} the forget loss dips by {w.deficit_chord:.3f} G below its chord, so "
        f"MCU({eps:g}) breaks. Yet its lowest value is {low:.2f} nats, and models that never saw the images have "
        f"{level:.2f}: no model on the way fits them better than that, within {eps:g} G. A dip below the chord is not "
        "knowledge that comes back."
    )


def _return(w: Path, beside: Path | None, eps: float) -> str:  # noqa: ARG001
    low, level = _levels(w)
    return (
        f"{_named(w)}: on the {_way(w)} the forget loss falls to {low:.2f} nats, by "
        f"{w.deficit_floor:.3f} G below its chord and below what models that never saw the images have "
        f"({level:.2f} nats). Models there fit the forgotten images better than by not knowing them."
    )


def _barrier(w: Path, beside: Path | None, eps: float) -> str:  # noqa: ARG001
    return (
        f"{_named(w)}: on the {_way(w)} the retain loss rises by {w.barrier_chord:.3f} G above its chord, more than "
        f"the {eps:g} G that are let pass. The two runs began at one model and differ in their seed alone, and yet the "
        "straight line between them leaves the valley of what is kept."
    )


def _apart(w: Path, beside: Path | None, eps: float) -> str:
    line = "" if beside is None else f", and on the {_way(beside)} by {beside.barrier_chord:.3f} G"
    held = f"Within the {eps:g} G that are let pass there is a way from one to the other."
    left = (
        ""
        if beside is None
        else f", though of the line's barrier it leaves {100 * w.barrier_chord / beside.barrier_chord:.0f} %"
    )
    broken = f"That is more than the {eps:g} G that are let pass: by this measure the curve does not join them{left}."
    return (
        "Two networks were trained apart, from other initial weights and on another order of the images (original "
        f"models {w.start} and {w.end}). On the {_way(w)} between them the retain loss rises by at most "
        f"{w.barrier_chord:.3f} G above its chord{line}. {held if w.barrier_chord <= eps else broken} A barrier on a "
        "line does not say what a curve finds."
    )


def _retrained(w: Path, beside: Path | None, eps: float) -> str:
    line = (
        ""
        if beside is None
        else f" ({beside.barrier_chord:.3f} and {beside.deficit_chord:.3f} G on the {_way(beside)})"
    )
    held = f"So MCU({eps:g}) holds, which says of two models that they are joined, not that they are alike."
    broken = f"So MCU({eps:g}) breaks: by this curve the two do not lie in one valley."
    return (
        f"From {label(w.method)} (seed {w.start}, original model {w.original}) to a model that was retrained "
        f"without the forgotten images, from other initial weights: the {_way(w)} has a retain barrier of "
        f"{w.barrier_chord:.3f} G and a forget deficit of {w.deficit_chord:.3f} G{line}. "
        f"{held if w.eps_chord <= eps else broken}"
    )


SO = "That is so on {fit} of {all} paths between two seeds."
STORIES = {
    "healthy": Story(
        "A healthy pair",
        "Two runs of one method, two seeds. Is what lies between them as good as they are?",
        _seeds,
        lambda w, eps: w.eps_two_sided <= eps,
        lambda w: -w.eps_two_sided,
        _healthy,
        SO,
        "No path between two seeds stays within the tolerance on both sides of its chords.",
    ),
    "dip": Story(
        "A dip that is no return",
        "The forget loss dips between two unlearned models. Do the models there know the images again?",
        _seeds,
        lambda w, eps: w.barrier_chord <= eps and w.deficit_chord > eps and w.deficit_floor <= eps,
        lambda w: w.deficit_chord,
        _dip,
        SO,
        "No path between two seeds dips below its chord alone.",
    ),
    "return": Story(
        "A dip that is one",
        "And is there a path on which what was forgotten is fitted better than by models that never saw it?",
        _seeds,
        lambda w, eps: w.barrier_chord <= eps and w.deficit_floor > eps,
        lambda w: w.deficit_floor,
        _return,
        SO,
        "None was found between two seeds: on no path without a retain barrier does the forget loss fall below its "
        "chord and below the retrained models' level too, by more than the tolerance.",
    ),
    "barrier": Story(
        "A barrier between two seeds",
        "One original, one method, two seeds: can these end in different valleys?",
        lambda w: _seeds(w) and w.kind == "linear",
        lambda w, eps: w.barrier_chord > eps,
        lambda w: w.barrier_chord,
        _barrier,
        "That is so on {fit} of {all} lines between two seeds.",
        "Of the lines between two seeds whose ends forgot and kept enough to be judged, none has a retain barrier "
        "beyond the tolerance.",
        spare=True,
    ),
    "apart": Story(
        "Two models trained apart",
        "Two networks with nothing in common but their task: is there a way from one to the other?",
        lambda w: w.condition == ORIGINALS and w.kind != "linear",
        lambda w, eps: True,
        lambda w: -w.barrier_chord,
        _apart,
        "Of {all} such curves it has the lowest barrier.",
        "No curve between independently trained models was walked.",
    ),
    "retrained": Story(
        "The way to retraining",
        "Is an unlearned model in the valley of one that never saw the data?",
        lambda w: w.condition == CURVES and w.init == OTHER and w.kind != "linear" and not w.objective,
        lambda w, eps: True,
        lambda w: -w.eps_chord,
        _retrained,
        "Of {all} such curves it needs the smallest tolerance.",
        "No curve from an unlearned to a retrained model was walked.",
    ),
}


# The findings on the front page


def findings(known: Tables, judged: Sequence[Judged], eps: float) -> str:
    """The `FINDINGS` in Markdown, and how many rows have which word; one whose paths are not in the tables is none."""
    paths = known["paths"]
    told = [finding(paths, judged, eps) for finding in FINDINGS]
    words = [one.verdict for one in judged if one.first]
    counts = ", ".join(f"{words.count(word)} {word}" for word in ("supported", "contradicted", "undecided"))
    lines = "\n".join(f"- {one}" for one in told if one)
    return f"{lines}\n\nOf {len(words)} rows of the ledger judged: {counts} ([what they say](docs/results.md)).\n"


def write_findings(found: Tables, judged: Sequence[Judged], folder: str | File, eps: float) -> None:
    """Write `findings` to `FILE` in a folder."""
    (File(folder) / FILE).write_text(findings(found, judged, eps), encoding="utf-8")


def _main(paths: Table) -> Table:
    """Included paths, but for those that another notebook walks on other data or at all sizes."""
    return paths[paths.included & (paths.form == "") & ~paths.full]


def _pairs(paths: Table) -> Table:
    """Paths between two seeds of one method, of 02, as the study fits them."""
    ours = _main(paths).query("condition == 'random' and size == 0 and recipe == '' and objective == ''")
    return ours[in_experiment(ours, "02_seeds") & ~ours.refit & (ours.batchnorm == "")]


def _between_seeds(paths: Table, judged: Sequence[Judged], eps: float) -> str:  # noqa: ARG001 (as all findings)
    pairs = _pairs(paths)
    lines = pairs[pairs.kind == "linear"]
    best = pairs.groupby(["original", "method", "start", "end"]).eps_chord.min()
    if pairs.empty:
        return ""
    return (
        f"**One method, two seeds.** We unlearned twice with each method and looked at {len(best)} pairs. "
        f"A straight line connects {(lines.eps_chord <= eps).sum()} pairs. A line or a fitted curve connects "
        f"{(best <= eps).sum()}. Where a line fails, the kept data stays well fitted and the forget loss dips. "
        "If a dip counts only when it also goes below models that never saw the data, "
        f"{(lines.eps_floor <= eps).sum()} lines connect. ([figure](figures/02_seeds.png))"
    )


def _between_methods(paths: Table, judged: Sequence[Judged], eps: float) -> str:  # noqa: ARG001
    lines = _main(paths[in_experiment(paths, "05_methods")]).query("condition == 'method' and kind == 'linear'")
    flat = lines[lines.barrier_chord <= eps]
    if lines.empty:
        return ""
    return (
        f"**Two methods.** We drew {len(lines)} straight lines between models made by different methods. On "
        f"{len(flat)} the kept data stays well fitted. Yet only {(lines.eps_chord <= eps).sum()} pass the paper's "
        f"test, because on the other {(flat.eps_chord > eps).sum()} the forget loss dips. If a dip counts "
        f"only when it also goes below models that never saw the data, {(lines.eps_floor <= eps).sum()} pass. "
        "([figure](figures/05_methods.png))"
    )


def _the_fit(paths: Table, judged: Sequence[Judged], eps: float) -> str:  # noqa: ARG001
    pairs, place = _pairs(paths), ["original", "method", "start", "end"]
    fits = paths[in_experiment(paths, "08_curve_fitting")].query("recipe == 'authors' and batchnorm == 'retain'")
    line = pairs[pairs.kind == "linear"].set_index(place).eps_chord_11
    curve = pairs[pairs.kind == "bezier"].set_index(place).eps_chord_11.reindex(line.index)
    theirs = fits.drop_duplicates(place).set_index(place).eps_chord_11.reindex(line.index)
    if fits.empty or pairs.empty:
        return ""
    return (
        f"**The fit decides.** Between the same {len(line)} pairs the authors' recipe finds a connecting curve for "
        f"{(theirs <= eps).sum()}, a corrected recipe for {(curve <= eps).sum()}. The straight line connects "
        f"{(line <= eps).sum()}. ([figure](figures/08_curve_fitting.png))"
    )


def _changed_ends(paths: Table, judged: Sequence[Judged], eps: float) -> str:  # noqa: ARG001
    found = {one.row.name: one.first.effect for one in judged if one.first}
    if not {"C5", "C6"} <= set(found):
        return ""
    one, other = (f"{found[n].estimate:.2f} G [{found[n].low:.2f}, {found[n].high:.2f}]" for n in ("C5", "C6"))
    return (
        "**Curriculum and optimiser.** Does it cost more to cross them than to change the seed? A curriculum at "
        f"one end changes the smallest tolerance that connects by {one}, a second-order optimiser by {other}. "
        "G is what there is to forget. ([figure](figures/03_curriculum_changes.png))"
    )


def _trained_apart(paths: Table, judged: Sequence[Judged], eps: float) -> str:  # noqa: ARG001
    found = _main(paths).query("condition == 'originals'").groupby("kind").barrier_chord.median()
    if not {"linear", "bezier"} <= set(found.index):
        return ""
    return (
        "**Trained apart.** Between two originals of different initial weights the straight line has a retain "
        f"barrier of {found.linear:.1f} G in the median, and a curve fitted between them one of "
        f"{found.bezier:.2f} G. ([figure](figures/09_progress_and_retraining.png))"
    )


FINDINGS = (_between_seeds, _between_methods, _the_fit, _changed_ends, _trained_apart)
