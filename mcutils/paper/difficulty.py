"""12: what is hard to unlearn, a forgotten class, merging; and who moves up to permutation: computed, and in tables.

Forget sets graded by memorisation over the shadow pool of 10 and by confidence while the originals learned, lines on
them, probes of a forgotten class, lines between methods beside five retrained models. Lines to aligned ends stand
beside 09; no declared test reads them.
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
    AlignedSpec,
    HardnessSpec,
    LearningSpec,
    MetricSpec,
    OriginalSpec,
    OutcomeSpec,
    PhiSpec,
    ProbeSpec,
    ProfileSpec,
    RetrainedSpec,
    Spec,
    UnlearnedSpec,
    plain,
)
from ..engine.specs.data import form_of as image_form
from ..engine.study import Study
from ..errors import BadInput
from ..measures.alignment import MATCHINGS
from ..measures.along import barrier, excess_variation, roughness, smad, total_persistence
from ..measures.difficulty import graded_rows, memorisation
from ..measures.originals import LEAST
from ..measures.outcomes import OUTCOMES
from ..measures.profiles import Profile
from ..models.vision import build
from . import privacy
from .ensembles import attack_on
from .experiments import (
    ALIGNED,
    CURVES,
    N1_READ,
    ORIGINALS as TWO_ORIGINALS,
    OTHER,
    PAIRS,
    SAME,
    SOME,
    Labels,
    Route,
    coarse,
    condition_routes,
    controls,
    distances_of,
    profiles,
    progress,
    ring,
)
from .inclusion import APART, RETRAINED, Table

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
WIDER = (1, 2, 4)  # times the preset's width
WIDE = 4  # originals of each width, in a ring
SHORTER = 4  # part of the training steps that originals of every width have there
# What is joined, in words -> control, condition and initial weights of its routes; of the last two the first few.
JOINED = {
    "two originals": ("", TWO_ORIGINALS, ""),
    "two retrained models": ("", PAIRS, OTHER),
    "unlearned and retrained": ("", CURVES, OTHER),
    "every method and retrained": ("", "retraining", OTHER),
    "unlearned from two originals": (APART, "random", ""),
    "every method and retrained, same init": ("", "retraining", SAME),
    "two retrained models, same init": (RETRAINED, "retrained", SAME),
}


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


def originals_of(study: Study) -> tuple[int, ...]:
    """The originals of 12."""
    return study.originals[:ORIGINALS]


def pool_specs(study: Study) -> list[PhiSpec]:
    """What each shadow of 10's pool says of all targets before anything is unlearned from it."""
    return [privacy.scores(study, j)[privacy.BEFORE] for j in range(privacy.shadows_of(study))]


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
    """grading -> grade -> rows: of each tercile of a score the ``size`` most typical, as `graded_rows` takes them."""
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
    splits = READ if route.form else N1_READ
    return study.profile(route.path, None, route.retrained, route.points, splits)


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
    return [*made, *(one for profile in made for one in distances_of(profile))]


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


# Up to permutation


def what_of(one: Labels) -> str:
    """The key of `JOINED` that a route or walk belongs to; empty for others, and for curves of a second objective."""
    place = one.control, one.condition, one.init
    return "" if one.objective else next((what for what, labels in JOINED.items() if labels == place), "")


def raw(study: Study) -> list[Route]:
    """The lines of 09 and 05 that are aligned, as these walk them, and the curves beside them.

    Of those to models retrained from the same initial weights only the ones on `SOME` originals.
    """
    found = [*progress(study), *(route for route in controls(study) if route.control == APART)]
    return [one for one in found if what_of(one) and (one.init != SAME or one.original < SOME)]


def aligned(study: Study) -> list[Route]:
    """Each line of `raw` to its end renumbered to be like its start, by each matching; no declared test reads them."""
    found = []
    for route, by in product((one for one in raw(study) if one.kind == "linear"), MATCHINGS):
        start, end = route.path.start, route.path.end
        path = study.path(start, study.aligned(end, start, by))
        found.append(replace(route, path=path, form=f"{ALIGNED} {by}", points=coarse(study)))
    return found


def inside(study: Study) -> dict[tuple[int, str, str], AlignedSpec]:
    """(original, method, matching) -> the second seed of a method aligned to the first, both of one original."""
    found = {}
    for original, method, by in product(study.originals, study.preset.fit, MATCHINGS):
        first, second = (study.unlearned(method, s, origin=study.original(original)) for s in study.seeds[:2])
        found[original, method, by] = study.aligned(second, first, by)
    return found


def widths(study: Study) -> tuple[int, ...]:
    """Once, twice and four times the preset's width, as far as its network takes them."""
    found, (shape, classes) = [], image_form(plain(study.data))
    for width in (times * study.preset.width for times in WIDER):
        try:
            build(study.preset.model, shape[0], classes, seed=0, width=width)
        except BadInput:
            continue
        found.append(width)
    return tuple(found)


