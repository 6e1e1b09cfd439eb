"""11, second part: what an attacker brings back, along a path and of ensembles, and what predicts it (C18, N2).

The same attack on every point of the line between two seeds of a method, on retrained models, on means of weights, and
on defences that were built to be disconnected from the original.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gamma, sqrt
from typing import Any

import numpy as np

from ..engine.specs import MetricSpec, RegainedSpec, RelearnSpec, Spec
from ..engine.study import Study
from ..errors import choose
from ..measures import drawing
from ..measures.drawing import BLACK, GREY, PURPLE, check_columns, entry, finish, label, panel_grid, where
from ..measures.ensembles import uniform
from ..measures.intervals import LEVEL
from ..measures.originals import student
from ..measures.readings import barrier_by
from ..measures.relearned import MATCHED, area
from ..settings import train_plan
from ..unlearning.methods import DEFENCES
from ..unlearning.relearning import EPOCHS, RATES, Attack
from .admission import reasons
from .claims import interval_text, spread
from .ensembles import SEED, Place, lines
from .panels import SERIES, decades, dots_row, method_panels, shade_rows
from .tables import Table, frame
from .trials import Finding, Rule, mean_trial, rank_trial, row_means, table_of
from .walks import SOME, Route, Walk, coarse

Attacked = Mapping[str, Any]  # a result of `RegainedSpec`

MAIN = Attack("forgotten", 50, 1 / 3)  # the setting of every verdict; the others stand beside it
DATA = (("retain", 0), ("forgotten", 10), ("forgotten", 50), ("lookalikes", 50))
LONG = (replace(MAIN, epochs=EPOCHS), Attack("retain", 0, 1 / 3, epochs=EPOCHS))
GRID = 2  # originals that all settings of the attacker are tried on
THREE = 3  # members of the attacked ensemble that verdicts read: both ends and the middle
MEMBERS = (2, THREE, 5)  # of attacked ensembles, uniform
POLICIES = ("none", "interpolated")  # of BatchNorm beside the refreshed one, at whose lines N2 looks too
# N2's predictors: name -> how a figure calls it.
PREDICTORS = {
    "distance": "distance to the original",
    "refreshed": "barrier (G), refreshed",
    "start's": "barrier (G), start's",
    "interpolated": "barrier (G), interpolated",
}
ERROR = 0.002  # smallest standard error believed in of an area (C18)
BARRIER = 0.1  # G, above which a defence counts as disconnected
INITS = ("other initial weights", "the original's initial weights")


# What is computed


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


def routes(study: Study) -> dict[tuple[int, str, int], Route]:
    """(original, method, seed) -> the line from the original to that model, BatchNorm refreshed: N2's predictors."""
    found = {}
    for original in study.originals:
        for (method, seed), model in defended(study, original).items():
            path, points = study.path(study.original(original), model), coarse(study)
            labels: dict[str, Any] = {"original": original, "condition": "forgetting", "points": points}
            found[original, method, seed] = Route(method, "linear", seed, seed, path=path, **labels)
    return found


def asked(study: Study) -> dict[str, dict[Any, Spec]]:
    """By the fields of `Relearned` the spec behind every number; those of ``forgetting`` are profiles."""
    paths, points, ways = lines(study), coarse(study), routes(study)
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


@dataclass(frozen=True, eq=False)
class Relearned:
    """What attacks brought back: results of `RegainedSpec`, and what N2 predicts it by.

    ``lines`` and ``copies`` by (original, method), ``members``, the ensembles along lines, by the same and how many,
    ``retrained`` (of other initial weights, then of the original's), ``weights`` and ``models`` by original, ``grid``
    by (original, number of the setting); ``names`` are the (method, seed) of ``models``. ``forgetting`` are the walks
    from the originals to these, ``policies`` their retain loss by (original, method, seed, BatchNorm policy).
    """

    lines: Mapping[Place, Attacked]
    members: Mapping[tuple[int, str, int], Attacked]
    copies: Mapping[Place, Attacked]
    retrained: Mapping[int, Attacked]
    weights: Mapping[int, Attacked]
    grid: Mapping[tuple[int, int], Attacked]
    models: Mapping[int, Attacked]
    names: Sequence[tuple[str, int]]
    forgetting: Sequence[Walk]
    policies: Mapping[tuple[int, str, int, str], Attacked]


