"""What 12 computes: forget sets graded by memorisation and by how they were learned, a forgotten class, merged models.

Sets are graded by what the shadow pool of 10 and the originals' own training say, and are listed in the specs: what is
computed of them is known once the grades are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..data.scenarios import Scenario
from ..data.shadows import SPLITS, held, sizes, targets
from ..engine.specs import (
    HardnessSpec,
    LearningSpec,
    OutcomeSpec,
    PhiSpec,
    ProbeSpec,
    ProfileSpec,
    RetrainedSpec,
    Spec,
    UnlearnedSpec,
)
from ..engine.study import Study
from ..measures.difficulty import memorisation
from ..measures.graded import graded_rows
from ..measures.originals import LEAST
from . import between_models, privacy_pool
from .relearning import attack_on
from .walks import Route, coarse, condition_routes

PART = 4  # a graded set is a quarter of the pool's forget targets: 500 of 2,000
ORIGINALS = LEAST  # on which graded sets and a class are unlearned, and models merged
GRADINGS = ("memorisation", "confidence")
# Of the methods that pass the gate, those that graded sets are unlearned by: four are as many as the time allows.
METHODS = ("bad_teacher", "gradient_difference", "npo", "scrub")
CLASS = "class"  # form of the lines on a forgotten class
READ = ("retain", "forget", "test")  # splits of the lines' traces
PROBED = 3  # points of a line that are probed: both ends and the middle
MORE = (601, 602, 603)  # seeds of retrained models beside the preset's: five in all, as 11's ensembles have
Grades = Mapping[str, Mapping[str, Sequence[int] | np.ndarray]]  # grading -> grade -> rows of the pool


@dataclass(frozen=True, eq=False)
class Targets:
    """What is known of the pool's forget targets, (N,) each: rows, memorisation, and what training showed of them.

    ``learned``: names of `difficulty.learning_events` and ``el2n``, means over the originals.
    """

    rows: np.ndarray
    memorisation: np.ndarray
    learned: Mapping[str, np.ndarray]

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """By name of a grading its scores, high where it is hard: confidence has its sign turned."""
        return {"memorisation": self.memorisation, "confidence": -np.asarray(self.learned["confidence"], float)}


# Grading


def originals_of(study: Study) -> tuple[int, ...]:
    """The originals of 12."""
    return study.originals[:ORIGINALS]


def pool_specs(study: Study) -> list[PhiSpec]:
    """What each shadow of 10's pool says of all targets before anything is unlearned from it."""
    return [privacy_pool.scores(study, j)[privacy_pool.BEFORE] for j in range(privacy_pool.shadows_of(study))]


def learning(study: Study) -> list[LearningSpec]:
    """The records of how the originals learned."""
    return [LearningSpec(study.original(original)) for original in originals_of(study)]


def targets_of(study: Study, pool: Sequence[Mapping[str, Any]], learned: Sequence[Mapping[str, Any]]) -> Targets:
    """What the results of `pool_specs` and of `learning` say of the forget targets."""
    task = study.data.task(study.preset.forget)
    rows, split = np.asarray(targets(task)["forget"]), SPLITS["forget"]
    right = np.stack([np.asarray(one[f"right/{split}"][0], dtype=bool) for one in pool])
    places = np.searchsorted(np.asarray(learned[0]["rows"]), rows)
    names = [name for name in learned[0] if name != "rows"]
    means = {name: np.mean([np.asarray(one[name], float)[places] for one in learned], axis=0) for name in names}
    return Targets(rows, memorisation(right, held(task, "forget", len(pool))), means)


def size_of(study: Study) -> int:
    """Examples of a graded set."""
    return sizes(len(study.task.index["train"]))["forget"] // PART


def graded(found: Targets, size: int) -> dict[str, dict[str, np.ndarray]]:
    """grading -> grade -> rows: of each tercile of a score the ``size`` most typical, see `graded.graded_rows`."""
    return {name: graded_rows(found.rows, found.scores[name], size) for name in GRADINGS}


def stored_targets(study: Study) -> Targets | None:
    """`targets_of` where the store holds all that it reads, else None; nothing is computed."""
    pool, learned = pool_specs(study), learning(study)
    if any(spec not in study.store for spec in (*pool, *learned)):
        return None
    return targets_of(study, [study.store.get(one) for one in pool], [study.store.get(one) for one in learned])


def scenarios(grades: Grades) -> dict[tuple[str, str], Scenario]:
    """(grading, grade) -> the scenario that forgets these rows."""
    return {
        (grading, grade): Scenario("listed", rows=tuple(int(row) for row in rows))
        for grading, sets in grades.items()
        for grade, rows in sets.items()
    }


# Lines


def retrained(under: Study, original: int) -> list[RetrainedSpec]:
    """Models that never saw what is forgotten."""
    return [under.retrained(seed, original=original) for seed in under.seeds[:2]]


def ends(under: Study, original: int, method: str) -> list[UnlearnedSpec]:
    """Two seeds of a method."""
    return [under.unlearned(method, seed, origin=under.original(original)) for seed in under.seeds[:2]]


def methods_of(study: Study) -> tuple[str, ...]:
    """The methods that graded sets are unlearned by: `METHODS`, or as many of a preset that has none of them."""
    return tuple(name for name in METHODS if name in study.preset.fit) or study.preset.fit[: len(METHODS)]


