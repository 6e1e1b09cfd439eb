"""Stories: six paths, each with a question and a paragraph, chosen and told from what was walked.

A story takes the path that shows its point most clearly. Where none shows it, the story says so and has no path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..measures.connectivity import TOLERANCE
from ..measures.drawing import label
from .admission import reasons
from .progress_and_retraining import CURVES, ORIGINALS, OTHER
from .walks import Labels, Route, Walk

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

    ``choose`` gives the number of which the largest tells it, ``nothing`` what is said where no walk may.
    """

    title: str
    question: str
    fits: Callable[[Walk, float], bool]
    choose: Callable[[Walk], float]
    says: Callable[[Walk, float], str]
    nothing: str


def tell(walked: Iterable[Walked], eps: float = TOLERANCE) -> list[Told]:
    """Every story of `STORIES` told from these walks, in their order; ``eps`` is the tolerance in G.

    Only walks of which verdicts may speak tell one (`admission.reasons`), with the retrained models' level where a
    story asks for it (`walks.levelled`).
    """
    ours = [(route, w) for route, w in walked if not w.control and not w.aside and not reasons(w)]
    told = []
    for name, story in STORIES.items():
        fit = [one for one in ours if story.fits(one[1], eps)]
        best = max(fit, key=lambda one: _worth(story, one[1]), default=None)
        if best is None:
            told.append(Told(name, story.title, story.question, story.nothing))
            continue
        beside = next((route for route, w in ours if _same_ends(w, best[1]) and w.kind != best[1].kind), None)
        told.append(Told(name, story.title, story.question, story.says(best[1], eps), best[0], beside))
    return told


def _worth(story: Story, walk: Walk) -> float:
    value = story.choose(walk)
    return value if np.isfinite(value) else -np.inf


def _same_ends(one: Labels, other: Labels) -> bool:
    names = ("method", "other", "original", "start", "end", "condition", "size", "form", "init", "objective", "recipe")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _seeds(walk: Walk) -> bool:
    return walk.condition == "random" and not (walk.form or walk.recipe or walk.objective or walk.refit)


def _named(walk: Walk) -> str:
    return f"{label(walk.method)}, seeds {walk.start} and {walk.end}, on original model {walk.original}"


def _way(walk: Walk) -> str:
    return "straight line" if walk.kind == "linear" else "fitted curve"


def _right(walk: Walk, split: str) -> str:
    values = 100 * np.asarray(walk.profile.connectivity.curves[f"accuracy_{split}"])
    return f"{values.min():.1f} to {values.max():.1f} %"


def _levels(walk: Walk) -> tuple[float, float]:
    """The lowest forget loss along a walk, and the mean of the retrained models, in nats."""
    lowest = float(walk.profile.connectivity.curves["loss_forget"].min())
    return lowest, float(np.mean(walk.profile.levels["loss_forget"]))


def _healthy(walk: Walk, eps: float) -> str:
    return (
        f"{_named(walk)}: on the {_way(walk)} the retain loss rises by at most {walk.barrier:.3f} G above its chord, "
        f"and the forget loss leaves its own by at most {walk.deficit_by('two_sided'):.3f} G to either side. On the "
        f"way {_right(walk, 'retain')} of the kept images are right, and {_right(walk, 'forget')} of the forgotten: "
        f"by both losses the models between the two are what these are, within {eps:g} G."
    )


def _dip(walk: Walk, eps: float) -> str:
    low, level = _levels(walk)
    return (
        f"{_named(walk)}: on the {_way(walk)} the forget loss dips by {walk.deficit:.2f} G below its chord, so "
        f"MCU({eps:g}) breaks. Yet its lowest value is {low:.2f} nats, and models that never saw the images have "
        f"{level:.2f}: no model on the way fits them better than that, within {eps:g} G. A dip below the chord is not "
        "knowledge that comes back."
    )


def _return(walk: Walk, eps: float) -> str:
    low, level = _levels(walk)
    return (
        f"{_named(walk)}: on the {_way(walk)} the forget loss falls to {low:.2f} nats, by "
        f"{walk.deficit_by('floor'):.2f} G below its chord and below what models that never saw the images have "
        f"({level:.2f} nats). Models there fit the forgotten images better than by not knowing them."
    )


def _barrier(walk: Walk, eps: float) -> str:
    return (
        f"{_named(walk)}: on the {_way(walk)} the retain loss rises by {walk.barrier:.2f} G above its chord, more than "
        f"the {eps:g} G that are let pass. The two runs began at one model and differ in their seed alone, and yet the "
        "straight line between them leaves the valley of what is kept."
    )


def _apart(walk: Walk, eps: float) -> str:
    return (
        "Two networks were trained apart, from other initial weights and on another order of the images (original "
        f"models {walk.start} and {walk.end}). On the {_way(walk)} between them the retain loss rises by at most "
        f"{walk.barrier:.2f} G above its chord. Compare the straight line: a barrier on a line does not say that there "
        "is no way."
    )


def _retrained(walk: Walk, eps: float) -> str:
    return (
        f"From {label(walk.method)} (seed {walk.start}, original model {walk.original}) to a model that was retrained "
        f"without the forgotten images, from other initial weights: the {_way(walk)} has a retain barrier of "
        f"{walk.barrier:.2f} G and a forget deficit of {walk.deficit:.2f} G. Compare the straight line, and what the "
        "predictions do on the way: one path says of two models that they are joined, not that they are alike."
    )


STORIES = {
    "healthy": Story(
        "A healthy pair",
        "Two runs of one method, two seeds. Is what lies between them as good as they are?",
        lambda w, eps: _seeds(w) and w.connected(eps, "two_sided"),
        lambda w: -w.eps_by("two_sided"),
        _healthy,
        "No path between two seeds stays within the tolerance on both sides of its chords.",
    ),
    "dip": Story(
        "A dip that is no return",
        "The forget loss dips between two unlearned models. Do the models there know the images again?",
        lambda w, eps: _seeds(w) and w.barrier <= eps and w.deficit > eps and w.deficit_by("floor") <= eps,
        lambda w: w.deficit,
        _dip,
        "No path between two seeds dips below its chord alone.",
    ),
    "return": Story(
        "A dip that is one",
        "And is there a path on which what was forgotten is fitted better than by models that never saw it?",
        lambda w, eps: _seeds(w) and w.barrier <= eps and w.deficit_by("floor") > eps,
        lambda w: w.deficit_by("floor"),
        _return,
        "None was found between two seeds: on no path without a retain barrier does the forget loss fall below its "
        "chord and below the retrained models' level too, by more than the tolerance.",
    ),
    "barrier": Story(
        "A barrier between two seeds",
        "One original, one method, two seeds: can these end in different valleys?",
        lambda w, eps: _seeds(w) and w.kind == "linear" and w.barrier > eps,
        lambda w: w.barrier,
        _barrier,
        "No line between two seeds of a method that passes the gate has a retain barrier beyond the tolerance.",
    ),
    "apart": Story(
        "Trained apart, and joined",
        "Two networks with nothing in common but their task: is there a way from one to the other?",
        lambda w, eps: w.condition == ORIGINALS and w.kind != "linear",
        lambda w: -w.barrier,
        _apart,
        "No curve between independently trained models was walked.",
    ),
    "retrained": Story(
        "The way to retraining",
        "Is an unlearned model in the valley of one that never saw the data?",
        lambda w, eps: w.condition == CURVES and w.init == OTHER and w.kind != "linear" and not w.objective,
        lambda w: -w.eps,
        _retrained,
        "No curve from an unlearned to a retrained model was walked.",
    ),
}