# The tests


def matched(attacked: Attacked, level: float, within: float = MATCHED) -> int | None:
    """The point of a line whose attack starts as forgetful as an ensemble: ``within`` half a point, best on validation.

    ``attacked`` is a result of `RegainedSpec` at every point; None where no point is near enough.
    """
    starts, losses = np.asarray(attacked["accuracy/forget"])[:, 0], np.asarray(attacked["loss/valid"])[:, 0]
    near = np.flatnonzero(np.abs(starts - level) <= within + 1e-12)
    return int(near[np.argmin(np.where(np.isfinite(losses[near]), losses[near], np.inf))]) if len(near) else None


def resistance(attacked: Attacked, together: Attacked | None = None) -> float:
    """Area, in accuracy, by which an attacked ensemble lies above the single point of its line that starts like it.

    Args:
        attacked: the main attack on every point of a line, with both ends and the middle together.
        together: of another ensemble; by default these three.

    Returns:
        Negative where the ensemble resists better; nan where no point starts as forgetful as the ensemble.
    """
    ours = np.asarray((together or attacked)["together/accuracy"])
    start = matched(attacked, float(ours[0]))
    if start is None:
        return float("nan")
    return area(attacked["steps"], ours, attacked["accuracy/forget"][start])


def copies_resist(attacked: Attacked) -> float:
    """The same for an ensemble of one model attacked with several orders of batches, beside the first of them."""
    return area(attacked["steps"], attacked["together/accuracy"], attacked["accuracy/forget"][0])


