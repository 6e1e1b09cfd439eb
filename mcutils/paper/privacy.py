"""10: what an attacker sees of models that were unlearned, along a path and in a shadow pool (C14, N4, N6).

Priced apart, as ``privacy``. Of the pool every model has the confidences phi of all targets; along the lines of 02
there are membership attacks, and forget accuracy with weights of few bits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.shadows import KINDS, SHADOWS, SHARE, SPLITS, held
from ..engine.specs import (
    CurveSpec,
    DataSpec,
    MembershipSpec,
    MetricSpec,
    OriginalSpec,
    PhiSpec,
    RetrainedSpec,
    Spec,
    TraceSpec,
)
from ..engine.study import Study
from ..errors import BadInput, choose
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import LEVEL, Interval
from ..measures.originals import LEAST
from ..measures.roc import auc
from ..measures.shadow_pool import jackknife, left_out, over_models
from .admission import admitted
from .trials import Cells, Finding, Rule, mean_trial, table_of
from .walks import TWINNED, Walk, coarse, controls

TRAINED, RETRAINED = 1000, 2000  # training seeds of shadow j and of its retrained model are these plus j
FEW = 4  # shadows where originals have no forget set each: every code path, no number to quote
SEEDS = (42, 87)  # of unlearning; the second for the methods of `ALONG` only
ALONG = ("npo", "gradient_difference", "scrub")  # whose line between two seeds is audited at t = 0, 1/2 and 1
PLACES = 3
BITS = (8, 4)
ATTACK = "population/loss/auc"  # the attack that verdicts read, as `MembershipSpec`'s result names it
BEFORE, ANEW = "original", "retrained"  # names of the pool's models that nothing was unlearned from
LEAST_UNIT = 0.02  # of AUC between original and retrained models, below which an original tells nothing
ERROR = 0.02  # smallest standard error believed in, in the units of C14 and N6
DRAWS = 500
TOLD = 0.55  # AUC that the attack must exceed on models from which nothing was unlearned


# What is computed: the pool


def shadow_data(study: Study, shadow: int) -> DataSpec:
    """The data of a shadow."""
    study.random_draw("a shadow pool")
    return replace(study.data, shadow=shadow)


def trained(study: Study, shadow: int) -> OriginalSpec:
    """A shadow: trained on the core and its halves."""
    return replace(study.original(0), data=shadow_data(study, shadow), seed=TRAINED + shadow)


def retrained(study: Study, shadow: int) -> RetrainedSpec:
    """The model retrained on the core and a shadow's half to keep: no forget target, so that it serves every shadow."""
    return replace(study.retrained(RETRAINED + shadow, SHARE), data=shadow_data(study, shadow))


def along(study: Study, method: str, shadow: int) -> CurveSpec:
    """The line between two models of a shadow that one method unlearned with two seeds."""
    origin = trained(study, shadow)
    start, end = (study.unlearned(method, seed, origin=origin, forget=SHARE) for seed in SEEDS)
    return study.path(start, end)


def scores(study: Study, shadow: int) -> dict[str, PhiSpec]:
    """The phi of all models of one shadow, by name: ``original``, ``retrained`` and each method.

    Those of a method of `ALONG` are at t = 0, 1/2 and 1 of its line, the first of which is the model that the other
    methods have alone. Settings are those tuned for a tenth, of which a shadow's 2/15 has none of its own.
    """
    models: dict[str, Any] = {BEFORE: trained(study, shadow), ANEW: retrained(study, shadow)}
    for method in study.preset.methods:
        one = study.unlearned(method, SEEDS[0], origin=trained(study, shadow), forget=SHARE)
        models[method] = along(study, method, shadow) if method in ALONG else one
    places = {name: PLACES if isinstance(model, CurveSpec) else 1 for name, model in models.items()}
    return {name: PhiSpec(model, SHARE, places[name], study.weighted) for name, model in models.items()}


def shadows_of(study: Study) -> int:
    """How many shadows a preset has: 32 where originals have a forget set each, else a few."""
    return SHADOWS if study.preset.originals else FEW


def pool_needs(study: Study) -> list[Spec]:
    """The phi of the whole pool."""
    return [spec for j in range(shadows_of(study)) for spec in scores(study, j).values()]


