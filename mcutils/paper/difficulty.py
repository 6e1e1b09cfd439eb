"""12: forget sets of graded difficulty (C20, N3), probes of a forgotten class (N5), merging (N7).

Priced apart, as ``difficulty``. Sets are graded by what the shadow pool of 10 and the originals' own training say, and
are listed in the specs: so what is computed is known once the grades are. A class is forgotten on the same originals.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from ..data.scenarios import Scenario
from ..engine.specs import CurveSpec, DataSpec, MetricSpec, OriginalSpec, RetrainedSpec, Spec, TraceSpec, UnlearnedSpec
from ..engine.study import Study
from ..errors import BadInput, choose
from ..measures.difficulty import memorisation
from ..measures.graded import graded_rows
from ..measures.intervals import LEVEL
from ..measures.originals import LEAST
from .admission import admitted, copies, gates, splits_are
from .between_models import nearer
from .ensembles_and_relearning import attack_on
from .trials import Finding, Rule, mean_trial, rank_trial, table_of
from .walks import Walk, coarse

SIZE = 500  # of a graded set
ORIGINALS = LEAST  # on which graded sets and a class are unlearned
GRADINGS = ("memorisation", "confidence")
OUTCOMES = ("js", "missed", "steps", "area")  # see `measures.outcomes`; js is the first column
SMOOTHNESS = ("variation", "roughness", "persistence", "smad")
ERROR_JS, ERROR_RECALL = 5e-4, 0.01  # smallest standard errors believed in, in bits and shares


# What is computed


def data_of(study: Study, original: int, scenario: Scenario) -> DataSpec:
    """The data of an original with another forget set."""
    return replace(study.original(original).data, scenario=scenario)


def before(study: Study, original: int, scenario: Scenario) -> OriginalSpec:
    """The very same original, put before another forget set."""
    one = study.original(original)
    return replace(one, data=data_of(study, original, scenario), first=one.data.draw)


def share_of(study: Study, scenario: Scenario) -> float:
    """The share of the pool that a scenario forgets."""
    return replace(study.data, scenario=scenario).pool.forget


def retrained(study: Study, original: int, scenario: Scenario) -> list[RetrainedSpec]:
    """Models that never saw what a scenario forgets."""
    forget, data = share_of(study, scenario), data_of(study, original, scenario)
    return [replace(study.retrained(seed, forget, original=original), data=data) for seed in study.seeds[:2]]


def ends(study: Study, original: int, scenario: Scenario, method: str) -> list[UnlearnedSpec]:
    """Two seeds of a method on a scenario."""
    origin, forget = before(study, original, scenario), share_of(study, scenario)
    return [study.unlearned(method, seed, origin=origin, forget=forget) for seed in study.seeds[:2]]


def path(study: Study, original: int, scenario: Scenario, method: str) -> CurveSpec:
    """The line between the two."""
    first, last = ends(study, original, scenario, method)
    return study.path(first, last)


def trace_of(study: Study, model: Any) -> TraceSpec:
    """A trace of a model, or of a line at few points, on all splits."""
    return study.trace(model, points=coarse(study)) if isinstance(model, CurveSpec) else study.trace(model)


def on_set(study: Study, original: int, scenario: Scenario) -> list[Spec]:
    """All that one forget set needs: its references, lines of each method, what unlearning passes through, attacks."""
    models = [before(study, original, scenario), *retrained(study, original, scenario)]
    references = [trace_of(study, model) for model in models]
    found: list[Spec] = [*references, *(attack_on(study, model) for model in models[1:])]
    for method in study.preset.fit:
        line = trace_of(study, path(study, original, scenario, method))
        found += [MetricSpec(line, "js_retrained_forget", (one,)) for one in references[1:]]
        end = ends(study, original, scenario, method)[0]
        found += [study.trace(study.trajectory(end)), attack_on(study, end)]
    return found


def scenarios(grades: Mapping[str, Mapping[str, Sequence[int]]]) -> dict[tuple[str, str], Scenario]:
    """(grading, grade) -> the scenario that forgets these rows."""
    return {
        (grading, grade): Scenario("listed", rows=tuple(int(row) for row in rows))
        for grading, sets in grades.items()
        for grade, rows in sets.items()
    }


def class_needs(study: Study) -> list[Spec]:
    """A class forgotten on each of `ORIGINALS` originals, the one of the original's number: models and lines for N5."""
    found: list[Spec] = []
    for original in study.originals[:ORIGINALS]:
        scenario = Scenario("class", label=original)
        found += [trace_of(study, model) for model in retrained(study, original, scenario)]
        found += [trace_of(study, path(study, original, scenario, method)) for method in study.preset.fit]
    return found


def needs(study: Study, grades: Mapping[str, Mapping[str, Sequence[int]]] | None = None) -> list[Spec]:
    """All that 12 computes beyond the other notebooks; without ``grades`` what does not depend on them.

    ``grades``: grading -> grade -> rows of the pool, as `graded` returns them.
    """
    found = class_needs(study)
    for original, scenario in product(study.originals[:ORIGINALS], scenarios(grades or {}).values()):
        found += on_set(study, original, scenario)
    return found


def graded(
    rows: Sequence[int], right: np.ndarray, held: np.ndarray, confidence: Sequence[float], size: int = SIZE
) -> dict[str, dict[str, np.ndarray]]:
    """Graded sets of the pool's forget targets: by memorisation, and by the mean confidence while an original learned.

    Args:
        rows: of the targets (N,). right, held: of the pool's M models (M, N) bool. confidence: (N,), low is hard; its
            sign is turned, so that ``high`` is hard in both.
        size: of each set.
    """
    scores = {"memorisation": memorisation(right, held), "confidence": -np.asarray(confidence, dtype=np.float64)}
    return {name: graded_rows(rows, scores[name], size) for name in GRADINGS}


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
