"""11: ensembles along paths and what an attacker brings back: what is computed, and its tables.

Along the line between two seeds of a method: ensembles of its points and of their weights beside independent unlearning
seeds and as many retrained models, how flat the loss is there, and the same relearning attack on every point, on
retrained models, on means of weights, and on defences that were built to be disconnected from the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from ..engine.specs import CurveSpec, EnsembleSpec, MetricSpec, RegainedSpec, RelearnSpec, SharpnessSpec, Spec
from ..engine.study import Study
from ..measures.ensembles import PLACEMENTS, SIZES, uniform
from ..measures.readings import READINGS, barrier_by
from ..settings import train_plan
from ..unlearning.methods import DEFENCES
from ..unlearning.relearning import EPOCHS, RATES, Attack
from .experiments import SOME, Route, coarse, controls, profiles, references
from .inclusion import TWINNED, Table

Place = tuple[int, str]  # (original, method)
SEED = 11  # of directions, and of an attack's batches
SHARP = ("npo", "gradient_difference", "scrub")  # methods whose sharpness is measured
APART = ("npo", "gradient_difference")  # those of which there are more unlearning seeds
MORE_SEEDS = (21, 100, 101)  # beside the study's two; the first two are the second pair of 02
OUTSIDE = ("noise", "blur", "rotation", "digits")
BEYOND = 2  # originals whose ensembles see images from outside
FIVE = 5  # members of what is compared with five points of a path
MAIN = Attack("forgotten", 50, 1 / 3)  # the setting of every verdict; the others stand beside it
DATA = (("retain", 0), ("forgotten", 10), ("forgotten", 50), ("lookalikes", 50))
LONG = (replace(MAIN, epochs=EPOCHS), Attack("retain", 0, 1 / 3, epochs=EPOCHS))
GRID = 2  # originals that all settings of the attacker are tried on
THREE = 3  # members of the attacked ensemble that verdicts read: both ends and the middle
MEMBERS = (2, THREE, 5)  # of attacked ensembles, uniform
POLICIES = ("none", "interpolated")  # of BatchNorm beside the refreshed one, at whose lines N2 looks too


def lines(study: Study) -> dict[Place, CurveSpec]:
    """(original, method) -> the line between the method's two seeds."""
    first, last = study.seeds[:2]
    found = {}
    for original, method in product(study.originals, study.preset.fit):
        start, end = (study.unlearned(method, seed, origin=study.original(original)) for seed in (first, last))
        found[original, method] = study.path(start, end)
    return found


def sizes_for(points: int) -> tuple[int, ...]:
    """The numbers of members that a grid of so many points can have; one stands in the middle, or is chosen."""
    return (1, *(size for size in SIZES if size <= points))


def ensemble_of(study: Study, path: CurveSpec) -> EnsembleSpec:
    """Ensembles of all sizes and placements along a path, on all splits."""
    return EnsembleSpec((study.trace(path),), sizes_for(study.preset.points), PLACEMENTS)


def outside_of(study: Study, path: CurveSpec, name: str) -> EnsembleSpec:
    """Both ends and all five points of a path on test images from outside."""
    made = study.trace(path, points=min(FIVE, study.preset.points), splits=("valid", "test"))
    return EnsembleSpec((replace(made, outside=name),), (1, 2), ("uniform",))


def retrained_together(study: Study, original: int, size: int, outside: str = "") -> EnsembleSpec:
    """The fair oracle: so many models retrained for an original, from initial weights of their own."""
    seeds = [*study.seeds[:2], *range(601, 601 + FIVE - 2)][:size]
    splits = ("valid", "test") if outside else ()
    models = [study.trace(study.retrained(seed, original=original), splits=splits) for seed in seeds]
    return EnsembleSpec(tuple(replace(one, outside=outside) for one in models), (), ())


def seeds_together(study: Study, original: int, method: str) -> EnsembleSpec:
    """Five models that a method unlearned from one original with seeds of their own."""
    origin, seeds = study.original(original), (*study.seeds[:2], *MORE_SEEDS)
    return EnsembleSpec(tuple(study.trace(study.unlearned(method, seed, origin=origin)) for seed in seeds), (), ())


