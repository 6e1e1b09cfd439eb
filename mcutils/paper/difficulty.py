"""12: what is hard to unlearn, whether paths wiggle there (C20, N3); probes of a forgotten class (N5), merging (N7).

Priced apart, as ``difficulty``; what is computed is in `graded_sets`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..engine.study import Study
from ..errors import BadInput, choose
from ..measures.along import excess_variation, roughness
from ..measures.intervals import LEVEL
from ..measures.outcomes import OUTCOMES
from ..measures.persistence import smad, total_persistence
from ..measures.profiles import Profile
from . import between_models, graded_sets as sets
from .admission import NEAR, admitted, copies, gates, reasons, splits_are
from .between_models import nearer
from .claims import spread
from .graded_sets import CLASS, GRADINGS, Targets, set_of
from .judging import sound
from .trials import Finding, Rule, mean_trial, rank_trial, table_of
from .walks import Walk, labels_of

ERROR_JS, ERROR_RECALL = 5e-4, 0.01  # smallest standard errors believed in, in bits and shares
LOST = 1e-3  # nats that a pair must have forgotten for its wiggles to be counted in them
NEVER = 1e9  # steps, in place of infinity
PREDICTORS = ("coherence", "memorisation", "entanglement")  # of N3, and RUM's other one, which decides nothing
Numbers = Mapping[int, Mapping[Hashable, float]]  # original -> context -> number


# What is measured


@dataclass(frozen=True, eq=False)
class Difficulty:
    """Numbers beside the walks of 12.

    Attributes:
        targets: what is known of the pool's forget targets.
        predictors: (original, form) -> `PREDICTORS` of a graded set.
        outcomes: (original, form, method) -> `outcomes.OUTCOMES` of the line's start.
        examples: the same -> rows (N,) of D_f, and how much the loss of each wiggles along the line, in nats.
        recalls: (original, method) -> of the forgotten class at points of a line. beside: original -> of its retrained
            models.
        distances: (original, label) -> (R, T), JS to each retrained model in bits, of lines between methods.
    """

    targets: Targets
    predictors: Mapping[tuple[int, str], Mapping[str, float]]
    outcomes: Mapping[tuple[int, str, str], Mapping[str, float]]
    examples: Mapping[tuple[int, str, str], tuple[np.ndarray, np.ndarray]]
    recalls: Mapping[tuple[int, str], np.ndarray]
    beside: Mapping[int, Sequence[float]]
    distances: Mapping[tuple[int, str], np.ndarray]

    def within(self, originals: Collection[int]) -> Difficulty:
        """The same of some originals."""
        tables = ("predictors", "outcomes", "examples", "recalls", "distances")
        kept: dict[str, Any] = {
            name: {at: v for at, v in getattr(self, name).items() if at[0] in originals} for name in tables
        }
        return replace(self, beside={o: v for o, v in self.beside.items() if o in originals}, **kept)


def gather(study: Study) -> tuple[list[Walk], Difficulty]:
    """The walks of 12 (on graded sets, on a class, between methods) and what is measured beside them.

    Computed where the store lacks it: first what grades the sets, then what is unlearned of them.
    """
    pool, learning = sets.pool_specs(study), sets.learning(study)
    found = study.run([*pool, *learning])
    targets = sets.targets_of(study, found[: len(pool)], found[len(pool) :])
    grades = sets.graded(targets, sets.size_of(study))
    study.run(sets.needs(study, grades), load=False)
    walks, outcomes, examples = _on_sets(study, grades)
    routes = [*sets.class_lines(study), *sets.merging(study)]
    profiles = study.run([sets.profile_of(study, route) for route in routes])
    walks += [Walk(**labels_of(route), profile=one) for route, one in zip(routes, profiles, strict=True)]
    recalls, beside = _recalls(study)
    told = _predictors(study, grades, targets), outcomes, examples, recalls, beside, _distances(study)
    return walks, Difficulty(targets, *told)


def _predictors(study: Study, grades: sets.Grades, targets: Targets) -> dict[tuple[int, str], dict[str, float]]:
    memorised = dict(zip(targets.rows.tolist(), targets.memorisation.tolist(), strict=True))
    places = [(o, at, one) for at, one in sets.scenarios(grades).items() for o in sets.originals_of(study)]
    told = study.run([sets.hardness_of(study, scenario, original) for original, _, scenario in places])
    return {
        (original, sets.form_of(*at)): {
            "coherence": float(one["forget"]),
            "memorisation": float(np.nanmean([memorised[row] for row in scenario.rows])),
            "entanglement": float(one["entanglement"]),
        }
        for (original, at, scenario), one in zip(places, told, strict=True)
    }


def _on_sets(study: Study, grades: sets.Grades) -> tuple[list[Walk], dict, dict]:
    routes = sets.graded_lines(study, grades)
    told = study.run([sets.outcome_of(study, route) for route in routes])
    walks, outcomes, examples = [], {}, {}
    for route, one in zip(routes, told, strict=True):
        at = route.original, route.form, route.method
        walks.append(Walk(**labels_of(route), profile=profile_of(one)))
        outcomes[at] = {name: float(one[name] if name != "js" else one[name][0]) for name in OUTCOMES}
        examples[at] = one["rows"], one["variation"]
    return walks, outcomes, examples


def profile_of(told: Mapping[str, Any]) -> Profile:
    """A profile of the line of an `OutcomeSpec`'s result, without bands: its losses, levels, and G, of either sign."""
    groups = ("curve/", "level/", "original/")
    arrays = {name: told[name] for name in ("t", "collapsed")}
    arrays |= {name: values for name, values in told.items() if name.startswith(groups)}
    gap = np.mean(told["level/loss_forget"]) - told["original/loss_forget"]
    return Profile({**arrays, "gap": np.float64(gap)})


