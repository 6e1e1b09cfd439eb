"""11: ensembles along a path, and what an attacker brings back (C17, C18, C19, C22, N2).

Priced apart, as ``ensembles``. Along the line between two seeds of a method: ensembles of predictions, every point of
it attacked, and the sharpness of its mean weights. Beside them ensembles of retrained models, the same attack on
retrained models, and defences built to be disconnected.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from ..engine.specs import EnsembleSpec, MetricSpec, RelearnSpec, SharpnessSpec, Spec, TraceSpec
from ..engine.study import Study
from ..errors import BadInput, choose
from ..measures.ensembles import PLACEMENTS, SIZES
from ..measures.intervals import LEVEL
from ..measures.relearned import MATCHED, area
from ..settings import train_plan
from ..unlearning.methods import DEFENCES
from ..unlearning.relearning import EPOCHS, RATES, Attack
from .trials import Cells, Finding, Rule, mean_trial, rank_trial, table_of
from .walks import SOME, TWINNED, coarse, controls

MAIN = Attack("forgotten", 50, 1 / 3)  # the setting of every verdict; the others stand beside it
DATA = (("retain", 0), ("forgotten", 10), ("forgotten", 50), ("lookalikes", 50))
LONG = (replace(MAIN, epochs=EPOCHS), Attack("retain", 0, 1 / 3, epochs=EPOCHS))
GRID = 2  # originals that all settings of the attacker are tried on
SEED = 11  # of an attack's batches, and of directions; each further attack of an ensemble's member has the next
SHARP = ("npo", "gradient_difference", "scrub")  # methods whose sharpness is measured
PREDICTORS = ("distance", "retain", "none", "interpolated")  # N2: how far, and barriers by BatchNorm policy
OUTSIDE = ("noise", "blur", "rotation", "digits")
RETRAINED = 5  # of an ensemble of retrained models, on `SOME` originals
ENDS = 3  # members of an attacked ensemble: both ends and the middle
ERROR = {"C17": 0.0005, "C18": 0.002, "C19": 0.02, "C22": 0.0005}  # smallest standard errors believed in


# What is computed


def lines(study: Study) -> dict[tuple[int, str], Any]:
    """(original, method) -> the line between the method's two seeds."""
    first, last = study.seeds[:2]
    found = {}
    for original, method in product(study.originals, study.preset.fit):
        start, end = (study.unlearned(method, seed, origin=study.original(original)) for seed in (first, last))
        found[original, method] = study.path(start, end)
    return found


def sizes_for(points: int) -> tuple[int, ...]:
    """The numbers of members that a grid of so many points can have."""
    return tuple(size for size in SIZES if size <= points)


def ensemble_of(study: Study, path: Any) -> EnsembleSpec:
    """Ensembles of all sizes and placements along a path, on all splits."""
    return EnsembleSpec((study.trace(path),), sizes_for(study.preset.points), PLACEMENTS)


def outside_of(study: Study, path: Any) -> list[EnsembleSpec]:
    """Both ends against all five points of a path, on test images from outside."""
    made = study.trace(path, points=min(5, study.preset.points), splits=("valid", "test"))
    return [EnsembleSpec((replace(made, outside=name),), (2,), ("uniform",)) for name in OUTSIDE]


def retrained_together(study: Study, original: int) -> EnsembleSpec:
    """The fair oracle: an ensemble of models retrained for an original, as many as there are, or `RETRAINED`."""
    seeds = [*study.seeds[:2], *range(601, 601 + RETRAINED - 2)] if original < SOME else study.seeds[:2]
    return EnsembleSpec(tuple(study.trace(study.retrained(s, original=original)) for s in seeds), (), ())


def attack_on(study: Study, model: Any, attack: Attack = MAIN, place: int = 0, points: int = 1) -> RelearnSpec:
    """An attack on a model, or on a point of a curve; members of an ensemble differ in the seed of the batches too."""
    forget = getattr(model, "forget", study.preset.forget)
    training = train_plan(study.settings)
    return RelearnSpec(model, forget, attack, training, SEED + place, place, points, study.weighted)


def along(study: Study) -> dict[tuple[int, str], list[RelearnSpec]]:
    """(original, method) -> the main attack on every point of a coarse line: an ensemble's members, a matched start."""
    points = coarse(study)
    return {at: [attack_on(study, path, MAIN, k, points) for k in range(points)] for at, path in lines(study).items()}


def copies(study: Study) -> dict[tuple[int, str], list[RelearnSpec]]:
    """(original, method) -> the attack on the middle of a line with `ENDS` seeds: the null of an attacked ensemble."""
    middle = coarse(study) // 2
    made = {at: attack_on(study, path, MAIN, middle, coarse(study)) for at, path in lines(study).items()}
    return {at: [replace(one, seed=one.seed + 100 * k) for k in range(ENDS)] for at, one in made.items()}


def retrained_attacked(study: Study, attack: Attack = MAIN) -> dict[int, list[RelearnSpec]]:
    """original -> the attack on its retrained models, of their own initial weights and of the original's."""
    seed = study.seeds[0]
    found = {}
    for o in study.originals:
        models = [study.retrained(seed, original=o), study.retrained(seed, original=o, init=o)]
        found[o] = [attack_on(study, model, attack) for model in models]
    return found