def originals_together(study: Study, method: str) -> EnsembleSpec:
    """A method's first models of several originals, on images that all of them have: not on D_f, of which each has
    its own."""
    originals = study.originals[:FIVE] if len(study.originals) > 1 else (0, 1)
    models = [study.unlearned(method, study.seeds[0], origin=study.original(one)) for one in originals]
    return EnsembleSpec(tuple(study.trace(one, splits=("valid", "test")) for one in models), (), ())


def sharpness_of(study: Study, path: CurveSpec, place: int) -> SharpnessSpec:
    """Sharpness of the start (0), of the end (1) and of the mean weights of a line (2), along the same directions."""
    model: Any = (path.start, path.end, path)[place]
    return SharpnessSpec(model, path.forget, SEED, weighted=study.weighted)


def ensembles_asked(study: Study) -> dict[str, dict[Any, Spec]]:
    """By role in the tables `ensembles` and `sharpness` the spec behind every number."""
    paths, some = lines(study), [one for one in study.originals if one < SOME]
    few = [one for one in study.originals if one < BEYOND]
    twins = {(r.original, r.method): r.path for r in controls(study) if r.control == TWINNED}
    apart = [name for name in APART if name in study.preset.fit]
    sharp = {at: path for at, path in paths.items() if at[1] in SHARP}
    return {
        "lines": {at: ensemble_of(study, path) for at, path in paths.items()},
        "twins": {at: EnsembleSpec((study.trace(path),), (2, FIVE), ("uniform",)) for at, path in twins.items()},
        "outside": {(*at, n): outside_of(study, paths[at], n) for at, n in product(paths, OUTSIDE) if at[0] in few},
        "retrained": {(o, 2): retrained_together(study, o, 2) for o in study.originals}
        | {(o, FIVE): retrained_together(study, o, FIVE) for o in some},
        "beyond": {(o, n): retrained_together(study, o, FIVE, n) for o, n in product(few, OUTSIDE)},
        "seeds": {(o, m): seeds_together(study, o, m) for o, m in product(some, apart)},
        "several": {m: originals_together(study, m) for m in study.preset.fit},
        "sharp": {(*at, k): sharpness_of(study, path, k) for at, path in sharp.items() for k in range(3)},
    }


# Relearning


def attack_on(study: Study, model: Any, attack: Attack = MAIN, place: int = 0, points: int = 1) -> RelearnSpec:
    """An attack on a model, or on a point of a curve; members of an ensemble differ in the seed of the batches too."""
    forget = getattr(model, "forget", study.preset.forget)
    training = train_plan(study.settings)
    return RelearnSpec(model, forget, attack, training, SEED + place, place, points, study.weighted)


def along(study: Study, path: Any) -> list[RelearnSpec]:
    """The main attack on every point of a coarse line: an ensemble's members, and a matched start."""
    points = coarse(study)
    return [attack_on(study, path, MAIN, k, points) for k in range(points)]