def _recalls(study: Study) -> tuple[dict[tuple[int, str], np.ndarray], dict[int, list[float]]]:
    routes = sets.class_lines(study)
    told = study.run([sets.probe_of(study, route) for route in routes])
    along = {(r.original, r.method): one["recall"] for r, one in zip(routes, told, strict=True)}
    anew = {o: study.run(sets.probes_beside(study, o)) for o in sets.originals_of(study)}
    return along, {o: [float(one["recall"][0]) for one in rows] for o, rows in anew.items()}


def _distances(study: Study) -> dict[tuple[int, str], np.ndarray]:
    found = {}
    for route in sets.merging(study):
        rows = study.run(between_models.distances_of(sets.profile_of(study, route)))
        found[route.original, route.label] = np.array([one["values"] for one in rows])
    return found


# How much a line wiggles: of the forget loss, in units of what its pair forgot


def _variation(loss: np.ndarray, t: np.ndarray, unit: float) -> float:
    return float(excess_variation(loss)) / unit


def _roughness(loss: np.ndarray, t: np.ndarray, unit: float) -> float:
    return float(roughness(loss, t)) / unit**2


# Superlevels of the loss: a line with one dip has two components, its sides, which merge at the bottom of the dip. Of
# sublevels it has one, whatever its depth.
def _persistence(loss: np.ndarray, t: np.ndarray, unit: float) -> float:
    return total_persistence(loss, "super") / unit


def _smad(loss: np.ndarray, t: np.ndarray, unit: float) -> float:
    return smad(loss, "super") / unit


SMOOTHNESS: dict[str, Callable[[np.ndarray, np.ndarray, float], float]] = {
    "variation": _variation,
    "roughness": _roughness,
    "persistence": _persistence,
    "smad": _smad,
}


def wiggles(walk: Walk, measure: str = "variation", nats: bool = False) -> float:
    """How much the forget loss wiggles along a line by one of `SMOOTHNESS`, in units of what its pair forgot.

    nan where it forgot less than `LOST`: there is nothing to count in. ``nats``: in nats all the same.
    """
    loss, unit = walk.profile.arrays["curve/loss_forget"], lost(walk)
    found = SMOOTHNESS[choose("measure of smoothness", measure, SMOOTHNESS)]
    return found(loss, walk.profile.t, 1.0 if nats else unit) if unit > LOST else float("nan")


def lost(walk: Walk) -> float:
    """What a pair forgot, in nats: `declared.forgotten`, of a walk whose G may be 0."""
    ends = np.asarray(walk.profile.arrays["curve/loss_forget"], dtype=np.float64)[[0, -1]]
    return float(ends.mean() - walk.profile.original["loss_forget"])


# Which walks are read


def on_sets(walks: Sequence[Walk]) -> list[Walk]:
    """The sound walks on graded sets."""
    return [w for w in sound(list(walks)) if set_of(w.form)[0] in GRADINGS]


def graded_walks(walks: Sequence[Walk]) -> list[Walk]:
    """Those on graded sets that C20 and N3 may read: what should be kept was kept, and the curve is resolved.

    Whether enough was forgotten is not asked, since how far an end is from retraining is the outcome, and a set of low
    memorisation leaves no gap to close.
    """
    return [w for w in on_sets(walks) if all("did not forget" in why for why in reasons(w))]