def wide(study: Study, width: int, seed: int) -> OriginalSpec:
    """An original model of a width, trained for a part of the preset's steps."""
    one = replace(study, preset=replace(study.preset, width=width)).original(seed)
    return replace(one, plan=replace(one.plan, steps=one.plan.steps // SHORTER))


def across(study: Study) -> dict[tuple[int, int, int, str], MetricSpec]:
    """(width, first, second, how) -> the retain loss in nats along the line between two originals of a width.

    In nats, since G would take retrained models of every width.
    """
    seeds = range(min(WIDE, study.preset.originals) if study.preset.originals > 1 else 2)
    found = {}
    for width, (first, second) in product(widths(study), ring(seeds)):
        start, end = (wide(study, width, seed) for seed in (first, second))
        ends = {"line": end} | {by: study.aligned(end, start, by) for by in MATCHINGS}
        for how, one in ends.items():
            seen = study.trace(study.path(start, one), points=coarse(study), splits=("retain",))
            found[width, first, second, how] = MetricSpec(seen, "loss_retain")
    return found


def aligned_needs(study: Study) -> list[Spec]:
    """All that this section of 09 needs."""
    walked = profiles(study, [*raw(study), *aligned(study)])
    return [*walked, *inside(study).values(), *across(study).values()]


def outcome_profile(told: Mapping[str, Any]) -> Profile:
    """A profile of the line of an `OutcomeSpec`'s result, without bands: its losses, levels, and G, of either sign."""
    groups = ("curve/", "level/", "original/")
    arrays = {name: told[name] for name in ("t", "collapsed")}
    arrays |= {name: values for name, values in told.items() if name.startswith(groups)}
    gap = np.mean(told["level/loss_forget"]) - told["original/loss_forget"]
    return Profile({**arrays, "gap": np.float64(gap)})


# Tables


def graded_tables(study: Study) -> dict[str, Table]:
    """What 12 measures beside its paths, computed where the store lacks it: first what grades the sets.

    ``targets``: what is known of each forget target; ``graded``: of each set; ``outcomes``: of unlearning it, and how
    much the line between two seeds wiggles; ``examples``: how much the loss of each example wiggles along the line.
    """
    import pandas as pd

    pool, learned = pool_specs(study), learning(study)
    found = study.run([*pool, *learned])
    known = targets_of(study, found[: len(pool)], found[len(pool) :])
    grades = graded(known, size_of(study))
    study.run(needs(study, grades), load=False)
    routes = graded_lines(study, grades)
    told = study.run([outcome_of(study, route) for route in routes])
    rows, examples = [], []
    for route, one in zip(routes, told, strict=True):
        at = {"original": route.original, "form": route.form, "method": route.method}
        outcome = {name: float(one[name] if name != "js" else one[name][0]) for name in OUTCOMES}
        rows.append({**at, **outcome, **wiggles(outcome_profile(one))})
        examples.append(pd.DataFrame({**at, "row": one["rows"], "variation": one["variation"]}))
    scores = {"row": known.rows, "memorisation": known.memorisation, **known.learned}
    return {
        "targets": pd.DataFrame(scores),
        "graded": _graded(study, grades, known),
        "outcomes": pd.DataFrame(rows),
        "examples": pd.concat(examples, ignore_index=True),
    }


def _graded(study: Study, grades: Grades, known: Targets) -> Table:
    import pandas as pd

    memorised = dict(zip(known.rows.tolist(), known.memorisation.tolist(), strict=True))
    places = [(o, at, one) for at, one in scenarios(grades).items() for o in originals_of(study)]
    told = study.run([hardness_of(study, scenario, original) for original, _, scenario in places])
    rows = [
        (o, form_of(*at), float(one["forget"]), float(np.nanmean([memorised[r] for r in s.rows])),
         float(one["entanglement"]))
        for (o, at, s), one in zip(places, told, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["original", "form", "coherence", "memorisation", "entanglement"])


def wiggles(profile: Profile) -> dict[str, float]:
    """How much the forget loss wiggles along a line, in nats, by four measures, and what its pair forgot (``lost``).

    Of superlevels: a line with one dip has two components, its sides, which merge at the bottom of the dip; of
    sublevels it has one, whatever its depth.
    """
    loss, t = np.asarray(profile.arrays["curve/loss_forget"], dtype=np.float64), profile.t
    return {
        "lost": float(loss[[0, -1]].mean() - profile.original["loss_forget"]),
        "variation": float(excess_variation(profile.arrays["curve/loss_forget"])),
        "roughness": float(roughness(profile.arrays["curve/loss_forget"], t)),
        "persistence": float(total_persistence(profile.arrays["curve/loss_forget"], "super")),
        "smad": float(smad(profile.arrays["curve/loss_forget"], "super")),
    }


def probes(study: Study) -> Table:
    """`probes`: recall of a forgotten class by a probe on hidden features, along lines and of retrained models."""
    import pandas as pd

    routes = class_lines(study)
    told = study.run([probe_of(study, route) for route in routes])
    places = [(r.original, r.method, one["recall"]) for r, one in zip(routes, told, strict=True)]
    for o in originals_of(study):
        places += [(o, f"retrained {k}", one["recall"]) for k, one in enumerate(study.run(probes_beside(study, o)))]
    rows = []
    for o, method, recall in places:
        t = np.linspace(0, 1, len(recall)) if len(recall) > 1 else [0.0]
        rows += [(o, method, float(x), float(v)) for x, v in zip(t, recall, strict=True)]
    return pd.DataFrame(rows, columns=["original", "method", "t", "recall"])


def permutations(study: Study) -> dict[str, Table]:
    """`moved`: share of channels that move when a second seed is matched to the first; `widths`: barriers in nats."""
    import pandas as pd

    within, wider = inside(study), across(study)
    found = iter(study.run([*within.values(), *wider.values()]))
    moved = [(*place, next(found).moved) for place in within]
    barriers = [(*place, _rise(next(found)["values"])) for place in wider]
    return {
        "moved": pd.DataFrame(moved, columns=["original", "method", "by", "moved"]),
        "widths": pd.DataFrame(barriers, columns=["width", "first", "second", "how", "barrier"]),
    }


def _rise(values: np.ndarray) -> float:
    return float(barrier(values, np.linspace(0, 1, len(values))))