def copies_of(study: Study, path: Any) -> list[RelearnSpec]:
    """The attack on the middle of a line with three seeds: the null of an attacked ensemble."""
    one = along(study, path)[coarse(study) // 2]
    return [replace(one, seed=one.seed + 100 * k) for k in range(THREE)]


def places_of(points: int, size: int) -> tuple[int, ...]:
    """Which of so many points are an attacked ensemble's: uniform, both ends among them."""
    return uniform(np.linspace(0, 1, points), size)


def retrained_attacked(study: Study, original: int, attack: Attack = MAIN) -> list[RelearnSpec]:
    """The attack on an original's retrained models, of initial weights of their own and of the original's."""
    seed = study.seeds[0]
    models = [study.retrained(seed, original=original), study.retrained(seed, original=original, init=original)]
    return [attack_on(study, model, attack) for model in models]


def settings() -> list[Attack]:
    """Every setting of an attacker that is tried: data x rates for 25 steps, and the main rate for 10 epochs."""
    short = [Attack(data, examples, rate) for (data, examples), rate in product(DATA, RATES)]
    return [*short, *LONG]


def grid(study: Study) -> dict[tuple[int, int], RegainedSpec]:
    """(original, number of the setting) -> that attack on every method's first end, then on retrained models.

    On `GRID` originals; those of many epochs on one.
    """
    found = {}
    for original, (k, attack) in product(study.originals[:GRID], enumerate(settings())):
        if attack in LONG and original > 0:
            continue
        ends = [path.start for (o, _), path in lines(study).items() if o == original]
        models = [attack_on(study, end, attack) for end in ends] + retrained_attacked(study, original, attack)
        found[original, k] = RegainedSpec(tuple(models))
    return found


def weights_attacked(study: Study, original: int) -> RegainedSpec:
    """The attack on the mean of the weights of each method's curve, a third of each point of a quadratic."""
    paths = [path for (o, _), path in lines(study).items() if o == original]
    curves = [study.path(path.start, path.end, kind="bezier") for path in paths]
    return RegainedSpec(tuple(attack_on(study, curve) for curve in curves))


def defended(study: Study, original: int) -> dict[tuple[str, int], Any]:
    """(method, seed) -> the model of an original: of the methods walked with two seeds, of the defences with one."""
    origin = study.original(original)
    names = [*product(study.preset.fit, study.seeds[:2]), *product(DEFENCES, study.seeds[:1])]
    return {(method, seed): study.unlearned(method, seed, origin=origin) for method, seed in names}


def forgetting(study: Study) -> dict[tuple[int, str, int], Route]:
    """(original, method, seed) -> the line from the original to that model, BatchNorm refreshed: N2's predictors."""
    found = {}
    for original in study.originals:
        for (method, seed), model in defended(study, original).items():
            path, points = study.path(study.original(original), model), coarse(study)
            labels: dict[str, Any] = {"original": original, "condition": "forgetting", "points": points}
            found[original, method, seed] = Route(method, "linear", seed, seed, path=path, **labels)
    return found


def attacks_asked(study: Study) -> dict[str, dict[Any, Spec]]:
    """By role in the table `attacked` the spec behind every number; those of ``forgetting`` are profiles."""
    paths, points, ways = lines(study), coarse(study), forgetting(study)
    sizes = [size for size in MEMBERS if size <= points]
    ends, some = places_of(points, THREE), [one for one in study.originals if one < SOME]
    members = {
        (*at, n): [along(study, path)[k] for k in places_of(points, n)] for at, path in paths.items() for n in sizes
    }
    known = {o: tuple(attack_on(study, one) for one in defended(study, o).values()) for o in study.originals}
    return {
        "lines": {at: RegainedSpec(tuple(along(study, path)), ends) for at, path in paths.items()},
        "members": {at: RegainedSpec(tuple(each), tuple(range(len(each)))) for at, each in members.items()},
        "copies": {at: RegainedSpec(tuple(copies_of(study, p)), tuple(range(THREE))) for at, p in paths.items()},
        "retrained": {o: RegainedSpec(tuple(retrained_attacked(study, o))) for o in study.originals},
        "weights": {o: weights_attacked(study, o) for o in some},
        "grid": dict(grid(study)),
        "models": {o: RegainedSpec(each) for o, each in known.items()},
        "forgetting": {at: route.profile(study) for at, route in ways.items()},
        "policies": {
            (*at, policy): MetricSpec(study.trace(route.path, policy, points, ("retain",)), "loss_retain")
            for (at, route), policy in product(ways.items(), POLICIES)
        },
    }


# Together


def routes(study: Study) -> list[Route]:
    """The lines between two seeds of every method, as 02 walks them, and the controls."""
    first, last = study.seeds[:2]
    found = [Route(m, "linear", first, last, path=path, original=o) for (o, m), path in lines(study).items()]
    return found + controls(study)


def needs(study: Study) -> list[Spec]:
    """All that 11 needs: the profiles of lines, controls and models, ensembles, attacks and sharpness."""
    found = [*profiles(study, routes(study)), *references(study)]
    groups = [*ensembles_asked(study).values(), *attacks_asked(study).values()]
    return list(dict.fromkeys([*found, *(spec for part in groups for spec in part.values())]))


# Tables


def _answers(study: Study, groups: Mapping[str, Mapping[Any, Spec]]) -> dict[str, dict[Any, Any]]:
    """The results of groups of specs, by the same names, computed where the store lacks them."""
    found = iter(study.run([spec for group in groups.values() for spec in group.values()]))
    return {name: {at: next(found) for at in group} for name, group in groups.items()}


def _place(at: Any) -> tuple[int, str, str]:
    """(original, method, what else) of a place in `ensembles_asked` or `attacks_asked`."""
    if isinstance(at, str):  # a method of several originals
        return -1, at, ""
    parts = list(at) if isinstance(at, tuple) else [at]
    method = parts.pop(1) if len(parts) > 1 and isinstance(parts[1], str) and parts[1] not in OUTSIDE else ""
    return parts[0], method, " ".join(map(str, parts[1:]))


def ensembles(study: Study) -> Table:
    """`ensembles`: accuracy, loss and calibration error of each ensemble on each split."""
    import pandas as pd

    groups = {role: part for role, part in ensembles_asked(study).items() if role != "sharp"}
    rows = []
    for role, found in _answers(study, groups).items():
        for at, one in found.items():
            for name, value in one.items():
                parts = name.split("/")
                if len(parts) == 4 and parts[2] in ("accuracy", "loss", "calibration"):
                    members = int(parts[1]) if parts[0] != "all" else 0
                    rows.append((role, *_place(at), parts[0], members, f"{parts[2]}_{parts[3]}", float(value)))
    return pd.DataFrame(rows, columns=["role", "original", "method", "what", "placement", "members", "metric", "value"])


def sharpness(study: Study) -> Table:
    """`sharpness`: how much the loss rises around the ends and the mean weights of a line, and the top eigenvalue."""
    import pandas as pd

    found = _answers(study, {"sharp": ensembles_asked(study)["sharp"]})["sharp"]
    rows = [
        (original, method, ("start", "end", "mean")[place], what, float(np.mean(value)))
        for (original, method, place), one in found.items()
        for what, value in one.items()
    ]
    return pd.DataFrame(rows, columns=["original", "method", "place", "what", "value"])


def attacked(study: Study) -> Table:
    """`attacked`: accuracies and loss of attacked models after so many steps; member -1 is their mean prediction."""
    import pandas as pd

    groups = {n: part for n, part in attacks_asked(study).items() if n not in ("forgetting", "policies")}
    names = [f"{method} {seed}" for method, seed in defended(study, study.originals[0])]
    ends = [method for o, method in lines(study) if o == study.originals[0]]
    columns = {"accuracy/forget": "accuracy_forget", "accuracy/valid": "accuracy_valid"}
    columns |= {"accuracy/retain": "accuracy_retain", "loss/valid": "loss_valid"}
    parts = []
    for role, found in _answers(study, groups).items():
        for at, one in found.items():
            original, method, what = _place(at)
            count, steps = len(one["accuracy/forget"]), np.asarray(one["steps"])
            index = pd.MultiIndex.from_product([range(count), steps], names=["member", "step"])
            table = pd.DataFrame({c: np.ravel(one[n]) for n, c in columns.items()}, index=index).reset_index()
            if "together/accuracy" in one:
                whole = {"member": -1, "step": steps, "accuracy_forget": np.asarray(one["together/accuracy"])}
                table = pd.concat([table, pd.DataFrame(whole)])
            told = {"models": names, "grid": [*ends, "retrained", "retrained, same init"], "weights": ends}.get(role)
            model = table.member.map(dict(enumerate(told))) if told else ""
            parts.append(table.assign(role=role, original=original, method=method, what=what, model=model))
    return pd.concat(parts, ignore_index=True)


def predictors(study: Study) -> Table:
    """`predictors`: what N2 predicts the accuracy regained by, of each attacked model, by each reading.

    ``distance`` to the original; retain barriers in G on the line from it, with BatchNorm ``refreshed``, ``start's``
    and ``interpolated``.
    """
    import pandas as pd

    groups = attacks_asked(study)
    found = _answers(study, {name: groups[name] for name in ("forgetting", "policies")})
    rows, policies = [], found["policies"]
    for at, profile in found["forgetting"].items():
        rows.append((*at, "distance", "chord", profile.geometry["distance"]))
        level = float(np.mean(profile.levels["loss_retain"]))
        losses = {"refreshed": np.asarray(profile.arrays["curve/loss_retain"], dtype=np.float64)}
        for policy, name in zip(POLICIES, ("start's", "interpolated"), strict=True):
            losses[name] = np.asarray(policies[at + (policy,)]["values"], dtype=np.float64)
        for (name, loss), reading in product(losses.items(), READINGS):
            rows.append((*at, name, reading, float(barrier_by(reading, loss, profile.t, level)) / profile.gap))
    return pd.DataFrame(rows, columns=["original", "method", "seed", "predictor", "reading", "value"])


TABLES = {"ensembles": ensembles, "sharpness": sharpness, "attacked": attacked, "predictors": predictors}
