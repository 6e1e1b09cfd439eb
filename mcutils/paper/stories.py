"""Stories: six paths, each with a question and a paragraph, chosen and told from what was walked.

A story takes the path that shows its point most clearly, and says on how many it is so. Where none shows it, the story
says so and has no path, or a path that no verdict reads, and why none does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..engine.study import Study
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import label
from .admission import reasons
from .progress_and_retraining import CURVES, ORIGINALS, OTHER, independent
from .seeds import seeds
from .walks import Labels, Route, Walk, levelled, walk_all

Walked = tuple[Route, Walk]


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
    """What a story is about: which walks may tell it, which of them does, and what it says of that one.

    ``among`` are the walks that it looks at, ``fits`` those of them that show its point. ``choose`` gives the number
    of which the largest tells it; ``says`` gets that walk, the one beside it if there is one, and eps. ``counted`` says
    how many of ``{all}`` walks are one of ``{fit}``, ``nothing`` is said where none is. ``spare`` lets one that no
    verdict reads tell it then, if that is for want of forgetting alone.
    """

    title: str
    question: str
    among: Callable[[Walk], bool]
    fits: Callable[[Walk, float], bool]
    choose: Callable[[Walk], float]
    says: Callable[[Walk, Walk | None, float], str]
    counted: str
    nothing: str
    spare: bool = False


def told_by(study: Study) -> list[Route]:
    """The routes that stories are told from: those of 02, and of 09 between models trained apart; no controls."""
    return [route for route in (*seeds(study), *independent(study)) if not route.control and not route.aside]


def told(study: Study, eps: float = TOLERANCE) -> list[Told]:
    """Every story of a study, see `tell`; what it lacks of the walks is computed."""
    routes = told_by(study)
    return tell(zip(routes, levelled(study, walk_all(study, routes)), strict=True), eps)


def tell(walked: Iterable[Walked], eps: float = TOLERANCE) -> list[Told]:
    """Every story of `STORIES` told from these walks, in their order; ``eps`` is the tolerance in G.

    Only walks of which verdicts may speak tell one (`admission.reasons`), and a ``spare`` one where its story has none;
    they have the retrained models' level where a story asks for it (`walks.levelled`).
    """
    chosen = [(route, w) for route, w in walked if not w.control and not w.aside]
    ours = [(route, w) for route, w in chosen if not reasons(w)]
    weak = [(route, w) for route, w in chosen if reasons(w) and all("did not forget" in why for why in reasons(w))]
    found = []
    for name, story in STORIES.items():
        group = [one for one in ours if story.among(one[1])]
        fit = [one for one in group if story.fits(one[1], eps)]
        spare = [one for one in weak if story.spare and story.among(one[1]) and story.fits(one[1], eps)]
        best = max(fit or spare, key=lambda one: _worth(story, one[1]), default=None)
        if best is None:
            found.append(Told(name, story.title, story.question, story.nothing))
            continue
        route, walk = best
        near = (one for one in (ours if fit else weak) if _same_ends(one[1], walk) and one[1].kind != walk.kind)
        beside, other = next(near, (None, None))
        parts = [story.says(walk, other, eps)]
        if not fit:
            why = " and its ".join(reasons(walk))
            parts[:0] = [story.nothing, f"Shown is one that is not judged, because its {why}."]
        elif len(group) > 1:
            parts.append(story.counted.format(fit=len(fit), all=len(group)))
        found.append(Told(name, story.title, story.question, " ".join(parts), route, beside))
    return found


def _worth(story: Story, walk: Walk) -> float:
    value = story.choose(walk)
    return value if np.isfinite(value) else -np.inf


def _same_ends(one: Labels, other: Labels) -> bool:
    names = ("method", "other", "original", "start", "end", "condition", "size", "form", "init", "objective", "recipe")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _seeds(walk: Walk) -> bool:
    return walk.condition == "random" and not (walk.form or walk.recipe or walk.objective or walk.refit)


def _named(walk: Walk) -> str:
    name = label(walk.method)
    return f"{name[:1].upper()}{name[1:]}, seeds {walk.start} and {walk.end}, on original model {walk.original}"


def _way(walk: Walk) -> str:
    return "straight line" if walk.kind == "linear" else "fitted curve"


def _right(walk: Walk, split: str) -> str:
    values = 100 * np.asarray(walk.profile.connectivity.curves[f"accuracy_{split}"])
    return f"{values.min():.1f} to {values.max():.1f} %"


def _levels(walk: Walk) -> tuple[float, float]:
    """The lowest forget loss along a walk, and the mean of the retrained models, in nats."""
    lowest = float(walk.profile.connectivity.curves["loss_forget"].min())
    return lowest, float(np.mean(walk.profile.levels["loss_forget"]))


def _healthy(walk: Walk, beside: Walk | None, eps: float) -> str:  # noqa: ARG001 (as all that tell a story)
    return (
        f"{_named(walk)}: on the {_way(walk)} the retain loss rises by at most {walk.barrier:.3f} G above its chord, "
        f"and the forget loss leaves its own by at most {walk.deficit_by('two_sided'):.3f} G to either side. On the "
        f"way {_right(walk, 'retain')} of the kept images are right, and {_right(walk, 'forget')} of the forgotten: "
        f"by both losses the models between the two are what these are, within {eps:g} G."
    )


def _dip(walk: Walk, beside: Walk | None, eps: float) -> str:  # noqa: ARG001
    low, level = _levels(walk)
    return (
        f"{_named(walk)}: on the {_way(walk)} the forget loss dips by {walk.deficit:.3f} G below its chord, so "
        f"MCU({eps:g}) breaks. Yet its lowest value is {low:.2f} nats, and models that never saw the images have "
        f"{level:.2f}: no model on the way fits them better than that, within {eps:g} G. A dip below the chord is not "
        "knowledge that comes back."
    )


def _return(walk: Walk, beside: Walk | None, eps: float) -> str:  # noqa: ARG001
    low, level = _levels(walk)
    return (
        f"{_named(walk)}: on the {_way(walk)} the forget loss falls to {low:.2f} nats, by "
        f"{walk.deficit_by('floor'):.3f} G below its chord and below what models that never saw the images have "
        f"({level:.2f} nats). Models there fit the forgotten images better than by not knowing them."
    )


def _barrier(walk: Walk, beside: Walk | None, eps: float) -> str:  # noqa: ARG001
    return (
        f"{_named(walk)}: on the {_way(walk)} the retain loss rises by {walk.barrier:.3f} G above its chord, more than "
        f"the {eps:g} G that are let pass. The two runs began at one model and differ in their seed alone, and yet the "
        "straight line between them leaves the valley of what is kept."
    )


def _apart(walk: Walk, beside: Walk | None, eps: float) -> str:
    line = "" if beside is None else f", and on the {_way(beside)} by {beside.barrier:.3f} G"
    held = f"Within the {eps:g} G that are let pass there is a way from one to the other."
    left = (
        ""
        if beside is None
        else f", though of the line's barrier it leaves {100 * walk.barrier / beside.barrier:.0f} %"
    )
    broken = f"That is more than the {eps:g} G that are let pass: by this measure the curve does not join them{left}."
    return (
        "Two networks were trained apart, from other initial weights and on another order of the images (original "
        f"models {walk.start} and {walk.end}). On the {_way(walk)} between them the retain loss rises by at most "
        f"{walk.barrier:.3f} G above its chord{line}. {held if walk.barrier <= eps else broken} A barrier on a line "
        "does not say what a curve finds."
    )


def _retrained(walk: Walk, beside: Walk | None, eps: float) -> str:
    line = "" if beside is None else f" ({beside.barrier:.3f} and {beside.deficit:.3f} G on the {_way(beside)})"
    held = f"So MCU({eps:g}) holds, which says of two models that they are joined, not that they are alike."
    broken = f"So MCU({eps:g}) breaks: by this curve the two do not lie in one valley."
    return (
        f"From {label(walk.method)} (seed {walk.start}, original model {walk.original}) to a model that was retrained "
        f"without the forgotten images, from other initial weights: the {_way(walk)} has a retain barrier of "
        f"{walk.barrier:.3f} G and a forget deficit of {walk.deficit:.3f} G{line}. "
        f"{held if walk.connected(eps) else broken}"
    )


SO = "That is so on {fit} of {all} paths between two seeds."
STORIES = {
    "healthy": Story(
        "A healthy pair",
        "Two runs of one method, two seeds. Is what lies between them as good as they are?",
        _seeds,
        lambda w, eps: w.connected(eps, "two_sided"),
        lambda w: -w.eps_by("two_sided"),
        _healthy,
        SO,
        "No path between two seeds stays within the tolerance on both sides of its chords.",
    ),
    "dip": Story(
        "A dip that is no return",
        "The forget loss dips between two unlearned models. Do the models there know the images again?",
        _seeds,
        lambda w, eps: w.barrier <= eps and w.deficit > eps and w.deficit_by("floor") <= eps,
        lambda w: w.deficit,
        _dip,
        SO,
        "No path between two seeds dips below its chord alone.",
    ),
    "return": Story(
        "A dip that is one",
        "And is there a path on which what was forgotten is fitted better than by models that never saw it?",
        _seeds,
        lambda w, eps: w.barrier <= eps and w.deficit_by("floor") > eps,
        lambda w: w.deficit_by("floor"),
        _return,
        SO,
        "None was found between two seeds: on no path without a retain barrier does the forget loss fall below its "
        "chord and below the retrained models' level too, by more than the tolerance.",
    ),
    "barrier": Story(
        "A barrier between two seeds",
        "One original, one method, two seeds: can these end in different valleys?",
        lambda w: _seeds(w) and w.kind == "linear",
        lambda w, eps: w.barrier > eps,
        lambda w: w.barrier,
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
        lambda w: -w.barrier,
        _apart,
        "Of {all} such curves it has the lowest barrier.",
        "No curve between independently trained models was walked.",
    ),
    "retrained": Story(
        "The way to retraining",
        "Is an unlearned model in the valley of one that never saw the data?",
        lambda w: w.condition == CURVES and w.init == OTHER and w.kind != "linear" and not w.objective,
        lambda w, eps: True,
        lambda w: -w.eps,
        _retrained,
        "Of {all} such curves it needs the smallest tolerance.",
        "No curve from an unlearned to a retrained model was walked.",
    ),
}