def seen(walks: Sequence[Walk]) -> tuple[list[Walk], bool]:
    """The `graded_walks`, and True; where none may be read, all on graded sets, and False."""
    kept = graded_walks(walks)
    return (kept, True) if kept else (on_sets(walks), False)


def sets_are(walks: Sequence[Walk]) -> list[str]:
    """Sentences on originals whose graded sets are not what they are called; none if all are.

    As `admission.splits_are` on the sets of high grade. On the others retrained models may fit D_f as the original
    does: there they must fit D_r as it does, and D_f no better.
    """
    ours = [w for w in walks if set_of(w.form)[0] in GRADINGS]
    found = splits_are([w for w in ours if set_of(w.form)[1] == "high"])
    for w in ours:
        original, levels = w.profile.original, w.profile.levels
        kept = np.abs(np.asarray(levels["accuracy_retain"]) - original["accuracy_retain"]).max() <= NEAR
        if not (kept and original["accuracy_forget"] >= np.mean(levels["accuracy_forget"])):
            found.append(f"control: on original {w.original} retain and forget data are not what they are called")
    return list(dict.fromkeys(found))


def wiggling(walks: Sequence[Walk], measure: str = "variation", nats: bool = False) -> dict[int, dict[Hashable, float]]:
    """original -> (form, method) -> `wiggles` of the lines that may be read."""
    found: dict[int, dict[Hashable, float]] = {}
    for w in graded_walks(walks):
        found.setdefault(w.original, {})[w.form, w.method] = wiggles(w, measure, nats)
    return found


def outcomes_of(walks: Sequence[Walk], found: Difficulty, outcome: str = "js") -> dict[int, dict[Hashable, float]]:
    """original -> (form, method) -> an outcome of the lines that may be read, see `outcome_rows`."""
    return outcome_rows(graded_walks(walks), found, outcome)


def outcome_rows(walks: Sequence[Walk], found: Difficulty, outcome: str = "js") -> dict[int, dict[Hashable, float]]:
    """original -> (form, method) -> an outcome of these lines.

    Steps that never reach the retrained level are as many as can be, so that a rank is the highest.
    """
    choose("outcome", outcome, OUTCOMES)
    rows: dict[int, dict[Hashable, float]] = {}
    for w in walks:
        value = found.outcomes[w.original, w.form, w.method][outcome]
        rows.setdefault(w.original, {})[w.form, w.method] = NEVER if value == np.inf else value
    return rows


def by_set(rows: Numbers) -> dict[int, dict[Hashable, float]]:
    """original -> form -> the mean over methods of numbers by (form, method)."""
    found: dict[int, dict[Hashable, float]] = {}
    for original, row in rows.items():
        forms = dict.fromkeys(name[0] for name in row)  # type: ignore[index]
        found[original] = {
            form: float(np.mean([v for name, v in row.items() if name[0] == form]))  # type: ignore[index]
            for form in forms
        }
    return found


def refusals(walks: Sequence[Walk]) -> list[str]:
    """Why nothing may be decided of graded sets: splits that are not what they are called, or copies."""
    ours = [w for w in walks if set_of(w.form)[0] in GRADINGS]
    return [*sets_are(ours), *copies(ours)]


# The tests