@dataclass(frozen=True, eq=False)
class Pool:
    """Confidences of a pool: ``phi[name][split]`` (T, M, N) of M shadows, and ``held[kind]`` (M, N) of the targets.

    Splits are ``forget_targets``, ``keep_targets`` and ``valid``; ``accuracy[name][split]`` (T, M) is of ``retain`` and
    ``test``.
    """

    phi: Mapping[str, Mapping[str, np.ndarray]]
    held: Mapping[str, np.ndarray]
    accuracy: Mapping[str, Mapping[str, np.ndarray]]


def pool_of(study: Study) -> Pool:
    """The pool's confidences, computed where the store lacks them."""
    count = shadows_of(study)
    specs = [scores(study, j) for j in range(count)]
    found = study.run([one[name] for name in specs[0] for one in specs])
    each = {name: found[k * count : (k + 1) * count] for k, name in enumerate(specs[0])}
    groups: dict[str, dict[str, dict[str, np.ndarray]]] = {"phi": {}, "accuracy": {}}
    for name, rows in each.items():
        for group, table in groups.items():
            splits = [key.partition("/")[2] for key in rows[0] if key.startswith(f"{group}/")]
            table[name] = {s: np.stack([np.asarray(r[f"{group}/{s}"], float) for r in rows], axis=1) for s in splits}
    task = study.data.task(study.preset.forget)
    return Pool(groups["phi"], {kind: held(task, kind, count) for kind in KINDS}, groups["accuracy"])


# What is computed: along paths


def lines(study: Study) -> dict[tuple[int, str], TraceSpec]:
    """(original, method) -> the trace, on all splits, of the line between its two seeds; methods pass the gate."""
    first, last = study.seeds[:2]
    found = {}
    for original in study.originals:
        origin = study.original(original)
        for method in study.preset.fit:
            start, end = (study.unlearned(method, seed, origin=origin) for seed in (first, last))
            found[original, method] = study.trace(study.path(start, end), points=coarse(study))
    return found


def twin_lines(study: Study) -> list[tuple[int, TraceSpec]]:
    """(original, trace on all splits) of the lines to fine-tuned twins, the control of every notebook."""
    found = [route for route in controls(study) if route.control == TWINNED]
    return [(route.original, study.trace(route.path, points=coarse(study))) for route in found]


def references(study: Study, original: int) -> tuple[TraceSpec, ...]:
    """The traces of the models retrained for an original."""
    return tuple(study.trace(study.retrained(seed, original=original)) for seed in study.seeds[:2])


def along_needs(study: Study) -> list[Spec]:
    """Attacks along the lines and on the models beside them, and forget accuracy at 8 and 4 bits."""
    found: list[Spec] = []
    for (original, _), line in lines(study).items():
        found.append(MembershipSpec(line, references(study, original)))
        found += [rounded(line, bits) for bits in (0, *BITS)]
    found += [MembershipSpec(line) for _, line in twin_lines(study)]
    for original in study.originals:
        beside = study.trace(study.original(original)), *references(study, original)
        found += [MembershipSpec(one) for one in beside]
        found += [rounded(one, bits) for one in beside for bits in (0, *BITS)]
    return found


def rounded(trace: TraceSpec, bits: int) -> MetricSpec:
    """Forget accuracy along a trace with weights of so many bits; 0: as they are."""
    return MetricSpec(replace(trace, bits=bits, splits=("forget",)) if bits else trace, "accuracy_forget")


@dataclass(frozen=True, eq=False)
class Along:
    """AUC of an attack: along the lines, on their originals beside retrained models, and along the lines to twins.

    ``areas``: (original, method) -> (T,); ``units``: original -> its AUC minus the mean of its retrained models';
    ``twins``: (original, (T,)).
    """

    areas: Mapping[tuple[int, str], np.ndarray]
    units: Mapping[int, float]
    twins: Sequence[tuple[int, np.ndarray]]

    @property
    def ends(self) -> dict[tuple[int, str], tuple[float, float]]:
        """(original, method) -> the AUC of its two seeds."""
        return {place: (float(area[0]), float(area[-1])) for place, area in self.areas.items()}

    def within(self, places: Iterable[tuple[int, str]]) -> Along:
        """The same for some of the (original, method)."""
        kept = set(places)
        return replace(self, areas={place: area for place, area in self.areas.items() if place in kept})