def settings() -> list[Attack]:
    """Every setting of an attacker that is tried: data x rates for 25 steps, and the main rate for 10 epochs."""
    short = [Attack(data, examples, rate) for (data, examples), rate in product(DATA, RATES)]
    return [*short, *LONG]


def grid(study: Study) -> list[RelearnSpec]:
    """All settings on the first end of every method and on retrained models, for `GRID` originals; long: for one."""
    found = []
    for attack in settings():
        few = 1 if attack in LONG else GRID
        ends = [path.start for (original, _), path in lines(study).items() if original < few]
        found += [attack_on(study, end, attack) for end in ends]
        found += [one for o, rows in retrained_attacked(study, attack).items() if o < few for one in rows]
    return found


def sharpness(study: Study) -> dict[tuple[int, str], list[SharpnessSpec]]:
    """(original, method) -> sharpness of both ends and of the mean weights of the line, along the same directions."""
    found = {}
    for (original, method), path in lines(study).items():
        if method in SHARP:
            models = path.start, path.end, path
            found[original, method] = [SharpnessSpec(m, path.forget, SEED, weighted=study.weighted) for m in models]
    return found


def defended(study: Study) -> dict[tuple[int, str, int], Any]:
    """(original, method, seed) -> the model, of the methods walked and of the defences."""
    return {
        (o, m, s): study.unlearned(m, s, origin=study.original(o))
        for o, m, s in product(study.originals, (*study.preset.fit, *DEFENCES), study.seeds[:2])
    }


def predictors(study: Study, model: Any) -> dict[str, TraceSpec]:
    """By BatchNorm policy the trace of the line from the original; its distance is in the trace's geometry."""
    path = study.path(model.origin, model)
    return {policy: study.trace(path, policy, coarse(study), ("retain", "forget")) for policy in PREDICTORS[1:]}


def needs(study: Study) -> list[Spec]:
    """All that 11 computes beyond the other notebooks."""
    paths = lines(study)
    found: list[Spec] = [ensemble_of(study, path) for path in paths.values()]
    found += [one for (o, _), path in paths.items() if o < GRID for one in outside_of(study, path)]
    found += [
        EnsembleSpec((study.trace(r.path),), (2, 5), ("uniform",)) for r in controls(study) if r.control == TWINNED
    ]
    found += [retrained_together(study, original) for original in study.originals]
    for table in (along(study), copies(study), retrained_attacked(study), sharpness(study)):
        found += [one for rows in table.values() for one in rows]
    found += grid(study)
    for model in defended(study).values():
        traces = predictors(study, model)
        found += [MetricSpec(one, f"loss_{split}") for one in traces.values() for split in ("retain", "forget")]
        found.append(attack_on(study, model))
    return found


# The tests


def _cells(numbers: Mapping[tuple[int, Hashable], float], claim: str) -> Cells:
    return replace(table_of(numbers), least=ERROR[claim])


def gained(found: Mapping[str, Any], size: int = 5, placement: str = "uniform", beside: str = "uniform/2") -> float:
    """Test accuracy of an ensemble along a path minus that of another, by default of its two ends.

    Args:
        found: a result of `EnsembleSpec`. size, placement: of the ensemble. beside: ``uniform/2``, the two ends, or
            ``end/1``, the better one on validation data.
    """
    return float(found[f"{placement}/{size}/accuracy/test"] - found[f"{beside}/accuracy/test"])