def c18(
    areas: Mapping[Any, float],
    copied: Sequence[float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C18: whether an attacked ensemble of points of an MCU path regains less than a single point of equal start.

    Args:
        areas: (original, method) -> `resistance`; nan where nothing matches.
        copied: `copies_resist`, the null: what averaging over orders of batches does by itself.
        refused: why nothing may be decided. level: of the interval.
    """
    cells = replace(table_of(areas), least=ERROR)
    null = np.array(copied or [np.nan])
    return mean_trial(cells, Rule("below", -0.01), null=null, refused=refused, level=level)


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
        refused, level: as in `c18`. draws: of the null, models permuted within each original.
    """
    return rank_trial(regained, predictor, Rule("below", -0.5), refused, level, draws)


def disconnected(barriers: Mapping[str, Sequence[float]], least: int = 3, above: float = BARRIER) -> list[str]:
    """What is wrong with the instrument's positive control: fewer than ``least`` defences have a barrier above 0.1 G.

    ``barriers``: defence -> retain barriers in G of its lines from the originals, BatchNorm refreshed.
    """
    known = {name: [v for v in values if np.isfinite(v)] for name, values in barriers.items()}
    found = [name for name, values in known.items() if values and np.median(values) > above]
    if len(found) >= least:
        return []
    named = f" ({', '.join(found)})" if found else ""
    return [
        f"{len(found)} of {len(known)} defences built to be disconnected have a median barrier above {above:g} G{named}"
    ]


# What N2 reads


def regained_of(found: Relearned) -> dict[int, dict[tuple[str, int], float]]:
    """original -> (method, seed) -> accuracy after the attack minus before, on examples that it did not see."""
    rows = {}
    for original, one in found.models.items():
        accuracy = np.asarray(one["accuracy/forget"])
        rows[original] = dict(zip(found.names, (accuracy[:, -1] - accuracy[:, 0]).tolist(), strict=True))
    return rows


def predictor_of(found: Relearned, walk: Walk, name: str, reading: str = "chord") -> float:
    """A predictor of `PREDICTORS` of one walk from the original: a distance, or a retain barrier in G by a reading."""
    if choose("predictor", name, PREDICTORS) == "distance":
        return walk.profile.geometry["distance"]
    if name == "refreshed":
        return walk.barrier_by(reading)
    policy = {"start's": "none"}.get(name, name)
    values = np.asarray(found.policies[walk.original, walk.method, walk.start, policy]["values"], dtype=np.float64)
    levels = walk.profile.levels
    level = float(np.mean(levels["loss_retain"])) if levels else None
    return float(barrier_by(reading, values, walk.profile.t, level)) / walk.profile.gap


def instrument(found: Relearned, originals: Iterable[int] | None = None) -> dict[str, list[float]]:
    """defence -> retain barriers in G, BatchNorm refreshed, of its lines from these originals (all by default)."""
    kept = None if originals is None else set(originals)
    every = {name: [w for w in found.forgetting if w.method == name] for name in DEFENCES}
    return {name: [w.barrier for w in ws if kept is None or w.original in kept] for name, ws in every.items()}


def pairs_of(
    found: Relearned, name: str, reading: str = "chord", originals: Iterable[int] | None = None
) -> tuple[dict[int, dict[Any, float]], dict[int, dict[Any, float]]]:
    """Accuracy regained and a predictor, original -> (method, seed) -> number, of models that pass the gate."""
    kept = None if originals is None else set(originals)
    regained = regained_of(found)
    left: dict[int, dict[Any, float]] = {}
    right: dict[int, dict[Any, float]] = {}
    for walk in found.forgetting:
        if (kept is None or walk.original in kept) and not reasons(walk):
            context = walk.method, walk.start
            left.setdefault(walk.original, {})[context] = regained[walk.original][context]
            right.setdefault(walk.original, {})[context] = predictor_of(found, walk, name, reading)
    return left, right


# Tables


def _after(one: Attacked, split: str = "forget") -> np.ndarray:
    """Accuracy (M, T) of attacked models."""
    return np.asarray(one[f"accuracy/{split}"], dtype=np.float64)


def level_of(found: Relearned, original: int) -> np.ndarray:
    """Accuracy (T,) of an original's retrained models under the main attack, their mean."""
    return _after(found.retrained[original]).mean(axis=0)


def curves_table(found: Relearned, places: Iterable[Place]) -> Table:
    """Attacked curves: original, method (or ``retrained``), which model, step, accuracy on examples not seen.

    Of each line the mean of its ends, its middle and the three together; of retrained models both kinds of `INITS`.
    """
    rows, originals = [], set()
    for original, method in places:
        one = found.lines[original, method]
        accuracy, middle = _after(one), len(one["accuracy/forget"]) // 2
        shown = {
            "ends": accuracy[[0, -1]].mean(axis=0),
            "middle": accuracy[middle],
            "together": one["together/accuracy"],
        }
        originals.add(original)
        for name, values in shown.items():
            rows += [(original, method, name, int(s), float(v)) for s, v in zip(one["steps"], values, strict=True)]
    for original in sorted(originals):
        one = found.retrained[original]
        for name, values in zip(INITS, _after(one), strict=True):
            rows += [(original, "retrained", name, int(s), float(v)) for s, v in zip(one["steps"], values, strict=True)]
    return frame(rows, ["original", "method", "model", "step", "accuracy"])


def areas_table(found: Relearned, places: Iterable[Place]) -> Table:
    """Per method: accuracy on forgotten examples not seen, before and after the attack, and the area above retrained.

    Means over originals, of both ends; the area, mean height over 25 steps, is above the attacked curve of models that
    were retrained from other initial weights, and from the original's, with its interval.
    """
    rows: dict[str, list[tuple[float, ...]]] = {}
    for original, method in places:
        one, anew = found.lines[original, method], _after(found.retrained[original])
        ends = _after(one)[[0, -1]].mean(axis=0)
        above = [area(one["steps"], ends, level) for level in anew]
        rows.setdefault(method, []).append((ends[0], ends[-1], *above))
    for k, name in enumerate(INITS if places else ()):
        curves = [_after(found.retrained[o])[k] for o in sorted({o for o, _ in places})]
        rows[f"retrained, {name}"] = [(one[0], one[-1], np.nan, np.nan) for one in curves]
    table = []
    for method, each in rows.items():
        values = 100 * np.array(each)
        before, after = values[:, 0].mean(), values[:, 1].mean()
        areas = [interval_text(student(values[:, k]), 2) for k in (2, 3)]
        table.append((label(method), f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}", *areas, len(each)))
    columns = [
        "model",
        "before %",
        "after %",
        "regained",
        f"area above retrained, {INITS[0]}",
        f"area, {INITS[1]}",
        "n",
    ]
    return frame(table, columns, "model")


def setting_text(attack: Attack) -> str:
    """An attacker's data and length in words."""
    data = {
        "retain": "D_r alone",
        "forgotten": f"{attack.examples} forgotten",
        "lookalikes": f"{attack.examples} alike",
    }
    return f"{data[attack.data]}, {attack.epochs} epochs" if attack.epochs else data[attack.data]


def grid_table(found: Relearned) -> Table:
    """What every setting of the attacker regains: methods' mean, and beside it the retrained models', in points.

    A row per attacker's data, a column per learning rate (a share of that of training); means over `GRID` originals.
    """
    cells: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for (_, k), one in found.grid.items():
        attack, accuracy = settings()[k], 100 * _after(one)
        gained = accuracy[:, -1] - accuracy[:, 0]
        rate = f"rate {attack.rate:.2g}"
        pair = float(gained[: -len(INITS)].mean()), float(gained[-len(INITS) :].mean())
        cells.setdefault(setting_text(attack), {}).setdefault(rate, []).append(pair)
    names = [f"rate {rate:.2g}" for rate in RATES]
    rows = []
    for words, by in cells.items():
        means = {rate: np.mean(pairs, axis=0) for rate, pairs in by.items()}
        shown = {rate: f"{means[rate][0]:+.2f} ({means[rate][1]:+.2f})" if rate in means else "-" for rate in names}
        rows.append({"attacker has": words, **shown})
    return frame(rows, ["attacker has", *names], "attacker has")


def matched_table(found: Relearned, places: Iterable[Place]) -> Table:
    """By how much an attacked ensemble lies above the point of its line that starts like it: original, method, members.

    ``members`` is their number, or ``copies``: one model attacked with three orders of batches, beside the first.
    """
    rows: list[tuple[int, str, str, float]] = []
    for at in places:
        sizes = {n: one for (*there, n), one in found.members.items() if tuple(there) == at}
        rows += [(*at, str(n), resistance(found.lines[at], one)) for n, one in sorted(sizes.items())]
        rows.append((*at, "copies", copies_resist(found.copies[at])))
    return frame(rows, ["original", "method", "members", "area"])


def matched_summary(table: Table) -> Table:
    """Means over originals (of their methods) of a `matched_table` with intervals, per members; matched of how many."""
    rows = []
    for members in dict.fromkeys(table["members"]):
        part = where(table, members=members)
        each = part.groupby("original")["area"].mean()
        rows.append((members, *student(each), int(part["area"].notna().sum()), len(part)))
    return frame(rows, ["members", "estimate", "low", "high", "matched", "lines"])


def together(members: str) -> str:
    """What predicts together in a row of a `matched_table`, in words."""
    return "orders of batches alone" if members == "copies" else f"{members} members"


def matched_shown(table: Table) -> Table:
    """A `matched_summary` to be read, in points of accuracy."""
    rows = [
        (
            together(one.members),
            spread([100 * v for v in (one.estimate, one.low, one.high)], 2),
            f"{one.matched} of {one.lines}",
        )
        for one in table.itertuples()
    ]
    return frame(rows, ["together", "above the matched point (points)", "lines with one"], ["together"])


def along_table(found: Relearned, places: Iterable[Place]) -> Table:
    """Accuracy on forgotten examples not seen at every t, before the attack and after it: original, method, t.

    ``level`` is that of the original's retrained models after the same attack, their mean.
    """
    rows = []
    for original, method in places:
        accuracy, level = _after(found.lines[original, method]), float(level_of(found, original)[-1])
        for t, (before, *_, after) in zip(np.linspace(0, 1, len(accuracy)), accuracy, strict=True):
            rows.append((original, method, float(t), before, after, level))
    return frame(rows, ["original", "method", "t", "before", "after", "level"])


def unbiased(count: int) -> float:
    """What the standard deviation of ``count`` normal draws is too small by on average: c4(n), 0.886 for three.

    ``sqrt(2 / (n - 1)) Gamma(n / 2) / Gamma((n - 1) / 2)``.
    """
    return sqrt(2 / (count - 1)) * gamma(count / 2) / gamma((count - 1) / 2)


def harder_inside(attacked: Attacked, copied: Attacked, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """How much less the hardest inner point regains than the harder end, in accuracy, and how much that is by luck.

    Args:
        attacked: the main attack on every point of a line. copied: on its middle with several orders of batches.

    Returns:
        min of the ends' regained accuracy minus min of the inner points', and the mean of the same of as many points
        that differ only as the orders of batches make them differ (normal, of their standard deviation without bias).
    """
    gains = _after(attacked)[:, -1] - _after(attacked)[:, 0]
    again = _after(copied)[:, -1]
    spread = again.std(ddof=1) / unbiased(len(again))
    drawn = np.random.default_rng(seed).normal(size=(draws, len(gains)))
    lucky = drawn[:, [0, -1]].min(axis=1) - drawn[:, 1:-1].min(axis=1)
    return float(gains[[0, -1]].min() - gains[1:-1].min()), float(spread * lucky.mean())


def inside_table(found: Relearned, places: Iterable[Place]) -> Table:
    """Is some inner point harder to relearn than both ends? Per method, means over originals, in accuracy points."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for at in places:
        rows.setdefault(at[1], []).append(harder_inside(found.lines[at], found.copies[at]))
    table = []
    for method, each in rows.items():
        found_, lucky = 100 * np.array(each).T
        beyond = interval_text(student(found_ - lucky), 2)
        table.append((label(method), f"{found_.mean():+.2f}", f"{lucky.mean():+.2f}", beyond, len(each)))
    columns = ["method", "hardest inner point regains less by", "of which luck", "beyond luck", "n"]
    return frame(table, columns, "method")


def predictors_table(found: Relearned) -> Table:
    """Every model that N2 knows: original, method, seed, regained, predictors, whether it is a defence, and counts."""
    regained, rows = regained_of(found), []
    for w in found.forgetting:
        numbers = [predictor_of(found, w, name) for name in PREDICTORS]
        gained = regained[w.original][w.method, w.start]
        rows.append((w.original, w.method, w.start, gained, *numbers, w.method in DEFENCES, not reasons(w)))
    return frame(rows, ["original", "method", "seed", "regained", *PREDICTORS, "defence", "counts"])


def correlations_table(found: Relearned) -> Table:
    """N2's rank correlations, means over originals with intervals: of all that counts, of methods and of defences.

    Defences are far from the original by design and differ from methods in more than that; a correlation that is gone
    without them is one between the two groups.
    """
    groups = {"all": (True, False), "methods": (False,), "defences": (True,)}
    rows = []
    for name, words in PREDICTORS.items():
        sides = pairs_of(found, name)
        row = {"predictor": words}
        for group, kept in groups.items():
            left, right = (
                {o: {at: v for at, v in one.items() if (at[0] in DEFENCES) in kept} for o, one in side.items()}
                for side in sides
            )
            one = n2(left, right, draws=2)
            row[group] = interval_text(one.effect, 2)
        rows.append(row)
    return frame(rows, None, "predictor")


def instrument_table(found: Relearned) -> Table:
    """The positive control: per defence how many ends pass the gate, and its median distance and barriers."""
    table, rows = predictors_table(found), []
    for method in DEFENCES:
        part = where(table, method=method)
        if len(part):
            medians = [f"{part[name].median():.3g}" for name in PREDICTORS]
            passed, regained = f"{int(part['counts'].sum())} of {len(part)}", 100 * part["regained"].median()
            rows.append((label(method), passed, *medians, f"{regained:+.2f}"))
    return frame(rows, ["defence", "pass", *PREDICTORS.values(), "regained (points)"], "defence")


# Figures


@drawing.style()
def curves_figure(table, *, title: str = ""):
    """What the main attack brings back, step by step: a panel a method, its ends' curve above the retrained models'.

    ``table`` is a `curves_table`; originals thin, means thick, the area between filled.
    """
    check_columns(table, ("original", "method", "model", "step", "accuracy"))
    methods = [name for name in dict.fromkeys(table["method"]) if name != "retrained"]
    fig, axes, panels = method_panels(methods, 1.0, 1.8, x="steps of the attack", y="accuracy on D_f\nnot seen (%)")
    anew = where(table, method="retrained").groupby(["model", "step"])["accuracy"].mean()
    for ax, method in panels:
        mine = where(table, method=method)
        for _, one in where(mine, model="ends").groupby("original", sort=False):
            ax.plot(one["step"], one["accuracy"], color=SERIES[0][0], lw=0.6, alpha=0.4)
        means = mine.groupby(["model", "step"])["accuracy"].mean()
        for model, (colour, marker) in zip(("ends", "together"), SERIES, strict=False):
            one = means[model]
            ax.plot(one.index, one, color=colour, marker=marker, ms=3.4, lw=1.8, label=_MODELS[model], zorder=3)
        for name, dashes in zip(INITS, (drawing.RETRAINED, ":"), strict=True):
            ax.plot(anew[name].index, anew[name], color=PURPLE, lw=1.5, ls=dashes, label=f"retrained, {name}")
        ends, level = means["ends"], anew[INITS[0]]
        ax.fill_between(ends.index, level, ends, color=SERIES[0][0], alpha=0.12, lw=0, label="area between")
        drawing.percent_ticks(ax.yaxis)
    return finish(fig, axes[0, 0], title)


_MODELS = {"ends": "ends: mean, originals thin", "together": "ends and middle together"}


@drawing.style()
def matched_figure(table, summary, *, title: str = ""):
    """Attacked ensembles beside the single point that starts like them: area between, a row per number of members.

    ``table`` is a `matched_table`, whose methods' lines are dots, ``summary`` its `matched_summary`. Left of 0 the
    ensemble regains less. The row ``copies`` is what averaging over orders of batches does by itself.
    """
    check_columns(table, ("original", "method", "members", "area"))
    names = list(summary["members"])
    fig, axes = panel_grid(1, 1, 1.2 + 0.45 * len(names))
    ax = axes[0, 0]
    for y, members in enumerate(names):
        colour, marker = (GREY, "D") if members == "copies" else SERIES[0]
        rows = where(summary, members=members).assign(
            **{k: lambda d, k=k: 100 * d[k] for k in ("estimate", "low", "high")}
        )
        dots_row(ax, y, 100 * where(table, members=members)["area"], rows, colour, marker)
    drawing.name_rows(ax, [together(one) for one in names])
    ax.axvline(0, color=BLACK, lw=0.8, ls="--")
    ax.axvline(-1, color=BLACK, lw=0.8, ls=":", label="C18 asks for less than this")
    shade_rows(ax, len(names))
    drawing.widen(ax, 2.0, "x")
    ax.set_xlabel("area above the matched point (points of accuracy): regains less  ←  0  →  regains more")
    return finish(fig, ax, title, [entry("o", GREY, "one line", ms=3), entry("o", BLACK, "mean, 95 % interval")])


@drawing.style()
def along_figure(table, *, title: str = ""):
    """The relearning profile along t: accuracy on forgotten examples not seen, before and after the attack.

    ``table`` is an `along_table`: a panel a method, originals thin, means thick, the retrained models' level after it.
    """
    check_columns(table, ("original", "method", "t", "before", "after", "level"))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes, panels = method_panels(methods, 1.0, 1.8, x="t", y="accuracy on D_f\nnot seen (%)")
    for ax, method in panels:
        mine = where(table, method=method)
        for column, (colour, marker) in zip(("before", "after"), SERIES, strict=False):
            for _, one in mine.groupby("original", sort=False):
                ax.plot(one["t"], one[column], color=colour, lw=0.6, alpha=0.4)
            mean = mine.groupby("t")[column].mean()
            text = f"{column} the attack: mean, originals thin"
            ax.plot(mean.index, mean, color=colour, marker=marker, ms=3.2, lw=1.8, label=text, zorder=3)
        levels = mine.groupby("original")["level"].first()
        low, mean, high = ([v, v] for v in (levels.min(), levels.mean(), levels.max()))
        drawing.retrained_band(ax, [0, 1], low, mean, high)
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        drawing.percent_ticks(ax.yaxis)
    return finish(fig, axes[0, 0], title)


@drawing.style()
def predictors_figure(table, *, title: str = ""):
    """Accuracy regained against each predictor of N2, a dot a model: methods, and defences as triangles.

    ``table`` is a `predictors_table`; models that fail the gate are hollow and do not count.
    """
    check_columns(table, ("method", "regained", *PREDICTORS, "defence", "counts"))
    fig, axes = panel_grid(1, len(PREDICTORS), 2.9, sharey=True)
    colours = {False: SERIES[0][0], True: SERIES[1][0]}
    for ax, (name, words) in zip(axes[0], PREDICTORS.items(), strict=True):
        for (defence, counts), part in table.groupby(["defence", "counts"]):
            colour = colours[bool(defence)]
            face = colour if counts else "none"
            marker = "^" if defence else "o"
            ax.scatter(
                part[name], 100 * part["regained"], s=14, marker=marker, facecolor=face, edgecolor=colour, lw=0.7
            )
        if name != "distance":
            ax.axvline(BARRIER, color=BLACK, lw=0.8, ls="--")
            decades(ax, table[name].to_numpy(float), BARRIER)
        ax.set_xlabel(words)
        ax.axhline(0, color=GREY, lw=0.7)
    axes[0, 0].set_ylabel("regained (points)")
    keys = [entry("o", colours[False], "method"), entry("^", colours[True], "defence")]
    hollow = entry("o", "none", "fails the gate: not counted")
    hollow.set_markeredgecolor(GREY)
    return finish(fig, axes[0, 0], title, [*keys, hollow])


# Words


def instrument_text(found: Relearned, originals: Iterable[int] | None = None) -> str:
    """Whether the positive control of N2 holds, in a sentence."""
    failed = disconnected(instrument(found, originals))
    if failed:
        return (
            f"**The instrument fails its positive control**, so that every row of N2 is undecided: {failed[0]}. Of "
            "models that cannot be told from connected ones nothing is said about what disconnection protects from."
        )
    return (
        "**The instrument's positive control holds**: at least three of the five defences built to be disconnected "
        f"have a median retain barrier above {BARRIER:g} G."
    )


def policies_text(found: Relearned) -> str:
    """On how many lines from the originals a barrier is found by each BatchNorm policy, in a sentence."""
    table = predictors_table(found)
    if not len(table):
        return "There is no line from an original."
    counts = {name: int((table[name] > BARRIER).sum()) for name in PREDICTORS if name != "distance"}
    told = ", ".join(f"{count} ({name})" for name, count in counts.items())
    return (
        f"Of {len(table)} lines from an original to an unlearned model so many have a retain barrier above "
        f"{BARRIER:g} G, by the statistics of BatchNorm: {told}."
    )


def relearning_text(found: Relearned, places: Sequence[Place]) -> str:
    """What the main attack brings back of unlearned and of retrained models, and what ensembles change, in words."""
    if not places:
        return "Verdicts read no line, so that nothing is said about attacks."
    ends = {at: 100 * _after(found.lines[at])[[0, -1]].mean(axis=0) for at in places}
    gained = row_means(table_of({at: one[-1] - one[0] for at, one in ends.items()}).values)
    anew = np.array([100 * _after(found.retrained[o]) for o in sorted({o for o, _ in places})])
    beyond = anew[:, :, -1] - anew[:, :, 0]
    summary = matched_summary(matched_table(found, places)).set_index("members")
    three = summary.loc[str(THREE)] if str(THREE) in summary.index else None
    match = "No ensemble was attacked."
    if three is not None:
        match = (
            f"Ends and middle together have a point of their line that starts like them on {int(three['matched'])} of "
            f"{int(three['lines'])} lines."
        )
        if np.isfinite(three["estimate"]):
            areas = 100 * three[["estimate", "low", "high"]].astype(float)
            match += f" They lie {interval_text(areas, 2)} points of accuracy above it over 25 steps."
    return (
        f"25 steps on D_r and 50 forgotten examples bring back {np.mean(gained):+.2f} points on the forgotten examples "
        f"that the attacker does not have; of retrained models, which never knew them, {beyond[:, 0].mean():+.2f} "
        f"(from {INITS[0]}) and {beyond[:, 1].mean():+.2f} (from {INITS[1]}). {match}"
    )