def along_of(study: Study, attack: str = ATTACK) -> Along:
    """An attack's AUC along all lines, computed where the store lacks it.

    Args:
        attack: an array of `MembershipSpec`'s result: ``population/<signal>/auc``.
    """
    walked, twinned = lines(study), twin_lines(study)
    beside = {o: (study.trace(study.original(o)), *references(study, o)) for o in study.originals}
    asked = [MembershipSpec(line, references(study, original)) for (original, _), line in walked.items()]
    found = [one[attack] for one in study.run([*asked, *(MembershipSpec(line) for _, line in twinned)])]
    single = {o: [one[attack][0] for one in study.run(map(MembershipSpec, traces))] for o, traces in beside.items()}
    return Along(
        dict(zip(walked, found[: len(walked)], strict=True)),
        {o: float(first - np.mean(anew)) for o, (first, *anew) in single.items()},
        list(zip([o for o, _ in twinned], found[len(walked) :], strict=True)),
    )


@dataclass(frozen=True, eq=False)
class Rounded:
    """Forget accuracy with few bits and as it is: of ends, by (original, method), and of the models beside them."""

    ends: Mapping[tuple[int, str], tuple[float, float]]
    retrained: Mapping[int, Sequence[tuple[float, float]]]
    originals: Mapping[int, float]


def rounded_of(study: Study, bits: int = BITS[-1]) -> Rounded:
    """Forget accuracy with weights of so many bits, computed where the store lacks it; an end's is the mean of both."""

    def pairs(traces: Sequence[TraceSpec]) -> list[tuple[np.ndarray, np.ndarray]]:
        few, plain = (study.run([rounded(one, b) for one in traces]) for b in (bits, 0))
        return [(a["values"], b["values"]) for a, b in zip(few, plain, strict=True)]

    walked = lines(study)
    ends = {
        place: (float(few[[0, -1]].mean()), float(plain[[0, -1]].mean()))
        for place, (few, plain) in zip(walked, pairs(list(walked.values())), strict=True)
    }
    anew = {o: [(float(a[0]), float(b[0])) for a, b in pairs(references(study, o))] for o in study.originals}
    first = {o: float(pairs([study.trace(study.original(o))])[0][1][0]) for o in study.originals}
    return Rounded(ends, anew, first)


def joined(walks: Sequence[Walk], eps: float = TOLERANCE) -> tuple[set[tuple[int, str]], set[tuple[int, str, str]]]:
    """Which lines count, of walks that pass the gate and are MCU(eps): between seeds of (original, method), and between
    (original, method, other)."""
    kept = [w for w in admitted(walks, kind="linear", form="") if not w.control and not w.size and w.connected(eps)]
    seeds = {(w.original, w.method) for w in kept if w.condition == "random"}
    return seeds, {(w.original, w.method, w.other) for w in kept if w.condition == "method"}


def needs(study: Study) -> list[Spec]:
    """All that 10 computes beyond the other notebooks."""
    return [*pool_needs(study), *along_needs(study)]


# The tests


def beyond_ends(area) -> float:
    """Range of a number (T,) along a path beyond the difference of its ends, max - min - |last - first|."""
    area = np.asarray(area, dtype=np.float64)
    return float(np.ptp(area) - abs(area[-1] - area[0]))


def told_units(units: Mapping[int, float]) -> tuple[dict[int, float], list[str]]:
    """The originals whose AUC is at least `LEAST_UNIT` above that of their retrained models, and who is left out."""
    kept = {original: unit for original, unit in units.items() if unit >= LEAST_UNIT}
    return kept, [f"original {one} is left out: nothing is told there" for one in sorted(set(units) - set(kept))]