def c20(
    smoothness: Mapping[int, Mapping[Hashable, float]],
    outcome: Mapping[int, Mapping[Hashable, float]],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C20: whether paths wiggle more, or less, where unlearning is hard: a rank correlation over sets and methods.

    Args:
        smoothness: original -> (set, method) -> excess variation of the forget loss along the line, in units of what
            was forgotten (other measures stand beside it).
        outcome: the same of an outcome, high where it is hard: the JS divergence to retrained models.
        refused: why nothing may be decided. level: of the interval.
    """
    return rank_trial(smoothness, outcome, Rule("outside", 0.3), refused, level)


def n3(
    predictor: Mapping[int, Mapping[Hashable, float]],
    outcome: Mapping[int, Mapping[Hashable, float]],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """N3: whether sets whose gradients are more coherent are harder, or, in its second row, sets more memorised.

    Args:
        predictor: original -> set -> coherence of D_f's gradients at the original, or mean memorisation of the set.
        outcome: original -> set -> the JS divergence to retrained models, the mean over methods.
        refused, level: as in `c20`.
    """
    return rank_trial(predictor, outcome, Rule("above", 0.3), refused, level)


def n5(
    recalls: Mapping[tuple[int, Hashable], float],
    beside: Mapping[int, Sequence[float]],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """N5: how much better a probe recognises a forgotten class in an unlearned model than in a retrained one.

    Args:
        recalls: (original, method) -> `probes.recall`.
        beside: original -> the same of its retrained models, two or more; their differences are the null.
        refused, level: as in `c20`.
    """
    few = [original for original, row in beside.items() if len(row) < 2]
    if few:
        raise BadInput(f"a probe is held against two retrained models or more, but original {few[0]} has fewer.")
    found = {at: value - float(np.mean(beside[at[0]])) for at, value in recalls.items() if at[0] in beside}
    null = [a - float(np.mean([*row[:k], *row[k + 1 :]])) for row in beside.values() for k, a in enumerate(row)]
    cells = replace(table_of(found), least=ERROR_RECALL)
    return mean_trial(cells, Rule("above", 0.1), null=np.array(null or [np.nan]), refused=refused, level=level)


def apart_in_forgetting(walk: Walk) -> bool:
    """Whether one end forgot more than the retrained models (loss beyond 1 G) and the other less."""
    first, last = (one.loss for one in gates(walk))
    return min(first, last) < 1 < max(first, last)


def n7(
    walks: Sequence[Walk],
    distances: Mapping[tuple[int, str], Any],
    at: str = "middle",
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """N7: whether the mean of an over- and an under-forgotten model is nearer to retrained models than the nearer is.

    Args:
        walks: lines between different methods of one original.
        distances: (original, label of the walk) -> (R, T), JS on D_f to each retrained model in bits.
        at: ``middle`` or ``chosen``, see `between_models.place_of`.
        refused, level: as in `c20`.
    """
    choose("place", at, ("middle", "chosen"))
    kept = [w for w in admitted(walks, kind="linear") if w.other and apart_in_forgetting(w)]
    found = {(w.original, w.label): nearer(w, distances[w.original, w.label], at) for w in kept}
    cells = replace(table_of(found), least=ERROR_JS)
    said = [*splits_are(walks), *copies(walks), *refused]
    return mean_trial(cells, Rule("below", 0.0), refused=said, level=level)


# The rows of the ledger


def c20_row(
    walks: Sequence[Walk],
    difficulty: Difficulty,
    smoothness: str = "variation",
    outcome: str = "js",
    level: float = LEVEL,
) -> Finding:
    """C20 of the walks and numbers of `gather`; other measures of smoothness and outcomes are further rows.

    Supported only where wiggles in nats say the same, their whole interval on the same side of 0: a pair that forgot
    more is farther from retraining, and the unit alone, in which noise is counted, would make a correlation of it.
    """
    right, refused = outcomes_of(walks, difficulty, outcome), refusals(walks)
    found, plain = (c20(wiggling(walks, smoothness, nats), right, refused, level) for nats in (False, True))
    same = plain.effect.low > 0 if found.effect.estimate > 0 else plain.effect.high < 0
    if found.verdict != "supported" or same:
        return found
    return replace(found, verdict="undecided", notes=(*found.notes, f"in nats it is {spread(plain.effect, 2)}"))


def n3_row(
    walks: Sequence[Walk], difficulty: Difficulty, predictor: str = "coherence", level: float = LEVEL
) -> Finding:
    """N3 of the walks and numbers of `gather`, by one of `PREDICTORS`."""
    choose("predictor", predictor, PREDICTORS)
    outcome = by_set(outcomes_of(walks, difficulty))
    left: dict[int, dict[Hashable, float]] = {o: {} for o in outcome}
    for (original, form), told in difficulty.predictors.items():
        if original in left:
            left[original][form] = told[predictor]
    return n3(left, outcome, refusals(walks), level)


def n5_row(walks: Sequence[Walk], difficulty: Difficulty, at: str = "ends", level: float = LEVEL) -> Finding:
    """N5 of the walks and numbers of `gather`: at both ends of a line, or in its ``middle``, a further row."""
    choose("place of the probe", at, ("ends", "middle"))
    ours = [w for w in walks if w.form == CLASS]
    kept = {(w.original, w.method) for w in admitted(ours)}
    inside = difficulty.within({original for original, _ in kept})
    recalls: dict[tuple[int, Hashable], float] = {
        place: float(np.mean(row[[0, -1]]) if at == "ends" else row[len(row) // 2])
        for place, row in inside.recalls.items()
        if place in kept
    }
    return n5(recalls, inside.beside, [*splits_are(ours), *copies(ours)], level)


def n7_row(walks: Sequence[Walk], difficulty: Difficulty, at: str = "middle", level: float = LEVEL) -> Finding:
    """N7 of the walks and numbers of `gather`."""
    return n7([w for w in walks if w.other and not w.form], difficulty.distances, at, level=level)