def lines(under: Study, form: str, originals: Iterable[int], methods: Sequence[str]) -> list[Route]:
    """Lines between two seeds of each method on what a study under a scenario forgets."""
    found = []
    for original, method in product(originals, methods):
        start, end = ends(under, original, method)
        path = under.path(start, end)
        labels: dict[str, Any] = {"original": original, "form": form, "points": coarse(under)}
        found.append(Route(method, "linear", *under.seeds[:2], path=path, **labels))
    return found


def form_of(grading: str, grade: str) -> str:
    """The form of walks on a graded set."""
    return f"{grading}, {grade}"


def set_of(form: str) -> tuple[str, str]:
    """The grading and the grade of a form."""
    grading, _, grade = form.partition(", ")
    return grading, grade


@lru_cache(maxsize=64)
def under(study: Study, scenario: Scenario) -> Study:
    """`Study.under`, made once."""
    return study.under(scenario)


def graded_lines(study: Study, grades: Grades) -> list[Route]:
    """The lines on all graded sets."""
    which = originals_of(study), methods_of(study)
    made = scenarios(grades).items()
    return [r for at, one in made for r in lines(under(study, one), form_of(*at), *which)]


def class_of(study: Study, original: int) -> Scenario:
    """The class that is forgotten on an original: the one of its number."""
    return Scenario("class", label=original % study.task.n_classes)


def class_lines(study: Study) -> list[Route]:
    """Lines on a forgotten class, on each original another."""
    found = []
    for original in originals_of(study):
        found += lines(under(study, class_of(study, original)), CLASS, [original], study.preset.fit)
    return found


def merging(study: Study) -> list[Route]:
    """Lines between different methods, beside five retrained models."""
    first, second = study.seeds[:2]
    pairs = [(original, first, second) for original in originals_of(study)]
    names = [(a, b) for k, a in enumerate(study.preset.fit) for b in study.preset.fit[k + 1 :]]
    found = condition_routes(study, "method", names, pairs, ("linear",), points=coarse(study))
    return [replace(one, retrained=(*study.seeds[:2], *MORE)) for one in found]


def profile_of(study: Study, route: Route) -> ProfileSpec:
    """The profile of a line on a class, or, with validation data too, of one between methods."""
    splits = READ if route.form else between_models.READ
    return study.profile(route.path, None, route.retrained, route.points, splits)


# What is told of them


def outcome_of(study: Study, route: Route) -> OutcomeSpec:
    """The outcomes of unlearning a graded set, of the start of a line."""
    start: Any = route.path.start
    one = under(study, start.data.scenario)
    models = retrained(one, route.original)
    attacks = [attack_on(one, model) for model in (start, *models)]
    way = one.trace(one.trajectory(start))
    line = one.trace(route.path, points=route.points, splits=READ)
    original, *anew = (one.trace(model) for model in (one.original(route.original), *models))
    return OutcomeSpec(line, way, original, tuple(anew), attacks[0], tuple(attacks[1:]))


def hardness_of(study: Study, scenario: Scenario, original: int) -> HardnessSpec:
    """What an original says of a set before anything is unlearned."""
    one = under(study, scenario)
    return HardnessSpec(one.original(original), one.preset.forget)


def probe_of(study: Study, route: Route) -> ProbeSpec:
    """The probe along a line on a forgotten class."""
    label = class_of(study, route.original).label
    return ProbeSpec(route.path, route.path.forget, label, PROBED, weighted=study.weighted)


def probes_beside(study: Study, original: int) -> list[ProbeSpec]:
    """The same of the models retrained without the class."""
    scenario = class_of(study, original)
    one = under(study, scenario)
    return [ProbeSpec(model, one.preset.forget, scenario.label) for model in retrained(one, original)]


def class_needs(study: Study) -> list[Spec]:
    """A class forgotten on each of `ORIGINALS` originals: lines, and probes along them and of retrained models."""
    routes = class_lines(study)
    found: list[Spec] = [profile_of(study, route) for route in routes]
    found += [probe_of(study, route) for route in routes]
    return found + [one for original in originals_of(study) for one in probes_beside(study, original)]


def merging_needs(study: Study) -> list[Spec]:
    """Lines between different methods and their distances to retrained models."""
    made = [profile_of(study, route) for route in merging(study)]
    return [*made, *(one for profile in made for one in between_models.distances_of(profile))]


def graded_needs(study: Study, grades: Grades) -> list[Spec]:
    """Outcomes of graded sets, with the lines on them, and what the originals say of the sets."""
    found: list[Spec] = [outcome_of(study, route) for route in graded_lines(study, grades)]
    sets = product(scenarios(grades).values(), originals_of(study))
    return found + [hardness_of(study, scenario, original) for scenario, original in sets]


def needs(study: Study, grades: Grades | None = None) -> list[Spec]:
    """All that 12 computes beyond the other notebooks.

    ``grades``: grading -> grade -> rows of the pool, as `graded` returns them; by default those that the store knows.
    Where it knows none, what they follow from and what does not depend on them: once that is there, ask again.
    """
    if grades is None:
        known = stored_targets(study)
        grades = {} if known is None else graded(known, size_of(study))
    found: list[Spec] = [*pool_specs(study), *learning(study), *class_needs(study), *merging_needs(study)]
    return found + graded_needs(study, grades)