def c14(
    areas: Mapping[tuple[int, Hashable], Sequence[float]],
    units: Mapping[int, float],
    twins: Iterable[tuple[int, Sequence[float]]],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C14: how far the attack's AUC ranges inside a path beyond its ends, in units of what there was to unlearn.

    Args:
        areas: (original, method) -> AUC (T,) of D_f against unseen examples along a line that is MCU(0.1).
        units: original -> its AUC minus the mean AUC of its retrained models.
        twins: (original, AUC along a line to a fine-tuned twin): the null.
        refused: why nothing may be decided. level: of the interval.
    """
    kept, notes = told_units(units)
    cells = table_of({p: beyond_ends(area) / kept[p[0]] for p, area in areas.items() if p[0] in kept})
    null = [beyond_ends(area) / kept[original] for original, area in twins if original in kept]
    found = mean_trial(
        replace(cells, least=ERROR), Rule("above", 0.2), null=np.array(null or [np.nan]), refused=refused, level=level
    )
    return replace(found, notes=(*found.notes, *notes))


def c14_between(
    ends: Mapping[tuple[int, str], tuple[float, float]],
    joined: Iterable[tuple[int, str, str]],
    units: Mapping[int, float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C14, second row: how far the AUC of two methods in one basin differ, beyond what another seed of each gives.

    Per pair: mean |AUC_a - AUC_b| over both seeds of each, minus the mean |AUC(seed) - AUC(other seed)| of the two.

    Args:
        ends: (original, method) -> AUC of its two seeds.
        joined: (original, method, other) of pairs that a line joins at MCU(0.1).
        units, refused, level: as in `c14`.
    """
    kept, notes = told_units(units)
    pairs = [one for one in joined if one[0] in kept and (one[0], one[1]) in ends and (one[0], one[2]) in ends]

    def cells_with(values: Mapping[tuple[int, str], np.ndarray]) -> Cells:
        found = {}
        for original, a, b in pairs:
            x, y = values[original, a], values[original, b]
            seeds = (abs(x[0] - x[1]) + abs(y[0] - y[1])) / 2
            found[original, f"{a} - {b}"] = (np.abs(x[:, None] - y).mean() - seeds) / kept[original]
        return replace(table_of(found), least=ERROR)

    real = {place: np.asarray(pair, dtype=np.float64) for place, pair in ends.items()}
    rng = np.random.default_rng(0)
    drawn: list[float] = []
    for _ in range(DRAWS if pairs else 0):
        moved = {}
        for original in kept:
            places = [place for place in real if place[0] == original]
            mixed = rng.permutation(np.concatenate([real[place] for place in places]))
            moved.update(dict(zip(places, mixed.reshape(-1, 2), strict=True)))
        values = cells_with(moved).values
        drawn.append(float(np.nanmean(np.nanmean(values, axis=1))))
    null = np.array(drawn or [np.nan])
    found = mean_trial(cells_with(real), Rule("above", 0.2), null=null, refused=refused, level=level)
    return replace(found, notes=(*found.notes, *notes))


def area_left(phi: np.ndarray, held_by: np.ndarray) -> float:
    """Mean over models of the AUC that the attack by models left out reaches on targets held against those not."""
    return over_models(auc, left_out(phi, held_by), held_by)


def pool_controls(pool: Pool, seed: int = 0, level: float = LEVEL) -> list[str]:
    """What is wrong with a pool, in sentences; empty if nothing is.

    Of the forget targets, the retrained models, which saw none, must have an AUC whose interval holds 1/2, and the
    shadows before unlearning one above `TOLD`; with each target dealt anew to half of the shadows nothing may be told.
    """
    split, who = SPLITS["forget"], pool.held["forget"]
    dealt = np.random.default_rng(seed).permuted(who, axis=0)

    def interval(name: str, held_by: np.ndarray) -> Interval:
        phi = pool.phi[name][split][0]
        return jackknife(lambda kept: np.array([area_left(phi[kept], held_by[kept])]), len(phi), level)[0]

    found = []
    for what, one in (("retrained models", interval(ANEW, who)), ("shadows dealt anew", interval(BEFORE, dealt))):
        if not one.low <= 0.5 <= one.high:
            found.append(f"{what} tell who was to be forgotten: AUC {one.low:.3f} to {one.high:.3f}")
    before = interval(BEFORE, who)
    if before.low <= TOLD:
        found.append(f"the attack does not find what was learned: AUC {before.low:.3f} to {before.high:.3f}")
    return found


def n4(
    pool: Pool,
    methods: Sequence[str],
    beside: str = BEFORE,
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """N4: how much better an attack tells which examples were *kept*, after unlearning others, than before.

    Per shadow the AUC of the keep targets that it holds against those that it does not, by the laws of the other
    shadows' models of the same kind; the mean over methods minus the same of the models ``beside``, with a jackknife
    interval over shadows. The null is the retrained models in the methods' place.

    Args:
        pool: of `pool_of`. methods: names in it. beside: ``original`` or ``retrained`` models. refused: why nothing may
            be decided, as `pool_controls` says. level: of the interval.
    """
    choose("models beside the unlearned ones", beside, (BEFORE, ANEW))
    missing = [name for name in (*methods, BEFORE, ANEW) if name not in pool.phi]
    if missing or not methods:
        raise BadInput(f"the pool lacks {', '.join(missing) or 'methods: name one or more'}.")
    who, split = pool.held["keep"], SPLITS["keep"]
    if len(who) < 2 * LEAST:
        said = (*refused, f"{len(who)} shadows are too few")
        return Finding(Interval(np.nan, np.nan, np.nan), "undecided", len(who), 0, notes=said)
    phi = {name: pool.phi[name][split][0] for name in (*methods, BEFORE, ANEW)}

    def areas(kept: np.ndarray) -> np.ndarray:
        scores = left_out(np.stack(list(phi.values()))[:, kept], who[kept])
        found = {name: over_models(auc, one, who[kept]) for name, one in zip(phi, scores, strict=True)}
        each = [found[name] - found[beside] for name in methods]
        return np.array([np.mean(each), found[ANEW] - found[BEFORE], *each])

    effect, null, *each = jackknife(areas, len(who), level)
    rule = Rule("above", 0.01)
    word, notes = rule.word(effect), list(refused)
    for k, name in enumerate(methods) if len(methods) > 1 and word != "undecided" else ():
        rest = float(np.mean([one.estimate for i, one in enumerate(each) if i != k]))
        if (rest > rule.threshold) != (effect.estimate > rule.threshold):
            notes.append(f"without {name} the mean lies on the other side")
    reach = null if beside == BEFORE else None
    if reach is not None and word == "supported" and not rule.beyond(effect, reach):
        notes.append(f"its null reaches {reach.low:.3g} to {reach.high:.3g}")
    found = len(who), len(who) * len(methods)
    return Finding(effect, "undecided" if notes else word, *found, reach, notes=tuple(notes))


def regained(rounded_to: float, plain: float, original: float) -> float:
    """Share of the forget accuracy that was lost, original - plain, that rounding brings back; nan where none was."""
    lost = original - plain
    return (rounded_to - plain) / lost if lost > 0 else float("nan")


def n6(
    found: Mapping[tuple[int, str], tuple[float, float]],
    retrained_to: Mapping[int, Sequence[tuple[float, float]]],
    originals: Mapping[int, float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """N6: the share of forgotten accuracy that rounding brings back, beyond what it does to retrained models.

    Args:
        found: (original, method) -> forget accuracy of its ends with few bits and as they are, means over the two ends.
        retrained_to: original -> the same pair for each of its retrained models, two or more.
        originals: original -> forget accuracy of the original model.
        refused, level: as in `c14`.
    """
    anew = {o: [regained(*pair, originals[o]) for pair in pairs] for o, pairs in retrained_to.items()}
    cells = table_of({p: regained(*pair, originals[p[0]]) - float(np.mean(anew[p[0]])) for p, pair in found.items()})
    # A retrained model in the methods' place, against the others of its original.
    rng, null = np.random.default_rng(0), []
    for _ in range(DRAWS):
        each = []
        for shares in anew.values():
            k = rng.integers(len(shares))
            each.append(shares[k] - np.mean(np.delete(shares, k)) if len(shares) > 1 else np.nan)
        null.append(np.mean(each) if each else np.nan)
    made = replace(cells, least=ERROR)
    return mean_trial(made, Rule("above", 0.1), null=np.array(null), refused=refused, level=level)