def c17(
    gains: Mapping[tuple[int, Hashable], float],
    twins: Sequence[float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C17: whether five points of an MCU path predict better together than the path's two ends do.

    Args:
        gains: (original, method) -> `gained` along a line that is MCU(0.1).
        twins: the same along lines to fine-tuned twins: the null.
        refused: why nothing may be decided. level: of the interval.
    """
    return mean_trial(
        _cells(gains, "C17"), Rule("above", 0.002), null=np.array(twins or [np.nan]), refused=refused, level=level
    )


def together_attacked(members: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Accuracy (T,) of the mean prediction of attacked models on forgotten examples that no attacker saw.

    Args:
        members: results of `RelearnSpec`, looked at after the same steps.
    """
    steps = np.asarray(members[0]["steps"])
    if any(not np.array_equal(one["steps"], steps) for one in members):
        raise BadInput("members of an attacked ensemble are looked at after the same steps.")
    mean = 0.0
    for one in members:
        logits = np.asarray(one["logits/forget"], dtype=np.float64)
        p = np.exp(logits - logits.max(axis=-1, keepdims=True))
        mean = mean + p / p.sum(axis=-1, keepdims=True)
    return (np.argmax(mean, axis=-1) == np.asarray(members[0]["labels/forget"])).mean(axis=-1)


def matched(attacked: Sequence[Mapping[str, Any]], level: float, within: float = MATCHED) -> int | None:
    """The point of a line whose attack starts as forgetful as an ensemble: ``within`` half a point, best on validation.

    ``attacked`` are results of `RelearnSpec` at every point; None where no point is near enough.
    """
    near = [k for k, one in enumerate(attacked) if abs(one["accuracy/forget"][0] - level) <= within + 1e-12]
    return min(near, key=lambda k: float(attacked[k]["loss/valid"][0])) if near else None


def resistance(attacked: Sequence[Mapping[str, Any]]) -> float:
    """Area, in accuracy, by which an attacked ensemble of both ends and the middle lies above its matched single point.

    Negative where the ensemble resists better; nan where no point starts as forgetful as the ensemble.
    """
    members = [attacked[0], attacked[len(attacked) // 2], attacked[-1]]
    ours = together_attacked(members)
    start = matched(attacked, float(ours[0]))
    if start is None:
        return float("nan")
    return area(attacked[0]["steps"], ours, attacked[start]["accuracy/forget"])


def copies_resist(attacked: Sequence[Mapping[str, Any]]) -> float:
    """The same for an ensemble of one model attacked with several orders of batches, beside the first of them."""
    return area(attacked[0]["steps"], together_attacked(attacked), attacked[0]["accuracy/forget"])


def c18(
    areas: Mapping[tuple[int, Hashable], float],
    copied: Sequence[float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C18: whether an attacked ensemble of points of an MCU path regains less than a single point of equal start.

    Args:
        areas: (original, method) -> `resistance`; nan where nothing matches.
        copied: `copies_resist`, the null: what averaging over orders of batches does by itself.
        refused, level: as in `c17`.
    """
    return mean_trial(
        _cells(areas, "C18"), Rule("below", -0.01), null=np.array(copied or [np.nan]), refused=refused, level=level
    )


def smoother(rows: Sequence[Mapping[str, Any]], what: str = "both/retain") -> float:
    """(rise at the mean weights - mean rise at both ends) / mean rise at both ends; nan where that is not above 0.

    Args:
        rows: results of `SharpnessSpec` at the start, the end and the mean. what: ``both/<split>``, ``one/<split>`` or
            ``hessian``.
    """
    start, end, mean = (float(np.mean(row[what])) for row in rows)
    ends = (start + end) / 2
    return (mean - ends) / ends if ends > 0 else float("nan")


def c19(
    changes: Mapping[tuple[int, Hashable], float],
    swapped: Sequence[float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C19: whether the loss rises less around the mean weights of an MCU path than around its ends.

    Args:
        changes: (original, method) -> `smoother`.
        swapped: `smoother` with an end in the mean's place and the other end beside itself: the null.
        refused, level: as in `c17`.
    """
    return mean_trial(
        _cells(changes, "C19"), Rule("below", -0.1), null=np.array(swapped or [np.nan]), refused=refused, level=level
    )


def c22(
    found: Mapping[tuple[int, Hashable], Mapping[str, Any]],
    by: str = "number",
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C22: whether an ensemble's gain depends on the number of members, or on where they stand.

    ``number``: test accuracy of the most members less that of two, uniform. ``placement``: of five in the inner half
    less that of five uniform ones.

    Args:
        found: (original, method) -> a result of `EnsembleSpec` along a line that is MCU(0.1).
        by: ``number`` or ``placement``. refused, level: as in `c17`.
    """
    choose("what a gain depends on, number or placement,", by, ("number", "placement"))
    numbers = {}
    for place, one in found.items():
        sizes = [int(name.split("/")[2]) for name in one if name.startswith("members/uniform/")]
        asked = {"size": max(sizes, default=0)} if by == "number" else {"size": 5, "placement": "inner"}
        beside = "uniform/2" if by == "number" else "uniform/5"
        numbers[place] = gained(one, beside=beside, **asked)
    return mean_trial(_cells(numbers, "C22"), Rule("outside", 0.002), refused=refused, level=level)


def n2(
    regained: Mapping[int, Mapping[Hashable, float]],
    predictor: Mapping[int, Mapping[Hashable, float]],
    refused: Sequence[str] = (),
    level: float = LEVEL,
    draws: int = 500,
) -> Finding:
    """N2: rank correlation, over methods and seeds of an original, of the accuracy regained with a predictor.

    Args:
        regained: original -> (method, seed) -> accuracy regained on forgotten examples that the attacker did not see.
        predictor: the same of the distance to the original, or of a barrier on the line to it.
        refused, level: as in `c17`. draws: of the null, models permuted within each original.
    """
    return rank_trial(regained, predictor, Rule("below", -0.5), refused, level, draws)


def disconnected(barriers: Mapping[str, Sequence[float]], least: int = 3, above: float = 0.1) -> list[str]:
    """What is wrong with the instrument's positive control: fewer than ``least`` defences have a barrier above 0.1 G.

    ``barriers``: defence -> retain barriers in G of its lines from the originals, BatchNorm refreshed.
    """
    found = [name for name, values in barriers.items() if len(values) and np.nanmedian(values) > above]
    if len(found) >= least:
        return []
    said = ", ".join(found) or "none"
    return [
        f"of the defences built to be disconnected {said} has a median barrier above {above:g} G: the others do not"
    ]
